//! The arguments for why the remaining panics cannot happen: `panics.toml` beside the code concerned.

use crate::graph::{Panic, Walk};
use crate::image::Place;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The version of rustc that they were written for: another leaves other panics, and its `core` has other lines.
    #[serde(default)]
    pub compiler: Option<String>,
    /// Parts of the names of the root functions.
    pub roots: Vec<String>,
    /// Parts of the names of functions that the roots must reach: a walk without them has missed the program. A `*`
    /// stands for any text, such as the parameters of a generic type.
    #[serde(default)]
    pub reaches: Vec<String>,
    /// The arguments.
    #[serde(default)]
    pub unreachable: Vec<Argument>,
}

/// An argument for some panics. It applies to a panic that matches everything given here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Argument {
    /// End of the source file's path, or of that and `:line`.
    pub file: String,
    /// Part of the name of the function with the panic, or of one inlined there.
    pub function: String,
    /// What is called, such as `panic_const_add_overflow`.
    pub panic: String,
    /// Maximum number of places it covers; a further one requires another look at the argument.
    pub sites: usize,
    /// Why no input reaches it.
    pub because: String,
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("file", &self.file),
            ("function", &self.function),
            ("panic", &self.panic),
        ];
        let given = parts.iter().filter(|(_, text)| !text.is_empty());
        let text: Vec<_> = given
            .map(|(key, text)| format!("{key} = {text:?}"))
            .collect();
        f.write_str(&text.join(", "))
    }
}

/// The file is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    /// It is not TOML, or has unknown keys.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// There is no root.
    #[error("`roots` is empty: nothing would be checked")]
    NoRoots,
    /// An entry matches everything, or gives no reason.
    #[error("entry {index} ({what}): `{missing}` is missing")]
    Missing {
        /// Its number, from 1.
        index: usize,
        /// The entry.
        what: String,
        /// The key.
        missing: &'static str,
    },
}

impl Arguments {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`ArgumentError`].
    pub fn parse(text: &str) -> Result<Self, ArgumentError> {
        let arguments: Self = toml::from_str(text)?;
        if arguments.roots.is_empty() || arguments.roots.iter().any(String::is_empty) {
            return Err(ArgumentError::NoRoots);
        }
        for (index, argument) in arguments.unreachable.iter().enumerate() {
            let missing = [
                (
                    "file` or `function",
                    argument.file.is_empty() && argument.function.is_empty(),
                ),
                ("sites", argument.sites == 0),
                ("because", argument.because.trim().is_empty()),
            ];
            if let Some((missing, _)) = missing.into_iter().find(|(_, is_missing)| *is_missing) {
                let what = argument.to_string();
                let index = index + 1;
                return Err(ArgumentError::Missing {
                    index,
                    what,
                    missing,
                });
            }
        }
        Ok(arguments)
    }
}

impl Argument {
    /// Whether it covers this panic at this place.
    fn explains(&self, panic: &Panic, place: Option<&Place>) -> bool {
        let file_fits = self.file.is_empty()
            || place.is_some_and(|Place { file, line, .. }| {
                file.ends_with(&self.file) || format!("{file}:{line}").ends_with(&self.file)
            });
        let function_fits = panic.function.contains(&self.function)
            || panic
                .inlined
                .iter()
                .any(|name| name.contains(&self.function));
        let panic_fits = self.panic.is_empty() || panic.kind == self.panic;
        file_fits && function_fits && panic_fits
    }
}

/// What the arguments leave open.
#[derive(Debug, Default)]
pub struct Verdict<'a> {
    /// Panics that no argument explains, with their places.
    pub unexplained: Vec<(&'a Panic, Option<&'a Place>)>,
    /// Arguments that explain no panic.
    pub stale: Vec<&'a Argument>,
    /// Arguments that cover more places than they say, and the number.
    pub stretched: Vec<(&'a Argument, usize)>,
    /// Functions of `reaches` that the walk has not reached.
    pub missed: Vec<&'a str>,
    /// Number of explained places.
    pub explained: usize,
}

impl Verdict<'_> {
    /// Whether nothing is left open.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.unexplained.is_empty()
            && self.stale.is_empty()
            && self.stretched.is_empty()
            && self.missed.is_empty()
    }
}

/// Whether the pieces between the `*` of `part` are in `name`, in this order.
fn has_part(name: &str, part: &str) -> bool {
    let mut rest = Some(name);
    part.split('*').all(|piece| {
        rest = rest.and_then(|rest| Some(rest.split_once(piece)?.1));
        rest.is_some()
    })
}

/// Compares the result of a walk with the arguments. The first matching argument counts.
#[must_use]
pub fn judge<'a>(walk: &'a Walk, arguments: &'a Arguments) -> Verdict<'a> {
    let mut verdict = Verdict::default();
    let is_reached = |part: &str| walk.functions.iter().any(|name| has_part(name, part));
    let wanted = arguments.reaches.iter().map(String::as_str);
    verdict.missed = wanted.filter(|part| !is_reached(part)).collect();
    let mut explained: Vec<BTreeSet<(&str, Option<&Place>, u64)>> =
        vec![BTreeSet::new(); arguments.unreachable.len()];
    for panic in &walk.panics {
        let places: Vec<_> = match panic.places.is_empty() {
            true => vec![None],
            false => panic.places.iter().map(Some).collect(),
        };
        for place in places {
            let fits = |argument: &Argument| argument.explains(panic, place);
            match arguments.unreachable.iter().position(fits) {
                // The same place in two functions, or twice in one, counts once.
                Some(index) => {
                    let at = place.map_or(panic.at, |_| 0);
                    explained[index].insert((&panic.kind, place, at));
                }
                None => verdict.unexplained.push((panic, place)),
            }
        }
    }
    for (argument, places) in arguments.unreachable.iter().zip(explained) {
        verdict.explained += places.len();
        if places.is_empty() {
            verdict.stale.push(argument);
        } else if places.len() > argument.sites {
            verdict.stretched.push((argument, places.len()));
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::has_part;

    #[test]
    fn a_star_stands_for_any_text_and_the_pieces_keep_their_order() {
        let name = "<audit::Monitor<Read, audit::files::NoFiles>>::wake_up";
        for part in ["Monitor", "Monitor<*>>::wake_up", "*wake_up", "audit*audit"] {
            assert!(has_part(name, part), "{part}");
        }
        for part in [
            "Monitor<*>>::restart",
            "wake_up*Monitor",
            "audit*audit*audit",
        ] {
            assert!(!has_part(name, part), "{part}");
        }
    }
}
