//! How many tokens are needed to complete an answer.
//!
//! Finding the exact minimum from a state to a word would need a search through all tokens from all states. This is a
//! cheap upper bound: each state has one shortest path to a word ([`Automaton::exit`]), and the bound is the smallest
//! number of tokens that spell this path. If each byte is a token, it is at most the number of bytes. A state whose
//! path contains a byte that no token has counts as out of reach, even if a longer path would do.

use super::firsts::Firsts;
use crate::tokenizer::{Spelled, VocabularyView};
use formats::{
    Automaton, ChoiceState, Choices, Dfa, Formats, MAX_CHOICES_BYTES, MAX_FORMATS, State,
};

/// The path to a word cannot be spelled.
pub(super) const UNSPELLED: u16 = u16::MAX;

/// Like [`UNSPELLED`], for choices: larger costs are out of reach.
const UNSPELLED_CHOICE: u8 = u8::MAX;

/// Positions in a list of choices.
pub(super) const CHOICE_COSTS: usize = MAX_CHOICES_BYTES + 1;

/// The formats that requests can name, with the token cost of each state for the loaded model, and an index of its
/// vocabulary.
#[derive(Debug)]
pub struct FormatTable<'m> {
    /// For each format number, its automaton and the index in `costs` of its first state.
    automata: [Option<(Dfa<'m>, usize)>; MAX_FORMATS],
    costs: &'m mut [u16],
    firsts: Firsts,
}

impl<'m> FormatTable<'m> {
    /// An empty table.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            automata: [None; MAX_FORMATS],
            costs: &mut [],
            firsts: Firsts::EMPTY,
        }
    }

    /// A table of these formats. `None` if `costs` has too few entries for the states; [`formats::MAX_ALL_STATES`] are
    /// always enough.
    #[must_use]
    pub fn new(formats: Formats<'m>, costs: &'m mut [u16]) -> Option<Self> {
        if costs.len() < formats.states() {
            return None;
        }
        costs.fill(UNSPELLED);
        let mut automata = [None; MAX_FORMATS];
        for (place, named) in automata.iter_mut().zip(formats.iter()) {
            *place = Some((named.dfa, named.first_state));
        }
        Some(Self {
            automata,
            costs,
            firsts: Firsts::EMPTY,
        })
    }

    /// Computes the cost of each state with this vocabulary. It takes a few lookups per state, and one pass over all
    /// tokens.
    pub(crate) fn measure(&mut self, view: &VocabularyView<'_>) {
        self.firsts.fill(view);
        for (dfa, first_state) in self.automata.iter().flatten() {
            let range = *first_state..first_state + dfa.states();
            measure(dfa, view, &mut self.costs[range]);
        }
    }

    /// The tokens of the vocabulary by first byte.
    pub(super) const fn firsts(&self) -> &Firsts {
        &self.firsts
    }

    /// A format and the costs of its states.
    pub(super) fn get(&self, format: usize) -> Option<(Dfa<'m>, &[u16])> {
        let (dfa, first_state) = (*self.automata.get(format)?)?;
        let costs = self.costs.get(first_state..)?;
        Some((dfa, costs.get(..dfa.states())?))
    }
}

/// The cost of a state.
#[inline]
pub(super) fn of_state(costs: &[u16], state: State) -> u16 {
    costs.get(state.index()).copied().unwrap_or(UNSPELLED)
}

/// Fills in the cost of each state, nearest to a word first, because paths lead from farther states to nearer ones.
fn measure(dfa: &Dfa<'_>, view: &VocabularyView<'_>, costs: &mut [u16]) {
    costs.fill(UNSPELLED);
    let farthest = dfa
        .all()
        .map(|state| dfa.shortest(state))
        .max()
        .unwrap_or(0);
    for length in 0..=farthest {
        for state in dfa.all().filter(|state| dfa.shortest(*state) == length) {
            costs[state.index()] = match length {
                0 => 0,
                _ => way(dfa, state, view, costs),
            };
        }
    }
}

/// The fewest tokens that spell a state's path, given the costs of nearer states.
fn way(dfa: &Dfa<'_>, state: State, view: &VocabularyView<'_>, costs: &[u16]) -> u16 {
    let mut spelled = Spelled::new(*view);
    let (mut at, mut fewest) = (state, UNSPELLED);
    while !dfa.accepts(at) {
        let byte = dfa.exit(at);
        let Some(next) = dfa.next(at, byte) else {
            break;
        };
        if spelled.push(byte).is_none() {
            break;
        }
        at = next;
        let rest = of_state(costs, at);
        if rest < fewest && spelled.is_token() {
            fewest = fewest.min(rest.saturating_add(1));
        }
    }
    fewest
}

/// For each position in the list, the cost of the rest of the choice.
pub(super) fn of_choices(choices: &Choices, view: &VocabularyView<'_>) -> [u8; CHOICE_COSTS] {
    let mut costs = [UNSPELLED_CHOICE; CHOICE_COSTS];
    for (start, choice) in choices.rests(choices.start()) {
        costs[start + choice.len()] = 0;
        for from in (0..choice.len()).rev() {
            let mut spelled = Spelled::new(*view);
            let mut fewest = UNSPELLED_CHOICE;
            for (&byte, end) in choice[from..].iter().zip(from + 1..) {
                if spelled.push(byte).is_none() {
                    break;
                }
                let rest = costs[start + end];
                if rest < fewest && spelled.is_token() {
                    fewest = fewest.min(rest.saturating_add(1));
                }
            }
            costs[start + from] = fewest;
        }
    }
    costs
}

/// The cost of the nearest choice that the answer can still become.
pub(super) fn of_choice(choices: &Choices, costs: &[u8; CHOICE_COSTS], state: ChoiceState) -> u16 {
    let of_rest = |(place, _): (usize, &[u8])| costs.get(place).copied();
    let fewest = choices.rests(state).filter_map(of_rest).min();
    match fewest.unwrap_or(UNSPELLED_CHOICE) {
        UNSPELLED_CHOICE => UNSPELLED,
        fewest => u16::from(fewest),
    }
}
