//! Words become a command.

use crate::command::{
    ADAPTER_DEEDS, AUDIT_OPTIONS, Ask, BUDGET_OPTIONS, CHAT_OPTIONS, COLOURS, COMMANDS, CONTROLS,
    Command, CommandError, FINETUNE_OPTIONS, INFER_OPTIONS, LOAD_OPTIONS, STATS_OPTIONS, TARGETS,
};
use crate::screen::Colour;
use crate::suggest::nearest;
use crate::values::{millionths, name, period, rate, whole, whole_u32};
use crate::words::Words;
use protocol::limits::{MAX_ADAPTERS, MAX_NAME_BYTES, MAX_STOPS};
use protocol::name::{ModelName, UserName};
use protocol::wire::client::LogQuery;
use protocol::wire::{TARGETS_ALL, TARGETS_ATTENTION, TrainParams};

type Parsed<'a, T = Command<'a>> = Result<T, CommandError<'a>>;

/// The command in `words`.
pub(crate) fn parse(words: &Words) -> Parsed<'_> {
    let mut words = words.iter();
    let Some(first) = words.next() else {
        return Ok(Command::Empty);
    };
    match first {
        b"llminfer" => infer(&mut words),
        b"llmchat" => chat(&mut words),
        b"llmctl" => control(&mut words),
        b"llmstats" => stats(&mut words),
        b"llmfinetune" => fine_tune(&mut words),
        b"login" => {
            let user = name(value("login", "a user's name", &mut words)?)?;
            match words.next() {
                Some(_) => Err(CommandError::AfterUser),
                None => Ok(Command::Login(user)),
            }
        }
        b"logout" => nothing_more("logout", &mut words, Command::Logout),
        b"whoami" => nothing_more("whoami", &mut words, Command::WhoAmI),
        b"exit" => nothing_more("exit", &mut words, Command::Exit),
        b"help" => help(&mut words),
        b"color" => colour(&mut words),
        word => Err(unknown("command", word, COMMANDS)),
    }
}

/// `color auto`, `color on`, `color off`.
fn colour<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let word = value("color", "auto, on or off", words)?;
    let colour = match option("value of color", word, COLOURS)? {
        "auto" => Colour::Auto,
        "on" => Colour::On,
        // The last of the list.
        _ => Colour::Off,
    };
    nothing_more("color", words, Command::Colour(colour))
}

fn nothing_more<'a, T>(
    of: &'static str,
    words: &mut impl Iterator<Item = &'a [u8]>,
    done: T,
) -> Parsed<'a, T> {
    match words.next() {
        Some(word) => Err(CommandError::Extra { of, word }),
        None => Ok(done),
    }
}

fn value<'a>(
    of: &'static str,
    what: &'static str,
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Parsed<'a, &'a [u8]> {
    words.next().ok_or(CommandError::MissingValue { of, what })
}

/// The option that `word` is.
fn option<'a>(
    what: &'static str,
    word: &'a [u8],
    there_are: &[&'static str],
) -> Parsed<'a, &'static str> {
    let known = there_are.iter().find(|name| name.as_bytes() == word);
    known.copied().ok_or_else(|| unknown(what, word, there_are))
}

fn unknown<'a>(what: &'static str, word: &'a [u8], there_are: &[&'static str]) -> CommandError<'a> {
    CommandError::Unknown {
        what,
        word,
        nearest: nearest(word, there_are),
    }
}

/// `help`, `help COMMAND`, `help CONTROL`, `help llmctl CONTROL`.
fn help<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let Some(word) = words.next() else {
        return Ok(Command::Help(None));
    };
    let of = "help";
    if word == b"llmctl" {
        return match words.next() {
            None => Ok(Command::Help(Some("llmctl"))),
            Some(word) => {
                let topic = option("command of llmctl", word, CONTROLS)?;
                nothing_more(of, words, Command::Help(Some(topic)))
            }
        };
    }
    let control = CONTROLS.iter().find(|name| name.as_bytes() == word);
    let topic = match control {
        Some(control) => control,
        None => option("command", word, COMMANDS)?,
    };
    nothing_more(of, words, Command::Help(Some(topic)))
}

fn control<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let word = value("llmctl", "a command; see 'help llmctl'", words)?;
    match option("command of llmctl", word, CONTROLS)? {
        "models" => nothing_more("llmctl models", words, Command::Models),
        "load" => load(words),
        "adapters" => nothing_more("llmctl adapters", words, Command::Adapters),
        "adapter" => adapter(words),
        "formats" => nothing_more("llmctl formats", words, Command::Formats),
        "status" => nothing_more("llmctl status", words, Command::Status),
        "sessions" => nothing_more("llmctl sessions", words, Command::Sessions),
        "close" => {
            let of = "llmctl close";
            let session = name(value(of, "a session's name", words)?)?;
            nothing_more(of, words, Command::Close(session))
        }
        "jobs" => nothing_more("llmctl jobs", words, Command::Jobs),
        "wait" => {
            let of = "llmctl wait";
            let job = value(of, "a job's number, see 'llmctl jobs'", words)?;
            let job = whole_u32(of, job)?;
            nothing_more(of, words, Command::Wait(job))
        }
        "cancel" => {
            let of = "llmctl cancel";
            let job = words.next().map(|word| whole_u32(of, word)).transpose()?;
            nothing_more(of, words, Command::Cancel(job))
        }
        "budget" => budget(words),
        "audit" => audit(words),
        // The last of the list.
        _ => nothing_more("llmctl reset", words, Command::Reset),
    }
}

fn load<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let of = "llmctl load";
    let mut model = None;
    let mut adapters: [&[u8]; MAX_ADAPTERS] = [&[]; MAX_ADAPTERS];
    let mut places = adapters.iter_mut();
    while let Some(word) = words.next() {
        if !word.starts_with(b"--") {
            if model.replace(name(word)?).is_some() {
                return Err(CommandError::Extra { of, word });
            }
            continue;
        }
        let option = option("option of llmctl load", word, LOAD_OPTIONS)?;
        let word = value(option, "an adapter's name", words)?;
        name::<MAX_NAME_BYTES>(word)?;
        let place = places.next().ok_or(CommandError::Extra { of, word })?;
        *place = word;
    }
    let missing = CommandError::MissingValue {
        of,
        what: "a model's name",
    };
    Ok(Command::Load {
        model: model.ok_or(missing)?,
        adapters,
    })
}

fn adapter<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let of = "llmctl adapter";
    let word = value(of, "load, drop or export", words)?;
    let deed = option("command of llmctl adapter", word, ADAPTER_DEEDS)?;
    let adapter = name(value(of, "an adapter's name", words)?)?;
    let command = match deed {
        "load" => Command::LoadAdapter(adapter),
        "drop" => Command::DropAdapter(adapter),
        // The last of the list.
        _ => Command::ExportAdapter(adapter),
    };
    nothing_more(of, words, command)
}

fn budget<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let (mut user, mut tokens, mut time) = (UserName::EMPTY, None, None);
    while let Some(word) = words.next() {
        if !word.starts_with(b"--") {
            let of = "llmctl budget";
            if !user.is_empty() {
                return Err(CommandError::Extra { of, word });
            }
            user = name(word)?;
            continue;
        }
        let option = option("option of llmctl budget", word, BUDGET_OPTIONS)?;
        let word = value(option, "a value", words)?;
        match option {
            "--tokens" => tokens = Some(whole(option, word, u64::MAX)?),
            _ => time = Some(period(option, word)?),
        }
    }
    Ok(Command::Budget {
        user,
        tokens,
        period: time,
    })
}

fn audit<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let (mut query, mut json) = (LogQuery::default(), false);
    let mut first = true;
    while let Some(word) = words.next() {
        if core::mem::take(&mut first) && word == b"verify" {
            return nothing_more("llmctl audit verify", words, Command::VerifyAudit);
        }
        let option = option("option of llmctl audit", word, AUDIT_OPTIONS)?;
        match option {
            "--last" => query.last = whole(option, value(option, "a number", words)?, u64::MAX)?,
            "--user" => query.user = name(value(option, "a user's name", words)?)?,
            "--json" => json = true,
            _ => query.follow = true,
        }
    }
    Ok(Command::Audit { query, json })
}

fn stats<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let (mut json, mut watch) = (false, false);
    for word in words {
        match option("option of llmstats", word, STATS_OPTIONS)? {
            "--json" => json = true,
            _ => watch = true,
        }
    }
    Ok(Command::Stats { json, watch })
}

fn fine_tune<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let of = "llmfinetune";
    let mut params = TrainParams::default();
    let (mut data, mut adapter) = (ModelName::EMPTY, ModelName::EMPTY);
    let (mut text, mut answer, mut drop) = (None, None, false);
    // What belongs to a fine-tuning itself, if anything does.
    let mut tunes = None;
    while let Some(word) = words.next() {
        if !word.starts_with(b"--") {
            if !data.is_empty() {
                return Err(CommandError::Extra { of, word });
            }
            data = name(word)?;
            tunes = tunes.or(Some("data"));
            continue;
        }
        let option = option("option of llmfinetune", word, FINETUNE_OPTIONS)?;
        if option == "--drop-examples" {
            drop = true;
            continue;
        }
        let word = value(option, "a value", words)?;
        match option {
            "--example" => text = Some(word),
            "--answer" => answer = Some(word),
            _ => tunes = tunes.or(Some(option)),
        }
        match option {
            "--adapter" => adapter = name(word)?,
            "--rank" => params.rank = whole_u32(option, word)?,
            "--alpha" => params.alpha = millionths(option, word)?,
            "--epochs" => params.epochs = whole_u32(option, word)?,
            "--rate" => params.rate = rate(word)?,
            "--targets" => params.targets = targets(word)?,
            "--seed" => params.seed = whole(option, word, u64::MAX)?,
            _ => {}
        }
    }
    match (text, answer, drop, tunes) {
        (Some(_), _, _, Some(other)) => Err(CommandError::Beside {
            of,
            option: "--example",
            other,
        }),
        (Some(_), _, true, _) => Err(CommandError::Beside {
            of,
            option: "--example",
            other: "--drop-examples",
        }),
        (None, Some(_), ..) => Err(CommandError::MissingValue {
            of: "--answer",
            what: "its prompt, with --example",
        }),
        (None, None, true, Some(other)) => Err(CommandError::Beside {
            of,
            option: "--drop-examples",
            other,
        }),
        (Some(text), answer, false, None) => Ok(Command::Example { text, answer }),
        (None, None, true, None) => Ok(Command::DropExamples),
        (None, None, false, _) if data.is_empty() => Err(CommandError::MissingValue {
            of,
            what: "the name of data, or 'examples' for those that were typed",
        }),
        (None, None, false, _) => Ok(Command::FineTune {
            params,
            data,
            adapter,
        }),
    }
}

fn targets(word: &[u8]) -> Parsed<'_, u32> {
    match option("value of --targets", word, TARGETS)? {
        "attention" => Ok(TARGETS_ATTENTION),
        // The last of the list.
        _ => Ok(TARGETS_ALL),
    }
}

/// The words of `llminfer` and `llmchat`.
struct Asked<'a> {
    ask: Ask<'a>,
    raw: bool,
    background: bool,
    /// The word that is no option.
    prompt: Option<&'a [u8]>,
}

fn infer<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let of = "llminfer";
    let asked = ask(of, "option of llminfer", INFER_OPTIONS, words)?;
    let what = "a prompt";
    Ok(Command::Infer {
        ask: asked.ask,
        raw: asked.raw,
        background: asked.background,
        prompt: asked
            .prompt
            .ok_or(CommandError::MissingValue { of, what })?,
    })
}

fn chat<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Parsed<'a> {
    let of = "llmchat";
    let asked = ask(of, "option of llmchat", CHAT_OPTIONS, words)?;
    match asked.prompt {
        Some(word) => Err(CommandError::Extra { of, word }),
        None => Ok(Command::Chat(asked.ask)),
    }
}

fn ask<'a>(
    of: &'static str,
    what: &'static str,
    options: &[&'static str],
    words: &mut impl Iterator<Item = &'a [u8]>,
) -> Parsed<'a, Asked<'a>> {
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
    let mut free_stops = stops.iter_mut();
    let mut stops = None;
    while let Some(word) = words.next() {
        if !word.starts_with(b"--") {
            if asked.prompt.replace(word).is_some() {
                return Err(CommandError::Extra { of, word });
            }
            continue;
        }
        let option = option(what, word, options)?;
        match option {
            "--background" => asked.background = true,
            "--raw" => asked.raw = true,
            _ => {}
        }
        if matches!(option, "--background" | "--raw") {
            continue;
        }
        let word = value(option, "a value", words)?;
        let sampling = &mut params.sampling;
        match option {
            "--max-tokens" => params.max_tokens = whole_u32(option, word)?,
            "--temperature" => sampling.temperature = millionths(option, word)?,
            "--top-k" => sampling.top_k = whole_u32(option, word)?,
            "--top-p" => sampling.top_p = millionths(option, word)?,
            "--min-p" => sampling.min_p = millionths(option, word)?,
            "--repeat-penalty" => sampling.repeat_penalty = millionths(option, word)?,
            "--repeat-last-n" => sampling.repeat_last_n = whole_u32(option, word)?,
            "--seed" => sampling.seed = whole(option, word, u64::MAX)?,
            "--session" => *session = name(word)?,
            "--adapter" => *adapter = name(word)?,
            "--system" => *system = Some(word),
            "--format" => *format = name(word)?,
            "--choices" => *choices = Some(word),
            // The last of the list that takes a value.
            _ => {
                let limit = MAX_STOPS;
                let stop = free_stops.next();
                *stop.ok_or(CommandError::TooOften { option, limit })? = Some(word);
                stops = Some(option);
            }
        }
    }
    let raw = asked.raw.then_some("--raw");
    let system = system.map(|_| "--system");
    let choices = choices.map(|_| "--choices");
    let format = (!format.is_empty()).then_some("--format");
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
        ] {
            assert_eq!(parsed(line.as_bytes()), format!("Ok({expected})"), "{line}");
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
            ("llminfer a --max-tokens -1", "Whole"),
            ("llminfer a --max-tokens 4294967296", "Whole"),
            ("llminfer a --seed 18446744073709551616", "Whole"),
            ("llminfer a --temperature hot", "Decimal"),
            ("llminfer a --top-p 0.1234567", "TooPrecise"),
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
            ("llmchat --raw", "Unknown { what: \"option of llmchat\""),
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
                "Extra { of: \"llmctl load\"",
            ),
            ("llmctl wait", "MissingValue { of: \"llmctl wait\""),
            ("llmctl wait x", "Whole"),
            ("llmctl budget a b", "Extra"),
            ("llmctl budget --period 5", "Period"),
            ("llmctl audit now", "Unknown"),
            ("llmctl audit verify now", "Extra"),
            ("llmctl audit --json verify", "Unknown"),
            ("llmstats now", "Unknown"),
            ("llmctl adapter", "MissingValue { of: \"llmctl adapter\""),
            ("llmctl adapter load", "an adapter's name"),
            ("llmctl adapter lod x", "nearest: Some(\"load\")"),
            ("llmctl adapter load a b", "Extra"),
            ("llmfinetune", "the name of data"),
            ("llmfinetune a b", "Extra"),
            ("llmfinetune a --rank x", "Whole"),
            ("llmfinetune a --rate fast", "Rate"),
            ("llmfinetune a --alpha -1", "Decimal"),
            ("llmfinetune a --targets some", "value of --targets"),
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
