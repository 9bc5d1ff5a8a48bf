//! Completion: finds what can stand at the cursor.

use crate::console::{Console, Port, Wrapped};
use crate::quotes::{End, end, typed_words};
use crate::screen::USUAL_COLUMNS;
use crate::state::{Buffers, List, Purpose, ShellState};
use crate::table::{
    ADAPTER_DEEDS, CHAT_COMMANDS, COLOURS, COMMANDS, CONTROLS, Kind, LOG_DEEDS, LogDeed,
    OptionSpec, Source, command, is_option,
};
use core::fmt::Write as _;
use protocol::name::UserName;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Request;

/// Words that can stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) words: &'static [&'static str],
    pub(crate) names: Source,
    pub(crate) options: &'static [OptionSpec],
}

impl Offer {
    const NOTHING: Self = Self {
        words: &[],
        names: Source::Nowhere,
        options: &[],
    };

    const fn words(words: &'static [&'static str]) -> Self {
        Self {
            words,
            ..Self::NOTHING
        }
    }

    const fn names(names: Source) -> Self {
        Self {
            names,
            ..Self::NOTHING
        }
    }

    const fn options(options: &'static [OptionSpec]) -> Self {
        Self {
            options,
            ..Self::NOTHING
        }
    }
}

/// What can stand in place of the last word of `before`, and where that word begins.
pub(crate) fn offer(before: &[u8]) -> (Offer, usize) {
    // Quotes contain text, which is not completed.
    let End::Word(start) = end(before) else {
        return (Offer::NOTHING, before.len());
    };
    let (earlier, word) = before.split_at_checked(start).unwrap_or((&[], before));
    (offer_after(typed_words(earlier), word), start)
}

fn offer_after<'w>(earlier: impl Iterator<Item = &'w [u8]> + Clone, word: &[u8]) -> Offer {
    let Some((spec, begins)) = command(earlier.clone()) else {
        return match earlier.clone().next() {
            None => Offer::words(COMMANDS),
            Some(_) => Offer::NOTHING,
        };
    };
    let mut given = earlier.skip(begins);
    let is_first = given.clone().next().is_none();
    // Commands that take another word come first.
    match spec.name {
        "llmctl" if is_first => return Offer::words(CONTROLS),
        "color" if is_first => return Offer::words(COLOURS),
        "llmctl adapter" if is_first => return Offer::words(ADAPTER_DEEDS),
        "help" if given.clone().eq([b"llmctl"]) => return Offer::words(CONTROLS),
        "llmctl audit" if is_first => {
            return Offer {
                words: LOG_DEEDS,
                ..Offer::options(spec.options)
            };
        }
        "llmctl audit" if given.clone().next().and_then(LogDeed::find).is_some() => {
            return Offer::NOTHING;
        }
        _ => {}
    }
    let mut operands = spec.operands.iter();
    while let Some(earlier) = given.next() {
        if !is_option(earlier) {
            operands.next();
            continue;
        }
        let option = spec.options.iter().find(|option| option.is_called(earlier));
        match option.map(|option| option.kind) {
            None | Some(Kind::Flag) => {}
            Some(kind) if given.next().is_none() => return offer_of(kind),
            Some(_) => {}
        }
    }
    match operands.next() {
        _ if word.first() == Some(&b'-') => Offer::options(spec.options),
        None => Offer::options(spec.options),
        Some(operand) if operand.is_needed => Offer::names(operand.source),
        Some(operand) => match operand.source {
            // The user's own words are not completed.
            Source::Nowhere => Offer::NOTHING,
            names => Offer {
                names,
                ..Offer::options(spec.options)
            },
        },
    }
}

/// What can be the value of an option.
const fn offer_of(kind: Kind) -> Offer {
    match kind {
        Kind::Name(source) => Offer::names(source),
        Kind::OneOf(words) => Offer::words(words),
        Kind::Flag
        | Kind::Whole { .. }
        | Kind::Fraction { .. }
        | Kind::Rate { .. }
        | Kind::Period
        | Kind::Text => Offer::NOTHING,
    }
}

/// Longest word that is completed. Names are shorter.
const LONGEST: usize = 64;

/// The offered words that begin with the typed text.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    typed: &'a [u8],
    /// Number of candidates.
    pub(crate) count: usize,
    common: heapless::Vec<u8, LONGEST>,
}

impl<'a> Candidates<'a> {
    pub(crate) const fn new(typed: &'a [u8]) -> Self {
        Self {
            typed,
            count: 0,
            common: heapless::Vec::new(),
        }
    }

    pub(crate) fn fits(&self, word: &str) -> bool {
        word.as_bytes().starts_with(self.typed)
    }

    pub(crate) fn offer(&mut self, word: &str) {
        if !self.fits(word) {
            return;
        }
        if self.count == 0 {
            let word = word.as_bytes();
            let word = word.get(..LONGEST).unwrap_or(word);
            let _ = self.common.extend_from_slice(word);
        }
        let pairs = self.common.iter().zip(word.bytes());
        let same = pairs.take_while(|(a, b)| **a == *b).count();
        self.common.truncate(same);
        self.count = self.count.saturating_add(1);
    }

    /// The text after the typed word that all candidates share.
    pub(crate) fn extension(&self) -> &[u8] {
        self.common.get(self.typed.len()..).unwrap_or(&[])
    }
}

impl<R: ReadWords, W: WriteWords> ShellState<'_, R, W> {
    /// Handles Tab: completes the word before the cursor as far as possible, and otherwise lists the candidates.
    pub(crate) fn complete(&mut self, port: &mut impl Port) {
        let before = self.buffers.editor.before_cursor();
        let (offer, start) = match self.chat {
            None => offer(before),
            // Speech is not completed.
            Some(_) if before.first() != Some(&b'/') || before.contains(&b' ') => return,
            Some(_) => (Offer::words(CHAT_COMMANDS), 0),
        };
        let word = before.get(start..).unwrap_or(&[]);
        let Ok(typed) = heapless::Vec::<u8, LONGEST>::from_slice(word) else {
            return;
        };
        let names = &self.buffers.names;
        match offer.names {
            Source::Models if !names.models_are_known => {
                return self.ask(&Request::Models, Purpose::Complete(List::Models), port);
            }
            Source::Adapters if !names.adapters_are_known => {
                return self.ask(&Request::Adapters, Purpose::Complete(List::Adapters), port);
            }
            Source::Formats if !names.formats_are_known => {
                return self.ask(&Request::Formats, Purpose::Complete(List::Formats), port);
            }
            Source::Users if !names.users_are_known => {
                return self.ask(&Request::Users, Purpose::Complete(List::Users), port);
            }
            _ => {}
        }
        let mut candidates = Candidates::new(&typed);
        let user = self.user.name;
        each(offer, self.buffers, user, &mut |word| {
            candidates.offer(word)
        });
        let extension = candidates.extension();
        if candidates.count > 1 && extension.is_empty() {
            let mode = self.mode;
            let columns = self.screen.known_columns().unwrap_or(USUAL_COLUMNS);
            let mut rows = Wrapped::new(Console { port, mode }, columns);
            let _ = rows.write_char('\n');
            each(offer, self.buffers, user, &mut |word| {
                if candidates.fits(word) {
                    let _ = write!(rows, "{word}  ");
                }
            });
            let _ = rows.write_char('\n');
            return self.prompt(port);
        }
        self.buffers.editor.insert(extension);
        if candidates.count == 1 {
            self.buffers.editor.insert(b" ");
        }
        self.draw(port);
    }
}

/// Passes every word of `offer` to `take`.
fn each(offer: Offer, buffers: &Buffers, user: UserName, take: &mut dyn FnMut(&str)) {
    let names = &buffers.names;
    offer.words.iter().for_each(|word| take(word));
    match offer.names {
        Source::Nowhere => {}
        Source::Topics => COMMANDS.iter().chain(CONTROLS).for_each(|word| take(word)),
        Source::Models => names.models.iter().for_each(|name| take(name.as_str())),
        Source::Adapters => names.adapters.iter().for_each(|name| take(name.as_str())),
        Source::Formats => names.formats.iter().for_each(|name| take(name.as_str())),
        Source::Users => names.users.iter().for_each(|user| take(user.name.as_str())),
        Source::Sessions => names.sessions(user).for_each(|name| take(name.as_str())),
        Source::Jobs => {
            for job in buffers.jobs.of(user) {
                let mut number = heapless::String::<10>::new();
                // It fits: a u32 has at most ten digits.
                let _ = write!(number, "{}", job.id);
                take(&number);
            }
        }
    }
    offer.options.iter().for_each(|option| take(option.name));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{AUDIT, BUDGET, CHAT, FINE_TUNE, INFER, LOAD, STATS, TARGETS};

    #[test]
    fn the_word_before_decides_what_can_follow() {
        let (words, names, options) = (Offer::words, Offer::names, Offer::options);
        let none = Offer::NOTHING;
        for (line, expected) in [
            ("", words(COMMANDS)),
            ("llmi", words(COMMANDS)),
            ("  llmi", words(COMMANDS)),
            ("llmctl ", words(CONTROLS)),
            ("llmctl load de", names(Source::Models)),
            ("llmctl load default --ad", options(LOAD)),
            ("llmctl load default --adapter m", names(Source::Adapters)),
            ("llmctl load --adapter moral de", names(Source::Models)),
            ("llmctl close t", names(Source::Sessions)),
            ("llmctl wait ", names(Source::Jobs)),
            (
                "llmctl budget ",
                Offer {
                    names: Source::Users,
                    ..options(BUDGET)
                },
            ),
            ("llmctl budget guest --t", options(BUDGET)),
            ("llmctl budget --tokens 1", none),
            (
                "llmctl audit ",
                Offer {
                    words: LOG_DEEDS,
                    ..options(AUDIT)
                },
            ),
            ("llmctl audit verify ", none),
            ("llmctl audit attest ", none),
            ("llmctl audit --last 3 --", options(AUDIT)),
            ("llmctl audit --user ", names(Source::Users)),
            ("llminfer x --se", options(INFER)),
            ("llminfer \"Once --se", none),
            ("llminfer \"a \\\" b\" --se", options(INFER)),
            ("llminfer \"it's\" --session t", names(Source::Sessions)),
            ("llminfer Onc", none),
            ("llmctl budget # --t", none),
            ("llmctl load 'a b' --ad", options(LOAD)),
            ("llminfer x --adapter m", names(Source::Adapters)),
            ("llminfer x --lora m", names(Source::Adapters)),
            ("llminfer x --format t", names(Source::Formats)),
            ("llminfer x --sy", options(INFER)),
            ("llmchat --se", options(CHAT)),
            ("llmchat --session t", names(Source::Sessions)),
            ("llmchat --format ", names(Source::Formats)),
            ("llmchat --system ", none),
            ("llmctl adapter ", words(ADAPTER_DEEDS)),
            ("llmctl adapter drop m", names(Source::Adapters)),
            ("llmctl adapter drop moral ", none),
            ("llmfinetune examples --ra", options(FINE_TUNE)),
            ("llmfinetune examples --targets ", words(TARGETS)),
            ("llmfinetune exa", none),
            ("login ad", names(Source::Users)),
            (
                "help mod",
                Offer {
                    names: Source::Topics,
                    ..none
                },
            ),
            ("help llmctl a", words(CONTROLS)),
            ("llmstats --", options(STATS)),
            ("color o", words(COLOURS)),
            ("frob x", none),
        ] {
            assert_eq!(offer(line.as_bytes()).0, expected, "{line}");
        }
        assert_eq!(offer(b"llmctl load de").1, 12);
    }

    #[test]
    fn candidates_are_completed_as_far_as_they_agree() {
        let complete = |typed: &str| {
            let mut candidates = Candidates::new(typed.as_bytes());
            INFER
                .iter()
                .for_each(|option| candidates.offer(option.name));
            let extension = candidates.extension().to_vec();
            (
                candidates.count,
                std::string::String::from_utf8(extension).unwrap(),
            )
        };
        assert_eq!(complete("--te"), (1, "mperature".into()));
        assert_eq!(complete("--rep"), (2, "eat-".into()));
        assert_eq!(complete("--t"), (3, "".into()));
        assert_eq!(complete("--s"), (4, "".into()));
        assert_eq!(complete("--f"), (1, "ormat".into()));
        assert_eq!(complete("--x"), (0, "".into()));
        assert_eq!(complete("--seed"), (1, "".into()));
    }
}
