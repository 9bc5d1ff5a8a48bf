//! Partitions and their turns.

use super::{MAX_NAME, MAX_TURN_US, Reader, Result};
use crate::xml::{Attributes, duplicate, elements, error, no_children, place, tag, unexpected};
use crate::{MAX_PARTITIONS, MAX_TURNS, Partition, Problem, Turn};
use roxmltree::Node;

impl<'a> Reader<'a> {
    /// The time partitions and their schedule.
    ///
    /// Stricter than Microkit: each partition has a number (Microkit would choose in no fixed order), durations are
    /// microseconds, and the schedule is one cycle from its first turn to its last.
    pub(super) fn partitions(&mut self, node: Node<'a, 'a>) -> Result<()> {
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

    /// Checks that every domain names a partition if there are partitions, and that none does otherwise.
    pub(super) fn resolve_partitions(&mut self) -> Result<()> {
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
}
