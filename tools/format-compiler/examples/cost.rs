//! What masking costs: the time of choosing a token with a format and without, beside that of computing the logits.
//!
//! ```text
//! cargo run --release -p format-compiler --example cost -- MODEL.gguf [ANSWERS]
//! ```
//!
//! Times are of the thread, so a busy machine disturbs them little. A choice is a step of the scheduler that brings a
//! token; all other steps are the model's.

use std::time::Duration;

use format_compiler::{Source, compile};
use formats::Formats;
use formats::encode::image;
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::constrain::{Format, FormatTable};
use llm_core::generate::{GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::kv_cache::KvType;
use llm_core::sampling::SamplerParams;
use llm_core::simd::Cpu;
use llm_core::testing::Memory;
use llm_core::transformer::{Checked, LoadOptions, Positions};
use rustix::time::{ClockId, clock_gettime};

/// A format that is near the limit of states, one of few words, and what lies between.
const FORMATS: [(&str, bool, &str); 6] = [
    ("choices", false, "ignore|note|notify|ask somebody"),
    ("text", false, "[^\\x00-\\x1f]{40,}"),
    ("letters", false, "[a-z ]{40,}"),
    ("digits", false, "[0-9]{60}"),
    (
        "schema",
        true,
        r#"{"type": "object", "properties": {"class": {"enum": ["ignore", "note"]}, "reason": {"type": "string", "minLength": 20, "maxLength": 60}, "level": {"type": "number"}}, "required": ["class", "reason", "level"]}"#,
    ),
    (
        "largest",
        true,
        r#"{"type": "object", "properties": {"a": {"type": "string", "minLength": 60, "maxLength": 120}, "b": {"type": "string", "maxLength": 74}}, "required": ["a", "b"]}"#,
    ),
];

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Time of choices and of the model, and tokens.
fn run(
    backend: &mut TransformerBackend<'_>,
    format: Option<u8>,
    temperature: u32,
    answers: u64,
) -> (f64, f64, f64) {
    let (mut choices, mut model, mut tokens) = (0.0, 0.0, 0.0);
    let mut text = Text::new();
    for seed in 0..answers {
        let params = GenerateParams {
            max_tokens: 100,
            sampler: SamplerParams {
                seed,
                temperature,
                top_k: 40,
                top_p: 950_000,
                min_p: 50_000,
                ..SamplerParams::greedy()
            },
        };
        let turn = Turn {
            format: format.map(Format::Named),
            ..Turn::only(0)
        };
        backend
            .start(turn, Prompt::Text(b"Tell me:"), &params)
            .expect("started");
        let mut reads = true;
        loop {
            let begun = now();
            let progress = backend.step(&mut text);
            let took = (now() - begun).as_secs_f64();
            match progress {
                Progress::Session(_, Ok(Step::Token { .. })) => {
                    (choices, tokens, reads) = (choices + took, tokens + 1.0, false);
                }
                Progress::Idle => break,
                // The prompt is read in a batch.
                _ if !reads => model += took,
                _ => {}
            }
        }
    }
    (choices, model, tokens)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a model");
    let answers = arguments
        .next()
        .map_or(5, |count| count.parse().expect("a number"));
    let file = std::fs::read(&path).expect("the model");
    let options = LoadOptions {
        context: 256,
        kv: KvType::F32,
        sessions: 1,
        positions: Positions::Exactly(256),
        max_prompt_bytes: 256,
        cpu: Cpu::detect(),
        workers: 1,
    };
    let bytes = Checked::new(&file)
        .expect("a model")
        .plan(&options, usize::MAX >> 16)
        .expect("a plan")
        .total();
    let mut memory = Memory::new(bytes as usize);
    let mut backend =
        TransformerBackend::new(Arena::new(memory.bytes()).expect("an arena"), options);
    backend.load(&file).expect("loaded");
    let formats = FORMATS.map(|(name, is_schema, text)| {
        let source = if is_schema {
            Source::JsonSchema(text)
        } else {
            Source::Regex(text)
        };
        (name, compile(source).expect("a format"))
    });
    let image = image(formats.iter().map(|(name, format)| (*name, format))).expect("an image");
    let set = Formats::read(&image).expect("formats");
    let mut costs = vec![0; set.states()];
    let begun = now();
    backend.set_formats(FormatTable::new(set, &mut costs).expect("a table"));
    println!(
        "{} states, measured for this vocabulary in {:.1} ms",
        set.states(),
        (now() - begun).as_secs_f64() * 1e3
    );
    for temperature in [0, 1_500_000] {
        let (choices, model, tokens) = run(&mut backend, None, temperature, answers);
        let (free, token) = (choices / tokens, (choices + model) / tokens);
        println!(
            "temperature {}: a token {:.1} us, of which {:.1} us for its choice",
            f64::from(temperature) / 1e6,
            token * 1e6,
            free * 1e6
        );
        for (number, (name, format)) in formats.iter().enumerate() {
            let (choices, _, tokens) = run(&mut backend, Some(number as u8), temperature, answers);
            let more = choices / tokens - free;
            println!(
                "  {name:<8} {:>4} states {:>7} bytes: {:>6.1} us more, {:>5.1} % of a token",
                format.states(),
                format.size(),
                more * 1e6,
                100.0 * more / token
            );
        }
    }
}
