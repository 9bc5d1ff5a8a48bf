//! The `disk` domain: it reads and writes sectors of one device for `files`, and knows nothing of their meaning.
//!
//! Its device is the only one that can write memory by itself (DMA), so all domains trust this one never to give the
//! device an address outside its own buffer. Three things keep that simple: the device has one order at a time; its data
//! is in one buffer of fixed size ([`MAX_TRANSFER_BYTES`]); and a number from files becomes an address or a length only
//! after it has been compared with the device's sectors and the buffer's size.
//!
//! Rules: it never waits for another domain; orders are answered once, in the order of their arrival; its work per
//! wake-up is bounded; nothing that files sends makes it panic.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
mod tests;

use protocol::limits::{MAX_TRANSFER_BYTES, SECTOR_BYTES};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::disk::{Description, DiskError, Order, Outcome};

/// The epoch of the rings with files. There is only one, because neither domain is ever restarted.
const EPOCH: u32 = 1;

/// An operation of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read the whole buffer, from this sector on.
    Read {
        /// The first sector.
        first: u64,
    },
    /// Write the buffer, from this sector on.
    Write {
        /// The first sector.
        first: u64,
    },
    /// Make earlier writes durable.
    Flush,
}

/// A block device, whose operations take time.
///
/// An operation is begun and then polled until it ends; no other is begun before that. `buffer` is the same memory both
/// times and has whole sectors; for a flush it is empty.
pub trait Device {
    /// The device's size and whether it can be written.
    fn description(&self) -> Description;

    /// Begins an operation.
    ///
    /// # Errors
    /// The operation could not be begun, so it has already ended.
    fn begin(&mut self, operation: Operation, buffer: &mut [u8]) -> Result<(), DiskError>;

    /// The result of the operation, once it has ended.
    fn finish(&mut self, operation: Operation, buffer: &mut [u8]) -> Option<Result<(), DiskError>>;
}

/// What the runtime does for this domain.
pub trait Port {
    /// Signals files.
    fn notify_files(&mut self);
}

/// The order in flight: the device works on it, or its answer waits for room.
#[derive(Clone, Copy, Debug)]
struct Current {
    number: u32,
    operation: Operation,
    /// Bytes of the buffer that it uses.
    bytes: usize,
    /// How it ended.
    result: Option<Result<(), DiskError>>,
}

/// Counters of the domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Orders that were answered.
    pub answered: u64,
    /// Messages that an honest files domain never sends.
    pub violations: u64,
}

/// The disk domain's logic.
#[derive(Debug)]
pub struct Disk<R, W, D> {
    ring: Endpoint<R, W>,
    /// `None` if there is no device that it can drive.
    device: Option<D>,
    buffer: [u8; MAX_TRANSFER_BYTES],
    frame: Frame,
    current: Option<Current>,
    counters: Counters,
    signal: bool,
}

impl<R: ReadWords, W: WriteWords, D: Device> Disk<R, W, D> {
    /// A domain with its device, if there is one.
    pub const fn new(ring: Endpoint<R, W>, device: Option<D>) -> Self {
        Self {
            ring,
            device,
            buffer: [0; MAX_TRANSFER_BYTES],
            frame: Frame::new(),
            current: None,
            counters: Counters {
                answered: 0,
                violations: 0,
            },
            signal: false,
        }
    }

    /// Begins to serve.
    pub fn start(&mut self, port: &mut impl Port) {
        self.ring.lead(EPOCH);
        port.notify_files();
    }

    /// The counters.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The device, so its runtime can acknowledge interrupts.
    pub const fn device(&mut self) -> Option<&mut D> {
        self.device.as_mut()
    }

    /// Files or the device has signalled.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        // A ring holds no more orders than this. If files writes more in the meantime, it signals again.
        for _ in 0..SLOTS {
            if !self.settle() || !self.take_order() {
                break;
            }
        }
        let owed = self.ring.take_owed_signal();
        if core::mem::take(&mut self.signal) | owed {
            port.notify_files();
        }
    }

    /// Answers the current order if it has ended and there is room. Returns true if no order is left.
    fn settle(&mut self) -> bool {
        let Some(current) = &mut self.current else {
            return true;
        };
        let buffer = self.buffer.get_mut(..current.bytes).unwrap_or(&mut []);
        let result = match (current.result, &mut self.device) {
            (Some(result), _) => result,
            (None, Some(device)) => match device.finish(current.operation, buffer) {
                Some(result) => result,
                None => return false,
            },
            (None, None) => Err(DiskError::NoDevice),
        };
        current.result = Some(result);
        let (number, operation) = (current.number, current.operation);
        let outcome = match (result, operation) {
            (Ok(()), Operation::Read { first }) => Outcome::Sectors {
                first,
                data: buffer,
            },
            (Ok(()), Operation::Write { .. } | Operation::Flush) => Outcome::Done,
            (Err(why), Operation::Read { first } | Operation::Write { first }) => {
                Outcome::Failed { why, sector: first }
            }
            (Err(why), Operation::Flush) => Outcome::Failed { why, sector: 0 },
        };
        outcome.write(number, &mut self.frame);
        if self.ring.send(&self.frame).is_err() {
            // There is no room: files signals when it has read.
            return false;
        }
        self.current = None;
        self.note_answer();
        true
    }

    const fn note_answer(&mut self) {
        self.counters.answered = self.counters.answered.saturating_add(1);
        self.signal = true;
    }

    /// Takes the next order, and answers it or passes it to the device. Returns false if there is none.
    fn take_order(&mut self) -> bool {
        // Orders that need no device are answered at once, so there must be room.
        if self.ring.free() == 0 {
            return false;
        }
        match self.ring.receive(&mut self.frame) {
            Ok(false) => return false,
            Ok(true) => {}
            Err(_) => {
                self.count_violation();
                return true;
            }
        }
        let number = self.frame.header().request;
        let description = self.device.as_ref().map(Device::description);
        let (operation, bytes) = match Order::parse(&self.frame) {
            Ok(Order::Describe) => {
                let outcome = description.map_or(
                    Outcome::Failed {
                        why: DiskError::NoDevice,
                        sector: 0,
                    },
                    Outcome::Described,
                );
                outcome.write(number, &mut self.frame);
                if self.ring.send(&self.frame).is_ok() {
                    self.note_answer();
                }
                return true;
            }
            Ok(Order::Read { first, sectors }) => {
                let bytes = (sectors as usize).saturating_mul(SECTOR_BYTES);
                (Operation::Read { first }, bytes)
            }
            Ok(Order::Write { first, data }) => {
                for (to, from) in self.buffer.iter_mut().zip(data) {
                    *to = *from;
                }
                (Operation::Write { first }, data.len())
            }
            Ok(Order::Flush) => (Operation::Flush, 0),
            Err(_) => {
                self.count_violation();
                return true;
            }
        };
        let begun = self.begin(operation, bytes, description);
        self.current = Some(Current {
            number,
            operation,
            // `begin` has refused orders that exceed the buffer.
            bytes,
            result: begun.err().map(Err),
        });
        true
    }

    fn begin(
        &mut self,
        operation: Operation,
        bytes: usize,
        description: Option<Description>,
    ) -> Result<(), DiskError> {
        let (Some(device), Some(description)) = (&mut self.device, description) else {
            return Err(DiskError::NoDevice);
        };
        let is_write = !matches!(operation, Operation::Read { .. });
        if is_write && !description.writable {
            return Err(DiskError::ReadOnly);
        }
        if let Operation::Read { first } | Operation::Write { first } = operation {
            let sectors = bytes.div_ceil(SECTOR_BYTES) as u64;
            let end = first.checked_add(sectors);
            let fits = bytes > 0
                && bytes.is_multiple_of(SECTOR_BYTES)
                && bytes <= self.buffer.len()
                && end.is_some_and(|end| end <= description.sectors);
            if !fits {
                return Err(DiskError::Range);
            }
        }
        let buffer = self.buffer.get_mut(..bytes).ok_or(DiskError::Range)?;
        if !is_write {
            // If a device reads too little, the rest must be zeros and not another order's sectors.
            buffer.fill(0);
        }
        device.begin(operation, buffer)
    }

    const fn count_violation(&mut self) {
        self.counters.violations = self.counters.violations.saturating_add(1);
    }
}
