//! Elements of XML with their attributes, and errors that name their place.

use crate::{Error, MAX_ID, Perms, Place, Problem};
use roxmltree::{Document, Node, ParsingOptions};

/// How much of a refused text is shown, in characters.
const TEXT_SHOWN: usize = 40;

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

/// The attributes of an element, tracking those that were asked for.
pub(crate) struct Attributes<'a> {
    pub(crate) node: Node<'a, 'a>,
    known: Vec<&'static str>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn of(node: Node<'a, 'a>) -> Result<Self> {
        if node.tag_name().namespace().is_some() {
            let parent = node.parent().map(tag).unwrap_or_default().to_owned();
            return Err(error(node, Problem::UnknownElement { parent }));
        }
        Ok(Self {
            node,
            known: Vec::new(),
        })
    }

    /// The value as written. This does not count as asking for the attribute.
    pub(crate) fn text(&self, attribute: &str) -> Option<&'a str> {
        self.node.attribute(attribute)
    }

    pub(crate) fn optional(&mut self, attribute: &'static str) -> Option<&'a str> {
        self.known.push(attribute);
        self.text(attribute)
    }

    pub(crate) fn required(&mut self, attribute: &'static str) -> Result<&'a str> {
        self.optional(attribute)
            .ok_or_else(|| error(self.node, Problem::MissingAttribute { attribute }))
    }

    pub(crate) fn forbid(&self, attribute: &'static str, reason: &'static str) -> Result<()> {
        match self.text(attribute) {
            None => Ok(()),
            Some(_) => Err(error(
                self.node,
                Problem::ForbiddenAttribute { attribute, reason },
            )),
        }
    }

    /// Refuses anything but `false`, which is Microkit's default.
    pub(crate) fn only_false(
        &mut self,
        attribute: &'static str,
        reason: &'static str,
    ) -> Result<()> {
        if self.boolean(attribute)?.unwrap_or(false) {
            return self.forbid(attribute, reason);
        }
        Ok(())
    }

    /// Refuses anything but a plain decimal number, on which the Microkit tool would panic.
    pub(crate) fn decimal(&self, attribute: &'static str) -> Result<()> {
        let value = self.text(attribute).unwrap_or("0");
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            let value = value.to_owned();
            return Err(error(self.node, Problem::Decimal { attribute, value }));
        }
        Ok(())
    }

    pub(crate) fn check_name(
        &self,
        attribute: &'static str,
        value: &str,
        most: usize,
    ) -> Result<String> {
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

    pub(crate) fn name(&mut self, attribute: &'static str, most: usize) -> Result<String> {
        let value = self.required(attribute)?;
        self.check_name(attribute, value, most)
    }

    pub(crate) fn optional_name(
        &mut self,
        attribute: &'static str,
        most: usize,
    ) -> Result<Option<String>> {
        self.optional(attribute)
            .map(|value| self.check_name(attribute, value, most))
            .transpose()
    }

    /// Decimal, or hexadecimal after `0x`; underscores may group digits.
    pub(crate) fn number(
        &mut self,
        attribute: &'static str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>> {
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

    pub(crate) fn required_number(
        &mut self,
        attribute: &'static str,
        least: u64,
        most: u64,
    ) -> Result<u64> {
        self.required(attribute)?;
        let number = self.number(attribute, least, most)?;
        number.ok_or_else(|| error(self.node, Problem::MissingAttribute { attribute }))
    }

    pub(crate) fn id(&mut self, attribute: &'static str) -> Result<u8> {
        // At most MAX_ID, which fits.
        self.required_number(attribute, 0, MAX_ID)
            .map(|id| id as u8)
    }

    pub(crate) fn boolean(&mut self, attribute: &'static str) -> Result<Option<bool>> {
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
    pub(crate) fn perms(&mut self) -> Result<Perms> {
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
    pub(crate) fn end(self) -> Result<()> {
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
pub(crate) fn elements<'a>(node: Node<'a, 'a>) -> Result<Vec<Node<'a, 'a>>> {
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

pub(crate) fn no_children(node: Node<'_, '_>) -> Result<()> {
    match elements(node)?.first() {
        None => Ok(()),
        Some(&child) => Err(unexpected(child, node)),
    }
}

/// The error for an element that does not belong here: unknown, or known but not used.
pub(crate) fn unexpected(node: Node<'_, '_>, parent: Node<'_, '_>) -> Error {
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

pub(crate) fn aligned(
    node: Node<'_, '_>,
    attribute: &'static str,
    value: u64,
    unit: u64,
) -> Result<()> {
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

pub(crate) fn duplicate(
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

pub(crate) fn tag<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

pub(crate) fn place(node: Node<'_, '_>) -> Place {
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
