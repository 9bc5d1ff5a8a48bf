//! Maps, interrupts and channels.

use super::{MAX_IRQ, MAX_NAME, Reader, Result};
use crate::xml::{
    Attributes, aligned, duplicate, elements, error, no_children, place, tag, unexpected,
};
use crate::{Channel, End, Irq, Map, Problem, Trigger};
use roxmltree::Node;

impl<'a> Reader<'a> {
    pub(super) fn map(&mut self, node: Node<'a, 'a>, domain: usize) -> Result<()> {
        let mut attributes = Attributes::of(node)?;
        let region = attributes.name("mr", MAX_NAME)?;
        let vaddr = attributes.required_number("vaddr", 0, self.system.arch.virtual_end() - 1)?;
        let perms = attributes.perms()?;
        let cached = attributes.boolean("cached")?.unwrap_or(true);
        let map = Map {
            region: usize::MAX, // Until resolve_maps.
            vaddr,
            perms,
            cached,
            setvar_vaddr: self.symbol(&mut attributes, domain, "setvar_vaddr")?,
            setvar_size: self.symbol(&mut attributes, domain, "setvar_size")?,
            setvar_prefill_size: self.symbol(&mut attributes, domain, "setvar_prefill_size")?,
            line: place(node).line,
        };
        attributes.end()?;
        no_children(node)?;
        self.system.domains[domain].maps.push(map);
        self.maps.push((domain, node, region));
        Ok(())
    }

    pub(super) fn irq(&mut self, node: Node<'a, 'a>, domain: usize) -> Result<()> {
        let mut attributes = Attributes::of(node)?;
        for attribute in ["ioapic", "pin", "polarity", "vector", "pcidev", "handle"] {
            attributes.forbid(attribute, "it is for x86-64 boards")?;
        }
        attributes.decimal("irq")?;
        let number = attributes.required_number("irq", 0, MAX_IRQ)?;
        attributes.decimal("id")?;
        let id = attributes.id("id")?;
        let trigger = match attributes.optional("trigger") {
            None | Some("level") => Trigger::Level,
            Some("edge") => Trigger::Edge,
            Some(other) => {
                let (attribute, value) = ("trigger", other.to_owned());
                let allowed = "level, edge";
                return Err(error(
                    node,
                    Problem::Word {
                        attribute,
                        value,
                        allowed,
                    },
                ));
            }
        };
        let setvar_id = self.symbol(&mut attributes, domain, "setvar_id")?;
        attributes.end()?;
        no_children(node)?;
        let mut irqs = self.system.domains.iter().flat_map(|domain| &domain.irqs);
        if irqs.any(|irq| irq.number == number) {
            return Err(duplicate(
                node,
                "irq",
                &number.to_string(),
                "interrupts of the system",
            ));
        }
        self.take_id(node, domain, id)?;
        let line = place(node).line;
        self.system.domains[domain].irqs.push(Irq {
            number,
            id,
            trigger,
            setvar_id,
            line,
        });
        Ok(())
    }

    pub(super) fn resolve_maps(&mut self) -> Result<()> {
        let regions = &self.system.regions;
        let mut resolved = vec![0; self.system.domains.len()];
        for (domain, node, name) in core::mem::take(&mut self.maps) {
            let domain_maps = &mut self.system.domains[domain].maps;
            let (before, rest) = domain_maps.split_at_mut(resolved[domain]);
            resolved[domain] += 1;
            let Some(region) = regions.iter().position(|region| region.name == name) else {
                return Err(error(
                    node,
                    Problem::Unresolved {
                        attribute: "mr",
                        value: name,
                    },
                ));
            };
            let map = &mut rest[0];
            map.region = region;
            let region = &regions[region];
            aligned(node, "vaddr", map.vaddr, region.page_size)?;
            let (start, size, limit) = (map.vaddr, region.size, self.system.arch.virtual_end());
            if start + size > limit {
                return Err(error(node, Problem::OutOfRange { start, size, limit }));
            }
            let end = start + size;
            for other in before {
                let other_region = &regions[other.region];
                if start < other.end(other_region) && other.vaddr < end {
                    let other = other_region.name.clone();
                    return Err(error(node, Problem::Overlap { start, end, other }));
                }
            }
        }
        Ok(())
    }

    pub(super) fn channel(&mut self, node: Node<'a, 'a>) -> Result<()> {
        Attributes::of(node)?.end()?;
        let mut ends = Vec::new();
        for child in elements(node)? {
            if tag(child) != "end" {
                return Err(unexpected(child, node));
            }
            ends.push((child, self.end(child)?));
        }
        let count = ends.len();
        let Ok([(first_node, first), (second_node, second)]) = <[_; 2]>::try_from(ends) else {
            return Err(error(node, Problem::ChannelEnds { ends: count }));
        };
        if first.domain == second.domain {
            let domain = self.system.domains[first.domain].name.clone();
            return Err(error(node, Problem::ChannelToSelf { domain }));
        }
        self.take_id(first_node, first.domain, first.id)?;
        self.take_id(second_node, second.domain, second.id)?;
        let line = place(node).line;
        self.system.channels.push(Channel {
            ends: [first, second],
            line,
        });
        Ok(())
    }

    pub(super) fn end(&mut self, node: Node<'a, 'a>) -> Result<End> {
        let mut attributes = Attributes::of(node)?;
        attributes.only_false(
            "pp",
            "a protected procedure carries Grant and blocks its caller",
        )?;
        let name = attributes.name("pd", MAX_NAME)?;
        let Some(domain) = self.system.domains.iter().position(|d| d.name == name) else {
            return Err(error(
                node,
                Problem::Unresolved {
                    attribute: "pd",
                    value: name,
                },
            ));
        };
        attributes.decimal("id")?;
        let id = attributes.id("id")?;
        let notify = attributes.boolean("notify")?.unwrap_or(true);
        let setvar_id = self.symbol(&mut attributes, domain, "setvar_id")?;
        attributes.end()?;
        no_children(node)?;
        Ok(End {
            domain,
            id,
            notify,
            setvar_id,
        })
    }
}
