//! The table of commands with their operands, options, aliases and ranges.
//!
//! Parsing, completion, help and suggestions all read it, so none of them can know an option that another does not.
//! Each list of options is also an enum ([`options`]). A command handles every variant, so the compiler says where a
//! new option is missing.

pub(crate) mod llama;
mod options;

pub(crate) use options::{
    AUDIT, AuditOption, BUDGET, BudgetOption, CHAT, FINE_TUNE, FineTuneOption, INFER, InferOption,
    LOAD, LoadOption, STATS, StatsOption,
};

/// The kind of a value, and its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No value: the option is given or not.
    Flag,
    /// A whole number.
    Whole {
        min: u64,
        max: u64,
        /// Meaning of -1: as many as are allowed.
        all: Option<u64>,
        default: Option<u64>,
    },
    /// A decimal number, in millionths.
    Fraction { min: u32, max: u32, default: u32 },
    /// A learning rate, in billionths.
    Rate { max: u32, default: u32 },
    /// A number of seconds, minutes, hours or days.
    Period,
    /// A text.
    Text,
    /// The name of something in this list.
    Name(Source),
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// Where names come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nowhere: the name is new, or only the user knows it.
    Nowhere,
    Models,
    Adapters,
    Formats,
    Users,
    Sessions,
    Jobs,
    /// Commands and controls.
    Topics,
}

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptionSpec {
    pub(crate) name: &'static str,
    /// Aliases: short names, and llama.cpp's if it means the same.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) kind: Kind,
    /// How often it may be given.
    pub(crate) times: usize,
    /// Name of its value in the help; empty for none.
    pub(crate) value: &'static str,
    /// What it does. The help appends the range and default of `kind`.
    pub(crate) help: &'static str,
}

impl OptionSpec {
    /// Its names, starting with the main one.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        core::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether `word` is one of its names.
    pub(crate) fn is_called(&self, word: &[u8]) -> bool {
        self.names().any(|name| name.as_bytes() == word)
    }
}

/// A positional argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operand {
    /// "a model's name".
    pub(crate) what: &'static str,
    /// What can stand there.
    pub(crate) source: Source,
    /// The command requires it.
    pub(crate) is_needed: bool,
}

/// Most operands of a command.
pub(crate) const MAX_OPERANDS: usize = 2;

/// The arguments of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The words that it begins with.
    pub(crate) name: &'static str,
    /// Its name for `help`.
    pub(crate) topic: &'static str,
    pub(crate) operands: &'static [Operand],
    pub(crate) options: &'static [OptionSpec],
}

/// Declares a list of words as an enum.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident as $all:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$inner])* $variant,)* }

        $(#[$meta])*
        pub(crate) const $all: &[&str] = &[$($text),*];

        impl $name {
            /// The variant for `word`.
            pub(crate) fn find(word: &[u8]) -> Option<Self> {
                let known = [$(($text, Self::$variant)),*];
                let mut known = known.into_iter().filter(|(text, _)| text.as_bytes() == word);
                known.next().map(|(_, found)| found)
            }
        }
    };
}

words! {
    /// Commands.
    Verb as COMMANDS {
        Infer = "llminfer",
        Chat = "llmchat",
        Control = "llmctl",
        Stats = "llmstats",
        FineTune = "llmfinetune",
        Login = "login",
        Logout = "logout",
        WhoAmI = "whoami",
        Help = "help",
        Colour = "color",
        Exit = "exit",
    }
}

words! {
    /// Controls of `llmctl`.
    Control as CONTROLS {
        Models = "models",
        Load = "load",
        Adapters = "adapters",
        Adapter = "adapter",
        Formats = "formats",
        Status = "status",
        Sessions = "sessions",
        Close = "close",
        Jobs = "jobs",
        Wait = "wait",
        Cancel = "cancel",
        Budget = "budget",
        Audit = "audit",
        Reset = "reset",
        Halt = "halt",
    }
}

words! {
    /// Actions of `llmctl adapter`.
    Deed as ADAPTER_DEEDS {
        Load = "load",
        Drop = "drop",
        Export = "export",
    }
}

words! {
    /// The matrices that a fine-tuning may change.
    Target as TARGETS {
        Attention = "attention",
        All = "all",
    }
}

words! {
    /// Values of `color`.
    Hue as COLOURS {
        Auto = "auto",
        On = "on",
        Off = "off",
    }
}

/// Other programs' names for `exit`.
pub(crate) const LEAVING: &[&str] = &["quit", "bye", "q", "logoff"];

/// Commands in a conversation.
pub(crate) const CHAT_COMMANDS: &[&str] = &["/exit", "/help"];

words! {
    /// Words that may come first after `llmctl audit`.
    LogDeed as LOG_DEEDS {
        Verify = "verify",
        Attest = "attest",
    }
}

const fn needed(what: &'static str, source: Source) -> Operand {
    Operand {
        what,
        source,
        is_needed: true,
    }
}

const fn possible(what: &'static str, source: Source) -> Operand {
    Operand {
        is_needed: false,
        ..needed(what, source)
    }
}

const fn alone(name: &'static str, topic: &'static str) -> Spec {
    Spec {
        name,
        topic,
        operands: &[],
        options: &[],
    }
}

impl Verb {
    /// Its arguments. `llmctl` takes a [`Control`] first.
    pub(crate) const fn spec(self) -> Spec {
        match self {
            Self::Infer => Spec {
                name: "llminfer",
                topic: "llminfer",
                // The prompt can come with --prompt instead.
                operands: const { &[possible("a prompt", Source::Nowhere)] },
                options: INFER,
            },
            Self::Chat => Spec {
                options: CHAT,
                ..alone("llmchat", "llmchat")
            },
            Self::Control => alone("llmctl", "llmctl"),
            Self::Stats => Spec {
                options: STATS,
                ..alone("llmstats", "llmstats")
            },
            Self::FineTune => Spec {
                name: "llmfinetune",
                topic: "llmfinetune",
                operands: const { &[possible("the name of data", Source::Nowhere)] },
                options: FINE_TUNE,
            },
            Self::Login => Spec {
                operands: const { &[needed("a user's name", Source::Users)] },
                ..alone("login", "login")
            },
            Self::Logout => alone("logout", "logout"),
            Self::WhoAmI => alone("whoami", "whoami"),
            Self::Help => Spec {
                operands: const { &[possible("a topic", Source::Topics)] },
                ..alone("help", "help")
            },
            Self::Colour => Spec {
                operands: const { &[needed("auto, on or off", Source::Nowhere)] },
                ..alone("color", "color")
            },
            Self::Exit => alone("exit", "exit"),
        }
    }
}

impl Control {
    /// Its arguments. `adapter` takes a [`Deed`] first.
    pub(crate) const fn spec(self) -> Spec {
        match self {
            Self::Models => alone("llmctl models", "models"),
            Self::Load => Spec {
                name: "llmctl load",
                topic: "load",
                operands: const { &[needed("a model's name", Source::Models)] },
                options: LOAD,
            },
            Self::Adapters => alone("llmctl adapters", "adapters"),
            Self::Adapter => alone("llmctl adapter", "adapter"),
            Self::Formats => alone("llmctl formats", "formats"),
            Self::Status => alone("llmctl status", "status"),
            Self::Sessions => alone("llmctl sessions", "sessions"),
            Self::Close => Spec {
                operands: const { &[needed("a session's name", Source::Sessions)] },
                ..alone("llmctl close", "close")
            },
            Self::Jobs => alone("llmctl jobs", "jobs"),
            Self::Wait => Spec {
                operands: const {
                    &[needed(
                        "a job's number ('llmctl jobs' lists them)",
                        Source::Jobs,
                    )]
                },
                ..alone("llmctl wait", "wait")
            },
            Self::Cancel => Spec {
                operands: const { &[possible("a job's number", Source::Jobs)] },
                ..alone("llmctl cancel", "cancel")
            },
            Self::Budget => Spec {
                name: "llmctl budget",
                topic: "budget",
                operands: const { &[possible("a user's name", Source::Users)] },
                options: BUDGET,
            },
            Self::Audit => Spec {
                options: AUDIT,
                ..alone("llmctl audit", "audit")
            },
            Self::Reset => alone("llmctl reset", "reset"),
            Self::Halt => alone("llmctl halt", "halt"),
        }
    }
}

impl Deed {
    pub(crate) const fn spec(self) -> Spec {
        let name = match self {
            Self::Load => "llmctl adapter load",
            Self::Drop => "llmctl adapter drop",
            Self::Export => "llmctl adapter export",
        };
        Spec {
            operands: const { &[needed("an adapter's name", Source::Adapters)] },
            ..alone(name, "adapter")
        }
    }
}

/// The command that `words` begin with, as far as it is known, and its number of words.
pub(crate) fn command<'w>(mut words: impl Iterator<Item = &'w [u8]>) -> Option<(Spec, usize)> {
    let verb = Verb::find(words.next()?)?;
    if !matches!(verb, Verb::Control) {
        return Some((verb.spec(), 1));
    }
    let Some(control) = words.next().and_then(Control::find) else {
        return Some((verb.spec(), 1));
    };
    if !matches!(control, Control::Adapter) {
        return Some((control.spec(), 2));
    }
    match words.next().and_then(Deed::find) {
        Some(deed) => Some((deed.spec(), 3)),
        None => Some((control.spec(), 2)),
    }
}

/// Whether a word is an option: a dash and a letter, or two dashes. No option has a space before its `=`, so a text
/// that begins with a dash is not mistaken for one.
pub(crate) fn is_option(word: &[u8]) -> bool {
    let name = word.split(|byte| *byte == b'=').next().unwrap_or(word);
    match name {
        [b'-', second, ..] => {
            (*second == b'-' || second.is_ascii_alphabetic())
                && !name.iter().any(u8::is_ascii_whitespace)
        }
        _ => false,
    }
}

#[cfg(test)]
pub(crate) use tests::all_specs;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    pub(crate) fn all_specs() -> Vec<Spec> {
        let verbs = COMMANDS
            .iter()
            .filter_map(|word| Verb::find(word.as_bytes()));
        let controls = CONTROLS
            .iter()
            .filter_map(|word| Control::find(word.as_bytes()));
        let deeds = ADAPTER_DEEDS
            .iter()
            .filter_map(|word| Deed::find(word.as_bytes()));
        let verbs = verbs.map(Verb::spec).chain(controls.map(Control::spec));
        verbs.chain(deeds.map(Deed::spec)).collect()
    }

    #[test]
    fn a_command_is_found_by_the_words_that_it_begins_with() {
        let specs = all_specs();
        assert_eq!(
            specs.len(),
            COMMANDS.len() + CONTROLS.len() + ADAPTER_DEEDS.len()
        );
        for spec in specs {
            let words = spec.name.split(' ').map(str::as_bytes);
            assert_eq!(command(words), Some((spec, spec.name.split(' ').count())));
        }
    }

    #[test]
    fn no_name_of_a_command_means_two_options() {
        for spec in all_specs() {
            for option in spec.options {
                for name in option.names() {
                    assert!(is_option(name.as_bytes()), "{name}");
                    let called = spec.options.iter().filter(|o| o.is_called(name.as_bytes()));
                    assert_eq!(called.count(), 1, "{} {name}", spec.name);
                }
                assert!(option.name.starts_with("--") && option.times > 0);
                assert_eq!(option.kind == Kind::Flag, option.value.is_empty());
            }
        }
    }

    #[test]
    fn a_text_that_begins_with_a_dash_is_no_option() {
        for text in [
            "- a list",
            "-",
            "-5 degrees",
            "-5",
            "--- a",
            "-s is a letter",
            "-n = 5",
        ] {
            assert!(!is_option(text.as_bytes()), "{text}");
        }
        for option in ["-n", "-sys", "--seed", "--system=Be brief.", "--", "-n5"] {
            assert!(is_option(option.as_bytes()), "{option}");
        }
    }
}
