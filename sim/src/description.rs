//! What the supervisor tells a domain's process about itself: its whole authority. It travels as JSON over a pipe that
//! is closed before the component starts.

use serde::{Deserialize, Serialize};
use std::os::fd::RawFd;

/// A domain, and the descriptors that it has inherited.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// Name of the domain.
    pub domain: String,
    /// The [`crate::pd::Role`] that it runs, unless the command line names its program.
    pub role: String,
    /// Process of the supervisor.
    pub supervisor: i32,
    /// When the system started, in microseconds of `CLOCK_MONOTONIC`: time 0 of the domains.
    pub boot_us: u64,
    /// Variables of the program that hold the numbers of channels, interrupts and children (`setvar_id`).
    pub variables: Vec<(String, u8)>,
    /// Regions to map.
    pub mappings: Vec<Mapping>,
    /// Channels that it may notify.
    pub notifiers: Vec<Notifier>,
    /// The descriptors at which notifications and interrupts arrive.
    pub wakeups: Vec<Wakeup>,
    /// The terminal, if this domain owns the UART's interrupt.
    pub console: Option<Console>,
    /// The one-shot timer, if this domain owns its interrupt.
    pub timer: Option<Timer>,
    /// The disk, if this domain owns its interrupt and the simulation was given one.
    pub disk: Option<Disk>,
    /// Control over children, if it has any.
    pub children: Option<Children>,
    /// The descriptor to which its own fault handler writes, if the supervisor cannot trace it.
    pub report: Option<RawFd>,
    /// The core that it runs on, if the system assigns cores to domains.
    pub core: Option<Core>,
    /// Set if standard error is kept for panics and debug output, as on a debug kernel.
    pub debug: Option<Debug>,
}

/// A core.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Core {
    /// Its number in the description of the system.
    pub number: u8,
    /// The core of this machine that takes its place. With fewer cores, several domains' cores are the same one.
    pub cpu: usize,
    /// How many cores this process may use.
    pub cores: usize,
}

/// How a domain's debug output is written to standard error.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Debug {
    /// Whether it is a terminal in raw mode, which needs a carriage return before each line feed.
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
    /// Its address.
    pub vaddr: u64,
    /// Size in bytes.
    pub size: u64,
    /// Whether the domain may read it.
    pub read: bool,
    /// Whether the domain may write it.
    pub write: bool,
    /// Whether the domain may execute it.
    pub execute: bool,
    /// Which other domains map it.
    pub sharing: Sharing,
    /// Read-only unless the mapping is writable; closed once it is mapped.
    pub descriptor: RawFd,
}

/// Who can change a region while a domain reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sharing {
    /// No other domain maps it.
    Private,
    /// No domain can write it: none maps it writable, and its file is sealed against writing.
    Constant,
    /// Another domain may map it writable.
    Shared,
}

/// The right to notify one channel.
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
    /// Read until it is empty.
    pub descriptor: RawFd,
}

/// The terminal in place of a UART.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Console {
    /// Number of the interrupt in this domain.
    pub id: u8,
    /// Input.
    pub input: RawFd,
    /// Output. Non-blocking, if it could be opened so.
    pub output: RawFd,
    /// Whether it is a terminal in raw mode, where a person types, and not a pipe.
    pub terminal: bool,
    /// Whether that terminal has control sequences, judging by `TERM`.
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
    /// For arming it; the same descriptor as that of the wake-up.
    pub descriptor: RawFd,
}

/// Control over children.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Children {
    /// Their numbers, and how often each has been restarted since the system started.
    pub ids: Vec<(u8, u32)>,
    /// A byte with a child's number restarts it.
    pub restart: RawFd,
    /// One byte arrives for each order, once nothing of the old child runs any more.
    pub done: RawFd,
    /// Fault records arrive here.
    pub faults: RawFd,
}
