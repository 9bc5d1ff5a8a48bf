//! Generates the tables of messages in `docs/protocol.md` from the declarations; a test checks that they are current.

use crate::encoding::{Documented as _, Field, Message, Shape, Table};
use crate::wire::client::{Event, Request};
use crate::wire::disk::{Order, Outcome};
use crate::wire::engine::{Command, Report};
use crate::wire::files::{Answer, Ask};

extern crate std;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{format, fs, vec};

pub(super) fn tables() -> [Table; 8] {
    [
        Request::TABLE,
        Event::TABLE,
        Command::TABLE,
        Report::TABLE,
        Ask::TABLE,
        Answer::TABLE,
        Order::TABLE,
        Outcome::TABLE,
    ]
}

fn number(number: u16) -> String {
    match number {
        0..0x100 => number.to_string(),
        _ => format!("{number:#05X}").replace("0X", "0x"),
    }
}

/// The field's name, or the structure it is, which has its own row.
fn part(field: &Field) -> String {
    match field.shape {
        Shape::Structure { name, .. } => format!("`{name}`"),
        _ => format!("`{}`", field.name),
    }
}

/// Size, followed by the parts if there is more than one.
fn payload(message: &Message) -> String {
    let fields = message.fields.iter();
    let fields: Vec<_> = fields
        .map(|field| format!("{} {}", part(field), field.bytes))
        .collect();
    let fields = match (&fields[..], message.fields) {
        ([], _) => "0".to_string(),
        (_, [only]) => format!("{}: {}", only.bytes, part(only)),
        _ => format!("{}: {}", message.bytes, fields.join(", ")),
    };
    match message.tail {
        [(tail, max)] => format!("{fields}; then `{tail}` ≤ {max}"),
        _ => fields,
    }
}

fn messages(table: &Table) -> String {
    let name = table.name.to_lowercase();
    let mut columns = vec!["no.", &name, "payload, bytes"];
    columns.extend(table.columns);
    let mut text = row(&columns) + &row(&vec!["---"; columns.len()]).replace(' ', "");
    for message in table.messages {
        let number = number(message.number);
        let (name, payload) = (format!("`{}`", message.name), payload(message));
        let mut cells = vec![number.as_str(), &name, &payload];
        cells.extend(message.cells);
        assert_eq!(cells.len(), columns.len(), "cells of {name}");
        text += &row(&cells);
    }
    text
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn of_type(field: &Field) -> String {
    match field.shape {
        Shape::Number => match field.ty {
            "bool" => "flag".to_string(),
            ty => ty.to_string(),
        },
        Shape::Name => format!("name of {}", field.bytes),
        Shape::Bytes => format!("{} bytes", field.bytes),
        Shape::MaybeNumber => "optional u64".to_string(),
        Shape::MaybeCode => "`ErrorCode` or 0".to_string(),
        Shape::Array { len, each } => format!(
            "{len} × {}",
            of_type(&Field {
                shape: *each,
                ..*field
            })
        ),
        Shape::Structure { name, .. } | Shape::Numbers { name, .. } => format!("`{name}`"),
    }
}

/// Structures and enums by name, with their rows.
#[derive(Default)]
struct Parts {
    structures: BTreeMap<&'static str, String>,
    numbers: BTreeMap<&'static str, String>,
}

impl Parts {
    fn add(&mut self, shape: &Shape, bytes: usize) {
        match shape {
            Shape::Structure { name, fields } => {
                for field in *fields {
                    self.add(&field.shape, field.bytes);
                }
                let fields = fields.iter();
                let fields: Vec<_> = fields
                    .map(|field| format!("`{}` {}", field.name, of_type(field)))
                    .collect();
                let cells = [&format!("`{name}`"), &bytes.to_string(), &fields.join(", ")];
                self.structures
                    .insert(name, row(&cells.map(String::as_str)));
            }
            Shape::Numbers { name, numbers } => {
                let numbers = numbers.iter();
                let numbers: Vec<_> = numbers
                    .map(|(name, number)| format!("{number} `{name}`"))
                    .collect();
                let cells = [&format!("`{name}`"), &numbers.join(", ")];
                self.numbers.insert(name, row(&cells.map(String::as_str)));
            }
            Shape::Array { len, each, .. } => self.add(each, bytes / len),
            _ => {}
        }
    }
}

/// All generated parts, by the name in their markers.
fn generated() -> Vec<(&'static str, String)> {
    let tables = tables();
    let mut parts = Parts::default();
    for field in tables
        .iter()
        .flat_map(|table| table.messages)
        .flat_map(|message| message.fields)
    {
        parts.add(&field.shape, field.bytes);
    }
    let mut structures = row(&["structure", "bytes", "fields"]) + "|---|---|---|\n";
    structures.extend(parts.structures.into_values());
    let mut numbers = row(&["enum", "numbers"]) + "|---|---|\n";
    numbers.extend(parts.numbers.into_values());
    let mut generated: Vec<_> = tables
        .iter()
        .map(|table| (table.name, messages(table)))
        .collect();
    generated.push(("structures", structures));
    generated.push(("enums", numbers));
    generated
}

/// `page` with the text between the markers of `name` replaced.
fn with(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (
        format!("<!-- generated: {name} -->\n"),
        format!("<!-- end: {name} -->\n"),
    );
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) =
        parts.unwrap_or_else(|| panic!("docs/protocol.md has no markers for {name}: {begin}{end}"));
    format!("{before}{begin}\n{text}\n{end}{after}")
}

#[test]
fn the_tables_in_the_documentation_are_those_of_the_declarations() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let page = fs::read_to_string(path).unwrap();
    let parts = generated();
    let anew = parts
        .iter()
        .fold(page.clone(), |page, (name, text)| with(&page, name, text));
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(path, &anew).unwrap();
        return;
    }
    let mut differences = String::new();
    for (number, (old, new)) in page.lines().zip(anew.lines()).enumerate() {
        if old != new {
            let number = number + 1;
            let _ = write!(
                differences,
                "\nline {number} is\n  {old}\nand should be\n  {new}"
            );
            break;
        }
    }
    assert!(
        page == anew,
        "docs/protocol.md is not what the declarations of protocol/src/wire say. `make protocol-docs` brings it up to date.{differences}"
    );
}
