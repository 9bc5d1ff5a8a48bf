//! Whole models: logits of every position, generations whose sessions continue, and answers: to conversations, in
//! formats, up to stop strings.

use super::{Case, Machine};
use crate::bits::Bits;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use formats::stop::Stops;
use formats::{Choices, Formats};
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::chat::{Role, SCAFFOLD_KEY, Segment, TEMPLATE_KEY, template_digest};
use llm_core::constrain::{Format, FormatTable};
use llm_core::generate::{GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::kv_cache::KvType;
use llm_core::quantize::TensorType;
use llm_core::sampling::SamplerParams;
use llm_core::team::Team;
use llm_core::testing::{Shape, family, gpt2, model};
use llm_core::transformer::{Checked, LoadOptions, Model, Positions};

/// Cases of whole models.
pub const CASES: &[Case] = &[
    Case::model("llama_f32_kv_f32", |c, b| {
        llama(c, NARROW, TensorType::F32, KvType::F32, b)
    }),
    Case::model("llama_f16_kv_f16", |c, b| {
        llama(c, NARROW, TensorType::F16, KvType::F16, b)
    }),
    Case::model("llama_q8_0_kv_q8", |c, b| {
        llama(c, NARROW, TensorType::Q8_0, KvType::Q8, b)
    }),
    Case::model("llama_q4_0_kv_f16", |c, b| {
        llama(c, NARROW, TensorType::Q4_0, KvType::F16, b)
    }),
    Case::model("llama_q4_k_kv_q8", |c, b| {
        llama(c, WIDE, TensorType::Q4K, KvType::Q8, b)
    }),
    Case::model("gpt2_q8_0_kv_q8", |c, b| {
        let file = gpt2(Shape {
            ty: TensorType::Q8_0,
            ..GPT2
        })
        .finish();
        logits(c, &file, KvType::Q8, b);
    }),
    Case::model("gpt2_f32_kv_f32", |c, b| {
        let file = gpt2(Shape {
            ty: TensorType::F32,
            ..GPT2
        })
        .finish();
        logits(c, &file, KvType::F32, b);
    }),
    Case::model("gemma2_f32_kv_f16", |c, b| {
        of_family(c, "gemma2", TensorType::F32, KvType::F16, b)
    }),
    Case::model("gemma3_q8_0_kv_q8", |c, b| {
        of_family(c, "gemma3", TensorType::Q8_0, KvType::Q8, b)
    }),
    Case::model("gptneox_q4_0_kv_q8", |c, b| {
        of_family(c, "gptneox", TensorType::Q4_0, KvType::Q8, b)
    }),
    Case::model("olmo2_q8_0_kv_f16", |c, b| {
        of_family(c, "olmo2", TensorType::Q8_0, KvType::F16, b)
    }),
    Case::model("granite_f32_kv_f32", |c, b| {
        of_family(c, "granite", TensorType::F32, KvType::F32, b)
    }),
    Case::model("generation_greedy", |c, b| {
        generation(c, SamplerParams::greedy(), b)
    }),
    Case::model("generation_sampled", |c, b| generation(c, SAMPLED, b)),
    Case::model("conversation", conversation),
    Case::model("answer_in_a_format", in_a_format),
    Case::model("answer_up_to_a_stop_string", up_to_a_stop_string),
];

/// Written instead of a token count if the request is refused.
const REFUSED: u64 = u64::MAX;

pub(super) const NARROW: Shape = Shape {
    width: 64,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    feed_forward: 96,
    context: 64,
    tied: true,
    ty: TensorType::Q8_0,
};

/// Rows of k-quants consist of whole blocks of 256.
const WIDE: Shape = Shape {
    width: 256,
    layers: 1,
    feed_forward: 256,
    ..NARROW
};

pub(super) const GPT2: Shape = Shape {
    feed_forward: 256,
    tied: false,
    ..NARROW
};

const SAMPLED: SamplerParams = SamplerParams {
    seed: 42,
    temperature: 5_000_000,
    top_k: 40,
    top_p: 950_000,
    min_p: 20_000,
    repeat_penalty: 1_100_000,
    repeat_last_n: 32,
};

/// A backend with the machine's team.
pub(super) type Engine<'m> = TransformerBackend<'m, Box<dyn Team>>;

pub(super) const fn options(machine: &Machine, kv: KvType) -> LoadOptions {
    LoadOptions {
        context: 64,
        kv,
        sessions: 3,
        positions: Positions::Exactly(192),
        max_prompt_bytes: 256,
        cpu: machine.cpu,
        workers: machine.workers,
    }
}

fn engine<'m>(arena: Arena<'m>, machine: &Machine) -> Engine<'m> {
    Engine::with_team(arena, options(machine, KvType::Q8), machine.team())
}

fn of_family(machine: &Machine, name: &str, ty: TensorType, kv: KvType, bits: &mut Bits) {
    let shape = Shape { ty, ..NARROW };
    logits(machine, &family(name, shape).finish(), kv, bits);
}

fn llama(machine: &Machine, shape: Shape, ty: TensorType, kv: KvType, bits: &mut Bits) {
    logits(machine, &model(Shape { ty, ..shape }).finish(), kv, bits);
}

/// A prompt in one batch, then tokens one by one, across a boundary of cache blocks.
fn logits(machine: &Machine, file: &[u8], kv: KvType, bits: &mut Bits) {
    let mut memory = machine.memory(4 << 20);
    let mut arena = Arena::new((*memory).as_mut()).expect("aligned");
    let checked = Checked::new(file).expect("a sound model");
    let model = Model::load(&checked, &options(machine, kv), &mut arena).expect("room for it");
    let ids: Vec<u32> = (0..20).map(|n| (n * n * 7 + 3) % 250).collect();
    model.reserve(&mut arena, 0, ids.len()).expect("positions");
    let (prompt, rest) = ids.split_at(6);
    let mut team = machine.team();
    model
        .forward(&mut arena, &mut team, prompt, 0, true)
        .expect("finite");
    bits.floats(model.logits(&arena));
    for (n, id) in rest.iter().enumerate() {
        let start = prompt.len() + n;
        model
            .forward(&mut arena, &mut team, &[*id], start, true)
            .expect("finite");
        bits.floats(model.logits(&arena));
    }
}

/// Two sessions side by side. One continues twice; a request of the other is cancelled, then the session is forgotten
/// and cannot continue.
fn generation(machine: &Machine, sampler: SamplerParams, bits: &mut Bits) {
    let mut memory = machine.memory(4 << 20);
    let arena = Arena::new((*memory).as_mut()).expect("aligned");
    let mut backend = engine(arena, machine);
    // With a separate output matrix: if it were the embedding, these weights would repeat one token for ever.
    let file = model(Shape {
        tied: false,
        ..NARROW
    });
    backend.load(&file.finish()).expect("room for it");
    let params = GenerateParams {
        sampler,
        max_tokens: 8,
    };
    let start = |backend: &mut Engine<'_>, turn, prompt: &str, bits: &mut Bits| {
        let answer = backend.start(turn, Prompt::Text(prompt.as_bytes()), &params);
        bits.number(answer.map_or(REFUSED, u64::from));
    };
    start(&mut backend, Turn::first(0), "once upon a time", bits);
    start(&mut backend, Turn::first(1), "the king, é", bits);
    run(&mut backend, bits);
    start(&mut backend, Turn::next(0), " and then", bits);
    run(&mut backend, bits);
    start(&mut backend, Turn::next(1), "!", bits);
    backend.cancel(1);
    run(&mut backend, bits);
    start(&mut backend, Turn::next(0), "?", bits);
    run(&mut backend, bits);
    backend.forget(1).expect("it is idle");
    start(&mut backend, Turn::next(1), "?", bits);
    start(&mut backend, Turn::only(2), "", bits);
    run(&mut backend, bits);
}

/// A model with a chat template whose scaffold uses every part.
fn talking() -> Vec<u8> {
    const TEMPLATE: &str = "{{ messages }}";
    const SCAFFOLD: [&str; 16] = [
        "1", "golden", "{bos}", "first", "[", "both", "]{eos}", "", "none", "<", "back", ">{eos}",
        "", "none", "{eos}", "-",
    ];
    let digest = template_digest(TEMPLATE).to_vec();
    let scaffold = SCAFFOLD.map(|text| text.as_bytes().to_vec());
    let strings: Vec<Vec<u8>> = [digest].into_iter().chain(scaffold).collect();
    let mut writer = model(Shape {
        tied: false,
        ..NARROW
    });
    writer
        .str(TEMPLATE_KEY, TEMPLATE)
        .strings(SCAFFOLD_KEY, &strings);
    writer.finish()
}

const ANSWER: GenerateParams = GenerateParams {
    sampler: SAMPLED,
    max_tokens: 6,
};

/// What is known about the template, and the ids of a conversation at the beginning of a session and after an answer.
/// One text spells the begin token.
fn conversation(machine: &Machine, bits: &mut Bits) {
    let mut memory = machine.memory(4 << 20);
    let arena = Arena::new((*memory).as_mut()).expect("aligned");
    let mut backend = engine(arena, machine);
    let info = backend.load(&talking()).expect("room for it");
    let template = info.template.expect("a template");
    bits.bytes(template.name.as_str().as_bytes());
    bits.ids(&[template.bound.fixed_tokens, template.bound.segment_tokens]);
    let turns: [&[Segment<'_>]; 2] = [
        &[
            Segment::new(Role::System, " be odd "),
            Segment::new(Role::User, "a <s> "),
            Segment::new(Role::Assistant, "b"),
            Segment::new(Role::User, "ü"),
        ],
        &[Segment::new(Role::User, "more")],
    ];
    for (turn, segments) in [Turn::first(0), Turn::next(0)].into_iter().zip(turns) {
        let answer = backend.start(turn, Prompt::Segments(segments), &ANSWER);
        bits.number(answer.map_or(REFUSED, u64::from));
        run(&mut backend, bits);
    }
}

/// A format region with one format, `(ab)+`.
fn region() -> Vec<u8> {
    let numbers = |list: &[u32]| -> Vec<u8> { list.iter().flat_map(|n| n.to_le_bytes()).collect() };
    let mut name = [0; 32];
    name[..3].copy_from_slice(b"abs");
    let mut classes = [0; 256];
    (classes[usize::from(b'a')], classes[usize::from(b'b')]) = (1, 2);
    let cells = |list: &[u16]| -> Vec<u8> { list.iter().flat_map(|n| n.to_le_bytes()).collect() };
    let mut image = formats::MAGIC.to_vec();
    image.extend(numbers(&[formats::VERSION, 1]));
    image.extend(name);
    image.extend(numbers(&[16 + 48, 3, 3, 0]));
    image.extend(classes);
    // For each state, the number of bytes to the nearest word and the first of them; then the target for each class.
    image.extend(cells(&[2, 1, 0]));
    image.extend(b"ab\0");
    image.extend(cells(&[0, 2, 0, 0, 0, 3, 0, 2, 0]));
    image
}

/// Answers in a format of the region, which must be whole words of it even if few tokens are allowed, and answers among
/// choices, one of which is a prefix of another.
fn in_a_format(machine: &Machine, bits: &mut Bits) {
    let image = region();
    let formats = Formats::read(&image).expect("a sound region");
    let mut costs = vec![0; formats.states()];
    let mut memory = machine.memory(4 << 20);
    let arena = Arena::new((*memory).as_mut()).expect("aligned");
    let mut backend = engine(arena, machine);
    backend.load(&talking()).expect("room for it");
    backend.set_formats(FormatTable::new(formats, &mut costs).expect("room for the states"));
    let choices = Choices::new(["yes", "yes, but", "no"]).expect("choices");
    for format in [Format::Named(0), Format::Choices(choices)] {
        for max_tokens in [3, 9] {
            let turn = Turn {
                format: Some(format),
                ..Turn::only(0)
            };
            let params = GenerateParams {
                max_tokens,
                ..ANSWER
            };
            let answer = backend.start(turn, Prompt::Text(b"is it so?"), &params);
            bits.number(answer.map_or(REFUSED, u64::from));
            run(&mut backend, bits);
        }
    }
}

/// Text is held back where a stop string may begin, an answer ends at one, and one that does not occur changes nothing.
fn up_to_a_stop_string(machine: &Machine, bits: &mut Bits) {
    let mut memory = machine.memory(4 << 20);
    let arena = Arena::new((*memory).as_mut()).expect("aligned");
    let mut backend = engine(arena, machine);
    backend.load(&talking()).expect("room for it");
    let params = GenerateParams {
        max_tokens: 20,
        ..ANSWER
    };
    let ask = |backend: &mut Engine<'_>, stops, bits: &mut Bits| {
        let turn = Turn {
            stops,
            ..Turn::only(0)
        };
        let answer = backend.start(turn, Prompt::Text(b"once"), &params);
        bits.number(answer.map_or(REFUSED, u64::from));
        run(backend, bits)
    };
    let whole = ask(&mut backend, Stops::NONE, bits);
    let characters: Vec<char> = whole.chars().collect();
    let middle = characters.len() / 2;
    // Both begin in the text; the second is complete first.
    let text = |from: usize, to: usize| characters[from..to].iter().collect::<String>();
    let (long, short) = (
        text(middle, characters.len()) + "?",
        text(middle, middle + 2),
    );
    let lists = [
        vec![long.as_str()],
        vec![long.as_str(), short.as_str()],
        vec!["not said"],
    ];
    for list in lists {
        let stops = Stops::new(list).expect("stop strings");
        let shown = ask(&mut backend, stops, bits);
        assert!(whole.starts_with(&shown), "only what was said is shown");
    }
}

/// All results of the requests in flight, and their text. The number of steps for a prompt is left out, because it may
/// change.
fn run(backend: &mut Engine<'_>, bits: &mut Bits) -> String {
    let (mut text, mut whole) = (Text::new(), String::new());
    loop {
        let (session, step) = match backend.step(&mut text) {
            Progress::Idle => return whole,
            Progress::Working | Progress::Training(_) => continue,
            Progress::Session(session, step) => (session, step.expect("finite")),
            Progress::Evicted(session) => {
                panic!("session {session} was evicted from a cache that has room")
            }
        };
        match step {
            Step::Prefill { .. } => {}
            Step::Token { id } => {
                bits.ids(&[session as u32, id]);
                bits.bytes(text.as_bytes());
                whole.push_str(&text);
            }
            Step::Finished {
                reason,
                prompt_tokens,
                generated,
            } => bits.ids(&[session as u32, reason as u32, prompt_tokens, generated]),
        }
    }
}
