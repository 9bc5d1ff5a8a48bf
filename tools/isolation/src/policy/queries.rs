//! Reads a policy, and answers questions about the parts of a system.

use super::{Access, CLIENTS, Device, Policy, PolicyError};
use sysdesc::Board;

impl Policy {
    /// Reads a policy file for [`Board::usual`]: see [`Self::parse_on`].
    ///
    /// # Errors
    /// The first error, with its location.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::parse_on(text, &Board::usual())
    }

    /// Reads a policy file, adds what follows from the board, and the lines that follow from its clients: for each a
    /// [`Channel`](super::Channel) with the mediator, and two rings with a [`Shared`](super::Shared) and a
    /// [`Region`](super::Region) each.
    ///
    /// # Errors
    /// The first error, with its location.
    pub fn parse_on(text: &str, board: &Board) -> Result<Self, PolicyError> {
        Self::complete(toml::from_str(text)?, board)
    }

    pub(super) fn complete(mut policy: Self, board: &Board) -> Result<Self, PolicyError> {
        policy.add_devices(board)?;
        policy.add_clients()?;
        policy.check_compartments()?;
        Ok(policy)
    }

    /// Whether the policy knows a domain.
    #[must_use]
    pub fn knows_domain(&self, name: &str) -> bool {
        self.scheduled().any(|domain| domain == name)
    }

    /// All domains, those of core 0 first.
    pub fn scheduled(&self) -> impl Iterator<Item = &str> {
        let others = self.core.iter().flat_map(|core| &core.domains);
        let others = others.map(String::as_str);
        self.domains(&self.scheduling.order).chain(others)
    }

    /// Domains whose budget equals their period: those that scheduling names, and all of the other cores.
    pub fn whole_budget(&self) -> impl Iterator<Item = &str> {
        let others = self.core.iter().flat_map(|core| &core.domains);
        let others = others.map(String::as_str);
        self.domains(&self.scheduling.whole_budget).chain(others)
    }

    /// Subjects that must be isolated from one another, unless they are in the same compartment: the clients and the
    /// engine, each with all members of its compartment.
    #[must_use]
    pub fn apart(&self) -> Vec<&str> {
        let clients = self.client.iter().map(|client| client.domain.as_str());
        let heads = clients.chain([self.mediation.engine.as_str()]);
        heads.flat_map(|head| self.members(head)).collect()
    }

    /// Whether a domain is a client.
    #[must_use]
    pub fn is_client(&self, name: &str) -> bool {
        self.client.iter().any(|client| client.domain == name)
    }

    /// Whether a subject's code is trusted not to carry anything between those that must be apart.
    #[must_use]
    pub fn is_trusted(&self, name: &str) -> bool {
        self.mediation.trusted.iter().any(|trusted| trusted == name)
    }

    /// The domains of `scheduling.order`, highest first: each of an entry is above each of the next.
    #[must_use]
    pub fn order(&self) -> Vec<Vec<&str>> {
        let order = self.scheduling.order.iter();
        order.map(|name| self.domains([name]).collect()).collect()
    }

    /// Names of `scheduling`, with the clients' names in place of [`CLIENTS`].
    pub fn domains<'a>(
        &'a self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> impl Iterator<Item = &'a str> {
        names.into_iter().flat_map(|name| {
            let clients = self.client.iter().map(|client| client.domain.as_str());
            let all = name == CLIENTS;
            let itself = (!all).then_some(name.as_str());
            clients.filter(move |_| all).chain(itself)
        })
    }

    /// Who must map a region, and how.
    #[must_use]
    pub fn accesses(&self, region: &str) -> Vec<(&str, Access)> {
        let memory = |write| Access {
            write,
            cached: true,
        };
        let constant = self.constant.iter().find(|line| line.region == region);
        if let Some(constant) = constant {
            let readers = constant.readers.iter().map(String::as_str);
            return readers.map(|reader| (reader, memory(false))).collect();
        }
        let mut accesses = Vec::new();
        for private in self.private.iter().filter(|line| line.region == region) {
            let owners = self.owners(region, &private.domain).into_iter();
            accesses.extend(owners.map(|owner| (owner, memory(true))));
        }
        for shared in self.shared.iter().filter(|line| line.region == region) {
            accesses.push((shared.writer.as_str(), memory(true)));
            let readers = shared.readers.iter().map(String::as_str);
            accesses.extend(readers.map(|reader| (reader, memory(false))));
        }
        if let Some(device) = self.device_of_region(region) {
            let registers = Access {
                write: true,
                cached: false,
            };
            accesses.push((&device.domain, registers));
        }
        accesses
    }

    /// The device whose registers are in this region.
    #[must_use]
    pub fn device_of_region(&self, region: &str) -> Option<&Device> {
        let of = |device: &&Device| device.region.as_deref() == Some(region);
        self.device.iter().find(of)
    }

    /// The device with this interrupt.
    #[must_use]
    pub fn device_of_irq(&self, irq: u64) -> Option<&Device> {
        self.device.iter().find(|device| device.irq == Some(irq))
    }
}
