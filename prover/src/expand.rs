//! Views as boxes of geometric progressions, for a device to write out or to contract.

use ark_bn254::Fr;
use ark_ff::Field;
use zkloom_backends::{GeometricBox, Segment};
use zkloom_plonkish::field::{from_integer, geometric};
use zkloom_plonkish::view::UnknownVariable;
use zkloom_plonkish::{Assignment, Circuit, ConstantOnes, FoldKind, Relation, Variable, View};
use zkloom_verifier::linear::{LinearForm, blind_run};

/// A view as a vector over its column: the coefficients of its polynomial.
pub fn expansion(view: &View, scalar: Fr, assignment: &Assignment) -> Result<GeometricBox, UnknownVariable> {
    let mut out = boxed(view, scalar, assignment, |_| 0)?;
    // An axis that stays on one cell (a cell that several matrix columns meet) is a factor: its sum.
    out.axes.retain(|axis| {
        let stays = !axis.is_empty() && axis.iter().all(|segment| segment.start == 0 && segment.step == 0);
        if stays {
            let sum: Fr = axis.iter().map(|s| s.scale * geometric(s.ratio, s.count as u64)).sum();
            out.scale *= sum;
        }
        !stays
    });
    Ok(out)
}

/// A fold's view as a contraction: exponents of the fold's variable become output indices, from `start`.
pub fn contraction(
    view: &View,
    scalar: Fr,
    start: u64,
    assignment: &Assignment,
) -> Result<GeometricBox, UnknownVariable> {
    // With the variable itself set to one, what is left of each monomial is the factor.
    let assignment = Assignment { fold: Fr::ONE, ..assignment.clone() };
    let mut out = boxed(view, scalar, &assignment, |exponent| exponent)?;
    out.output_offset += start as usize;
    Ok(out)
}

fn boxed(
    view: &View,
    scalar: Fr,
    assignment: &Assignment,
    output: impl Fn(usize) -> usize,
) -> Result<GeometricBox, UnknownVariable> {
    let fold = |monomial: &zkloom_plonkish::Monomial| output(monomial.exponent(Variable::Fold {}) as usize);
    let mut axes = Vec::with_capacity(view.axes.len());
    for axis in &view.axes {
        let mut segments = Vec::with_capacity(axis.segments.len());
        for segment in &axis.segments {
            segments.push(Segment {
                start: segment.start as usize,
                count: segment.count as usize,
                step: segment.step as usize,
                output_start: fold(&segment.scale),
                output_step: fold(&segment.ratio),
                ratio: segment.ratio.value(assignment)?,
                scale: segment.scale.value(assignment)?,
            });
        }
        axes.push(segments);
    }
    Ok(GeometricBox {
        offset: view.offset as usize,
        output_offset: fold(&view.scale),
        scale: scalar * from_integer(view.coefficient) * view.scale.value(assignment)?,
        axes,
    })
}

/// For each column, the boxes of its functional E_j.
pub fn functional_boxes(form: &LinearForm) -> Result<Vec<Vec<GeometricBox>>, UnknownVariable> {
    let mut columns = vec![Vec::new(); form.columns()];
    for term in &form.terms {
        let boxed = expansion(&term.view, term.scalar, &form.assignment)?;
        if let Some(column) = columns.get_mut(term.column) {
            column.push(boxed);
        }
    }
    Ok(columns)
}

/// How a fold is made of the trace.
#[derive(Debug)]
pub struct FoldPlan {
    /// The public part, as a vector as long as the fold.
    pub public: Vec<Fr>,
    /// For each tensor column, the boxes to contract.
    pub columns: Vec<Vec<GeometricBox>>,
}

/// The contraction of one fold; `powers[l]` is the weight of claim l.
pub fn fold_plan(
    circuit: &Circuit,
    kind: FoldKind,
    powers: &[Fr],
    assignment: &Assignment,
) -> Result<FoldPlan, UnknownVariable> {
    let mut public = vec![Fr::from(0); circuit.fold_length(kind) as usize];
    let mut columns = vec![Vec::new(); circuit.tensor_columns().count()];
    let (offsets, _, _) = circuit.fold_segments();
    let mut add = |view: &View, scalar: Fr, start: u64| {
        let boxed = contraction(view, scalar, start, assignment)?;
        if let Some(column) = columns.get_mut(view.column as usize) {
            column.push(boxed);
        }
        Ok(())
    };
    for ((claim, offset), lambda) in circuit.claims.iter().zip(offsets).zip(powers) {
        let start = offset.unwrap_or(0);
        match (&claim.relation, kind) {
            (Relation::Matrix { input, ones, .. }, FoldKind::Input) => {
                for one in ones.iter().flat_map(ConstantOnes::by_column) {
                    let mut value = *lambda * one.scale.value(assignment)?;
                    for axis in &one.axes {
                        value *= geometric(axis.ratio.value(assignment)?, u64::from(axis.count));
                    }
                    if let Some(slot) = public.get_mut(start as usize + one.column as usize) {
                        *slot += value;
                    }
                }
                input.iter().try_for_each(|view| add(view, *lambda, start))?;
            }
            (Relation::Product { left, .. }, FoldKind::Left) => {
                left.iter().try_for_each(|view| add(view, *lambda, start))?;
            }
            (Relation::Product { right, .. }, FoldKind::Right) => {
                right.iter().try_for_each(|view| add(view, Fr::ONE, start))?;
            }
            _ => {}
        }
    }
    if let Some((run, start)) = blind_run(circuit, kind) {
        add(&run, Fr::ONE, start)?;
    }
    Ok(FoldPlan { public, columns })
}
