//! Lanes between cards, and the legend.

use super::canvas::Stroke;
use super::{BOX, CARD, COLOURS, Card, FAINT, INK, MARGIN, Picture, RED, letters};
use crate::capability::Subject;
use crate::graph::Right;
use crate::policy::Device;
use sysdesc::Domain;

impl<'a> Picture<'a> {
    /// What more than two domains, or domains that are not neighbours, share. Returns its lower end.
    pub(super) fn lane(&mut self) -> f64 {
        let place = |subject: &Subject| {
            let mut cards = self.cards.iter();
            cards.position(|card| card.domain.name == subject.name())
        };
        let neighbours =
            |a: usize, b: usize| self.cards[a].column.abs_diff(self.cards[b].column) == 1;
        let mut rows = Vec::new();
        for (name, mappings) in self.shared() {
            let mut places: Vec<_> = mappings
                .iter()
                .filter_map(|mapping| place(mapping.subject))
                .collect();
            places.sort_unstable();
            let drawn = matches!(places[..], [a, b] if neighbours(a, b));
            if !drawn {
                rows.push((format!("region {name}"), places));
            }
        }
        for (from, card) in self.cards.iter().enumerate() {
            for (to, other) in self.cards.iter().enumerate().skip(from + 1) {
                let (a, b) = (&card.domain.name, &other.domain.name);
                let notify = self.has(a, Right::Notify, b) || self.has(b, Right::Notify, a);
                if notify && !neighbours(from, to) {
                    rows.push(("notifications".to_owned(), vec![from, to]));
                }
            }
        }
        let mut y = self.bottom;
        for (index, (name, places)) in rows.iter().enumerate() {
            y += 46.0;
            let xs: Vec<_> = places
                .iter()
                .map(|place| self.drop(*place, index, y))
                .collect();
            let (Some(first), Some(last)) = (
                xs.iter().copied().reduce(f64::min),
                xs.iter().copied().reduce(f64::max),
            ) else {
                continue;
            };
            self.canvas.line(&[(first, y), (last, y)], RED.1);
            let middle = f64::max((first + last) / 2.0, MARGIN + 90.0);
            self.canvas
                .rect(middle - 90.0, y - 15.0, 180.0, 30.0, RED, false);
            self.canvas
                .text(middle, y + 4.0, 12.5, RED.1, "middle", true, name);
        }
        y
    }

    /// A red line from a card down to a row of the lane. Returns the x coordinate where it arrives.
    fn drop(&mut self, index: usize, row: usize, y: f64) -> f64 {
        let Card {
            column,
            top,
            bottom,
            ..
        } = self.cards[index];
        let (left, shift) = (Self::left(column), 12.0 * row as f64);
        if bottom < self.bottom {
            // Another card is below it: go around on the left.
            let (x, from) = (left - 6.0, top + 60.0 + shift);
            self.canvas.line(&[(left, from), (x, from), (x, y)], RED.1);
            return x;
        }
        let x = left + CARD - 30.0 - shift;
        self.canvas.line(&[(x, bottom), (x, y)], RED.1);
        x
    }

    /// A domain's own regions and devices, below its card. Returns their lower end.
    pub(super) fn own(&mut self, index: usize, from: f64, top: f64) -> f64 {
        let Card { domain, column, .. } = self.cards[index];
        let colours = COLOURS[column % COLOURS.len()];
        let boxes = self.boxes(domain);
        let left = Self::left(column);
        let mut y = top;
        for (name, note, device) in &boxes {
            self.canvas.line(
                &[
                    (left + 16.0, from),
                    (left + 16.0, y + BOX / 2.0),
                    (left + 30.0, y + BOX / 2.0),
                ],
                colours.1,
            );
            let colours = if *device {
                ("#ffffff", colours.1)
            } else {
                colours
            };
            self.canvas
                .rect(left + 30.0, y, CARD - 30.0, BOX, colours, *device);
            let middle = left + 30.0 + (CARD - 30.0) / 2.0;
            self.canvas
                .text(middle, y + 19.0, 12.0, INK, "middle", true, name);
            self.canvas
                .text(middle, y + 35.0, 11.0, FAINT, "middle", false, note);
            y += BOX + 10.0;
        }
        y
    }

    /// Regions and devices of only one domain: name, note, and whether it is a device.
    pub(super) fn boxes(&self, domain: &Domain) -> Vec<(String, String, bool)> {
        let subject = Subject::domain(&domain.name);
        let mut boxes: Vec<(String, String, bool)> = Vec::new();
        for (name, mappings) in self.view.regions() {
            let [mapping] = &mappings[..] else { continue };
            if *mapping.subject == subject && self.policy.device_of_region(name).is_none() {
                let note = self.note(name, false);
                boxes.push((
                    name.to_owned(),
                    format!("{note}, {}", letters(mapping)),
                    false,
                ));
            }
        }
        let devices = self.policy.device.iter();
        for device in devices.filter(|device| self.holds(&subject, device)) {
            let irq = device
                .irq
                .map(|irq| format!("IRQ {irq}"))
                .unwrap_or_default();
            let note = match &device.region {
                Some(region) => format!("region {region}, rw, {irq}"),
                None => format!("{irq}, a hint only"),
            };
            boxes.push((format!("{} ({})", device.name, device.model()), note, true));
        }
        boxes
    }

    fn holds(&self, subject: &Subject, device: &Device) -> bool {
        let rights = self.graph.rights.get(subject);
        let has = |right, name: &str| {
            rights
                .and_then(|rights| rights.get(&right))
                .is_some_and(|names| names.contains(name))
        };
        device
            .region
            .as_ref()
            .is_some_and(|region| has(Right::Read, region))
            || device
                .irq
                .is_some_and(|irq| has(Right::Interrupt, &irq.to_string()))
    }

    pub(super) fn legend(&mut self, top: f64, width: f64) {
        self.canvas
            .line(&[(MARGIN, top), (width - MARGIN, top)], "#d1d5db");
        let entries = [
            (
                Stroke::Data,
                "data, in the writer's colour (r, rw: rights of the mapping)",
            ),
            (Stroke::NotifyBoth, "notifications"),
            (Stroke::Control, "control of a thread"),
            (Stroke::Faults, "faults"),
        ];
        let mut x = MARGIN;
        for (stroke, text) in entries {
            self.canvas
                .arrow(&[(x, top + 28.0), (x + 44.0, top + 28.0)], FAINT, stroke);
            self.canvas
                .text(x + 54.0, top + 32.0, 12.0, INK, "start", false, text);
            x += 54.0 + text.chars().count() as f64 * 6.3 + 34.0;
        }
        let note = "Dashed boxes are devices. A way for which no capability is needed, the generic timer's registers, is in docs/isolation.md.";
        self.canvas
            .text(MARGIN, top + 58.0, 12.0, FAINT, "start", false, note);
    }
}
