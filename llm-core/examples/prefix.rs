//! `prefix MODEL PREFIX REQUEST ANSWER TIMES`: what a request costs whose first PREFIX tokens another of the same owner has
//! had, and one whose has not. Each has REQUEST tokens of its own and an answer of ANSWER tokens. Medians of TIMES rounds.

use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::generate::{GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::kv_cache::KvType;
use llm_core::sampling::SamplerParams;
use llm_core::simd::Cpu;
use llm_core::testing::Memory;
use llm_core::transformer::{Checked, LoadOptions, Positions};
use std::error::Error;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, numbers @ ..] = &arguments[..] else {
        return Err("usage: prefix MODEL PREFIX REQUEST ANSWER TIMES".into());
    };
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|n| n.parse())
        .collect::<Result<_, _>>()?;
    let [prefix, request, answer, times] = numbers[..] else {
        return Err("PREFIX REQUEST ANSWER TIMES are four numbers".into());
    };
    let file = std::fs::read(path)?;
    let context = (prefix + request + answer).next_multiple_of(16);
    let options = LoadOptions {
        context,
        kv: KvType::Q8,
        sessions: 1,
        positions: Positions::Exactly(2 * context),
        max_prompt_bytes: 64,
        cpu: Cpu::detect(),
        workers: 1,
    };
    let checked = Checked::new(&file)?;
    let bytes = checked.plan(&options, usize::MAX)?.total() as usize;
    let mut memory = Memory::new(bytes);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes())?, options);
    let vocabulary = backend.load(&file)?.vocabulary;

    // Ordinary tokens: which ones makes no difference to the time.
    let token = |n: usize| (vocabulary / 2 + (n * 37 % 101) as u32) % vocabulary;
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..times {
        backend.reset();
        for (n, took) in took.iter_mut().enumerate() {
            let own = (0..request).map(|m| token(1000 * (n + 1) + m));
            let prompt: Vec<u32> = (0..prefix).map(token).chain(own).collect();
            took.push(time(&mut backend, &prompt, answer)?);
        }
    }
    let [first, second] = took.map(|mut took| {
        took.sort_unstable();
        took[took.len() / 2]
    });
    let part = 100.0 * second.as_secs_f64() / first.as_secs_f64();
    println!("first {first:?}, second {second:?}, {part:.1} %");
    println!("{:?}", backend.occupancy());
    Ok(())
}

/// The time of a request from its arrival to its end.
fn time(
    backend: &mut TransformerBackend<'_>,
    prompt: &[u32],
    answer: usize,
) -> Result<Duration, Box<dyn Error>> {
    let params = GenerateParams {
        sampler: SamplerParams::greedy(),
        max_tokens: answer as u32,
    };
    let start = Instant::now();
    backend.start(Turn::only(0), Prompt::Tokens(prompt), &params)?;
    let mut text = Text::new();
    loop {
        match backend.step(&mut text) {
            Progress::Session(_, Ok(Step::Finished { .. })) => return Ok(start.elapsed()),
            Progress::Session(_, Err(error)) => return Err(error.into()),
            Progress::Idle => return Err("the request does not go on".into()),
            _ => {}
        }
    }
}
