//! The mock checker accepts the honest witness and says of others what fails, where, and with which cells.

mod common;

use common::{Sample, sample};
use zkloom_plonkish::mock::{Failure, MockChecker};

fn failures(sample: &Sample) -> Vec<Failure> {
    let Sample { circuit, fixed, weights, witness } = sample;
    MockChecker { circuit, fixed, weights }.check(witness, 100)
}

#[test]
fn the_honest_witness_passes() {
    assert_eq!(failures(&sample()), []);
}

#[test]
fn gates_name_row_value_and_cells() {
    let mut wrong = sample();
    wrong.witness.advice[2][4] = 6;
    let found = failures(&wrong);
    let cells = ["selector = 1", "r = 6", "a = 1"].map(String::from).to_vec();
    let expected = Failure::Gate { gate: "square".into(), row: 4, value: "5".into(), cells };
    assert_eq!(found, [expected]);
    assert_eq!(found[0].to_string(), "gate `square` is 5 at row 4; selector = 1, r = 6, a = 1");
}

#[test]
fn gates_name_rotated_cells() {
    let mut wrong = sample();
    wrong.witness.advice[2][1] = 63;
    let found = failures(&wrong);
    assert_eq!(found.len(), 2);
    let message = found[1].to_string();
    assert_eq!(message, "gate `next square` is -1 at row 0; first = 1, r[+1] = 63, a[+1] = -8");
}

#[test]
fn lookups_name_row_tuple_and_cells() {
    let mut wrong = sample();
    wrong.witness.advice[0][2] = 9;
    let found = failures(&wrong);
    let lookup = found.iter().find(|failure| matches!(failure, Failure::Lookup { .. })).unwrap();
    let tuple = ["9", "1"].map(String::from).to_vec();
    let cells = ["a = 9", "tag = 1"].map(String::from).to_vec();
    assert_eq!(*lookup, Failure::Lookup { lookup: "range".into(), row: 2, tuple, cells });
    assert!(lookup.to_string().contains("lookup `range` at row 2: (9, 1) is in no table; a = 9"));
    // The interval, the gate on the row and every claim that reads the cell see it too.
    assert!(
        found
            .iter()
            .any(|f| matches!(f, Failure::Interval { tensor, column: 0, row: 2, value: 9 } if tensor == "x"))
    );
    for name in ["dense", "double", "product", "committed"] {
        assert!(found.iter().any(|f| matches!(f, Failure::Claim { claim, .. } if claim == name)), "{name}");
    }
}

#[test]
fn a_value_of_another_table_is_not_found() {
    let mut wrong = sample();
    wrong.fixed.columns[1][3] = 2;
    assert!(matches!(&failures(&wrong)[..], [Failure::Lookup { row: 3, .. }]));
}

#[test]
fn lookups_count_only_selected_rows() {
    let mut other = sample();
    other.witness.advice[0].resize(30, 0);
    other.witness.advice[0][20] = 12345;
    assert_eq!(failures(&other), []);
}

#[test]
fn claims_name_the_cell_and_the_difference() {
    for (column, row, names) in
        [(1, 1, vec!["dense"]), (1, 4, vec!["double", "shown"]), (1, 12, vec!["product"])]
    {
        let mut wrong = sample();
        wrong.witness.advice[column][row] += 1;
        let expected: Vec<_> = names
            .iter()
            .map(|name| Failure::Claim {
                claim: (*name).into(),
                cell: Some((1, row as u64)),
                difference: "1".into(),
            })
            .collect();
        assert_eq!(failures(&wrong), expected);
        let message = format!("claim `{}` is off by 1 at row {row} of tensor column 1", names[0]);
        assert_eq!(expected[0].to_string(), message);
    }
}

#[test]
fn wrong_weights_and_biases_are_seen() {
    for entry in 0..21 {
        let mut wrong = sample();
        wrong.weights[0].entries[entry] += 1;
        // The weight that meets the input zero is the only one that may change.
        let unseen = entry % 7 == 3;
        assert_eq!(failures(&wrong).is_empty(), unseen, "entry {entry}");
    }
}

#[test]
fn public_and_external_values() {
    let mut wrong = sample();
    wrong.witness.publics[0][2] = 17;
    let found = failures(&wrong);
    assert!(found.contains(&Failure::Public { tensor: "shown".into(), index: 2, value: 17 }));
    assert!(
        found
            .iter()
            .any(|f| matches!(f, Failure::Claim { claim, cell: Some((1, 5)), .. } if claim == "shown"))
    );

    let mut wrong = sample();
    wrong.witness.externals[0][2] += zkloom_plonkish::Fr::from(1_u64);
    let cell = Some((0, 0));
    let expected = Failure::Claim { claim: "committed".into(), cell, difference: "-1".into() };
    assert_eq!(failures(&wrong), [expected]);
    // Entries outside the circuit's part of the vector are nobody's business.
    let mut other = sample();
    other.witness.externals[0][1] += zkloom_plonkish::Fr::from(1_u64);
    assert_eq!(failures(&other), []);
}

#[test]
fn a_relation_beyond_the_output_is_seen() {
    let mut wrong = sample();
    wrong.circuit.claims[1].output[0].axes[0].segments[0].count = 5;
    let found = failures(&wrong);
    assert!(matches!(&found[..], [Failure::Claim { cell: None, .. }]));
    assert!(found[0].to_string().contains("its output lacks"));
}

#[test]
fn every_advice_cell_in_use_is_constrained() {
    let honest = sample();
    for (column, values) in honest.witness.advice.iter().enumerate() {
        for row in 0..values.len() {
            let mut wrong = sample();
            wrong.witness.advice[column][row] += 1;
            assert!(!failures(&wrong).is_empty(), "column {column}, row {row}");
        }
    }
}

#[test]
fn the_limit_is_kept() {
    let mut wrong = sample();
    wrong.witness.advice[1].iter_mut().for_each(|value| *value += 1);
    let Sample { circuit, fixed, weights, witness } = &wrong;
    for limit in 0..5 {
        assert_eq!(MockChecker { circuit, fixed, weights }.check(witness, limit).len(), limit);
    }
}
