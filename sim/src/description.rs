//! What the supervisor tells the process of a domain about itself: its whole authority. It travels
//! as JSON over a pipe that is closed before the component starts.

use serde::{Deserialize, Serialize};
use std::os::fd::RawFd;

/// A domain, and the descriptors that it has inherited.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Name of the domain.
    pub domain: String,
    /// Which [`crate::pd::Role`] it runs, unless its program is its own.
    pub role: String,
    /// Process of the supervisor.
    pub supervisor: i32,
    /// When the system started, in microseconds of `CLOCK_MONOTONIC`: time 0 of the domains.
    pub boot_us: u64,
    /// Variables of the program that hold numbers of channels, interrupts and children (`setvar_id`).
    pub variables: Vec<(String, u8)>,
    /// Regions to map.
    pub mappings: Vec<Mapping>,
    /// Channels on which it may notify.
    pub notifiers: Vec<Notifier>,
    /// Where notifications and interrupts arrive.
    pub wakeups: Vec<Wakeup>,
    /// The terminal, if the UART's interrupt is its own.
    pub console: Option<Console>,
    /// The one-shot timer, if its interrupt is its own.
    pub timer: Option<Timer>,
    /// The disk, if its interrupt is its own and there is one.
    pub disk: Option<Disk>,
    /// Control over children, if it has any.
    pub children: Option<Children>,
    /// Where its own fault handler reports, if the supervisor cannot trace it.
    pub report: Option<RawFd>,
    /// Keep standard error for messages of panics and debug output, as a debug kernel would.
    pub debug: Option<Debug>,
}

/// How standard error takes what a domain says of itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Debug {
    /// It is a terminal in raw mode, where a line feed is no new line.
    pub raw: bool,
}

/// A region to map.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mapping {
    /// Name of the region.
    pub region: String,
    /// Variable of the program that holds its address (`setvar_vaddr`).
    pub symbol: Option<String>,
    /// Variable of the program that holds its size (`setvar_size`).
    pub size_symbol: Option<String>,
    /// Variable of the program that holds the size of its prefill (`setvar_prefill_size`), and that size in bytes.
    pub prefill: Option<(String, u64)>,
    /// Where.
    pub vaddr: u64,
    /// Size in bytes.
    pub size: u64,
    /// Readable.
    pub read: bool,
    /// Writable.
    pub write: bool,
    /// Executable.
    pub execute: bool,
    /// Who else has it.
    pub sharing: Sharing,
    /// Opened read-only unless the mapping is writable; closed once it is mapped.
    pub descriptor: RawFd,
}

/// Who can change a region under the eyes of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sharing {
    /// No other domain maps it.
    Private,
    /// No domain maps it writable, and its file is sealed against writing.
    Constant,
    /// Some other domain does.
    Shared,
}

/// The right to notify on a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notifier {
    /// Number of the channel in this domain.
    pub id: u8,
    /// Write end of a pipe.
    pub descriptor: RawFd,
}

/// A source of wake-ups: the read end of a channel's pipe, or a timer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wakeup {
    /// Number of the channel or interrupt in this domain.
    pub id: u8,
    /// What to read until it is empty.
    pub descriptor: RawFd,
}

/// The terminal in place of a UART.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Console {
    /// Number of the interrupt in this domain.
    pub id: u8,
    /// Input.
    pub input: RawFd,
    /// Output, which gives no room rather than wait, if it could be opened so.
    pub output: RawFd,
    /// Whether a person types: a terminal in raw mode, not a pipe.
    pub terminal: bool,
    /// Whether that terminal has control sequences, as `TERM` says.
    pub has_sequences: bool,
}

/// A file in place of a disk. It answers at once, so the interrupt never comes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Disk {
    /// Number of the interrupt in this domain.
    pub id: u8,
    /// The file.
    pub descriptor: RawFd,
    /// Its size.
    pub bytes: u64,
    /// Whether it was opened for writing.
    pub writable: bool,
}

/// The one-shot timer in place of the generic timer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timer {
    /// Number of the interrupt in this domain. It arrives as a [`Wakeup`].
    pub id: u8,
    /// To arm; the same as that of the wake-up.
    pub descriptor: RawFd,
}

/// Control over children.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Children {
    /// Their numbers, and how often each was restarted since the system started.
    pub ids: Vec<(u8, u32)>,
    /// A byte with a child's number restarts it.
    pub restart: RawFd,
    /// A byte for each order, when nothing of the old child runs any more.
    pub done: RawFd,
    /// Fault records arrive here.
    pub faults: RawFd,
}
