//! Converts a regular expression to an automaton: `regex-automata` builds it, and it is read out state by state.

use std::collections::HashMap;

use formats::encode::{NONE, Table};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::CompileError;

/// Memory for building an automaton (64 MiB): some hundred thousand states, of which at most [`formats::MAX_STATES`]
/// may remain.
const BUILD_BYTES: usize = 64 << 20;

/// The automaton of the texts that match completely, all in UTF-8.
pub(crate) fn table(pattern: &str) -> Result<Table, CompileError> {
    regex_syntax::Parser::new()
        .parse(pattern)
        .map_err(|error| CompileError::Regex(plain(&error)))?;
    let config = dense::Config::new()
        // Keep all possible matches: the preference of a search does not matter here.
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(BUILD_BYTES))
        .determinize_size_limit(Some(BUILD_BYTES));
    let dfa = dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().utf8(true))
        .thompson(thompson::Config::new().nfa_size_limit(Some(BUILD_BYTES)))
        .build(pattern)
        .map_err(|error| failed(&error))?;
    read_out(&dfa)
}

/// The error in an expression, on one line.
fn plain(error: &regex_syntax::Error) -> String {
    let reason = match error {
        regex_syntax::Error::Parse(error) => {
            let place = error.span().start.offset;
            format!("{} (at byte {place})", error.kind())
        }
        regex_syntax::Error::Translate(error) => {
            let place = error.span().start.offset;
            format!("{} (at byte {place})", error.kind())
        }
        error => error.to_string(),
    };
    format!("the regular expression is wrong: {reason}")
}

fn failed(error: &dense::BuildError) -> CompileError {
    // The kinds of errors are not public, except for this one.
    let text = error.to_string();
    let mut reasons = vec![text];
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        reasons.push(error.to_string());
        source = error.source();
    }
    let is_large = reasons
        .iter()
        .any(|reason| reason.contains("limit") || reason.contains("too many"));
    match is_large {
        true => CompileError::Large,
        false => CompileError::Regex(format!(
            "the regular expression cannot be an automaton: {}",
            reasons.join(": ")
        )),
    }
}

fn read_out(dfa: &dense::DFA<Vec<u32>>) -> Result<Table, CompileError> {
    let lost = |reason: &dyn std::fmt::Display| CompileError::Regex(reason.to_string());
    let start = dfa
        .start_state_forward(&Input::new("").anchored(Anchored::Yes))
        .map_err(|error| lost(&error))?;
    let mut classes = [0; 256];
    let mut representatives: Vec<u8> = Vec::new();
    let mut known = HashMap::new();
    for byte in 0..=u8::MAX {
        let class = *known
            .entry(dfa.byte_classes().get(byte))
            .or_insert_with(|| {
                representatives.push(byte);
                representatives.len() - 1
            });
        // There are at most 256.
        classes[usize::from(byte)] = class as u8;
    }
    let mut table = Table {
        classes,
        width: representatives.len(),
        next: Vec::new(),
        accepts: Vec::new(),
    };
    let mut numbers: HashMap<StateID, u32> = HashMap::from([(start, 0)]);
    let mut states = vec![start];
    let mut at = 0;
    while let Some(&state) = states.get(at) {
        at += 1;
        if dfa.is_quit_state(state) {
            return Err(lost(&"the automaton gives up on some bytes"));
        }
        // A match is reported one byte late, including at the end of the text.
        table
            .accepts
            .push(dfa.is_match_state(dfa.next_eoi_state(state)));
        for &byte in &representatives {
            let next = dfa.next_state(state, byte);
            table.next.push(if dfa.is_dead_state(next) {
                NONE
            } else {
                *numbers.entry(next).or_insert_with(|| {
                    states.push(next);
                    // Bounded by the memory that building may take.
                    (states.len() - 1) as u32
                })
            });
        }
    }
    Ok(table)
}
