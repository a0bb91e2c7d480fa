//! An opened device: its kernels, its memory, and how they are used.

use core::ffi::c_int;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zkloom_kernels::cuda::{FATBIN, KERNELS};

use super::driver::{Arguments, Called, Driver, Failure, Grid, Handle};
use super::multiples::{Allowance, Multiples};
use super::staging::Staging;
use crate::backend::Result;
use crate::error::BackendError;
use crate::meter::Meter;
use crate::registry::Found;

/// `CUdevice_attribute`s.
const MULTIPROCESSORS: c_int = 16;
const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;

/// Least compute capability that the kernels are compiled for.
const LEAST_CAPABILITY: (i32, i32) = (8, 0);

/// The driver that the compiled kernels need, in words.
const NEEDED_DRIVER: &str = "NVIDIA's driver 580 or later";

/// Smallest block of memory, in bytes.
const LEAST_BLOCK: usize = 512;

/// A device with its kernels loaded.
#[derive(Debug)]
pub struct Device {
    driver: Arc<Driver>,
    device: i32,
    context: Handle,
    module: Handle,
    kernels: HashMap<&'static str, Handle>,
    /// Blocks that are free again, by size; everything runs in one stream, so that their next user comes after their last.
    free: Mutex<BTreeMap<usize, Vec<u64>>>,
    staging: Staging,
    /// Memory for multiples of bases.
    pub allowance: Allowance,
    /// Name as in `--backend`.
    pub name: String,
    /// The device in words.
    pub description: String,
    /// Its memory, in bytes.
    pub memory: u64,
    /// Transfers and launches.
    pub meter: Meter,
}

/// A block of a device's memory, given back when dropped.
#[derive(Debug)]
pub struct Buffer {
    device: Arc<Device>,
    address: u64,
    size: usize,
}

impl Buffer {
    /// Address on the device; zero for a buffer without bytes.
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.size > 0 {
            self.device.free().entry(self.size).or_default().push(self.address);
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.driver.enter(self.context).is_ok() {
            // A lost device waits for nothing; its memory is gone anyway.
            let _ = self.driver.synchronize();
            self.staging.release(&self.driver);
            self.release_free();
            self.driver.unload_module(self.module);
        }
        self.driver.release(self.device);
    }
}

fn unavailable(name: impl Into<String>, reason: impl Into<String>) -> BackendError {
    BackendError::Unavailable { name: name.into(), reason: reason.into() }
}

/// A device's compute capability.
fn capability(driver: &Driver, device: i32) -> Called<(i32, i32)> {
    Ok((driver.attribute(device, CAPABILITY_MAJOR)?, driver.attribute(device, CAPABILITY_MINOR)?))
}

/// Name, description and memory of a device.
fn describe(driver: &Driver, number: usize) -> Called<(i32, Found)> {
    let device = driver.device(number)?;
    let memory = driver.total_memory(device)?;
    let (major, minor) = capability(driver, device)?;
    let version = driver.version()?;
    let description = format!(
        "{}, {} multiprocessors, compute capability {major}.{minor}, driver for CUDA {}.{}",
        driver.name(device)?,
        driver.attribute(device, MULTIPROCESSORS)?,
        version / 1000,
        version % 1000 / 10
    );
    Ok((device, Found { name: format!("cuda:{number}"), description, memory: Some(memory), software: false }))
}

/// Every device that the driver finds.
pub fn find(library: &Path) -> Result<Vec<Found>> {
    let driver = Driver::load(library).map_err(|reason| unavailable("cuda", reason))?;
    let failed = |failure: Failure| unavailable("cuda", failure.reason);
    let count = driver.device_count().map_err(failed)?;
    (0..count).map(|number| Ok(describe(&driver, number).map_err(failed)?.1)).collect()
}

/// Loads the kernels into this thread's device.
fn load_kernels(driver: &Driver) -> Called<(Handle, HashMap<&'static str, Handle>)> {
    let module = driver.load_module(FATBIN)?;
    let kernels = KERNELS.iter().map(|&kernel| Ok((kernel, driver.function(module, kernel)?)));
    match kernels.collect::<Called<HashMap<_, _>>>() {
        Ok(kernels) => Ok((module, kernels)),
        Err(failure) => {
            driver.unload_module(module);
            Err(failure)
        }
    }
}

impl Device {
    pub fn open(library: &Path, number: usize) -> Result<Arc<Self>> {
        let name = format!("cuda:{number}");
        let driver = Driver::load(library).map_err(|reason| unavailable(&name, reason))?;
        let failed = |failure: Failure| unavailable(&name, failure.reason);
        let count = driver.device_count().map_err(failed)?;
        if number >= count {
            return Err(unavailable(&name, format!("the driver has {count} devices, numbered from 0")));
        }
        let (device, found) = describe(&driver, number).map_err(failed)?;
        let (major, minor) = capability(&driver, device).map_err(failed)?;
        if (major, minor) < LEAST_CAPABILITY {
            let reason = format!(
                "its compute capability {major}.{minor} is below 8.0, the least that the kernels are made for"
            );
            return Err(unavailable(&name, reason));
        }
        let context = driver.retain(device).map_err(failed)?;
        let (module, kernels) = match driver.enter(context).and_then(|()| load_kernels(&driver)) {
            Ok(loaded) => loaded,
            Err(failure) => {
                driver.release(device);
                let reason = format!(
                    "its driver does not take the kernels ({}); {} is needed, and {}",
                    failure.reason, NEEDED_DRIVER, found.description
                );
                return Err(unavailable(&name, reason));
            }
        };
        let Found { name, description, memory, .. } = found;
        Ok(Arc::new(Self {
            driver,
            device,
            context,
            module,
            kernels,
            free: Mutex::default(),
            staging: Staging::default(),
            allowance: Allowance::new(Multiples::from_environment()),
            name,
            description,
            memory: memory.unwrap_or(0),
            meter: Meter::default(),
        }))
    }

    fn free(&self) -> MutexGuard<'_, BTreeMap<usize, Vec<u64>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free blocks back to the driver; returns whether there were any.
    fn release_free(&self) -> bool {
        let blocks = core::mem::take(&mut *self.free());
        let addresses: Vec<u64> = blocks.into_values().flatten().collect();
        addresses.iter().for_each(|&address| self.driver.free(address));
        !addresses.is_empty()
    }

    fn failed(&self, operation: &'static str, failure: Failure) -> BackendError {
        BackendError::Device { device: self.name.clone(), operation, reason: failure.reason }
    }

    /// The error for memory that cannot be had.
    pub fn out_of_memory(&self, operation: &'static str, needed: u64) -> BackendError {
        BackendError::OutOfMemory { device: self.name.clone(), operation, needed }
    }

    /// Makes the device's context this thread's, then calls the driver.
    fn call<T>(&self, operation: &'static str, work: impl FnOnce(&Driver) -> Called<T>) -> Result<T> {
        self.driver
            .enter(self.context)
            .and_then(|()| work(&self.driver))
            .map_err(|failure| self.failed(operation, failure))
    }

    /// Bytes that may be asked for: what the driver has left, and our own free blocks.
    pub fn free_memory(&self, operation: &'static str) -> Result<u64> {
        let own: u64 = self.free().iter().map(|(&size, blocks)| (size * blocks.len()) as u64).sum();
        Ok(self.call(operation, Driver::free_memory)? + own)
    }

    /// Room for `count` things of `size` bytes, not zeroed.
    pub fn allocate(self: &Arc<Self>, operation: &'static str, count: usize, size: usize) -> Result<Buffer> {
        let needed = (count as u64).saturating_mul(size as u64);
        if needed == 0 {
            return Ok(Buffer { device: Arc::clone(self), address: 0, size: 0 });
        }
        if needed > self.memory {
            return Err(self.out_of_memory(operation, needed));
        }
        // Sizes in steps of an eighth of a power of two, so that blocks fit again.
        let bytes = (needed as usize).max(LEAST_BLOCK);
        let bytes = bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(LEAST_BLOCK));
        let known = self.free().get_mut(&bytes).and_then(Vec::pop);
        if let Some(address) = known {
            return Ok(Buffer { device: Arc::clone(self), address, size: bytes });
        }
        let attempt = || -> Result<Called<u64>> { self.call(operation, |driver| Ok(driver.allocate(bytes))) };
        let full = |answer: &Called<u64>| answer.as_ref().is_err_and(|failure| failure.out_of_memory);
        let mut answer = attempt()?;
        if full(&answer) && self.release_free() {
            answer = attempt()?;
        }
        match answer {
            Ok(address) => Ok(Buffer { device: Arc::clone(self), address, size: bytes }),
            Err(failure) if failure.out_of_memory => Err(self.out_of_memory(operation, bytes as u64)),
            Err(failure) => Err(self.failed(operation, failure)),
        }
    }

    /// A buffer with these bytes.
    pub fn filled(self: &Arc<Self>, operation: &'static str, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.allocate(operation, bytes.len(), 1)?;
        self.write(operation, buffer.address, bytes)?;
        Ok(buffer)
    }

    pub fn write(&self, operation: &'static str, target: u64, bytes: &[u8]) -> Result<()> {
        self.meter.upload(bytes.len());
        if bytes.is_empty() {
            return Ok(());
        }
        self.call(operation, |driver| self.staging.upload(driver, target, bytes))
    }

    /// A copy of another device's memory; both belong to the same driver.
    pub fn take(
        self: &Arc<Self>,
        operation: &'static str,
        (from, source): (&Self, u64),
        bytes: usize,
    ) -> Result<Buffer> {
        let buffer = self.allocate(operation, bytes, 1)?;
        self.meter.launch();
        if bytes > 0 {
            let (target, source) = ((buffer.address, self.context), (source, from.context));
            let copied = self.call(operation, |driver| driver.between(target, source, bytes));
            // The copy fails for either device's failure; the other one then tells its own.
            copied.map_err(|error| from.synchronize(operation).err().unwrap_or(error))?;
        }
        Ok(buffer)
    }

    pub fn read(&self, operation: &'static str, bytes: &mut [u8], source: u64) -> Result<()> {
        self.meter.download(bytes.len());
        if bytes.is_empty() {
            return Ok(());
        }
        self.call(operation, |driver| driver.to_host(bytes, source))
    }

    pub fn copy(&self, operation: &'static str, target: u64, source: u64, bytes: usize) -> Result<()> {
        self.meter.launch();
        if bytes == 0 {
            return Ok(());
        }
        self.call(operation, |driver| driver.on_device(target, source, bytes))
    }

    pub fn clear(&self, operation: &'static str, target: u64, bytes: usize) -> Result<()> {
        self.meter.launch();
        if bytes == 0 {
            return Ok(());
        }
        self.call(operation, |driver| driver.clear(target, bytes))
    }

    /// Launches a kernel with at least `items` threads in blocks of so many; nothing without items.
    pub fn launch(
        &self,
        operation: &'static str,
        kernel: &'static str,
        (items, threads): (usize, u32),
        arguments: &Arguments,
    ) -> Result<()> {
        let blocks = items.div_ceil(threads as usize);
        self.launch_blocks(operation, kernel, (blocks, threads, 0), arguments)
    }

    /// Launches a kernel with so many blocks, threads of a block, and bytes of shared memory; nothing without blocks.
    pub fn launch_blocks(
        &self,
        operation: &'static str,
        kernel: &'static str,
        (blocks, threads, shared): (usize, u32, u32),
        arguments: &Arguments,
    ) -> Result<()> {
        self.meter.launch();
        if blocks == 0 {
            return Ok(());
        }
        let missing = |what: &str| {
            let reason = format!("{kernel}: {what}");
            self.failed(operation, Failure { out_of_memory: false, reason })
        };
        let blocks = i32::try_from(blocks).map_err(|_| missing("more blocks than a grid may have"))?;
        let function = *self.kernels.get(kernel).ok_or_else(|| missing("no such kernel"))?;
        let grid = Grid { blocks: blocks.unsigned_abs(), threads, shared };
        self.call(operation, |driver| driver.launch(kernel, function, grid, arguments))
    }

    /// Waits for everything that was launched, so that its failures show.
    pub fn synchronize(&self, operation: &'static str) -> Result<()> {
        self.call(operation, Driver::synchronize)
    }
}
