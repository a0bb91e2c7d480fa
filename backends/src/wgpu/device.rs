//! A device opened through wgpu: buffers, pipelines, errors.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::wgpu as gpu;
use gpu::{Buffer, BufferUsages, ErrorFilter};
use zkloom_kernels::wgsl::{self, Arithmetic, Module};

use super::cache::DiskCache;
use crate::backend::Result;
use crate::error::BackendError;
use crate::meter::Meter;
use crate::registry::Found;

/// Storage buffers that every shader may bind: what WebGPU guarantees.
const GUARANTEED_BUFFERS: u32 = 8;

/// Bytes of the smallest buffer: a shader's list has at least one entry, the largest of which is a point.
const LEAST_BYTES: u64 = 128;

/// Longest time from the end of the device's work to the word of it.
const TOLD: Duration = Duration::from_secs(30);

/// An entry point of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kernel {
    pub module: Module,
    pub entry: &'static str,
}

/// A device, its queue, and what was compiled for it.
#[derive(Debug)]
pub(super) struct Device {
    pub name: String,
    pub description: String,
    pub arithmetic: Arithmetic,
    pub meter: Meter,
    pub device: gpu::Device,
    pub queue: gpu::Queue,
    /// Bytes that a shader can see of one buffer.
    pub largest_binding: u64,
    limits: gpu::Limits,
    fault: Arc<Mutex<Option<String>>>,
    modules: Mutex<HashMap<Module, gpu::ShaderModule>>,
    pipelines: Mutex<HashMap<Kernel, gpu::ComputePipeline>>,
    disk: Option<DiskCache>,
}

/// What a poisoned lock guards is still sound here: it is changed by single insertions.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_software(kind: gpu::DeviceType) -> bool {
    kind == gpu::DeviceType::Cpu
}

/// Adapters that can run the shaders, the likely fastest first; their order is the numbering.
fn adapters() -> Vec<gpu::Adapter> {
    let mut descriptor = gpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = gpu::Backends::VULKAN | gpu::Backends::METAL | gpu::Backends::DX12;
    descriptor.flags = gpu::InstanceFlags::empty();
    let instance = gpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(gpu::Backends::all()));
    adapters.retain(|adapter| {
        let shaders = gpu::DownlevelFlags::COMPUTE_SHADERS;
        adapter.get_downlevel_capabilities().flags.contains(shaders)
            && adapter.limits().max_storage_buffers_per_shader_stage >= GUARANTEED_BUFFERS
    });
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        gpu::DeviceType::DiscreteGpu => 0,
        gpu::DeviceType::VirtualGpu => 1,
        gpu::DeviceType::IntegratedGpu => 2,
        gpu::DeviceType::Other => 3,
        gpu::DeviceType::Cpu => 4,
    });
    adapters
}

fn describe(info: &gpu::AdapterInfo) -> String {
    let software = if is_software(info.device_type) { ", a software driver" } else { "" };
    let driver = [info.driver.as_str(), info.driver_info.as_str()].map(str::trim).join(" ");
    format!("{} through {} ({}){software}", info.name, info.backend, driver.trim())
}

/// Every adapter, as a report names it.
pub(super) fn find() -> Vec<Found> {
    let found = |(number, adapter): (usize, gpu::Adapter)| {
        let info = adapter.get_info();
        Found {
            name: format!("wgpu:{number}"),
            description: describe(&info),
            memory: None,
            software: is_software(info.device_type),
        }
    };
    adapters().into_iter().enumerate().map(found).collect()
}

/// The adapter's device with all that the adapter allows and the shaders use.
fn request(
    adapter: &gpu::Adapter,
    arithmetic: Arithmetic,
) -> core::result::Result<(gpu::Device, gpu::Queue), gpu::RequestDeviceError> {
    let needed = match arithmetic {
        Arithmetic::Wide => gpu::Features::SHADER_INT64,
        Arithmetic::Narrow => gpu::Features::empty(),
    };
    let descriptor = gpu::DeviceDescriptor {
        required_features: needed | (adapter.features() & gpu::Features::PIPELINE_CACHE),
        required_limits: adapter.limits(),
        memory_hints: gpu::MemoryHints::Performance,
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&descriptor))
}

impl Device {
    /// Opens an adapter by number, with 64-bit integers in shaders only where they are wanted and there. What is compiled for it
    /// is kept in a folder, if there is one.
    pub fn open(number: usize, wanted: Option<Arithmetic>, folder: Option<PathBuf>) -> Result<Self> {
        let name = format!("wgpu:{number}");
        let unavailable = |reason: String| BackendError::Unavailable { name: name.clone(), reason };
        let adapters = adapters();
        let Some(adapter) = adapters.get(number) else {
            return Err(unavailable(match adapters.len() {
                0 => "no Vulkan, Metal or DirectX 12 driver offers a device; install the GPU's driver (on Linux also \
                      `libvulkan1`, and `mesa-vulkan-drivers` for a software device), or use `cpu`"
                    .into(),
                count => format!("the devices here are `wgpu:0` to `wgpu:{}`", count - 1),
            }));
        };
        let has_wide = adapter.features().contains(gpu::Features::SHADER_INT64);
        let arithmetic = match wanted {
            Some(Arithmetic::Wide) if !has_wide => {
                return Err(unavailable(
                    "its shaders have no 64-bit integers; use the narrow arithmetic".into(),
                ));
            }
            Some(arithmetic) => arithmetic,
            None if has_wide => Arithmetic::Wide,
            None => Arithmetic::Narrow,
        };
        let (device, queue) = request(adapter, arithmetic)
            .map_err(|error| unavailable(format!("its driver refuses to open it: {error}")))?;
        let limits = adapter.limits();
        let fault = Arc::new(Mutex::new(None));
        watch(&device, &fault);
        let info = adapter.get_info();
        Ok(Self {
            description: describe(&info),
            disk: DiskCache::open(&device, &info, folder),
            name,
            arithmetic,
            meter: Meter::default(),
            device,
            queue,
            largest_binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            limits,
            fault,
            modules: Mutex::default(),
            pipelines: Mutex::default(),
        })
    }

    /// Storage buffers that a shader may bind.
    pub fn bindable_buffers(&self) -> u32 {
        self.limits.max_storage_buffers_per_shader_stage
    }

    /// Groups along one dimension of a dispatch.
    pub fn groups_in_line(&self) -> u32 {
        self.limits.max_compute_workgroups_per_dimension.max(1)
    }

    /// Whether the device tells errors or loss of the past; such a device is of no more use.
    pub fn check(&self, operation: &'static str) -> Result<()> {
        match lock(&self.fault).as_ref() {
            None => Ok(()),
            Some(reason) => Err(self.failed(operation, reason.clone())),
        }
    }

    pub fn failed(&self, operation: &'static str, reason: impl Into<String>) -> BackendError {
        BackendError::Device { device: self.name.clone(), operation, reason: reason.into() }
    }

    pub fn out_of_memory(&self, operation: &'static str, needed: u64) -> BackendError {
        BackendError::OutOfMemory { device: self.name.clone(), operation, needed }
    }

    /// A buffer of at least one entry of any kind, its contents zero.
    pub fn buffer(&self, operation: &'static str, bytes: u64, usage: BufferUsages) -> Result<Buffer> {
        let size = bytes.max(LEAST_BYTES).checked_next_multiple_of(16).unwrap_or(u64::MAX);
        if size > self.largest_binding {
            return Err(self.out_of_memory(operation, bytes));
        }
        let scope = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let buffer = self.device.create_buffer(&gpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        });
        match pollster::block_on(scope.pop()) {
            Some(_) => Err(self.out_of_memory(operation, bytes)),
            None => Ok(buffer),
        }
    }

    /// A buffer for shaders and copies.
    pub fn storage(&self, operation: &'static str, bytes: u64) -> Result<Buffer> {
        self.buffer(operation, bytes, BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST)
    }

    /// A buffer for shaders with these contents, of a multiple of four bytes.
    pub fn filled(&self, operation: &'static str, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.storage(operation, bytes.len() as u64)?;
        self.write(&buffer, 0, bytes);
        Ok(buffer)
    }

    /// Overwrites a part of a buffer; counted as an upload.
    pub fn write(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) {
        self.meter.upload(bytes.len());
        if !bytes.is_empty() {
            self.queue.write_buffer(buffer, offset, bytes);
        }
    }

    /// Copies a part of a buffer to the host; waits for all work before it.
    pub fn read(&self, operation: &'static str, buffer: &Buffer, range: (u64, u64)) -> Result<Vec<u8>> {
        let (offset, bytes) = range;
        if bytes == 0 {
            self.check(operation)?;
            return Ok(Vec::new());
        }
        let staging = self.buffer(operation, bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?;
        let mut encoder = self.device.create_command_encoder(&gpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        let part = staging.slice(0..bytes);
        part.map_async(gpu::MapMode::Read, move |mapped| {
            // Nobody listens any more if the wait below failed.
            let _ = sender.send(mapped);
        });
        let waited = self.device.poll(gpu::PollType::wait_indefinitely());
        self.check(operation)?;
        waited.map_err(|error| self.failed(operation, error.to_string()))?;
        // Another thread's wait may have taken up the result and be about to tell it.
        match receiver.recv_timeout(TOLD) {
            Ok(Ok(())) => {}
            _ => return Err(self.failed(operation, "the result could not be read; the device may be lost")),
        }
        let view = part.get_mapped_range().map_err(|error| self.failed(operation, error.to_string()))?;
        let copy = view.to_vec();
        drop(view);
        staging.unmap();
        self.meter.download(copy.len());
        Ok(copy)
    }

    /// The compiled entry point; compiled at its first use.
    pub fn pipeline(&self, operation: &'static str, kernel: Kernel) -> Result<gpu::ComputePipeline> {
        let mut pipelines = lock(&self.pipelines);
        if let Some(known) = pipelines.get(&kernel) {
            return Ok(known.clone());
        }
        let scopes = [ErrorFilter::Validation, ErrorFilter::Internal, ErrorFilter::OutOfMemory]
            .map(|filter| self.device.push_error_scope(filter));
        let mut modules = lock(&self.modules);
        let module = modules.entry(kernel.module).or_insert_with(|| {
            let text = wgsl::source(kernel.module, self.arithmetic);
            let source = gpu::ShaderSource::Wgsl(text.into());
            self.device.create_shader_module(gpu::ShaderModuleDescriptor { label: None, source })
        });
        let compilation_options = gpu::PipelineCompilationOptions {
            // Every shader writes its group's memory before it reads it.
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        };
        let pipeline = self.device.create_compute_pipeline(&gpu::ComputePipelineDescriptor {
            label: Some(kernel.entry),
            layout: None,
            module,
            entry_point: Some(kernel.entry),
            compilation_options,
            cache: self.disk.as_ref().map(DiskCache::for_compilation),
        });
        // Scopes end in the reverse of the order in which they began.
        let errors: Vec<gpu::Error> =
            scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).collect();
        if let Some(error) = errors.first() {
            return Err(self.failed(operation, format!("shader `{}` is refused: {error}", kernel.entry)));
        }
        pipelines.insert(kernel, pipeline.clone());
        Ok(pipeline)
    }
}

/// Keeps the first error that no scope caught, or the loss of the device, for the next check; both would otherwise end the process
/// or stay silent.
fn watch(device: &gpu::Device, fault: &Arc<Mutex<Option<String>>>) {
    let kept = Arc::clone(fault);
    device.on_uncaptured_error(Arc::new(move |error: gpu::Error| {
        lock(&kept).get_or_insert_with(|| error.to_string());
    }));
    let kept = Arc::clone(fault);
    device.set_device_lost_callback(move |reason, message| {
        let words = format!("the device was lost ({reason:?}): {message}");
        lock(&kept).get_or_insert(words);
    });
}
