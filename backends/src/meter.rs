//! Counters of what crosses the border between host and device.

use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes and calls since the device was opened. Shared by all threads that use it.
#[derive(Debug, Default)]
pub struct Meter {
    uploaded: AtomicU64,
    downloaded: AtomicU64,
    launches: AtomicU64,
    composed: AtomicU64,
    moved: AtomicU64,
}

impl Meter {
    /// Notes a transfer to the device.
    pub fn upload(&self, bytes: usize) {
        self.uploaded.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes a transfer from the device.
    pub fn download(&self, bytes: usize) {
        self.downloaded.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes an operation started on the device.
    pub fn launch(&self) {
        self.launches.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes an operation that the processor does in the device's place.
    pub fn compose(&self) {
        self.composed.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a transfer between devices.
    pub fn transfer(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Takes the counts of the devices that this one is made of in the place of its own, but for transfers between them.
    pub(crate) fn follow<'a>(&self, parts: impl Iterator<Item = &'a Self> + Clone) {
        let sum = |count: fn(&Self) -> u64| parts.clone().map(count).sum::<u64>();
        self.uploaded.fetch_max(sum(Self::uploaded_bytes), Ordering::Relaxed);
        self.downloaded.fetch_max(sum(Self::downloaded_bytes), Ordering::Relaxed);
        self.launches.fetch_max(sum(Self::launches), Ordering::Relaxed);
        self.composed.fetch_max(sum(Self::composed), Ordering::Relaxed);
    }

    /// Bytes sent to the device so far.
    pub fn uploaded_bytes(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }

    /// Bytes fetched from the device so far.
    pub fn downloaded_bytes(&self) -> u64 {
        self.downloaded.load(Ordering::Relaxed)
    }

    /// Operations started so far.
    pub fn launches(&self) -> u64 {
        self.launches.load(Ordering::Relaxed)
    }

    /// Operations so far that the device lacks and the processor did.
    pub fn composed(&self) -> u64 {
        self.composed.load(Ordering::Relaxed)
    }

    /// Bytes that went from device to device so far, where several work together.
    pub fn moved_bytes(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}
