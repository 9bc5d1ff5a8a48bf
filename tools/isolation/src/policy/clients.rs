//! What follows from a client: its channel and its rings with the mediator, under the names that both programs use
//! (`sysdesc::clients`).

use super::{Bytes, CLIENTS, Channel, Client, ClientRing, Named, Policy, Region, Shared};
use protocol::limits::MAX_CLIENTS;
use std::collections::BTreeMap;
use sysdesc::clients::{IN_CLIENT, Slot};

/// Pages of a ring.
const PAGE: u64 = 0x1000;

/// Why a policy is invalid.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file is not a policy.
    #[error(transparent)]
    File(#[from] toml::de::Error),
    /// The board has no such device, or a different one.
    #[error("[[device]] '{device}' is the board's '{name}', and boards/{board}.toml {what}")]
    Board {
        /// The line.
        device: String,
        /// Its name on the board.
        name: String,
        /// The board.
        board: String,
        /// The mismatch.
        what: &'static str,
    },
    /// Audit does not have this slot.
    #[error("[[client]] '{client}' has slot {slot}: audit has the slots 0 to {}", MAX_CLIENTS - 1)]
    Slot {
        /// The client.
        client: String,
        /// Its slot.
        slot: usize,
    },
    /// Two clients have the same slot.
    #[error("[[client]] '{first}' and '{second}' both have slot {slot}: give each one of its own")]
    SameSlot {
        /// The one that has it first.
        first: String,
        /// The other.
        second: String,
        /// The slot.
        slot: usize,
    },
    /// A client has two lines.
    #[error(
        "there are two [[client]] lines of '{client}': one channel and one pair of rings are enough"
    )]
    Twice {
        /// The client.
        client: String,
    },
    /// A domain cannot be a client.
    #[error("[[client]] '{client}' is {what}: it cannot be a client")]
    Role {
        /// The domain.
        client: String,
        /// What else it is.
        what: &'static str,
    },
    /// A program must declare its variables.
    #[error(
        "[[domain]] '{domain}' has marked = false: only a client's program may leave out which variables it needs"
    )]
    Unmarked {
        /// The domain.
        domain: String,
    },
    /// A line duplicates one that follows from a client.
    #[error("{line} follows from [[client]] '{client}': remove the line")]
    Follows {
        /// The line.
        line: String,
        /// The client.
        client: String,
    },
    /// A domain cannot be a member of a compartment.
    #[error("[[compartment]]: '{domain}' is {what}, so it cannot be a member")]
    Member {
        /// The domain.
        domain: String,
        /// What else it is.
        what: &'static str,
    },
    /// A region that a compartment has in common is not its head's.
    #[error(
        "[[compartment]] '{head}' has region '{region}' in common, but there is no [[private]] of '{head}' for it"
    )]
    Common {
        /// The region.
        region: String,
        /// The compartment's head.
        head: String,
    },
    /// A compartment's `fewest` is out of range.
    #[error(
        "[[compartment]] '{head}' has {most} members besides its head: fewest must be from 1 to {most}"
    )]
    Fewest {
        /// The compartment's head.
        head: String,
        /// Its other members.
        most: usize,
    },
    /// A [[core]] line names core 0 or repeats a core.
    #[error(
        "[[core]] {number}: there may be one line for each core except core 0, whose domains are in scheduling.order"
    )]
    Core {
        /// The number.
        number: u8,
    },
    /// A domain is on two cores.
    #[error("[[core]] {number}: '{domain}' is already on a core")]
    Placed {
        /// The domain.
        domain: String,
        /// The core.
        number: u8,
    },
    /// The mediator or the engine is in the wrong place in the order of priorities.
    #[error(
        "scheduling.order must have '{mediator}', '{CLIENTS}' and '{engine}' in this order, each once, and no client by its \
         own name: the engine runs in the time that the clients leave, and the mediator whenever it is ready"
    )]
    Order {
        /// The mediator.
        mediator: String,
        /// The engine.
        engine: String,
    },
}

impl Policy {
    /// Adds the lines that follow from the clients.
    pub(super) fn add_clients(&mut self) -> Result<(), PolicyError> {
        let mut unmarked = self.domain.iter().filter(|domain| !domain.marked);
        if let Some(domain) = unmarked.find(|domain| !self.is_client(&domain.name)) {
            let domain = domain.name.clone();
            return Err(PolicyError::Unmarked { domain });
        }
        let mut taken: BTreeMap<usize, &str> = BTreeMap::new();
        for client in &self.client {
            self.check_client(client)?;
            if let Some(first) = taken.insert(client.slot, &client.domain) {
                let (first, second) = (first.to_owned(), client.domain.clone());
                if first == second {
                    return Err(PolicyError::Twice { client: first });
                }
                let slot = client.slot;
                return Err(PolicyError::SameSlot {
                    first,
                    second,
                    slot,
                });
            }
        }
        self.check_order()?;
        for client in self.client.clone() {
            if self
                .client
                .iter()
                .filter(|other| other.domain == client.domain)
                .count()
                > 1
            {
                let client = client.domain;
                return Err(PolicyError::Twice { client });
            }
            self.add(&client)?;
        }
        Ok(())
    }

    fn check_client(&self, client: &Client) -> Result<(), PolicyError> {
        let Client { domain, slot } = client;
        let failed = |what| {
            let client = domain.clone();
            Err(PolicyError::Role { client, what })
        };
        if *slot >= MAX_CLIENTS {
            let (client, slot) = (domain.clone(), *slot);
            return Err(PolicyError::Slot { client, slot });
        }
        if *domain == self.mediation.mediator {
            return failed("the mediator");
        }
        if *domain == self.mediation.engine {
            return failed("the engine");
        }
        if self.is_trusted(domain) {
            return failed("trusted");
        }
        if domain == CLIENTS {
            return failed("what scheduling calls all clients");
        }
        Ok(())
    }

    /// Checks that the mediator is above the clients, and the clients above the engine.
    fn check_order(&self) -> Result<(), PolicyError> {
        let mediator = &self.mediation.mediator;
        let engine = &self.mediation.engine;
        let order = &self.scheduling.order;
        let place = |name: &str| {
            let mut places = order.iter().enumerate().filter(|(_, entry)| *entry == name);
            let first = places.next().map(|(place, _)| place);
            first.filter(|_| places.next().is_none())
        };
        let places = [place(mediator), place(CLIENTS), place(engine)];
        let named = order.iter().any(|name| self.is_client(name));
        if places.contains(&None) || !places.is_sorted() || named {
            let (mediator, engine) = (mediator.clone(), engine.clone());
            return Err(PolicyError::Order { mediator, engine });
        }
        Ok(())
    }

    fn add(&mut self, client: &Client) -> Result<(), PolicyError> {
        let Client { domain, slot } = client;
        let mediator = self.mediation.mediator.clone();
        let (there, here) = (Slot(*slot).variables(), IN_CLIENT.map(str::to_owned));
        let follows = |line: String| {
            let client = domain.clone();
            Err(PolicyError::Follows { line, client })
        };
        let between = [mediator.clone(), domain.clone()];
        if self
            .channel
            .iter()
            .any(|line| line.is_of(&mediator, domain))
        {
            return follows(format!("[[channel]] of {mediator} and {domain}"));
        }
        self.channel.push(Channel {
            between,
            variables: [there.channel, here.channel],
        });
        let rings = [
            (
                format!("{domain}_to_{mediator}"),
                [domain, &mediator],
                [there.to_audit, there.to_audit_size],
                [here.to_audit, here.to_audit_size],
            ),
            (
                format!("{mediator}_to_{domain}"),
                [&mediator, domain],
                [there.from_audit, there.from_audit_size],
                [here.from_audit, here.from_audit_size],
            ),
        ];
        for (region, [writer, reader], [address, size], here) in rings {
            if self.region.iter().any(|line| line.name == region) {
                return follows(format!("[[region]] '{region}'"));
            }
            if !self.accesses(&region).is_empty() {
                return follows(format!("the line that says who maps region '{region}'"));
            }
            let [here_address, here_size] = here;
            self.shared.push(Shared {
                region: region.clone(),
                writer: writer.clone(),
                readers: vec![reader.clone()],
            });
            self.region.push(Region {
                name: region,
                bytes: Bytes::Named(Named::Ring),
                page: PAGE,
                large_if_needed: false,
                prefill: None,
                phys_addr: None,
                address,
                size: Some(size),
                physical: None,
                ring: Some(ClientRing {
                    client: domain.clone(),
                    address: here_address,
                    size: here_size,
                }),
            });
        }
        Ok(())
    }
}
