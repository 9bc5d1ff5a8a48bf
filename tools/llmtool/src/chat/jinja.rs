//! Renders chat templates as Transformers and llama.cpp do: blocks absorb the line break after them and the white space
//! before them; `raise_exception`, `strftime_now` and Python's string methods are available; there are no tools or
//! documents.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llm_core::chat::Segment;
use llm_core::tokenizer::VocabularyView;
use minijinja::{Environment, Error, ErrorKind, Value, context};

use super::TemplateError;

/// Longest template. Those of known models have at most a few thousand bytes, those that use tools some ten thousand.
/// The parser recurses for every operator.
pub const MAX_TEMPLATE_BYTES: usize = 64 << 10;

/// Maximum number of steps of a rendering, because a template is an untrusted program.
const FUEL: u64 = 200_000;

/// Longest error message from the template itself, in characters.
const MESSAGE_CHARS: usize = 300;

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    /// Reads YYYY-MM-DD.
    ///
    /// # Errors
    /// It is not a valid day.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('-').map(str::parse::<u32>);
        let mut part = || parts.next().and_then(Result::ok);
        let date = match (part(), part(), part(), part()) {
            (Some(year @ 1..=9999), Some(month @ 1..=12), Some(day @ 1..=31), None) => {
                Some(Self { year, month, day })
            }
            _ => None,
        };
        date.ok_or_else(|| format!("{text} is no date: give YYYY-MM-DD"))
    }

    /// Like C's `strftime`, for the fields of a day.
    fn format(self, format: &str) -> Option<String> {
        const MONTHS: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let Self { year, month, day } = self;
        let name = *MONTHS.get(month as usize - 1)?;
        let mut text = String::new();
        let mut rest = format.chars();
        while let Some(character) = rest.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            match rest.next()? {
                'Y' => text.push_str(&year.to_string()),
                'y' => text.push_str(&format!("{:02}", year % 100)),
                'm' => text.push_str(&format!("{month:02}")),
                'B' => text.push_str(name),
                'b' => text.push_str(name.get(..3)?),
                'd' => text.push_str(&format!("{day:02}")),
                '%' => text.push('%'),
                _ => return None,
            }
        }
        Some(text)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day } = self;
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// An error with its line; the message may be the template's own.
fn wrong(error: &Error) -> TemplateError {
    let text = format!("{error:#}");
    let mut chars = text.chars();
    let mut line = String::new();
    for character in chars.by_ref().take(MESSAGE_CHARS) {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    if chars.next().is_some() {
        line.push('…');
    }
    TemplateError::Jinja(line)
}

/// A template that can be rendered.
#[derive(Debug)]
pub struct Jinja {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    /// Whether a rendering used the date.
    dated: Arc<AtomicBool>,
}

impl Jinja {
    /// A template for a model with this vocabulary. If `date` is given, it is always that day.
    ///
    /// # Errors
    /// The template is too long, or not valid Jinja.
    pub fn new(
        template: &str,
        vocabulary: &VocabularyView<'_>,
        date: Option<Date>,
    ) -> Result<Self, TemplateError> {
        let bytes = template.len();
        if bytes > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::Long { bytes });
        }
        let dated = Arc::new(AtomicBool::new(false));
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        let asked = Arc::clone(&dated);
        environment.add_function(
            "strftime_now",
            move |format: String| -> Result<String, Error> {
                asked.store(true, Ordering::Relaxed);
                let date = date.unwrap_or(Date {
                    year: 2024,
                    month: 7,
                    day: 26,
                });
                let wrong =
                    || Error::new(ErrorKind::InvalidOperation, format!("the date as {format}"));
                date.format(&format).ok_or_else(wrong)
            },
        );
        environment
            .add_template_owned("chat", template.to_owned())
            .map_err(|error| wrong(&error))?;
        let spelled = |id: Option<u32>| {
            let piece = id.map_or(&[][..], |id| vocabulary.piece(id));
            String::from_utf8_lossy(piece).into_owned()
        };
        Ok(Self {
            environment,
            bos: spelled(vocabulary.bos()),
            eos: spelled(vocabulary.eos()),
            dated,
        })
    }

    /// Renders a conversation; with `generation`, up to the answer.
    ///
    /// # Errors
    /// The template refuses it.
    pub fn render(
        &self,
        segments: &[Segment<'_>],
        generation: bool,
    ) -> Result<String, TemplateError> {
        let message = |segment: &Segment<'_>| {
            context! { role => segment.role.name(), content => segment.text }
        };
        let messages: Vec<Value> = segments.iter().map(message).collect();
        let values = context! {
            messages,
            add_generation_prompt => generation,
            bos_token => self.bos,
            eos_token => self.eos,
            tools => Value::from(()),
            documents => Value::from(()),
        };
        self.environment
            .get_template("chat")
            .and_then(|template| template.render(values))
            .map_err(|error| wrong(&error))
    }

    /// Whether a rendering used the date.
    #[must_use]
    pub fn is_dated(&self) -> bool {
        self.dated.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_templates_ask_for_it() {
        let date = Date::parse("2024-07-06").unwrap();
        assert_eq!(date.format("%d %b %Y").unwrap(), "06 Jul 2024");
        assert_eq!(date.format("%B %d, %y/%m%%").unwrap(), "July 06, 24/07%");
        assert_eq!(date.format("%H:%M"), None);
        assert_eq!(date.to_string(), "2024-07-06");
        for wrong in [
            "",
            "2024-13-01",
            "2024-07",
            "2024-07-06-1",
            "x-1-1",
            "2024-00-01",
        ] {
            assert!(Date::parse(wrong).is_err(), "{wrong}");
        }
    }
}
