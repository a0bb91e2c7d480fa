//! Round 1: fills the random rows, counts lookups, commits to every column in the forms that it needs.

use std::collections::BTreeMap;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use rayon::prelude::*;
use zkloom_backends::{Backend, BackendError};
use zkloom_plonkish::field::from_integer;
use zkloom_plonkish::{Circuit, Witness};
use zkloom_verifier::polynomial::PolynomialId;
use zkloom_verifier::rounds::trace::{AdviceCommitment, TraceMessage};

use crate::device::{Committed, Polynomials, Prover, interpolate};
use crate::error::ProveError;
use crate::lookup::multiplicities;
use crate::prove::Conduct;
use crate::randomness::Blinding;

/// Cells that are full field elements, by row.
type FullCells = BTreeMap<usize, Fr>;

/// A column before it is committed: small integers, and the few cells that are full field elements.
#[derive(Clone, Debug, Default)]
pub(crate) struct DraftColumn {
    pub(crate) integers: Vec<i64>,
    pub(crate) scalars: FullCells,
}

/// The trace before it is committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) advice: Vec<DraftColumn>,
    pub(crate) multiplicities: Vec<DraftColumn>,
}

/// What later rounds need of the trace, besides the polynomials.
pub(crate) struct Trace<S> {
    /// Row values of the advice columns; nothing for a tensor column, whose coefficient form is the same vector.
    pub(crate) advice: Vec<Option<S>>,
    /// Row values of the multiplicities.
    pub(crate) multiplicities: Vec<S>,
}

impl<S> Trace<S> {
    /// Row values of advice column `index`.
    pub(crate) fn rows<'t>(
        &'t self,
        circuit: &Circuit,
        polynomials: &'t Polynomials<S>,
        index: usize,
    ) -> Option<&'t S> {
        if let Some(values) = self.advice.get(index)? {
            return Some(values);
        }
        let position = circuit.tensor_columns().position(|column| column == index)?;
        polynomials.get(&PolynomialId::Coefficients(position)).map(|column| &column.coefficients)
    }
}

impl DraftColumn {
    /// The integers of a column that ends early or has exactly `rows` rows.
    fn new(values: &[i64], rows: usize) -> Self {
        let mut integers = values.to_vec();
        integers.resize(rows, 0);
        Self { integers, scalars: BTreeMap::new() }
    }

    /// Puts random elements into consecutive rows.
    fn blind(&mut self, rows: core::ops::Range<usize>, random: &mut Blinding) {
        for row in rows {
            self.set(row, random.scalar());
        }
    }

    /// Overwrites a cell with a field element.
    pub(crate) fn set(&mut self, row: usize, value: Fr) {
        if let Some(slot) = self.integers.get_mut(row) {
            *slot = 0;
        }
        self.scalars.insert(row, value);
    }

    /// A cell's value.
    pub(crate) fn get(&self, row: usize) -> Fr {
        self.scalars
            .get(&row)
            .copied()
            .unwrap_or_else(|| from_integer(self.integers.get(row).copied().unwrap_or(0)))
    }
}

/// A whole column on the device: integers, and the cells that are full field elements.
fn widen<B: Backend>(
    backend: &B,
    integers: &B::Integers,
    cells: &FullCells,
) -> Result<B::Scalars, BackendError> {
    let mut values = backend.widen(integers)?;
    for (start, run) in runs(cells) {
        backend.write(&mut values, start, &run)?;
    }
    Ok(values)
}

/// Neighbouring cells as runs.
fn runs(cells: &FullCells) -> Vec<(usize, Vec<Fr>)> {
    let mut runs: Vec<(usize, Vec<Fr>)> = Vec::new();
    for (row, value) in cells {
        match runs.last_mut() {
            Some((start, run)) if *start + run.len() == *row => run.push(*value),
            _ => runs.push((*row, vec![*value])),
        }
    }
    runs
}

/// The honest draft: witness, blinding rows, random cells of the folds.
fn draft(circuit: &Circuit, witness: &Witness, random: &mut Blinding) -> Result<Draft, ProveError> {
    let (rows, usable) = (circuit.rows(), circuit.usable());
    if witness.advice.len() != circuit.advice.len() {
        return Err(ProveError::WitnessShape {
            what: "advice columns".to_owned(),
            expected: circuit.advice.len().to_string(),
            found: witness.advice.len(),
        });
    }
    let mut advice = Vec::with_capacity(circuit.advice.len());
    for (column, values) in circuit.advice.iter().zip(&witness.advice) {
        if values.len() > usable {
            return Err(ProveError::WitnessShape {
                what: format!("rows in column `{}`", column.name),
                expected: format!("at most {usable}"),
                found: values.len(),
            });
        }
        let mut column = DraftColumn::new(values, rows);
        column.blind(usable..rows, random);
        advice.push(column);
    }
    let tensor_columns: Vec<usize> = circuit.tensor_columns().collect();
    for run in &circuit.fold_blinds.runs {
        let index = tensor_columns.get(run.column as usize).copied().unwrap_or(usize::MAX);
        if let Some(column) = advice.get_mut(index) {
            let start = run.row as usize;
            column.blind(start..start + circuit.fold_blinds.count as usize, random);
        }
    }
    Ok(Draft { advice, multiplicities: Vec::new() })
}

impl<B: Backend> Prover<'_, B> {
    /// Runs the round.
    pub(crate) fn trace(
        &self,
        witness: &Witness,
        random: &mut Blinding,
        polynomials: &mut Polynomials<B::Scalars>,
        conduct: &mut impl Conduct<B>,
    ) -> Result<(TraceMessage, Trace<B::Scalars>), ProveError> {
        let circuit = self.circuit();
        let mut draft = draft(circuit, witness, random)?;
        conduct.trace(&mut draft);
        if !circuit.lookups.is_empty() {
            let counts = multiplicities(circuit, self.key.fixed(), &self.tables, &draft.advice);
            for count in conduct.counts(counts)? {
                let mut column = DraftColumn::new(&count, circuit.rows());
                column.blind(circuit.usable()..circuit.rows(), random);
                draft.multiplicities.push(column);
            }
        }
        conduct.multiplicities(&mut draft);
        self.commit_trace(&draft, random, polynomials, conduct)
    }

    fn commit_trace(
        &self,
        draft: &Draft,
        random: &mut Blinding,
        polynomials: &mut Polynomials<B::Scalars>,
        conduct: &mut impl Conduct<B>,
    ) -> Result<(TraceMessage, Trace<B::Scalars>), ProveError> {
        let columns: Vec<&DraftColumn> = draft.advice.iter().chain(&draft.multiplicities).collect();
        let integers = columns
            .iter()
            .map(|column| self.backend.upload_integers(&column.integers))
            .collect::<Result<Vec<_>, _>>()?;
        let hiding = random.scalars(columns.len());
        let references: Vec<&B::Integers> = integers.iter().collect();
        let cells: Vec<&FullCells> = columns.iter().map(|column| &column.scalars).collect();
        let rows =
            self.commit_columns((&self.lagrange, self.lagrange_points), &references, &cells, &hiding)?;
        let mut trace = Trace { advice: Vec::new(), multiplicities: Vec::new() };
        for (index, (column, integers)) in columns.iter().zip(&integers).enumerate() {
            let values = widen(self.backend, integers, &column.scalars)?;
            let coefficients = interpolate(self.backend, &values)?;
            let committed =
                Committed { coefficients, hiding: hiding.get(index).copied().unwrap_or_default() };
            match index.checked_sub(draft.advice.len()) {
                None => {
                    polynomials.insert(PolynomialId::Advice(index), committed);
                    trace.advice.push(Some(values));
                }
                Some(set) => {
                    polynomials.insert(PolynomialId::Multiplicity(set), committed);
                    trace.multiplicities.push(values);
                }
            }
        }
        let forms = (draft, &mut trace);
        let second_forms = self.coefficient_forms(forms, &references, random, polynomials, conduct)?;
        let (advice_rows, multiplicities) = rows.split_at(draft.advice.len());
        let mut second_forms = second_forms.into_iter();
        let advice = self.circuit().advice.iter().zip(advice_rows).map(|(column, row)| AdviceCommitment {
            row: *row,
            coefficients: if column.tensor { second_forms.next() } else { None },
        });
        Ok((TraceMessage { advice: advice.collect(), multiplicities: multiplicities.to_vec() }, trace))
    }

    /// Commits to the tensor columns in coefficient form: the same numbers over powers of tau. The vector that the trace
    /// holds moves there, unless a deviating prover commits to another one.
    fn coefficient_forms(
        &self,
        (draft, trace): (&Draft, &mut Trace<B::Scalars>),
        integers: &[&B::Integers],
        random: &mut Blinding,
        polynomials: &mut Polynomials<B::Scalars>,
        conduct: &mut impl Conduct<B>,
    ) -> Result<Vec<G1Affine>, ProveError> {
        let (mut cells, mut vectors, mut forms) = (Vec::new(), Vec::new(), Vec::new());
        for (position, index) in self.circuit().tensor_columns().enumerate() {
            if let (Some(column), Some(vector)) = (draft.advice.get(index), integers.get(index)) {
                let mut changed = column.scalars.clone();
                conduct.coefficient_form(position, &mut changed);
                let same = changed == column.scalars;
                let shared = trace.advice.get_mut(index).filter(|_| same).and_then(Option::take);
                forms.push(match shared {
                    Some(values) => values,
                    None => widen(self.backend, vector, &changed)?,
                });
                cells.push(changed);
                vectors.push(*vector);
            }
        }
        let hiding = random.scalars(cells.len());
        let references: Vec<&FullCells> = cells.iter().collect();
        let points =
            self.commit_columns((&self.powers, self.srs.powers()), &vectors, &references, &hiding)?;
        for (position, (coefficients, hiding)) in forms.into_iter().zip(hiding).enumerate() {
            polynomials.insert(PolynomialId::Coefficients(position), Committed { coefficients, hiding });
        }
        Ok(points)
    }

    /// Small integers by the device's small-scalar path, the few full cells and hiding on the host.
    fn commit_columns(
        &self,
        (bases, points): (&B::Bases, &[G1Affine]),
        integers: &[&B::Integers],
        cells: &[&FullCells],
        hiding: &[Fr],
    ) -> Result<Vec<G1Affine>, ProveError> {
        let sums = self.backend.msm_integers(bases, integers)?;
        let full = |cells: &FullCells| -> G1Projective {
            cells.iter().filter_map(|(row, value)| Some(*points.get(*row)? * value)).sum()
        };
        let hidden: Vec<G1Projective> = sums
            .into_par_iter()
            .zip(cells)
            .zip(hiding)
            .map(|((sum, cells), hiding)| sum + full(cells) + self.hide(*hiding))
            .collect();
        Ok(G1Projective::normalize_batch(&hidden))
    }
}
