//! Audit's connection to `files`, the domain with the file system, or its absence.
//!
//! The same audit is built for systems with and without a disk. `Audit<'m, R, W, F>` reaches its end through
//! [`FilesEnd`]. With a disk, that is [`Files`]. Without one, it is [`NoFiles`], a type without values:
//! `Option<NoFiles>` takes no memory, and the compiler drops all code that would use one. So everything that a disk
//! needs, including its state, belongs in [`Files`] or behind it, never in the monitor, its table or its messages to
//! inference.
//!
//! # How a part of the monitor uses it
//!
//! Each part that asks has an `Owner`: the log, lists, loads, and adapters being written. A part does two things:
//!
//! - *It asks* in `Monitor::ask_files` (`monitor/files.rs`), which is called at the end of each wake-up with the
//!   owners, most urgent first: `files.link.ask(Owner::…, &ask, now)`. `Ok(false)` means that the owner's last question
//!   is still under way; try again at the next wake-up, which the answer will cause. `Err` says why there will be no
//!   answer, now or ever (`Link::failure`).
//! - *It hears* in `Monitor::hear_files`, which is called at the start of each wake-up with what `Link::receive` has
//!   accepted: `Heard::Answer(owner, answer)` or `Heard::Failed(owner, failure)`. Each question is followed by exactly
//!   one of them (lists: after any number of `Answer::File`), so an owner always hears the end of its question.
//!
//! An answer borrows the caller's frame and is gone after the call: copy whatever must be kept.

mod card;
mod link;
mod listing;
mod path;
mod saving;
#[cfg(test)]
mod tests;

pub(crate) use card::{Arrived, Card, Staged};
#[cfg(test)]
pub(crate) use link::ANSWER_US;
pub(crate) use link::{Heard, Link, Owner};
pub(crate) use listing::Listing;
pub(crate) use path::{is_on_disk, name_off_disk, name_on_disk};
pub(crate) use saving::{NextSave, Saving};

use crate::journal::{Journal, JournalMemory};
use protocol::error::Failure;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::Endpoint;

/// Audit's end of the link to files: [`Files`], or [`NoFiles`].
pub trait FilesEnd<R, W> {
    /// The end.
    fn get(&self) -> &Files<R, W>;

    /// As [`Self::get`].
    fn get_mut(&mut self) -> &mut Files<R, W>;
}

/// The link to files of a system without a disk. It has no values.
#[derive(Clone, Copy, Debug)]
pub enum NoFiles {}

impl<R, W> FilesEnd<R, W> for NoFiles {
    fn get(&self) -> &Files<R, W> {
        match *self {}
    }

    fn get_mut(&mut self) -> &mut Files<R, W> {
        match *self {}
    }
}

/// The state of the disk's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// Files has yet to be asked.
    Wanted,
    /// Files was asked and has not answered.
    Asked,
    /// The disk has a file system.
    Mounted,
    /// The disk has no usable file system.
    Failed(Failure),
}

/// The end in a system with a disk.
#[derive(Debug)]
pub struct Files<R, W> {
    pub(crate) link: Link<R, W>,
    pub(crate) mount: Mount,
    pub(crate) card: Card<W>,
    /// The log on the disk.
    pub(crate) journal: Journal,
}

impl<R: ReadWords, W: WriteWords> Files<R, W> {
    /// Creates audit's end. `staging`: memory that only audit maps. `slots`: the region of model slots, which only
    /// audit writes. `store`: the model store; inference counts the slots as if they followed it. `journal`: memory for
    /// the log on the disk.
    pub const fn new(
        ring: Endpoint<R, W>,
        staging: W,
        slots: W,
        store: &[u8],
        journal: &'static mut JournalMemory,
    ) -> Self {
        Self {
            link: Link::new(ring),
            mount: Mount::Wanted,
            card: Card::new(staging, slots, store.len() as u64),
            journal: Journal::new(journal),
        }
    }
}

impl<R, W> FilesEnd<R, W> for Files<R, W> {
    fn get(&self) -> &Self {
        self
    }

    fn get_mut(&mut self) -> &mut Self {
        self
    }
}

const _: () = assert!(size_of::<Option<NoFiles>>() == 0);
