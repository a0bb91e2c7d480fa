//! Commands of one operation, recorded and then submitted together.

use ::wgpu as gpu;
use gpu::{BindGroupEntry, BindingResource, Buffer, BufferBinding, BufferUsages};
use zkloom_kernels::wgsl::GROUP;

use super::device::{Device, Kernel};
use crate::backend::Result;

/// Records dispatches and copies; nothing runs before [`Recorder::submit`].
pub(super) struct Recorder<'a> {
    device: &'a Device,
    operation: &'static str,
    encoder: gpu::CommandEncoder,
}

impl<'a> Recorder<'a> {
    /// Begins an operation, if the device is still of use.
    pub fn new(device: &'a Device, operation: &'static str) -> Result<Self> {
        device.check(operation)?;
        let encoder = device.device.create_command_encoder(&gpu::CommandEncoderDescriptor::default());
        Ok(Self { device, operation, encoder })
    }

    /// Runs an entry point on `invocations` items in groups of [`GROUP`], with whole buffers at the bindings from 1 on.
    pub fn dispatch(
        &mut self,
        kernel: Kernel,
        words: &[u32],
        buffers: &[&Buffer],
        invocations: usize,
    ) -> Result<()> {
        self.dispatch_groups(kernel, words, buffers, invocations.div_ceil(GROUP))
    }

    /// The same with a number of groups.
    pub fn dispatch_groups(
        &mut self,
        kernel: Kernel,
        words: &[u32],
        buffers: &[&Buffer],
        groups: usize,
    ) -> Result<()> {
        if groups == 0 {
            return Ok(());
        }
        let device = self.device;
        let pipeline = device.pipeline(self.operation, kernel)?;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let parameters = device.buffer(self.operation, bytes.len() as u64, usage)?;
        // Parameters are a part of the launch, which is counted.
        device.queue.write_buffer(&parameters, 0, &bytes);
        let whole = |buffer| BindingResource::Buffer(BufferBinding { buffer, offset: 0, size: None });
        let bound = core::iter::once(&parameters).chain(buffers.iter().copied());
        let entries: Vec<BindGroupEntry<'_>> = (0u32..)
            .zip(bound)
            .map(|(binding, buffer)| BindGroupEntry { binding, resource: whole(buffer) })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        let descriptor = gpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        let group = device.device.create_bind_group(&descriptor);
        let mut pass = self.encoder.begin_compute_pass(&gpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        let line = device.groups_in_line() as usize;
        let lines = groups.div_ceil(line);
        // Both factors are at most a limit of 32 bits; a vector that would need more does not fit a binding.
        pass.dispatch_workgroups(groups.min(line) as u32, lines as u32, 1);
        drop(pass);
        device.meter.launch();
        Ok(())
    }

    /// Copies bytes from one buffer to another.
    pub fn copy(&mut self, source: (&Buffer, u64), target: (&Buffer, u64), bytes: u64) {
        if bytes > 0 {
            self.encoder.copy_buffer_to_buffer(source.0, source.1, target.0, target.1, bytes);
        }
    }

    /// Sets a whole buffer to zero.
    pub fn clear(&mut self, buffer: &Buffer) {
        self.encoder.clear_buffer(buffer, 0, None);
    }

    /// Hands everything to the device, which works on it while the host goes on.
    pub fn submit(self) -> Result<()> {
        self.device.queue.submit([self.encoder.finish()]);
        self.device.check(self.operation)
    }
}
