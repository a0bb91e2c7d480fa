//! Gate programs as code for the interpreter's shader.
//!
//! Results get registers that are free again after their last reader; what does not reach the output is dropped. An operand is
//! a word: its kind in the top four bits (0 register, 1 constant, 2 load), its number below.

use core::fmt::Write;
use std::collections::HashMap;

use crate::program::{Operand, Operation, Program};

const CONSTANT: u32 = 1 << 28;
const LOAD: u32 = 2 << 28;

/// Largest number that an operand can have.
const MOST: usize = 1 << 28;

/// One rotation of one input that a program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    /// Which input.
    pub input: u32,
    /// Rows forward, cyclic, below the number of rows.
    pub rotation: u32,
}

/// A program as the interpreter's shader reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Four words for each step: operation (0 add, 1 subtract, 2 multiply), register, operands.
    pub steps: Vec<[u32; 4]>,
    /// What the program reads of its inputs; operands name loads by their place here.
    pub loads: Vec<Load>,
    /// Number of registers.
    pub registers: usize,
    /// The operand that is written to the output.
    pub output: u32,
}

/// Encodes a checked program for this many rows (at least one). Nothing if it has no output, reads a result that does not come
/// before its reader, or has too many parts to number.
pub fn encode(program: &Program, rows: usize) -> Option<Code> {
    if program.operations.len().max(program.constants as usize) >= MOST || rows == 0 {
        return None;
    }
    let last_readers = last_readers(program)?;
    let mut encoder = Encoder {
        rows,
        loads: Vec::new(),
        known: HashMap::new(),
        registers: vec![None; program.operations.len()],
    };
    let (mut free, mut made) = (Vec::new(), 0u32);
    let mut steps = Vec::new();
    for (index, operation) in program.operations.iter().enumerate() {
        let Some(last_reader) = last_readers[index] else { continue };
        let (kind, a, b) = match *operation {
            Operation::Add(a, b) => (0, a, b),
            Operation::Subtract(a, b) => (1, a, b),
            Operation::Multiply(a, b) => (2, a, b),
        };
        let words = [encoder.operand(a)?, encoder.operand(b)?];
        for operand in if a == b { vec![a] } else { vec![a, b] } {
            if let Operand::Result(read) = operand
                && last_readers[read as usize] == Some(index)
            {
                free.extend(encoder.registers[read as usize]);
            }
        }
        let register = free.pop().unwrap_or_else(|| {
            made += 1;
            made - 1
        });
        debug_assert!(last_reader > index);
        encoder.registers[index] = Some(register);
        steps.push([kind, register, words[0], words[1]]);
    }
    let output = encoder.operand(program.output?)?;
    Some(Code { steps, loads: encoder.loads, registers: made as usize, output })
}

/// For each operation that the output depends on, the last one that reads it; the output counts as one past the end.
fn last_readers(program: &Program) -> Option<Vec<Option<usize>>> {
    let mut readers: Vec<Option<usize>> = vec![None; program.operations.len()];
    let read = |readers: &mut Vec<Option<usize>>, operand: Operand, by: usize| match operand {
        Operand::Result(index) if index as usize >= by => None,
        Operand::Result(index) => {
            let reader = readers.get_mut(index as usize)?;
            *reader = Some(reader.map_or(by, |last| last.max(by)));
            Some(())
        }
        _ => Some(()),
    };
    read(&mut readers, program.output?, program.operations.len())?;
    for (index, operation) in program.operations.iter().enumerate().rev() {
        if readers[index].is_none() {
            continue;
        }
        let (Operation::Add(a, b) | Operation::Subtract(a, b) | Operation::Multiply(a, b)) = *operation;
        read(&mut readers, a, index)?;
        read(&mut readers, b, index)?;
    }
    Some(readers)
}

struct Encoder {
    rows: usize,
    loads: Vec<Load>,
    known: HashMap<Load, u32>,
    registers: Vec<Option<u32>>,
}

impl Encoder {
    fn operand(&mut self, operand: Operand) -> Option<u32> {
        match operand {
            Operand::Result(index) => *self.registers.get(index as usize)?,
            Operand::Constant(index) => Some(CONSTANT | index),
            Operand::Input { index, rotation } => {
                let rotation = i128::from(rotation).rem_euclid(self.rows as i128);
                let load = Load { input: index, rotation: u32::try_from(rotation).ok()? };
                let number = *self.known.entry(load).or_insert_with(|| {
                    self.loads.push(load);
                    self.loads.len() as u32 - 1
                });
                ((number as usize) < MOST).then_some(LOAD | number)
            }
        }
    }
}

/// Declarations of the interpreter's input buffers and the function that reads them.
pub(super) fn input_buffers(inputs: u32) -> String {
    let mut text = String::new();
    for index in 0..inputs {
        let binding = 5 + index;
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "@group(0) @binding({binding}) var<storage, read> input_{index}: array<Element>;");
    }
    text.push_str("fn input_at(number: u32, index: u32) -> Element {\n    switch number {\n");
    for index in 1..inputs {
        let _ = writeln!(text, "        case {index}u: {{ return input_{index}[index]; }}");
    }
    text + "        default: { return input_0[index]; }\n    }\n}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(index: u32, rotation: i32) -> Operand {
        Operand::Input { index, rotation }
    }

    #[test]
    fn registers_are_used_again_and_dead_results_dropped() {
        use Operand::Result;
        let operations = vec![
            Operation::Add(input(0, 0), input(1, -1)),
            Operation::Multiply(input(0, 0), input(0, 0)),
            Operation::Multiply(Result(0), Result(0)),
            Operation::Subtract(Result(2), Operand::Constant(0)),
        ];
        let program = Program { inputs: 2, constants: 1, operations, output: Some(Result(3)) };
        let code = encode(&program, 8).expect("the program is sound");
        assert_eq!(code.registers, 1);
        assert_eq!(code.steps, [[0, 0, LOAD, LOAD | 1], [2, 0, 0, 0], [1, 0, 0, CONSTANT]]);
        assert_eq!(code.loads, [Load { input: 0, rotation: 0 }, Load { input: 1, rotation: 7 }]);
        assert_eq!(code.output, 0);
    }

    #[test]
    fn programs_that_read_ahead_are_refused() {
        let operations = vec![Operation::Add(Operand::Result(0), input(0, 0))];
        let program = Program { inputs: 1, constants: 0, operations, output: Some(Operand::Result(0)) };
        assert_eq!(encode(&program, 4), None);
        assert_eq!(encode(&Program { output: None, ..program }, 4), None);
    }
}
