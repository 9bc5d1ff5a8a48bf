//! Commands that ask for text.

use super::Parsed;
use super::options::{Given, each, take};
use crate::command::{Ask, Command, CommandError};
use crate::table::{InferOption, Spec};
use crate::values::name;

/// The parsed words of `llminfer` and `llmchat`.
pub(super) struct Asked<'a> {
    pub(super) ask: Ask<'a>,
    raw: bool,
    background: bool,
    /// Value of --prompt.
    prompt: Option<&'a [u8]>,
}

pub(super) fn infer<'a>(spec: &Spec, words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
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

pub(super) fn ask<'a>(spec: &Spec, given: &Given<'a>) -> Parsed<'a, Asked<'a>> {
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
