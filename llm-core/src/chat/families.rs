//! Published chat templates: what each writes around the texts of a conversation.
//!
//! A template is identified by the hash of its text, so any change makes it another template. Files contain the same
//! template in two spellings, because some writers have turned `\n` inside Jinja strings into line breaks. That is the
//! only difference that is normalised before hashing.
//!
//! `cargo test -p llmtool --test chat` compares each with its Jinja on random conversations.

mod published;

use super::{MAX_REFUSED, Scaffold, System, SystemPlace, Trim, Turn};
use published::PUBLISHED;
use sha2::{Digest, Sha256};

/// A template identified by its full text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    sha256: &'static str,
    /// Its scaffold.
    pub scaffold: Scaffold<'static>,
}

/// The published template that this text is, if it is one.
#[must_use]
pub fn recognise(template: &str) -> Option<Published> {
    let digest = canonical_digest(template);
    let is = |published: &&Published| {
        let digits = published.sha256.as_bytes().chunks_exact(2);
        let pairs = digits.map(|pair| core::str::from_utf8(pair).ok());
        let bytes = pairs.map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        bytes.eq(digest.iter().map(|&byte| Some(byte)))
    };
    PUBLISHED.iter().find(is).copied()
}

/// SHA-256 of a template without the final line break, which Jinja drops, and with line breaks for `\n` inside tags.
fn canonical_digest(template: &str) -> [u8; 32] {
    let mut rest = template.strip_suffix('\n').unwrap_or(template).as_bytes();
    let mut hash = Sha256::new();
    let mut inside = false;
    while let Some((&byte, behind)) = rest.split_first() {
        let (taken, written): (usize, &[u8]) = match (inside, rest.first_chunk::<2>()) {
            (false, Some(two @ (b"{{" | b"{%"))) => {
                inside = true;
                (2, two)
            }
            (true, Some(two @ (b"}}" | b"%}"))) => {
                inside = false;
                (2, two)
            }
            (true, Some(two @ b"\\\\")) => (2, two),
            (true, Some(b"\\n")) => (2, b"\n"),
            _ => (1, &[byte]),
        };
        hash.update(written);
        rest = rest.get(taken..).unwrap_or(behind);
    }
    hash.finalize().into()
}

const fn published(sha256: &'static str, scaffold: Scaffold<'static>) -> Published {
    Published { sha256, scaffold }
}

/// Text around a segment that stays unchanged.
const fn turn(before: &'static str, after: &'static str) -> Turn<'static> {
    let trim = Trim::NONE;
    Turn {
        before,
        trim,
        after,
    }
}

/// Text around a segment that is trimmed.
const fn trimmed(before: &'static str, after: &'static str) -> Turn<'static> {
    let trim = Trim::BOTH;
    Turn {
        before,
        trim,
        after,
    }
}

/// A system text before everything else.
const fn first(turn: Turn<'static>) -> System<'static> {
    System {
        place: SystemPlace::First,
        turn,
        default: "",
        user_trim: Trim::NONE,
    }
}

/// A system text inside a user's turn.
const fn inside(place: SystemPlace, turn: Turn<'static>, user_trim: Trim) -> System<'static> {
    System {
        place,
        turn,
        default: "",
        user_trim,
    }
}

const NOWHERE: System<'static> = inside(SystemPlace::Nowhere, turn("", ""), Trim::NONE);

const PLAIN: Scaffold<'static> = Scaffold {
    name: "",
    begin: "",
    system: NOWHERE,
    user: turn("", ""),
    assistant: turn("", ""),
    generation: "",
    refused: [""; MAX_REFUSED],
};

const CHATML: Scaffold<'static> = Scaffold {
    name: "ChatML",
    system: first(turn("<|im_start|>system\n", "<|im_end|>\n")),
    user: turn("<|im_start|>user\n", "<|im_end|>\n"),
    assistant: turn("<|im_start|>assistant\n", "<|im_end|>\n"),
    generation: "<|im_start|>assistant\n",
    ..PLAIN
};

/// ChatML with a default system text.
const fn chatml(name: &'static str, default: &'static str) -> Scaffold<'static> {
    Scaffold {
        name,
        system: System {
            default,
            ..CHATML.system
        },
        ..CHATML
    }
}

const SMOLLM2: Scaffold<'static> = chatml(
    "SmolLM2",
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n",
);

const QWEN2: Scaffold<'static> = chatml(
    "Qwen 2",
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
);

const QWEN25: Scaffold<'static> = chatml(
    "Qwen 2.5",
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n",
);

const LFM2: Scaffold<'static> = Scaffold {
    name: "LFM2",
    begin: "{bos}",
    ..CHATML
};

const LLAMA2: Scaffold<'static> = Scaffold {
    name: "Llama 2",
    system: inside(
        SystemPlace::FirstUser,
        turn("<<SYS>>\n", "\n<</SYS>>\n\n"),
        Trim {
            front: false,
            back: true,
        },
    ),
    user: trimmed("{bos}[INST] ", " [/INST]"),
    assistant: trimmed(" ", " {eos}"),
    ..PLAIN
};

const LLAMA3: Scaffold<'static> = Scaffold {
    name: "Llama 3",
    begin: "{bos}",
    system: first(trimmed(
        "<|start_header_id|>system<|end_header_id|>\n\n",
        "<|eot_id|>",
    )),
    user: trimmed("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    assistant: trimmed(
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>",
    ),
    generation: "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ..PLAIN
};

/// It writes its knowledge cutoff, and a fixed date.
const LLAMA31: Scaffold<'static> = Scaffold {
    name: "Llama 3.1",
    system: System {
        default: concat!(
            "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n",
            "Today Date: 26 Jul 2024\n\n<|eot_id|>"
        ),
        ..first(trimmed(
            concat!(
                "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n",
                "Today Date: 26 Jul 2024\n\n"
            ),
            "<|eot_id|>",
        ))
    },
    ..LLAMA3
};

/// The template refuses a system text; llama.cpp puts it before the first user's.
const GEMMA: Scaffold<'static> = Scaffold {
    name: "Gemma",
    system: inside(SystemPlace::FirstUser, trimmed("", "\n\n"), Trim::BOTH),
    user: trimmed("<start_of_turn>user\n", "<end_of_turn>\n"),
    assistant: trimmed("<start_of_turn>model\n", "<end_of_turn>\n"),
    generation: "<start_of_turn>model\n",
    ..PLAIN
};

const GEMMA2: Scaffold<'static> = Scaffold {
    name: "Gemma 2",
    begin: "{bos}",
    ..GEMMA
};

const GEMMA3: Scaffold<'static> = Scaffold {
    name: "Gemma 3",
    system: inside(SystemPlace::FirstUser, turn("", "\n\n"), Trim::BOTH),
    ..GEMMA2
};

const PHI35: Scaffold<'static> = Scaffold {
    name: "Phi 3.5",
    system: first(turn("<|system|>\n", "<|end|>\n")),
    user: turn("<|user|>\n", "<|end|>\n"),
    assistant: turn("<|assistant|>\n", "<|end|>\n"),
    generation: "<|assistant|>\n",
    ..PLAIN
};

const PHI3_SMALL: Scaffold<'static> = Scaffold {
    name: "Phi 3 small",
    begin: "{bos}",
    ..PHI35
};

/// The template drops a system text, so it is refused here.
const PHI3_MEDIUM: Scaffold<'static> = Scaffold {
    name: "Phi 3 medium",
    system: NOWHERE,
    ..PHI35
};

const PHI3_MINI: Scaffold<'static> = Scaffold {
    name: "Phi 3 mini",
    begin: "{bos}",
    ..PHI3_MEDIUM
};

const PHI4: Scaffold<'static> = Scaffold {
    name: "Phi 4",
    system: first(turn("<|im_start|>system<|im_sep|>", "<|im_end|>")),
    user: turn("<|im_start|>user<|im_sep|>", "<|im_end|>"),
    assistant: turn("<|im_start|>assistant<|im_sep|>", "<|im_end|>"),
    generation: "<|im_start|>assistant<|im_sep|>",
    ..PLAIN
};

/// The template refuses a system text; llama.cpp puts it before the first user's.
const MISTRAL: Scaffold<'static> = Scaffold {
    name: "Mistral",
    begin: "{bos}",
    system: inside(SystemPlace::FirstUser, turn("", "\n"), Trim::NONE),
    user: turn("[INST] ", " [/INST]"),
    assistant: turn("", "{eos}"),
    ..PLAIN
};

const MISTRAL_V1: Scaffold<'static> = Scaffold {
    name: "Mistral v1",
    begin: "{bos}",
    system: inside(SystemPlace::FirstUser, turn("", "\n\n"), Trim::NONE),
    user: turn(" [INST] ", " [/INST]"),
    assistant: turn(" ", "{eos}"),
    ..PLAIN
};

const MISTRAL_V3: Scaffold<'static> = Scaffold {
    name: "Mistral v3",
    begin: "{bos}",
    system: inside(SystemPlace::LastUser, turn("", "\n\n"), Trim::NONE),
    user: turn("[INST] ", "[/INST]"),
    assistant: trimmed(" ", "{eos}"),
    ..PLAIN
};

const MISTRAL_NEMO: Scaffold<'static> = Scaffold {
    name: "Mistral v3 (Tekken)",
    user: turn("[INST]", "[/INST]"),
    assistant: turn("", "{eos}"),
    ..MISTRAL_V3
};

const MISTRAL_V7: Scaffold<'static> = Scaffold {
    name: "Mistral v7",
    begin: "{bos}",
    system: first(turn("[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]")),
    user: turn("[INST] ", "[/INST]"),
    assistant: turn(" ", "{eos}"),
    ..PLAIN
};

/// Also used by TinyLlama and StableLM 2.
const ZEPHYR: Scaffold<'static> = Scaffold {
    name: "Zephyr",
    system: first(turn("<|system|>\n", "{eos}\n")),
    user: turn("<|user|>\n", "{eos}\n"),
    assistant: turn("<|assistant|>\n", "{eos}\n"),
    generation: "<|assistant|>\n",
    ..PLAIN
};

const GRANITE3: Scaffold<'static> = Scaffold {
    name: "Granite 3.0",
    system: first(turn(
        "<|start_of_role|>system<|end_of_role|>",
        "<|end_of_text|>\n",
    )),
    user: turn("<|start_of_role|>user<|end_of_role|>", "<|end_of_text|>\n"),
    assistant: turn(
        "<|start_of_role|>assistant<|end_of_role|>",
        "<|end_of_text|>\n",
    ),
    generation: "<|start_of_role|>assistant<|end_of_role|>",
    ..PLAIN
};

/// Also used by Falcon 3.
const TULU3: Scaffold<'static> = Scaffold {
    name: "Tülu 3",
    system: first(turn("<|system|>\n", "\n")),
    user: turn("<|user|>\n", "\n"),
    assistant: turn("<|assistant|>\n", "{eos}\n"),
    generation: "<|assistant|>\n",
    ..PLAIN
};

const OLMO2: Scaffold<'static> = Scaffold {
    name: "OLMo 2",
    begin: "{bos}",
    ..TULU3
};

const COMMAND_R: Scaffold<'static> = Scaffold {
    name: "Command R+",
    begin: "{bos}",
    system: first(turn(
        "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
    )),
    user: trimmed(
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
    ),
    assistant: trimmed(
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
    ),
    generation: "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    ..PLAIN
};

const DEEPSEEK_R1: Scaffold<'static> = Scaffold {
    name: "DeepSeek R1 distilled",
    begin: "{bos}",
    system: first(turn("", "")),
    user: turn("<｜User｜>", ""),
    assistant: turn("<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    generation: "<｜Assistant｜><think>\n",
    refused: ["</think>", "", "", "", "", "", "", ""],
};

const DEEPSEEK_V2: Scaffold<'static> = Scaffold {
    name: "DeepSeek V2",
    begin: "{bos}",
    system: first(turn("", "\n\n")),
    user: turn("User: ", "\n\n"),
    assistant: turn("Assistant: ", "{eos}"),
    generation: "Assistant:",
    ..PLAIN
};

const OPENCHAT: Scaffold<'static> = Scaffold {
    name: "OpenChat 3.5",
    begin: "{bos}",
    system: first(turn("GPT4 Correct System: ", "<|end_of_turn|>")),
    user: turn("GPT4 Correct User: ", "<|end_of_turn|>"),
    assistant: turn("GPT4 Correct Assistant: ", "<|end_of_turn|>"),
    generation: "GPT4 Correct Assistant:",
    ..PLAIN
};

const MEGREZ: Scaffold<'static> = Scaffold {
    name: "Megrez",
    system: System {
        default: "<|role_start|>system<|role_end|>你是Megrez-3B-Instruct，将针对用户的问题给出详细的、积极的回答。<|turn_end|>",
        ..first(turn("<|role_start|>system<|role_end|>", "<|turn_end|>"))
    },
    user: turn("<|role_start|>user<|role_end|>", "<|turn_end|>"),
    assistant: turn("<|role_start|>assistant<|role_end|>", "<|turn_end|>"),
    generation: "<|role_start|>assistant<|role_end|>",
    ..PLAIN
};

const LING: Scaffold<'static> = Scaffold {
    name: "Ling lite",
    system: first(turn("<role>SYSTEM</role>", "")),
    user: turn("<role>HUMAN</role>", ""),
    assistant: turn("<role>ASSISTANT</role>", ""),
    generation: "<role>ASSISTANT</role>",
    ..PLAIN
};

const KIMI_K2: Scaffold<'static> = Scaffold {
    name: "Kimi K2",
    system: System {
        default: "<|im_system|>system<|im_middle|>You are a helpful assistant<|im_end|>",
        ..first(turn("<|im_system|>system<|im_middle|>", "<|im_end|>"))
    },
    user: turn("<|im_user|>user<|im_middle|>", "<|im_end|>"),
    assistant: turn("<|im_assistant|>assistant<|im_middle|>", "<|im_end|>"),
    generation: "<|im_assistant|>assistant<|im_middle|>",
    ..PLAIN
};
