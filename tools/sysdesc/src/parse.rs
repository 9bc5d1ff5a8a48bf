//! Parses XML into [`System`], element by element.
//!
//! Every element is read through [`Attributes`], which tracks the attributes that were asked for: the remaining ones
//! are unknown, so no attribute can be silently forgotten.

use crate::board::Arch;
use crate::{
    Channel, DEFAULT_BUDGET_US, DEFAULT_STACK_BYTES, Domain, End, Error, Irq, MAX_CPU, MAX_DOMAINS,
    MAX_ID, MAX_PARTITIONS, MAX_PRIORITY, MAX_TURNS, Map, PAGE_SIZES, Parent, Partition, Perms,
    Physical, Place, Problem, Region, System, Trigger, Turn,
};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::HashSet;

/// Microkit keeps names of domains in 64 bytes, with a zero at the end.
const MAX_NAME: usize = 63;
/// Longest file name of Linux.
const MAX_PATH: usize = 255;
/// Interrupt numbers of the GIC.
const MAX_IRQ: u64 = 1019;
/// Maximum number of pages in a region: 2 GiB, and few enough to look at each.
const MAX_PAGES: u64 = 1 << 19;
/// Longest turn of a partition, in microseconds (10 s): with a longer one nobody else would run.
const MAX_TURN_US: u64 = 10_000_000;
const STACK_BYTES: (u64, u64) = (0x1000, 0x100_0000);
/// How much of a refused text is shown, in characters.
const TEXT_SHOWN: usize = 40;
/// Microkit's own domain.
const RESERVED_NAME: &str = "monitor";

type Result<T> = core::result::Result<T, Error>;

/// The text as XML.
pub(crate) fn document(text: &str) -> Result<Document<'_>> {
    let options = ParsingOptions {
        allow_dtd: false,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| {
        let at = error.pos();
        let place = Place {
            line: at.row,
            column: at.col,
            element: String::new(),
        };
        Error {
            place,
            problem: Problem::Xml {
                message: error.to_string(),
            },
        }
    })
}

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

    /// The time partitions and their schedule.
    ///
    /// Stricter than Microkit: each partition has a number (Microkit would choose in no fixed order), durations are
    /// microseconds, and the schedule is one cycle from its first turn to its last.
    fn partitions(&mut self, node: Node<'a, 'a>) -> Result<()> {
        Attributes::of(node)?.end()?;
        let mut schedule = None;
        for child in elements(node)? {
            match tag(child) {
                "domain" => self.partition(child)?,
                "domain_schedule" if schedule.is_none() => schedule = Some(child),
                "domain_schedule" => return Err(error(child, Problem::Repeated)),
                _ => return Err(unexpected(child, node)),
            }
        }
        let missing = |child| error(node, Problem::MissingElement { child });
        if self.system.partitions.is_empty() {
            return Err(missing("domain"));
        }
        let schedule = schedule.ok_or_else(|| missing("domain_schedule"))?;
        let attributes = Attributes::of(schedule)?;
        for attribute in ["start_index", "index_shift"] {
            attributes.forbid(attribute, "a schedule begins with its first turn")?;
        }
        attributes.end()?;
        for child in elements(schedule)? {
            match tag(child) {
                "schedule_entry" => self.turn(child)?,
                "schedule_end_marker" => {
                    let reason = "a schedule ends with its last turn";
                    return Err(error(child, Problem::ForbiddenElement { reason }));
                }
                _ => return Err(unexpected(child, schedule)),
            }
        }
        if self.system.schedule.is_empty() {
            let child = "schedule_entry";
            return Err(error(schedule, Problem::MissingElement { child }));
        }
        Ok(())
    }

    fn partition(&mut self, node: Node<'a, 'a>) -> Result<()> {
        let mut attributes = Attributes::of(node)?;
        let name = attributes.name("name", MAX_NAME)?;
        // Below MAX_PARTITIONS, so that it fits.
        let id = attributes.required_number("id", 0, MAX_PARTITIONS as u64 - 1)? as u8;
        attributes.end()?;
        no_children(node)?;
        let mut others = self.system.partitions.iter();
        if others.clone().any(|other| other.name == name) {
            return Err(duplicate(node, "name", &name, "time partitions"));
        }
        if others.any(|other| other.id == id) {
            return Err(duplicate(node, "id", &id.to_string(), "time partitions"));
        }
        let line = place(node).line;
        self.system.partitions.push(Partition { name, id, line });
        Ok(())
    }

    fn turn(&mut self, node: Node<'a, 'a>) -> Result<()> {
        let mut attributes = Attributes::of(node)?;
        let name = attributes.name("domain", MAX_NAME)?;
        let duration = attributes.required("duration")?;
        attributes.end()?;
        no_children(node)?;
        let partition = self.partition_named(node, name)?;
        let number = duration.strip_suffix(" us").and_then(crate::number);
        let Some(duration_us) = number.filter(|number| (1..=MAX_TURN_US).contains(number)) else {
            let value = duration.to_owned();
            return Err(error(
                node,
                Problem::Duration {
                    value,
                    most: MAX_TURN_US,
                },
            ));
        };
        if self.system.schedule.len() == MAX_TURNS {
            return Err(error(node, Problem::TooManyTurns { most: MAX_TURNS }));
        }
        let line = place(node).line;
        self.system.schedule.push(Turn {
            partition,
            duration_us,
            line,
        });
        Ok(())
    }

    fn partition_named(&self, node: Node<'a, 'a>, value: String) -> Result<usize> {
        let mut partitions = self.system.partitions.iter();
        partitions.position(|it| it.name == value).ok_or_else(|| {
            let attribute = "domain";
            error(node, Problem::Unresolved { attribute, value })
        })
    }

    /// With partitions every domain names one; without, none does.
    fn resolve_partitions(&mut self) -> Result<()> {
        let has_partitions = !self.system.partitions.is_empty();
        for (domain, (node, name)) in core::mem::take(&mut self.partition_names)
            .into_iter()
            .enumerate()
        {
            let attribute = "domain";
            self.system.domains[domain].partition = match name {
                Some(name) => Some(self.partition_named(node, name)?),
                None if has_partitions => {
                    return Err(error(node, Problem::MissingAttribute { attribute }));
                }
                None => None,
            };
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

    fn map(&mut self, node: Node<'a, 'a>, domain: usize) -> Result<()> {
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
        // Unlike maps, it names a region that stands before it.
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

    fn irq(&mut self, node: Node<'a, 'a>, domain: usize) -> Result<()> {
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

    fn resolve_maps(&mut self) -> Result<()> {
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

    fn channel(&mut self, node: Node<'a, 'a>) -> Result<()> {
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

    fn end(&mut self, node: Node<'a, 'a>) -> Result<End> {
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

/// The attributes of an element, tracking those that were asked for.
struct Attributes<'a> {
    node: Node<'a, 'a>,
    known: Vec<&'static str>,
}

impl<'a> Attributes<'a> {
    fn of(node: Node<'a, 'a>) -> Result<Self> {
        if node.tag_name().namespace().is_some() {
            let parent = node.parent().map(tag).unwrap_or_default().to_owned();
            return Err(error(node, Problem::UnknownElement { parent }));
        }
        Ok(Self {
            node,
            known: Vec::new(),
        })
    }

    /// The value as written, without tracking.
    fn text(&self, attribute: &str) -> Option<&'a str> {
        self.node.attribute(attribute)
    }

    fn optional(&mut self, attribute: &'static str) -> Option<&'a str> {
        self.known.push(attribute);
        self.text(attribute)
    }

    fn required(&mut self, attribute: &'static str) -> Result<&'a str> {
        self.optional(attribute)
            .ok_or_else(|| error(self.node, Problem::MissingAttribute { attribute }))
    }

    fn forbid(&self, attribute: &'static str, reason: &'static str) -> Result<()> {
        match self.text(attribute) {
            None => Ok(()),
            Some(_) => Err(error(
                self.node,
                Problem::ForbiddenAttribute { attribute, reason },
            )),
        }
    }

    /// Refuses anything but `false`, which is Microkit's default.
    fn only_false(&mut self, attribute: &'static str, reason: &'static str) -> Result<()> {
        if self.boolean(attribute)?.unwrap_or(false) {
            return self.forbid(attribute, reason);
        }
        Ok(())
    }

    /// Refuses anything but a plain decimal number, on which the Microkit tool would panic.
    fn decimal(&self, attribute: &'static str) -> Result<()> {
        let value = self.text(attribute).unwrap_or("0");
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            let value = value.to_owned();
            return Err(error(self.node, Problem::Decimal { attribute, value }));
        }
        Ok(())
    }

    fn check_name(&self, attribute: &'static str, value: &str, most: usize) -> Result<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
        if value.is_empty() || value.len() > most || !value.bytes().all(plain) {
            let value = value.to_owned();
            return Err(error(
                self.node,
                Problem::Name {
                    attribute,
                    value,
                    most,
                },
            ));
        }
        Ok(value.to_owned())
    }

    fn name(&mut self, attribute: &'static str, most: usize) -> Result<String> {
        let value = self.required(attribute)?;
        self.check_name(attribute, value, most)
    }

    fn optional_name(&mut self, attribute: &'static str, most: usize) -> Result<Option<String>> {
        self.optional(attribute)
            .map(|value| self.check_name(attribute, value, most))
            .transpose()
    }

    /// Decimal, or hexadecimal after `0x`; underscores may group digits.
    fn number(&mut self, attribute: &'static str, least: u64, most: u64) -> Result<Option<u64>> {
        let Some(value) = self.optional(attribute) else {
            return Ok(None);
        };
        let number = crate::number(value).filter(|number| (least..=most).contains(number));
        match number {
            Some(number) => Ok(Some(number)),
            None => {
                let value = value.to_owned();
                Err(error(
                    self.node,
                    Problem::Number {
                        attribute,
                        value,
                        least,
                        most,
                    },
                ))
            }
        }
    }

    fn required_number(&mut self, attribute: &'static str, least: u64, most: u64) -> Result<u64> {
        self.required(attribute)?;
        let number = self.number(attribute, least, most)?;
        number.ok_or_else(|| error(self.node, Problem::MissingAttribute { attribute }))
    }

    fn id(&mut self, attribute: &'static str) -> Result<u8> {
        // At most MAX_ID, which fits.
        self.required_number(attribute, 0, MAX_ID)
            .map(|id| id as u8)
    }

    fn boolean(&mut self, attribute: &'static str) -> Result<Option<bool>> {
        match self.optional(attribute) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                let (value, allowed) = (other.to_owned(), "true, false");
                Err(error(
                    self.node,
                    Problem::Word {
                        attribute,
                        value,
                        allowed,
                    },
                ))
            }
        }
    }

    /// Letters of `rwx` in any order, each at most once; `rw` by default. The kernel has no write-only mappings.
    fn perms(&mut self) -> Result<Perms> {
        let written = self.optional("perms").unwrap_or("rw");
        let count = |letter| written.chars().filter(|&c| c == letter).count();
        let counts = [count('r'), count('w'), count('x')];
        let perms = Perms {
            read: counts[0] == 1,
            write: counts[1] == 1,
            execute: counts[2] == 1,
        };
        let known = counts.iter().all(|&n| n <= 1) && counts.iter().sum::<usize>() == written.len();
        let write_only = perms.write && !perms.read;
        if !known || written.is_empty() || write_only {
            let (attribute, value) = ("perms", written.to_owned());
            let allowed = "r, rw, rx, rwx, x";
            return Err(error(
                self.node,
                Problem::Word {
                    attribute,
                    value,
                    allowed,
                },
            ));
        }
        Ok(perms)
    }

    /// Refuses attributes that were not asked for.
    fn end(self) -> Result<()> {
        for attribute in self.node.attributes() {
            let known = attribute.namespace().is_none() && self.known.contains(&attribute.name());
            if !known {
                let attribute = attribute.name().to_owned();
                return Err(error(self.node, Problem::UnknownAttribute { attribute }));
            }
        }
        Ok(())
    }
}

/// The child elements; text between them is refused.
fn elements<'a>(node: Node<'a, 'a>) -> Result<Vec<Node<'a, 'a>>> {
    let mut elements = Vec::new();
    for child in node.children() {
        if child.is_element() {
            elements.push(child);
        } else if child.is_pi() {
            let parent = tag(node).to_owned();
            return Err(error(child, Problem::UnknownElement { parent }));
        } else if let Some(text) = child.text()
            && child.is_text()
            && !text.trim().is_empty()
        {
            let text = text.trim().chars().take(TEXT_SHOWN).collect();
            return Err(error(node, Problem::Text { text }));
        }
    }
    Ok(elements)
}

fn no_children(node: Node<'_, '_>) -> Result<()> {
    match elements(node)?.first() {
        None => Ok(()),
        Some(&child) => Err(unexpected(child, node)),
    }
}

/// The error for an element that does not belong here: unknown, or known but not used.
fn unexpected(node: Node<'_, '_>, parent: Node<'_, '_>) -> Error {
    let reason = match tag(node) {
        "cspace" => "it gives capabilities to kernel objects",
        "virtual_machine" => "there are no virtual machines",
        "io_address_space" | "ioport" => "it is for x86-64 boards",
        _ => {
            return error(
                node,
                Problem::UnknownElement {
                    parent: tag(parent).to_owned(),
                },
            );
        }
    };
    error(node, Problem::ForbiddenElement { reason })
}

fn aligned(node: Node<'_, '_>, attribute: &'static str, value: u64, unit: u64) -> Result<()> {
    if value.is_multiple_of(unit) {
        return Ok(());
    }
    Err(error(
        node,
        Problem::Alignment {
            attribute,
            value,
            unit,
        },
    ))
}

fn duplicate(
    node: Node<'_, '_>,
    attribute: &'static str,
    value: &str,
    scope: &'static str,
) -> Error {
    error(
        node,
        Problem::Duplicate {
            attribute,
            value: value.to_owned(),
            scope,
        },
    )
}

fn tag<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

fn place(node: Node<'_, '_>) -> Place {
    let at = node.document().text_pos_at(node.range().start);
    Place {
        line: at.row,
        column: at.col,
        element: tag(node).to_owned(),
    }
}

pub(crate) fn error(node: Node<'_, '_>, problem: Problem) -> Error {
    Error {
        place: place(node),
        problem,
    }
}
