//! Round 3: the link of the two forms, and S.

use ark_bn254::Fr;
use ark_ff::{Field, One};
use zkloom_backends::{Backend, DeviceVector};
use zkloom_plonkish::{FoldKind, Relation};
use zkloom_verifier::VerifyError;
use zkloom_verifier::linear::{LinearForm, powers};
use zkloom_verifier::polynomial::PolynomialId;
use zkloom_verifier::rounds::folds::FoldChallenges;
use zkloom_verifier::rounds::link::LinkMessage;

use crate::device::{Committed, Polynomials, Prover, interpolate};
use crate::error::ProveError;
use crate::expand::functional_boxes;
use crate::prove::{Conduct, Scene, unknown_variable};
use crate::randomness::Blinding;
use crate::reciprocal::{ReciprocalProducts, Sign};
use crate::rounds::trace::Trace;

impl<B: Backend> Prover<'_, B> {
    /// Runs the round.
    pub(crate) fn link(
        &self,
        challenges: &FoldChallenges,
        form: &LinearForm,
        trace: &Trace<B::Scalars>,
        (random, polynomials): (&mut Blinding, &mut Polynomials<B::Scalars>),
        conduct: &mut impl Conduct<B>,
    ) -> Result<LinkMessage, ProveError> {
        let fold_value = self.fold_value(challenges, polynomials)?;
        let (column_value, mut values) = self.link_values(challenges, trace, polynomials)?;
        conduct.link(&Scene { prover: self, polynomials }, &mut values);
        let mut symmetric = self.symmetric(form, trace, polynomials)?;
        conduct.symmetric(&Scene { prover: self, polynomials }, form, &mut symmetric);

        let (link_hiding, symmetric_hiding) = (random.scalar(), random.scalar());
        let link = self.commit_rows(&[(&values, link_hiding)])?.first().copied().unwrap_or_default();
        let symmetric_point =
            self.commit(&[(&symmetric, symmetric_hiding)])?.first().copied().unwrap_or_default();
        let coefficients = interpolate(self.backend, &values)?;
        polynomials.insert(PolynomialId::Link, Committed { coefficients, hiding: link_hiding });
        let committed = Committed { coefficients: symmetric, hiding: symmetric_hiding };
        polynomials.insert(PolynomialId::Symmetric, committed);
        Ok(LinkMessage { link, symmetric: symmetric_point, fold_value, column_value })
    }

    /// `sum_f mu^f fold_f(beta)`, where a fold exists.
    fn fold_value(
        &self,
        challenges: &FoldChallenges,
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<Option<Fr>, ProveError> {
        let kinds = self.circuit().folds();
        if kinds.is_empty() {
            return Ok(None);
        }
        let weights = powers(challenges.mu, kinds.len());
        let terms: Vec<_> = weights.into_iter().zip(kinds.into_iter().map(PolynomialId::Fold)).collect();
        let combined = self.combine(polynomials, &terms)?;
        Ok(self.backend.evaluate(&[&combined.coefficients], challenges.beta)?.first().copied())
    }

    /// `v^`, and h on all rows: `h_0 = b^(N-1) v^ / (1 - b^N)`, `h_(i+1) = b h_i + A_i` with b = 1/beta.
    fn link_values(
        &self,
        challenges: &FoldChallenges,
        trace: &Trace<B::Scalars>,
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<(Fr, B::Scalars), ProveError> {
        let circuit = self.circuit();
        let rows = circuit.rows() as u64;
        let mut weights = vec![Fr::one()];
        weights.extend(powers(challenges.link, circuit.tensor_columns().count().saturating_sub(1)));
        let terms: Vec<_> = weights.iter().copied().zip((0..).map(PolynomialId::Coefficients)).collect();
        let combined = self.combine(polynomials, &terms)?;
        let beta = challenges.beta;
        let value =
            self.backend.evaluate(&[&combined.coefficients], beta)?.first().copied().unwrap_or_default();
        let apart =
            circuit.tensor_columns().any(|index| trace.advice.get(index).is_some_and(Option::is_some));
        let addends = if apart {
            let columns =
                circuit.tensor_columns().filter_map(|index| trace.rows(circuit, polynomials, index));
            self.backend.combine(&weights.into_iter().zip(columns).collect::<Vec<_>>())?
        } else {
            // The rows' values and the coefficients are the same vectors.
            combined.coefficients
        };
        let degenerate =
            || ProveError::Degenerate(VerifyError::Degenerate { what: "beta is zero or a root of unity" });
        let b = beta.inverse().ok_or_else(degenerate)?;
        let cycle = (Fr::one() - b.pow([rows])).inverse().ok_or_else(degenerate)?;
        let first = b.pow([rows - 1]) * value * cycle;
        Ok((value, self.backend.linear_recurrence(first, b, &addends)?))
    }

    /// S: the positive half of the Laurent polynomial T, without its factor X.
    fn symmetric(
        &self,
        form: &LinearForm,
        trace: &Trace<B::Scalars>,
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<B::Scalars, ProveError> {
        let circuit = self.circuit();
        let folds =
            circuit.folds().into_iter().map(|kind| circuit.fold_length(kind) as usize).max().unwrap_or(1);
        let external = circuit.externals.iter().map(|e| (e.offset + e.length) as usize).max().unwrap_or(1);
        let external = polynomials_length::<B>(polynomials, circuit.tensor_columns().count()).max(external);
        let reach = circuit.rows().max(folds - 1).max(external - 1);
        let mut products = ReciprocalProducts::new(self.backend, reach)?;
        for (index, boxes) in functional_boxes(form).map_err(unknown_variable)?.iter().enumerate() {
            let Some(column) = polynomials.get(&PolynomialId::Coefficients(index)) else { continue };
            let mut functional = self.backend.zeros(products.length() + 1)?;
            self.backend.expand_boxes(&mut functional, boxes)?;
            if index == 0 {
                let entry = self.backend.read(&functional, circuit.rows(), 1)?;
                let entry = entry.first().copied().unwrap_or_default() + form.mask;
                self.backend.write(&mut functional, circuit.rows(), &[entry])?;
            }
            let known = self
                .row_transform(index, trace, polynomials)
                .filter(|known| known.len() == products.length());
            products.add((&column.coefficients, known), &functional, Sign::Plus)?;
        }
        for (left, right) in self.products(polynomials)? {
            products.add((&left, None), right, Sign::Minus)?;
        }
        products.positive_half(reach)
    }

    /// The inverse transform of a tensor column's coefficients: these are its values on the rows, from which the trace made the
    /// coefficients of the column's row form by that same transform. Nothing for a prover who committed to two different columns.
    fn row_transform<'p>(
        &self,
        position: usize,
        trace: &Trace<B::Scalars>,
        polynomials: &'p Polynomials<B::Scalars>,
    ) -> Option<&'p B::Scalars> {
        let column = self.circuit().tensor_columns().nth(position)?;
        let shared = trace.advice.get(column)?.is_none();
        let row_form = polynomials.get(&PolynomialId::Advice(column)).filter(|_| shared)?;
        Some(&row_form.coefficients)
    }

    /// The products of the one identity: C with x~, b~ with a~.
    #[allow(clippy::type_complexity)]
    fn products<'p>(
        &self,
        polynomials: &'p Polynomials<B::Scalars>,
    ) -> Result<Vec<(B::Scalars, &'p B::Scalars)>, ProveError> {
        let circuit = self.circuit();
        let get = |kind| polynomials.get(&PolynomialId::Fold(kind)).map(|fold| &fold.coefficients);
        let mut products = Vec::new();
        if let Some(input) = get(FoldKind::Input) {
            let (offsets, ..) = circuit.fold_segments();
            let length = circuit.fold_length(FoldKind::Input) as usize;
            let mut contraction = self.backend.zeros(length)?;
            for (claim, offset) in circuit.claims.iter().zip(offsets) {
                if let Relation::Matrix { matrix, .. } = &claim.relation
                    && let Some(rows) = polynomials.get(&PolynomialId::Contraction(*matrix as usize))
                    && let Some(offset) = offset
                {
                    self.backend.add_scaled(
                        &mut contraction,
                        offset as usize,
                        Fr::one(),
                        &rows.coefficients,
                    )?;
                }
            }
            products.push((contraction, input));
        }
        if let (Some(left), Some(right)) = (get(FoldKind::Left), get(FoldKind::Right)) {
            products.push((self.backend.slice(right, 0, right.len())?, left));
        }
        Ok(products)
    }
}

/// Length of the longest external vector among the coefficient forms.
fn polynomials_length<B: Backend>(polynomials: &Polynomials<B::Scalars>, tensor_columns: usize) -> usize {
    let external =
        |id: &PolynomialId| matches!(id, PolynomialId::Coefficients(index) if *index >= tensor_columns);
    polynomials
        .iter()
        .filter(|(id, _)| external(id))
        .map(|(_, vector)| vector.coefficients.len())
        .max()
        .unwrap_or(1)
}
