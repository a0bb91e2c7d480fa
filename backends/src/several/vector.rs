//! Vectors that live on one of several devices, with copies on others.

use core::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backend::DeviceVector;

/// What is known of a device's memory.
#[derive(Debug)]
pub(super) struct Load {
    /// Bytes of all vectors and copies on it.
    used: Arc<AtomicU64>,
    /// Bytes that were free when it was opened.
    pub capacity: u64,
}

/// Bytes that are in use as long as this lives.
#[derive(Debug)]
pub(super) struct Lease {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Load {
    pub fn new(capacity: u64) -> Self {
        Self { used: Arc::default(), capacity: capacity.max(1) }
    }

    pub fn lease(&self, bytes: u64) -> Lease {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Lease { used: Arc::clone(&self.used), bytes }
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The share of its memory that would be in use with so many bytes more.
    pub fn share_with(&self, bytes: u64) -> f64 {
        (self.used() as f64 + bytes as f64) / self.capacity as f64
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A copy of a vector on a device that is not its home.
type Copied<S> = Option<Arc<(S, Lease)>>;

/// The copies of a vector, by device.
#[derive(Debug)]
pub(super) struct Copies<S>(Mutex<Vec<Copied<S>>>);

impl<S> Copies<S> {
    fn list(&self) -> MutexGuard<'_, Vec<Copied<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the copy on a device; whether there was one.
    pub fn forget(&self, device: usize) -> bool {
        self.list().get_mut(device).is_some_and(|copy| copy.take().is_some())
    }
}

/// A vector of field elements on one of several devices: its home. Reading it elsewhere leaves a copy there, which is forgotten
/// when the vector changes or memory runs out.
#[derive(Debug)]
pub struct SeveralScalars<S> {
    pub(super) home: usize,
    pub(super) own: S,
    pub(super) copies: Arc<Copies<S>>,
    _lease: Lease,
}

impl<S> SeveralScalars<S> {
    pub(super) fn new(home: usize, own: S, devices: usize, lease: Lease) -> Self {
        let none = core::iter::repeat_with(|| None).take(devices).collect();
        Self { home, own, copies: Arc::new(Copies(Mutex::new(none))), _lease: lease }
    }

    /// The vector as it is on a device, if it is there.
    pub(super) fn held(&self, device: usize) -> Option<Held<'_, S>> {
        if device == self.home {
            return Some(Held::Own(&self.own));
        }
        self.copies.list().get(device)?.as_ref().map(|copy| Held::Copy(Arc::clone(copy)))
    }

    /// Keeps a copy on a device.
    pub(super) fn keep(&self, device: usize, copy: S, lease: Lease) -> Held<'_, S> {
        let copy = Arc::new((copy, lease));
        if let Some(place) = self.copies.list().get_mut(device) {
            *place = Some(Arc::clone(&copy));
        }
        Held::Copy(copy)
    }

    /// The vector at home, about to change: all copies are forgotten.
    pub(super) fn changing(&mut self) -> &mut S {
        self.copies.list().iter_mut().for_each(|copy| *copy = None);
        &mut self.own
    }
}

impl<S: DeviceVector> DeviceVector for SeveralScalars<S> {
    fn len(&self) -> usize {
        self.own.len()
    }
}

/// A vector on some device, as long as somebody reads it.
#[derive(Debug)]
pub(super) enum Held<'a, S> {
    Own(&'a S),
    Copy(Arc<(S, Lease)>),
}

impl<S> Deref for Held<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        match self {
            Self::Own(own) => own,
            Self::Copy(copy) => &copy.0,
        }
    }
}

/// Integers on one of several devices.
#[derive(Debug)]
pub struct SeveralIntegers<I> {
    pub(super) home: usize,
    pub(super) own: I,
    pub(super) _lease: Lease,
}

impl<I: DeviceVector> DeviceVector for SeveralIntegers<I> {
    fn len(&self) -> usize {
        self.own.len()
    }
}

/// Points, a part on each of several devices.
#[derive(Debug)]
pub struct SeveralBases<P> {
    /// For each device, the number of its first point, and its points.
    pub(super) parts: Vec<(usize, P)>,
    pub(super) len: usize,
    pub(super) _leases: Vec<Lease>,
}

impl<P: Send + Sync> DeviceVector for SeveralBases<P> {
    fn len(&self) -> usize {
        self.len
    }
}
