//! The red team: a hostile inference server, which is the real one plus attacks that prompts name, and a hostile client
//! ([`client`]), files domain ([`files`]) and worker ([`worker`]), which do nothing but attack.
//!
//! Responsible for: the lists of attacks and their required outcomes ([`ATTACKS`], [`TRAININGS`], [`ANSWERS`],
//! [`client::ATTACKS`], [`files::ATTACKS`], [`worker::ATTACKS`]), and the attacks that need no kernel. The others
//! belong to the runtime ([`Ground`]).
//!
//! The rule that makes it meaningful: an attack that is not stopped says so, in a line that the runner looks for, or
//! does visible harm. Nothing passes because it was not tried: a domain stopped by a fault does not reach the line
//! after it.

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

/// An attack's report: the text of the answer.
pub type Say = heapless::String<1024>;

/// A prompt that begins with this names an attack.
pub const PREFIX: &[u8] = b"!attack ";

/// Addresses of regions in `system.xml`. For regions that inference does not have, the addresses in the domains that
/// do.
pub mod place {
    /// The arena, writable.
    pub const ARENA: usize = 0x2000_0000;
    /// The ring that inference writes.
    pub const OWN_RING: usize = 0x1130_0000;
    /// The ring that audit writes for inference; read-only.
    pub const AUDIT_RING: usize = 0x1120_0000;
    /// The model store; read-only.
    pub const STORE: usize = 0x3000_0000;
    /// The adapters, mapped to audit and inference; read-only here.
    pub const ADAPTERS: usize = 0x1400_0000;
    /// The formats, mapped to audit and inference; read-only.
    pub const FORMATS: usize = 0x1500_0000;
    /// The audit log, mapped to audit.
    pub const AUDIT_LOG: usize = 0x1200_0000;
    /// The policy, mapped to audit.
    pub const POLICY: usize = 0x1300_0000;
    /// The shell's ring to audit, mapped to both.
    pub const SHELL_RING: usize = 0x1100_0000;
    /// Audit's ring to the shell, mapped to both.
    pub const SHELL_EVENTS: usize = 0x1110_0000;
    /// The hostile client's ring to audit, in `tests/redteam/clients/system.xml`. It is not at the address that other
    /// clients use, so nothing is mapped at theirs.
    pub const MALLORY_RING: usize = 0x1140_0000;
    /// Audit's ring to the hostile client.
    pub const MALLORY_EVENTS: usize = 0x1150_0000;
    /// In `systems/disk/system.xml`: the ring that files writes, at its address in files.
    pub const FILES_RING: usize = 0x1110_0000;
    /// The ring in which audit asks files, at its address in files; read-only.
    pub const FILES_QUESTIONS: usize = 0x1100_0000;
    /// The ring in which disk answers files, at its address in files; read-only.
    pub const DISK_ANSWERS: usize = 0x1130_0000;
    /// Audit's staging copy of a file, before it is verified.
    pub const STAGING: usize = 0x4000_0000;
    /// The model slots, mapped to audit and inference.
    pub const SLOTS: usize = 0x6000_0000;
    /// In `systems/cores/system.xml`: the region by which inference and its workers synchronize.
    pub const TEAM: usize = 0x2f00_0000;
    /// The UART in the shell, the watchdog in audit, the block device in disk.
    pub const DEVICE: usize = 0x1000_0000;
    include!(concat!(env!("OUT_DIR"), "/places.rs"));
    /// The address at which programs begin.
    pub const TEXT: usize = 0x20_0000;
}
