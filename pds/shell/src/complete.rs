//! What can stand where the cursor is.

use crate::command::{
    ADAPTER_DEEDS, AUDIT_OPTIONS, BUDGET_OPTIONS, CHAT_COMMANDS, CHAT_OPTIONS, COLOURS, COMMANDS,
    CONTROLS, FINETUNE_OPTIONS, INFER_OPTIONS, LOAD_OPTIONS, STATS_OPTIONS, TARGETS,
};
use crate::console::{Console, Port, Wrapped};
use crate::screen::USUAL_COLUMNS;
use crate::shell::{Buffers, List, Purpose, Session};
use core::fmt::Write as _;
use protocol::name::UserName;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Request;

/// Where the words come from that can stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Nowhere,
    Words(&'static [&'static str]),
    /// Commands and controls.
    Topics,
    Models,
    Adapters,
    Formats,
    Users,
    /// Users, or options of `llmctl budget`.
    UsersOrOptions,
    Sessions,
    Jobs,
}

/// The source for the word that `before` ends with, and where that begins.
pub(crate) fn source(before: &[u8]) -> (Source, usize) {
    // In a quote there is a prompt.
    if before.iter().any(|byte| matches!(byte, b'"' | b'\'')) && in_quote(before) {
        return (Source::Nowhere, before.len());
    }
    let start = before
        .iter()
        .rposition(|byte| *byte == b' ')
        .map_or(0, |space| space.saturating_add(1));
    let (earlier, word) = before.split_at_checked(start).unwrap_or((&[], before));
    let is_option = word.first() == Some(&b'-');
    let mut words = earlier
        .split(|byte| *byte == b' ')
        .filter(|w| !w.is_empty());
    let last = words.clone().next_back();
    let source = match (words.next(), words.next()) {
        (None, _) => Source::Words(COMMANDS),
        (Some(b"help"), None) => Source::Topics,
        (Some(b"help"), Some(b"llmctl")) => Source::Words(CONTROLS),
        (Some(b"login"), None) => Source::Users,
        (Some(b"color"), None) => Source::Words(COLOURS),
        (Some(b"llminfer" | b"llmchat"), _) if last == Some(b"--session") => Source::Sessions,
        (Some(b"llminfer" | b"llmchat"), _) if last == Some(b"--adapter") => Source::Adapters,
        (Some(b"llminfer" | b"llmchat"), _) if last == Some(b"--format") => Source::Formats,
        (Some(b"llmfinetune"), _) if last == Some(b"--targets") => Source::Words(TARGETS),
        (Some(b"llmfinetune"), _) if is_option => Source::Words(FINETUNE_OPTIONS),
        (Some(b"llminfer"), _) if is_option => Source::Words(INFER_OPTIONS),
        (Some(b"llmchat"), _) if is_option => Source::Words(CHAT_OPTIONS),
        (Some(b"llmstats"), _) => Source::Words(STATS_OPTIONS),
        (Some(b"llmctl"), None) => Source::Words(CONTROLS),
        (Some(b"llmctl"), Some(control)) => match control {
            b"load" => match last {
                Some(b"--adapter") => Source::Adapters,
                _ if is_option => Source::Words(LOAD_OPTIONS),
                _ => Source::Models,
            },
            b"adapter" => match last {
                Some(b"adapter") => Source::Words(ADAPTER_DEEDS),
                Some(b"load" | b"drop" | b"export") => Source::Adapters,
                _ => Source::Nowhere,
            },
            b"close" => Source::Sessions,
            b"wait" | b"cancel" => Source::Jobs,
            b"budget" => match last {
                Some(b"--tokens" | b"--period") => Source::Nowhere,
                _ if is_option => Source::Words(BUDGET_OPTIONS),
                _ => Source::UsersOrOptions,
            },
            b"audit" => match last {
                Some(b"--user") => Source::Users,
                Some(b"--last" | b"verify") => Source::Nowhere,
                Some(b"audit") => {
                    Source::Words(&["verify", "--last", "--user", "--json", "--follow"])
                }
                _ => Source::Words(AUDIT_OPTIONS),
            },
            _ => Source::Nowhere,
        },
        _ => Source::Nowhere,
    };
    (source, start)
}

/// Whether a quote is open at the end of a line.
pub(crate) fn in_quote(before: &[u8]) -> bool {
    let mut words = before.iter();
    let mut open = None;
    while let Some(byte) = words.next() {
        match (open, *byte) {
            (None, b'"' | b'\'') => open = Some(*byte),
            (Some(b'"'), b'\\') => {
                words.next();
            }
            (Some(quote), byte) if byte == quote => open = None,
            _ => {}
        }
    }
    open.is_some()
}

/// Longest word that is completed: names are shorter.
const LONGEST: usize = 64;

/// The words that begin as the one that was typed.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    typed: &'a [u8],
    /// How many there are.
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

    /// What all of them have after what was typed.
    pub(crate) fn extension(&self) -> &[u8] {
        self.common.get(self.typed.len()..).unwrap_or(&[])
    }
}

impl<R: ReadWords, W: WriteWords> Session<'_, R, W> {
    /// Tab: completes the word before the cursor as far as that is possible, else lists what there is.
    pub(crate) fn complete(&mut self, port: &mut impl Port) {
        let before = self.buffers.editor.before_cursor();
        let (source, start) = match self.chat {
            None => source(before),
            // What is said is nobody's to complete.
            Some(_) if before.first() != Some(&b'/') || before.contains(&b' ') => return,
            Some(_) => (Source::Words(CHAT_COMMANDS), 0),
        };
        let word = before.get(start..).unwrap_or(&[]);
        let Ok(typed) = heapless::Vec::<u8, LONGEST>::from_slice(word) else {
            return;
        };
        let names = &self.buffers.names;
        match source {
            Source::Models if !names.models_are_known => {
                return self.ask(&Request::Models, Purpose::Complete(List::Models), port);
            }
            Source::Adapters if !names.adapters_are_known => {
                return self.ask(&Request::Adapters, Purpose::Complete(List::Adapters), port);
            }
            Source::Formats if !names.formats_are_known => {
                return self.ask(&Request::Formats, Purpose::Complete(List::Formats), port);
            }
            Source::Users | Source::UsersOrOptions if !names.users_are_known => {
                return self.ask(&Request::Users, Purpose::Complete(List::Users), port);
            }
            _ => {}
        }
        let mut candidates = Candidates::new(&typed);
        let user = self.user.name;
        each(source, self.buffers, user, &mut |word| {
            candidates.offer(word)
        });
        let extension = candidates.extension();
        if candidates.count > 1 && extension.is_empty() {
            let mode = self.mode;
            let columns = self.screen.known_columns().unwrap_or(USUAL_COLUMNS);
            let mut rows = Wrapped::new(Console { port, mode }, columns);
            let _ = rows.write_char('\n');
            each(source, self.buffers, user, &mut |word| {
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

/// Gives every word of `source` to `take`.
fn each(source: Source, buffers: &Buffers, user: UserName, take: &mut dyn FnMut(&str)) {
    let names = &buffers.names;
    match source {
        Source::Nowhere => {}
        Source::Words(words) => words.iter().for_each(|word| take(word)),
        Source::Topics => COMMANDS.iter().chain(CONTROLS).for_each(|word| take(word)),
        Source::Models => names.models.iter().for_each(|name| take(name.as_str())),
        Source::Adapters => names.adapters.iter().for_each(|name| take(name.as_str())),
        Source::Formats => names.formats.iter().for_each(|name| take(name.as_str())),
        Source::Users => names.users.iter().for_each(|user| take(user.name.as_str())),
        Source::UsersOrOptions => {
            names.users.iter().for_each(|user| take(user.name.as_str()));
            BUDGET_OPTIONS.iter().for_each(|word| take(word));
        }
        Source::Sessions => names.sessions(user).for_each(|name| take(name.as_str())),
        Source::Jobs => {
            for job in buffers.jobs.of(user) {
                let mut number = heapless::String::<10>::new();
                // A u32 has ten digits at most.
                let _ = write!(number, "{}", job.id);
                take(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_before_decides_what_can_follow() {
        for (line, expected) in [
            ("", Source::Words(COMMANDS)),
            ("llmi", Source::Words(COMMANDS)),
            ("  llmi", Source::Words(COMMANDS)),
            ("llmctl ", Source::Words(CONTROLS)),
            ("llmctl load de", Source::Models),
            ("llmctl load default --ad", Source::Words(LOAD_OPTIONS)),
            ("llmctl load default --adapter m", Source::Adapters),
            ("llmctl close t", Source::Sessions),
            ("llmctl wait ", Source::Jobs),
            ("llmctl budget ", Source::UsersOrOptions),
            ("llmctl budget guest --t", Source::Words(BUDGET_OPTIONS)),
            ("llmctl budget --tokens 1", Source::Nowhere),
            ("llmctl audit --last 3 --", Source::Words(AUDIT_OPTIONS)),
            ("llmctl audit --user ", Source::Users),
            ("llminfer x --se", Source::Words(INFER_OPTIONS)),
            ("llminfer \"Once --se", Source::Nowhere),
            ("llminfer \"a \\\" b\" --se", Source::Words(INFER_OPTIONS)),
            ("llminfer \"it's\" --session t", Source::Sessions),
            ("llminfer Onc", Source::Nowhere),
            ("llminfer x --adapter m", Source::Adapters),
            ("llminfer x --format t", Source::Formats),
            ("llminfer x --sy", Source::Words(INFER_OPTIONS)),
            ("llmchat --se", Source::Words(CHAT_OPTIONS)),
            ("llmchat --session t", Source::Sessions),
            ("llmchat --format ", Source::Formats),
            ("llmchat --system ", Source::Nowhere),
            ("llmctl adapter ", Source::Words(ADAPTER_DEEDS)),
            ("llmctl adapter drop m", Source::Adapters),
            ("llmctl adapter drop moral ", Source::Nowhere),
            ("llmfinetune examples --ra", Source::Words(FINETUNE_OPTIONS)),
            ("llmfinetune examples --targets ", Source::Words(TARGETS)),
            ("llmfinetune exa", Source::Nowhere),
            ("login ad", Source::Users),
            ("color o", Source::Words(COLOURS)),
            ("help mod", Source::Topics),
            ("llmstats --", Source::Words(STATS_OPTIONS)),
            ("frob x", Source::Nowhere),
        ] {
            assert_eq!(source(line.as_bytes()).0, expected, "{line}");
        }
        assert_eq!(source(b"llmctl load de").1, 12);
    }

    #[test]
    fn candidates_are_completed_as_far_as_they_agree() {
        let complete = |typed: &str| {
            let mut candidates = Candidates::new(typed.as_bytes());
            INFER_OPTIONS.iter().for_each(|word| candidates.offer(word));
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
