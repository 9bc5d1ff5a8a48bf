//! Parses XML into [`System`], element by element.
//!
//! Every element is read through [`Attributes`], which tracks the attributes that were asked for: the remaining ones
//! are unknown, so no attribute can be silently forgotten.

mod maps;
mod partitions;

use crate::board::Arch;
use crate::xml::{
    Attributes, aligned, document, duplicate, elements, error, no_children, place, tag, unexpected,
};
use crate::{
    DEFAULT_BUDGET_US, DEFAULT_STACK_BYTES, Domain, Error, MAX_CPU, MAX_DOMAINS, MAX_PRIORITY,
    PAGE_SIZES, Parent, Physical, Problem, Region, System,
};
use roxmltree::Node;
use std::collections::HashSet;

/// Microkit keeps names of domains in 64 bytes, with a zero at the end.
const MAX_NAME: usize = 63;
/// Longest file name of Linux.
const MAX_PATH: usize = 255;
/// Interrupt numbers of the GIC.
const MAX_IRQ: u64 = 1019;
/// Maximum number of pages in a region: 2 GiB, and few enough to look at each.
const MAX_PAGES: u64 = 1 << 19;
/// Longest turn of a partition, in microseconds (10 s). A longer one would keep everybody else from running.
const MAX_TURN_US: u64 = 10_000_000;
const STACK_BYTES: (u64, u64) = (0x1000, 0x100_0000);
/// The name of Microkit's own domain.
const RESERVED_NAME: &str = "monitor";

type Result<T> = core::result::Result<T, Error>;

pub(crate) fn system(text: &str, arch: Arch) -> Result<System> {
    let document = document(text)?;
    let root = document.root_element();
    if tag(root) != "system" {
        return Err(error(root, Problem::Root));
    }
    Attributes::of(root)?.end()?;

    let mut reader = Reader::new(arch);
    let mut channels = Vec::new();
    let mut partitions = None;
    for node in elements(root)? {
        match tag(node) {
            "memory_region" => reader.region(node)?,
            "protection_domain" => reader.domain(node, None)?,
            "channel" => channels.push(node),
            "domains" if partitions.is_none() => partitions = Some(node),
            "domains" => return Err(error(node, Problem::Repeated)),
            _ => return Err(unexpected(node, root)),
        }
    }
    // Maps name regions, domains name partitions, and ends name domains, that may come later in the file.
    reader.resolve_maps()?;
    if let Some(node) = partitions {
        reader.partitions(node)?;
    }
    reader.resolve_partitions()?;
    for node in channels {
        reader.channel(node)?;
    }
    if reader.system.domains.is_empty() {
        return Err(error(
            root,
            Problem::MissingElement {
                child: "protection_domain",
            },
        ));
    }
    Ok(reader.system)
}

struct Reader<'a> {
    system: System,
    /// Maps whose region is not resolved yet: index of the domain, the element, the region's name.
    maps: Vec<(usize, Node<'a, 'a>, String)>,
    /// Variables that Microkit sets: index of the domain, name.
    symbols: HashSet<(usize, String)>,
    /// The element of each domain, and the partition that it names.
    partition_names: Vec<(Node<'a, 'a>, Option<String>)>,
}

impl<'a> Reader<'a> {
    fn new(arch: Arch) -> Self {
        let system = System {
            arch,
            regions: Vec::new(),
            domains: Vec::new(),
            channels: Vec::new(),
            partitions: Vec::new(),
            schedule: Vec::new(),
        };
        Self {
            system,
            maps: Vec::new(),
            symbols: HashSet::new(),
            partition_names: Vec::new(),
        }
    }

    fn region(&mut self, node: Node<'a, 'a>) -> Result<()> {
        let mut attributes = Attributes::of(node)?;
        attributes.forbid("prefill_bootinfo", "boot information is not for programs")?;
        let name = attributes.name("name", MAX_NAME)?;
        let given = attributes.number("page_size", 0, u64::MAX)?;
        let page_size = given.unwrap_or(PAGE_SIZES[0]);
        if !PAGE_SIZES.contains(&page_size) {
            let value = attributes.text("page_size").unwrap_or_default().to_owned();
            let allowed = "0x1000, 0x200000";
            return Err(error(
                node,
                Problem::Word {
                    attribute: "page_size",
                    value,
                    allowed,
                },
            ));
        }
        let size = attributes.required_number("size", 1, self.system.arch.virtual_end())?;
        aligned(node, "size", size, page_size)?;
        let pages = size / page_size;
        if pages > MAX_PAGES {
            let most = MAX_PAGES;
            return Err(error(node, Problem::TooManyPages { pages, most }));
        }
        let phys_addr = attributes.number("phys_addr", 0, u64::MAX - size)?;
        if let Some(start) = phys_addr {
            aligned(node, "phys_addr", start, page_size)?;
            for other in &self.system.regions {
                if let Some(at) = other.phys_addr
                    && start < at + other.size
                    && at < start + size
                {
                    let (end, other) = (start + size, other.name.clone());
                    return Err(error(node, Problem::Overlap { start, end, other }));
                }
            }
        }
        let prefill_path = attributes.optional_name("prefill_path", MAX_PATH)?;
        attributes.end()?;
        no_children(node)?;
        if self.system.region(&name).is_some() {
            return Err(duplicate(node, "name", &name, "memory regions"));
        }
        let line = place(node).line;
        self.system.regions.push(Region {
            name,
            size,
            page_size,
            has_page_size: given.is_some(),
            phys_addr,
            prefill_path,
            line,
        });
        Ok(())
    }

    fn domain(&mut self, node: Node<'a, 'a>, parent: Option<usize>) -> Result<()> {
        let mut attributes = Attributes::of(node)?;
        attributes.only_false("passive", "a passive domain runs on its callers' time")?;
        attributes.only_false("smc", "secure monitor calls are authority over the machine")?;
        let cpu = attributes.number("cpu", 0, MAX_CPU)?.unwrap_or(0);
        let partition = attributes.optional_name("domain", MAX_NAME)?;
        let name = attributes.name("name", MAX_NAME)?;
        if self.system.domain(&name).is_some() {
            return Err(duplicate(node, "name", &name, "protection domains"));
        }
        if name == RESERVED_NAME {
            return Err(duplicate(node, "name", &name, "it is Microkit's own"));
        }
        let parent = match parent {
            None => None,
            Some(domain) => {
                let id = attributes.id("id")?;
                let setvar_id = self.symbol(&mut attributes, domain, "setvar_id")?;
                let taken = |other: &Domain| {
                    other
                        .parent
                        .as_ref()
                        .is_some_and(|p| (p.domain, p.id) == (domain, id))
                };
                if self.system.domains.iter().any(taken) {
                    return Err(duplicate(
                        node,
                        "id",
                        &id.to_string(),
                        "children of a domain",
                    ));
                }
                Some(Parent {
                    domain,
                    id,
                    setvar_id,
                })
            }
        };
        let budget_us = attributes
            .number("budget", 1, u64::MAX)?
            .unwrap_or(DEFAULT_BUDGET_US);
        let period_us = attributes
            .number("period", 1, u64::MAX)?
            .unwrap_or(budget_us);
        if budget_us > period_us {
            let (budget, period) = (budget_us, period_us);
            return Err(error(node, Problem::BudgetOverPeriod { budget, period }));
        }
        let priority = attributes.number("priority", 0, MAX_PRIORITY)?.unwrap_or(0);
        let stack_size = attributes
            .number("stack_size", STACK_BYTES.0, STACK_BYTES.1)?
            .unwrap_or(DEFAULT_STACK_BYTES);
        aligned(node, "stack_size", stack_size, PAGE_SIZES[0])?;
        let fpu = attributes.boolean("fpu")?.unwrap_or(true);
        attributes.end()?;

        let index = self.system.domains.len();
        if index == MAX_DOMAINS {
            return Err(error(node, Problem::TooManyDomains { most: MAX_DOMAINS }));
        }
        self.partition_names.push((node, partition));
        self.system.domains.push(Domain {
            name,
            parent,
            priority: priority as u8, // At most MAX_PRIORITY.
            cpu: cpu as u8,           // At most MAX_CPU.
            budget_us,
            period_us,
            stack_size,
            fpu,
            partition: None, // Until resolve_partitions.
            program_image: String::new(),
            maps: Vec::new(),
            irqs: Vec::new(),
            physical: Vec::new(),
            line: place(node).line,
        });
        for child in elements(node)? {
            match tag(child) {
                "program_image" => self.program_image(child, index)?,
                "map" => self.map(child, index)?,
                "irq" => self.irq(child, index)?,
                "setvar" => self.physical(child, index)?,
                "protection_domain" => self.domain(child, Some(index))?,
                _ => return Err(unexpected(child, node)),
            }
        }
        if self.system.domains[index].program_image.is_empty() {
            return Err(error(
                node,
                Problem::MissingElement {
                    child: "program_image",
                },
            ));
        }
        Ok(())
    }

    fn program_image(&mut self, node: Node<'a, 'a>, domain: usize) -> Result<()> {
        let mut attributes = Attributes::of(node)?;
        attributes.forbid("path_for_symbols", "one file says what a program is")?;
        let path = attributes.name("path", MAX_PATH)?;
        attributes.end()?;
        no_children(node)?;
        let image = &mut self.system.domains[domain].program_image;
        if !image.is_empty() {
            return Err(error(node, Problem::Repeated));
        }
        *image = path;
        Ok(())
    }

    fn physical(&mut self, node: Node<'a, 'a>, domain: usize) -> Result<()> {
        let mut attributes = Attributes::of(node)?;
        let symbol = self.symbol(&mut attributes, domain, "symbol")?;
        let name = attributes.name("region_paddr", MAX_NAME)?;
        attributes.end()?;
        no_children(node)?;
        let Some(symbol) = symbol else {
            return Err(error(
                node,
                Problem::MissingAttribute {
                    attribute: "symbol",
                },
            ));
        };
        // Unlike a map, this can only name a region that comes earlier in the file.
        let Some(region) = self.system.regions.iter().position(|it| it.name == name) else {
            let attribute = "region_paddr";
            return Err(error(
                node,
                Problem::Unresolved {
                    attribute,
                    value: name,
                },
            ));
        };
        let line = place(node).line;
        self.system.domains[domain].physical.push(Physical {
            region,
            symbol,
            line,
        });
        Ok(())
    }

    /// The variable of a domain's program that an attribute names. Setting one twice is refused.
    fn symbol(
        &mut self,
        attributes: &mut Attributes<'_>,
        domain: usize,
        attribute: &'static str,
    ) -> Result<Option<String>> {
        let Some(symbol) = attributes.optional_name(attribute, MAX_PATH)? else {
            return Ok(None);
        };
        if !self.symbols.insert((domain, symbol.clone())) {
            let scope = "variables of a program";
            return Err(duplicate(attributes.node, attribute, &symbol, scope));
        }
        Ok(Some(symbol))
    }

    /// Refuses a number that a channel or an interrupt of the domain already has.
    fn take_id(&self, node: Node<'_, '_>, domain: usize, id: u8) -> Result<()> {
        let irqs = self.system.domains[domain].irqs.iter().map(|irq| irq.id);
        let ends = self
            .system
            .channels
            .iter()
            .flat_map(|channel| &channel.ends);
        let channels = ends.filter(|end| end.domain == domain).map(|end| end.id);
        if irqs.chain(channels).any(|taken| taken == id) {
            let scope = "channels and interrupts of a domain";
            return Err(duplicate(node, "id", &id.to_string(), scope));
        }
        Ok(())
    }
}
