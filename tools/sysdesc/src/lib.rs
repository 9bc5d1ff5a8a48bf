//! Reads a Microkit system description (`system.xml`): the authority graph of the system.
//!
//! It produces one typed, resolved form of the file, which the simulation enforces and the isolation checker reasons
//! about, and determines which domains are clients of audit ([`clients`]).
//!
//! The rule that keeps its readers safe: nothing in the file is skipped. An element or attribute that Microkit 2.3.0
//! does not have is an error. So is one that Microkit has but this project does not use (protected procedures,
//! `passive`, `smc`, `cspace`, virtual machines, and features of other boards), because a reader that ignored it would
//! report less authority than exists. Switching a feature off (`pp="false"`, `smc="false"`, `passive="false"`) is
//! allowed. What a file may say but should not (a writable and executable mapping, two writers) is
//! parsed: the isolation checker names the invariant that it breaks.
//!
//! Stricter than Microkit: `size` is required, `perms` may not be empty or repeat a letter, and
//! names are plain ASCII.

pub mod board;
pub mod clients;
mod error;
mod parse;
pub mod partitions;
mod xml;

pub use board::{Arch, Board};
pub use error::{Error, Place, Problem};

/// Highest number of a channel, IRQ or child: a badge has 64 bits, two of which are Microkit's.
pub const MAX_ID: u64 = 61;
/// Highest priority of a protection domain; the monitor is above.
pub const MAX_PRIORITY: u64 = 254;
/// Default budget of a domain, in microseconds.
pub const DEFAULT_BUDGET_US: u64 = 1000;
/// Default stack of a domain, in bytes.
pub const DEFAULT_STACK_BYTES: u64 = 0x2000;
/// Page sizes of both architectures, smallest first.
pub const PAGE_SIZES: [u64; 2] = [0x1000, 0x20_0000];
/// Highest number of a core. The SDK's kernels for several cores support four, on every board of this project.
pub const MAX_CPU: u64 = 3;
/// Maximum number of protection domains in a system.
pub const MAX_DOMAINS: usize = 63;
/// Maximum number of time partitions: `KernelNumDomains` of the SDK.
pub const MAX_PARTITIONS: usize = 16;
/// Maximum number of turns in a schedule: `KernelNumDomainSchedules` of the SDK, less its end.
pub const MAX_TURNS: usize = 99;

/// A system description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Its architecture, which determines where its stacks are.
    pub arch: Arch,
    /// The memory regions, in the order of the file.
    pub regions: Vec<Region>,
    /// The protection domains, in the order of the file; a child follows its parent.
    pub domains: Vec<Domain>,
    /// The channels, in the order of the file.
    pub channels: Vec<Channel>,
    /// Time partitions, in the order of the file. If there are none, all domains share the processor by priority alone.
    pub partitions: Vec<Partition>,
    /// The cyclic schedule of the partitions; empty only if there are none.
    pub schedule: Vec<Turn>,
}

/// A time partition, which seL4 and Microkit call a (scheduling) domain: a set of protection domains that run only in
/// its turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Unique.
    pub name: String,
    /// seL4's number. Microkit's monitor is in number 0.
    pub id: u8,
    /// Line in the file.
    pub line: u32,
}

/// A turn in the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Index in [`System::partitions`].
    pub partition: usize,
    /// Its length in microseconds.
    pub duration_us: u64,
    /// Line in the file.
    pub line: u32,
}

/// A memory region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Unique.
    pub name: String,
    /// Its size in bytes, a multiple of [`Self::page_size`].
    pub size: u64,
    /// The size of its pages, one of [`PAGE_SIZES`]: the one in the file, or otherwise the smallest.
    pub page_size: u64,
    /// Whether the file gives the page size. Otherwise the Microkit tool uses larger pages if size and addresses allow
    /// it.
    pub has_page_size: bool,
    /// Its required physical address: a device's registers.
    pub phys_addr: Option<u64>,
    /// File that fills it at boot, relative to the search path.
    pub prefill_path: Option<String>,
    /// Line in the file.
    pub line: u32,
}

/// A protection domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Unique.
    pub name: String,
    /// The domain that gets its faults and may restart it.
    pub parent: Option<Parent>,
    /// Its priority, from 0 to [`MAX_PRIORITY`].
    pub priority: u8,
    /// The core that it runs on. One other than 0 needs a kernel for several cores.
    pub cpu: u8,
    /// Its time per period, in microseconds.
    pub budget_us: u64,
    /// Its period in microseconds.
    pub period_us: u64,
    /// The size of its stack in bytes.
    pub stack_size: u64,
    /// Whether it may use floating-point registers.
    pub fpu: bool,
    /// Index in [`System::partitions`], if there are any.
    pub partition: Option<usize>,
    /// Its ELF file, relative to the search path.
    pub program_image: String,
    /// Its mappings.
    pub maps: Vec<Map>,
    /// Its interrupts.
    pub irqs: Vec<Irq>,
    /// Physical addresses that its program learns.
    pub physical: Vec<Physical>,
    /// Line in the file.
    pub line: u32,
}

/// The edge from a child to its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Index in [`System::domains`].
    pub domain: usize,
    /// Number of the child in its parent.
    pub id: u8,
    /// Variable in the parent's program that holds the number.
    pub setvar_id: Option<String>,
}

/// A mapping of a region into a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Index in [`System::regions`].
    pub region: usize,
    /// First address.
    pub vaddr: u64,
    /// The domain's permissions there.
    pub perms: Perms,
    /// Whether it is cached; false for devices.
    pub cached: bool,
    /// Variable in the program that holds the address.
    pub setvar_vaddr: Option<String>,
    /// Variable in the program that holds the region's size.
    pub setvar_size: Option<String>,
    /// Variable in the program that holds the size of the prefill.
    pub setvar_prefill_size: Option<String>,
    /// Line in the file.
    pub line: u32,
}

/// Permissions of a mapping: readable, or only executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Perms {
    /// `r`
    pub read: bool,
    /// `w`
    pub write: bool,
    /// `x`
    pub execute: bool,
}

/// An interrupt of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Irq {
    /// Number at the interrupt controller.
    pub number: u64,
    /// Number in the domain, unique among its channels and interrupts.
    pub id: u8,
    /// How the device signals.
    pub trigger: Trigger,
    /// Variable in the program that holds [`Self::id`].
    pub setvar_id: Option<String>,
    /// Line in the file.
    pub line: u32,
}

/// A physical address that a program learns, because its device reads and writes memory by itself: the first of a
/// region that the domain maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Physical {
    /// Index in [`System::regions`].
    pub region: usize,
    /// Variable in the program that holds the address.
    pub symbol: String,
    /// Line in the file.
    pub line: u32,
}

/// How a device signals an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// For as long as it needs service.
    Level,
    /// Once.
    Edge,
}

/// A channel between two domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Both ends.
    pub ends: [End; 2],
    /// Line in the file.
    pub line: u32,
}

/// An end of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Index in [`System::domains`].
    pub domain: usize,
    /// Number in the domain, unique among its channels and interrupts.
    pub id: u8,
    /// Whether the domain at this end may notify the other.
    pub notify: bool,
    /// Variable in the program that holds [`Self::id`].
    pub setvar_id: Option<String>,
}

/// Decimal, or hexadecimal after `0x`; underscores may group digits.
fn number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (digits.as_str(), 10),
    };
    // `from_str_radix` accepts a sign, which Microkit's authors did not intend.
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

impl System {
    /// Reads a description for [`Board::usual`], which is enough for callers that only need its domains and their
    /// memory.
    ///
    /// # Errors
    /// The first error, see [`Problem`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_on(text, &Board::usual())
    }

    /// Reads a description for a board, with the board's numbers in place of device names.
    ///
    /// # Errors
    /// The first error, see [`Problem`].
    pub fn parse_on(text: &str, board: &Board) -> Result<Self, Error> {
        parse::system(&board.resolve(text)?, board.arch)
    }

    /// The domain with this name.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.name == name)
    }

    /// The region with this name.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// Every mapping of the region with index `region`, with its domain.
    pub fn maps_of(&self, region: usize) -> impl Iterator<Item = (&Domain, &Map)> {
        self.domains.iter().flat_map(move |domain| {
            domain
                .maps
                .iter()
                .filter(move |map| map.region == region)
                .map(move |map| (domain, map))
        })
    }
}

impl Map {
    /// First address after the mapping of `region`.
    #[must_use]
    pub const fn end(&self, region: &Region) -> u64 {
        self.vaddr + region.size
    }
}
