//! What a claim implies for the size of its output's cells, in wide integers.
//!
//! An output cell equals a sum of products of cells, weights and constant ones, namely of those whose monomials are its own.
//! Bounding it takes two things: the interval of each cell that a view reads, and how many cells can bear one monomial. Where
//! monomials might coincide that are not seen to be apart, everything is added.

use crate::Circuit;
use crate::claim::{Claim, ConstantOnes, Relation};
use crate::origin::{Interval, Piece};
use crate::validate::disjoint;
use crate::view::{Axis, Monomial, Variable, View};
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
        let entries: Vec<(u64, u64)> = input.iter().map(fold_entries).collect();
        let factor = |column: u64| {
            let met =
                entries.iter().any(|(first, count)| (*first..first.saturating_add(*count)).contains(&column));
            let ones = constant_factor(claim, column, ones, row_role);
            if met { (cells.0.saturating_add(ones.0), cells.1.saturating_add(ones.1)) } else { ones }
        };
        let factors: Vec<Range> = (0..u64::from(values.width)).map(factor).collect();
        let mut range = (0_i128, 0_i128);
        for row in values.iter_rows() {
            let (mut low, mut high) = (0_i128, 0_i128);
            for (weight, factor) in row.iter().zip(&factors) {
                let ends = [factor.0, factor.1].map(|end| end.saturating_mul(i128::from(*weight)));
                low = low.saturating_add(ends[0].min(ends[1]));
                high = high.saturating_add(ends[0].max(ends[1]));
            }
            range = (range.0.min(low), range.1.max(high));
        }
        Ok(Some(range))
    }

    /// Range of the sum of a monomial's cells over all views: the hull if no two views share a monomial, else the sum.
    fn of_views(&self, claim: &Claim, views: &[View]) -> Result<Range, String> {
        let boxes: Vec<ExponentBox> = views.iter().map(exponents).collect();
        let meets = |(index, first): (usize, &ExponentBox)| {
            boxes.iter().skip(index + 1).any(|second| !disjoint(first, second))
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

/// First fold entry of a view and the number of entries up to its last.
fn fold_entries(view: &View) -> (u64, u64) {
    let found = exponents(view).into_iter().find(|(variable, ..)| *variable == FOLD);
    found.map_or((0, 1), |(_, first, count)| (first, count))
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
    let counts = axis.segments.iter().map(|s| if s.ratio.powers.is_empty() { u64::from(s.count) } else { 1 });
    let mut entries: Vec<u32> = axis.segments.iter().map(|s| s.scale.exponent(FOLD)).collect();
    entries.sort_unstable();
    let apart = axis.segments.iter().all(|s| s.ratio.exponent(FOLD) == 0)
        && entries.iter().zip(entries.iter().skip(1)).all(|(a, b)| a < b);
    if apart { counts.max().unwrap_or(0) } else { counts.fold(0, u64::saturating_add) }
}

/// What the constant ones of a matrix column add up to at one output position: exactly one where a single run of them covers
/// every output position once, else anything up to their number.
fn constant_factor(claim: &Claim, column: u64, ones: &[ConstantOnes], row_role: Variable) -> Range {
    let here = || ones.iter().filter(|one| u64::from(one.column) == column);
    let most = here().map(most_ones).fold(0_i128, i128::saturating_add);
    let covers = |one: &ConstantOnes| {
        let exact = is_box(one);
        let ones = exponents_of_ones(one);
        let inside = |view: &View| {
            exponents(view).iter().all(|(variable, first, count)| {
                let range = ones.iter().find(|(other, ..)| other == variable).map_or((0, 1), |o| (o.1, o.2));
                *variable == row_role
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
    if most == 1 && here().any(covers) { (1, 1) } else { (0, most) }
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
