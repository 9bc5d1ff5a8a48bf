use super::*;
use crate::command::Ask;
use crate::table::Kind;
use proptest::prelude::*;
use std::format;
use std::string::String;

/// The parsed line or its error, as debug text.
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
    // A command with all of its options fits.
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

/// Every option accepts a value of its kind, and changes the command.
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
            "Nonce(",
        ),
        ("llmctl audit attest \"a b\"", "Nonce("),
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
