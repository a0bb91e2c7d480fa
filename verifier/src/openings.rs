//! The opened items in the protocol's order (section 5): which combination of polynomials has which values where.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, One, Zero};
use zkloom_plonkish::field::root_of_unity;
use zkloom_plonkish::{Circuit, FoldKind, Relation};

use crate::error::VerifyError;
use crate::identities::identities;
use crate::linear::{LinearForm, powers};
use crate::polynomial::{Opened, PolynomialId};
use crate::rounds::evaluations::{EvaluationPlan, Evaluations};
use crate::rounds::folds::FoldChallenges;
use crate::rounds::link::IdentityChallenge;
use crate::rounds::quotient::EvaluationPoint;
use crate::rounds::trace::TraceChallenges;

/// A linear combination of committed polynomials and its values at some points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Terms of the combination.
    pub terms: Vec<(Fr, PolynomialId)>,
    /// Points and values.
    pub openings: Vec<(Fr, Fr)>,
}

/// Challenges up to round 4.
#[derive(Clone, Debug)]
pub struct Challenges {
    /// Round 1.
    pub trace: TraceChallenges,
    /// Round 2.
    pub folds: FoldChallenges,
    /// Round 3.
    pub identity: IdentityChallenge,
    /// Round 4.
    pub point: EvaluationPoint,
}

/// The points at which a proof is opened.
#[derive(Clone, Copy, Debug)]
pub struct Points {
    /// z
    pub z: Fr,
    /// 1/z
    pub inverse: Fr,
    /// w z
    pub next: Fr,
    /// beta
    pub beta: Fr,
    /// w, generator of the rows' subgroup.
    pub generator: Fr,
}

/// Everything that the opened items are made from.
#[derive(Clone, Copy, Debug)]
pub struct OpeningInputs<'a> {
    /// The circuit.
    pub circuit: &'a Circuit,
    /// Challenges up to round 4.
    pub challenges: &'a Challenges,
    /// The one identity.
    pub form: &'a LinearForm,
    /// `X~(beta)`, where a fold exists.
    pub fold_value: Option<Fr>,
    /// `v^`.
    pub column_value: Fr,
    /// Values of round 5.
    pub evaluations: &'a Evaluations,
}

fn degenerate(what: &'static str) -> VerifyError {
    VerifyError::Degenerate { what }
}

fn key_error(what: impl ToString) -> VerifyError {
    VerifyError::Key { what: what.to_string() }
}

impl Points {
    /// Checks that nothing coincides and that nothing lies in the rows' subgroup.
    pub fn new(
        circuit: &Circuit,
        folds: &FoldChallenges,
        point: EvaluationPoint,
    ) -> Result<Self, VerifyError> {
        let (z, beta, rows) = (point.0, folds.beta, circuit.rows() as u64);
        let inverse = z.inverse().ok_or(degenerate("z is zero"))?;
        let generator = root_of_unity(circuit.log_rows).ok_or_else(|| key_error("too many rows"))?;
        if z.pow([rows]).is_one() || z.square().is_one() {
            return Err(degenerate("z is a root of unity"));
        }
        if beta.is_zero() || beta.pow([rows]).is_one() {
            return Err(degenerate("beta is zero or a root of unity"));
        }
        Ok(Self { z, inverse, next: z * generator, beta, generator })
    }

    /// The point of a row offset.
    pub fn rotated(&self, rotation: i32) -> Fr {
        let power = self.generator.pow([u64::from(rotation.unsigned_abs())]);
        let factor = if rotation < 0 { power.inverse().unwrap_or_else(Fr::zero) } else { power };
        self.z * factor
    }
}

/// Lagrange polynomials that the identities use, at z.
struct RowPolynomials {
    first: Fr,
    first_blinding: Fr,
    active: Fr,
}

impl RowPolynomials {
    fn new(circuit: &Circuit, points: &Points) -> Self {
        let rows = circuit.rows() as u64;
        let scale = (points.z.pow([rows]) - Fr::one()) * Fr::from(rows).inverse().unwrap_or_else(Fr::zero);
        let at = |row: Fr| scale * row * (points.z - row).inverse().unwrap_or_else(Fr::zero);
        let mut row = points.generator.pow([circuit.usable() as u64]);
        let first_blinding = at(row);
        let mut blinding = Fr::zero();
        for _ in 0..circuit.blinding_rows {
            blinding += at(row);
            row *= points.generator;
        }
        Self { first: at(Fr::one()), first_blinding, active: Fr::one() - blinding }
    }
}

/// The quotient's value at z that the opened values imply.
pub fn quotient_value(
    inputs: &OpeningInputs<'_>,
    plan: &EvaluationPlan,
    points: &Points,
) -> Result<Fr, VerifyError> {
    let rows = RowPolynomials::new(inputs.circuit, points);
    let value = |opened: &Opened| match opened {
        Opened::FirstRow => Ok(rows.first),
        Opened::FirstBlindingRow => Ok(rows.first_blinding),
        Opened::ActiveRows => Ok(rows.active),
        other => inputs
            .evaluations
            .get(plan, other)
            .ok_or_else(|| key_error("an identity reads a value that is not opened")),
    };
    let (mut sum, mut weight) = (Fr::zero(), Fr::one());
    for identity in identities(inputs.circuit, inputs.challenges.trace.lookup) {
        sum += weight * identity.evaluate(&value)?;
        weight *= inputs.challenges.identity.0;
    }
    let vanishing = points.z.pow([inputs.circuit.rows() as u64]) - Fr::one();
    Ok(sum * vanishing.inverse().ok_or(degenerate("z is a row's point"))?)
}

/// Terms of the one identity at `at`: `sum_j E_j(1/at) a^_j - x~(1/at) C - a~(1/at) b~ - at S`.
fn half(
    inputs: &OpeningInputs<'_>,
    at: Fr,
    functionals: &[Fr],
    folds: (Option<Fr>, Option<Fr>),
) -> Vec<(Fr, PolynomialId)> {
    let columns =
        functionals.iter().enumerate().map(|(index, value)| (*value, PolynomialId::Coefficients(index)));
    let mut terms: Vec<_> = columns.collect();
    let (offsets, _, _) = inputs.circuit.fold_segments();
    for (claim, offset) in inputs.circuit.claims.iter().zip(offsets) {
        if let (Relation::Matrix { matrix, .. }, Some(offset), Some(fold)) =
            (&claim.relation, offset, folds.0)
        {
            terms.push((-(fold * at.pow([offset])), PolynomialId::Contraction(*matrix as usize)));
        }
    }
    if let Some(fold) = folds.1 {
        terms.push((-fold, PolynomialId::Fold(FoldKind::Right)));
    }
    terms.push((-at, PolynomialId::Symmetric));
    terms
}

/// All opened items.
pub fn items(
    inputs: &OpeningInputs<'_>,
    plan: &EvaluationPlan,
    points: &Points,
) -> Result<Vec<Item>, VerifyError> {
    let Points { z, inverse, beta, .. } = *points;
    let (circuit, values) = (inputs.circuit, inputs.evaluations);
    let at_z = inputs.form.at(z).map_err(key_error)?;
    let at_inverse = inputs.form.at(inverse).map_err(key_error)?;
    let fold = |pair: &Option<[Fr; 2]>, index: usize| pair.as_ref().and_then(|pair| pair.get(index).copied());
    let (input, left) = (&values.input_fold, &values.left_fold);
    let doubled = (inputs.form.constant + inputs.fold_value.unwrap_or_else(Fr::zero)).double();
    let mut items = vec![
        Item {
            terms: half(inputs, z, &at_inverse, (fold(input, 1), fold(left, 1))),
            openings: vec![(z, values.symmetric)],
        },
        Item {
            terms: half(inputs, inverse, &at_z, (fold(input, 0), fold(left, 0))),
            openings: vec![(inverse, doubled - values.symmetric)],
        },
    ];
    for (kind, pair) in [(FoldKind::Input, input), (FoldKind::Left, left)] {
        if let Some([here, there]) = pair {
            items.push(one(PolynomialId::Fold(kind), vec![(z, *here), (inverse, *there)]));
        }
    }
    let kinds = circuit.folds();
    if let Some(value) = inputs.fold_value {
        let weights = powers(inputs.challenges.folds.mu, kinds.len());
        let terms = weights.into_iter().zip(kinds.into_iter().map(PolynomialId::Fold)).collect();
        items.push(Item { terms, openings: vec![(beta, value)] });
    }
    items.extend(link_items(inputs, plan, points)?);
    items.extend(row_items(plan, values, points));
    let rows = circuit.rows() as u64;
    let pieces = (0..circuit.max_degree.saturating_sub(1) as usize)
        .map(|index| (z.pow([rows * index as u64]), PolynomialId::Quotient(index)))
        .collect();
    items.push(Item { terms: pieces, openings: vec![(z, quotient_value(inputs, plan, points)?)] });
    Ok(items)
}

/// One polynomial and its openings.
fn one(id: PolynomialId, openings: Vec<(Fr, Fr)>) -> Item {
    Item { terms: vec![(Fr::one(), id)], openings }
}

/// The row side: running sum, advice, multiplicities, helpers, fixed columns, each at its points.
fn row_items(plan: &EvaluationPlan, values: &Evaluations, points: &Points) -> Vec<Item> {
    let (z, mut items) = (points.z, Vec::new());
    if let Some([here, there]) = values.running_sum {
        items.push(one(PolynomialId::RunningSum, vec![(z, here), (points.next, there)]));
    }
    let opened = |rotations: &[i32], values: &[Fr]| {
        rotations
            .iter()
            .map(|rotation| points.rotated(*rotation))
            .zip(values.iter().copied())
            .collect::<Vec<_>>()
    };
    for (index, (rotations, values)) in plan.advice.iter().zip(&values.advice).enumerate() {
        items.push(one(PolynomialId::Advice(index), opened(rotations, values)));
    }
    let multiplicities =
        values.multiplicities.iter().enumerate().map(|(i, v)| (PolynomialId::Multiplicity(i), *v));
    let helpers = values.helpers.iter().enumerate().map(|(i, v)| (PolynomialId::Helper(i), *v));
    items.extend(multiplicities.chain(helpers).map(|(id, value)| one(id, vec![(z, value)])));
    for (index, (rotations, values)) in plan.fixed.iter().zip(&values.fixed).enumerate() {
        if !rotations.is_empty() {
            items.push(one(PolynomialId::Fixed(index), opened(rotations, values)));
        }
    }
    items
}

/// The link of the two forms: the coefficient forms at beta, and h at z, wz and 1.
///
/// With b = 1/beta and A = sum_j g^j a_j, `h(wX) = b h(X) + A(X)` on the whole subgroup, cyclically, forces
/// `h(1) (1 - b^N) = sum_i b^(N-1-i) A_i`, which is `b^(N-1)` times the coefficient form's value at beta.
fn link_items(
    inputs: &OpeningInputs<'_>,
    plan: &EvaluationPlan,
    points: &Points,
) -> Result<Vec<Item>, VerifyError> {
    let circuit = inputs.circuit;
    let b = points.beta.inverse().ok_or(degenerate("beta is zero"))?;
    let rows = circuit.rows() as u64;
    let (mut sum, mut weight, mut terms) = (Fr::zero(), Fr::one(), Vec::new());
    for (index, column) in circuit.tensor_columns().enumerate() {
        let opened = Opened::Advice { column, rotation: 0 };
        let value = inputs
            .evaluations
            .get(plan, &opened)
            .ok_or_else(|| key_error("a tensor column is not opened"))?;
        sum += weight * value;
        terms.push((weight, PolynomialId::Coefficients(index)));
        weight *= inputs.challenges.folds.link;
    }
    let cycle = (Fr::one() - b.pow([rows])).inverse().ok_or(degenerate("beta is a root of unity"))?;
    let start = b.pow([rows - 1]) * inputs.column_value * cycle;
    let here = inputs.evaluations.link;
    let link = Item {
        terms: vec![(Fr::one(), PolynomialId::Link)],
        openings: vec![(points.z, here), (points.next, b * here + sum), (Fr::one(), start)],
    };
    Ok(vec![Item { terms, openings: vec![(points.beta, inputs.column_value)] }, link])
}

/// All points of a list of items, each once; an error if the points z, 1/z, wz, beta, 1 or those of one item coincide.
pub fn distinct_points(items: &[Item], points: &Points) -> Result<Vec<Fr>, VerifyError> {
    let mut all: Vec<Fr> = Vec::new();
    for (point, _) in items.iter().flat_map(|item| &item.openings) {
        if !all.contains(point) {
            all.push(*point);
        }
    }
    let fixed = [points.z, points.inverse, points.next, points.beta, Fr::one()];
    let clash = fixed.iter().enumerate().any(|(i, a)| fixed.iter().skip(i + 1).any(|b| a == b));
    let inside = items.iter().any(|item| {
        let at = |i: usize| item.openings.get(i).map(|(point, _)| *point);
        (0..item.openings.len()).any(|i| (i + 1..item.openings.len()).any(|j| at(i) == at(j)))
    });
    if clash || inside {
        return Err(degenerate("two opening points coincide"));
    }
    Ok(all)
}

/// `prod_p (x - p)`
pub fn vanishing(points: impl IntoIterator<Item = Fr>, x: Fr) -> Fr {
    points.into_iter().fold(Fr::one(), |product, point| product * (x - point))
}

/// Value at `x` of the polynomial of lowest degree through the openings.
pub fn interpolate(openings: &[(Fr, Fr)], x: Fr) -> Result<Fr, VerifyError> {
    openings.iter().enumerate().try_fold(Fr::zero(), |sum, (i, (point, value))| {
        let others =
            || openings.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, (other, _))| *other);
        let scale = vanishing(others(), *point).inverse().ok_or(degenerate("two opening points coincide"))?;
        Ok(sum + *value * vanishing(others(), x) * scale)
    })
}

/// Weight of each item in SHPLONK's combination at u': `nu^i Z_(T \ S_i)(u')`.
pub fn weights(items: &[Item], all: &[Fr], nu: Fr, u: Fr) -> Vec<Fr> {
    let mut power = Fr::one();
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let own: Vec<Fr> = item.openings.iter().map(|(point, _)| *point).collect();
        out.push(power * vanishing(all.iter().copied().filter(|point| !own.contains(point)), u));
        power *= nu;
    }
    out
}
