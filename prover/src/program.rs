//! Expressions as gate programs for a device.

use std::collections::HashMap;
use std::hash::Hash;

use ark_bn254::Fr;
use ark_ff::{One, Zero};
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_plonkish::Expression;

/// A leaf as a device input: which vector, at which row offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InputRef<K> {
    /// Names the vector.
    pub vector: K,
    /// Row offset.
    pub rotation: i32,
}

/// A program, the vectors that it reads in order, and its constants.
#[derive(Clone, Debug)]
pub struct Compiled<K> {
    /// The program.
    pub program: Program,
    /// Input vectors in order.
    pub inputs: Vec<K>,
    /// Values of its constants.
    pub constants: Vec<Fr>,
}

/// Collects operations; equal ones are made once.
struct Compiler<K> {
    operations: Vec<Operation>,
    known: HashMap<Operation, u32>,
    inputs: Vec<K>,
    positions: HashMap<K, u32>,
    constants: Vec<Fr>,
    constant_positions: HashMap<Fr, u32>,
}

/// Compiles an expression whose leaves are vectors at row offsets.
pub fn compile<L, K: Copy + Eq + Hash>(
    expression: &Expression<L>,
    leaf: &impl Fn(&L) -> InputRef<K>,
) -> Compiled<K> {
    let mut compiler = Compiler {
        operations: Vec::new(),
        known: HashMap::new(),
        inputs: Vec::new(),
        positions: HashMap::new(),
        constants: Vec::new(),
        constant_positions: HashMap::new(),
    };
    let output = compiler.expression(expression, leaf);
    let program = Program {
        inputs: compiler.inputs.len() as u32,
        constants: compiler.constants.len() as u32,
        operations: compiler.operations,
        output: Some(output),
    };
    Compiled { program, inputs: compiler.inputs, constants: compiler.constants }
}

impl<K: Copy + Eq + Hash> Compiler<K> {
    fn constant(&mut self, value: Fr) -> Operand {
        let next = self.constants.len() as u32;
        let index = *self.constant_positions.entry(value).or_insert(next);
        if index == next {
            self.constants.push(value);
        }
        Operand::Constant(index)
    }

    fn input(&mut self, input: InputRef<K>) -> Operand {
        let next = self.inputs.len() as u32;
        let index = *self.positions.entry(input.vector).or_insert(next);
        if index == next {
            self.inputs.push(input.vector);
        }
        Operand::Input { index, rotation: input.rotation }
    }

    fn operation(&mut self, operation: Operation) -> Operand {
        let next = self.operations.len() as u32;
        let index = *self.known.entry(operation).or_insert(next);
        if index == next {
            self.operations.push(operation);
        }
        Operand::Result(index)
    }

    fn expression<L>(&mut self, expression: &Expression<L>, leaf: &impl Fn(&L) -> InputRef<K>) -> Operand {
        match expression {
            Expression::Constant(value) => self.constant(*value),
            Expression::Leaf(inner) => self.input(leaf(inner)),
            Expression::Sum(terms) => self.sum(terms, leaf),
            Expression::Product(factors) => {
                let mut product = None;
                let mut scale = Fr::one();
                for factor in factors {
                    if let Expression::Constant(value) = factor {
                        scale *= value;
                        continue;
                    }
                    let next = self.expression(factor, leaf);
                    product = Some(match product {
                        None => next,
                        Some(before) => self.operation(Operation::Multiply(before, next)),
                    });
                }
                match product {
                    None => self.constant(scale),
                    Some(product) if scale.is_one() => product,
                    Some(product) => {
                        let scale = self.constant(scale);
                        self.operation(Operation::Multiply(product, scale))
                    }
                }
            }
        }
    }

    fn sum<L>(&mut self, terms: &[Expression<L>], leaf: &impl Fn(&L) -> InputRef<K>) -> Operand {
        let mut sum = None;
        for term in terms {
            // A term times minus one is a subtraction.
            let negated = match term {
                Expression::Product(factors) => match factors.split_first() {
                    Some((Expression::Constant(value), rest)) if *value == -Fr::one() => Some(rest),
                    _ => None,
                },
                _ => None,
            };
            sum = Some(match (sum, negated) {
                (Some(before), Some([single])) => {
                    let next = self.expression(single, leaf);
                    self.operation(Operation::Subtract(before, next))
                }
                (Some(before), _) => {
                    let next = self.expression(term, leaf);
                    self.operation(Operation::Add(before, next))
                }
                (None, _) => self.expression(term, leaf),
            });
        }
        sum.unwrap_or_else(|| self.constant(Fr::zero()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkloom_backends::{Backend, CpuBackend};

    #[test]
    fn programs_compute_their_expressions() {
        type E = Expression<(u8, i32)>;
        let x = || E::Leaf((0, 0));
        let y = || E::Leaf((1, 0));
        let next = || E::Leaf((0, 1));
        let expression = (x() * y() - next()).scale(Fr::from(3)) + E::integer(5) - x() * y() + E::Sum(vec![]);
        let compiled =
            compile(&expression, &|(vector, rotation)| InputRef { vector: *vector, rotation: *rotation });
        assert_eq!(compiled.inputs, [0, 1]);
        let backend = CpuBackend::new(Some(1)).unwrap();
        let values = |seed: u64| (0..8).map(|i| Fr::from(seed * 17 + i * i)).collect::<Vec<_>>();
        let (a, b) = (values(1), values(5));
        let (da, db) = (backend.upload(&a).unwrap(), backend.upload(&b).unwrap());
        let out = backend.run(&compiled.program, &[&da, &db], &compiled.constants).unwrap();
        for (row, value) in backend.download(&out).unwrap().into_iter().enumerate() {
            let leaf = |l: &(u8, i32)| -> Result<Fr, ()> {
                let row = (row as i32 + l.1).rem_euclid(8) as usize;
                Ok(if l.0 == 0 { a[row] } else { b[row] })
            };
            assert_eq!(Ok(value), expression.evaluate(&leaf));
        }
    }
}
