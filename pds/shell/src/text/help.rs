//! `help`, of everything, of one command, or of one control of `llmctl`.

use crate::command::CONTROLS;
use core::fmt::{self, Display, Formatter};
use protocol::decimal::{Billionths, Millionths};
use protocol::limits::{
    MAX_CHOICES, MAX_EXAMPLE_BYTES, MAX_GENERATED_TOKENS, MAX_PROMPT_BYTES, MAX_STOP_BYTES,
    MAX_STOPS, defaults, maxima,
};

pub(crate) struct Help(pub(crate) Option<&'static str>);

impl Display for Help {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            None => return overview(f),
            Some("llminfer") => return infer(f),
            Some("llmchat") => return chat(f),
            Some("llmctl") => {
                return CONTROLS.iter().enumerate().try_for_each(|(i, control)| {
                    let end = if i == 0 { "" } else { "\n" };
                    let summary = control_text(control).lines().next().unwrap_or("");
                    write!(f, "{end}{summary}")
                });
            }
            Some("llmstats") => {
                "llmstats [--json] [--watch]\n\
                 What audit has counted since boot: requests, tokens, latency, faults, memory, your budget.\n\
                 \x20 --json     one JSON object\n\
                 \x20 --watch    anew every second, until Ctrl-C\n\
                 Examples:\n\
                 \x20 llmstats\n\
                 \x20 llmstats --watch"
            }
            Some("llmfinetune") => return fine_tune(f),
            Some("login") => {
                "login USER\n\
                 Become another user. A passphrase, if the user has one, is asked for on the next line and not shown.\n\
                 Jobs of who was logged in before go on, and are seen again after the next login as that user.\n\
                 Example:\n\
                 \x20 login admin"
            }
            Some("logout") => {
                "logout\n\
                 Become the user again who is logged in at boot.\n\
                 Example:\n\
                 \x20 logout"
            }
            Some("whoami") => {
                "whoami\n\
                 Who is logged in, with the role and what it allows.\n\
                 Example:\n\
                 \x20 whoami"
            }
            Some("exit") => {
                "exit\n\
                 Ends the session. So does the end of the input (Ctrl-D).\n\
                 Example:\n\
                 \x20 exit"
            }
            Some("color") => {
                "color auto|on|off\n\
                 Whether the terminal gets colours. 'auto', as it is at first: if it has said how wide it is.\n\
                 Example:\n\
                 \x20 color off"
            }
            Some("help") => {
                "help [TOPIC]\n\
                 TOPIC is a command, or what llmctl can do.\n\
                 Examples:\n\
                 \x20 help llminfer\n\
                 \x20 help audit"
            }
            Some(control) => control_text(control),
        };
        f.write_str(text)
    }
}

fn overview(f: &mut Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "llminfer \"PROMPT\" [OPTIONS]   generate text; Ctrl-C cancels\n\
         llmchat [OPTIONS]             a conversation, a line at a time; /exit leaves\n\
         llmctl COMMAND                "
    )?;
    for (i, control) in CONTROLS.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{control}")?;
    }
    write!(
        f,
        "\nllmfinetune DATA [OPTIONS]     learn from examples: makes an adapter\n\
         llmstats [--json] [--watch]   what audit has counted\n\
         login USER, logout, whoami    who asks\n\
         help [TOPIC]                  this, or more about a command or a control\n\
         color auto|on|off             colours of this terminal\n\
         exit                          end the session (also: end of input)\n\
         Keys: arrows, Home, End, Tab completes, Ctrl-A/E/K/U/W/L edit, Ctrl-C cancels (again: at once)."
    )
}

fn infer(f: &mut Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "llminfer \"PROMPT\" [OPTIONS]\n\
         Answers PROMPT if the model has a chat template ('llmctl status' says which), else continues it. The texts have at\n\
         most {MAX_PROMPT_BYTES} bytes together, and as many tokens as the model's context has.\n\
         \x20 --raw                continue PROMPT as it is, whatever template the model has\n\
         \x20 --background         do not wait; see 'help jobs'\n"
    )?;
    options(f)?;
    f.write_str(
        "\nQuotes are \" or '; inside \"...\", \\\", \\\\ and \\n are escapes.\n\
         Examples:\n\
         \x20 llminfer \"Once upon a time\" --raw\n\
         \x20 llminfer \"What does the fox say?\" --system \"You are brief.\" --max-tokens 48 --temperature 0\n\
         \x20 llminfer \"And then?\" --session tale\n\
         \x20 llminfer \"Is a fox a bird?\" --choices \"yes,no,unsure\"\n\
         \x20 llminfer \"Name a bird.\" --stop \".\" --stop \"\\n\"\n\
         \x20 llminfer \"One day\" --background",
    )
}

fn chat(f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(
        "llmchat [OPTIONS]\n\
         A conversation with a model that has a chat template: each line is said, and answered. Ctrl-C stops the answer and\n\
         stays. /exit or Ctrl-D leaves and ends the session, unless --session gave it a name. A line that begins with // is\n\
         said with one /.\n",
    )?;
    options(f)?;
    f.write_str(
        "\nExamples:\n\
         \x20 llmchat\n\
         \x20 llmchat --system \"You are a pirate.\" --session pirate\n\
         \x20 llmchat --choices \"yes,no\" --temperature 0",
    )
}

/// What a line can be in a conversation.
pub(crate) const CHAT_HELP: &str = "Type what you say. Ctrl-C stops the answer.\n\
     /exit      leave (also: Ctrl-D); the session ends, unless it has a name\n\
     /help      this\n\
     //TEXT     say /TEXT";

/// What `llminfer` and `llmchat` can both be given.
fn options(f: &mut Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "\x20 --system TEXT        what the model is told first; only when a session begins\n\
         \x20 --session NAME       go on with this conversation, or begin it\n\
         \x20 --format NAME        the answer has this format of the policy; see 'llmctl formats'\n\
         \x20 --choices \"A,B\"      the answer is one of these, at most {MAX_CHOICES}; spaces belong to them\n\
         \x20 --stop TEXT          end the answer before TEXT (at most {MAX_STOP_BYTES} bytes); up to {MAX_STOPS} times\n\
         \x20 --max-tokens N       tokens to generate, 1 to {MAX_GENERATED_TOKENS} [{}]\n\
         \x20 --temperature T      0 takes the likeliest token every time [{}]\n\
         \x20 --top-k K            keep the K likeliest tokens, 0 keeps all [{}]\n\
         \x20 --top-p P            keep the likeliest tokens that sum to P [{}]\n\
         \x20 --min-p P            drop tokens below P times the likeliest [{}]\n\
         \x20 --repeat-penalty R   divide the logits of recent tokens by R, 1 does nothing [{}]\n\
         \x20 --repeat-last-n N    tokens that the penalty looks back on [{}]\n\
         \x20 --seed S             the same seed gives the same text [{}]\n\
         \x20 --adapter NAME       with this adapter, which must be loaded; see 'help adapters'",
        defaults::MAX_TOKENS,
        Millionths(u64::from(defaults::TEMPERATURE)),
        defaults::TOP_K,
        Millionths(u64::from(defaults::TOP_P)),
        Millionths(u64::from(defaults::MIN_P)),
        Millionths(u64::from(defaults::REPEAT_PENALTY)),
        defaults::REPEAT_LAST_N,
        defaults::SEED
    )
}

fn fine_tune(f: &mut Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "llmfinetune DATA [OPTIONS] | --example \"TEXT\" [--answer \"TEXT\"] | --drop-examples\n\
         Trains an adapter (LoRA) for the loaded model on DATA of the store, or on 'examples', which are those that were typed.\n\
         Its tokens count against your budget. Ctrl-C ends it, and nothing of it is kept.\n\
         \x20 --adapter NAME       what the adapter will be called [the name of the data]\n\
         \x20 --rank R             1 to {}: a larger one can learn more, and needs more memory [{}]\n\
         \x20 --alpha A            its effect is multiplied by A / R [{}]\n\
         \x20 --epochs N           how often all examples are gone through, 1 to {} [{}]\n\
         \x20 --rate L             the largest learning rate [{}]\n\
         \x20 --targets T          'attention', or 'all' for the feed-forward layers, too [attention]\n\
         \x20 --seed S             the same seed and data give the same adapter [{}]\n\
         \x20 --example TEXT       add an example, which is forgotten at the next boot; at most {MAX_EXAMPLE_BYTES} bytes as JSON\n\
         \x20 --answer TEXT        what is to follow the example's text, with the space that it begins with: only this is learnt\n\
         \x20 --drop-examples      forget the examples that were typed\n\
         Examples:\n\
         \x20 llmfinetune --example \"The fox was glad. The feeling is\" --answer \" joy\"\n\
         \x20 llmfinetune examples --adapter feelings --epochs 5\n\
         \x20 llmfinetune feelings --adapter moods --rank 2",
        maxima::RANK,
        defaults::RANK,
        Millionths(u64::from(defaults::ALPHA)),
        maxima::EPOCHS,
        defaults::EPOCHS,
        Billionths(defaults::RATE),
        defaults::SEED
    )
}

/// The first line stands in `help llmctl` too.
fn control_text(control: &str) -> &'static str {
    match control {
        "models" => {
            "llmctl models             list the models in the store; * is loaded\n\
             Example:\n\
             \x20 llmctl models"
        }
        "load" => {
            "llmctl load NAME          load a model; if it can't be loaded, the one that is stays\n\
             Its signature is checked first. All sessions end with the model that they talked to.\n\
             \x20 --adapter NAME       load this adapter beside it then; may be given several times\n\
             Examples:\n\
             \x20 llmctl load tiny\n\
             \x20 llmctl load tiny --adapter moral --adapter feelings"
        }
        "adapters" => {
            "llmctl adapters           list the adapters in the store and those made here; * is loaded\n\
             Example:\n\
             \x20 llmctl adapters"
        }
        "adapter" => {
            "llmctl adapter load|drop|export NAME    load an adapter beside the model, drop it, or print it\n\
             \x20 load       it is checked first; llminfer --adapter NAME uses it\n\
             \x20 drop       one that was made here is forgotten; sessions with it end\n\
             \x20 export     print one that was made here, for 'llmtool adapter import'\n\
             Examples:\n\
             \x20 llmctl adapter load moral\n\
             \x20 llmctl adapter drop moral\n\
             \x20 llmctl adapter export feelings"
        }
        "formats" => {
            "llmctl formats            list the formats that answers can have; * may be used by you\n\
             They are made from the policy ('llmtool policy'); audit lets no byte pass that does not belong to one.\n\
             Examples:\n\
             \x20 llmctl formats\n\
             \x20 llminfer \"Door 3 opened at night.\" --format triage"
        }
        "status" => {
            "llmctl status             the model, its chat template, its memory by purpose, restarts\n\
             Example:\n\
             \x20 llmctl status"
        }
        "sessions" => {
            "llmctl sessions           list your sessions\n\
             Who may change budgets sees those of others too.\n\
             Example:\n\
             \x20 llmctl sessions"
        }
        "close" => {
            "llmctl close NAME         end a session that is idle, and give its memory back\n\
             Example:\n\
             \x20 llmctl close tale"
        }
        "jobs" => {
            "llmctl jobs               list your requests in the background\n\
             Those that have ended stay until their place is needed.\n\
             Examples:\n\
             \x20 llminfer \"One day\" --background\n\
             \x20 llmctl jobs"
        }
        "wait" => {
            "llmctl wait ID            show a job's text, and the rest as it comes\n\
             Ctrl-C stops the waiting and not the job.\n\
             Example:\n\
             \x20 llmctl wait 1"
        }
        "cancel" => {
            "llmctl cancel [ID]        cancel a job; without ID the newest that runs\n\
             Examples:\n\
             \x20 llmctl cancel\n\
             \x20 llmctl cancel 1"
        }
        "budget" => {
            "llmctl budget [USER] [--tokens N] [--period P]    show a budget, or change it\n\
             Tokens of prompts and generated ones count. P is a number with a unit: 3600s, 60m, 1h, 1d.\n\
             Examples:\n\
             \x20 llmctl budget\n\
             \x20 llmctl budget guest --tokens 50000 --period 1h"
        }
        "audit" => {
            "llmctl audit [--last N] [--user U] [--json] [--follow] | audit verify    read or check the log\n\
             \x20 --last N     the newest N entries\n\
             \x20 --user U     entries of this user\n\
             \x20 --json       an export that 'llmtool audit verify' checks\n\
             \x20 --follow     go on with what is added, until Ctrl-C\n\
             \x20 verify       check that each entry holds the hash of the one before\n\
             Examples:\n\
             \x20 llmctl audit --last 10\n\
             \x20 llmctl audit --json\n\
             \x20 llmctl audit verify"
        }
        "reset" => {
            "llmctl reset              try again after too many restarts of inference\n\
             Example:\n\
             \x20 llmctl reset"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{
        ADAPTER_DEEDS, AUDIT_OPTIONS, BUDGET_OPTIONS, CHAT_COMMANDS, CHAT_OPTIONS, COMMANDS,
        Command, FINETUNE_OPTIONS, INFER_OPTIONS, LOAD_OPTIONS, STATS_OPTIONS, TARGETS,
    };
    use crate::parse::parse;
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
        for (topic, options) in [
            ("llminfer", INFER_OPTIONS),
            ("llmchat", CHAT_OPTIONS),
            ("llmstats", STATS_OPTIONS),
            ("audit", AUDIT_OPTIONS),
            ("load", LOAD_OPTIONS),
            ("budget", BUDGET_OPTIONS),
            ("llmfinetune", FINETUNE_OPTIONS),
            ("llmfinetune", TARGETS),
            ("adapter", ADAPTER_DEEDS),
        ] {
            for option in options {
                assert!(help(topic).contains(option), "{topic} {option}");
            }
        }
    }

    #[test]
    fn a_conversation_explains_its_commands_and_takes_no_option_that_llminfer_does_not() {
        assert!(CHAT_COMMANDS.iter().all(|word| CHAT_HELP.contains(word)));
        assert!(
            CHAT_OPTIONS
                .iter()
                .all(|option| INFER_OPTIONS.contains(option))
        );
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
