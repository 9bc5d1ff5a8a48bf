//! Words become a command, by the [table](crate::table) of what there is.
//!
//! The words of a command are first sorted into operands and options, the same way for every command. Then the command
//! decides about each of its options by name: there is no rest that an unknown one could fall into. (Crates for options,
//! such as `getargs`, read `-sys` as `-s ys`; llama.cpp has such names, and they work here.)

use crate::command::{Ask, Command, CommandError};
use crate::screen::Colour;
use crate::suggest::nearest;
use crate::table::{
    ADAPTER_DEEDS, AuditOption, BudgetOption, COLOURS, COMMANDS, CONTROLS, Control, Deed,
    FineTuneOption, Hue, InferOption, Kind, LoadOption, LogDeed, MAX_OPERANDS, OptionSpec, Spec,
    StatsOption, TARGETS, Target, Verb, is_option,
};
use crate::values::{job_number, name};
use crate::words::{MAX_WORDS, Words};
use core::iter::Peekable;
use protocol::limits::MAX_ADAPTERS;
use protocol::name::{ModelName, UserName};
use protocol::wire::client::LogQuery;
use protocol::wire::{TARGETS_ALL, TARGETS_ATTENTION, TrainParams};

type Parsed<'a, T = Command<'a>> = Result<T, CommandError<'a>>;

/// The words of a command, sorted.
struct Given<'a> {
    operands: heapless::Vec<&'a [u8], MAX_OPERANDS>,
    /// The place of an option in the command's list, and its value, which is empty for a flag.
    options: heapless::Vec<(usize, &'a [u8]), MAX_WORDS>,
}

impl<'a> Given<'a> {
    /// The first operand, if there is one.
    fn operand(&self) -> Option<&'a [u8]> {
        self.operands.first().copied()
    }
}

/// Sorts the words of a command.
fn take<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a, Given<'a>> {
    let of = spec.name;
    let mut given = Given {
        operands: heapless::Vec::new(),
        options: heapless::Vec::new(),
    };
    let mut may_be_option = true;
    while let Some(word) = words.next() {
        if may_be_option && word == b"--" {
            may_be_option = false;
        } else if may_be_option && is_option(word) {
            let (place, value) = take_option(spec, word, words)?;
            let option = spec.options.get(place);
            let limit = option.map_or(1, |option| option.times);
            let before = given.options.iter().filter(|(other, _)| *other == place);
            if before.count() >= limit {
                let option = option.map_or("", |option| option.name);
                return Err(CommandError::TooOften { option, limit });
            }
            // A line has no more words than there is room for.
            let _ = given.options.push((place, value));
        } else if given.operands.len() >= spec.operands.len() || given.operands.push(word).is_err()
        {
            return Err(CommandError::Extra { of, word });
        }
    }
    match spec.operands.get(given.operands.len()) {
        Some(missing) if missing.is_needed => Err(CommandError::MissingValue {
            of,
            what: missing.what,
            topic: spec.topic,
        }),
        _ => Ok(given),
    }
}

/// The place of the option that `word` is, and its value: behind `=`, or the next word.
fn take_option<'a>(
    spec: &Spec,
    word: &'a [u8],
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Parsed<'a, (usize, &'a [u8])> {
    let end = word.iter().position(|byte| *byte == b'=');
    let (called, value) = match end.and_then(|at| word.split_at_checked(at)) {
        Some((called, rest)) => (called, rest.get(1..)),
        None => (word, None),
    };
    let mut known = spec.options.iter().enumerate();
    let Some((place, option)) = known.find(|(_, option)| option.is_called(called)) else {
        let names = spec.options.iter().flat_map(OptionSpec::names);
        return Err(CommandError::Unknown {
            what: "option",
            of: spec.name,
            word: called,
            nearest: nearest(called, names),
            topic: Some(spec.topic),
        });
    };
    let value = match (option.kind, value) {
        (Kind::Flag, None) => &[],
        (Kind::Flag, Some(word)) => {
            let option = option.name;
            return Err(CommandError::NoValue { option, word });
        }
        (_, Some(value)) => value,
        (_, None) => words.next().ok_or(CommandError::MissingValue {
            of: option.name,
            what: "a value",
            topic: spec.topic,
        })?,
    };
    Ok((place, value))
}

/// The options that were given, each by its name in the enum of the command, with its entry in the table.
fn each<'a, Name>(
    spec: &Spec,
    given: &Given<'a>,
    at: fn(usize) -> Option<Name>,
    mut decide: impl FnMut(Name, &'static OptionSpec, &'a [u8]) -> Parsed<'a, ()>,
) -> Parsed<'a, ()> {
    let options: &'static [OptionSpec] = spec.options;
    for (place, value) in &given.options {
        if let (Some(name), Some(option)) = (at(*place), options.get(*place)) {
            decide(name, option, value)?;
        }
    }
    Ok(())
}

/// The command in `words`.
pub(crate) fn parse(words: &Words) -> Parsed<'_> {
    let mut words = words.iter();
    let Some(first) = words.next() else {
        return Ok(Command::Empty);
    };
    let words = &mut words.peekable();
    if first == b"?" {
        return help(words);
    }
    let verb = Verb::find(first).ok_or_else(|| CommandError::Unknown {
        what: "command",
        of: "",
        word: first,
        nearest: nearest(first, COMMANDS.iter().copied()),
        topic: None,
    })?;
    let spec = verb.spec();
    if words.next_if(asks_for_help).is_some() {
        return Ok(Command::Help(Some(spec.topic)));
    }
    match verb {
        Verb::Infer => infer(&spec, words),
        Verb::Chat => Ok(Command::Chat(ask(&spec, &take(&spec, words)?)?.ask)),
        Verb::Control => control(words),
        Verb::Stats => stats(&spec, words),
        Verb::FineTune => fine_tune(&spec, words),
        Verb::Login => match take(&spec, words) {
            Ok(given) => Ok(Command::Login(name(given.operand().unwrap_or(&[]))?)),
            // It may be a passphrase.
            Err(CommandError::Extra { .. } | CommandError::Unknown { .. }) => {
                Err(CommandError::AfterUser)
            }
            Err(error) => Err(error),
        },
        Verb::Logout => nothing_more(&spec, words, Command::Logout),
        Verb::WhoAmI => nothing_more(&spec, words, Command::WhoAmI),
        Verb::Exit => nothing_more(&spec, words, Command::Exit),
        Verb::Help => help(words),
        Verb::Colour => colour(&spec, words),
    }
}

/// Whether a word behind a command asks what that does.
fn asks_for_help(word: &&[u8]) -> bool {
    matches!(*word, b"--help" | b"-h")
}

/// `color auto`, `color on`, `color off`.
fn colour<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let given = take(spec, words)?;
    let word = given.operand().unwrap_or(&[]);
    Ok(Command::Colour(match Hue::find(word) {
        Some(Hue::Auto) => Colour::Auto,
        Some(Hue::On) => Colour::On,
        Some(Hue::Off) => Colour::Off,
        None => {
            return Err(CommandError::Unknown {
                what: "value",
                of: spec.name,
                word,
                nearest: nearest(word, COLOURS.iter().copied()),
                topic: Some(spec.topic),
            });
        }
    }))
}

/// One of a list of words.
fn one_of<'a>(
    what: &'static str,
    of: &'static str,
    word: &'a [u8],
    there_are: &[&'static str],
    topic: &'static str,
) -> Parsed<'a, &'static str> {
    let known = there_are.iter().find(|name| name.as_bytes() == word);
    known.copied().ok_or_else(|| CommandError::Unknown {
        what,
        of,
        word,
        nearest: nearest(word, there_are.iter().copied()),
        topic: Some(topic),
    })
}

/// `help`, `help COMMAND`, `help CONTROL`, `help llmctl CONTROL`.
fn help<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let topic = match words.next() {
        None => None,
        Some(b"llmctl") => Some(match words.next() {
            None => "llmctl",
            Some(word) => one_of("command", "llmctl", word, CONTROLS, "llmctl")?,
        }),
        Some(word) => Some(match CONTROLS.iter().find(|name| name.as_bytes() == word) {
            Some(control) => control,
            None => one_of("command", "", word, COMMANDS, "help")?,
        }),
    };
    match words.next() {
        Some(word) => Err(CommandError::Extra { of: "help", word }),
        None => Ok(Command::Help(topic)),
    }
}

fn control<'a>(words: &mut Peekable<impl Iterator<Item = &'a [u8]>>) -> Parsed<'a> {
    let (of, topic) = ("llmctl", "llmctl");
    let what = "a command";
    let word = words
        .next()
        .ok_or(CommandError::MissingValue { of, what, topic })?;
    if word == b"help" {
        return match words.peek() {
            Some(_) => help(words),
            None => Ok(Command::Help(Some(topic))),
        };
    }
    let Some(control) = Control::find(word) else {
        return Err(CommandError::Unknown {
            what: "command",
            of,
            word,
            nearest: nearest(word, CONTROLS.iter().copied()),
            topic: Some(topic),
        });
    };
    let spec = control.spec();
    let spec = &spec;
    if words.next_if(asks_for_help).is_some() {
        return Ok(Command::Help(Some(spec.topic)));
    }
    match control {
        Control::Models => nothing_more(spec, words, Command::Models),
        Control::Load => load(spec, &take(spec, words)?),
        Control::Adapters => nothing_more(spec, words, Command::Adapters),
        Control::Adapter => adapter(spec, words),
        Control::Formats => nothing_more(spec, words, Command::Formats),
        Control::Status => nothing_more(spec, words, Command::Status),
        Control::Sessions => nothing_more(spec, words, Command::Sessions),
        Control::Close => {
            let given = take(spec, words)?;
            Ok(Command::Close(name(given.operand().unwrap_or(&[]))?))
        }
        Control::Jobs => nothing_more(spec, words, Command::Jobs),
        Control::Wait => {
            let given = take(spec, words)?;
            let job = given.operand().unwrap_or(&[]);
            Ok(Command::Wait(job_number(spec.name, job)?))
        }
        Control::Cancel => {
            let given = take(spec, words)?;
            let job = given.operand().map(|word| job_number(spec.name, word));
            Ok(Command::Cancel(job.transpose()?))
        }
        Control::Budget => budget(spec, &take(spec, words)?),
        Control::Audit => audit(spec, words),
        Control::Reset => nothing_more(spec, words, Command::Reset),
        Control::Halt => nothing_more(spec, words, Command::Halt),
    }
}

fn nothing_more<'a>(
    spec: &Spec,
    words: &mut impl Iterator<Item = &'a [u8]>,
    command: Command<'a>,
) -> Parsed<'a> {
    take(spec, words).map(|_| command)
}

fn load<'a>(spec: &Spec, given: &Given<'a>) -> Parsed<'a> {
    let model = name(given.operand().unwrap_or(&[]))?;
    let mut adapters: [&[u8]; MAX_ADAPTERS] = [&[]; MAX_ADAPTERS];
    let mut places = adapters.iter_mut();
    each(
        spec,
        given,
        LoadOption::at,
        |option, _, word| match option {
            LoadOption::Adapter => {
                let _: ModelName = name(word)?;
                // There is a place for as many as may be given.
                if let Some(place) = places.next() {
                    *place = word;
                }
                Ok(())
            }
        },
    )?;
    Ok(Command::Load { model, adapters })
}

fn adapter<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let (of, topic) = (spec.name, spec.topic);
    let what = "load, drop or export";
    let word = words
        .next()
        .ok_or(CommandError::MissingValue { of, what, topic })?;
    let Some(deed) = Deed::find(word) else {
        return Err(CommandError::Unknown {
            what: "command",
            of,
            word,
            nearest: nearest(word, ADAPTER_DEEDS.iter().copied()),
            topic: Some(topic),
        });
    };
    let given = take(&deed.spec(), words)?;
    let adapter = name(given.operand().unwrap_or(&[]))?;
    Ok(match deed {
        Deed::Load => Command::LoadAdapter(adapter),
        Deed::Drop => Command::DropAdapter(adapter),
        Deed::Export => Command::ExportAdapter(adapter),
    })
}

fn budget<'a>(spec: &Spec, given: &Given<'a>) -> Parsed<'a> {
    let user = given.operand().map(name).transpose()?;
    let (mut tokens, mut period) = (None, None);
    each(spec, given, BudgetOption::at, |option, entry, word| {
        match option {
            BudgetOption::Tokens => tokens = Some(entry.whole(word)?),
            BudgetOption::Period => period = Some(entry.period(word)?),
        }
        Ok(())
    })?;
    Ok(Command::Budget {
        user: user.unwrap_or(UserName::EMPTY),
        tokens,
        period,
    })
}

fn audit<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let mut words = words.peekable();
    if let Some(deed) = words.peek().and_then(|word| LogDeed::find(word)) {
        words.next();
        let (of, command) = match deed {
            LogDeed::Verify => ("llmctl audit verify", Command::VerifyAudit),
            LogDeed::Attest => {
                let nonce = words.next().map(name).transpose()?;
                let command = Command::Attest(nonce.unwrap_or_default());
                ("llmctl audit attest", command)
            }
        };
        return match words.next() {
            Some(word) => Err(CommandError::Extra { of, word }),
            None => Ok(command),
        };
    }
    let given = take(spec, &mut words)?;
    let (mut query, mut json) = (LogQuery::default(), false);
    each(spec, &given, AuditOption::at, |option, entry, word| {
        match option {
            AuditOption::Last => query.last = entry.whole(word)?,
            AuditOption::User => query.user = name(word)?,
            AuditOption::Json => json = true,
            AuditOption::Follow => query.follow = true,
        }
        Ok(())
    })?;
    Ok(Command::Audit { query, json })
}

fn stats<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let given = take(spec, words)?;
    let (mut json, mut watch) = (false, false);
    each(spec, &given, StatsOption::at, |option, _, _| {
        match option {
            StatsOption::Json => json = true,
            StatsOption::Watch => watch = true,
        }
        Ok(())
    })?;
    Ok(Command::Stats { json, watch })
}

fn fine_tune<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let of = spec.name;
    let given = take(spec, words)?;
    let mut params = TrainParams::default();
    let data = given.operand().map(name).transpose()?;
    let mut adapter = ModelName::EMPTY;
    let (mut text, mut answer, mut drop) = (None, None, false);
    // What belongs to a fine-tuning itself, if anything does.
    let mut tunes = data.map(|_: ModelName| "data");
    each(spec, &given, FineTuneOption::at, |option, entry, word| {
        match option {
            FineTuneOption::Adapter => adapter = name(word)?,
            FineTuneOption::Rank => params.rank = entry.whole_u32(word)?,
            FineTuneOption::Alpha => params.alpha = entry.fraction(word)?,
            FineTuneOption::Epochs => params.epochs = entry.whole_u32(word)?,
            FineTuneOption::Rate => params.rate = entry.rate(word)?,
            FineTuneOption::Targets => params.targets = targets(entry, word)?,
            FineTuneOption::Seed => params.seed = entry.whole(word)?,
            FineTuneOption::Example => text = Some(word),
            FineTuneOption::Answer => answer = Some(word),
            FineTuneOption::DropExamples => drop = true,
        }
        if !matches!(
            option,
            FineTuneOption::Example | FineTuneOption::Answer | FineTuneOption::DropExamples
        ) {
            tunes = tunes.or(Some(entry.name));
        }
        Ok(())
    })?;
    let beside = |option, other| Err(CommandError::Beside { of, option, other });
    match (text, answer, drop, tunes, data) {
        (Some(_), _, _, Some(other), _) => beside("--example", other),
        (Some(_), _, true, ..) => beside("--example", "--drop-examples"),
        (None, Some(_), ..) => Err(CommandError::MissingValue {
            of: "--answer",
            what: "its prompt, with --example",
            topic: spec.topic,
        }),
        (None, None, true, Some(other), _) => beside("--drop-examples", other),
        (Some(text), answer, false, None, _) => Ok(Command::Example { text, answer }),
        (None, None, true, None, _) => Ok(Command::DropExamples),
        (None, None, false, _, None) => Err(CommandError::MissingValue {
            of,
            what: "the name of data, or 'examples' for those that were typed",
            topic: spec.topic,
        }),
        (None, None, false, _, Some(data)) => Ok(Command::FineTune {
            params,
            data,
            adapter,
        }),
    }
}

fn targets<'a>(entry: &'static OptionSpec, word: &'a [u8]) -> Parsed<'a, u32> {
    match Target::find(word) {
        Some(Target::Attention) => Ok(TARGETS_ATTENTION),
        Some(Target::All) => Ok(TARGETS_ALL),
        None => one_of("value", entry.name, word, TARGETS, "llmfinetune").map(|_| 0),
    }
}

/// The words of `llminfer` and `llmchat`.
struct Asked<'a> {
    ask: Ask<'a>,
    raw: bool,
    background: bool,
    /// What --prompt says.
    prompt: Option<&'a [u8]>,
}

fn infer<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let of = spec.name;
    let given = take(spec, words)?;
    let asked = ask(spec, &given)?;
    let prompt = match (given.operand(), asked.prompt) {
        (Some(prompt), None) | (None, Some(prompt)) => prompt,
        (Some(_), Some(_)) => {
            let (option, other) = ("--prompt", "a prompt of its own");
            return Err(CommandError::Beside { of, option, other });
        }
        (None, None) => {
            let what = "a prompt";
            let topic = spec.topic;
            return Err(CommandError::MissingValue { of, what, topic });
        }
    };
    Ok(Command::Infer {
        ask: asked.ask,
        raw: asked.raw,
        background: asked.background,
        prompt,
    })
}

fn ask<'a>(spec: &Spec, given: &Given<'a>) -> Parsed<'a, Asked<'a>> {
    let of = spec.name;
    let mut asked = Asked {
        ask: Ask::default(),
        raw: false,
        background: false,
        prompt: None,
    };
    let Ask {
        params,
        session,
        adapter,
        system,
        stops,
        format,
        choices,
    } = &mut asked.ask;
    let sampling = &mut params.sampling;
    let (raw, background, prompt) = (&mut asked.raw, &mut asked.background, &mut asked.prompt);
    let mut free_stops = stops.iter_mut();
    each(spec, given, InferOption::at, |option, entry, word| {
        match option {
            InferOption::System => *system = Some(word),
            InferOption::Session => *session = name(word)?,
            InferOption::Format => *format = name(word)?,
            InferOption::Choices => *choices = Some(word),
            InferOption::Stop => {
                // There is a place for as many as may be given.
                if let Some(place) = free_stops.next() {
                    *place = Some(word);
                }
            }
            InferOption::MaxTokens => params.max_tokens = entry.whole_u32(word)?,
            InferOption::Temperature => sampling.temperature = entry.fraction(word)?,
            InferOption::TopK => sampling.top_k = entry.whole_u32(word)?,
            InferOption::TopP => sampling.top_p = entry.fraction(word)?,
            InferOption::MinP => sampling.min_p = entry.fraction(word)?,
            InferOption::RepeatPenalty => sampling.repeat_penalty = entry.fraction(word)?,
            InferOption::RepeatLastN => sampling.repeat_last_n = entry.whole_u32(word)?,
            InferOption::Seed => sampling.seed = entry.whole(word)?,
            InferOption::Adapter => *adapter = name(word)?,
            InferOption::Raw => *raw = true,
            InferOption::Background => *background = true,
            InferOption::Prompt => *prompt = Some(word),
        }
        Ok(())
    })?;
    let raw = asked.raw.then_some("--raw");
    let system = asked.ask.system.map(|_| "--system");
    let choices = asked.ask.choices.map(|_| "--choices");
    let format = (!asked.ask.format.is_empty()).then_some("--format");
    let [first_stop, ..] = asked.ask.stops;
    let stops = first_stop.map(|_| "--stop");
    // The format says where an answer ends, so nothing else does.
    for (option, other) in [
        (raw, system),
        (format, choices),
        (stops, format),
        (stops, choices),
    ] {
        if let (Some(option), Some(other)) = (option, other) {
            return Err(CommandError::Beside { of, option, other });
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::String;

    /// What a line is, or how it is wrong, as debug text.
    fn parsed(line: &[u8]) -> String {
        let mut words = Words::new();
        match words.split(line) {
            Ok(()) => format!("{:?}", parse(&words)),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn unterminated_quotes_and_endless_lines_are_refused() {
        assert_eq!(parsed(b"llminfer \"Once"), "Unterminated('\"')");
        assert_eq!(parsed(b"llminfer 'Once\""), "Unterminated('\\'')");
        assert_eq!(parsed("a ".repeat(49).as_bytes()), "TooManyWords");
    }

    #[test]
    fn options_may_stand_anywhere_and_are_exact() {
        let mut words = Words::new();
        words
            .split(
                b"llminfer --temperature 0.7 'Once upon' --max-tokens 48 --top-k 5 --top-p .9 --min-p 0 \
                  --seed 18446744073709551615 --repeat-penalty 1.25 --repeat-last-n 32 --session tale --adapter moral \
                  --background --raw",
            )
            .unwrap();
        let Ok(Command::Infer {
            ask,
            raw,
            prompt,
            background,
        }) = parse(&words)
        else {
            panic!("no command")
        };
        let Ask {
            params,
            session,
            adapter,
            ..
        } = ask;
        assert_eq!(
            (prompt, session.as_str(), adapter.as_str(), background, raw),
            (&b"Once upon"[..], "tale", "moral", true, true)
        );
        let sampling = params.sampling;
        assert_eq!(
            (params.max_tokens, sampling.temperature, sampling.top_k),
            (48, 700_000, 5)
        );
        assert_eq!(
            (sampling.top_p, sampling.min_p, sampling.seed),
            (900_000, 0, u64::MAX)
        );
        assert_eq!(
            (sampling.repeat_penalty, sampling.repeat_last_n),
            (1_250_000, 32)
        );
    }

    #[test]
    fn what_bounds_an_answer_and_comes_before_it_is_taken_as_it_is() {
        let mut words = Words::new();
        for command in ["llminfer x", "llmchat"] {
            let line =
                format!("{command} --system \"Be\\nbrief.\" --stop a,b --stop \"\" --session tale");
            words.split(line.as_bytes()).unwrap();
            let (Ok(Command::Infer { ask, .. }) | Ok(Command::Chat(ask))) = parse(&words) else {
                panic!("no command")
            };
            assert_eq!(ask.system, Some(&b"Be\nbrief."[..]));
            assert_eq!(ask.stops, [Some(&b"a,b"[..]), Some(b""), None, None]);
            assert_eq!((ask.format.is_empty(), ask.choices), (true, None));
            let line = format!("{command} --format triage");
            words.split(line.as_bytes()).unwrap();
            let (Ok(Command::Infer { ask, .. }) | Ok(Command::Chat(ask))) = parse(&words) else {
                panic!("no command")
            };
            assert_eq!(ask.format.as_str(), "triage");
            let line = format!("{command} --choices \"yes, no\"");
            words.split(line.as_bytes()).unwrap();
            let (Ok(Command::Infer { ask, .. }) | Ok(Command::Chat(ask))) = parse(&words) else {
                panic!("no command")
            };
            assert_eq!(ask.choices, Some(&b"yes, no"[..]));
        }
        // A command with all of its options has room.
        let all = b"llminfer x --max-tokens 1 --temperature 1 --top-k 1 --top-p 1 --min-p 1 --repeat-penalty 1 \
            --repeat-last-n 1 --seed 1 --session a --adapter b --system c --stop d --stop e --stop f --stop g \
            --background";
        words.split(all).unwrap();
        assert!(matches!(parse(&words), Ok(Command::Infer { .. })));
    }

    #[test]
    fn controls_take_what_their_help_says() {
        for (line, expected) in [
            (
                "llmctl budget",
                "Budget { user: \"\", tokens: None, period: None }",
            ),
            (
                "llmctl budget guest --tokens 5000 --period 1h",
                "Budget { user: \"guest\", tokens: Some(5000), period: Some(3600000000) }",
            ),
            (
                "llmctl audit --last 5 --user admin --json --follow",
                "Audit { query: LogQuery { last: 5, user: \"admin\", follow: true }, json: true }",
            ),
            ("llmctl audit verify", "VerifyAudit"),
            ("llmctl audit attest", "Attest(\"\")"),
            ("llmctl audit attest 2026-12-01", "Attest(\"2026-12-01\")"),
            ("llmctl wait 3", "Wait(3)"),
            ("llmctl cancel", "Cancel(None)"),
            ("llmctl cancel 7", "Cancel(Some(7))"),
            ("llmctl close tale", "Close(\"tale\")"),
            (
                "llmstats --watch --json",
                "Stats { json: true, watch: true }",
            ),
            ("login admin", "Login(\"admin\")"),
            (
                "llmfinetune feelings --adapter mood --rank 8 --alpha 16 --epochs 2 --rate 2e-3 --targets all --seed 7",
                "FineTune { params: TrainParams { seed: 7, rank: 8, alpha: 16000000, epochs: 2, rate: 2000000, targets: 2, \
                 reserved: 0 }, data: \"feelings\", adapter: \"mood\" }",
            ),
            (
                "llmfinetune examples",
                "FineTune { params: TrainParams { seed: 42, rank: 4, alpha: 8000000, epochs: 3, rate: 1000000, targets: 1, \
                 reserved: 0 }, data: \"examples\", adapter: \"\" }",
            ),
            (
                "llmfinetune --answer b --example a",
                "Example { text: [97], answer: Some([98]) }",
            ),
            (
                "llmfinetune --example a",
                "Example { text: [97], answer: None }",
            ),
            ("llmfinetune --drop-examples", "DropExamples"),
            ("llmctl adapters", "Adapters"),
            ("llmctl formats", "Formats"),
            ("llmctl adapter load moral", "LoadAdapter(\"moral\")"),
            ("llmctl adapter drop moral", "DropAdapter(\"moral\")"),
            ("llmctl adapter export moral", "ExportAdapter(\"moral\")"),
            ("help audit", "Help(Some(\"audit\"))"),
            ("help llmctl wait", "Help(Some(\"wait\"))"),
            ("llmctl help", "Help(Some(\"llmctl\"))"),
            ("llmctl help wait", "Help(Some(\"wait\"))"),
            ("llmctl --help", "Help(Some(\"llmctl\"))"),
            ("llmctl status -h", "Help(Some(\"status\"))"),
            ("llminfer --help", "Help(Some(\"llminfer\"))"),
            ("?", "Help(None)"),
            ("? audit", "Help(Some(\"audit\"))"),
        ] {
            assert_eq!(parsed(line.as_bytes()), format!("Ok({expected})"), "{line}");
        }
    }

    #[test]
    fn short_names_and_those_of_llama_cpp_are_the_same_options() {
        for (line, same) in [
            (
                "llminfer -p 'Once upon' -n 48 --temp 0 --top-k=5 -s 7 -sys 'Be brief.' -r x --lora moral",
                "llminfer 'Once upon' --max-tokens 48 --temperature 0 --top-k 5 --seed 7 --system 'Be brief.' --stop x \
                 --adapter moral",
            ),
            (
                "llminfer -no-cnv --predict -1 --repeat-last-n -1 x",
                "llminfer x --raw --n-predict 512 --repeat-last-n=-1",
            ),
            (
                "llmchat --system-prompt=\"a = b\"",
                "llmchat --system 'a = b'",
            ),
            (
                "llmctl audit -n 3 -u guest -f",
                "llmctl audit --last 3 --user guest --follow",
            ),
            ("llmstats -w", "llmstats --watch"),
            (
                "llmfinetune a -epochs 2 -lr 1e-3",
                "llmfinetune a --epochs 2 --rate 0.001",
            ),
        ] {
            let command = parsed(line.as_bytes());
            assert!(command.starts_with("Ok("), "{line}: {command}");
            assert_eq!(command, parsed(same.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_prompt_may_begin_with_a_dash() {
        for (line, prompt) in [
            ("llminfer '- a list'", "- a list"),
            ("llminfer '-5 degrees' -n 4", "-5 degrees"),
            ("llminfer -n 4 -- --seed", "--seed"),
            ("llminfer --prompt -n", "-n"),
            ("llminfer -5", "-5"),
        ] {
            let mut words = Words::new();
            words.split(line.as_bytes()).unwrap();
            match parse(&words) {
                Ok(Command::Infer { prompt: found, .. }) => assert_eq!(found, prompt.as_bytes()),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    /// Every option of every command takes a value of its kind and leaves none of the others as it would be.
    #[test]
    fn every_option_of_the_table_is_read_and_changes_the_command() {
        use crate::table::all_specs;
        for spec in all_specs()
            .into_iter()
            .filter(|spec| !spec.options.is_empty())
        {
            let beginning = match spec.name {
                "llminfer" => "llminfer",
                "llmctl load" => "llmctl load tiny",
                "llmfinetune" => "llmfinetune",
                name => name,
            };
            let mut seen = std::vec::Vec::new();
            for option in spec.options {
                let value = match option.kind {
                    Kind::Flag => "",
                    Kind::Whole { .. } => " 5",
                    Kind::Fraction { .. } => " 1.5",
                    Kind::Rate { .. } => " 0.5",
                    Kind::Period => " 5m",
                    Kind::Text | Kind::Name(_) => " word",
                    Kind::OneOf(words) => &format!(" {}", words[words.len() - 1]),
                };
                let value = match option.name {
                    "--top-p" | "--min-p" => " 0.5",
                    _ => value,
                };
                let alone = ["--example", "--answer", "--drop-examples"].contains(&option.name);
                let rest = match (spec.name, option.name) {
                    ("llminfer", "--prompt") => "",
                    ("llminfer", _) => " x",
                    ("llmfinetune", "--answer") => " --example y",
                    ("llmfinetune", _) if !alone => " data",
                    _ => "",
                };
                for name in option.names() {
                    let line = format!("{beginning} {name}{value}{rest}");
                    let command = parsed(line.as_bytes());
                    assert!(command.starts_with("Ok("), "{line}: {command}");
                    assert_ne!(
                        command,
                        parsed(format!("{beginning}{rest}").as_bytes()),
                        "{line}"
                    );
                    if name == option.name {
                        assert!(!seen.contains(&command), "{line}: as another option");
                        seen.push(command);
                    } else {
                        assert!(seen.contains(&command), "{line}: not as {}", option.name);
                    }
                }
            }
        }
    }

    #[test]
    fn the_nearest_is_suggested_if_it_is_near() {
        let nearest = |line: &str| {
            let mut words = Words::new();
            words.split(line.as_bytes()).unwrap();
            match parse(&words) {
                Err(CommandError::Unknown { nearest, .. }) => nearest,
                other => panic!("{other:?}"),
            }
        };
        for (line, expected) in [
            ("llminfre x", Some("llminfer")),
            ("halp", Some("help")),
            ("llmctl statsu", Some("status")),
            ("llmctl sesions", Some("sessions")),
            ("llmctl audit --folow", Some("--follow")),
            ("llmctl budget --token 3", Some("--tokens")),
            ("llminfer x --temprature 1", Some("--temperature")),
            ("llmstats --jsn", Some("--json")),
            ("help exot", Some("exit")),
            ("llminfer x --temper 1", Some("--temperature")),
            ("llminfer x --n-predic 1", Some("--n-predict")),
            ("llmctl stat", Some("status")),
            ("frobnicate", None),
            (&"x".repeat(100), None),
        ] {
            assert_eq!(nearest(line), expected, "{line}");
        }
    }

    #[test]
    fn every_wrong_line_is_told_what_is_wrong() {
        for (line, part) in [
            (
                "llminfer",
                "MissingValue { of: \"llminfer\", what: \"a prompt\"",
            ),
            ("llminfer a b", "Extra"),
            ("llminfer a --seed", "MissingValue { of: \"--seed\""),
            ("llminfer a --max-tokens -2", "why: OutOfRange"),
            ("llminfer a --max-tokens 4294967296", "why: OutOfRange"),
            ("llminfer a --repeat-last-n 99999", "why: OutOfRange"),
            ("llminfer a --seed 18446744073709551616", "why: OutOfRange"),
            ("llminfer a --max-tokens many", "why: Malformed"),
            ("llminfer a --temperature hot", "why: Malformed"),
            ("llminfer a --temperature -1", "why: OutOfRange"),
            ("llminfer a --top-p 0.1234567", "why: Malformed"),
            (
                "llminfer a --seed 1 --seed 2",
                "TooOften { option: \"--seed\", limit: 1",
            ),
            (
                "llminfer a --temp 1 --temperature 2",
                "TooOften { option: \"--temperature\", limit: 1",
            ),
            (
                "llminfer a --raw --raw",
                "TooOften { option: \"--raw\", limit: 1",
            ),
            ("llminfer a --raw=yes", "NoValue { option: \"--raw\""),
            ("llminfer a --prompt b", "Beside"),
            (
                "llminfer -x",
                "Unknown { what: \"option\", of: \"llminfer\"",
            ),
            ("llminfer a --session \"a b\"", "BadName"),
            ("llminfer a --format \"a b\"", "BadName"),
            (
                "llminfer a --raw --system b",
                "Beside { of: \"llminfer\", option: \"--raw\", other: \"--system\"",
            ),
            (
                "llminfer a --choices b --format c",
                "option: \"--format\", other: \"--choices\"",
            ),
            (
                "llminfer a --choices b --stop c",
                "option: \"--stop\", other: \"--choices\"",
            ),
            (
                "llmchat --stop b --format c",
                "Beside { of: \"llmchat\", option: \"--stop\", other: \"--format\"",
            ),
            (
                "llminfer a --stop 1 --stop 2 --stop 3 --stop 4 --stop 5",
                "TooOften { option: \"--stop\", limit: 4",
            ),
            ("llmchat hello", "Extra { of: \"llmchat\""),
            (
                "llmchat --raw",
                "Unknown { what: \"option\", of: \"llmchat\"",
            ),
            ("llmchat --background", "Unknown"),
            ("llmctl formats now", "Extra { of: \"llmctl formats\""),
            ("llmctl", "MissingValue { of: \"llmctl\""),
            ("llmctl load", "MissingValue { of: \"llmctl load\""),
            ("llmctl load a b", "Extra"),
            ("llmctl load --adapter a", "a model's name"),
            ("llmctl load a --adapter", "of: \"--adapter\""),
            ("llmctl load a --adaptr b", "nearest: Some(\"--adapter\")"),
            ("llmctl load a --adapter \"\"", "NameLength"),
            (
                "llmctl load a --adapter 1 --adapter 2 --adapter 3 --adapter 4 --adapter 5 --adapter 6 --adapter 7 \
                 --adapter 8 --adapter 9",
                "TooOften { option: \"--adapter\", limit: 8",
            ),
            ("llmctl wait", "MissingValue { of: \"llmctl wait\""),
            ("llmctl wait x", "why: Malformed"),
            ("llmctl wait 0", "why: OutOfRange"),
            ("llmctl wait -3", "why: OutOfRange"),
            ("llmctl budget a b", "Extra"),
            ("llmctl budget --period 5", "kind: Period"),
            ("llmctl audit now", "Extra"),
            ("llmctl audit verify now", "Extra"),
            ("llmctl audit attest a b", "Extra"),
            (
                "llmctl audit attest 0123456789abcdef0123456789abcdef0",
                "code: NameLength",
            ),
            ("llmctl audit --json verify", "Extra"),
            ("llmstats now", "Extra"),
            ("llmctl adapter", "MissingValue { of: \"llmctl adapter\""),
            ("llmctl adapter load", "an adapter's name"),
            ("llmctl adapter lod x", "nearest: Some(\"load\")"),
            ("llmctl adapter load a b", "Extra"),
            ("llmfinetune", "the name of data"),
            ("llmfinetune a b", "Extra"),
            ("llmfinetune a --rank x", "why: Malformed"),
            ("llmfinetune a --rate fast", "why: Malformed"),
            ("llmfinetune a --alpha -1", "why: OutOfRange"),
            (
                "llmfinetune a --targets some",
                "what: \"value\", of: \"--targets\"",
            ),
            ("llmfinetune a --epoch 3", "nearest: Some(\"--epochs\")"),
            ("llmfinetune a --example b", "Beside"),
            ("llmfinetune --rank 4 --example b", "Beside"),
            ("llmfinetune --example b --drop-examples", "Beside"),
            ("llmfinetune a --drop-examples", "Beside"),
            ("llmfinetune --answer b", "MissingValue { of: \"--answer\""),
            ("login", "MissingValue { of: \"login\""),
            ("login admin secret", "AfterUser"),
            ("help llmfrob", "Unknown"),
            ("help llmctl frob", "Unknown"),
        ] {
            assert!(
                parsed(line.as_bytes()).contains(part),
                "{line}: {}",
                parsed(line.as_bytes())
            );
        }
        assert!(parsed(b"llmctl load \xff").contains("BadName"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_command_or_an_error(
            line in prop::collection::vec(any::<u8>(), 0..200),
            command in prop::sample::select([COMMANDS, &["llminfer x --stop", "llmchat --choices", "llmctl audit", "llmctl budget", "llmctl adapter", "llmfinetune --rate"]].concat()),
        ) {
            parsed(&line);
            let mut with_command = command.as_bytes().to_vec();
            with_command.push(b' ');
            with_command.extend(&line);
            parsed(&with_command);
        }
    }
}
