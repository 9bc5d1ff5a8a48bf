//! Walks from the roots to the panics.

use crate::image::{Function, Image, Place};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// Functions that do not return, by the beginnings of their names. A call of one is a panic. A function that is missing
/// here is still found, because it calls another one that is listed.
const PANICS: &[&str] = &[
    "core::cell::panic_already",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::panicking::",
    "core::result::unwrap_failed",
    "core::slice::copy_from_slice_impl::len_mismatch_fail",
    "core::slice::index::slice_",
    "core::str::slice_error_fail",
    "__rustc::rust_begin_unwind",
    "rust_begin_unwind",
    "abort",
    "sel4_panicking_env::abort",
    "sel4_panicking_env::__abort",
];

/// A call of the panic machinery, or an instruction that raises an exception.
#[derive(Clone, Debug)]
pub struct Panic {
    /// The function called, without its module; "trap" for an instruction.
    pub kind: String,
    /// Address of the instruction.
    pub at: u64,
    /// The function that contains it.
    pub function: String,
    /// The functions that were inlined there, innermost first.
    pub inlined: Vec<String>,
    /// Where it happens: several places if the compiler merged panics, none if unknown.
    pub places: BTreeSet<Place>,
    /// How it is reached: from a root to the function.
    pub chain: Vec<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} ({:#x})", self.kind, self.function, self.at)?;
        for name in &self.inlined {
            write!(f, "\n    inlined: {name}")?;
        }
        for place in &self.places {
            write!(f, "\n    at {}:{}:{}", place.file, place.line, place.column)?;
        }
        write!(f, "\n    by {}", self.chain.join("\n    -> "))
    }
}

/// What a walk has found.
#[derive(Debug)]
pub struct Walk {
    /// Functions reached.
    pub functions: Vec<String>,
    /// Those that call through a register.
    pub indirect: Vec<String>,
    /// Panics.
    pub panics: Vec<Panic>,
}

/// No function's name contains this root.
#[derive(Debug, thiserror::Error)]
#[error("there is no function {0:?}: name the handlers in `roots`")]
pub struct NoRoot(pub String);

/// Walks from the functions whose names contain one of `roots`.
///
/// # Errors
/// There is no function for one of them.
pub fn walk(image: &Image<'_>, roots: &[String]) -> Result<Walk, NoRoot> {
    // How each function was reached first.
    let mut from: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    let mut todo = VecDeque::new();
    for root in roots {
        let named = |function: &Function| function.name.contains(root.as_str());
        let mut found = image.functions.iter().filter(|(_, f)| named(f)).peekable();
        found.peek().ok_or_else(|| NoRoot(root.clone()))?;
        for (at, _) in found {
            if from.insert(*at, None).is_none() {
                todo.push_back(*at);
            }
        }
    }
    let mut taken: BTreeSet<u64> = image.in_data.clone();
    taken.extend(image.functions.values().flat_map(|f| &f.takes));
    let mut walk = Walk {
        functions: Vec::new(),
        indirect: Vec::new(),
        panics: Vec::new(),
    };
    while let Some(at) = todo.pop_front() {
        let Some(function) = image.functions.get(&at) else {
            continue;
        };
        walk.functions.push(function.name.clone());
        let mut next = Vec::new();
        for call in &function.calls {
            match image.functions.get(&call.to) {
                Some(callee) if is_panic(&callee.name) => {
                    let panic = panic(image, &from, at, &callee.name, call.at, &call.places);
                    walk.panics.push(panic);
                }
                _ => next.push(call.to),
            }
        }
        for trap in &function.traps {
            let panic = panic(image, &from, at, "trap", *trap, &BTreeSet::new());
            walk.panics.push(panic);
        }
        if !function.indirect.is_empty() {
            walk.indirect.push(function.name.clone());
            next.extend(&taken);
        }
        for to in next {
            from.entry(to).or_insert_with(|| {
                todo.push_back(to);
                Some(at)
            });
        }
    }
    Ok(walk)
}

fn is_panic(name: &str) -> bool {
    PANICS.iter().any(|panic| name.starts_with(panic))
}

fn panic(
    image: &Image<'_>,
    from: &BTreeMap<u64, Option<u64>>,
    function: u64,
    callee: &str,
    at: u64,
    places: &BTreeSet<Place>,
) -> Panic {
    let name = |at: u64| {
        image
            .functions
            .get(&at)
            .map_or(String::new(), |f| f.name.clone())
    };
    let mut chain = Vec::new();
    let mut step = Some(function);
    while let Some(at) = step {
        chain.push(name(at));
        step = from.get(&at).copied().flatten();
    }
    chain.reverse();
    let frames = image.frames(at);
    let mut places = places.clone();
    if places.is_empty() {
        places.extend(frames.first().and_then(|(_, place)| place.clone()));
    }
    // The last frame is the function itself.
    let inlined = frames
        .iter()
        .rev()
        .skip(1)
        .rev()
        .map(|(name, _)| name.clone());
    Panic {
        kind: callee
            .rsplit("::")
            .find(|part| !part.starts_with('<'))
            .unwrap_or(callee)
            .to_owned(),
        at,
        function: name(function),
        inlined: inlined.collect(),
        places,
        chain,
    }
}
