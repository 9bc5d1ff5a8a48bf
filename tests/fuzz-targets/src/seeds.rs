//! Small valid inputs from which fuzzers start.

use llm_core::chat::{SCAFFOLD_KEY, TEMPLATE_KEY, template_digest};
use llm_core::quantize::TensorType;
use llm_core::testing::{GgufWriter, Shape, byte_character, gpt2, model};
use protocol::error::{ErrorCode, Failure};
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::region::ReadWords as _;
use protocol::ring::Frame;
use protocol::testing::{endpoints, parts};
use protocol::wire::client::{BudgetChange, Event, Finished, LogQuery, Request, Stats, User};
use protocol::wire::engine::{Command, Holdings, Report};
use protocol::wire::{Fault, FaultKind, FinishReason, InferParams, PartKind, TrainParams};

/// A model of one block, in `ty`.
#[must_use]
pub fn tiny_model(ty: TensorType) -> Vec<u8> {
    let width = ty.block_len().max(16);
    model(Shape {
        width,
        layers: 1,
        heads: 2,
        kv_heads: 1,
        feed_forward: width,
        context: 16,
        tied: true,
        ty,
    })
    .finish()
}

/// A model of one block with a chat template and its scaffold.
#[must_use]
pub fn talking_model() -> Vec<u8> {
    const TEMPLATE: &str = "{{ messages }}";
    const SCAFFOLD: [&str; 17] = [
        "1", "seed", "{bos}", "first", "", "both", "{eos}", "", "none", "", "none", "{eos}", "",
        "none", "{eos}", "", "odd",
    ];
    let digest = template_digest(TEMPLATE).to_vec();
    let scaffold = SCAFFOLD.map(|text| text.as_bytes().to_vec());
    let strings: Vec<Vec<u8>> = [digest].into_iter().chain(scaffold).collect();
    let mut writer = model(Shape {
        width: 16,
        layers: 1,
        heads: 2,
        kv_heads: 1,
        feed_forward: 16,
        context: 32,
        tied: true,
        ty: TensorType::F32,
    });
    writer
        .str(TEMPLATE_KEY, TEMPLATE)
        .strings(SCAFFOLD_KEY, &strings);
    writer.finish()
}

/// Only the vocabulary of [`tiny_model`].
#[must_use]
pub fn sentence_piece() -> Vec<u8> {
    let tokens: Vec<Vec<u8>> = ["<unk>", "<s>", "</s>"]
        .iter()
        .map(|token| token.as_bytes().to_vec())
        .chain((0..=255u8).map(|byte| format!("<0x{byte:02X}>").into_bytes()))
        .chain(["▁", "a", "b", "▁a", "ab", "▁ab", "<tool>"].map(|token| token.as_bytes().to_vec()))
        .collect();
    let kinds: Vec<i32> = (0..tokens.len())
        .map(|id| match id {
            0 => 2,
            1 | 2 => 3,
            3..259 => 6,
            265 => 4,
            _ => 1,
        })
        .collect();
    let scores: Vec<f32> = (0..tokens.len()).map(|id| -(id as f32)).collect();
    GgufWriter::default()
        .str("general.architecture", "llama")
        .str("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", &tokens)
        .f32s("tokenizer.ggml.scores", &scores)
        .i32s("tokenizer.ggml.token_type", &kinds)
        .finish()
}

/// A byte-level vocabulary with a few merges and two special tokens.
#[must_use]
pub fn byte_level() -> Vec<u8> {
    let merges = ["a b", "Ġ a", "Ġa b", "1 2", "Ã ©"];
    let mut tokens: Vec<String> = (0..=255u8)
        .map(|byte| byte_character(byte).to_string())
        .collect();
    tokens.extend(merges.map(|merge| merge.replace(' ', "")));
    tokens.extend(["<|end|>", "<tool>"].map(str::to_owned));
    let kinds: Vec<i32> = (0..tokens.len())
        .map(|id| match tokens.len() - id {
            1 => 4,
            2 => 3,
            _ => 1,
        })
        .collect();
    let bytes = |texts: &[String]| -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.clone().into_bytes()).collect()
    };
    GgufWriter::default()
        .str("general.architecture", "gpt2")
        .str("tokenizer.ggml.model", "gpt2")
        .str("tokenizer.ggml.pre", "llama-bpe")
        .strings("tokenizer.ggml.tokens", &bytes(&tokens))
        .i32s("tokenizer.ggml.token_type", &kinds)
        .strings("tokenizer.ggml.merges", &bytes(&merges.map(str::to_owned)))
        .u32("tokenizer.ggml.bos_token_id", tokens.len() as u32 - 2)
        .u32("tokenizer.ggml.eos_token_id", tokens.len() as u32 - 2)
        .finish()
}

/// Lines for the shell, messages for the ring, texts.
#[must_use]
pub fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for ty in [
        TensorType::F32,
        TensorType::F16,
        TensorType::Q8_0,
        TensorType::Q4_0,
    ] {
        seeds.push(("gguf", format!("model-{}", ty.name()), tiny_model(ty)));
    }
    let shape = Shape {
        width: 16,
        layers: 1,
        heads: 2,
        kv_heads: 2,
        feed_forward: 16,
        context: 16,
        tied: true,
        ty: TensorType::F32,
    };
    seeds.push(("gguf", "model-gpt2".to_owned(), gpt2(shape).finish()));
    seeds.push(("gguf", "model-chat".to_owned(), talking_model()));
    seeds.push(("vocabulary", "sentence-piece".to_owned(), sentence_piece()));
    seeds.push(("vocabulary", "byte-level".to_owned(), byte_level()));
    for (index, text) in [
        "ab a  ab\n\n 12345 it's <tool> </s> <|end|> caf\u{e9}",
        "\u{1F98A}\u{FE0F}\u{200D} \u{3000}\u{2028}\t\r\n e\u{301} \u{0660}\u{2167}\u{bd}",
    ]
    .iter()
    .enumerate()
    {
        seeds.push(("text", format!("text-{index}"), text.as_bytes().to_vec()));
    }
    for (index, line) in [
        "llminfer \"Once upon a time\" --max-tokens 48 --temperature 0.8 --seed 7\n",
        "llmctl models\nllmctl load tiny\nllmctl status\nllmctl cancel\nllmstats\nhelp llminfer\nexit\n",
        "login admin\nsecret\nllminfer a --background --session s\nllmctl jobs\nllmctl wait 1\nllmctl budget --tokens 5\n",
        "llm\tload\t \t\x1b[A\x1b[D\x1b[1;5D\x0b\x0c\x01\x05\x1b[3~\x10\x0e\r",
        "llmctl audit --follow --json\n\x03\x03llmstats --watch\n\x03\x03",
        "llminfer \"\\\"quoted\\\" \\\\ \u{e9}\x7f\x17\x15\x03\x1b[A\x04",
        "llmchat --system s --stop .\nHi\n//x\n/he\t\n\x1b[A\x03/exit\nllmctl formats\n",
        "llminfer x --format t\t --choices a,b --raw\nllmchat --session t\nHi\n\x04",
    ]
    .iter()
    .enumerate()
    {
        seeds.push(("shell", format!("line-{index}"), line.as_bytes().to_vec()));
    }
    let disks = crate::disk::seeds().into_iter();
    seeds.extend(disks.map(|(name, disk)| ("disk", name, disk.to_bytes())));
    let dialogs = crate::files::seeds().into_iter();
    seeds.extend(dialogs.map(|(name, bytes)| ("files", name, bytes)));
    seeds.extend(messages().into_iter().map(|(name, words)| {
        let bytes = words.iter().flat_map(|(place, value)| {
            let place = place.to_be_bytes().into_iter();
            place.chain(value.to_le_bytes())
        });
        ("wire", name, bytes.collect())
    }));
    seeds
}

/// A message of each kind and shape for each kind of peer, as content of its sender's region: positions and words, with
/// the ring's indices last.
fn messages() -> Vec<(String, Vec<(u16, u64)>)> {
    let user = UserName::new("admin").unwrap_or_default();
    let session = SessionName::new("tale").unwrap_or_default();
    let name = ModelName::new("tiny").unwrap_or_default();
    let params = InferParams::default();
    let failure = Failure::over(ErrorCode::NoSuchModel, 2, 1);
    let mut frames = Vec::new();
    let mut add = |name: &str, write: &dyn Fn(&mut Frame)| {
        let mut frame = Frame::new();
        write(&mut frame);
        frames.push((name.to_owned(), frame));
    };
    let change = BudgetChange {
        tokens: Some(10),
        period_us: Some(1_000_000),
    };
    for (name, request) in [
        (
            "request-infer",
            Request::Infer {
                params,
                session,
                adapter: name,
                format: FormatName::EMPTY,
                parts: parts(&[
                    (PartKind::System, b"Be brief."),
                    (PartKind::User, b"Once upon a time"),
                    (PartKind::Stop, b"."),
                ]),
            },
        ),
        (
            "request-fine-tune",
            Request::FineTune {
                params: TrainParams::default(),
                data: name,
                adapter: name,
            },
        ),
        (
            "request-example",
            Request::Example {
                text: b"{\"text\":\"a\"}",
            },
        ),
        ("request-adapters", Request::Adapters),
        ("request-export", Request::ExportAdapter { name }),
        (
            "request-login",
            Request::Login {
                user,
                passphrase: Some(b"secret"),
            },
        ),
        (
            "request-login-without",
            Request::Login {
                user,
                passphrase: None,
            },
        ),
        ("request-load", Request::Load { name }),
        ("request-stats", Request::Stats { watch: true }),
        ("request-budget", Request::Budget { user, change }),
        ("request-log", Request::Log(LogQuery::default())),
        ("request-close", Request::Close { session }),
        ("request-cancel", Request::Cancel),
    ] {
        add(name, &|frame| request.write(7, frame));
    }
    for (name, event) in [
        ("event-ready", Event::Ready(User::default())),
        (
            "event-token",
            Event::Text {
                tokens: 1,
                text: b" fox",
            },
        ),
        (
            "event-failed",
            Event::Failed {
                failure,
                detail: b"huge",
            },
        ),
        (
            "event-finished",
            Event::Finished(Finished {
                reason: FinishReason::MaxTokens,
                prompt_tokens: 5,
                generated_tokens: 6,
                turn: 1,
                first_token_us: 7,
                total_us: 8,
                held_us: 0,
            }),
        ),
        ("event-stats", Event::Stats(Stats::default())),
        (
            "event-fault",
            Event::Fault {
                fault: Fault {
                    kind: FaultKind::Memory,
                    ip: 1,
                    address: 2,
                },
                count: 1,
            },
        ),
    ] {
        add(name, &|frame| event.write(7, frame));
    }
    for (name, command) in [
        (
            "command-infer",
            Command::Infer {
                params,
                session: 3,
                client: 0,
                user: 0,
                fresh: true,
                keep: false,
                credit: 8,
                adapter: 1,
                format: 0,
                user_defined: false,
                parts: parts(&[(PartKind::Text, b"Once"), (PartKind::Choice, b"yes")]),
            },
        ),
        (
            "command-load",
            Command::Load {
                offset: 512,
                bytes: 1024,
                context: 64,
            },
        ),
        ("command-drop", Command::Drop { session: 3 }),
    ] {
        add(name, &|frame| command.write(7, frame));
    }
    for (name, report) in [
        ("report-ready", Report::Ready),
        ("report-corrupt", Report::Corrupt),
        (
            "report-token",
            Report::Token {
                id: 259,
                text: b" fox",
            },
        ),
        (
            "report-finished",
            Report::Finished {
                reason: FinishReason::EndOfText,
                prompt_tokens: 5,
                generated_tokens: 6,
            },
        ),
        ("report-holdings", Report::Holdings(Holdings::default())),
        (
            "report-failed",
            Report::Failed {
                failure,
                detail: b"huge",
            },
        ),
        ("report-evicted", Report::Evicted { session: 3 }),
    ] {
        add(name, &|frame| report.write(7, frame));
    }
    let words = |frame: &Frame| {
        let (mut audit, mut peer, region) = endpoints();
        audit.lead(1);
        peer.follow();
        peer.send(frame).expect("an empty ring");
        let all = (0..region.words()).map(|at| (at as u16, region.load(at)));
        let (slots, indices): (Vec<_>, Vec<_>) = all
            .filter(|&(_, word)| word != 0)
            .partition(|&(at, _)| !(2..8).contains(&at));
        [slots, indices].concat()
    };
    frames
        .iter()
        .map(|(name, frame)| (name.clone(), words(frame)))
        .collect()
}
