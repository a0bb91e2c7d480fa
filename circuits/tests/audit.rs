//! Descriptions that the compiler made pass the audit; every change is refused, and the message names it.

mod common;

use common::{Network, RELU, SATURATE, options, visibilities};
use zkloom_circuits::layout::{Effect, Source};
use zkloom_circuits::tables::TableContent;
use zkloom_circuits::{AuditError, CompileOptions, Compiled, audit, compile};
use zkloom_model::integer_graph::IntegerGraph;
use zkloom_plonkish::{Interval, Origin, Relation};

/// Dense layers over positions, two functions, a residual sum with a bias, a reshape.
fn network() -> IntegerGraph {
    let mut network = Network::new(&[3, 5], 3);
    let acc = network.linear("first", network.input(), 4);
    let relu = network.activate("relu", acc, RELU);
    let acc = network.linear("second", relu, 4);
    let saturated = network.activate("saturate", acc, SATURATE);
    let sum = network.sum("residual", &[(relu, 3), (saturated, -2)], (0..12).collect());
    let act = network.activate("again", sum, RELU);
    network.linear("last", act, 3);
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
            for sets in [1, 3] {
                let options = CompileOptions { lanes: Some(lanes), max_table_sets: sets, ..visibility };
                audit(&compiled(&options)).unwrap();
            }
        }
    }
    let mut one = Network::new(&[5], 3);
    one.linear("only", one.input(), 2);
    let _ = compile(&one.graph, &options(1)).map(|made| {
        // Without an activation there is no shift; layouts from files need one.
        assert!(matches!(audit(&made), Err(AuditError::Layout(_)) | Ok(())));
    });
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
fn every_number_of_the_layout() {
    let shift = refused(|made| made.layout.shift += 1);
    assert!(matches!(shift, AuditError::Table { tag: 1, .. }), "{shift}");
    let longer = refused(|made| match &mut made.layout.tables[2].content {
        TableContent::Clamp { quotients, .. } => quotients.max += 1,
        other => panic!("{other:?}"),
    });
    assert!(matches!(longer, AuditError::Table { tag: 3, .. }), "{longer}");
    let function = refused(|made| match &mut made.layout.tables[2].content {
        TableContent::Clamp { max, .. } => *max -= 1,
        other => panic!("{other:?}"),
    });
    assert!(matches!(function, AuditError::Fixed { .. }), "{function}");
    let number = refused(|made| made.layout.tables[3].tag = 9);
    assert!(matches!(number, AuditError::Block { .. } | AuditError::Table { .. }), "{number}");
    for index in 0..compiled(&options(2)).layout.blocks.len() {
        refused(|made| made.layout.blocks[index].interval.max += 1 << 20);
        refused(|made| made.layout.blocks[index].tag += 1);
        refused(|made| made.layout.blocks[index].row += 1);
        refused(|made| made.layout.blocks[index].cells += 1);
        // The number of a bias's node only serves the filling of traces.
        if !matches!(compiled(&options(2)).layout.blocks[index].accumulator, Source::Bias { .. }) {
            refused(|made| made.layout.blocks[index].accumulator = Source::Bias { node: 0 });
        }
        let huge =
            refused(|made| made.layout.blocks[index].interval = Interval { min: i64::MIN, max: i64::MAX });
        assert!(matches!(huge, AuditError::Block { .. }), "{huge}");
    }
    refused(|made| made.layout.lanes = 1);
    refused(|made| made.layout.blocks.clear());
    refused(|made| made.layout.tables.truncate(1));
    let endless = refused(|made| {
        made.layout.tables[1].content =
            TableContent::Input { interval: Interval { min: i64::MIN, max: i64::MAX } };
    });
    assert!(matches!(endless, AuditError::Table { tag: 2, .. }), "{endless}");
}

#[test]
fn every_node_of_the_list() {
    let nodes = compiled(&options(2)).layout.nodes;
    for (index, node) in nodes.iter().enumerate() {
        let wrong = |change: &dyn Fn(&mut Compiled)| match refused(change) {
            AuditError::Node { node, .. } => node,
            other => panic!("{other}"),
        };
        assert_eq!(wrong(&|made| made.layout.nodes[index].shape[0] += 100), node.name);
        assert_eq!(wrong(&|made| made.layout.nodes[index].operator = "Softmax".into()), node.name);
        assert_eq!(wrong(&|made| made.layout.nodes[index].rows += 1), node.name);
        refused(|made| drop(made.layout.nodes.remove(index)));
        refused(|made| match &mut made.layout.nodes[index].effect {
            Effect::Alias {} => made.layout.nodes[index].shape.push(7),
            Effect::Accumulate { interval } | Effect::Activate { interval, .. } => interval.max += 1,
        });
    }
}

#[test]
fn every_part_of_the_circuit() {
    let part = |change: &dyn Fn(&mut Compiled)| match refused(change) {
        AuditError::Part { part } => part,
        other => panic!("{other}"),
    };
    assert_eq!(part(&|made| made.circuit.blinding_rows += 1), "numbers of blinding rows");
    assert_eq!(part(&|made| made.circuit.max_degree += 1), "degrees");
    assert_eq!(part(&|made| made.circuit.lookups[3].selector = 2), "lookups");
    assert_eq!(part(&|made| made.circuit.lookups[1].tuple.swap(0, 1)), "lookups");
    assert_eq!(part(&|made| made.circuit.advice[0].name.push('x')), "advice columns");
    assert_eq!(part(&|made| made.circuit.roles.push("more".into())), "axis roles");
    assert_eq!(part(&|made| made.circuit.fold_blinds.runs[0].row += 1), "random cells of folds");
    refused(|made| drop(made.circuit.lookups.pop()));
}

#[test]
fn every_tensor_and_claim() {
    let honest = compiled(&options(2));
    for index in 0..honest.circuit.tensors.len() {
        refused(|made| made.circuit.tensors[index].interval.max += 1);
        refused(|made| made.circuit.tensors[index].interval.min -= 1);
        refused(|made| drop(made.circuit.tensors.remove(index)));
        refused(|made| made.circuit.tensors[index].pieces.truncate(1));
        refused(|made| {
            made.circuit.tensors[index].pieces[0].origin = match made.circuit.tensors[index].pieces[0].origin
            {
                Origin::Lookup { .. } => Origin::Claim { claim: 0 },
                Origin::Claim { claim } => Origin::Claim { claim: claim + 1 },
            };
        });
    }
    for index in 0..honest.circuit.claims.len() {
        refused(|made| drop(made.circuit.claims.remove(index)));
        refused(|made| made.circuit.claims[index].output[0].offset += 1);
        refused(|made| made.circuit.claims[index].output[0].coefficient = 2);
        refused(|made| drop(made.circuit.claims[index].output.pop()));
        let claim = honest.circuit.claims[index].clone();
        refused(|made| made.circuit.claims.push(claim.clone()));
        if matches!(claim.relation, Relation::Public { .. } | Relation::External { .. }) {
            continue;
        }
        refused(|made| match &mut made.circuit.claims[index].relation {
            Relation::Matrix { ones, .. } => ones.clear(),
            Relation::Linear { inputs } => drop(inputs.pop()),
            other => panic!("{other:?}"),
        });
    }
    // Statements of another interval, or of another tensor.
    refused(|made| made.circuit.publics[0].interval.max += 1);
    refused(|made| made.circuit.publics[0].identifier = 7);
    refused(|made| made.circuit.publics[0].identifier = 0);
}
