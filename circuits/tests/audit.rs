//! Descriptions that the compiler made pass the audit; every change is refused.

mod common;

use common::{Network, RELU, SATURATE, options, visibilities};
use zkloom_circuits::tables::TableContent;
use zkloom_circuits::{AuditError, CompileOptions, Compiled, Visibility, audit, compile};
use zkloom_model::integer_graph::IntegerGraph;
use zkloom_plonkish::{Interval, Origin, Relation};

/// Dense layers over positions, two functions, a residual sum with a bias, a maximum, a reshape.
fn network() -> IntegerGraph {
    let mut network = Network::new(&[3, 5], 3);
    let acc = network.linear("first", network.input(), 4);
    let relu = network.activate("relu", acc, RELU);
    let acc = network.linear("second", relu, 4);
    let saturated = network.activate("saturate", acc, SATURATE);
    let sum = network.sum("residual", &[(relu, 3), (saturated, -2)], (0..12).collect());
    let act = network.activate("again", sum, RELU);
    let larger = network.maximum("larger", act, relu);
    network.linear("last", larger, 3);
    network.graph
}

fn compiled(options: &CompileOptions) -> Compiled {
    compile(&network(), options).unwrap()
}

/// The error of a changed description.
fn refused(change: impl FnOnce(&mut Compiled)) -> AuditError {
    let mut changed = compiled(&options(2));
    let before = changed.clone();
    change(&mut changed);
    assert_ne!(changed, before, "the change changes nothing");
    audit(&changed).unwrap_err()
}

#[test]
fn what_the_compiler_makes_passes() {
    for visibility in visibilities() {
        for lanes in [1, 2, 3, 8] {
            for sets in [2, 3] {
                let options = CompileOptions { lanes: Some(lanes), max_table_sets: sets, ..visibility };
                audit(&compiled(&options)).unwrap();
            }
        }
    }
    let mut one = Network::new(&[5], 3);
    one.linear("only", one.input(), 2);
    audit(&compile(&one.graph, &options(1)).unwrap()).unwrap();
}

#[test]
fn another_row_in_a_table() {
    let error = refused(|made| {
        let sets = made.circuit.table_sets.clone();
        made.fixed.columns[sets[0].selector as usize].push(1);
        for set in sets {
            for (column, value) in [(set.values[0], 0), (set.values[1], 5), (set.tag, 3)] {
                made.fixed.columns[column as usize].push(value);
            }
        }
    });
    assert!(matches!(error, AuditError::Length { column: 2, .. }), "{error}");
}

#[test]
fn every_fixed_value() {
    let honest = compiled(&options(2));
    for (index, values) in honest.fixed.columns.iter().enumerate() {
        for at in 0..values.len() {
            let mut changed = honest.clone();
            changed.fixed.columns[index][at] ^= 1;
            match audit(&changed) {
                Err(AuditError::Fixed { column, row, .. }) => assert_eq!((column, row), (index, at)),
                other => panic!("column {index}, row {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn choices_and_layout() {
    refused(|made| made.layout.choices.lanes = 1);
    refused(|made| made.layout.choices.log_rows += 1);
    refused(|made| made.layout.choices.table_sets += 1);
    refused(|made| made.layout.choices.inputs = Visibility::Public);
    refused(|made| made.layout.choices.outputs = Visibility::Private);
    refused(|made| made.layout.choices.public_weights = true);
    refused(|made| made.layout.shift += 1);
    refused(|made| made.layout.rows += 1);
    refused(|made| made.layout.blocks[2].tag += 1);
    refused(|made| made.layout.blocks[2].row += 1);
    refused(|made| match &mut made.layout.tables[2].content {
        TableContent::Clamp { max, .. } => *max -= 1,
        other => panic!("{other:?}"),
    });
}

#[test]
fn another_architecture() {
    let mut other = Network::new(&[3, 5], 3);
    let acc = other.linear("first", other.input(), 4);
    other.activate("relu", acc, RELU);
    let other = compile(&other.graph, &options(2)).unwrap();
    refused(|made| made.layout = other.layout.clone());
    refused(|made| made.circuit = other.circuit.clone());
}

#[test]
fn every_tensor() {
    let honest = compiled(&options(2));
    for (index, tensor) in honest.circuit.tensors.iter().enumerate() {
        let looked_up = matches!(tensor.pieces[0].origin, Origin::Lookup { .. });
        let huge = Interval { min: i64::MIN + 1, max: i64::MAX };
        let error = refused(|made| made.circuit.tensors[index].interval = huge);
        // Accumulators may be of any size that the circuit states and claims allow; tables say what activations can be.
        if looked_up {
            assert!(
                matches!(&error, AuditError::Tensor { tensor: named, .. } if *named == tensor.name),
                "{error}"
            );
        }
        refused(|made| made.circuit.tensors[index].pieces[0].length -= 1);
        refused(|made| made.circuit.tensors[index].name.push('x'));
        refused(|made| drop(made.circuit.tensors.remove(index)));
    }
}

#[test]
fn every_claim_and_matrix() {
    let honest = compiled(&options(2));
    for (index, claim) in honest.circuit.claims.iter().enumerate() {
        refused(|made| made.circuit.claims[index].name.push('x'));
        refused(|made| made.circuit.claims[index].output[0].coefficient = -1);
        refused(|made| drop(made.circuit.claims.remove(index)));
        match claim.relation {
            Relation::Matrix { .. } => {
                refused(|made| match &mut made.circuit.claims[index].relation {
                    Relation::Matrix { ones, input, .. } if ones.is_empty() => drop(input.pop()),
                    Relation::Matrix { ones, .. } => drop(ones.pop()),
                    _ => {}
                });
            }
            Relation::Linear { .. } => {
                refused(|made| {
                    if let Relation::Linear { inputs } = &mut made.circuit.claims[index].relation {
                        inputs[0].coefficient += 1;
                    }
                });
            }
            _ => {}
        }
    }
    for index in 0..honest.circuit.matrices.len() {
        refused(|made| made.circuit.matrices[index].columns += 1);
        refused(|made| made.circuit.matrices[index].public = true);
    }
}

#[test]
fn lookups_and_numbers() {
    refused(|made| made.circuit.lookups.swap(0, 2));
    refused(|made| made.circuit.roles.push("another".into()));
    refused(|made| made.circuit.blinding_rows += 1);
    refused(|made| made.circuit.fold_blinds.runs[0].row += 1);
    refused(|made| made.circuit.publics[0].interval.max += 1);
}

#[test]
fn sizes_are_compared_before_anything_is_made() {
    let short = refused(|made| made.fixed.columns[0].truncate(1));
    assert!(matches!(short, AuditError::Length { column: 0, .. }), "{short}");
    let none = refused(|made| made.fixed.columns.clear());
    assert!(matches!(none, AuditError::Part { part: "fixed columns" }), "{none}");
    let ones = refused(|made| match &mut made.circuit.claims[0].relation {
        Relation::Matrix { ones, .. } => ones.clear(),
        other => panic!("{other:?}"),
    });
    assert!(matches!(ones, AuditError::Part { part: "claims" }), "{ones}");
}
