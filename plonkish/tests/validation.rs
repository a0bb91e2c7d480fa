//! Every rule of circuits, broken once.

mod common;

use common::{OUT, ROW, Sample, position, public, sample, view};
use zkloom_plonkish::origin::{check_origins, check_public_origins};
use zkloom_plonkish::{
    AdviceColumn, Axis, CellRun, Circuit, CircuitError, Copy, Expression, Monomial, Origin, Query, Relation,
    Segment,
};

type Change = fn(&mut Circuit);
type SampleChange = fn(&mut Sample);

/// Applies each change to the valid circuit and looks for `text` in the error's message.
fn refused(kind: fn(&CircuitError) -> bool, changes: &[(&str, Change)]) {
    for (text, change) in changes {
        let mut circuit = sample().circuit;
        change(&mut circuit);
        let error = circuit.validate().expect_err(text);
        assert!(kind(&error) && error.to_string().contains(text), "{text}: {error}");
    }
}

fn set_input(circuit: &mut Circuit, change: impl Fn(&mut Vec<zkloom_plonkish::View>)) {
    match &mut circuit.claims[0].relation {
        Relation::Matrix { input, .. } => change(input),
        _ => panic!("the first claim is the matrix's"),
    }
}

fn set_ones(circuit: &mut Circuit, change: impl Fn(&mut zkloom_plonkish::ConstantOnes)) {
    match &mut circuit.claims[0].relation {
        Relation::Matrix { ones, .. } => change(&mut ones[0]),
        _ => panic!("the first claim is the matrix's"),
    }
}

fn set_product(circuit: &mut Circuit, change: impl Fn(&mut u32, &mut Vec<zkloom_plonkish::View>)) {
    match &mut circuit.claims[2].relation {
        Relation::Product { right, length, .. } => change(length, right),
        _ => panic!("the third claim is the product's"),
    }
}

#[test]
fn the_sample_is_valid() {
    let Sample { circuit, fixed, weights, .. } = sample();
    circuit.validate().unwrap();
    check_origins(&circuit, &fixed, &weights).unwrap();
}

#[test]
fn sizes() {
    refused(
        |error| matches!(error, CircuitError::Size { .. }),
        &[
            ("number of rows", |c| c.log_rows = 1),
            ("number of rows", |c| c.log_rows = 29),
            ("blinding rows is 3", |c| c.blinding_rows = 3),
            ("blinding rows is 32", |c| c.blinding_rows = 32),
            // Column a is opened at two rotations.
            ("blinding rows is 4", |c| c.blinding_rows = 4),
            ("maximal degree is 2", |c| c.max_degree = 2),
            ("maximal degree is 10", |c| c.max_degree = 10),
            ("rotation in gate", |c| {
                c.gates[0].polynomial = Expression::Leaf(Query { rotation: -6, ..Query::advice(0) });
            }),
            ("coordinates of lookup", |c| c.lookups[0].tuple.clear()),
            ("coordinates of lookup", |c| c.lookups[0].tuple.push(Expression::zero())),
            ("coordinates of table set 1", |c| {
                let mut set = c.table_sets[0].clone();
                set.values.clear();
                c.table_sets.push(set);
            }),
            ("rows of matrix", |c| c.matrices[0].rows = 0),
            ("columns of matrix", |c| c.matrices[0].columns = u32::MAX),
            ("claims about matrix", |c| c.matrices.push(c.matrices[0].clone())),
            ("position axis", |c| set_ones(c, |one| one.axes = vec![position(0, Monomial::role(ROW, 1))])),
            ("last column of constant ones", |c| set_ones(c, |one| one.column = 7)),
            ("last column of constant ones", |c| {
                set_ones(c, |one| one.axes = vec![position(2, Monomial::fold(1))]);
            }),
            ("last column of constant ones", |c| {
                let axis = |count, exponent| position(count, Monomial::fold(exponent));
                set_ones(c, |one| (one.column, one.axes) = (1, vec![axis(3, 2), axis(3, 1)]));
            }),
            ("exponent", |c| c.claims[1].output[0].scale = Monomial::role(OUT, u32::MAX)),
            ("segment", |c| set_input(c, |views| views[0].axes[0].segments[0].count = u32::MAX)),
            ("number of cells of a view", |c| {
                let huge = Axis::dense(1 << 20, 0, Monomial::one());
                set_input(c, |views| views[0].axes.extend([huge.clone(), huge.clone()]));
            }),
            ("last fold entry", |c| c.matrices[0].columns = 5),
            ("last fold entry", |c| set_input(c, |views| views[0].scale = Monomial::fold(2))),
            ("contraction length", |c| set_product(c, |length, _| *length = 0)),
            ("last fold entry", |c| set_product(c, |length, _| *length = 2)),
            ("cells of claim `shown`", |c| c.publics[0].length = 5),
            ("cells of claim `committed`", |c| c.externals[0].length = 7),
            ("random runs of folds", |c| {
                c.fold_blinds.runs.pop();
            }),
            ("random entries of a fold", |c| c.fold_blinds.count = 2),
            ("length of public tensor", |c| {
                c.publics.push(c.publics[0].clone());
                c.publics[1].length = 0;
            }),
            ("claims about public tensor", |c| c.publics.push(c.publics[0].clone())),
            ("extent of external vector", |c| c.externals[0].offset = u32::MAX),
            ("claims about external vector", |c| c.externals.push(c.externals[0].clone())),
        ],
    );
}

#[test]
fn missing_parts() {
    refused(
        |error| matches!(error, CircuitError::Missing { .. }),
        &[
            ("advice column 3", |c| c.gates[0].polynomial = Expression::Leaf(Query::advice(3))),
            ("fixed column 6", |c| c.gates[0].polynomial = Expression::Leaf(Query::fixed(6))),
            ("table set 0", |c| c.table_sets.clear()),
            ("fixed column 9", |c| c.lookups[0].selector = 9),
            ("fixed column 8", |c| c.table_sets[0].values[0] = 8),
            ("fixed column 7", |c| c.table_sets[0].tag = 7),
            ("`idle` refers to use", |c| c.advice.push(AdviceColumn { name: "idle".into(), tensor: false })),
            ("axis role 3", |c| c.matrices[0].row_role = 3),
            ("matrix 0", |c| c.matrices.clear()),
            ("axis role 4", |c| c.claims[1].output[0].scale = Monomial::role(4, 1)),
            ("tensor column 2", |c| c.claims[1].output[0].column = 2),
            ("public tensor 0", |c| c.publics.clear()),
            ("external vector 0", |c| c.externals.clear()),
            ("tensor column 5", |c| c.fold_blinds.runs[1].column = 5),
            ("tensor column 4", |c| c.tensors[0].pieces[0].column = 4),
        ],
    );
}

#[test]
fn degrees() {
    refused(
        |error| matches!(error, CircuitError::Degree { .. }),
        &[
            ("gate `square` has degree 4", |c| {
                c.gates[0].polynomial = c.gates[0].polynomial.clone() * Expression::Leaf(Query::advice(1));
            }),
            ("lookup `range` has degree 2", |c| {
                c.lookups[0].tuple[0] = c.lookups[0].tuple[0].clone() * Expression::Leaf(Query::fixed(0));
            }),
            ("lookup `range` has degree 2", |c| {
                c.lookups[0].tag = c.lookups[0].tag.clone() * Expression::Leaf(Query::fixed(0));
            }),
        ],
    );
}

#[test]
fn views_and_runs_out_of_bounds() {
    refused(
        |error| matches!(error, CircuitError::Reach { limit: 27, .. }),
        &[
            ("claim `double`: a view reaches row 27", |c| c.claims[1].output[0].offset = 22),
            ("claim `dense`: a view reaches row 30", |c| set_input(c, |v| v[0].axes[0].segments[0].step = 6)),
            ("claim `product`", |c| set_product(c, |_, right| right[0].offset = 25)),
            ("random run: a view reaches row 27", |c| c.fold_blinds.runs[2].row = 25),
            ("tensor `p`: a view reaches row 28", |c| c.tensors[3].pieces[0].offset = 25),
        ],
    );
}

#[test]
fn monomials_that_do_not_tell_cells_apart() {
    refused(
        |error| matches!(error, CircuitError::Monomials { .. }),
        &[
            ("canonical form", |c| c.claims[1].output[0].scale = Monomial::fold(1)),
            ("canonical form", |c| {
                let mut twice = Monomial::role(OUT, 1);
                twice.powers.extend(Monomial::role(OUT, 1).powers);
                set_input(c, |views| views[0].scale = twice.clone());
            }),
            ("coefficient zero", |c| c.claims[1].output[0].coefficient = 0),
            ("not one segment", |c| c.claims[1].output[0].axes[0].segments.clear()),
            ("not one role", |c| c.claims[1].output[0].axes[0].segments[0].ratio = Monomial::one()),
            ("not one role", |c| {
                c.claims[1].output[0].axes[0].segments[0].ratio =
                    Monomial::role(OUT, 1).times(&Monomial::role(ROW, 1));
            }),
            ("shares its role", |c| {
                c.claims[1].output[0].axes[0].segments[0].ratio = Monomial::role(OUT, 2);
            }),
            ("shares its role", |c| {
                c.claims[1].output[0].axes[0].segments[0].scale = Monomial::role(ROW, 1);
            }),
            ("shares its role", |c| {
                c.claims[2].output[0].axes[1].segments[0].ratio = Monomial::role(ROW, 1);
            }),
            ("several times", |c| c.claims[1].output[0].axes[0].segments[0].step = 0),
            ("share a monomial", |c| {
                let again = c.claims[1].output[0].clone();
                c.claims[1].output.push(again);
            }),
            ("share a monomial", |c| {
                // Exponents 5 and on, where the first view has 0 to 5.
                let mut again = c.claims[1].output[0].clone();
                again.scale = Monomial::role(OUT, 5);
                c.claims[1].output.push(again);
            }),
            ("one axis", |c| c.claims[3].output[0].axes.clear()),
            ("numbered by powers", |c| {
                c.claims[3].output[0].axes[0].segments[0].ratio = Monomial::role(OUT, 1)
            }),
            ("numbered by powers", |c| c.claims[3].output[0].scale = public(1)),
            ("numbered by powers", |c| c.claims[4].output[0].coefficient = 2),
        ],
    );
}

#[test]
fn pieces_of_a_vector_follow_one_another() {
    let mut circuit = sample().circuit;
    let mut second = circuit.claims[3].output[0].clone();
    circuit.claims[3].output[0].axes[0].segments[0].count = 2;
    second.offset += 2;
    second.scale = public(2);
    second.axes[0].segments[0].count = 4;
    circuit.claims[3].output.push(second);
    circuit.validate().unwrap();
    circuit.claims[3].output.reverse();
    assert!(matches!(circuit.validate(), Err(CircuitError::Monomials { .. })));
}

#[test]
fn disjoint_boxes_are_accepted() {
    let mut circuit = sample().circuit;
    let mut second = circuit.claims[1].output[0].clone();
    second.scale = Monomial::role(OUT, 6);
    circuit.claims[1].output.push(second);
    circuit.validate().unwrap();
}

#[test]
fn overlaps() {
    refused(
        |error| matches!(error, CircuitError::Origin { .. }),
        &[
            ("row 8 of tensor column 1", |c| c.tensors[3].pieces[0].offset = 8),
            ("row 15 of tensor column 0", |c| c.fold_blinds.runs[2].row = 15),
            ("row 5 of tensor column 0", |c| c.fold_blinds.runs[0] = CellRun { column: 0, row: 5 }),
        ],
    );
}

#[test]
fn copies_wait_for_their_argument() {
    let mut circuit = sample().circuit;
    circuit.copies.push(Copy { left_column: 0, left_row: 0, right_column: 1, right_row: 1 });
    assert_eq!(circuit.validate(), Err(CircuitError::Unsupported { what: "copy constraints" }));
}

/// Applies each change to circuit, fixed values and weights and looks for `text` in the origin check's refusal.
fn origin_refused(changes: &[(&str, SampleChange)]) {
    for (text, change) in changes {
        let mut changed = sample();
        change(&mut changed);
        let error = check_origins(&changed.circuit, &changed.fixed, &changed.weights).expect_err(text);
        assert!(
            matches!(error, CircuitError::Origin { .. }) && error.to_string().contains(text),
            "{text}: {error}"
        );
    }
}

#[test]
fn lookups_that_do_not_range() {
    origin_refused(&[
        ("no coordinate 1", |s| {
            s.circuit.tensors[0].pieces[0].origin = Origin::Lookup { lookup: 0, coordinate: 1 };
        }),
        ("lookup 7 has no", |s| {
            s.circuit.tensors[0].pieces[0].origin = Origin::Lookup { lookup: 7, coordinate: 0 };
        }),
        ("own column", |s| s.circuit.lookups[0].tuple[0] = Expression::Leaf(Query::advice(1))),
        ("own column", |s| {
            s.circuit.lookups[0].tuple[0] = Expression::Leaf(Query { rotation: 1, ..Query::advice(0) });
        }),
        ("not a fixed column", |s| s.circuit.lookups[0].tag = Expression::Leaf(Query::advice(1))),
        ("range row 5", |s| s.fixed.columns[0][5] = 0),
        ("range row 3 (table 2)", |s| s.fixed.columns[1][3] = 2),
        ("range row 0 (table 1)", |s| s.fixed.columns[2][9] = 100),
        ("range row 6", |s| s.circuit.tensors[0].pieces[0].length = 7),
    ]);
}

#[test]
fn claims_that_do_not_bound() {
    origin_refused(&[
        ("claim 9 does not exist", |s| s.circuit.tensors[1].pieces[0].origin = Origin::Claim { claim: 9 }),
        ("says nothing of row 0", |s| s.circuit.tensors[1].pieces[0].origin = Origin::Claim { claim: 1 }),
        ("says nothing of row 2", |s| s.circuit.claims[0].output[0].axes[0].segments[0].count = 2),
        ("without an earlier origin", |s| s.circuit.tensors.swap(0, 2)),
        ("without an earlier origin", |s| {
            s.circuit.claims[1].relation = Relation::Linear {
                inputs: vec![view(1, 3, -1, vec![Axis::dense(6, 1, Monomial::role(OUT, 1))])],
            };
        }),
        ("implies -16..=16, declared is -15..=16", |s| s.circuit.tensors[2].interval.min = -15),
        ("implies -192..=192, declared is -192..=191", |s| s.circuit.tensors[3].interval.max = 191),
        ("claim `dense` implies", |s| s.circuit.tensors[1].interval.max = 20),
        ("claim `dense` implies", |s| s.weights[0].entries[13] = 2000),
        ("has no values", |s| s.weights.clear()),
        ("claim `shown` implies -17..=16", |s| {
            s.circuit.tensors[2].pieces[0].origin = Origin::Claim { claim: 3 };
            s.circuit.publics[0].interval.min = -17;
        }),
        ("public tensor 0 does not exist", |s| {
            s.circuit.tensors[2].pieces[0].origin = Origin::Claim { claim: 3 };
            s.circuit.publics.clear();
        }),
    ]);
}

/// Whoever does not know the matrices takes their products' intervals as declared, and checks everything else.
#[test]
fn origins_without_matrices() {
    let check = |change: fn(&mut Sample)| {
        let mut changed = sample();
        change(&mut changed);
        check_public_origins(&changed.circuit, &changed.fixed)
    };
    assert_eq!(check(|_| {}), Ok(()));
    assert_eq!(check(|s| s.circuit.tensors[1].interval.max = 20), Ok(()));
    let refused: [fn(&mut Sample); 4] = [
        |s| s.fixed.columns[0][5] = 0,
        |s| s.circuit.tensors[2].interval.min = -15,
        |s| s.circuit.claims[0].output[0].axes[0].segments[0].count = 2,
        |s| s.circuit.tensors.swap(0, 2),
    ];
    for change in refused {
        assert!(matches!(check(change), Err(CircuitError::Origin { .. })));
    }
}

/// `2 s = x` bounds nothing: for an odd x the cell s is the field's half of it.
#[test]
fn a_claim_about_a_multiple_bounds_nothing() {
    for coefficient in [2, -1, 7] {
        let mut changed = sample();
        changed.circuit.claims[1].output[0].coefficient = coefficient;
        changed.circuit.validate().unwrap();
        let result = check_origins(&changed.circuit, &changed.fixed, &changed.weights);
        assert!(matches!(result, Err(CircuitError::Origin { .. })), "coefficient {coefficient}");
    }
}

/// Reading a tensor twice doubles what its claim implies, however the second reading is written.
#[test]
fn cells_that_share_a_monomial_add_up() {
    origin_refused(&[
        ("claim `double` implies -32..=32", |s| match &mut s.circuit.claims[1].relation {
            Relation::Linear { inputs } => inputs.push(inputs[0].clone()),
            _ => panic!("the second claim is linear"),
        }),
        ("claim `double` implies -64..=64", |s| {
            // Exponents i + j: up to two cells have one, and the bound takes all four.
            let axes =
                vec![Axis::dense(2, 2, Monomial::role(OUT, 1)), Axis::dense(2, 1, Monomial::role(OUT, 1))];
            s.circuit.claims[1].relation = Relation::Linear { inputs: vec![view(0, 0, -2, axes)] };
        }),
        ("claim `double` implies -48..=48", |s| {
            let axes = vec![Axis::dense(3, 1, Monomial::one()), Axis::dense(2, 3, Monomial::role(OUT, 1))];
            s.circuit.claims[1].relation = Relation::Linear { inputs: vec![view(0, 0, -2, axes)] };
        }),
        ("both factors", |s| {
            set_product(&mut s.circuit, |_, right| {
                right[0].axes[1].segments[0].ratio = Monomial::role(ROW, 1);
            });
        }),
        ("one axis role", |s| set_input(&mut s.circuit, |views| views[0].scale = Monomial::role(OUT, 1))),
        ("one axis role", |s| set_ones(&mut s.circuit, |one| one.scale = Monomial::role(OUT, 1))),
    ]);
}

/// Range that the check derives for the dense layer, with all weights one and the bias 100.
fn dense_range(change: impl Fn(&mut Circuit)) -> String {
    let mut changed = sample();
    changed.weights[0].entries = [1, 1, 1, 1, 1, 1, 100].repeat(3);
    changed.circuit.tensors[1].interval = zkloom_plonkish::Interval { min: 0, max: 0 };
    change(&mut changed.circuit);
    let error = check_origins(&changed.circuit, &changed.fixed, &changed.weights).unwrap_err().to_string();
    error.split("implies ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or(&error).to_owned()
}

#[test]
fn inputs_and_constant_ones_are_counted() {
    // Six inputs in -8..=7, whose interval is declared as -8..=8, and the bias.
    assert_eq!(dense_range(|_| {}), "0..=148");
    let twice = |c: &mut Circuit| set_input(c, |views| views.push(views[0].clone()));
    assert_eq!(dense_range(twice), "0..=196");
    // Two halves of the input are apart, so nothing is doubled.
    let halves = |c: &mut Circuit| {
        set_input(c, |views| {
            views[0].axes[0].segments[0].count = 3;
            let mut second = views[0].clone();
            (second.offset, second.scale) = (3, Monomial::fold(3));
            views.push(second);
        });
    };
    assert_eq!(dense_range(halves), "0..=148");
    let overlapping = |c: &mut Circuit| {
        halves(c);
        set_input(c, |views| views[1].scale = Monomial::fold(2));
    };
    assert_eq!(dense_range(overlapping), "0..=180");
    let none = |c: &mut Circuit| match &mut c.claims[0].relation {
        Relation::Matrix { ones, .. } => ones.clear(),
        _ => panic!("the first claim is the matrix's"),
    };
    assert_eq!(dense_range(none), "-48..=48");
    let doubled = |c: &mut Circuit| match &mut c.claims[0].relation {
        Relation::Matrix { ones, .. } => ones.push(ones[0].clone()),
        _ => panic!("the first claim is the matrix's"),
    };
    assert_eq!(dense_range(doubled), "-48..=248");
    // A one that meets an input's weight, and no bias.
    assert_eq!(dense_range(|c| set_ones(c, |one| one.column = 0)), "-47..=49");
    // Ones at positions that the output lacks, and at fewer or more than one of its own.
    assert_eq!(dense_range(|c| set_ones(c, |one| one.scale = Monomial::role(ROW, 1))), "-48..=100");
    let repeated = |c: &mut Circuit| set_ones(c, |one| one.axes = vec![position(3, Monomial::one())]);
    assert_eq!(dense_range(repeated), "-48..=348");
    let wider = |c: &mut Circuit| set_ones(c, |one| one.axes = vec![position(3, Monomial::role(ROW, 1))]);
    assert_eq!(dense_range(wider), "0..=148");
}

#[test]
fn columns_count_for_their_own_group_only() {
    // Two groups of three inputs, each with a one; their weights are six times 1, then 100.
    let group = |count, fold| Axis::dense(count, 1, Monomial::role(ROW, 1).times(&Monomial::fold(fold)));
    let grouped = |c: &mut Circuit| {
        set_input(c, |views| {
            views[0].axes = vec![group(2, 3), Axis::dense(3, 1, Monomial::fold(1))];
            views[0].axes[0].segments[0].step = 3;
        });
    };
    let ones = |c: &mut Circuit, column, count, ratio: &Monomial| {
        set_ones(c, |one| (one.column, one.axes) = (column, vec![position(count, ratio.clone())]));
    };
    let along = Monomial::role(ROW, 1).times(&Monomial::fold(1));
    // Three inputs in -8..=8 for each group. The first group's one meets the second group's last weight, so that this column
    // counts for both: with the inputs' at most 9, at least -8. The second group's one has the bias to itself.
    let apart = |c: &mut Circuit| {
        grouped(c);
        ones(c, 5, 2, &along);
        c.claims[0].output[0].axes = vec![Axis::dense(3, 1, Monomial::role(OUT, 1))];
    };
    assert_eq!(dense_range(apart), "-32..=125");
    // The same input for two groups, its copies three columns apart.
    let copied = |c: &mut Circuit| {
        set_input(c, |views| {
            views[0].axes = vec![Axis::dense(3, 1, Monomial::fold(1)), group(2, 3)];
            views[0].axes[1].segments[0].step = 0;
        });
        ones(c, 6, 1, &Monomial::one());
    };
    assert_eq!(dense_range(copied), "-24..=124");
    // Two lanes of such an input are apart in each copy.
    let lanes = |c: &mut Circuit| {
        copied(c);
        set_input(c, |views| {
            views[0].axes[0].segments[0].count = 2;
            let mut second = views[0].clone();
            (second.offset, second.scale) = (2, Monomial::fold(2));
            second.axes.remove(0);
            views.push(second);
        });
    };
    assert_eq!(dense_range(lanes), "-24..=124");
    // Copies two columns apart overlap, and the groups still tell them apart.
    let close = |c: &mut Circuit| {
        lanes(c);
        set_input(c, |views| {
            views.iter_mut().for_each(|view| {
                view.axes.last_mut().unwrap().segments[0].ratio =
                    Monomial::role(ROW, 1).times(&Monomial::fold(2));
            });
        });
    };
    assert_eq!(dense_range(close), "-24..=124");
}

#[test]
fn exponents_that_work_like_digits_are_apart() {
    let fold = |step, ratio| move |count| Axis::dense(count, step, Monomial::fold(ratio));
    let axes = |axes: Vec<Axis>| dense_range(|c| set_input(c, |views| views[0].axes.clone_from(&axes)));
    // Entries 3 i + j, in either order of the axes.
    assert_eq!(axes(vec![fold(3, 3)(2), fold(1, 1)(3)]), "0..=148");
    assert_eq!(axes(vec![fold(1, 1)(3), fold(3, 3)(2)]), "0..=148");
    // Entries 2 i + j: two is met twice, so the bound takes all six cells for each of five entries.
    assert_eq!(axes(vec![fold(3, 2)(2), fold(1, 1)(3)]), "-140..=340");
    // Segments for kernel offsets, as in a convolution.
    let segment = |start, exponent| Segment {
        start,
        count: 1,
        step: 1,
        ratio: Monomial::role(ROW, 1),
        scale: Monomial::fold(exponent),
    };
    let rows = |second| Axis { segments: vec![segment(0, 0), segment(3, second)] };
    assert_eq!(axes(vec![rows(3), fold(1, 1)(3)]), "0..=148");
    assert_eq!(axes(vec![rows(2), fold(1, 1)(3)]), "-140..=340");
}

#[test]
fn bounds_on_the_work_of_a_key() {
    refused(
        |error| matches!(error, CircuitError::Size { .. }),
        &[
            ("blinding rows is 300", |c| {
                c.log_rows = 14;
                c.blinding_rows = 300;
            }),
            ("length of a name", |c| c.claims[0].name = "x".repeat(300)),
            ("number of coordinates of tables", |c| c.table_sets[0].values = vec![0; 17]),
            ("number of output views", |c| {
                let view = c.claims[0].output[0].clone();
                c.claims[0].output = vec![view; 257];
            }),
            ("number of rotations", |c| {
                c.log_rows = 7;
                c.blinding_rows = 40;
                let reads = (0..33).map(|rotation| Expression::Leaf(Query { rotation, ..Query::advice(0) }));
                c.gates.push(zkloom_plonkish::Gate {
                    name: "far".to_owned(),
                    polynomial: Expression::Sum(reads.collect()),
                });
            }),
            ("one identifier", |c| {
                let first = c.publics[0].clone();
                c.publics.push(first);
                let claim =
                    c.claims.iter().find(|claim| matches!(claim.relation, Relation::Public { .. })).cloned();
                let mut claim = claim.expect("the sample has a public tensor");
                claim.relation = Relation::Public { tensor: c.publics.len() as u32 - 1 };
                c.claims.push(claim);
            }),
        ],
    );
}

#[test]
fn cells_without_a_tensor_are_not_read() {
    let undeclared = |text: &str, change: Change| {
        refused(|error| matches!(error, CircuitError::Origin { .. }), &[(text, change)]);
    };
    undeclared("no tensor declares", |c| c.tensors.clear());
    undeclared("no tensor declares", |c| {
        c.tensors.remove(0);
    });
    // A view that starts in one tensor and ends in the next.
    undeclared("no tensor declares", |c| set_input(c, |input| input[0].offset += 1));
    // The random cells of a fold.
    undeclared("no tensor declares", |c| {
        let run = c.fold_blinds.runs[0];
        set_input(c, |input| {
            input[0] = zkloom_plonkish::View {
                column: run.column,
                offset: run.row,
                axes: vec![],
                ..input[0].clone()
            };
        });
    });
}
