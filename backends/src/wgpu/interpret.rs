//! Gate programs, by the interpreter shader.

use ::wgpu::Buffer;
use ark_bn254::Fr;
use zkloom_kernels::program::Program;
use zkloom_kernels::wgsl::program::{Code, Load, encode};
use zkloom_kernels::wgsl::{MOST_INPUTS, Module};

use super::device::{Device, Kernel};
use super::recorder::Recorder;
use super::vectors::{ELEMENT, WgpuScalars, bytes_of, to_bytes};
use crate::backend::Result;

/// Storage buffers of the interpreter beside the inputs: code, constants, registers, output.
const OTHER_BUFFERS: u32 = 4;

/// Most invocations, each of which has registers of its own and does as many rows as are left for it.
const THREADS: usize = 1 << 15;

/// A program made ready, and the buffers that all its dispatches share.
struct Session<'a> {
    device: &'a Device,
    code: &'a Code,
    /// Input bindings of the shader.
    inputs: u32,
    threads: usize,
    constants: Buffer,
    registers: Buffer,
    spare: Buffer,
}

/// Rows that a dispatch does: how many, and where they stand in the output.
#[derive(Clone, Copy)]
struct Rows {
    first: usize,
    len: usize,
}

impl Device {
    /// Runs a program on so many rows, which its checked inputs have.
    pub fn run(
        &self,
        program: &Program,
        inputs: &[&WgpuScalars],
        constants: &[Fr],
        rows: usize,
    ) -> Result<WgpuScalars> {
        let operation = "run";
        let output = self.vector(operation, rows)?;
        if rows == 0 {
            return Ok(output);
        }
        let code = encode(program, rows)
            .ok_or_else(|| self.failed(operation, "the program is too long to encode"))?;
        let threads = THREADS.min(rows);
        let session = Session {
            device: self,
            code: &code,
            inputs: (self.bindable_buffers() - OTHER_BUFFERS).min(MOST_INPUTS),
            threads,
            constants: self.filled(operation, &to_bytes(constants))?,
            registers: self.storage(operation, bytes_of(code.registers.saturating_mul(threads)))?,
            spare: self.storage(operation, 0)?,
        };
        let mut recorder = Recorder::new(self, operation)?;
        let mut used: Vec<u32> = code.loads.iter().map(|load| load.input).collect();
        used.sort_unstable();
        used.dedup();
        if used.len() <= session.inputs as usize {
            let place = |load: &Load| {
                let buffer = used.iter().position(|&input| input == load.input).unwrap_or_default();
                [buffer as u32, 0, load.rotation, 0]
            };
            let loads: Vec<[u32; 4]> = code.loads.iter().map(place).collect();
            let bound: Vec<&Buffer> = used.iter().map(|&input| &inputs[input as usize].buffer).collect();
            session.record(&mut recorder, &loads, &bound, (&output, Rows { first: 0, len: rows }))?;
        } else {
            session.record_gathered(&mut recorder, inputs, &output)?;
        }
        recorder.submit()?;
        Ok(output)
    }
}

impl Session<'_> {
    /// Records the program on some rows of its loads.
    fn record(
        &self,
        recorder: &mut Recorder<'_>,
        loads: &[[u32; 4]],
        bound: &[&Buffer],
        (output, rows): (&WgpuScalars, Rows),
    ) -> Result<()> {
        let code = self.code;
        let bytes: Vec<u8> =
            loads.iter().chain(&code.steps).flatten().flat_map(|word| word.to_le_bytes()).collect();
        let steps = self.device.filled("run", &bytes)?;
        let threads = self.threads.min(rows.len);
        let numbers =
            [rows.len, threads, loads.len(), code.steps.len(), code.output as usize, rows.first, 0, 0];
        let words = numbers.map(|number| number as u32);
        let mut buffers = vec![&steps, &self.constants, &self.registers, &output.buffer];
        buffers.extend(bound);
        buffers.resize((OTHER_BUFFERS + self.inputs) as usize, &self.spare);
        let kernel = Kernel { module: Module::Interpreter { inputs: self.inputs }, entry: "interpret" };
        recorder.dispatch(kernel, &words, &buffers, threads)
    }

    /// The same for more inputs than can be bound: all loads of some rows are copied side by side into one buffer, and then the
    /// next rows' loads.
    fn record_gathered(
        &self,
        recorder: &mut Recorder<'_>,
        inputs: &[&WgpuScalars],
        output: &WgpuScalars,
    ) -> Result<()> {
        let loads = &self.code.loads;
        let rows = output.len;
        let room = (self.device.largest_binding / ELEMENT) as usize / loads.len();
        let piece = room.min(rows);
        if piece == 0 {
            return Err(self.device.out_of_memory("run", bytes_of(loads.len())));
        }
        let gathered = self.device.storage("run", bytes_of(loads.len() * piece))?;
        for first in (0..rows).step_by(piece) {
            let len = piece.min(rows - first);
            for (column, load) in loads.iter().enumerate() {
                let source = &inputs[load.input as usize].buffer;
                let start = (first + load.rotation as usize) % rows;
                let before_end = len.min(rows - start);
                let target = column * len;
                let copies = [(start, target, before_end), (0, target + before_end, len - before_end)];
                for (from, to, count) in copies {
                    recorder.copy((source, bytes_of(from)), (&gathered, bytes_of(to)), bytes_of(count));
                }
            }
            let places: Vec<[u32; 4]> =
                (0..loads.len()).map(|column| [0, (column * len) as u32, 0, 0]).collect();
            self.record(recorder, &places, &[&gathered], (output, Rows { first, len }))?;
        }
        Ok(())
    }
}
