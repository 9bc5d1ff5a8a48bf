//! The `files` domain: it implements the disk's file system, gives audit its files, and writes the audit log's sectors.
//!
//! It is untrusted. Audit checks everything that comes from here, so safety does not depend on this code; only
//! usefulness does. It reaches the disk only through the `disk` domain.
//!
//! The file system waits for the disk, but a domain must not wait for anybody. So the domain's work is one future
//! ([`serve`]), which is polled whenever audit or disk has signalled ([`Links::poll`]). It runs until it needs a
//! message that has not arrived yet, and it never ends.

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

mod audit;
mod disk;
mod mounted;

#[cfg(test)]
mod tests;

use audit::AuditEnd;
use core::cell::RefCell;
use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use disk::DiskEnd;
use mounted::Next;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame};
use protocol::wire::disk::DiskError;
use protocol::wire::files::{Answer, Ask, FilesError};
use storage::{BlockError, Ground, StorageError, Volume};

/// What the runtime does for this domain.
pub trait Port {
    /// Signals audit.
    fn notify_audit(&mut self);

    /// Signals disk.
    fn notify_disk(&mut self);
}

/// The domain's rings, shared by [`serve`] and the code that polls it.
#[derive(Debug)]
pub struct Links<R, W> {
    audit: RefCell<AuditEnd<R, W>>,
    disk: RefCell<DiskEnd<R, W>>,
}

impl<R: ReadWords, W: WriteWords> Links<R, W> {
    /// The rings with audit and with disk.
    pub const fn new(audit: Endpoint<R, W>, disk: Endpoint<R, W>) -> Self {
        Self {
            audit: RefCell::new(AuditEnd::new(audit)),
            disk: RefCell::new(DiskEnd::new(disk)),
        }
    }

    /// Does as much work as possible after audit or disk has signalled.
    pub fn poll(
        &self,
        service: Pin<&mut (impl Future<Output = Infallible> + ?Sized)>,
        port: &mut impl Port,
    ) {
        let mut context = Context::from_waker(Waker::noop());
        // The future never ends, so the result does not matter.
        let _ = service.poll(&mut context);
        if self.audit.borrow_mut().takes_signal() {
            port.notify_audit();
        }
        if self.disk.borrow_mut().takes_signal() {
            port.notify_disk();
        }
    }

    /// Waits for audit's next question and puts it into `frame`.
    async fn ask(&self, frame: &mut Frame) {
        core::future::poll_fn(|_| self.audit.borrow_mut().receive(frame)).await;
    }

    /// Answers the question with this number.
    async fn answer(&self, number: u32, answer: &Answer<'_>) {
        core::future::poll_fn(|_| self.audit.borrow_mut().send(number, answer)).await;
    }

    /// Answers with a failure.
    async fn fail(&self, number: u32, why: FilesError, value: u64) {
        self.answer(number, &Answer::Failed { why, value }).await;
    }

    /// Answers `Done`, or why the operation failed.
    async fn settle(&self, number: u32, result: Result<(), StorageError>) {
        match result {
            Ok(()) => self.answer(number, &Answer::Done).await,
            Err(error) => {
                let (why, value) = failure(&error);
                self.fail(number, why, value).await;
            }
        }
    }
}

/// The domain's work, which never ends.
pub async fn serve<R: ReadWords, W: WriteWords>(links: &Links<R, W>) -> Infallible {
    let mut frame = Frame::new();
    // The number of a `Mount` that has ended the previous mount.
    let mut again = None;
    loop {
        let number = match again.take() {
            Some(number) => number,
            None => {
                links.ask(&mut frame).await;
                let number = frame.header().request;
                match Ask::parse(&frame) {
                    Ok(Ask::Mount) => number,
                    // Closing when nothing is open is not an error.
                    Ok(Ask::Close) => {
                        links.answer(number, &Answer::Done).await;
                        continue;
                    }
                    _ => {
                        links.fail(number, FilesError::NotOpen, 0).await;
                        continue;
                    }
                }
            }
        };
        if let Err(why) = DiskEnd::describe(&links.disk).await {
            let why = match why {
                DiskError::Device => FilesError::Device,
                _ => FilesError::NoDisk,
            };
            links.fail(number, why, 0).await;
            continue;
        }
        let mut ground = Ground::new();
        match Volume::mount(&links.disk, &mut ground).await {
            Ok(volume) => {
                let Next::Mount(number) = mounted::serve(links, volume, number).await;
                again = Some(number);
            }
            Err(error) => {
                let (why, value) = failure(&error);
                links.fail(number, why, value).await;
            }
        }
    }
}

/// The error to report to audit.
fn failure(error: &StorageError) -> (FilesError, u64) {
    match error {
        StorageError::TooSmall { sectors } => (FilesError::NoFileSystem, *sectors),
        StorageError::NoFileSystem => (FilesError::NoFileSystem, 0),
        StorageError::Damaged { place, .. } => {
            let at = match place {
                storage::Place::Unknown => 0,
                storage::Place::Byte(at)
                | storage::Place::Sector(at)
                | storage::Place::Cluster(at) => *at,
            };
            (FilesError::Damaged, at)
        }
        StorageError::NotFound => (FilesError::NotFound, 0),
        StorageError::IsFolder | StorageError::IsFile | StorageError::Exists => {
            (FilesError::WrongKind, 0)
        }
        StorageError::BadName | StorageError::BadLabel => (FilesError::BadPath, 0),
        StorageError::Full => (FilesError::Full, 0),
        StorageError::FileTooLarge => (FilesError::TooLarge, 0),
        StorageError::ReadOnly | StorageError::Disk(BlockError::ReadOnly) => {
            (FilesError::ReadOnly, 0)
        }
        StorageError::Disk(BlockError::Device { sector }) => (FilesError::Device, *sector),
        StorageError::Disk(BlockError::Range { sector, .. }) => (FilesError::Damaged, *sector),
        StorageError::Disk(BlockError::Budget { .. }) => (FilesError::Damaged, 0),
        StorageError::TooMany { limit, .. } => (FilesError::TooMany, *limit as u64),
        StorageError::Scattered => (FilesError::Scattered, 0),
        StorageError::Uneven { bytes } => (FilesError::LogSize, *bytes),
        StorageError::Unsupported(_) => (FilesError::Unsupported, 0),
    }
}
