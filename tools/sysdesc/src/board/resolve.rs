//! Converts a description that names devices to one with a board's addresses and interrupts.
//!
//! The text is changed in place, so lines, comments and everything else stay, and a message about the result has the
//! position in the file that people edit.

use super::{Board, Interrupt};
use crate::xml::{document, error};
use crate::{Error, PAGE_SIZES, Problem, number};
use roxmltree::Node;
use std::ops::Range;

/// Prefix of a device's or interrupt's name.
const MARK: &str = "board:";

impl Board {
    /// The description for this board: each `board:NAME` is replaced by the board's number for it. An interrupt that
    /// arrives as another one of its device is left out.
    ///
    /// # Errors
    /// The board lacks a device or interrupt, a region reaches beyond its device, or the text is not XML.
    pub fn resolve(&self, text: &str) -> Result<String, Error> {
        let document = document(text)?;
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        for node in document.descendants().filter(Node::is_element) {
            let changed = match node.tag_name().name() {
                "memory_region" => self.address(node)?,
                "irq" => self.number(node)?,
                _ => None,
            };
            changes.extend(changed);
        }
        let mut resolved = text.to_owned();
        for (range, number) in changes.into_iter().rev() {
            resolved.replace_range(range, &number);
        }
        Ok(resolved)
    }

    fn address(&self, node: Node<'_, '_>) -> Result<Option<(Range<usize>, String)>, Error> {
        let Some((name, range)) = named(node, "phys_addr") else {
            return Ok(None);
        };
        let device = self.devices.get(name);
        let Some((address, size)) = device.and_then(|device| device.address.zip(device.size))
        else {
            let with_registers = self
                .devices
                .iter()
                .filter(|(_, device)| device.address.is_some());
            let known = with_registers.map(|(name, _)| name.clone()).collect();
            return Err(self.missing(node, "device with registers", name, known));
        };
        let [page, _] = PAGE_SIZES;
        let most = size.next_multiple_of(page);
        // The parser refuses sizes that are not numbers.
        if let Some(size) = node.attribute("size").and_then(number)
            && size > most
        {
            let device = name.to_owned();
            return Err(error(node, Problem::BeyondDevice { device, size, most }));
        }
        Ok(Some((range, format!("{address:#x}"))))
    }

    fn number(&self, node: Node<'_, '_>) -> Result<Option<(Range<usize>, String)>, Error> {
        let Some((name, range)) = named(node, "irq") else {
            return Ok(None);
        };
        let mut devices = self.devices.values();
        match devices.find_map(|device| device.interrupts.get(name)) {
            Some(Interrupt::Number(number)) => Ok(Some((range, number.to_string()))),
            Some(Interrupt::With(_)) => Ok(Some((node.range(), String::new()))),
            None => {
                let all = self
                    .devices
                    .values()
                    .flat_map(|device| device.interrupts.keys());
                let known = all.cloned().collect();
                Err(self.missing(node, "interrupt", name, known))
            }
        }
    }

    fn missing(
        &self,
        node: Node<'_, '_>,
        what: &'static str,
        name: &str,
        known: Vec<String>,
    ) -> Error {
        let (board, name) = (self.name.clone(), name.to_owned());
        let known = known.join(", ");
        error(
            node,
            Problem::NotOnBoard {
                what,
                name,
                board,
                known,
            },
        )
    }
}

/// The name in an attribute that has one, and the location of the attribute's value.
fn named<'a>(node: Node<'a, '_>, attribute: &str) -> Option<(&'a str, Range<usize>)> {
    let attribute = node.attribute_node(attribute)?;
    let name = attribute.value().strip_prefix(MARK)?;
    Some((name, attribute.range_value()))
}
