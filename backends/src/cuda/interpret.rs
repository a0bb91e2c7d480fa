//! Gate programs on the device.

use std::sync::Arc;

use ark_bn254::Fr;
use zkloom_kernels::program::Program;
use zkloom_kernels::wgsl::program::{Code, encode};

use super::device::Device;
use super::driver::Arguments;
use super::vectors::{CudaScalars, ELEMENT, FEWER_THREADS};
use crate::backend::Result;
use crate::error::BackendError;

/// Registers that a thread can keep for itself; the kernel has the same.
const OWN_REGISTERS: usize = 16;

/// Most threads of a program with more registers, which lie in scratch memory; fewer if that would be more than so many bytes.
const MOST_THREADS: usize = 1 << 17;
const MOST_SCRATCH: usize = 1 << 29;

impl Device {
    /// Runs a checked program on `rows` rows.
    pub fn run(
        self: &Arc<Self>,
        program: &Program,
        inputs: &[&CudaScalars],
        constants: &[Fr],
        rows: usize,
    ) -> Result<CudaScalars> {
        let operation = "run";
        let values = self.vector(operation, rows)?;
        if rows == 0 {
            return Ok(values);
        }
        let code = encode(program, rows).ok_or_else(|| BackendError::Argument {
            operation,
            reason: "the program has too many operations, constants or reads to number".into(),
        })?;
        let Code { steps, loads, registers, output } = code;
        let steps_bytes: Vec<u8> = steps.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        let loads =
            loads.iter().flat_map(|load| [inputs[load.input as usize].at(0), u64::from(load.rotation)]);
        let loads_bytes: Vec<u8> = loads.flat_map(u64::to_le_bytes).collect();
        let tables = [self.filled(operation, &steps_bytes)?, self.filled(operation, &loads_bytes)?];
        let constants = self.upload(operation, constants)?;
        let description = [
            tables[0].address(),
            tables[1].address(),
            constants.at(0),
            steps.len() as u64 | u64::from(output) << 32,
        ];
        let arguments = Arguments::default().word(values.at(0)).word(rows as u64).structure(&description);
        if registers <= OWN_REGISTERS {
            self.launch(operation, "run_few", (rows, FEWER_THREADS), &arguments)?;
        } else {
            let most = MOST_THREADS.min(MOST_SCRATCH / (registers * ELEMENT));
            let threads = rows.min(most.max(1)).next_multiple_of(FEWER_THREADS as usize);
            let scratch = self.allocate(operation, threads.saturating_mul(registers), ELEMENT)?;
            let arguments = arguments.word(scratch.address());
            self.launch(operation, "run_many", (threads, FEWER_THREADS), &arguments)?;
        }
        Ok(values)
    }
}
