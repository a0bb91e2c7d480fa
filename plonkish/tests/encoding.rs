//! Encoding and digest: exact, total, and sensitive to every field.

mod common;

use common::{Sample, position, public, sample};
use zkloom_plonkish::origin::check_origins;
use zkloom_plonkish::{
    AdviceColumn, Circuit, Copy, Decode, Encode, Expression, FixedColumn, Monomial, Origin, Query, Relation,
};

type Change = fn(&mut Circuit);

fn input(
    circuit: &mut Circuit,
) -> (&mut u32, &mut Vec<zkloom_plonkish::View>, &mut Vec<zkloom_plonkish::ConstantOnes>) {
    match &mut circuit.claims[0].relation {
        Relation::Matrix { matrix, input, ones } => (matrix, input, ones),
        _ => panic!("the first claim is the matrix's"),
    }
}

/// One change for each field, nested ones too.
const CHANGES: &[(&str, Change)] = &[
    ("log_rows", |c| c.log_rows += 1),
    ("blinding_rows", |c| c.blinding_rows += 1),
    ("max_degree", |c| c.max_degree += 1),
    ("advice", |c| c.advice.push(AdviceColumn { name: "more".into(), tensor: true })),
    ("advice.name", |c| c.advice[0].name.push('x')),
    ("advice.tensor", |c| c.advice[0].tensor = false),
    ("fixed", |c| c.fixed.push(FixedColumn { name: "more".into() })),
    ("fixed.name", |c| c.fixed[0].name.push('x')),
    ("gates", |c| c.gates.swap(0, 1)),
    ("gate.name", |c| c.gates[0].name.push('x')),
    ("gate.polynomial", |c| c.gates[0].polynomial = Expression::integer(1)),
    ("gate.polynomial constant", |c| c.gates[0].polynomial = Expression::integer(2)),
    ("gate.polynomial rotation", |c| {
        c.gates[0].polynomial = Expression::Leaf(Query { rotation: -1, ..Query::advice(0) });
    }),
    ("gate.polynomial column", |c| c.gates[0].polynomial = Expression::Leaf(Query::advice(1))),
    ("gate.polynomial kind of column", |c| c.gates[0].polynomial = Expression::Leaf(Query::fixed(1))),
    ("gate.polynomial sum", |c| c.gates[0].polynomial = Expression::Sum(vec![])),
    ("gate.polynomial product", |c| c.gates[0].polynomial = Expression::Product(vec![])),
    ("table_sets", |c| c.table_sets.push(c.table_sets[0].clone())),
    ("table_set.values", |c| c.table_sets[0].values[0] = 3),
    ("table_set.tag", |c| c.table_sets[0].tag = 2),
    ("table_set.selector", |c| c.table_sets[0].selector = 5),
    ("lookups", |c| c.lookups.clear()),
    ("lookup.name", |c| c.lookups[0].name.push('x')),
    ("lookup.selector", |c| c.lookups[0].selector = 4),
    ("lookup.tuple", |c| c.lookups[0].tuple.push(Expression::zero())),
    ("lookup.tag", |c| c.lookups[0].tag = Expression::integer(1)),
    ("copies", |c| c.copies.push(Copy { left_column: 0, left_row: 1, right_column: 2, right_row: 3 })),
    ("copies, other side", |c| {
        c.copies.push(Copy { left_column: 2, left_row: 3, right_column: 0, right_row: 1 })
    }),
    ("roles", |c| c.roles.push("more".into())),
    ("role", |c| c.roles[0].push('x')),
    ("matrices", |c| c.matrices.push(c.matrices[0].clone())),
    ("matrix.name", |c| c.matrices[0].name.push('x')),
    ("matrix.rows", |c| c.matrices[0].rows += 1),
    ("matrix.columns", |c| c.matrices[0].columns += 1),
    ("matrix.public", |c| c.matrices[0].public = true),
    ("matrix.row_role", |c| c.matrices[0].row_role = 1),
    ("claims", |c| c.claims.swap(0, 1)),
    ("claim.name", |c| c.claims[0].name.push('x')),
    ("claim.output", |c| c.claims[0].output.clear()),
    ("view.column", |c| c.claims[0].output[0].column += 1),
    ("view.offset", |c| c.claims[0].output[0].offset += 1),
    ("view.coefficient", |c| c.claims[0].output[0].coefficient = -1),
    ("view.scale", |c| c.claims[0].output[0].scale = Monomial::role(0, 1)),
    ("view.scale role", |c| c.claims[0].output[0].scale = Monomial::role(1, 1)),
    ("view.scale exponent", |c| c.claims[0].output[0].scale = Monomial::role(0, 2)),
    ("view.scale fold", |c| c.claims[0].output[0].scale = Monomial::fold(1)),
    ("view.scale public", |c| c.claims[0].output[0].scale = public(1)),
    ("view.axes", |c| c.claims[0].output[0].axes.clear()),
    ("segments", |c| c.claims[0].output[0].axes[0].segments.clear()),
    ("segment.start", |c| c.claims[0].output[0].axes[0].segments[0].start += 1),
    ("segment.count", |c| c.claims[0].output[0].axes[0].segments[0].count += 1),
    ("segment.step", |c| c.claims[0].output[0].axes[0].segments[0].step += 1),
    ("segment.ratio", |c| c.claims[0].output[0].axes[0].segments[0].ratio = Monomial::one()),
    ("segment.scale", |c| c.claims[0].output[0].axes[0].segments[0].scale = Monomial::role(0, 1)),
    ("matrix claim's matrix", |c| *input(c).0 += 1),
    ("matrix claim's input", |c| input(c).1.clear()),
    ("matrix claim's ones", |c| input(c).2.clear()),
    ("ones.column", |c| input(c).2[0].column += 1),
    ("ones.scale", |c| input(c).2[0].scale = Monomial::role(0, 1)),
    ("ones.axes", |c| input(c).2[0].axes.push(position(1, Monomial::one()))),
    ("ones.axes count", |c| input(c).2[0].axes.push(position(2, Monomial::one()))),
    ("ones.axes ratio", |c| input(c).2[0].axes.push(position(1, Monomial::role(1, 1)))),
    ("relation linear", |c| c.claims[1].relation = Relation::Linear { inputs: vec![] }),
    ("relation public", |c| c.claims[1].relation = Relation::Public { tensor: 0 }),
    ("relation external", |c| c.claims[1].relation = Relation::External { vector: 0 }),
    ("relation product", |c| {
        c.claims[1].relation = Relation::Product { left: vec![], right: vec![], length: 0 };
    }),
    ("relation product length", |c| {
        c.claims[1].relation = Relation::Product { left: vec![], right: vec![], length: 1 };
    }),
    ("publics", |c| c.publics.clear()),
    ("public.identifier", |c| c.publics[0].identifier += 1),
    ("public.name", |c| c.publics[0].name.push('x')),
    ("public.length", |c| c.publics[0].length += 1),
    ("public.interval.min", |c| c.publics[0].interval.min -= 1),
    ("public.interval.max", |c| c.publics[0].interval.max += 1),
    ("externals", |c| c.externals.clear()),
    ("external.identifier", |c| c.externals[0].identifier += 1),
    ("external.name", |c| c.externals[0].name.push('x')),
    ("external.length", |c| c.externals[0].length += 1),
    ("external.offset", |c| c.externals[0].offset += 1),
    ("fold_blinds.count", |c| c.fold_blinds.count += 1),
    ("fold_blinds.runs", |c| c.fold_blinds.runs.swap(0, 1)),
    ("fold_blinds.run.column", |c| c.fold_blinds.runs[0].column += 1),
    ("tensors", |c| c.tensors.swap(0, 1)),
    ("tensor.name", |c| c.tensors[0].name.push('x')),
    ("tensor.interval", |c| c.tensors[0].interval.min -= 1),
    ("tensor.pieces", |c| c.tensors[0].pieces.clear()),
    ("piece.column", |c| c.tensors[0].pieces[0].column += 1),
    ("piece.offset", |c| c.tensors[0].pieces[0].offset += 1),
    ("piece.length", |c| c.tensors[0].pieces[0].length += 1),
    ("piece.origin", |c| c.tensors[0].pieces[0].origin = Origin::Claim { claim: 0 }),
    ("piece.origin lookup", |c| c.tensors[0].pieces[0].origin = Origin::Lookup { lookup: 1, coordinate: 0 }),
    ("piece.origin coordinate", |c| {
        c.tensors[0].pieces[0].origin = Origin::Lookup { lookup: 0, coordinate: 1 }
    }),
];

#[test]
fn every_field_is_in_digest_and_encoding() {
    let original = sample().circuit;
    let mut digests = vec![(original.digest(), "unchanged")];
    for (name, change) in CHANGES {
        let mut circuit = original.clone();
        change(&mut circuit);
        assert_eq!(Circuit::from_slice(&circuit.to_vec()).as_ref(), Ok(&circuit), "{name}");
        let digest = circuit.digest();
        if let Some((_, other)) = digests.iter().find(|(known, _)| *known == digest) {
            panic!("{name} has the digest of {other}");
        }
        digests.push((digest, name));
    }
}

#[test]
fn decoding_inverts_encoding() {
    let circuit = sample().circuit;
    let bytes = circuit.to_vec();
    assert_eq!(Circuit::from_slice(&bytes), Ok(circuit.clone()));
    assert_eq!(Circuit::from_slice(&bytes).unwrap().digest(), circuit.digest());
}

#[test]
fn truncated_and_extended_encodings_are_refused() {
    let bytes = sample().circuit.to_vec();
    for length in 0..bytes.len() {
        assert!(Circuit::from_slice(&bytes[..length]).is_err(), "{length} bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(Circuit::from_slice(&longer).is_err());
}

/// Encoding is canonical: what decodes at all encodes to the same bytes, and nothing panics, not even validation.
#[test]
fn flipped_bits_decode_canonically_or_not_at_all() {
    let Sample { circuit, fixed, weights, .. } = sample();
    let bytes = circuit.to_vec();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            if let Ok(circuit) = Circuit::from_slice(&flipped) {
                assert_eq!(circuit.to_vec(), flipped);
                let _ = (circuit.cost(), circuit.srs_length());
                if circuit.validate().is_ok() {
                    let _ = check_origins(&circuit, &fixed, &weights);
                }
            }
        }
    }
}
