//! The red team: a hostile inference that is the real one, plus an attack where a prompt names one, and a hostile client
//! ([`client`]), a hostile files ([`files`]) and a hostile worker ([`worker`]), which do nothing but attack.
//!
//! Responsible for: the lists of attacks and of what must become of each ([`ATTACKS`], [`TRAININGS`], [`ANSWERS`],
//! [`client::ATTACKS`], [`files::ATTACKS`], [`worker::ATTACKS`]), and those of them that need no kernel. Those that do are the runtime's ([`Ground`]).
//!
//! The rule that makes it worth something: an attack that is not stopped says so, in a line that the runner looks for,
//! or does visible harm. Nothing here passes because it was not tried: whoever is stopped by a fault has not come to the
//! line after it.

#![no_std]
#![allow(unsafe_code)]

mod answers;
#[cfg(feature = "backend")]
mod attacker;
pub mod channel;
pub mod client;
pub mod files;
mod ground;
mod list;
mod memory;
mod ring;
#[cfg(feature = "backend")]
mod saboteur;
pub mod scheduling;
mod trainings;
pub mod worker;

pub use answers::{ANSWERS, Answer, Bound, Ends, STOP, VERDICTS};
#[cfg(feature = "backend")]
pub use attacker::Attacker;
pub use ground::Ground;
pub use list::{ATTACKS, Attack, Must, On};
pub use memory::{die, execute, read, write};
pub use ring::Forger;
pub use trainings::{Found, TRAININGS, Training};

/// What an attack says about itself: the text of the answer.
pub type Say = heapless::String<1024>;

/// A prompt that begins with this names an attack.
pub const PREFIX: &[u8] = b"!attack ";

/// Where `system.xml` maps regions. Those that inference has not, are at the addresses of those who have them.
pub mod place {
    /// The arena, writable.
    pub const ARENA: usize = 0x2000_0000;
    /// The ring that inference writes.
    pub const OWN_RING: usize = 0x1130_0000;
    /// The ring that audit writes for inference: to be read.
    pub const AUDIT_RING: usize = 0x1120_0000;
    /// The model store: to be read.
    pub const STORE: usize = 0x3000_0000;
    /// What audit keeps for inference, mapped to those two: to be read.
    pub const ADAPTERS: usize = 0x1400_0000;
    /// The formats, mapped to audit and inference: to be read.
    pub const FORMATS: usize = 0x1500_0000;
    /// The audit log, mapped to audit.
    pub const AUDIT_LOG: usize = 0x1200_0000;
    /// The policy, mapped to audit.
    pub const POLICY: usize = 0x1300_0000;
    /// Shell's ring to audit, mapped to those two.
    pub const SHELL_RING: usize = 0x1100_0000;
    /// Audit's ring to shell, mapped to those two.
    pub const SHELL_EVENTS: usize = 0x1110_0000;
    /// The hostile client's ring to audit, in `tests/redteam/clients/system.xml`. It is not where other clients have
    /// theirs, so that those addresses are nobody's there.
    pub const MALLORY_RING: usize = 0x1140_0000;
    /// Audit's ring to the hostile client.
    pub const MALLORY_EVENTS: usize = 0x1150_0000;
    /// In `systems/disk/system.xml`: the ring that files writes, where files has it.
    pub const FILES_RING: usize = 0x1110_0000;
    /// The ring in which audit asks files, where files has it: to be read.
    pub const FILES_QUESTIONS: usize = 0x1100_0000;
    /// The ring in which disk answers files, where files has it: to be read.
    pub const DISK_ANSWERS: usize = 0x1130_0000;
    /// Where audit reads a file before it is verified, mapped to audit.
    pub const STAGING: usize = 0x4000_0000;
    /// The model slots, mapped to audit and inference.
    pub const SLOTS: usize = 0x6000_0000;
    /// In `systems/cores/system.xml`: how inference and its workers wait for each other.
    pub const TEAM: usize = 0x2f00_0000;
    /// The UART for shell, the watchdog for audit, the block device for disk.
    pub const DEVICE: usize = 0x1000_0000;
    include!(concat!(env!("OUT_DIR"), "/places.rs"));
    /// Where programs begin.
    pub const TEXT: usize = 0x20_0000;
}
