//! Parses words into a command, with the [table](crate::table) of commands.
//!
//! First, the words are sorted into operands and options, in the same way for every command. Then the command handles
//! each of its options by name, so an unknown one cannot be ignored. (Crates for options, such as `getargs`, read
//! `-sys` as `-s ys`; llama.cpp has such names, and they work here.)

use crate::command::{Ask, Cause, Command, CommandError, LookAlike};
use crate::screen::Colour;
use crate::suggest::{meant, nearest};
use crate::table::{
    ADAPTER_DEEDS, AuditOption, BudgetOption, COLOURS, COMMANDS, CONTROLS, Control, Deed,
    FineTuneOption, Hue, InferOption, Kind, LoadOption, LogDeed, MAX_OPERANDS, OptionSpec, Spec,
    StatsOption, TARGETS, Target, Verb, is_option, llama,
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
    /// Each option's index in the command's list, and its value, which is empty for a flag.
    options: heapless::Vec<(usize, &'a [u8]), MAX_WORDS>,
    /// The typographic character that a word begins with.
    look_alike: Option<LookAlike>,
    /// The option whose text was followed by a word that belongs to no option, probably because of missing quotes.
    unquoted: Option<&'static str>,
}

impl<'a> Given<'a> {
    const fn new() -> Self {
        Self {
            operands: heapless::Vec::new(),
            options: heapless::Vec::new(),
            look_alike: None,
            unquoted: None,
        }
    }

    /// Notes if a word begins with a look-alike.
    fn look_at(&mut self, word: &[u8]) {
        self.look_alike = self.look_alike.or_else(|| LookAlike::of(word));
    }

    /// The error for an extra word, with its likely reason.
    fn extra(&self, of: &'static str, word: &'a [u8]) -> CommandError<'a> {
        let cause = match (self.look_alike, self.unquoted) {
            (Some(sign), _) => Cause::LookAlike(sign),
            (None, Some(option)) => Cause::Unquoted(option),
            (None, None) => Cause::Unknown,
        };
        CommandError::Extra { of, word, cause }
    }

    /// The first operand, if there is one.
    fn operand(&self) -> Option<&'a [u8]> {
        self.operands.first().copied()
    }
}

/// Sorts the words of a command.
fn take<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a, Given<'a>> {
    let of = spec.name;
    let mut given = Given::new();
    let mut may_be_option = true;
    // The option whose text was the previous word.
    let mut text_of = None;
    while let Some(word) = words.next() {
        given.look_at(word);
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
            // It fits: a line does not have more words.
            let _ = given.options.push((place, value));
            given.look_at(value);
            let is_text = |option: &&OptionSpec| option.kind == Kind::Text;
            text_of = option.filter(is_text).map(|option| option.name);
        } else {
            given.unquoted = text_of.take().or(given.unquoted);
            if given.operands.len() >= spec.operands.len() || given.operands.push(word).is_err() {
                return Err(given.extra(of, word));
            }
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

/// Index and value of the option in `word`. The value follows `=`, or is the next word.
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
        if let Some(instead) = llama::instead_of(spec.options, called) {
            let (of, option) = (spec.name, called);
            return Err(CommandError::OfLlama {
                of,
                option,
                instead,
            });
        }
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

/// The given options, each by its variant in the command's enum, with its table entry.
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
        nearest: meant(first).or_else(|| nearest(first, COMMANDS.iter().copied())),
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
            // The word may be a passphrase.
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

/// Whether a word after a command asks for its help.
fn asks_for_help(word: &&[u8]) -> bool {
    matches!(*word, b"--help" | b"-h")
}

/// `color auto`, `color on`, `color off`.
fn colour<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let given = take(spec, words)?;
    let word = given.operand().unwrap_or(&[]);
    one_of("value", spec.name, word, COLOURS, spec.topic)?;
    Ok(Command::Colour(match Hue::find(word) {
        Some(Hue::On) => Colour::On,
        Some(Hue::Off) => Colour::Off,
        Some(Hue::Auto) | None => Colour::Auto,
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
        Some(word) => Err(Given::new().extra("help", word)),
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
                // There is a place for each one that is allowed.
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
            Some(word) => Err(Given::new().extra(of, word)),
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
    // The first option that belongs to a fine-tuning, if any.
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
        (Some(_), _, _, _, Some(_)) if given.unquoted.is_some() => {
            Err(given.extra(of, given.operand().unwrap_or(&[])))
        }
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

/// The parsed words of `llminfer` and `llmchat`.
struct Asked<'a> {
    ask: Ask<'a>,
    raw: bool,
    background: bool,
    /// Value of --prompt.
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
                // There is a place for each one that is allowed.
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
    // The format determines where an answer ends, so other limits are refused.
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
mod tests;
