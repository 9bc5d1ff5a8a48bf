//! The authority graph of a description as an SVG picture.
//!
//! Domains are columns, the two that must be apart at the sides and the mediator between them. What two
//! neighbours have in common lies in the gap between their columns, a row each: regions, with an arrow
//! from the writer and to the reader, notifications, control and faults. What one domain has for itself
//! hangs under its column. What domains that are no neighbours have in common would lie in a lane of
//! its own, in red. The same input gives the same bytes.

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

/// Fill and line of a column, by place; more columns than colours begin again.
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
    columns: Vec<&'a Domain>,
    height: f64,
    canvas: Canvas,
}

/// What lies in a row between two columns.
enum Row<'a> {
    Region(&'a str, Vec<Mapping<'a>>),
    Notify { right: bool, left: bool },
    Control { right: bool },
    Faults { right: bool },
}

impl<'a> Picture<'a> {
    fn new(system: &'a System, view: &'a View, policy: &'a Policy) -> Self {
        let [first, last] = &policy.mediation.between;
        let place = |domain: &&Domain| match domain.name.as_str() {
            name if name == first => 0,
            name if name == policy.mediation.mediator => 1,
            name if name == last => 2,
            _ => 3,
        };
        let mut columns: Vec<_> = system.domains.iter().collect();
        columns.sort_by_key(place);
        Self {
            system,
            view,
            policy,
            graph: Graph::of(view, policy),
            columns,
            height: 0.0,
            canvas: Canvas::default(),
        }
    }

    fn draw(mut self) -> String {
        let gaps: Vec<_> = (1..self.columns.len())
            .map(|right| self.rows(right))
            .collect();
        let rows = gaps.iter().map(Vec::len).max().unwrap_or(0);
        self.height = HEAD + rows as f64 * ROW + 10.0;
        let width = MARGIN * 2.0 + CARD * self.columns.len() as f64 + GAP * gaps.len() as f64;
        let top = TITLE + BAND + BAND_GAP;

        self.title();
        self.monitor(width, top);
        for column in 0..self.columns.len() {
            self.card(column, top);
        }
        for (gap, rows) in gaps.iter().enumerate() {
            for (index, row) in rows.iter().enumerate() {
                self.row(gap, top + HEAD + (index as f64 + 0.5) * ROW, row);
            }
        }
        let lane = self.lane(top + self.height);
        let mut bottom = lane;
        for column in 0..self.columns.len() {
            bottom = f64::max(bottom, self.own(column, top + self.height, lane + 26.0));
        }
        self.legend(bottom + 30.0, width);
        self.canvas.finish(width, bottom + 30.0 + LEGEND)
    }

    fn left(column: usize) -> f64 {
        MARGIN + column as f64 * (CARD + GAP)
    }

    fn colour(&self, subject: &Subject) -> (&'static str, &'static str) {
        let place = self
            .columns
            .iter()
            .position(|domain| domain.name == subject.name());
        place.map_or(GREY, |place| COLOURS[place % COLOURS.len()])
    }

    fn has(&self, from: &str, right: Right, to: &str) -> bool {
        let rights = self.graph.rights.get(&Subject::domain(from));
        rights
            .and_then(|rights| rights.get(&right))
            .is_some_and(|names| names.contains(to))
    }

    /// What the domain of a column and its left neighbour, and nobody else, have in common.
    fn rows(&self, right: usize) -> Vec<Row<'a>> {
        let pair = [&self.columns[right - 1].name, &self.columns[right].name];
        let mut rows: Vec<_> = self
            .shared()
            .into_iter()
            .filter(|(_, mappings)| {
                let names: BTreeSet<_> = mappings
                    .iter()
                    .map(|mapping| mapping.subject.name())
                    .collect();
                names == pair.iter().map(|name| name.as_str()).collect()
            })
            .collect();
        // Rings before what nobody writes, those to the right before those to the left.
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

    /// The monitor above all, the faults that it gets and the threads that it could control.
    fn monitor(&mut self, width: f64, top: f64) {
        self.canvas
            .rect(MARGIN, TITLE, width - 2.0 * MARGIN, BAND, GREY, true);
        let text =
            "monitor: Microkit's fault handler, trusted, priority 255, holds the TCBs of all";
        self.canvas
            .text(width / 2.0, TITLE + 28.0, 13.5, INK, "middle", false, text);
        for (column, domain) in self.columns.iter().enumerate() {
            let middle = Self::left(column) + CARD / 2.0;
            let bottom = TITLE + BAND;
            self.canvas.arrow(
                &[(middle - 22.0, bottom), (middle - 22.0, top)],
                GREY.1,
                Stroke::Control,
            );
            self.canvas.text(
                middle - 31.0,
                bottom + 33.0,
                11.5,
                FAINT,
                "end",
                false,
                "TCB",
            );
            if self.has(&domain.name, Right::FaultTo, Subject::Monitor.name()) {
                self.canvas.arrow(
                    &[(middle + 22.0, top), (middle + 22.0, bottom)],
                    GREY.1,
                    Stroke::Faults,
                );
                self.canvas.text(
                    middle + 31.0,
                    bottom + 33.0,
                    11.5,
                    FAINT,
                    "start",
                    false,
                    "faults",
                );
            }
        }
    }

    fn card(&mut self, column: usize, top: f64) {
        let domain = self.columns[column];
        let (left, colours) = (Self::left(column), COLOURS[column % COLOURS.len()]);
        self.canvas
            .rect(left, top, CARD, self.height, colours, false);
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

    /// A row between column `gap` and the next.
    fn row(&mut self, gap: usize, y: f64, row: &Row<'_>) {
        let (from, to) = (Self::left(gap) + CARD, Self::left(gap + 1));
        let names = [&self.columns[gap].name, &self.columns[gap + 1].name]
            .map(|name| Subject::domain(name));
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

    /// Size of a region, and what is special about it.
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

    /// What domains that are no neighbours have in common, or more than two. Its lower end.
    fn lane(&mut self, top: f64) -> f64 {
        let place = |subject: &Subject| {
            self.columns
                .iter()
                .position(|domain| domain.name == subject.name())
        };
        let mut rows = Vec::new();
        for (name, mappings) in self.shared() {
            let mut places: Vec<_> = mappings
                .iter()
                .filter_map(|mapping| place(mapping.subject))
                .collect();
            places.sort_unstable();
            if places.len() != 2 || places[1] != places[0] + 1 {
                rows.push((format!("region {name}"), places));
            }
        }
        for (from, domain) in self.columns.iter().enumerate() {
            for (to, other) in self.columns.iter().enumerate().skip(from + 2) {
                if self.has(&domain.name, Right::Notify, &other.name)
                    || self.has(&other.name, Right::Notify, &domain.name)
                {
                    rows.push(("notifications".to_owned(), vec![from, to]));
                }
            }
        }
        let mut y = top;
        for (index, (name, places)) in rows.iter().enumerate() {
            y += 46.0;
            let shift = 30.0 + 12.0 * index as f64;
            let xs: Vec<_> = places
                .iter()
                .map(|place| Self::left(*place) + CARD - shift)
                .collect();
            let (Some(first), Some(last)) = (xs.first(), xs.last()) else {
                continue;
            };
            for x in &xs {
                self.canvas.line(&[(*x, top), (*x, y)], RED.1);
            }
            self.canvas.line(&[(*first, y), (*last, y)], RED.1);
            let middle = (first + last) / 2.0;
            self.canvas
                .rect(middle - 90.0, y - 15.0, 180.0, 30.0, RED, false);
            self.canvas
                .text(middle, y + 4.0, 12.5, RED.1, "middle", true, name);
        }
        y
    }

    /// What a domain has for itself: regions and devices, under its column. Its lower end.
    fn own(&mut self, column: usize, from: f64, top: f64) -> f64 {
        let domain = self.columns[column];
        let colours = COLOURS[column % COLOURS.len()];
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
        let devices: Vec<_> = self
            .policy
            .device
            .iter()
            .filter(|device| self.holds(&subject, device))
            .collect();
        for device in devices {
            let irq = device
                .irq
                .map(|irq| format!("IRQ {irq}"))
                .unwrap_or_default();
            let note = match &device.region {
                Some(region) => format!("region {region}, rw, {irq}"),
                None => format!("{irq}, a hint only"),
            };
            boxes.push((format!("{} ({})", device.name, device.model), note, true));
        }
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
