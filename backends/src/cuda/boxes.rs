//! Geometric boxes: tables of the axes' entries, atomic sums, reduction.

use std::sync::Arc;

use ark_bn254::Fr;
use ark_ff::{One, Zero};
use zkloom_kernels::geometry::{Coordinate, GeometricBox, Segment, entries};

use super::device::Device;
use super::driver::Arguments;
use super::vectors::{CudaScalars, ELEMENT, FEWER_THREADS, THREADS, words_of};
use crate::backend::Result;

/// Entries of a table that one thread writes, and entries of an innermost axis that one takes; the kernels have the same.
const TABLE_CHUNK: usize = 16;
const AXIS_CHUNK: usize = 32;

/// Bytes of a table's entry, and of an accumulator.
const ENTRY: usize = 48;
const ACCUMULATOR: usize = 64;

/// Most work items and entries of tables of one launch.
const MOST_ITEMS: usize = 1 << 29;
const MOST_ENTRIES: usize = 1 << 25;

/// Most accumulators (4 GiB), and those that there is always memory for.
const MOST_ACCUMULATORS: usize = 1 << 26;
const FEW_ACCUMULATORS: usize = 1 << 16;

/// Boxes as the kernels read them.
#[derive(Default)]
struct Layout {
    segments: Vec<u64>,
    segment_count: usize,
    table_items: usize,
    table: usize,
    axes: Vec<u64>,
    boxes: Vec<u64>,
    box_count: usize,
    items: usize,
    /// Extent of the target's entries.
    extent: Option<(usize, usize)>,
}

impl Layout {
    /// Lays out all boxes that have entries; `None` if they are too many for one launch.
    fn new(boxes: &[GeometricBox], coordinate: Coordinate) -> Option<Self> {
        let mut layout = Self::default();
        for geometric in boxes {
            let Some(extent) = geometric.extent(coordinate).filter(|_| !geometric.scale.is_zero()) else {
                continue;
            };
            layout.add(geometric, coordinate)?;
            let (low, high) = layout.extent.unwrap_or(extent);
            layout.extent = Some((low.min(extent.0), high.max(extent.1)));
        }
        Some(layout)
    }

    fn add(&mut self, geometric: &GeometricBox, coordinate: Coordinate) -> Option<()> {
        let mut axes: Vec<&[Segment]> = geometric.axes.iter().map(Vec::as_slice).collect();
        let point = [point()];
        if axes.is_empty() {
            axes.push(&point);
        }
        // Innermost is an axis that sums to one output, so that few additions are atomic; else the longest one.
        axes.sort_by_key(|axis| {
            let sums =
                coordinate == Coordinate::Output && axis.iter().all(|segment| segment.output_step == 0);
            core::cmp::Reverse((sums && entries(axis) >= 4, entries(axis)))
        });
        let chunks = entries(axes[0]).div_ceil(AXIS_CHUNK);
        let outer = axes[1..].iter().try_fold(1usize, |product, axis| product.checked_mul(entries(axis)))?;
        let first_axis = self.axes.len() / 2;
        let numbers = [self.items, first_axis, axes.len(), chunks, geometric.offset, geometric.output_offset];
        self.boxes.extend(numbers.map(|number| number as u64));
        self.boxes.extend(words_of(&geometric.scale));
        self.box_count += 1;
        let items = self.items.checked_add(chunks.checked_mul(outer)?)?;
        self.items = Some(items).filter(|&items| items <= MOST_ITEMS)?;
        for axis in axes {
            self.axes.extend([self.table as u64, entries(axis) as u64]);
            axis.iter().filter(|segment| segment.count > 0).for_each(|segment| self.add_segment(segment));
            (self.table <= MOST_ENTRIES).then_some(())?;
        }
        Some(())
    }

    fn add_segment(&mut self, segment: &Segment) {
        let Segment { start, count, step, output_start, output_step, .. } = *segment;
        let numbers = [self.table_items, self.table, count, start, step, output_start, output_step, 0];
        self.segments.extend(numbers.map(|number| number as u64));
        self.segments.extend(words_of(&segment.ratio));
        self.segments.extend(words_of(&segment.scale));
        self.segment_count += 1;
        self.table_items = self.table_items.saturating_add(count.div_ceil(TABLE_CHUNK));
        self.table = self.table.saturating_add(count);
    }
}

/// The only segment of a box without axes.
fn point() -> Segment {
    let [start, step, output_start, output_step] = [0; 4];
    Segment { start, count: 1, step, output_start, output_step, ratio: Fr::zero(), scale: Fr::one() }
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Device {
    /// Adds boxes to a target, or what they contract of a source; shapes are checked by the caller.
    pub fn add_boxes(
        self: &Arc<Self>,
        operation: &'static str,
        target: &CudaScalars,
        source: Option<&CudaScalars>,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        let coordinate = if source.is_some() { Coordinate::Output } else { Coordinate::Position };
        let Some(layout) = Layout::new(boxes, coordinate) else {
            // Too much for one launch: half of the boxes, or of the only one, at a time.
            let (first, second) = match boxes {
                [only] => {
                    let [first, second] = only.halves();
                    (vec![first], vec![second])
                }
                _ => {
                    let (first, second) = boxes.split_at(boxes.len() / 2);
                    (first.to_vec(), second.to_vec())
                }
            };
            self.add_boxes(operation, target, source, &first)?;
            return self.add_boxes(operation, target, source, &second);
        };
        let Some(extent) = layout.extent else { return Ok(()) };
        let table = self.allocate(operation, layout.table, ENTRY)?;
        let segments = self.filled(operation, &bytes(&layout.segments))?;
        let arguments = Arguments::default()
            .word(table.address())
            .word(segments.address())
            .word(layout.segment_count as u64)
            .word(layout.table_items as u64);
        self.launch(operation, "write_tables", (layout.table_items, FEWER_THREADS), &arguments)?;
        self.add_sums(operation, (target, source), (&layout, extent), table.address())
    }

    /// Sums and reductions, for as many target entries at a time as there is room for accumulators.
    fn add_sums(
        self: &Arc<Self>,
        operation: &'static str,
        (target, source): (&CudaScalars, Option<&CudaScalars>),
        (layout, (low, high)): (&Layout, (usize, usize)),
        table: u64,
    ) -> Result<()> {
        let boxes = self.filled(operation, &bytes(&layout.boxes))?;
        let axes = self.filled(operation, &bytes(&layout.axes))?;
        let mut window = MOST_ACCUMULATORS.min(high + 1 - low);
        if window > FEW_ACCUMULATORS {
            let room = self.free_memory(operation)? / 2 / ACCUMULATOR as u64;
            window = window.min(usize::try_from(room).unwrap_or(window)).max(FEW_ACCUMULATORS);
        }
        let sums = self.allocate(operation, window, ACCUMULATOR)?;
        for low in (low..=high).step_by(window) {
            let window = window.min(high + 1 - low);
            self.clear(operation, sums.address(), window * ACCUMULATOR)?;
            let list = [
                boxes.address(),
                axes.address(),
                table,
                source.map_or(0, |source| source.at(0)),
                layout.box_count as u64,
                layout.items as u64,
                low as u64,
                window as u64,
            ];
            let arguments = Arguments::default().word(sums.address()).structure(&list);
            self.launch(operation, "accumulate_boxes", (layout.items, FEWER_THREADS), &arguments)?;
            let place = target.at(0) + (low * ELEMENT) as u64;
            let arguments = Arguments::default().word(place).word(sums.address()).word(window as u64);
            self.launch(operation, "settle", (window, THREADS), &arguments)?;
        }
        Ok(())
    }
}
