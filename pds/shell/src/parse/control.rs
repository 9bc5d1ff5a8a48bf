//! Commands about the system: models, adapters, budgets, the log, fine-tuning.

use super::options::{Given, each, take};
use super::{Parsed, help, one_of};
use crate::command::{Command, CommandError};
use crate::parse::asks_for_help;
use crate::suggest::nearest;
use crate::table::{
    ADAPTER_DEEDS, AuditOption, BudgetOption, CONTROLS, Control, Deed, FineTuneOption, LoadOption,
    LogDeed, OptionSpec, Spec, StatsOption, TARGETS, Target,
};
use crate::values::{job_number, name};
use core::iter::Peekable;
use protocol::limits::MAX_ADAPTERS;
use protocol::name::{ModelName, UserName};
use protocol::wire::client::LogQuery;
use protocol::wire::{TARGETS_ALL, TARGETS_ATTENTION, TrainParams};

pub(super) fn control<'a>(words: &mut Peekable<impl Iterator<Item = &'a [u8]>>) -> Parsed<'a> {
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

pub(super) fn nothing_more<'a>(
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
                let nonce = words
                    .next()
                    .map(|word| name(word).map_err(|_| CommandError::Nonce(word)));
                let nonce = nonce.transpose()?;
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

pub(super) fn stats<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
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

pub(super) fn fine_tune<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
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
