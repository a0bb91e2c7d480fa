//! Memory of the host that uploads go through.
//!
//! An upload from ordinary memory waits for everything that is queued before it. So bytes are copied to memory that the device reads
//! by itself, and the copy to the device is queued behind the work before it: the host goes on at once. There are a few pieces of
//! such memory; one is filled again when the event behind its last copy has happened.

use std::sync::{Mutex, PoisonError};

use super::driver::{Called, Driver, HostMemory};

/// Bytes of a piece, and pieces.
const PIECE: usize = 4 << 20;
const PIECES: usize = 4;

/// A device's pieces; they are asked for at the first upload.
#[derive(Debug, Default)]
pub struct Staging(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Unasked,
    /// The system gives no such memory: uploads go directly.
    Refused,
    Ready(Ring),
}

#[derive(Debug)]
struct Ring {
    pieces: Vec<HostMemory>,
    /// The piece that is being filled, and its bytes that are in use.
    current: usize,
    used: usize,
    /// Whether a piece was handed to the device before, so that its event counts.
    marked: Vec<bool>,
}

impl Ring {
    fn new(driver: &Driver) -> Option<Self> {
        let mut pieces = Vec::with_capacity(PIECES);
        for _ in 0..PIECES {
            match driver.allocate_host(PIECE) {
                Ok(piece) => pieces.push(piece),
                Err(_) => {
                    pieces.into_iter().for_each(|piece| driver.free_host(piece));
                    return None;
                }
            }
        }
        Some(Self { pieces, current: 0, used: 0, marked: vec![false; PIECES] })
    }

    /// Queues the copy of some first bytes; returns how many.
    fn queue(&mut self, driver: &Driver, target: u64, bytes: &[u8]) -> Called<usize> {
        if self.used == PIECE {
            driver.mark(&self.pieces[self.current])?;
            self.marked[self.current] = true;
            self.current = (self.current + 1) % PIECES;
            self.used = 0;
        }
        let piece = &mut self.pieces[self.current];
        if self.used == 0 && self.marked[self.current] {
            driver.wait(piece)?;
            self.marked[self.current] = false;
        }
        let (start, len) = (self.used, bytes.len().min(PIECE - self.used));
        piece.bytes()[start..start + len].copy_from_slice(&bytes[..len]);
        driver.to_device_later(target, piece, (start, len))?;
        self.used += len;
        Ok(len)
    }
}

impl Staging {
    /// Copies bytes to this thread's device. They may be changed when this returns; the device has them before any work that is
    /// queued afterwards.
    pub fn upload(&self, driver: &Driver, mut target: u64, mut bytes: &[u8]) -> Called<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Unasked) {
            *state = Ring::new(driver).map_or(State::Refused, State::Ready);
        }
        let State::Ready(ring) = &mut *state else { return driver.to_device(target, bytes) };
        while !bytes.is_empty() {
            let done = ring.queue(driver, target, bytes)?;
            target += done as u64;
            bytes = &bytes[done..];
        }
        Ok(())
    }

    /// Gives the memory back, when the device is done with all that was queued.
    pub fn release(&self, driver: &Driver) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Ready(ring) = core::mem::replace(&mut *state, State::Refused) {
            ring.pieces.into_iter().for_each(|piece| driver.free_host(piece));
        }
    }
}
