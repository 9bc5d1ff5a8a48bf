//! `help` in general, for one command, or for one control of `llmctl`. The arguments come from the
//! [table](crate::table); the descriptions are here.

use super::wrong::Range;
use crate::table::{CONTROLS, Control, Kind, OptionSpec, Verb};
use core::fmt::{self, Display, Formatter};
use protocol::decimal::{Billionths, Millionths};
use protocol::limits::{MAX_CHOICES, MAX_EXAMPLE_BYTES, MAX_PROMPT_BYTES, MAX_STOP_BYTES};

pub(crate) struct Help(pub(crate) Option<&'static str>);

impl Display for Help {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(topic) = self.0.map(str::as_bytes) else {
            return overview(f);
        };
        if let Some(control) = Control::find(topic) {
            return page(f, &of_control(control), control.spec().options);
        }
        match Verb::find(topic) {
            Some(Verb::Control) => CONTROLS.iter().enumerate().try_for_each(|(i, control)| {
                let end = if i == 0 { "" } else { "\n" };
                let control = Control::find(control.as_bytes()).map(of_control);
                write!(f, "{end}{}", control.map_or("", |page| page.summary))
            }),
            Some(verb) => page(f, &of_verb(verb), verb.spec().options),
            None => overview(f),
        }
    }
}

/// The description of a command, without its options.
struct Page {
    /// Its syntax and, for a control, what it does: `help llmctl` shows this line, too.
    summary: &'static str,
    body: &'static str,
    /// Example commands.
    examples: &'static [&'static str],
}

fn page(f: &mut Formatter<'_>, page: &Page, options: &[OptionSpec]) -> fmt::Result {
    f.write_str(page.summary)?;
    if !page.body.is_empty() {
        write!(f, "\n{}", page.body)?;
    }
    for option in options {
        write!(f, "\n{}", OptionLine(option))?;
    }
    if let Some(limits) = limits(options) {
        write!(f, "\n{limits}")?;
    }
    let plural = if page.examples.len() == 1 { "" } else { "s" };
    write!(f, "\nExample{plural}:")?;
    for example in page.examples {
        write!(f, "\n  {example}")?;
    }
    Ok(())
}

/// A line about an option: its name, description, range, default and aliases.
struct OptionLine<'a>(&'a OptionSpec);

impl Display for OptionLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let OptionSpec {
            name,
            aliases,
            kind,
            times,
            value,
            help,
        } = *self.0;
        // Width of the longest name with its value.
        let room = 20usize.saturating_sub(name.len()).saturating_sub(1);
        write!(f, "  {name} {value:<room$} {help}")?;
        match kind {
            Kind::Whole { max: u64::MAX, .. } => {}
            Kind::Whole { .. } | Kind::Fraction { .. } => write!(f, ", {}", Range(kind))?,
            _ => {}
        }
        if times > 1 {
            write!(f, "; up to {times} times")?;
        }
        match kind {
            Kind::Whole {
                default: Some(default),
                ..
            } => write!(f, " [{default}]")?,
            Kind::Fraction { default, .. } => write!(f, " [{}]", Millionths(u64::from(default)))?,
            Kind::Rate { default, .. } => write!(f, " [{}]", Billionths(default))?,
            _ => {}
        }
        for (i, alias) in aliases.iter().enumerate() {
            f.write_str(if i == 0 { " (also " } else { ", " })?;
            f.write_str(alias)?;
        }
        f.write_str(if aliases.is_empty() { "" } else { ")" })
    }
}

/// Limits of texts.
struct Limits {
    of_prompts: bool,
}

impl Display for Limits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.of_prompts {
            true => write!(
                f,
                "The texts have at most {MAX_PROMPT_BYTES} bytes together, and as many tokens as the model's context has; a \
                 TEXT of --stop at most {MAX_STOP_BYTES} bytes. There are at most {MAX_CHOICES} choices.\n\
                 Quotes are \" or '; inside \"...\", \\\", \\\\ and \\n are escapes. After --, no word is an option."
            ),
            false => write!(
                f,
                "An example has at most {MAX_EXAMPLE_BYTES} bytes as JSON."
            ),
        }
    }
}

fn limits(options: &[OptionSpec]) -> Option<Limits> {
    let has = |name| options.iter().any(|option| option.name == name);
    let of_prompts = has("--system");
    (of_prompts || has("--example")).then_some(Limits { of_prompts })
}

fn overview(f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(
        "The model that comes with this system writes stories for children and answers no questions. 'make run MODEL=FILE.gguf' \
         runs one of yours, 'llmctl status' says which is loaded, and llmchat talks to one that has a chat template.\n\
         llminfer \"PROMPT\" [OPTIONS]   generate text; Ctrl-C cancels\n\
         llmchat [OPTIONS]             a conversation, a line at a time; /exit leaves\n\
         llmctl COMMAND                ",
    )?;
    for (i, control) in CONTROLS.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{control}")?;
    }
    f.write_str(
        "\nllmfinetune DATA [OPTIONS]    learn from examples: makes an adapter\n\
         llmstats [--json] [--watch]   audit's counters\n\
         login USER, logout, whoami    change or show the user\n\
         help [TOPIC]                  this, or more about a command or one of llmctl's: help llminfer, help audit\n\
         color auto|on|off             colours of this terminal\n\
         exit                          log out (also: Ctrl-D); Ctrl-] leaves the emulator or the simulation\n\
         Keys: arrows, Home, End, Tab completes, Ctrl-A/E/K/U/W/L edit, Ctrl-C cancels (again: at once).",
    )
}

/// Help for a conversation.
pub(crate) const CHAT_HELP: &str = "Type what you say. Ctrl-C stops the answer.\n\
     /exit      leave (also: Ctrl-D); the session ends, unless it has a name\n\
     /help      this\n\
     //TEXT     say /TEXT";

const fn of_verb(verb: Verb) -> Page {
    match verb {
        Verb::Infer => Page {
            summary: "llminfer \"PROMPT\" [OPTIONS]",
            body: "Answers PROMPT if the model has a chat template ('llmctl status' says which), otherwise continues it.",
            examples: &[
                "llminfer \"Once upon a time\" --raw",
                "llminfer \"What does the fox say?\" --system \"You are brief.\" -n 48 --temp 0",
                "llminfer \"And then?\" --session tale",
                "llminfer \"Is a fox a bird?\" --choices \"yes,no,unsure\"",
                "llminfer \"Name a bird.\" --stop \".\" --stop \"\\n\"",
                "llminfer \"One day\" --background",
            ],
        },
        Verb::Chat => Page {
            summary: "llmchat [OPTIONS]",
            body: "A conversation with a model that has a chat template: the model answers each line. Ctrl-C stops the answer\n\
                   and stays. /exit or Ctrl-D leaves and ends the session, unless --session gave it a name. A line that begins\n\
                   with // is said with one /.",
            examples: &[
                "llmchat",
                "llmchat --system \"You are a pirate.\" --session pirate",
                "llmchat --choices \"yes,no\" --temperature 0",
            ],
        },
        Verb::Control => Page {
            summary: "llmctl COMMAND",
            body: "",
            examples: &["llmctl status"],
        },
        Verb::Stats => Page {
            summary: "llmstats [--json] [--watch]",
            body: "Audit's counters since the start: requests, tokens, latency, faults, memory, your budget.",
            examples: &["llmstats", "llmstats --watch"],
        },
        Verb::FineTune => Page {
            summary: "llmfinetune DATA [OPTIONS] | --example \"TEXT\" [--answer \"TEXT\"] | --drop-examples",
            body: "Trains an adapter (LoRA) for the loaded model on DATA of the store, or on 'examples', the ones typed\n\
                   here. Its tokens count against your budget. Ctrl-C ends it, and nothing of it is kept.",
            examples: &[
                "llmfinetune --example \"The fox was glad. The feeling is\" --answer \" joy\"",
                "llmfinetune examples --adapter feelings --epochs 5",
                "llmfinetune feelings --adapter moods --rank 2",
            ],
        },
        Verb::Login => Page {
            summary: "login USER",
            body: "Become another user. A passphrase, if the user has one, is asked for on the next line and not shown; Ctrl-D\n\
                   there gives up. Jobs of the previous user go on, and show again after the next login as that user.",
            examples: &["login admin"],
        },
        Verb::Logout => Page {
            summary: "logout",
            body: "Return to the user that is logged in at boot.",
            examples: &["logout"],
        },
        Verb::WhoAmI => Page {
            summary: "whoami",
            body: "Who is logged in, with the role and what it allows.",
            examples: &["whoami"],
        },
        Verb::Help => Page {
            summary: "help [TOPIC]",
            body: "TOPIC is a command, or one of llmctl's commands.",
            examples: &["help llminfer", "help audit"],
        },
        Verb::Colour => Page {
            summary: "color auto|on|off",
            body: "Turns colours on or off. With 'auto', the default, they are on if the terminal has reported its width.",
            examples: &["color off"],
        },
        Verb::Exit => Page {
            summary: "exit",
            body: "Logs you out, as Ctrl-D on an empty line does: you return to the user that is logged in at boot, and\n\
                   the system goes on. 'llmctl halt' ends it; Ctrl-] leaves the emulator or the simulation, which no user can prevent.",
            examples: &["exit"],
        },
    }
}

const fn of_control(control: Control) -> Page {
    match control {
        Control::Models => Page {
            summary: "llmctl models             list the models; * is loaded",
            body: "",
            examples: &["llmctl models"],
        },
        Control::Load => Page {
            summary: "llmctl load NAME          load a model; if that fails, the old one stays loaded",
            body: "Its signature is checked first. All sessions end, because they belong to the old model.",
            examples: &[
                "llmctl load tiny",
                "llmctl load tiny --adapter moral --adapter feelings",
            ],
        },
        Control::Adapters => Page {
            summary: "llmctl adapters           list the adapters in the store and those made here; * is loaded",
            body: "",
            examples: &["llmctl adapters"],
        },
        Control::Adapter => Page {
            summary: "llmctl adapter load|drop|export NAME    load an adapter beside the model, drop it, or print it",
            body: "\x20 load       it is checked first; llminfer --adapter NAME uses it\n\
                   \x20 drop       one that was made here is forgotten; sessions with it end\n\
                   \x20 export     print one that was made here, for 'llmtool adapter import'",
            examples: &[
                "llmctl adapter load moral",
                "llmctl adapter drop moral",
                "llmctl adapter export feelings",
            ],
        },
        Control::Formats => Page {
            summary: "llmctl formats            list the formats that answers can have; * marks those you may use",
            body: "They come from the policy ('llmtool policy'); audit passes no byte that does not match the one asked for.",
            examples: &[
                "llmctl formats",
                "llminfer \"Door 3 opened at night.\" --format triage",
            ],
        },
        Control::Status => Page {
            summary: "llmctl status             the model, its chat template, its memory by purpose, restarts",
            body: "",
            examples: &["llmctl status"],
        },
        Control::Sessions => Page {
            summary: "llmctl sessions           list your sessions",
            body: "A user who may change budgets also sees those of others.",
            examples: &["llmctl sessions"],
        },
        Control::Close => Page {
            summary: "llmctl close NAME         end an idle session, and free its memory",
            body: "",
            examples: &["llmctl close tale"],
        },
        Control::Jobs => Page {
            summary: "llmctl jobs               list your requests in the background",
            body: "Those that have ended stay until their place is needed.",
            examples: &["llminfer \"One day\" --background", "llmctl jobs"],
        },
        Control::Wait => Page {
            summary: "llmctl wait ID            show a job's text, and the rest as it comes",
            body: "Ctrl-C stops the waiting, not the job.",
            examples: &["llmctl wait 1"],
        },
        Control::Cancel => Page {
            summary: "llmctl cancel [ID]        cancel a job; without ID, the newest running one",
            body: "",
            examples: &["llmctl cancel", "llmctl cancel 1"],
        },
        Control::Budget => Page {
            summary: "llmctl budget [USER] [--tokens N] [--period P]    show a budget, or change it",
            body: "Tokens of prompts and generated tokens both count.",
            examples: &[
                "llmctl budget",
                "llmctl budget guest --tokens 50000 --period 1h",
            ],
        },
        Control::Audit => Page {
            summary: "llmctl audit [--last N] [--user U] [--json] [--follow] | audit verify | audit attest [NONCE]    read, check \
                      or sign the log",
            body: "verify only checks that each entry contains the hash of the one before. attest prints the number and the hash \
                   of the newest entry, signed by the device's key together with NONCE, for 'llmtool audit verify --device'.",
            examples: &[
                "llmctl audit --last 10",
                "llmctl audit --json",
                "llmctl audit verify",
                "llmctl audit attest 2026-12-01",
            ],
        },
        Control::Reset => Page {
            summary: "llmctl reset              try again after too many restarts of inference",
            body: "",
            examples: &["llmctl reset"],
        },
        Control::Halt => Page {
            summary: "llmctl halt               end the system for everybody: nothing answers until it is started again",
            body: "It needs the permission 'halt', and the log says who did it.",
            examples: &["llmctl halt"],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::parse::parse;
    use crate::table::{ADAPTER_DEEDS, CHAT, CHAT_COMMANDS, COMMANDS, INFER, LOG_DEEDS, all_specs};
    use crate::words::Words;
    use std::string::ToString as _;

    fn help(topic: &'static str) -> std::string::String {
        Help(Some(topic)).to_string()
    }

    #[test]
    fn every_command_control_and_option_is_explained() {
        let overview = Help(None).to_string();
        let controls = help("llmctl");
        for command in COMMANDS {
            assert!(overview.contains(command), "{command}");
            assert!(help(command).len() > 30, "{command}");
        }
        for control in CONTROLS {
            assert!(overview.contains(control) && controls.contains(control));
            assert!(help(control).contains("Example"), "{control}");
        }
        for spec in all_specs() {
            let help = help(spec.topic);
            for option in spec.options {
                for name in option.names() {
                    assert!(help.contains(name), "{} {name}", spec.name);
                }
                if let Kind::OneOf(words) = option.kind {
                    assert!(words.iter().all(|word| help.contains(word)));
                }
            }
        }
        assert!(
            ADAPTER_DEEDS
                .iter()
                .all(|deed| help("adapter").contains(deed))
        );
        assert!(LOG_DEEDS.iter().all(|deed| help("audit").contains(deed)));
    }

    #[test]
    fn an_option_says_its_range_its_default_and_its_other_names() {
        for (topic, line) in [
            (
                "llminfer",
                "  --max-tokens N       tokens to generate, 1 to 512, or -1 for the most [128] (also -n, --predict, --n-predict)",
            ),
            (
                "llmchat",
                "  --temperature T      0 takes the likeliest token every time, 0 to 10 [0.8] (also --temp)",
            ),
            ("llmstats", "  --json               one JSON object"),
        ] {
            let help = help(topic);
            assert!(help.lines().any(|found| found.trim_end() == line), "{help}");
        }
    }

    #[test]
    fn the_first_help_says_what_the_model_is_and_how_to_run_another() {
        let overview = Help(None).to_string();
        for part in [
            "stories for children",
            "answers no questions",
            "make run MODEL=FILE.gguf",
            "llmchat",
        ] {
            assert!(overview.contains(part), "{part}");
        }
    }

    #[test]
    fn a_conversation_explains_its_commands_and_takes_no_option_that_llminfer_does_not() {
        assert!(CHAT_COMMANDS.iter().all(|word| CHAT_HELP.contains(word)));
        assert!(INFER.starts_with(CHAT) && CHAT.len() < INFER.len());
    }

    #[test]
    fn examples_are_commands() {
        let mut words = Words::new();
        let mut examples = 0;
        for topic in COMMANDS.iter().chain(CONTROLS) {
            let text = help(topic);
            let after = text.split("Example").nth(1).unwrap_or("");
            for line in after.lines().filter(|line| line.starts_with("  ")) {
                words.split(line.as_bytes()).unwrap();
                assert!(
                    !matches!(parse(&words), Err(_) | Ok(Command::Empty)),
                    "{line}"
                );
                examples += 1;
            }
        }
        assert!(examples > 20, "{examples}");
    }
}
