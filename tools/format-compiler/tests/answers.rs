//! Answers of the default model at a high temperature belong to their formats, as others judge: the crates `regex` and
//! `jsonschema`, and a reader of JSON.
//!
//! `ANSWERS=1000` asks for as many of each format; a few otherwise.

use std::path::Path;

use format_compiler::{Source, compile};
use formats::encode::{Encoded, image};
use formats::{Formats, MAX_FORMATS};
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::constrain::{Format, FormatTable};
use llm_core::generate::{FinishReason, GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::kv_cache::KvType;
use llm_core::sampling::SamplerParams;
use llm_core::simd::Cpu;
use llm_core::testing::Memory;
use llm_core::transformer::{Checked, LoadOptions, MAX_SESSIONS, Positions};

/// Most tokens of an answer.
const MOST: u32 = 96;

const REGEXES: [&str; 40] = [
    "yes|no|unsure",
    "yes|yes, but|yes, but not now",
    "[a-z]+",
    "[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8}){0,2}",
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    "([01][0-9]|2[0-3]):[0-5][0-9]",
    r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}",
    r"\d+",
    r"-?\d{1,5}(\.\d{1,3})?",
    "[01]{16}",
    "(ab)*c",
    "a{0,10}b{3}",
    r"[^\x00-\x1f]{1,20}",
    r"\w{1,8}",
    r"\p{Greek}{2,6}",
    r"\p{L}+, \p{L}+!",
    "[äöüß]{1,4}",
    "(😀|😂|🎉){1,3}",
    r".{5}",
    r"(?s).{0,12}",
    r"(?i)alarm|warning|all clear",
    "Once upon a time, .{10,40}[.]",
    "The (cat|dog|bird) (sat|ran|flew) (on|under|over) the (mat|hill|house)[.!?]",
    r"#[0-9a-f]{6}",
    r"[a-z0-9]+@[a-z0-9]+\.(org|net|com)",
    r"https?://[a-z]{1,10}\.example(/[a-z]{1,5}){0,3}",
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})",
    r"(\((\((\(\))*\))*\)){1,3}",
    r"- [a-z ]{1,20}\n- [a-z ]{1,20}\n- [a-z ]{1,20}",
    r"\|([a-z]{1,5}\|){3}",
    r"(?x) turn \s (on|off) \s (lamp|fan) \s [1-9]",
    r"[^aeiou\s]{3,6}",
    r"[\u{4e00}-\u{9fff}]{1,5}",
    r"(one|two|three)(, (one|two|three)){0,4}",
    "\"[^\"\\\\]{0,20}\"",
    r"(a|b)*abb",
    r"x?y?z?[xyz]",
    r"[ -~]{60}",
    r"ignore|note|notify|act: (open|close) (door|valve) [0-9]{1,3}",
];

const SCHEMAS: [&str; 25] = [
    r#"{"type": "boolean"}"#,
    r#"{"type": "null"}"#,
    r#"{"type": "integer"}"#,
    r#"{"type": "integer", "minimum": -12, "maximum": 340}"#,
    r#"{"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 100000}"#,
    r#"{"type": "number"}"#,
    r#"{"type": "number", "minimum": -1, "exclusiveMaximum": 1}"#,
    r#"{"type": "string"}"#,
    r#"{"type": "string", "minLength": 3, "maxLength": 12}"#,
    r#"{"enum": ["red", "green", "blue", null, 7, 1.5, "a \"quoted\" wörd\n", [1, {"a": 2}]]}"#,
    r#"{"const": {"a": [1, 2, {"b": null}]}}"#,
    r#"{"type": ["string", "null", "integer"], "maxLength": 5, "minimum": 0}"#,
    r#"{"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 5}"#,
    r#"{"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 3}"#,
    r#"{"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 1, "maxItems": 3}, "minItems": 1, "maxItems": 3}"#,
    r#"{"type": "array", "prefixItems": [{"type": "integer", "minimum": 1, "maximum": 9}, {"enum": ["x", "y"]}, {"type": "null"}]}"#,
    r#"{"type": "object", "properties": {"answer": {"enum": ["yes", "no", "unsure"]}}, "required": ["answer"]}"#,
    r#"{"type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99}, "b": {"type": "boolean"}, "c": {"type": "string", "maxLength": 8}}}"#,
    r#"{"type": "object", "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 10}, "tags": {"type": "array", "items": {"enum": ["a", "b", "ü"]}, "maxItems": 3}}, "required": ["name", "tags"], "additionalProperties": false}"#,
    r#"{"type": "object", "properties": {"outer": {"type": "object", "properties": {"inner": {"type": "object", "properties": {"value": {"type": "number", "minimum": 0, "maximum": 10}}, "required": ["value"]}}, "required": ["inner"]}}, "required": ["outer"]}"#,
    r#"{"anyOf": [{"type": "string", "maxLength": 3}, {"type": "integer", "minimum": 5}, {"type": "number", "maximum": 4}]}"#,
    r#"{"oneOf": [{"type": "object", "properties": {"op": {"const": "open"}, "door": {"type": "integer", "minimum": 1, "maximum": 12}}, "required": ["op", "door"], "additionalProperties": false}, {"type": "object", "properties": {"op": {"const": "wait"}, "seconds": {"type": "number", "minimum": 0, "maximum": 60}}, "required": ["op", "seconds"], "additionalProperties": false}, {"type": "null"}]}"#,
    r##"{"$defs": {"point": {"type": "object", "properties": {"x": {"type": "integer", "minimum": -9, "maximum": 9}, "y": {"type": "integer", "minimum": -9, "maximum": 9}}, "required": ["x", "y"]}}, "type": "array", "items": {"$ref": "#/$defs/point"}, "minItems": 1, "maxItems": 2}"##,
    r#"{"title": "An event", "description": "what a sensor says", "type": "object", "properties": {"class": {"enum": ["ignore", "note", "notify"]}, "reason": {"type": "string", "maxLength": 24}, "confidence": {"type": "number", "minimum": 0, "maximum": 1}}, "required": ["class", "confidence"]}"#,
    r#"{"type": "object", "properties": {"schlüssel \"1\"": {"type": "null"}, "a/b": {"const": "€"}, "": {"type": "boolean"}}, "required": ["", "a/b"]}"#,
];

/// How many answers of each format.
fn answers() -> usize {
    let asked = std::env::var("ANSWERS").ok();
    asked.map_or(6, |count| count.parse().expect("ANSWERS is a number"))
}

/// Gives `judge` the answers of the default model, some of each format, with the number of the format.
fn ask(formats: &[Encoded], mut judge: impl FnMut(usize, &str)) {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/default.gguf");
    let file = std::fs::read(model).expect("the default model");
    let options = LoadOptions {
        context: 512,
        kv: KvType::F32,
        sessions: MAX_SESSIONS,
        positions: Positions::Exactly(MAX_SESSIONS * 256),
        max_prompt_bytes: 256,
        cpu: Cpu::detect(),
        workers: 1,
    };
    let plan = Checked::new(&file).expect("a model");
    let bytes = plan
        .plan(&options, usize::MAX >> 16)
        .expect("a plan")
        .total();
    let mut memory = Memory::new(bytes as usize);
    let mut backend =
        TransformerBackend::new(Arena::new(memory.bytes()).expect("an arena"), options);
    backend.load(&file).expect("loaded");
    for (first, group) in (0..).step_by(MAX_FORMATS).zip(formats.chunks(MAX_FORMATS)) {
        let names: Vec<String> = (0..group.len()).map(|n| format!("f{n}")).collect();
        let image = image(names.iter().map(String::as_str).zip(group)).expect("an image");
        let set = Formats::read(image.leak()).expect("formats");
        let costs = vec![0; set.states()].leak();
        backend.set_formats(FormatTable::new(set, costs).expect("a table"));
        // Each round asks once in every session.
        let mut jobs =
            (0..answers() as u64).flat_map(|seed| (0..group.len()).map(move |n| (n, seed)));
        let mut running = [const { None }; MAX_SESSIONS];
        let mut text = Text::new();
        loop {
            for (session, slot) in running
                .iter_mut()
                .enumerate()
                .filter(|(_, slot)| slot.is_none())
            {
                let Some((number, seed)) = jobs.next() else {
                    break;
                };
                let turn = Turn {
                    format: Some(Format::Named(number as u8)),
                    ..Turn::only(session)
                };
                let params = GenerateParams {
                    max_tokens: if seed % 3 == 0 { MOST } else { 2 * MOST },
                    sampler: SamplerParams {
                        seed,
                        temperature: 1_500_000,
                        top_k: [40, 0, 400][seed as usize % 3],
                        ..SamplerParams::greedy()
                    },
                };
                let prompt =
                    ["Once upon a time", "{\"a\": 1}", "The answer is: "][seed as usize / 3 % 3];
                backend
                    .start(turn, Prompt::Text(prompt.as_bytes()), &params)
                    .expect("started");
                *slot = Some((number, String::new()));
            }
            match backend.step(&mut text) {
                Progress::Idle => break,
                Progress::Session(session, step) => match step.expect("a step") {
                    Step::Token { .. } => {
                        let (_, said) = running[session].as_mut().expect("a request");
                        said.push_str(&text);
                    }
                    Step::Finished { reason, .. } => {
                        let (number, said) = running[session].take().expect("a request");
                        assert!(
                            matches!(reason, FinishReason::EndOfText | FinishReason::MaxTokens),
                            "{reason:?}"
                        );
                        judge(first + number, &said);
                    }
                    Step::Prefill { .. } => {}
                },
                _ => {}
            }
        }
    }
}

#[test]
fn answers_match_their_regular_expressions() {
    let formats = REGEXES.map(|pattern| {
        compile(Source::Regex(pattern)).unwrap_or_else(|error| panic!("{pattern}: {error}"))
    });
    let judges = REGEXES.map(|pattern| {
        regex::Regex::new(&format!(r"\A(?:{pattern})\z")).expect("a regular expression")
    });
    let mut judged = [0; REGEXES.len()];
    ask(&formats, |number, said| {
        assert!(
            judges[number].is_match(said),
            "{}: {said:?}",
            REGEXES[number]
        );
        judged[number] += 1;
    });
    assert_eq!(judged, [answers(); REGEXES.len()]);
}

#[test]
fn answers_are_values_of_their_schemas() {
    let formats = SCHEMAS.map(|schema| {
        compile(Source::JsonSchema(schema)).unwrap_or_else(|error| panic!("{schema}: {error}"))
    });
    let judges = SCHEMAS.map(|schema| {
        let schema = serde_json::from_str(schema).expect("JSON");
        jsonschema::validator_for(&schema).expect("a schema")
    });
    let mut judged = [0; SCHEMAS.len()];
    ask(&formats, |number, said| {
        let value: serde_json::Value = serde_json::from_str(said)
            .unwrap_or_else(|error| panic!("{}: {said:?}: {error}", SCHEMAS[number]));
        assert!(
            judges[number].is_valid(&value),
            "{}: {said:?}",
            SCHEMAS[number]
        );
        judged[number] += 1;
    });
    assert_eq!(judged, [answers(); SCHEMAS.len()]);
}
