//! The clients of a description: domains with a channel and a pair of rings to audit.
//!
//! Clients are not identified by their domains' names, but by the variables of audit's program. Audit has slots 0, 1, 2
//! and so on, each with the same five variables ([`Slot`]); a slot that the description sets belongs to a client. Every
//! client's program has the same variables ([`IN_CLIENT`]), whatever its slot.

use crate::{Channel, Domain, Map, System};
use std::collections::BTreeMap;
use std::fmt;

/// The domain whose clients are meant.
pub const AUDIT: &str = "audit";

/// The variables of a client's program.
pub const IN_CLIENT: Variables<&str> = Variables {
    to_audit: "to_audit",
    to_audit_size: "to_audit_size",
    from_audit: "from_audit",
    from_audit_size: "from_audit_size",
    channel: "audit_channel",
};

/// The data about a client's rings and channel that a program needs: names of variables, or their purposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variables<T> {
    /// Address of the ring that the client writes.
    pub to_audit: T,
    /// Its size.
    pub to_audit_size: T,
    /// Address of the ring that audit writes.
    pub from_audit: T,
    /// Its size.
    pub from_audit_size: T,
    /// Number of the channel between the two.
    pub channel: T,
}

impl<T> Variables<T> {
    /// Applies a function to each.
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> Variables<U> {
        Variables {
            to_audit: of(self.to_audit),
            to_audit_size: of(self.to_audit_size),
            from_audit: of(self.from_audit),
            from_audit_size: of(self.from_audit_size),
            channel: of(self.channel),
        }
    }

    /// All of them.
    pub fn all(self) -> [T; 5] {
        let Self {
            to_audit,
            to_audit_size,
            from_audit,
            from_audit_size,
            channel,
        } = self;
        [
            to_audit,
            to_audit_size,
            from_audit,
            from_audit_size,
            channel,
        ]
    }
}

/// One of audit's places for a client, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub usize);

impl Slot {
    /// The variables of audit's program for the client in this slot.
    #[must_use]
    pub fn variables(self) -> Variables<String> {
        let Self(slot) = self;
        Variables {
            to_audit: format!("client_{slot}_to_audit"),
            to_audit_size: format!("client_{slot}_to_audit_size"),
            from_audit: format!("audit_to_client_{slot}"),
            from_audit_size: format!("audit_to_client_{slot}_size"),
            channel: format!("client_{slot}_channel"),
        }
    }

    /// The slot that a variable of audit's program belongs to, if any.
    #[must_use]
    pub fn of_variable(name: &str) -> Option<Self> {
        let number = name
            .strip_prefix("client_")
            .or_else(|| name.strip_prefix("audit_to_client_"))?;
        let digits = number.split('_').next()?;
        let slot = Self(digits.parse().ok()?);
        // Only the canonical spelling of the number counts.
        slot.variables()
            .all()
            .iter()
            .any(|variable| variable == name)
            .then_some(slot)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}", self.0)
    }
}

/// A client of audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'s> {
    /// Its domain.
    pub domain: &'s Domain,
    /// Audit's slot for it.
    pub slot: Slot,
    /// Audit's number for the channel between the two.
    pub channel: u8,
    /// Line of that channel.
    pub line: u32,
}

/// Why the clients cannot be determined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientProblem {
    /// There is no audit domain.
    #[error("there is no domain '{AUDIT}', to which the clients connect")]
    NoAudit,
    /// Only some of a slot's variables are set.
    #[error(
        "{AUDIT} has {has} for the client in {slot}, but not {lacks}: set all five variables of a slot or none"
    )]
    HalfSlot {
        /// The slot.
        slot: Slot,
        /// A variable of it that is set.
        has: String,
        /// One that is not set.
        lacks: String,
    },
    /// A slot's ring does not belong to the domain that its channel goes to.
    #[error(
        "{AUDIT} has {variable} for the client in {slot}, whose channel goes to '{client}', but region '{region}' is not \
         mapped there: a slot's rings and channel must be one client's"
    )]
    OthersRing {
        /// The slot.
        slot: Slot,
        /// The variable that gets the ring's address.
        variable: String,
        /// The region.
        region: String,
        /// The domain that the slot's channel goes to.
        client: String,
    },
    /// A domain has two slots.
    #[error(
        "'{client}' is the client in {first} and in {second}: one channel and one pair of rings are enough"
    )]
    TwoSlots {
        /// The domain.
        client: String,
        /// Its first slot.
        first: Slot,
        /// Its other slot.
        second: Slot,
    },
}

/// An error about clients, with the line in the description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ClientError {
    /// The line, from 1.
    pub line: u32,
    /// The problem.
    pub problem: ClientProblem,
}

impl System {
    /// The clients of [`AUDIT`], in the order of their slots.
    ///
    /// # Errors
    /// Only some of a slot's variables are set, or they do not belong to one client.
    pub fn clients(&self) -> Result<Vec<Client<'_>>, ClientError> {
        let failed = |line, problem| Err(ClientError { line, problem });
        let Some(audit) = self.domain(AUDIT) else {
            return failed(1, ClientProblem::NoAudit);
        };
        let mut clients: Vec<Client<'_>> = Vec::new();
        for (slot, set) in self.slots(audit) {
            let Some(client) = self.client(slot, set)? else {
                continue;
            };
            let name = &client.domain.name;
            if let Some(other) = clients.iter().find(|other| other.domain.name == *name) {
                let problem = ClientProblem::TwoSlots {
                    client: name.clone(),
                    first: other.slot,
                    second: slot,
                };
                return failed(client.line, problem);
            }
            clients.push(client);
        }
        Ok(clients)
    }

    /// The client in a slot; `None` if nothing is set for it.
    fn client<'s>(&'s self, slot: Slot, set: Set<'s>) -> Result<Option<Client<'s>>, ClientError> {
        let names = slot.variables();
        let all = names.clone().all();
        let lines = || all.iter().zip(set.lines());
        let Some((has, line)) = lines().find_map(|(name, line)| Some((name, line?))) else {
            return Ok(None);
        };
        if let Some((lacks, _)) = lines().find(|(_, line)| line.is_none()) {
            let (has, lacks) = (has.clone(), lacks.clone());
            let problem = ClientProblem::HalfSlot { slot, has, lacks };
            return Err(ClientError { line, problem });
        }
        let (Some(to_audit), Some(from_audit), Some((channel, number, domain))) =
            (set.to_audit, set.from_audit, set.channel)
        else {
            return Ok(None);
        };
        for (variable, map) in [(names.to_audit, to_audit), (names.from_audit, from_audit)] {
            if domain.maps.iter().all(|other| other.region != map.region) {
                let problem = ClientProblem::OthersRing {
                    slot,
                    variable,
                    region: self.regions[map.region].name.clone(),
                    client: domain.name.clone(),
                };
                let line = map.line;
                return Err(ClientError { line, problem });
            }
        }
        Ok(Some(Client {
            domain,
            slot,
            channel: number,
            line: channel.line,
        }))
    }

    /// The description's settings of audit's slots.
    fn slots<'s>(&'s self, audit: &'s Domain) -> BTreeMap<Slot, Set<'s>> {
        let mut slots: BTreeMap<Slot, Set<'s>> = BTreeMap::new();
        for map in &audit.maps {
            if let Some((slot, name)) = named(&map.setvar_vaddr) {
                let set = slots.entry(slot).or_default();
                let names = slot.variables();
                set.to_audit = set.to_audit.or((*name == names.to_audit).then_some(map));
                set.from_audit = set
                    .from_audit
                    .or((*name == names.from_audit).then_some(map));
            }
            if let Some((slot, name)) = named(&map.setvar_size) {
                let set = slots.entry(slot).or_default();
                let names = slot.variables();
                set.to_audit_size = set
                    .to_audit_size
                    .or((*name == names.to_audit_size).then_some(map.line));
                set.from_audit_size = set
                    .from_audit_size
                    .or((*name == names.from_audit_size).then_some(map.line));
            }
        }
        for channel in &self.channels {
            let [a, b] = &channel.ends;
            for (ours, theirs) in [(a, b), (b, a)] {
                if self.domains[ours.domain].name == audit.name
                    && let Some((slot, name)) = named(&ours.setvar_id)
                    && *name == slot.variables().channel
                {
                    let client = &self.domains[theirs.domain];
                    slots.entry(slot).or_default().channel = Some((channel, ours.id, client));
                }
            }
        }
        slots
    }
}

/// The description's settings of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Set<'s> {
    to_audit: Option<&'s Map>,
    to_audit_size: Option<u32>,
    from_audit: Option<&'s Map>,
    from_audit_size: Option<u32>,
    channel: Option<(&'s Channel, u8, &'s Domain)>,
}

impl Set<'_> {
    /// The line that sets each variable, in the order of [`Variables::all`].
    fn lines(&self) -> [Option<u32>; 5] {
        [
            self.to_audit.map(|map| map.line),
            self.to_audit_size,
            self.from_audit.map(|map| map.line),
            self.from_audit_size,
            self.channel.map(|(channel, ..)| channel.line),
        ]
    }
}

/// The slot that a variable belongs to.
fn named(variable: &Option<String>) -> Option<(Slot, &String)> {
    let name = variable.as_ref()?;
    Some((Slot::of_variable(name)?, name))
}
