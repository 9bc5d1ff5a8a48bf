//! The authority graph of a description as an SVG picture.
//!
//! Each domain is a card. The clients form the first column, one below the other, the mediator is the second and the
//! engine the third; other domains would follow. Whatever two neighbours share is in the gap between their columns, one
//! row each: regions (with an arrow from the writer and to the reader), notifications, control and faults. A domain's
//! own resources hang under its card. Anything shared by domains that are not neighbours would be in a separate red
//! lane. The same input gives the same bytes.

mod canvas;

use crate::capability::Subject;
use crate::graph::{Graph, Right};
use crate::policy::{Device, Policy};
use crate::view::{Mapping, View};
use canvas::{Canvas, Stroke};
use std::collections::BTreeSet;
use sysdesc::{Domain, System};

const MARGIN: f64 = 36.0;
const TITLE: f64 = 74.0;
const CARD: f64 = 196.0;
const GAP: f64 = 268.0;
const ROW: f64 = 52.0;
const HEAD: f64 = 112.0;
const BAND: f64 = 46.0;
const BAND_GAP: f64 = 58.0;
const BOX: f64 = 46.0;
const LEGEND: f64 = 84.0;

/// Gap between a card's own boxes and the next card of the column.
const STACK_GAP: f64 = 30.0;

/// Fill and line of a column, by position; the colours repeat if there are more columns.
const COLOURS: [(&str, &str); 4] = [
    ("#e8f0fc", "#2457a6"),
    ("#e6f4ea", "#1e7a3c"),
    ("#fdf0e1", "#b35c00"),
    ("#f3e8fb", "#7a3ca8"),
];
const GREY: (&str, &str) = ("#f2f3f5", "#6b7280");
const RED: (&str, &str) = ("#fde8e8", "#b91c1c");
const INK: &str = "#1f2937";
const FAINT: &str = "#6b7280";

/// Draws it.
#[must_use]
pub fn svg(system: &System, view: &View, policy: &Policy) -> String {
    Picture::new(system, view, policy).draw()
}

struct Picture<'a> {
    system: &'a System,
    view: &'a View,
    policy: &'a Policy,
    graph: Graph,
    /// By column, and from the top in each.
    cards: Vec<Card<'a>>,
    /// What neighbours share.
    links: Vec<Link<'a>>,
    /// The bottom of all columns.
    bottom: f64,
    canvas: Canvas,
}

/// A domain and its place.
struct Card<'a> {
    domain: &'a Domain,
    column: usize,
    top: f64,
    bottom: f64,
}

/// What two neighbours share.
struct Link<'a> {
    /// Indices of their cards, the left one first.
    between: [usize; 2],
    rows: Vec<Row<'a>>,
}

/// The content of a row between two columns.
enum Row<'a> {
    Region(&'a str, Vec<Mapping<'a>>),
    Notify { right: bool, left: bool },
    Control { right: bool },
    Faults { right: bool },
}

impl<'a> Picture<'a> {
    fn new(system: &'a System, view: &'a View, policy: &'a Policy) -> Self {
        let place = |domain: &Domain| match domain.name.as_str() {
            name if policy.is_client(name) => 0,
            name if name == policy.mediation.mediator => 1,
            name if name == policy.mediation.engine => 2,
            _ => 3,
        };
        let mut domains: Vec<_> = system.domains.iter().collect();
        domains.sort_by_key(|domain| place(domain));
        let mut cards: Vec<Card<'a>> = Vec::new();
        for domain in domains {
            let column = match cards.last() {
                None => 0,
                Some(last) if place(domain) == 0 => last.column,
                Some(last) => last.column + 1,
            };
            let (top, bottom) = (0.0, 0.0);
            cards.push(Card {
                domain,
                column,
                top,
                bottom,
            });
        }
        let mut picture = Self {
            system,
            view,
            policy,
            graph: Graph::of(view, policy),
            cards,
            links: Vec::new(),
            bottom: 0.0,
            canvas: Canvas::default(),
        };
        picture.links = picture.links();
        picture.lay_out();
        picture
    }

    /// Links each card with each card of the next column.
    fn links(&self) -> Vec<Link<'a>> {
        let mut links = Vec::new();
        for (left, card) in self.cards.iter().enumerate() {
            for (right, other) in self.cards.iter().enumerate() {
                if other.column == card.column + 1 {
                    let rows = self.rows(&card.domain.name, &other.domain.name);
                    let between = [left, right];
                    links.push(Link { between, rows });
                }
            }
        }
        links
    }

    /// Positions the cards: those of a column below each other, the last of each reaching the bottom of all.
    fn lay_out(&mut self) {
        let rows_of = |card: usize, side: usize| {
            let links = self.links.iter().filter(|link| link.between[side] == card);
            links.map(|link| link.rows.len()).max().unwrap_or(0)
        };
        let mut bottom = 0.0;
        let mut places = Vec::new();
        for (index, card) in self.cards.iter().enumerate() {
            // The left cards must have room for the rows on their left.
            let rows = rows_of(index, 0) as f64;
            let above = index
                .checked_sub(1)
                .filter(|above| self.cards[*above].column == card.column);
            let top =
                match above.and_then(|above| Some((self.cards.get(above)?, places.get(above)?))) {
                    None => TITLE + BAND + BAND_GAP,
                    Some((above, (_, end))) => {
                        let boxes = self.boxes(above.domain).len() as f64;
                        end + 26.0 + boxes * (BOX + 10.0) + STACK_GAP
                    }
                };
            let end = top + HEAD + rows * ROW + 10.0;
            bottom = f64::max(bottom, end);
            places.push((top, end));
        }
        let columns: Vec<_> = self.cards.iter().map(|card| card.column).collect();
        for (index, (card, (top, end))) in self.cards.iter_mut().zip(places).enumerate() {
            let is_last = columns.get(index + 1) != Some(&card.column);
            card.top = top;
            card.bottom = if is_last { bottom } else { end };
        }
        self.bottom = bottom;
    }

    fn draw(mut self) -> String {
        let columns = self.cards.last().map_or(1, |card| card.column + 1) as f64;
        let width = MARGIN * 2.0 + CARD * columns + GAP * (columns - 1.0);

        self.title();
        self.monitor(width);
        for card in 0..self.cards.len() {
            self.card(card);
        }
        for link in core::mem::take(&mut self.links) {
            for (index, row) in link.rows.iter().enumerate() {
                let top = self.cards[link.between[0]].top;
                self.row(link.between, top + HEAD + (index as f64 + 0.5) * ROW, row);
            }
        }
        let lane = self.lane();
        let mut bottom = lane;
        for card in 0..self.cards.len() {
            let end = self.cards[card].bottom;
            let top = if end < self.bottom { end } else { lane };
            bottom = f64::max(bottom, self.own(card, end, top + 26.0));
        }
        self.legend(bottom + 30.0, width);
        self.canvas.finish(width, bottom + 30.0 + LEGEND)
    }

    fn left(column: usize) -> f64 {
        MARGIN + column as f64 * (CARD + GAP)
    }

    fn colour(&self, subject: &Subject) -> (&'static str, &'static str) {
        let card = self
            .cards
            .iter()
            .find(|card| card.domain.name == subject.name());
        card.map_or(GREY, |card| COLOURS[card.column % COLOURS.len()])
    }

    fn has(&self, from: &str, right: Right, to: &str) -> bool {
        let rights = self.graph.rights.get(&Subject::domain(from));
        rights
            .and_then(|rights| rights.get(&right))
            .is_some_and(|names| names.contains(to))
    }

    /// What only a domain and its right neighbour share.
    fn rows(&self, left: &str, right: &str) -> Vec<Row<'a>> {
        let pair = [left, right];
        let mut rows: Vec<_> = self
            .shared()
            .into_iter()
            .filter(|(_, mappings)| {
                let names: BTreeSet<_> = mappings
                    .iter()
                    .map(|mapping| mapping.subject.name())
                    .collect();
                names == pair.into_iter().collect()
            })
            .collect();
        // Rings before read-only regions, those to the right before those to the left.
        rows.sort_by_key(|(name, mappings)| {
            let writer = mappings.iter().find(|mapping| mapping.write);
            let order = writer.map_or(2, |writer| usize::from(writer.subject.name() != pair[0]));
            (order, *name)
        });
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|(name, mappings)| Row::Region(name, mappings))
            .collect();
        let [a, b] = pair;
        let both = |right| (self.has(a, right, b), self.has(b, right, a));
        let (to_right, to_left) = both(Right::Notify);
        if to_right || to_left {
            rows.push(Row::Notify {
                right: to_right,
                left: to_left,
            });
        }
        for (right, there) in [
            (true, both(Right::Control).0),
            (false, both(Right::Control).1),
        ] {
            if there {
                rows.push(Row::Control { right });
            }
        }
        for (right, there) in [
            (true, both(Right::FaultTo).0),
            (false, both(Right::FaultTo).1),
        ] {
            if there {
                rows.push(Row::Faults { right });
            }
        }
        rows
    }

    fn shared(&self) -> Vec<(&'a str, Vec<Mapping<'a>>)> {
        let regions = self.view.regions().into_iter();
        regions.filter(|(_, mappings)| mappings.len() > 1).collect()
    }

    fn title(&mut self) {
        let canvas = &mut self.canvas;
        canvas.text(
            MARGIN,
            40.0,
            21.0,
            INK,
            "start",
            true,
            "Authority graph of sel4-llm",
        );
        let note = "the capabilities that system.xml and Microkit give";
        canvas.text(MARGIN, 60.0, 13.0, FAINT, "start", false, note);
    }

    /// The monitor above everything, the faults it receives and the threads it could control. The lines of a card that
    /// is not the first of its column go around on the left.
    fn monitor(&mut self, width: f64) {
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

    fn card(&mut self, index: usize) {
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
    fn row(&mut self, between: [usize; 2], y: f64, row: &Row<'_>) {
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

    fn region(
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
    fn note(&self, name: &str, constant: bool) -> String {
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

    /// What more than two domains, or domains that are not neighbours, share. Returns its lower end.
    fn lane(&mut self) -> f64 {
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
    fn own(&mut self, index: usize, from: f64, top: f64) -> f64 {
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
    fn boxes(&self, domain: &Domain) -> Vec<(String, String, bool)> {
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

    fn legend(&mut self, top: f64, width: f64) {
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

fn letters(mapping: &Mapping<'_>) -> String {
    let letters = [
        (mapping.read, 'r'),
        (mapping.write, 'w'),
        (mapping.execute, 'x'),
    ];
    letters
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, letter)| letter)
        .collect()
}

fn bytes(size: u64) -> String {
    if size.is_multiple_of(1 << 20) {
        format!("{} MiB", size >> 20)
    } else {
        format!("{} KiB", size >> 10)
    }
}
