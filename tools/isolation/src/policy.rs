//! The requirements in `policy.toml`.
//!
//! The rule that keeps it safe: an unknown key is an error, and so is a name that the description does not have (claims
//! P and D), so no line of the file can silently have no effect.

mod boards;
mod clients;
mod compartments;
pub mod layers;
mod queries;

pub use clients::PolicyError;
pub use compartments::{Compartment, Core, Unset};

use serde::Deserialize;
use std::fmt;

/// In `scheduling`, the name that represents all clients.
pub const CLIENTS: &str = "clients";

/// The policy file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// I1: which flows must pass the mediator.
    pub mediation: Mediation,
    /// I1: the clients. [`Self::parse`] adds what they share with audit.
    #[serde(default)]
    pub client: Vec<Client>,
    /// C: domains that count as a single one.
    #[serde(default)]
    pub compartment: Vec<Compartment>,
    /// E: what programs do not get from a description that leaves out members of compartments.
    #[serde(skip)]
    pub unset: Vec<Unset>,
    /// I1: all channels.
    #[serde(default)]
    pub channel: Vec<Channel>,
    /// I2: shared regions, each with one writer.
    #[serde(default)]
    pub shared: Vec<Shared>,
    /// I3: regions that only one domain maps.
    #[serde(default)]
    pub private: Vec<Private>,
    /// I4: regions that nobody writes.
    #[serde(default)]
    pub constant: Vec<Constant>,
    /// I5: what may be executed.
    pub execution: Execution,
    /// I6: devices and their domains.
    #[serde(default)]
    pub device: Vec<Device>,
    /// I7: priorities and budgets.
    pub scheduling: Scheduling,
    /// I7: the cores besides core 0.
    #[serde(default)]
    pub core: Vec<Core>,
    /// T: the time partitions. If there are none, all domains share the processor by priority alone.
    #[serde(default)]
    pub partition: Vec<Partition>,
    /// I8: which domain holds the TCB of which.
    #[serde(default)]
    pub control: Vec<Control>,
    /// D: all regions.
    #[serde(default)]
    pub region: Vec<Region>,
    /// D: all domains.
    #[serde(default)]
    pub domain: Vec<Domain>,
    /// D: the limits of the board.
    pub memory: Memory,
    /// D: where programs may be.
    pub programs: Programs,
}

/// Who must not reach whom except through the mediator: a client must reach neither another client nor the engine, and
/// the engine no client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mediation {
    /// The domain that everything between them must pass.
    pub mediator: String,
    /// The domain that computes for the clients.
    pub engine: String,
    /// Subjects whose code is trusted not to carry anything between them.
    pub trusted: Vec<String>,
}

/// A domain that asks the mediator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name.
    pub domain: String,
    /// Its slot among the places for clients in the mediator's program.
    pub slot: usize,
}

/// The only channel between two domains.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The domains.
    pub between: [String; 2],
    /// The variable that holds its number in the program of each.
    pub variables: [String; 2],
}

/// A region that one domain writes and others read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// Name of the region.
    pub region: String,
    /// The domain that may write it.
    pub writer: String,
    /// The domains that may read it.
    pub readers: Vec<String>,
}

/// A region that only one domain maps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Private {
    /// Name of the region.
    pub region: String,
    /// The domain.
    pub domain: String,
}

/// A region that nobody writes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Name of the region.
    pub region: String,
    /// The domains that may read it.
    pub readers: Vec<String>,
}

/// Regions that may be executed, besides programs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// Names of regions.
    pub regions: Vec<String>,
}

/// A device, and the only domain that has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its purpose.
    pub name: String,
    /// The board's name for its interrupt and, if it has a region, its registers. The board then provides the next
    /// four.
    #[serde(default)]
    pub board: Option<String>,
    /// A description of it.
    #[serde(default)]
    pub model: Option<String>,
    /// The region of its registers, if they are memory.
    #[serde(default)]
    pub region: Option<String>,
    /// Physical address of its registers.
    #[serde(default)]
    pub at: Option<u64>,
    /// Size of its registers in bytes. What follows may be another device.
    #[serde(default)]
    pub size: Option<u64>,
    /// Its interrupt.
    #[serde(default)]
    pub irq: Option<u64>,
    /// How it signals the interrupt.
    #[serde(default)]
    pub trigger: Option<Trigger>,
    /// The region that it reads and writes by itself. Without an IOMMU only its domain can keep it to this region, so
    /// the domain must be one of [`Mediation::trusted`].
    #[serde(default)]
    pub masters: Option<String>,
    /// The variable that holds the interrupt's number in the domain's program.
    #[serde(default)]
    pub variable: Option<String>,
    /// The domain.
    pub domain: String,
}

/// How a device signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// For as long as it needs service.
    Level,
    /// Once.
    Edge,
}

/// The order of priorities.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduling {
    /// All domains of core 0, highest priority first. [`CLIENTS`] stands for all clients, whose order among themselves
    /// is free.
    pub order: Vec<String>,
    /// Domains whose budget equals their period.
    pub whole_budget: Vec<String>,
    /// Domains with only part of their period, so they always leave the rest to the domains below them.
    #[serde(default)]
    pub part: Vec<Part>,
}

/// A domain with part of the processor's time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name.
    pub domain: String,
    /// Its maximum budget per period, in percent.
    pub most_percent: u64,
}

/// A time partition: which domains run in its turns, and their part of the time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Its name in the description.
    pub name: String,
    /// seL4's number.
    pub id: u8,
    /// Its domains, and `monitor`. [`CLIENTS`] stands for all clients.
    pub domains: Vec<String>,
    /// The smallest part of the schedule that its turns may have, in percent.
    pub least_percent: u64,
    /// The longest allowed time from the end of a turn to its next, in microseconds.
    pub most_wait_us: u64,
}

/// A parent, and the child whose TCB it holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The domain that may stop and restart the child, and gets its faults.
    pub parent: String,
    /// The child.
    pub child: String,
    /// The variable that holds the child's number in the parent's program.
    pub variable: String,
}

/// What the programs rely on in a region.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: Bytes,
    /// The size of its pages.
    pub page: u64,
    /// Whether it may have the largest pages instead, if with small ones the system would exceed the number of pages
    /// that the initialiser can create.
    #[serde(default)]
    pub large_if_needed: bool,
    /// The file that fills it.
    #[serde(default)]
    pub prefill: Option<String>,
    /// Its required address, for ordinary memory that has one.
    #[serde(default)]
    pub phys_addr: Option<u64>,
    /// The variable that holds its address, in every program except that of the client whose ring it is.
    pub address: String,
    /// The variable that holds its size.
    #[serde(default)]
    pub size: Option<String>,
    /// The variable that holds its physical address, in the program of the trusted domain whose device reads and writes
    /// it.
    #[serde(default)]
    pub physical: Option<String>,
    /// The client whose ring it is, if it follows from a [`Client`].
    #[serde(skip)]
    pub ring: Option<ClientRing>,
}

/// A ring between the mediator and a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRing {
    /// The client.
    pub client: String,
    /// The variable of the client's program that holds its address.
    pub address: String,
    /// The variable of the client's program that holds its size.
    pub size: String,
}

/// A size of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    /// A size that the protocol names.
    Named(Named),
    /// Any size within these bounds.
    Within(Bounds),
}

/// Sizes defined by the protocol, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Named {
    /// `protocol::ring::REGION_BYTES`.
    Ring,
    /// `protocol::policy::POLICY_REGION_BYTES`.
    Policy,
}

/// An inclusive range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// The minimum.
    pub least: u64,
    /// The maximum.
    pub most: u64,
}

/// Requirements for a domain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Its file.
    pub program: String,
    /// Whether it may use floating-point registers.
    pub fpu: bool,
    /// Bytes of its stack.
    pub stack: Bounds,
    /// Its period in microseconds.
    pub period: Bounds,
    /// Whether its file must declare its variables. Only a client may omit that.
    #[serde(default = "yes")]
    pub marked: bool,
}

const fn yes() -> bool {
    true
}

/// Limits of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Maximum number of pages of all regions together, each of which the initialiser creates.
    pub most_pages: u64,
}

/// The address range for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    /// First address.
    pub from: u64,
    /// First address after it.
    pub below: u64,
}

/// How a domain must map a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether it may write as well as read.
    pub write: bool,
    /// Whether it is cached: all memory is, and no device is.
    pub cached: bool,
}

impl Region {
    /// The variables of a domain's program that hold its address and its size.
    #[must_use]
    pub fn variables(&self, domain: &str) -> (&String, Option<&String>) {
        match &self.ring {
            Some(ring) if ring.client == domain => (&ring.address, Some(&ring.size)),
            _ => (&self.address, self.size.as_ref()),
        }
    }
}

impl Device {
    /// Its description, for people.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("a device of its own")
    }
}

impl Channel {
    /// Whether it connects these two.
    #[must_use]
    pub fn is_of(&self, first: &str, second: &str) -> bool {
        let [a, b] = &self.between;
        [first, second] == [a, b] || [second, first] == [a, b]
    }
}

impl Bytes {
    /// The bounds, which are equal for a named size.
    #[must_use]
    pub fn bounds(self) -> Bounds {
        let exactly = |bytes: usize| Bounds {
            least: bytes as u64,
            most: bytes as u64,
        };
        match self {
            Self::Named(Named::Ring) => exactly(protocol::ring::REGION_BYTES),
            Self::Named(Named::Policy) => exactly(protocol::policy::POLICY_REGION_BYTES),
            Self::Within(bounds) => bounds,
        }
    }
}

impl Bounds {
    /// Whether a number is within them.
    #[must_use]
    pub const fn contains(self, number: u64) -> bool {
        self.least <= number && number <= self.most
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, most } = self;
        if least == most {
            return write!(f, "{least:#x}");
        }
        write!(f, "{least:#x} to {most:#x}")
    }
}
