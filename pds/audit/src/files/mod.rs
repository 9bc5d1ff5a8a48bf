//! Audit's end towards `files`, the domain with the file system, or that this system has none.
//!
//! One audit is built for two systems. `Audit<'m, R, W, F>` asks its end through [`FilesEnd`]. The system with a disk has
//! [`Files`]. The one without has [`NoFiles`], a type without values: `Option<NoFiles>` takes no memory, and the compiler
//! drops whatever would be done with one. Therefore everything that a disk needs, state included, belongs into [`Files`] or
//! behind it, and never into the monitor, its table or its messages to inference.
//!
//! # How a part of the monitor uses it
//!
//! Each part that asks has an `Owner`: the log, lists, loads, adapters that are written. A part does two things:
//!
//! - *It asks* in `Monitor::ask_files` (`monitor/files.rs`), which is called at the end of each wake-up with the owners in
//!   their order, most urgent first: `files.link.ask(Owner::…, &ask, now)`. `Ok(false)` means that its last question
//!   is still under way: try again at the next wake-up, which the answer to that question causes. `Err` says why there will be no
//!   answer, now or ever (`Link::failure`).
//! - *It hears* in `Monitor::hear_files`, which is called at the beginning of each wake-up with what `Link::receive` has
//!   believed: `Heard::Answer(owner, answer)` or `Heard::Failed(owner, failure)`. Each question is followed by exactly one
//!   of them (lists: by any number of `Answer::File` before that), so an owner that has asked always hears the end of it.
//!
//! An answer borrows the frame at hand and is gone after the call: copy what is to be kept.

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

/// What audit's end towards files is: [`Files`], or [`NoFiles`].
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

/// What is known of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// Nothing: files is to be asked.
    Wanted,
    /// Files was asked.
    Asked,
    /// It has a file system.
    Mounted,
    /// It has none that can be used.
    Failed(Failure),
}

/// The end of a system with a disk.
#[derive(Debug)]
pub struct Files<R, W> {
    pub(crate) link: Link<R, W>,
    pub(crate) mount: Mount,
    pub(crate) card: Card<W>,
    /// The log on the disk.
    pub(crate) journal: Journal,
}

impl<R: ReadWords, W: WriteWords> Files<R, W> {
    /// The end over audit's side of the rings with files. `staging`: memory that audit alone maps. `slots`: the region of
    /// model slots, which audit alone writes. `store`: the model store, behind which inference counts the slots. `journal`:
    /// for the log on the disk.
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
