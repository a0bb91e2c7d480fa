//! Geometric boxes: tables of the axes' entries, atomic sums, reduction.

use ::wgpu::Buffer;
use ark_ff::Zero;
use zkloom_kernels::geometry::{Coordinate, GeometricBox, Segment, entries};
use zkloom_kernels::wgsl::Module;

use super::device::{Device, Kernel};
use super::recorder::Recorder;
use super::vectors::{WgpuScalars, words_of};
use crate::backend::Result;

/// Entries of a table that one invocation writes, and entries of an innermost axis that one takes; the shader has the same.
const TABLE_CHUNK: usize = 16;
const AXIS_CHUNK: usize = 32;

/// Bytes of a table's entry, and of an accumulator of nine limbs.
const ENTRY: u64 = 48;
const ACCUMULATOR: u64 = 36;

/// Most work items of one dispatch: so many times 32 entries cannot overflow an accumulator.
const MOST_ITEMS: usize = 1 << 29;

fn kernel(entry: &'static str) -> Kernel {
    Kernel { module: Module::Boxes, entry }
}

/// Boxes as the shaders read them.
#[derive(Default)]
struct Layout {
    segments: Vec<u32>,
    table_items: usize,
    table: usize,
    axes: Vec<u32>,
    boxes: Vec<u32>,
    items: usize,
    /// Extent of the target's entries.
    extent: Option<(usize, usize)>,
}

impl Layout {
    /// Lays out all boxes that have entries; fails by `None` if they are too many for one dispatch.
    fn new(boxes: &[GeometricBox], coordinate: Coordinate) -> Option<Self> {
        let mut layout = Self::default();
        for geometric in boxes {
            let Some(extent) = geometric.extent(coordinate).filter(|_| !geometric.scale.is_zero()) else {
                continue;
            };
            layout.add(geometric, coordinate)?;
            layout.extent =
                Some(layout.extent.map_or(extent, |(low, high)| (low.min(extent.0), high.max(extent.1))));
        }
        Some(layout)
    }

    fn add(&mut self, geometric: &GeometricBox, coordinate: Coordinate) -> Option<()> {
        let point = [Segment {
            start: 0,
            count: 1,
            step: 0,
            output_start: 0,
            output_step: 0,
            ratio: ark_bn254::Fr::zero(),
            scale: ark_ff::One::one(),
        }];
        let mut axes: Vec<&[Segment]> = geometric.axes.iter().map(Vec::as_slice).collect();
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
        let numbers =
            [self.items, first_axis, axes.len(), chunks, geometric.offset, geometric.output_offset, 0, 0];
        self.boxes.extend(numbers.map(|number| number as u32));
        self.boxes.extend(words_of(&geometric.scale));
        self.items =
            self.items.checked_add(chunks.checked_mul(outer)?).filter(|&items| items <= MOST_ITEMS)?;
        for axis in axes {
            self.axes.extend([self.table as u32, entries(axis) as u32]);
            axis.iter().filter(|segment| segment.count > 0).for_each(|segment| self.add_segment(segment));
            (self.table <= MOST_ITEMS).then_some(())?;
        }
        Some(())
    }

    fn add_segment(&mut self, segment: &Segment) {
        let Segment { start, count, step, output_start, output_step, .. } = *segment;
        let numbers = [self.table_items, self.table, count, start, step, output_start, output_step, 0];
        // Steps of single entries and outputs of boxes that are written out may be anything and are never used.
        self.segments.extend(numbers.map(|number| number as u32));
        self.segments.extend(words_of(&segment.ratio));
        self.segments.extend(words_of(&segment.scale));
        self.table_items = self.table_items.saturating_add(count.div_ceil(TABLE_CHUNK));
        self.table = self.table.saturating_add(count);
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Device {
    /// Adds boxes to a target, or what they contract of a source; shapes are checked by the caller.
    pub fn add_boxes(
        &self,
        operation: &'static str,
        target: &WgpuScalars,
        source: Option<&WgpuScalars>,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        let coordinate = if source.is_some() { Coordinate::Output } else { Coordinate::Position };
        let layout = Layout::new(boxes, coordinate)
            .filter(|layout| layout.table as u64 * ENTRY <= self.largest_binding);
        let Some(layout) = layout else {
            // Too much for one dispatch: half of the boxes, or of the only one, at a time.
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
        let Some(extent) = layout.extent else { return self.check(operation) };
        let mut recorder = Recorder::new(self, operation)?;
        let table = self.storage(operation, layout.table as u64 * ENTRY)?;
        let segments = self.filled(operation, &bytes(&layout.segments))?;
        let parts = layout.segments.len() / 24;
        let words = [layout.table_items as u32, parts as u32, 0, 0, 0, 0, 0, 0];
        recorder.dispatch(kernel("write_tables"), &words, &[&segments, &table], layout.table_items)?;
        let descriptions = [
            self.filled(operation, &bytes(&layout.boxes))?,
            self.filled(operation, &bytes(&layout.axes))?,
            table,
        ];
        self.record_sums(&mut recorder, (target, source), (&layout, extent), &descriptions)?;
        recorder.submit()
    }

    /// Records sums and reductions, for as many target entries at a time as accumulators fit a binding.
    fn record_sums(
        &self,
        recorder: &mut Recorder<'_>,
        (target, source): (&WgpuScalars, Option<&WgpuScalars>),
        (layout, (low, high)): (&Layout, (usize, usize)),
        descriptions: &[Buffer; 3],
    ) -> Result<()> {
        let operation = "boxes";
        let [boxes, axes, table] = descriptions;
        let window = ((self.largest_binding / ACCUMULATOR) as usize).min(high + 1 - low);
        let sums = self.storage(operation, window as u64 * ACCUMULATOR)?;
        let unused = self.storage(operation, 0)?;
        let entries = source.map_or(&unused, |source| &source.buffer);
        for low in (low..=high).step_by(window) {
            let window = window.min(high + 1 - low);
            let parts = layout.boxes.len() / 16;
            let numbers = [layout.items, parts, low, window, usize::from(source.is_some()), 0, 0, 0];
            let words = numbers.map(|number| number as u32);
            recorder.clear(&sums);
            let buffers = [boxes, axes, table, entries, &sums];
            recorder.dispatch(kernel("accumulate"), &words, &buffers, layout.items)?;
            recorder.dispatch(kernel("settle"), &words, &[&target.buffer, &sums], window)?;
        }
        Ok(())
    }
}
