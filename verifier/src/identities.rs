//! The row side as polynomial identities, in the order in which alpha weights them (protocol, section 3): gates, helpers,
//! the running sum's transition, its first and its last value. Prover and verifier read the same expressions.

use ark_bn254::Fr;
use ark_ff::One;
use zkloom_plonkish::{Circuit, Column, Expression, Query};

use crate::polynomial::Opened;

type Row = Expression<Opened>;

fn opened(query: &Query) -> Opened {
    match query.column {
        Column::Advice { index } => Opened::Advice { column: index as usize, rotation: query.rotation },
        Column::Fixed { index } => Opened::Fixed { column: index as usize, rotation: query.rotation },
    }
}

fn fixed(index: u32) -> Row {
    Expression::Leaf(Opened::Fixed { column: index as usize, rotation: 0 })
}

/// `shift + sum_i gamma^i part_i`: a tuple as one value, the table's number last.
fn compress(parts: Vec<Row>, gamma: Fr, shift: Fr) -> Row {
    let mut power = Fr::one();
    let mut terms = vec![Expression::Constant(shift)];
    for part in parts {
        terms.push(part.scale(power));
        power *= gamma;
    }
    Expression::Sum(terms)
}

/// A fraction of the lookup argument: what is added to the running sum on each row.
struct Fraction {
    numerator: Row,
    denominator: Row,
}

/// The lookup argument's challenges.
#[derive(Clone, Copy, Debug)]
pub struct LookupChallenges {
    /// Where the logarithmic derivative is taken, x.
    pub point: Fr,
    /// Compresses tuples, gamma_l.
    pub gamma: Fr,
}

/// `x + t` of a table set.
fn table_denominator(circuit: &Circuit, set: usize, challenges: LookupChallenges) -> Option<Row> {
    let table = circuit.table_sets.get(set)?;
    let mut parts: Vec<Row> = table.values.iter().map(|column| fixed(*column)).collect();
    parts.push(fixed(table.tag));
    Some(compress(parts, challenges.gamma, challenges.point))
}

fn table_numerator(circuit: &Circuit, set: usize) -> Option<Row> {
    let table = circuit.table_sets.get(set)?;
    Some(fixed(table.selector) * Expression::Leaf(Opened::Multiplicity(set)))
}

/// Lookups, then every table set but the first.
fn helper_fractions(circuit: &Circuit, challenges: LookupChallenges) -> Vec<Fraction> {
    let arity = circuit.arity();
    let lookups = circuit.lookups.iter().map(|lookup| {
        let parts = lookup.padded(arity).iter().map(|part| part.map(&opened)).collect();
        Fraction {
            numerator: fixed(lookup.selector),
            denominator: compress(parts, challenges.gamma, challenges.point),
        }
    });
    let tables = (1..circuit.table_sets.len()).filter_map(|set| {
        let numerator = -table_numerator(circuit, set)?;
        Some(Fraction { numerator, denominator: table_denominator(circuit, set, challenges)? })
    });
    lookups.chain(tables).collect()
}

/// The fractions of each helper as (numerator, denominator) pairs, for the prover.
pub fn helper_parts(circuit: &Circuit, challenges: LookupChallenges) -> Vec<Vec<(Row, Row)>> {
    let fractions = helper_fractions(circuit, challenges);
    let pair = |fraction: &Fraction| (fraction.numerator.clone(), fraction.denominator.clone());
    fractions.chunks(circuit.fractions_per_helper()).map(|chunk| chunk.iter().map(pair).collect()).collect()
}

/// Numerator and denominator of the first table set, whose fraction stands in the running sum itself.
pub fn table_part(circuit: &Circuit, challenges: LookupChallenges) -> Option<(Row, Row)> {
    Some((table_numerator(circuit, 0)?, table_denominator(circuit, 0, challenges)?))
}

/// `phi prod (x + f_i) - sum_i s_i prod_(i' != i) (x + f_i')`
fn helper_identity(index: usize, fractions: &[Fraction]) -> Row {
    let others = |skip: Option<usize>| {
        fractions
            .iter()
            .enumerate()
            .filter(move |(i, _)| Some(*i) != skip)
            .map(|(_, f)| f.denominator.clone())
    };
    let helper = Expression::Leaf(Opened::Helper(index));
    let mut terms = vec![Expression::Product(core::iter::once(helper).chain(others(None)).collect())];
    for (i, fraction) in fractions.iter().enumerate() {
        let product = core::iter::once(fraction.numerator.clone()).chain(others(Some(i))).collect();
        terms.push(-Expression::Product(product));
    }
    Expression::Sum(terms)
}

/// Every identity of the row side, zero on all of H for an honest prover.
pub fn identities(circuit: &Circuit, challenges: LookupChallenges) -> Vec<Row> {
    let mut all: Vec<Row> = circuit.gates.iter().map(|gate| gate.polynomial.map(&opened)).collect();
    let Some((numerator, denominator)) =
        table_part(circuit, challenges).filter(|_| !circuit.lookups.is_empty())
    else {
        return all;
    };
    let fractions = helper_fractions(circuit, challenges);
    let chunks = fractions.chunks(circuit.fractions_per_helper());
    all.extend(chunks.enumerate().map(|(index, chunk)| helper_identity(index, chunk)));
    let leaf = |name| Expression::Leaf(name);
    let helpers = Expression::Sum((0..circuit.helpers()).map(|index| leaf(Opened::Helper(index))).collect());
    let step = leaf(Opened::NextRunningSum) - leaf(Opened::RunningSum) - helpers;
    all.push(leaf(Opened::ActiveRows) * (step * denominator + numerator));
    all.push(leaf(Opened::FirstRow) * leaf(Opened::RunningSum));
    all.push(leaf(Opened::FirstBlindingRow) * leaf(Opened::RunningSum));
    all
}
