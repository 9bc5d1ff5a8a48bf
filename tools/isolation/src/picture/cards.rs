//! Cards: a domain, its regions and its channels.

use super::canvas::{Canvas, Stroke};
use super::{
    BAND, CARD, COLOURS, Card, FAINT, GAP, GREY, INK, MARGIN, Picture, RED, Row, TITLE, bytes,
    letters,
};
use crate::capability::Subject;
use crate::graph::Right;
use crate::view::Mapping;

impl<'a> Picture<'a> {
    /// The monitor above everything, the faults it receives and the threads it could control. The lines of a card that
    /// is not the first of its column go around on the left.
    pub(super) fn monitor(&mut self, width: f64) {
        let bottom = TITLE + BAND;
        self.canvas
            .rect(MARGIN, TITLE, width - 2.0 * MARGIN, BAND, GREY, true);
        let text =
            "monitor: Microkit's fault handler, trusted, priority 255, holds the TCBs of all";
        self.canvas
            .text(width / 2.0, TITLE + 28.0, 13.5, INK, "middle", false, text);
        for index in 0..self.cards.len() {
            let Card {
                domain,
                column,
                top,
                ..
            } = self.cards[index];
            let faults = self.has(&domain.name, Right::FaultTo, Subject::Monitor.name());
            if index > 0 && self.cards[index - 1].column == column {
                self.round(Self::left(column), top, faults);
                continue;
            }
            let middle = Self::left(column) + CARD / 2.0;
            self.canvas.arrow(
                &[(middle - 22.0, bottom), (middle - 22.0, top)],
                GREY.1,
                Stroke::Control,
            );
            self.label(middle - 31.0, bottom + 33.0, "end", "TCB");
            if faults {
                self.canvas.arrow(
                    &[(middle + 22.0, top), (middle + 22.0, bottom)],
                    GREY.1,
                    Stroke::Faults,
                );
                self.label(middle + 31.0, bottom + 33.0, "start", "faults");
            }
        }
    }

    /// The monitor's lines to a card that is not the first of its column.
    fn round(&mut self, left: f64, top: f64, faults: bool) {
        let middle = TITLE + BAND / 2.0;
        let (x, y, from) = (left - 12.0, top + 20.0, middle - 8.0);
        let lines = [(left, from), (x, from), (x, y)];
        self.canvas.dashes(&lines, GREY.1, Stroke::Control);
        self.canvas
            .arrow(&[(x, y), (left, y)], GREY.1, Stroke::Control);
        if faults {
            let (x, y, to) = (left - 24.0, top + 40.0, middle + 8.0);
            let lines = [(left, y), (x, y), (x, to)];
            self.canvas.dashes(&lines, GREY.1, Stroke::Faults);
            self.canvas
                .arrow(&[(x, to), (left, to)], GREY.1, Stroke::Faults);
        }
    }

    fn label(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        self.canvas.text(x, y, 11.5, FAINT, anchor, false, text);
    }

    pub(super) fn card(&mut self, index: usize) {
        let Card {
            domain,
            column,
            top,
            bottom,
        } = self.cards[index];
        let (left, colours) = (Self::left(column), COLOURS[column % COLOURS.len()]);
        self.canvas
            .rect(left, top, CARD, bottom - top, colours, false);
        let middle = left + CARD / 2.0;
        self.canvas.text(
            middle,
            top + 34.0,
            20.0,
            colours.1,
            "middle",
            true,
            &domain.name,
        );
        let parent = domain.parent.as_ref();
        let parent =
            parent.map(|parent| format!(", child of {}", self.system.domains[parent.domain].name));
        let lines = [
            format!("priority {}{}", domain.priority, parent.unwrap_or_default()),
            if domain.budget_us == domain.period_us {
                format!("budget = period = {} ms", domain.period_us as f64 / 1000.0)
            } else {
                format!("budget {} of {} µs", domain.budget_us, domain.period_us)
            },
            if domain.fpu {
                "floating point"
            } else {
                "no floating point"
            }
            .to_owned(),
        ];
        for (index, text) in lines.iter().enumerate() {
            let y = top + 57.0 + 18.0 * index as f64;
            self.canvas
                .text(middle, y, 12.5, INK, "middle", false, text);
        }
    }

    /// A row between two cards.
    pub(super) fn row(&mut self, between: [usize; 2], y: f64, row: &Row<'_>) {
        let [left, right] = between.map(|index| &self.cards[index]);
        let (from, to) = (Self::left(left.column) + CARD, Self::left(right.column));
        let names = [left, right].map(|card| Subject::domain(&card.domain.name));
        let label = |canvas: &mut Canvas, text: &str| {
            canvas.text((from + to) / 2.0, y - 8.0, 12.0, INK, "middle", false, text);
        };
        let ends = |right: bool| {
            if right {
                (from, to, &names[0])
            } else {
                (to, from, &names[1])
            }
        };
        match row {
            Row::Region(name, mappings) => self.region(from, to, y, name, mappings, &names),
            Row::Notify { right, left } => {
                label(&mut self.canvas, "notifications");
                let stroke = if *right && *left {
                    Stroke::NotifyBoth
                } else {
                    Stroke::Notify
                };
                let (start, end, _) = ends(*right);
                self.canvas.arrow(&[(start, y), (end, y)], FAINT, stroke);
            }
            Row::Control { right } => {
                let (start, end, who) = ends(*right);
                label(&mut self.canvas, "TCB: stops and restarts");
                let colour = self.colour(who).1;
                self.canvas
                    .arrow(&[(start, y), (end, y)], colour, Stroke::Control);
            }
            Row::Faults { right } => {
                let (start, end, who) = ends(*right);
                label(&mut self.canvas, "faults");
                let colour = self.colour(who).1;
                self.canvas
                    .arrow(&[(start, y), (end, y)], colour, Stroke::Faults);
            }
        }
    }

    pub(super) fn region(
        &mut self,
        from: f64,
        to: f64,
        y: f64,
        name: &str,
        mappings: &[Mapping<'_>],
        names: &[Subject; 2],
    ) {
        let width = GAP - 104.0;
        let left = (from + to - width) / 2.0;
        let writer = mappings
            .iter()
            .find(|mapping| mapping.write)
            .map(|mapping| mapping.subject);
        let colours = writer.map_or(GREY, |writer| self.colour(writer));
        let writers = mappings.iter().filter(|mapping| mapping.write).count();
        let colours = if writers > 1 { RED } else { colours };
        self.canvas
            .rect(left, y - 19.0, width, 38.0, colours, false);
        let middle = (from + to) / 2.0;
        self.canvas
            .text(middle, y - 2.0, 12.5, INK, "middle", true, name);
        let note = self.note(name, writer.is_none());
        self.canvas
            .text(middle, y + 13.0, 11.0, FAINT, "middle", false, &note);
        for mapping in mappings {
            let at_left = *mapping.subject == names[0];
            let (card, edge) = if at_left {
                (from, left)
            } else {
                (to, left + width)
            };
            let (start, end) = if mapping.write {
                (card, edge)
            } else {
                (edge, card)
            };
            self.canvas
                .arrow(&[(start, y), (end, y)], colours.1, Stroke::Data);
            let letters = letters(mapping);
            self.canvas.text(
                (start + end) / 2.0,
                y - 6.0,
                11.0,
                colours.1,
                "middle",
                false,
                &letters,
            );
        }
    }

    /// Size of a region, and its special properties.
    pub(super) fn note(&self, name: &str, constant: bool) -> String {
        let Some(region) = self.system.region(name) else {
            return String::new();
        };
        let size = bytes(region.size);
        match (constant, region.prefill_path.is_some()) {
            (true, _) => format!("{size}, nobody writes"),
            (false, true) => format!("{size}, filled at boot"),
            (false, false) => size,
        }
    }
}
