//! The authority graph of a description as an SVG picture.
//!
//! Each domain is a card. The clients form the first column, one below the other, the mediator is the second and the
//! engine the third; other domains would follow. Whatever two neighbours share is in the gap between their columns, one
//! row each: regions (with an arrow from the writer and to the reader), notifications, control and faults. A domain's
//! own resources hang under its card. Anything shared by domains that are not neighbours would be in a separate red
//! lane. The same input gives the same bytes.

mod canvas;
mod cards;
mod lanes;

use crate::capability::Subject;
use crate::graph::{Graph, Right};
use crate::policy::Policy;
use crate::view::{Mapping, View};
use canvas::Canvas;
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
