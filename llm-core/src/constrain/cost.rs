//! How many tokens it takes to complete an answer.
//!
//! Exactly the least number of tokens from a state to a word would take a search through all tokens from all states. This
//! is a bound that is cheap: each state has one shortest way to a word ([`Automaton::exit`]), and the number is that of the
//! fewest tokens which that way can be cut into. Where each byte is a token it is at most the number of bytes. A state on
//! whose way is a byte that no token has counts as out of reach, even if a longer way would do.

use super::firsts::Firsts;
use crate::tokenizer::{Spelled, VocabularyView};
use formats::{
    Automaton, ChoiceState, Choices, Dfa, Formats, MAX_CHOICES_BYTES, MAX_FORMATS, State,
};

/// The way to a word cannot be spelled.
pub(super) const UNSPELLED: u16 = u16::MAX;

/// As [`UNSPELLED`], of a choice: longer ones are out of reach.
const UNSPELLED_CHOICE: u8 = u8::MAX;

/// Places in a list of choices.
pub(super) const CHOICE_COSTS: usize = MAX_CHOICES_BYTES + 1;

/// The formats that requests can name, with what each of their states takes in tokens of the model that is loaded, and what
/// choosing a token needs to know of its vocabulary.
#[derive(Debug)]
pub struct FormatTable<'m> {
    /// By number: each format's automaton, and where the numbers of its states begin in `costs`.
    automata: [Option<(Dfa<'m>, usize)>; MAX_FORMATS],
    costs: &'m mut [u16],
    firsts: Firsts,
}

impl<'m> FormatTable<'m> {
    /// No formats.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            automata: [None; MAX_FORMATS],
            costs: &mut [],
            firsts: Firsts::EMPTY,
        }
    }

    /// These formats. `None` if there is no number in `costs` for each state; [`formats::MAX_ALL_STATES`] are enough for
    /// any.
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

    /// Finds out what each state takes with this vocabulary. It costs some lookups in it for each state, and one look at
    /// each token.
    pub(crate) fn measure(&mut self, view: &VocabularyView<'_>) {
        self.firsts.fill(view);
        for (dfa, first_state) in self.automata.iter().flatten() {
            let range = *first_state..first_state + dfa.states();
            measure(dfa, view, &mut self.costs[range]);
        }
    }

    /// The tokens of the vocabulary by their first byte.
    pub(super) const fn firsts(&self) -> &Firsts {
        &self.firsts
    }

    /// A format, and what its states take.
    pub(super) fn get(&self, format: usize) -> Option<(Dfa<'m>, &[u16])> {
        let (dfa, first_state) = (*self.automata.get(format)?)?;
        let costs = self.costs.get(first_state..)?;
        Some((dfa, costs.get(..dfa.states())?))
    }
}

/// What a state takes.
#[inline]
pub(super) fn of_state(costs: &[u16], state: State) -> u16 {
    costs.get(state.index()).copied().unwrap_or(UNSPELLED)
}

/// Fills in what each state takes, those that are nearest to a word first: ways lead from farther states to nearer ones.
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

/// The fewest tokens of a state's way, if those of nearer states are known.
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

/// What the rest of each choice takes from each place of the list on.
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

/// What the nearest of the choices takes that the answer has begun with.
pub(super) fn of_choice(choices: &Choices, costs: &[u8; CHOICE_COSTS], state: ChoiceState) -> u16 {
    let of_rest = |(place, _): (usize, &[u8])| costs.get(place).copied();
    let fewest = choices.rests(state).filter_map(of_rest).min();
    match fewest.unwrap_or(UNSPELLED_CHOICE) {
        UNSPELLED_CHOICE => UNSPELLED,
        fewest => u16::from(fewest),
    }
}
