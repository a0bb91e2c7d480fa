//! What a claim implies for the size of its output's cells, in wide integers.
//!
//! An output cell equals a sum of products of cells, weights and constant ones, namely of those whose monomials are its own.
//! Bounding it takes two things: the interval of each cell that a view reads, and how many cells can bear one monomial. Where
//! monomials might coincide that are not seen to be apart, everything is added.

use crate::Circuit;
use crate::claim::{Claim, ConstantOnes, Relation};
use crate::origin::{Interval, Piece};
use crate::validate::disjoint;
use crate::view::{Axis, Monomial, Segment, Variable, View};
use crate::witness::IntegerMatrix;

/// Lowest and highest value.
type Range = (i128, i128);
/// Exponents of some monomials: variable, first, number; variables that are left out have exponent zero.
type ExponentBox = Vec<(Variable, u64, u64)>;

const FOLD: Variable = Variable::Fold {};

/// Where cells get their bounds from.
pub(crate) struct Bounds<'a> {
    pub circuit: &'a Circuit,
    /// The matrices; `None` for a reader who does not know them and takes the declared intervals of their outputs as stated.
    pub weights: Option<&'a [IntegerMatrix]>,
    /// Only tensors before this one have bounds.
    pub before: usize,
}

impl Bounds<'_> {
    /// Range of the output's cells, with zero in it; `None` for an external vector, of which nothing is known here, and for
    /// products with unknown matrices. The error is a reason in words.
    pub fn of_claim(&self, claim: &Claim) -> Result<Option<Range>, String> {
        let derived = match &claim.relation {
            Relation::Public { tensor } => {
                let public = self.circuit.publics.get(*tensor as usize);
                let interval =
                    public.ok_or_else(|| format!("public tensor {tensor} does not exist"))?.interval;
                (i128::from(interval.min), i128::from(interval.max))
            }
            Relation::External { .. } => return Ok(None),
            Relation::Matrix { matrix, input, ones } => {
                return self.of_matrix(claim, *matrix, (input, ones));
            }
            Relation::Linear { inputs } => {
                let (low, high) = self.sum_of_views(claim, inputs)?;
                // Output + inputs = 0: the inputs enter with the opposite sign.
                (high.saturating_neg(), low.saturating_neg())
            }
            Relation::Product { left, right, length } => {
                let shared = |view: &View| right.iter().any(|other| share_variable(view, other));
                if left.iter().any(shared) {
                    return Err(format!("both factors of claim `{}` have an axis role", claim.name));
                }
                let ((a, b), (c, d)) = (self.of_views(claim, left)?, self.of_views(claim, right)?);
                let ends = [(a, c), (a, d), (b, c), (b, d)].map(|(x, y)| x.saturating_mul(y));
                let (low, high) =
                    ends.iter().fold((0, 0), |(low, high), end| (*end.min(&low), *end.max(&high)));
                times((low, high), u64::from(*length))
            }
        };
        Ok(Some(derived))
    }

    fn of_matrix(
        &self,
        claim: &Claim,
        matrix: u32,
        (input, ones): (&[View], &[ConstantOnes]),
    ) -> Result<Option<Range>, String> {
        let role = self.circuit.matrices.get(matrix as usize).map(|m| Variable::Role { index: m.row_role });
        let row_role = role.ok_or_else(|| format!("matrix {matrix} does not exist"))?;
        let positions = input.iter().flat_map(exponents).chain(ones.iter().flat_map(exponents_of_ones));
        if positions.into_iter().any(|(variable, ..)| variable == row_role) {
            return Err(format!("the rows of matrix {matrix} and its input have one axis role"));
        }
        let cells = self.of_views(claim, input)?;
        let Some(weights) = self.weights else { return Ok(None) };
        let values = weights.get(matrix as usize).ok_or_else(|| format!("matrix {matrix} has no values"))?;
        let columns = Columns::of(claim, (input, ones), row_role, values.width);
        let mut range = (0_i128, 0_i128);
        for row in values.iter_rows() {
            for (low, high) in columns.row_ranges(row, cells) {
                range = (range.0.min(low), range.1.max(high));
            }
        }
        Ok(Some(range))
    }

    /// Range of the sum of a monomial's cells over all views: the hull if no two views share a monomial, else the sum.
    fn of_views(&self, claim: &Claim, views: &[View]) -> Result<Range, String> {
        let boxes: Vec<Boxes> = views.iter().map(Boxes::of).collect();
        let meets = |(index, first): (usize, &Boxes)| {
            boxes.iter().skip(index + 1).any(|second| !first.apart_from(second))
        };
        if boxes.iter().enumerate().any(meets) {
            return self.sum_of_views(claim, views);
        }
        let mut hull = (0, 0);
        for view in views {
            let (low, high) = self.of_view(claim, view)?;
            hull = (low.min(hull.0), high.max(hull.1));
        }
        Ok(hull)
    }

    fn sum_of_views(&self, claim: &Claim, views: &[View]) -> Result<Range, String> {
        views.iter().try_fold((0_i128, 0_i128), |sum, view| {
            let (low, high) = self.of_view(claim, view)?;
            Ok((sum.0.saturating_add(low), sum.1.saturating_add(high)))
        })
    }

    /// Range of the sum of a monomial's cells in one view, with zero in it.
    fn of_view(&self, claim: &Claim, view: &View) -> Result<Range, String> {
        let missing = || format!("claim `{}` reads cells without an earlier origin", claim.name);
        let Interval { min, max } = self.interval_of(view).ok_or_else(missing)?;
        let ends = [min, max].map(|end| i128::from(end).saturating_mul(i128::from(view.coefficient)));
        let range = (ends[0].min(ends[1]).min(0), ends[0].max(ends[1]).max(0));
        Ok(times(range, cells_per_monomial(view)))
    }

    /// Interval of the earlier tensor that a view reads.
    fn interval_of(&self, view: &View) -> Option<Interval> {
        let last = view.reach()?;
        let holds = |piece: &Piece| {
            piece.column == view.column
                && piece.offset <= view.offset
                && last < u64::from(piece.offset) + u64::from(piece.length)
        };
        let mut earlier = self.circuit.tensors.iter().take(self.before);
        earlier.find(|tensor| tensor.pieces.iter().any(holds)).map(|tensor| tensor.interval)
    }
}

fn times((low, high): Range, factor: u64) -> Range {
    (low.saturating_mul(i128::from(factor)), high.saturating_mul(i128::from(factor)))
}

/// Adds the exponents of an axis (or of a factor) to a box.
fn extend(exponents: &mut ExponentBox, variable: Variable, first: u64, last: u64) {
    match exponents.iter_mut().find(|(known, ..)| *known == variable) {
        Some((_, start, count)) => {
            *start = start.saturating_add(first);
            *count = count.saturating_add(last - first);
        }
        None => exponents.push((variable, first, (last - first).saturating_add(1))),
    }
}

fn variables<'a>(monomials: impl Iterator<Item = &'a Monomial>) -> Vec<Variable> {
    let mut found: Vec<Variable> = monomials.flat_map(|m| m.powers.iter().map(|p| p.variable)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Smallest and largest exponent of a variable along an axis.
fn span(axis: &Axis, variable: Variable) -> (u64, u64) {
    let ends = axis.segments.iter().filter(|segment| segment.count > 0).map(|segment| {
        let first = u64::from(segment.scale.exponent(variable));
        let step = u64::from(segment.ratio.exponent(variable));
        (first, first.saturating_add(step.saturating_mul(u64::from(segment.count) - 1)))
    });
    ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0))
}

fn axis_variables(axis: &Axis) -> Vec<Variable> {
    variables(axis.segments.iter().flat_map(|segment| [&segment.ratio, &segment.scale]))
}

/// A box that holds the exponents of all of a view's monomials.
fn exponents(view: &View) -> ExponentBox {
    let mut found = ExponentBox::new();
    for power in &view.scale.powers {
        extend(&mut found, power.variable, u64::from(power.exponent), u64::from(power.exponent));
    }
    for axis in &view.axes {
        for variable in axis_variables(axis) {
            let (first, last) = span(axis, variable);
            extend(&mut found, variable, first, last);
        }
    }
    found
}

fn exponents_of_ones(one: &ConstantOnes) -> ExponentBox {
    let mut found = ExponentBox::new();
    for power in &one.scale.powers {
        extend(&mut found, power.variable, u64::from(power.exponent), u64::from(power.exponent));
    }
    for axis in &one.axes {
        for power in &axis.ratio.powers {
            let last = u64::from(power.exponent).saturating_mul(u64::from(axis.count.saturating_sub(1)));
            extend(&mut found, power.variable, 0, last);
        }
    }
    found
}

/// Whether two views have a variable in common, the fold's aside.
fn share_variable(first: &View, second: &View) -> bool {
    let others = exponents(second);
    let known = |variable| variable != FOLD && others.iter().any(|(other, ..)| *other == variable);
    exponents(first).iter().any(|(variable, ..)| known(*variable))
}

/// Bound on the cells of a view that bear the same monomial. If the exponents of every variable tell what each axis
/// contributed, as digits do, then an axis's own cells of one monomial multiply; else every cell may have the same.
fn cells_per_monomial(view: &View) -> u64 {
    let mut all: Vec<Variable> = view.axes.iter().flat_map(axis_variables).collect();
    all.sort_unstable();
    all.dedup();
    if all.iter().all(|variable| decodable(&view.axes, *variable)) {
        return view.axes.iter().map(cells_of_axis).fold(1, u64::saturating_mul);
    }
    view.size()
}

/// Whether a sum of one exponent from each axis determines them: sorted by the distance of neighbouring exponents, each
/// axis's distance exceeds what the axes before it span together.
fn decodable(axes: &[Axis], variable: Variable) -> bool {
    let mut digits: Vec<(u64, u64)> = axes
        .iter()
        .map(|axis| (distance(axis, variable), span(axis, variable)))
        .map(|(distance, (first, last))| (distance, last - first))
        .collect();
    digits.retain(|(_, span)| *span > 0);
    digits.sort_unstable();
    let mut below = 0_u64;
    digits.iter().all(|(distance, span)| {
        let apart = *distance > below;
        below = below.saturating_add(*span);
        apart
    })
}

/// A lower bound on the distance of different exponents of a variable along an axis.
fn distance(axis: &Axis, variable: Variable) -> u64 {
    if let [segment] = axis.segments.as_slice() {
        return u64::from(segment.ratio.exponent(variable)).max(1);
    }
    if axis.segments.iter().any(|segment| segment.ratio.exponent(variable) > 0) {
        return 1;
    }
    let mut scales: Vec<u32> = axis.segments.iter().map(|s| s.scale.exponent(variable)).collect();
    scales.sort_unstable();
    scales.dedup();
    scales.iter().zip(scales.iter().skip(1)).map(|(a, b)| u64::from(b - a)).min().unwrap_or(1)
}

/// Bound on the cells of an axis that bear the same monomial.
fn cells_of_axis(axis: &Axis) -> u64 {
    let own = |s: &Segment| if s.ratio.powers.is_empty() { u64::from(s.count) } else { 1 };
    let all = || axis.segments.iter().map(own).fold(0, u64::saturating_add);
    if axis.segments.iter().any(|s| s.ratio.exponent(FOLD) > 0) {
        return all();
    }
    // Segments of different fold entries are apart. Those of one entry may be, if they take turns.
    let mut entries: Vec<(u32, &Segment)> =
        axis.segments.iter().map(|segment| (segment.scale.exponent(FOLD), segment)).collect();
    entries.sort_by_key(|(entry, _)| *entry);
    let of_entry = |group: &[(u32, &Segment)]| {
        let counts = group.iter().map(|(_, segment)| own(segment));
        if take_turns(group) { counts.max().unwrap_or(0) } else { counts.fold(0, u64::saturating_add) }
    };
    entries.chunk_by(|a, b| a.0 == b.0).map(of_entry).max().unwrap_or(0)
}

/// Whether segments share no monomial because one variable's exponents go up by one step in all of them, and start at different
/// remainders of that step.
fn take_turns(segments: &[(u32, &Segment)]) -> bool {
    let Some((_, first)) = segments.first() else { return true };
    segments.len() == 1
        || first.ratio.powers.iter().any(|power| {
            let mut remainders = Vec::with_capacity(segments.len());
            segments.iter().all(|(_, segment)| {
                let remainder = segment.scale.exponent(power.variable) % power.exponent.max(1);
                let new = !remainders.contains(&remainder);
                remainders.push(remainder);
                new && segment.ratio.exponent(power.variable) == power.exponent
            })
        })
}

/// Exponents of a view's monomials, and the same without an axis that stays on one cell, which stands for the columns that a
/// cell meets.
struct Boxes {
    all: ExponentBox,
    repeat: Option<(Axis, ExponentBox)>,
}

impl Boxes {
    fn of(view: &View) -> Self {
        let stays = |axis: &&Axis| matches!(axis.segments.as_slice(), [segment] if segment.step == 0);
        let mut repeats = view.axes.iter().filter(stays);
        let repeat = match (repeats.next(), repeats.next()) {
            (Some(axis), None) => {
                let axes = view.axes.iter().filter(|other| *other != axis).cloned().collect();
                Some((axis.clone(), exponents(&View { axes, ..view.clone() })))
            }
            _ => None,
        };
        Self { all: exponents(view), repeat }
    }

    /// Whether two views are seen to share no monomial. Where both repeat their cells in the same way, so far apart that the
    /// repetition can be told from a monomial, it is enough that the monomials of one repetition are apart.
    fn apart_from(&self, other: &Self) -> bool {
        if disjoint(&self.all, &other.all) {
            return true;
        }
        let (Some((axis, first)), Some((same, second))) = (&self.repeat, &other.repeat) else { return false };
        let range = |found: &ExponentBox, variable| {
            let own = found.iter().find(|(known, ..)| *known == variable);
            own.map_or((0, 0), |(_, first, count)| (*first, first.saturating_add(count.saturating_sub(1))))
        };
        let tells = |variable: &Variable| {
            let (a, b) = (range(first, *variable), range(second, *variable));
            distance(axis, *variable) > a.1.max(b.1) - a.0.min(b.0)
        };
        let bears = |variable: &Variable| span(axis, *variable).1 > 0;
        axis == same && axis_variables(axis).iter().any(|v| bears(v) && tells(v)) && disjoint(first, second)
    }
}

/// What the columns of a matrix meet.
struct Columns {
    /// Whether cells do.
    met: Vec<bool>,
    /// Range of the constant ones at one output position.
    ones: Vec<Range>,
    /// Which output cells the column counts for.
    labels: Vec<Label>,
}

/// Exponents of the variables that only ever stand beside the fold's, as a group of channels does: a column that meets nothing
/// but one such monomial counts for no output cells but those that bear it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// The column meets nothing.
    #[default]
    Nothing,
    /// The column meets one label: its exponents, variable by variable.
    One(Vec<u64>),
    /// It meets several, or some that are not written out.
    Any,
}

/// Labels of more entries than this are not written out.
const MAX_ENTRIES: u64 = 1 << 24;

impl Columns {
    fn of(claim: &Claim, (input, ones): (&[View], &[ConstantOnes]), row_role: Variable, width: u32) -> Self {
        let width = width as usize;
        let variables = label_variables(input, ones);
        let mut columns =
            Self { met: vec![false; width], ones: vec![(0, 0); width], labels: vec![Label::Nothing; width] };
        let entries = input.iter().map(labelled_entries).fold(0, u64::saturating_add);
        for view in input {
            let found = if entries <= MAX_ENTRIES { view_labels(view, &variables) } else { Vec::new() };
            if found.is_empty() && view.size() > 0 {
                columns.meet_all(view);
            }
            for (column, label) in found {
                if let Some(met) = columns.met.get_mut(column as usize) {
                    *met = true;
                }
                columns.note(column, label);
            }
        }
        let mut runs: Vec<ConstantOnes> = ones.iter().flat_map(ConstantOnes::by_column).collect();
        runs.sort_by_key(|one| one.column);
        for here in runs.chunk_by(|a, b| a.column == b.column) {
            let Some(column) = here.first().map(|one| one.column) else { continue };
            for one in here {
                let exponent = |variable: &Variable| u64::from(one.scale.exponent(*variable));
                columns.note(u64::from(column), Label::One(variables.iter().map(exponent).collect()));
            }
            if let Some(range) = columns.ones.get_mut(column as usize) {
                *range = constant_factor(claim, here, (row_role, &variables));
            }
        }
        for (range, label) in columns.ones.iter_mut().zip(&columns.labels) {
            if *label == Label::Any {
                // Where the column counts for output cells that the ones do not, there are none.
                *range = (range.0.min(0), range.1.max(0));
            }
        }
        columns
    }

    fn note(&mut self, column: u64, label: Label) {
        if let Some(known) = self.labels.get_mut(column as usize) {
            if *known == Label::Nothing {
                *known = label;
            } else if *known != label {
                *known = Label::Any;
            }
        }
    }

    /// Everything from a view's first fold entry to its last, for whatever output cells.
    fn meet_all(&mut self, view: &View) {
        let range = exponents(view).into_iter().find(|(variable, ..)| *variable == FOLD);
        let (first, count) = range.map_or((0, 1), |(_, first, count)| (first, count));
        let end = usize::try_from(first.saturating_add(count)).unwrap_or(usize::MAX).min(self.met.len());
        for column in (first as usize)..end {
            self.met[column] = true;
            self.labels[column] = Label::Any;
        }
    }

    /// Ranges of one row's output cells, label by label.
    fn row_ranges(&self, row: &[i64], cells: Range) -> Vec<Range> {
        let (mut everywhere, mut sums) = ((0_i128, 0_i128), Vec::<(&[u64], Range)>::new());
        for (index, weight) in row.iter().enumerate().filter(|(_, weight)| **weight != 0) {
            let ones = self.ones.get(index).copied().unwrap_or((0, 0));
            let met = self.met.get(index).copied().unwrap_or(false);
            let factor =
                if met { (cells.0.saturating_add(ones.0), cells.1.saturating_add(ones.1)) } else { ones };
            let ends = [factor.0, factor.1].map(|end| end.saturating_mul(i128::from(*weight)));
            let add = |sum: &mut Range| {
                sum.0 = sum.0.saturating_add(ends[0].min(ends[1]));
                sum.1 = sum.1.saturating_add(ends[0].max(ends[1]));
            };
            match self.labels.get(index) {
                Some(Label::One(label)) => match sums.last_mut() {
                    Some((known, sum)) if known == label => add(sum),
                    _ => {
                        let mut sum = (0, 0);
                        add(&mut sum);
                        sums.push((label, sum));
                    }
                },
                Some(Label::Any) => add(&mut everywhere),
                Some(Label::Nothing) | None => {}
            }
        }
        merged(sums, everywhere)
    }
}

/// Sums of equal labels together, each with what counts everywhere.
fn merged(mut sums: Vec<(&[u64], Range)>, everywhere: Range) -> Vec<Range> {
    sums.sort_by_key(|(label, _)| *label);
    let total = |group: &[(&[u64], Range)]| {
        group.iter().fold(everywhere, |(low, high), (_, range)| {
            (low.saturating_add(range.0), high.saturating_add(range.1))
        })
    };
    let mut ranges: Vec<Range> = sums.chunk_by(|a, b| a.0 == b.0).map(total).collect();
    ranges.push(everywhere);
    ranges
}

/// Roles that stand in no monomial of the input but beside the fold's variable, along axes of one segment: there the matrix column
/// tells their exponents.
fn label_variables(input: &[View], ones: &[ConstantOnes]) -> Vec<Variable> {
    let plain = |axis: &&Axis| matches!(axis.segments.as_slice(), [s] if s.ratio.exponent(FOLD) > 0);
    let (mut wanted, mut others) = (Vec::new(), Vec::new());
    for view in input {
        for axis in &view.axes {
            let into = if plain(&axis) { &mut wanted } else { &mut others };
            into.extend(axis_variables(axis));
        }
    }
    for axis in ones.iter().flat_map(|one| &one.axes) {
        let into = if axis.ratio.exponent(FOLD) > 0 { &mut wanted } else { &mut others };
        into.extend(axis.ratio.powers.iter().map(|power| power.variable));
    }
    let scales = ones.iter().map(|one| &one.scale).chain(input.iter().map(|view| &view.scale));
    wanted.extend(variables(scales));
    wanted.sort_unstable();
    wanted.dedup();
    wanted.retain(|variable| *variable != FOLD && !others.contains(variable));
    wanted
}

/// Number of entries that [`view_labels`] writes out.
fn labelled_entries(view: &View) -> u64 {
    let entries = |axis: &Axis| axis.segments.iter().map(|s| u64::from(steps_of(s))).sum::<u64>().max(1);
    view.axes.iter().map(entries).fold(1, u64::saturating_mul)
}

/// Steps of a segment that lead to other columns.
fn steps_of(segment: &Segment) -> u32 {
    if segment.ratio.exponent(FOLD) > 0 { segment.count } else { segment.count.min(1) }
}

/// The matrix columns that a view's cells meet, each with the exponents of some variables that no other axes have.
fn view_labels(view: &View, variables: &[Variable]) -> Vec<(u64, Label)> {
    let exponents = |monomial: &Monomial| -> Vec<u64> {
        variables.iter().map(|variable| u64::from(monomial.exponent(*variable))).collect()
    };
    let mut found = vec![(u64::from(view.scale.exponent(FOLD)), exponents(&view.scale))];
    for axis in &view.axes {
        let mut next = Vec::new();
        for segment in &axis.segments {
            for step in 0..u64::from(steps_of(segment)) {
                let scale = (u64::from(segment.scale.exponent(FOLD)), exponents(&segment.scale));
                let ratio = (u64::from(segment.ratio.exponent(FOLD)), exponents(&segment.ratio));
                let move_by = |(column, label): &(u64, Vec<u64>)| {
                    let label = label.iter().zip(&scale.1).zip(&ratio.1);
                    let label = label.map(|((own, first), each)| own + first + step * each).collect();
                    (column + scale.0 + step * ratio.0, label)
                };
                next.extend(found.iter().map(move_by));
            }
        }
        next.sort_unstable();
        next.dedup();
        found = next;
    }
    found.into_iter().map(|(column, label)| (column, Label::One(label))).collect()
}

/// What the constant ones of a matrix column add up to at one output position that the column counts for: exactly one where a
/// single run of them covers every such position once, else anything up to their number. No run has the fold's variable.
fn constant_factor(
    claim: &Claim,
    ones: &[ConstantOnes],
    (row_role, labels): (Variable, &[Variable]),
) -> Range {
    let most = ones.iter().map(most_ones).fold(0_i128, i128::saturating_add);
    let covers = |one: &ConstantOnes| {
        let exact = is_box(one);
        let ones = exponents_of_ones(one);
        let inside = |view: &View| {
            exponents(view).iter().all(|(variable, first, count)| {
                let range = ones.iter().find(|(other, ..)| other == variable).map_or((0, 1), |o| (o.1, o.2));
                *variable == row_role
                    || labels.contains(variable)
                    || (range.0 <= *first && first.saturating_add(*count) <= range.0.saturating_add(range.1))
            })
        };
        let starts = |view: &View| {
            let output = exponents(view);
            let has = |variable| output.iter().any(|(other, ..)| *other == variable);
            ones.iter().all(|(variable, first, _)| *first == 0 || has(*variable))
        };
        exact && claim.output.iter().all(|view| inside(view) && starts(view))
    };
    if most == 1 && ones.iter().any(covers) { (1, 1) } else { (0, most) }
}

/// Whether a run of ones is a box: every axis has a variable of its own, with exponent one.
fn is_box(one: &ConstantOnes) -> bool {
    let mut seen = Vec::new();
    one.axes.iter().all(|axis| match axis.ratio.powers.as_slice() {
        [power] if power.exponent == 1 && !seen.contains(&power.variable) => {
            seen.push(power.variable);
            true
        }
        _ => false,
    })
}

/// Most ones of a run that bear the same monomial.
fn most_ones(one: &ConstantOnes) -> i128 {
    if is_box(one) {
        return 1;
    }
    one.axes.iter().fold(1, |product, axis| product.saturating_mul(i128::from(axis.count)))
}
