//! Compartments, and the cores that their domains run on.
//!
//! A compartment is a set of domains that trust each other and that nobody else trusts. Only its head deals with the
//! outside, and the others can reach nothing that the head cannot (claim C). So a claim about the head holds for all
//! members, and no argument has to distinguish them.

use super::{Policy, PolicyError};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use sysdesc::System;

/// Domains that trust each other and that nobody else trusts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compartment {
    /// The member that deals with the outside.
    pub head: String,
    /// The other members.
    pub members: Vec<String>,
    /// Private regions of the head that all members read and write.
    pub regions: Vec<String>,
    /// The fewest of these members that a description may have; `None` for all of them. A smaller system leaves out the
    /// last ones: see [`Policy::of_system`].
    #[serde(default)]
    pub fewest: Option<usize>,
}

/// A variable of a program that a description does not set if it leaves out the member that the variable is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    /// The program's domain.
    pub domain: String,
    /// Its name.
    pub variable: String,
}

/// A core besides core 0, and who runs there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Core {
    /// seL4's number.
    pub number: u8,
    /// Its domains, highest priority first. All belong to one compartment.
    pub domains: Vec<String>,
}

impl Compartment {
    /// Its members, the head first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let members = self.members.iter().map(String::as_str);
        std::iter::once(self.head.as_str()).chain(members)
    }

    /// The members that a description leaves out: the last ones, as far as it may.
    fn left_out<'a>(&'a self, system: &'a System) -> impl Iterator<Item = &'a str> {
        let fewest = self.fewest.unwrap_or(self.members.len());
        let may_be = self.members.iter().skip(fewest).rev();
        let is_there = |member: &&String| system.domain(member).is_some();
        let left_out = may_be.take_while(move |member| !is_there(member));
        left_out.map(String::as_str)
    }

    /// Whether a domain is a member.
    #[must_use]
    pub fn has(&self, domain: &str) -> bool {
        self.all().any(|member| member == domain)
    }
}

impl Policy {
    /// The policy for this description. If the description leaves out members of a compartment that may have fewer, the
    /// lines about them are dropped: their own, their channels, their parents, their places on a core. Everything else
    /// stays, so a line that names one of them together with others is a violation.
    #[must_use]
    pub fn of_system(&self, system: &System) -> Cow<'_, Self> {
        let all = self.compartment.iter();
        let left_out: BTreeSet<&str> = all.flat_map(|it| it.left_out(system)).collect();
        if left_out.is_empty() {
            return Cow::Borrowed(self);
        }
        let stays = |name: &String| !left_out.contains(name.as_str());
        let mut policy = self.clone();
        for compartment in &mut policy.compartment {
            compartment.members.retain(stays);
        }
        for core in &mut policy.core {
            core.domains.retain(stays);
        }
        policy.core.retain(|core| !core.domains.is_empty());
        policy.domain.retain(|line| stays(&line.name));
        for channel in policy
            .channel
            .extract_if(.., |line| !line.between.iter().all(stays))
        {
            let ends = channel.between.into_iter().zip(channel.variables);
            let unset = ends.map(|(domain, variable)| Unset { domain, variable });
            policy.unset.extend(unset);
        }
        for control in policy.control.extract_if(.., |line| !stays(&line.child)) {
            policy.unset.push(Unset {
                domain: control.parent,
                variable: control.variable,
            });
        }
        Cow::Owned(policy)
    }

    /// Whether a description that leaves out a member need not set this variable.
    #[must_use]
    pub fn is_unset(&self, domain: &str, variable: &str) -> bool {
        let mut unset = self.unset.iter();
        unset.any(|it| it.domain == domain && it.variable == variable)
    }

    /// The compartment of a domain, if it has one.
    #[must_use]
    pub fn compartment_of(&self, domain: &str) -> Option<&Compartment> {
        self.compartment.iter().find(|it| it.has(domain))
    }

    /// Whether two domains are in the same compartment.
    #[must_use]
    pub fn are_together(&self, first: &str, second: &str) -> bool {
        first == second || self.compartment_of(first).is_some_and(|it| it.has(second))
    }

    /// All members of a domain's compartment, or the domain alone.
    #[must_use]
    pub fn members<'a>(&'a self, domain: &'a str) -> Vec<&'a str> {
        match self.compartment_of(domain) {
            Some(compartment) => compartment.all().collect(),
            None => vec![domain],
        }
    }

    /// Who maps a private region of this domain: the domain alone, or its compartment if the region is common there.
    #[must_use]
    pub fn owners<'a>(&'a self, region: &str, domain: &'a str) -> Vec<&'a str> {
        let common = |name: &String| name == region;
        match self.compartment_of(domain) {
            Some(compartment) if compartment.regions.iter().any(common) => {
                compartment.all().collect()
            }
            _ => vec![domain],
        }
    }

    /// The core that a domain runs on.
    #[must_use]
    pub fn core_of(&self, domain: &str) -> u8 {
        let is_its = |core: &&Core| core.domains.iter().any(|name| name == domain);
        self.core.iter().find(is_its).map_or(0, |core| core.number)
    }

    /// Checks that the lines about compartments and cores do not contradict the others.
    pub(super) fn check_compartments(&self) -> Result<(), PolicyError> {
        let mut seen = BTreeSet::new();
        for compartment in &self.compartment {
            for domain in compartment.all() {
                let error = |what| PolicyError::Member {
                    domain: domain.to_owned(),
                    what,
                };
                if !seen.insert(domain) {
                    return Err(error("a member twice"));
                }
                if domain == self.mediation.mediator || self.is_trusted(domain) {
                    return Err(error("trusted by others"));
                }
                if self.is_client(domain) && domain != compartment.head {
                    return Err(error("a client, which deals with the outside"));
                }
                if domain == self.mediation.engine && domain != compartment.head {
                    return Err(error("the engine, which deals with the outside"));
                }
            }
            let (fewest, most) = (compartment.fewest, compartment.members.len());
            if fewest.is_some_and(|fewest| !(1..=most).contains(&fewest)) {
                let head = compartment.head.clone();
                return Err(PolicyError::Fewest { head, most });
            }
            for region in &compartment.regions {
                let mut lines = self.private.iter();
                if !lines.any(|it| it.region == *region && it.domain == compartment.head) {
                    return Err(PolicyError::Common {
                        region: region.clone(),
                        head: compartment.head.clone(),
                    });
                }
            }
        }
        let mut numbers = BTreeSet::new();
        let mut placed: BTreeSet<&str> = self.domains(&self.scheduling.order).collect();
        for core in &self.core {
            let number = core.number;
            if number == 0 || !numbers.insert(number) {
                return Err(PolicyError::Core { number });
            }
            for domain in &core.domains {
                if !placed.insert(domain) {
                    let domain = domain.clone();
                    return Err(PolicyError::Placed { domain, number });
                }
            }
        }
        Ok(())
    }
}
