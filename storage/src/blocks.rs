//! Sectors of a disk, and how the file system crates access them.
//!
//! A disk may answer later, so [`Blocks`] is polled. That way the same code serves a domain that waits for a
//! notification and a program that reads a file.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use hadris_io::{Error as FsError, ErrorKind, ErrorType};
use hadris_storage::async_::BlockDevice;
use hadris_storage::{BlockIndex, BlockSize};
use thiserror::Error;

/// Bytes of a sector.
pub const SECTOR: usize = 512;

const BLOCK_SIZE: BlockSize = match BlockSize::new(SECTOR as u32) {
    Some(size) => size,
    None => panic!("a sector has bytes"),
};

/// Why sectors cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlockError {
    /// The sectors are not on the disk.
    #[error("sector {sector} was asked for, but the disk has {sectors}")]
    Range {
        /// The first sector that does not exist.
        sector: u64,
        /// Sectors of the disk.
        sectors: u64,
    },
    /// The device reports an error.
    #[error("the disk reports an error at sector {sector}")]
    Device {
        /// The first sector that was asked for.
        sector: u64,
    },
    /// The device cannot be written.
    #[error("the disk is write-protected")]
    ReadOnly,
    /// One operation asked for more sectors than an intact file system needs.
    #[error("the file system needs more than {limit} sectors for one operation: it is damaged")]
    Budget {
        /// The limit in sectors.
        limit: u64,
    },
}

/// State that a disk keeps of an operation between two polls; zero before the first poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// A disk of sectors.
///
/// If an operation is [`Poll::Pending`], call it again with the same arguments and ticket when something has happened.
/// Buffers are whole sectors. No operation keeps a buffer between two polls.
pub trait Blocks {
    /// Number of sectors.
    fn sectors(&self) -> u64;

    /// Whether it can be written.
    fn writable(&self) -> bool;

    /// Reads the sectors from `first` on.
    fn read(
        &mut self,
        ticket: &mut Ticket,
        first: u64,
        out: &mut [u8],
    ) -> Poll<Result<(), BlockError>>;

    /// Writes the sectors from `first` on.
    fn write(
        &mut self,
        ticket: &mut Ticket,
        first: u64,
        data: &[u8],
    ) -> Poll<Result<(), BlockError>>;

    /// Makes all previous writes durable.
    fn flush(&mut self, ticket: &mut Ticket) -> Poll<Result<(), BlockError>>;

    /// Abandons an operation: nobody will poll it again.
    fn cancel(&mut self, ticket: &mut Ticket) {
        *ticket = Ticket::default();
    }
}

macro_rules! lent {
    ($(#[$doc:meta])* $type:ty, $self:ident => $shared:expr, $exclusive:expr) => {
        $(#[$doc])*
        impl<B: Blocks> Blocks for $type {
            fn sectors(&$self) -> u64 {
                $shared.sectors()
            }

            fn writable(&$self) -> bool {
                $shared.writable()
            }

            fn read(
                &mut $self,
                ticket: &mut Ticket,
                first: u64,
                out: &mut [u8],
            ) -> Poll<Result<(), BlockError>> {
                $exclusive.read(ticket, first, out)
            }

            fn write(
                &mut $self,
                ticket: &mut Ticket,
                first: u64,
                data: &[u8],
            ) -> Poll<Result<(), BlockError>> {
                $exclusive.write(ticket, first, data)
            }

            fn flush(&mut $self, ticket: &mut Ticket) -> Poll<Result<(), BlockError>> {
                $exclusive.flush(ticket)
            }

            fn cancel(&mut $self, ticket: &mut Ticket) {
                $exclusive.cancel(ticket);
            }
        }
    };
}

lent! {
    /// A borrowed disk.
    &mut B, self => (**self), (**self)
}

lent! {
    /// A disk that a file system shares with others.
    &RefCell<B>, self => self.borrow(), self.borrow_mut()
}

/// A disk in memory. Bytes after the last whole sector are not part of it.
#[derive(Clone, Debug)]
pub struct Memory<M> {
    bytes: M,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Memory<M> {
    /// A disk over `bytes`.
    #[must_use]
    pub const fn new(bytes: M) -> Self {
        Self { bytes }
    }

    /// The disk's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The disk's bytes, mutable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut()
    }

    fn range(&self, first: u64, bytes: usize) -> Result<core::ops::Range<usize>, BlockError> {
        check_range(self.sectors(), first, bytes)?;
        let start = usize::try_from(first).unwrap_or(usize::MAX);
        let start = start.saturating_mul(SECTOR);
        Ok(start..start.saturating_add(bytes))
    }
}

/// Checks that `bytes` starting at sector `first` are whole sectors of a disk of `sectors`.
///
/// # Errors
/// The range is not on the disk, or not whole sectors.
pub fn check_range(sectors: u64, first: u64, bytes: usize) -> Result<(), BlockError> {
    let count = bytes.div_ceil(SECTOR) as u64;
    match first.checked_add(count) {
        Some(end) if end <= sectors && bytes.is_multiple_of(SECTOR) => Ok(()),
        _ => Err(BlockError::Range {
            sector: first.max(sectors),
            sectors,
        }),
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Blocks for Memory<M> {
    fn sectors(&self) -> u64 {
        (self.bytes.as_ref().len() / SECTOR) as u64
    }

    fn writable(&self) -> bool {
        true
    }

    fn read(&mut self, _: &mut Ticket, first: u64, out: &mut [u8]) -> Poll<Result<(), BlockError>> {
        let range = self.range(first, out.len())?;
        if let Some(from) = self.bytes.as_ref().get(range) {
            out.copy_from_slice(from);
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, _: &mut Ticket, first: u64, data: &[u8]) -> Poll<Result<(), BlockError>> {
        let range = self.range(first, data.len())?;
        if let Some(to) = self.bytes.as_mut().get_mut(range) {
            to.copy_from_slice(data);
        }
        Poll::Ready(Ok(()))
    }

    fn flush(&mut self, _: &mut Ticket) -> Poll<Result<(), BlockError>> {
        Poll::Ready(Ok(()))
    }
}

/// Runs an operation on a disk that never waits. On one that does, this busy-polls.
pub fn block_on<T>(operation: impl Future<Output = T>) -> T {
    let mut operation = pin!(operation);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = operation.as_mut().poll(&mut context) {
            return value;
        }
        core::hint::spin_loop();
    }
}

/// Reads whole sectors.
///
/// # Errors
/// The disk failed.
pub async fn read<B: Blocks>(blocks: &mut B, first: u64, out: &mut [u8]) -> Result<(), BlockError> {
    let mut ticket = Ticket::default();
    core::future::poll_fn(|_| blocks.read(&mut ticket, first, out)).await
}

/// Writes whole sectors.
///
/// # Errors
/// The disk failed.
pub async fn write<B: Blocks>(blocks: &mut B, first: u64, data: &[u8]) -> Result<(), BlockError> {
    let mut ticket = Ticket::default();
    core::future::poll_fn(|_| blocks.write(&mut ticket, first, data)).await
}

/// Makes all previous writes durable.
///
/// # Errors
/// The disk failed.
pub async fn flush<B: Blocks>(blocks: &mut B) -> Result<(), BlockError> {
    let mut ticket = Ticket::default();
    core::future::poll_fn(|_| blocks.flush(&mut ticket)).await
}

/// Adapts [`Blocks`] to the file system crates, and limits the sectors that one operation may access.
#[derive(Debug)]
pub(crate) struct Device<'b, B> {
    pub blocks: B,
    budget: &'b Cell<u64>,
    limit: u64,
}

impl<'b, B: Blocks> Device<'b, B> {
    pub const fn new(blocks: B, budget: &'b Cell<u64>, limit: u64) -> Self {
        Self {
            blocks,
            budget,
            limit,
        }
    }

    /// Charges an operation to the budget once, when its ticket is new.
    fn pay(&self, state: &mut State, bytes: usize) -> Result<(), FsError<BlockError>> {
        if !state.paid {
            let left = self.budget.get().checked_sub((bytes / SECTOR) as u64);
            self.budget.set(left.unwrap_or(0));
            if left.is_none() {
                return Err(wrap(BlockError::Budget { limit: self.limit }));
            }
            state.paid = true;
        }
        Ok(())
    }
}

/// An operation between two polls.
#[derive(Debug, Default)]
pub(crate) struct State {
    ticket: Ticket,
    paid: bool,
}

fn wrap(error: BlockError) -> FsError<BlockError> {
    let kind = match error {
        BlockError::ReadOnly => ErrorKind::ReadOnly,
        BlockError::Range { .. } => ErrorKind::InvalidInput,
        _ => ErrorKind::Io,
    };
    FsError::device(error, "the disk failed").with_kind(kind)
}

impl<B> ErrorType for Device<'_, B> {
    type Error = BlockError;
}

impl<B: Blocks> BlockDevice for Device<'_, B> {
    type State = State;

    fn block_size(&self) -> BlockSize {
        BLOCK_SIZE
    }

    fn block_count(&self) -> u64 {
        self.blocks.sectors()
    }

    fn writable(&self) -> bool {
        self.blocks.writable()
    }

    fn poll_read_blocks(
        &mut self,
        state: &mut State,
        _: &mut Context<'_>,
        first: BlockIndex,
        out: &mut [u8],
    ) -> Poll<Result<(), FsError<BlockError>>> {
        self.pay(state, out.len())?;
        let result = self.blocks.read(&mut state.ticket, first.get(), out);
        result.map_err(wrap)
    }

    fn poll_write_blocks(
        &mut self,
        state: &mut State,
        _: &mut Context<'_>,
        first: BlockIndex,
        data: &[u8],
    ) -> Poll<Result<(), FsError<BlockError>>> {
        self.pay(state, data.len())?;
        let result = self.blocks.write(&mut state.ticket, first.get(), data);
        result.map_err(wrap)
    }

    fn poll_flush(
        &mut self,
        state: &mut State,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), FsError<BlockError>>> {
        self.blocks.flush(&mut state.ticket).map_err(wrap)
    }

    fn cancel(&mut self, state: &mut State) {
        self.blocks.cancel(&mut state.ticket);
    }
}
