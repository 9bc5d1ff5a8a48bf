//! The ring with the disk domain, presented as a disk of sectors.
//!
//! Writes are sent one order at a time. A long read has several orders in flight, so disk need not wait for this domain
//! between them. Disk answers in order. An answer to an earlier order belongs to an operation that has been abandoned, so
//! it is dropped.

use core::cell::RefCell;
use core::task::Poll;
use protocol::limits::{MAX_TRANSFER_BYTES, MAX_TRANSFER_SECTORS, SECTOR_BYTES};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::disk::{Description, DiskError, Order, Outcome};
use storage::blocks::check_range;
use storage::{BlockError, Blocks, SECTOR, Ticket};

// The file system's sectors are those of the messages.
const _: () = assert!(SECTOR == SECTOR_BYTES);

/// This domain's end of the ring with disk.
#[derive(Debug)]
pub(crate) struct DiskEnd<R, W> {
    ring: Endpoint<R, W>,
    frame: Frame,
    description: Description,
    /// Number of the last order sent.
    number: u32,
    signal: bool,
}

/// Progress of an operation, which takes one order for each [`MAX_TRANSFER_BYTES`].
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The order in flight; 0 if there is none.
    number: u32,
    /// Number of completed orders.
    done: u32,
}

impl Progress {
    const fn of(ticket: Ticket) -> Self {
        // The casts split the ticket into its two halves.
        #[allow(clippy::cast_possible_truncation)]
        Self {
            number: ticket.0 as u32,
            done: (ticket.0 >> 32) as u32,
        }
    }

    const fn ticket(self) -> Ticket {
        Ticket((self.done as u64) << 32 | self.number as u64)
    }

    /// The state in which the next order can be sent.
    const fn next(self) -> Self {
        Self {
            number: 0,
            done: self.done.saturating_add(1),
        }
    }

    /// The first sector of the order in flight, for an operation that starts at `first`, and its offset in the buffer.
    const fn place(self, first: u64) -> (u64, usize) {
        let sectors = (self.done as u64).saturating_mul(MAX_TRANSFER_SECTORS as u64);
        let bytes = (self.done as usize).saturating_mul(MAX_TRANSFER_BYTES);
        (first.saturating_add(sectors), bytes)
    }
}

/// Orders of a read that may be in flight at once: half a ring.
const WINDOW: u16 = SLOTS as u16 / 2;

/// Progress of a read, whose orders have consecutive numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// Number of its first order.
    number: u32,
    /// Number of orders sent.
    sent: u16,
    /// Number of completed orders.
    done: u16,
}

impl Window {
    const fn of(ticket: Ticket) -> Self {
        // The casts split the ticket into its three parts.
        #[allow(clippy::cast_possible_truncation)]
        Self {
            number: ticket.0 as u32,
            sent: (ticket.0 >> 32) as u16,
            done: (ticket.0 >> 48) as u16,
        }
    }

    const fn ticket(self) -> Ticket {
        Ticket((self.done as u64) << 48 | (self.sent as u64) << 32 | self.number as u64)
    }

    const fn has_room(self) -> bool {
        self.sent < MOST_ORDERS && self.sent.saturating_sub(self.done) < WINDOW
    }

    const fn was_sent(&mut self, number: u32) {
        if self.sent == 0 {
            self.number = number;
        }
        self.sent = self.sent.saturating_add(1);
    }

    /// Number of the oldest order in flight.
    const fn oldest(self) -> u32 {
        self.number.saturating_add(self.done as u32)
    }

    /// The first sector of an order, for a read that starts at `first`, and its offset in the buffer.
    const fn place(first: u64, order: u16) -> (u64, usize) {
        let sectors = (order as u64).saturating_mul(MAX_TRANSFER_SECTORS as u64);
        let bytes = (order as usize).saturating_mul(MAX_TRANSFER_BYTES);
        (first.saturating_add(sectors), bytes)
    }
}

/// Beyond this number, a read could run out of numbers.
const LAST_NUMBER: u32 = u32::MAX - u16::MAX as u32;

/// Limit of orders in a read (512 MiB): more than any buffer needs.
const MOST_ORDERS: u16 = u16::MAX;

impl<R: ReadWords, W: WriteWords> DiskEnd<R, W> {
    pub const fn new(ring: Endpoint<R, W>) -> Self {
        Self {
            ring,
            frame: Frame::new(),
            description: Description {
                sectors: 0,
                writable: false,
            },
            number: 0,
            signal: false,
        }
    }

    /// Whether to signal disk now.
    pub fn takes_signal(&mut self) -> bool {
        let owed = self.ring.take_owed_signal();
        core::mem::take(&mut self.signal) | owed
    }

    /// Asks disk for its description. Until it answers, and if that fails, the disk has no sectors.
    pub async fn describe(end: &RefCell<Self>) -> Result<(), DiskError> {
        end.borrow_mut().description = Description::default();
        let mut number = 0;
        core::future::poll_fn(|_| end.borrow_mut().poll_description(&mut number)).await
    }

    fn poll_description(&mut self, number: &mut u32) -> Poll<Result<(), DiskError>> {
        if *number == 0 && !self.send(number, &Order::Describe) {
            return Poll::Pending;
        }
        if !self.receive(*number) {
            return Poll::Pending;
        }
        Poll::Ready(match Outcome::parse(&self.frame) {
            Ok(Outcome::Described(description)) => {
                self.description = description;
                Ok(())
            }
            Ok(Outcome::Failed { why, .. }) => Err(why),
            _ => Err(DiskError::NoDevice),
        })
    }

    /// Sends an order and stores its number in `number`; false if there is no room.
    fn send(&mut self, number: &mut u32, order: &Order<'_>) -> bool {
        self.ring.follow();
        // 0 means no order, and the numbers of a read's orders are consecutive.
        let next = self.number.checked_add(1).unwrap_or(1);
        order.write(next, &mut self.frame);
        let sent = self.ring.send(&self.frame).is_ok();
        if sent {
            self.number = next;
            *number = next;
            self.signal = true;
        }
        sent
    }

    /// Whether the frame now has the answer to this order.
    fn receive(&mut self, number: u32) -> bool {
        for _ in 0..SLOTS {
            match self.ring.receive(&mut self.frame) {
                Ok(true) if self.frame.header().request == number => return true,
                Ok(true) | Err(_) => {}
                Ok(false) => break,
            }
        }
        false
    }

    /// Sends one order to write or to flush, and waits for its answer.
    fn settle(
        &mut self,
        ticket: &mut Ticket,
        first: u64,
        order: &Order<'_>,
    ) -> Poll<Result<(), BlockError>> {
        let mut progress = Progress::of(*ticket);
        if progress.number == 0 && !self.send(&mut progress.number, order) {
            return Poll::Pending;
        }
        *ticket = progress.ticket();
        if !self.receive(progress.number) {
            return Poll::Pending;
        }
        *ticket = progress.next().ticket();
        Poll::Ready(match Outcome::parse(&self.frame) {
            Ok(Outcome::Done) => Ok(()),
            Ok(Outcome::Failed { why, sector }) => Err(self.error(why, sector)),
            _ => Err(BlockError::Device { sector: first }),
        })
    }

    const fn error(&self, why: DiskError, sector: u64) -> BlockError {
        match why {
            DiskError::ReadOnly => BlockError::ReadOnly,
            DiskError::Range => BlockError::Range {
                sector,
                sectors: self.description.sectors,
            },
            DiskError::NoDevice | DiskError::Device => BlockError::Device { sector },
        }
    }
}

impl<R: ReadWords, W: WriteWords> Blocks for DiskEnd<R, W> {
    fn sectors(&self) -> u64 {
        self.description.sectors
    }

    fn writable(&self) -> bool {
        self.description.writable
    }

    fn read(
        &mut self,
        ticket: &mut Ticket,
        first: u64,
        out: &mut [u8],
    ) -> Poll<Result<(), BlockError>> {
        check_range(self.description.sectors, first, out.len())?;
        let mut window = Window::of(*ticket);
        if window.sent == 0 && self.number > LAST_NUMBER {
            // Numbers start over; the first ones were answered long ago.
            self.number = 0;
        }
        loop {
            while window.has_room() {
                let (sector, at) = Window::place(first, window.sent);
                let bytes = out.len().saturating_sub(at).min(MAX_TRANSFER_BYTES);
                // At most `MAX_TRANSFER_SECTORS`.
                #[allow(clippy::cast_possible_truncation)]
                let order = Order::Read {
                    first: sector,
                    sectors: bytes.div_ceil(SECTOR) as u32,
                };
                let mut number = 0;
                if bytes == 0 || !self.send(&mut number, &order) {
                    break;
                }
                window.was_sent(number);
            }
            *ticket = window.ticket();
            let (sector, at) = Window::place(first, window.done);
            let Some(part) = out.get_mut(at..).filter(|part| !part.is_empty()) else {
                return Poll::Ready(Ok(()));
            };
            if window.sent == window.done || !self.receive(window.oldest()) {
                return Poll::Pending;
            }
            let bytes = part.len().min(MAX_TRANSFER_BYTES);
            match Outcome::parse(&self.frame) {
                Ok(Outcome::Sectors { first, data }) if first == sector && data.len() == bytes => {
                    for (to, from) in part.iter_mut().zip(data) {
                        *to = *from;
                    }
                }
                // Answers to later orders of this read will be dropped, because no operation waits for them.
                Ok(Outcome::Failed { why, sector }) => {
                    return Poll::Ready(Err(self.error(why, sector)));
                }
                _ => return Poll::Ready(Err(BlockError::Device { sector })),
            }
            window.done = window.done.saturating_add(1);
            *ticket = window.ticket();
        }
    }

    fn write(
        &mut self,
        ticket: &mut Ticket,
        first: u64,
        data: &[u8],
    ) -> Poll<Result<(), BlockError>> {
        check_range(self.description.sectors, first, data.len())?;
        loop {
            let (sector, at) = Progress::of(*ticket).place(first);
            let Some(part) = data.get(at..).filter(|part| !part.is_empty()) else {
                return Poll::Ready(Ok(()));
            };
            let part = part.get(..MAX_TRANSFER_BYTES).unwrap_or(part);
            let order = Order::Write {
                first: sector,
                data: part,
            };
            match self.settle(ticket, sector, &order) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
    }

    fn flush(&mut self, ticket: &mut Ticket) -> Poll<Result<(), BlockError>> {
        self.settle(ticket, 0, &Order::Flush)
    }
}
