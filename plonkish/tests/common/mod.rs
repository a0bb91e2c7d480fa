//! A small circuit with every kind of part, and a witness that satisfies it.

// Each test file uses a part of this.
#![allow(dead_code)]

use zkloom_plonkish::claim::{FoldBlinds, PositionAxis};
use zkloom_plonkish::field::from_integer;
use zkloom_plonkish::{
    AdviceColumn, Axis, CellRun, Circuit, Claim, Column, ConstantOnes, Expression, ExternalVector,
    FixedColumn, FixedValues, Gate, IntegerMatrix, Interval, Lookup, Matrix, Monomial, Origin, Piece,
    PublicTensor, Query, Relation, TableSet, Tensor, Variable, View, Witness,
};

/// Roles of the sample circuit.
pub const OUT: u32 = 0;
pub const ROW: u32 = 1;
pub const COLUMN: u32 = 2;

/// Values of the input tensor x.
pub const X: [i64; 6] = [3, -8, 7, 0, 1, -2];

pub struct Sample {
    pub circuit: Circuit,
    pub fixed: FixedValues,
    pub weights: Vec<IntegerMatrix>,
    pub witness: Witness,
}

pub fn view(column: u32, offset: u32, coefficient: i64, axes: Vec<Axis>) -> View {
    View { column, offset, coefficient, scale: Monomial::one(), axes }
}

pub fn public(exponent: u32) -> Monomial {
    Monomial::power(Variable::Public {}, exponent)
}

fn advice(index: u32, rotation: i32) -> Expression<Query> {
    Expression::Leaf(Query { column: Column::Advice { index }, rotation })
}

fn fixed(index: u32) -> Expression<Query> {
    Expression::Leaf(Query::fixed(index))
}

/// `r = a^2` on the rows of x, and the same of the next row on row 0.
fn gates() -> Vec<Gate> {
    let square = |rotation| advice(2, rotation) - advice(0, rotation) * advice(0, rotation);
    vec![
        Gate { name: "square".into(), polynomial: fixed(0) * square(0) },
        Gate { name: "next square".into(), polynomial: fixed(5) * square(1) },
    ]
}

fn claims() -> Vec<Claim> {
    let dense = |count, role| Axis::dense(count, 1, Monomial::role(role, 1));
    let step = |count, step, ratio| Axis::dense(count, step, ratio);
    let all =
        |column, offset, coefficient, ratio| vec![view(column, offset, coefficient, vec![step(6, 1, ratio)])];
    let claim = |name: &str, output, relation| Claim { name: name.into(), output, relation };
    let ones = vec![ConstantOnes { column: 6, scale: Monomial::one(), axes: vec![] }];
    let input = all(0, 0, 1, Monomial::fold(1));
    let left = view(0, 0, 1, vec![dense(2, ROW).with_step(3), step(3, 1, Monomial::fold(1))]);
    let right = view(0, 0, 1, vec![step(3, 2, Monomial::fold(1)), dense(2, COLUMN)]);
    let product = Relation::Product { left: vec![left], right: vec![right], length: 3 };
    vec![
        claim("dense", vec![view(1, 0, 1, vec![dense(3, OUT)])], Relation::Matrix { matrix: 0, input, ones }),
        claim(
            "double",
            all(1, 3, 1, Monomial::role(OUT, 1)),
            Relation::Linear { inputs: all(0, 0, -2, Monomial::role(OUT, 1)) },
        ),
        claim("product", vec![view(1, 9, 1, vec![dense(2, ROW).with_step(2), dense(2, COLUMN)])], product),
        claim("shown", all(1, 3, 1, public(1)), Relation::Public { tensor: 0 }),
        claim("committed", all(0, 0, 1, public(1)), Relation::External { vector: 0 }),
    ]
}

trait WithStep {
    fn with_step(self, step: u32) -> Self;
}

impl WithStep for Axis {
    fn with_step(mut self, step: u32) -> Self {
        self.segments.iter_mut().for_each(|segment| segment.step = step);
        self
    }
}

fn tensors() -> Vec<Tensor> {
    let tensor = |name: &str, bound: i64, column, offset, length, origin| Tensor {
        name: name.into(),
        interval: Interval { min: -bound, max: bound },
        pieces: vec![Piece { column, offset, length, origin }],
    };
    vec![
        tensor("x", 8, 0, 0, 6, Origin::Lookup { lookup: 0, coordinate: 0 }),
        tensor("y", 1000, 1, 0, 3, Origin::Claim { claim: 0 }),
        tensor("s", 16, 1, 3, 6, Origin::Claim { claim: 1 }),
        tensor("p", 192, 1, 9, 4, Origin::Claim { claim: 2 }),
    ]
}

fn circuit() -> Circuit {
    let column = |name: &str, tensor| AdviceColumn { name: name.into(), tensor };
    let names = ["selector", "tag", "table", "table tag", "table selector", "first"];
    Circuit {
        log_rows: 5,
        blinding_rows: 5,
        max_degree: 3,
        advice: vec![column("a", true), column("b", true), column("r", false)],
        fixed: names.iter().map(|name| FixedColumn { name: (*name).into() }).collect(),
        gates: gates(),
        table_sets: vec![TableSet { values: vec![2], tag: 3, selector: 4 }],
        lookups: vec![Lookup { name: "range".into(), selector: 0, tuple: vec![advice(0, 0)], tag: fixed(1) }],
        copies: vec![],
        roles: ["out", "row", "column"].map(String::from).to_vec(),
        matrices: vec![Matrix { name: "weights".into(), rows: 3, columns: 7, public: false, row_role: OUT }],
        claims: claims(),
        publics: vec![PublicTensor {
            identifier: 1,
            name: "shown".into(),
            length: 6,
            interval: Interval { min: -16, max: 16 },
        }],
        externals: vec![ExternalVector { identifier: 2, name: "committed".into(), length: 6, offset: 2 }],
        fold_blinds: FoldBlinds {
            count: 3,
            runs: (0..3).map(|i| CellRun { column: 0, row: 10 + 3 * i }).collect(),
        },
        tensors: tensors(),
    }
}

/// The sample; `circuit` is valid, its origins hold, and the witness satisfies it.
pub fn sample() -> Sample {
    let fixed = FixedValues {
        columns: vec![vec![1; 6], vec![1; 6], (-8..8).collect(), vec![1; 16], vec![1; 16], vec![1]],
    };
    let entries: Vec<i64> = (0..21).map(|i| (i * 7) % 11 - 5).collect();
    let dense = entries.chunks(7).map(|row| row.iter().zip(X).map(|(w, x)| w * x).sum::<i64>() + row[6]);
    let double: Vec<i64> = X.iter().map(|x| 2 * x).collect();
    let entry = |i: usize, j: usize| (0..3).map(|k| X[i * 3 + k] * X[k * 2 + j]).sum::<i64>();
    let product = [entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1)];
    let b = dense.chain(double.iter().copied()).chain(product).collect();
    let external = [99, 98].into_iter().chain(X).map(from_integer).collect();
    let witness = Witness {
        advice: vec![X.to_vec(), b, X.map(|x| x * x).to_vec()],
        publics: vec![double],
        externals: vec![external],
    };
    Sample { circuit: circuit(), fixed, weights: vec![IntegerMatrix { width: 7, entries }], witness }
}

/// A position axis for constant-one inputs.
pub fn position(count: u32, ratio: Monomial) -> PositionAxis {
    PositionAxis { count, ratio }
}
