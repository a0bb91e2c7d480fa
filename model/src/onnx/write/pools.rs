//! Windows in sums and maxima: which pool they are, found by their geometry and checked element by element.

use super::encode::Attribute;
use super::layers::{list, slide};
use super::{Tensor, Writer, batched, strides};
use crate::convolution::Window;
use crate::float_graph::{Candidate, FloatTerm, ValueId};

/// The most pairs of elements that are looked at.
const MOST_PAIRS: usize = 1 << 24;
/// Relative difference of coefficients that rounding makes.
const ROUNDING: f32 = 1e-6;

/// For each element of the result the elements of the input that it meets, ascending.
type Meetings = Vec<Vec<u32>>;

impl Writer<'_> {
    /// The sum as AveragePool, with a factor where it is a multiple of one.
    pub(super) fn average_pool(&mut self, terms: &[FloatTerm], output: ValueId) -> Option<Tensor> {
        let input = terms.first()?.input;
        let windowed = terms.len() > 1
            || terms.iter().any(|term| term.access.axes.iter().any(|axis| axis.output_stride == 0));
        (windowed && terms.iter().all(|term| term.input == input)).then_some(())?;
        let accesses = terms.iter().map(|term| &term.access);
        let (mut meetings, elements) = (self.meetings(accesses.clone(), output)?, terms.len());
        let windows = self.windows(&mut meetings, (input, output), false)?;
        windows.iter().all(|window| window.dilation == 1).then_some(())?;
        let kernel: usize = windows.iter().map(|window| window.kernel).product();
        let mut divisors = [true, false].into_iter().filter_map(|counted| {
            let mut factor = None;
            let mut same = true;
            for term in terms {
                term.access.for_each(|to, _| {
                    let divisor = if counted { kernel } else { meetings[to].len() };
                    let found = term.coefficient * divisor as f32;
                    let first = *factor.get_or_insert(found);
                    same &= (found - first).abs() <= ROUNDING * first.abs();
                });
            }
            factor.filter(|_| same && elements > 0).map(|factor| (counted, factor))
        });
        let (counted, factor) = divisors.next()?;
        let mut attributes = slide(&windows);
        attributes.push(("count_include_pad", Attribute::Int(i64::from(counted))));
        let tensor = self.tensor(input);
        let pooled = self.push("AveragePool", &[&tensor.name], attributes, batched(self.shape(output)));
        let unchanged = (factor - 1.0).abs() <= ROUNDING;
        Some(if unchanged { pooled } else { self.with("Mul", &pooled, factor) })
    }

    /// The maximum as MaxPool.
    pub(super) fn max_pool(&mut self, candidates: &[Candidate], output: ValueId) -> Option<Tensor> {
        let pieces = || candidates.iter().flat_map(|candidate| &candidate.pieces);
        let input = pieces().next()?.0;
        (candidates.len() > 1 && pieces().all(|piece| piece.0 == input)).then_some(())?;
        let mut meetings = self.meetings(pieces().map(|piece| &piece.1), output)?;
        let windows = self.windows(&mut meetings, (input, output), true)?;
        let mut attributes = slide(&windows);
        attributes.push(("dilations", list(windows.iter().map(|window| window.dilation))));
        let tensor = self.tensor(input);
        Some(self.push("MaxPool", &[&tensor.name], attributes, batched(self.shape(output))))
    }

    fn meetings<'b>(
        &self,
        accesses: impl Iterator<Item = &'b crate::access::Access> + Clone,
        output: ValueId,
    ) -> Option<Meetings> {
        let pairs = accesses.clone().fold(0usize, |sum, access| sum.saturating_add(access.pairs()));
        (pairs <= MOST_PAIRS).then_some(())?;
        let mut meetings = vec![Vec::new(); self.shape(output).iter().product()];
        accesses.for_each(|access| access.for_each(|to, from| meetings[to].push(from as u32)));
        Some(meetings)
    }

    /// The windows of `[C, spatial..]` that meet just these elements, each once, or `often` at least once.
    fn windows(
        &self,
        meetings: &mut Meetings,
        (input, output): (ValueId, ValueId),
        often: bool,
    ) -> Option<Vec<Window>> {
        let (from, to) = (self.shape(input), self.shape(output));
        (from.len() == to.len() && from.len() > 1 && from[0] == to[0] && from.len() <= 4).then_some(())?;
        for met in meetings.iter_mut() {
            met.sort_unstable();
            if often {
                met.dedup();
            }
        }
        let (from_strides, to_strides) = (strides(from), strides(to));
        let mut windows = Vec::new();
        for axis in 1..from.len() {
            // Outputs along the axis, at the origin of the others, and the coordinates that they meet along it.
            let along = (0..to[axis]).map(|at| {
                let met = &meetings[at * to_strides[axis]];
                let mut places: Vec<usize> =
                    met.iter().map(|&place| place as usize / from_strides[axis] % from[axis]).collect();
                places.sort_unstable();
                places.dedup();
                places
            });
            windows.push(window(&along.collect::<Vec<_>>(), from[axis])?);
        }
        let expected = |element: usize| {
            let mut places = vec![element / to_strides[0] * from_strides[0]];
            for (axis, window) in windows.iter().enumerate() {
                let axis = axis + 1;
                let own = met(window, element / to_strides[axis] % to[axis], from[axis]);
                let step = from_strides[axis];
                places =
                    places.iter().flat_map(|&place| own.iter().map(move |at| place + at * step)).collect();
            }
            places
        };
        let same = |(element, found): (usize, &Vec<u32>)| {
            found.iter().map(|&place| place as usize).eq(expected(element))
        };
        meetings.iter().enumerate().all(same).then_some(windows)
    }
}

/// The coordinates that an output meets along an axis of `size` elements.
fn met(window: &Window, output: usize, size: usize) -> Vec<usize> {
    let places = (0..window.kernel).map(|offset| output * window.stride + offset * window.dilation);
    let inside = places.filter_map(|place| place.checked_sub(window.pad_begin));
    inside.filter(|&place| place < size).collect()
}

/// The window along one axis whose outputs meet these coordinates.
fn window(along: &[Vec<usize>], size: usize) -> Option<Window> {
    let longest = along.iter().max_by_key(|places| places.len())?;
    let kernel = longest.len();
    let dilation = match longest.as_slice() {
        [] => return None,
        [_] => 1,
        [first, second, ..] => second - first,
    };
    let span = dilation * (kernel - 1) + 1;
    let strides = if along.len() == 1 { 1..=1 } else { 1..=size };
    for stride in strides {
        for pad_begin in 0..kernel {
            let reached = (along.len() - 1) * stride + span;
            let pad_end = reached.saturating_sub(size + pad_begin);
            let window = Window { kernel, stride, dilation, pad_begin, pad_end };
            let fits = pad_end < kernel && window.outputs(size) == Some(along.len());
            let places = |(output, places): (usize, &Vec<usize>)| *places == met(&window, output, size);
            if fits && along.iter().enumerate().all(places) {
                return Some(window);
            }
        }
    }
    None
}
