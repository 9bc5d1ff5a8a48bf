//! Published chat templates: what each writes around the texts of a conversation.
//!
//! A template is identified by the hash of its text, so any change makes it another template. Files contain the same
//! template in two spellings, because some writers have turned `\n` inside Jinja strings into line breaks. That is the
//! only difference that is normalised before hashing.
//!
//! `cargo test -p llmtool --test chat` compares each with its Jinja on random conversations.

use super::{MAX_REFUSED, Scaffold, System, SystemPlace, Trim, Turn};
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

const PUBLISHED: &[Published] = &[
    published(
        "153280e3ff55d19da1398bdb3914ee2a51b80429bfaedde11d7d216c39db80f3",
        CHATML,
    ),
    published(
        "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",
        SMOLLM2,
    ),
    published(
        "793202280c0910ab26bc6eb57c8212c2417324c6d8c4efd0d10d59092ab3e3eb",
        QWEN2,
    ),
    published(
        "a18cc698dd45623eb707279d08e66f7bb8d76afc89ead84016b88487b395b5cc",
        QWEN25,
    ),
    published(
        "fef71028f7a6a1cfa2c6050132abca84dfe9e507982fcb58d0122e53eff8956c",
        LFM2,
    ),
    published(
        "9780fae5bfea3cfd7be37d328c6edfd296a8869be8131495bbe7eb37e780c88c",
        LLAMA2,
    ),
    published(
        "b48c47f6443892716176eb200bf4ef108f64e06ca26ed0fa8ebc0a4b3992fcb2",
        LLAMA3,
    ),
    published(
        "99799a835a31e1d33c4a9c7ee8a0de3923b291a95155ed6dc8efcbd0fe1d0238",
        LLAMA31,
    ),
    published(
        "3919b9309d8949ee8f4b710215987700f87dc5bb0e87bf24dd39189ec65e3eec",
        GEMMA,
    ),
    published(
        "ecd6ae513fe103f0eb62e8ab5bfa8d0fe45c1074fa398b089c93a7e70c15cfd6",
        GEMMA2,
    ),
    published(
        "8d9e3a3c114fb2053ec500184677af4f7e5f8ec2582443cd535834e68b3ade29",
        GEMMA3,
    ),
    published(
        "268b6082ceb7176dc6ed80557a2f7837f9f0339592fbee677d405a553af15f88",
        PHI3_MINI,
    ),
    published(
        "b0e53f5e7bae6fdb93013abeceef343e8841cce87def2601e7269a53439b5740",
        PHI3_SMALL,
    ),
    published(
        "605841622bcb6572225608f09ec2afcdfb9fb50844ef52715a12689f7b9278b1",
        PHI3_MEDIUM,
    ),
    published(
        "79e4ca4b7d902dc73772bbde0c62459f93871f4c17827e8e41ad3fa663e0da04",
        PHI35,
    ),
    published(
        "78d976a442bcde2f0be15aafbb8e3050e1104f86732266f68403251b89982a90",
        PHI35,
    ),
    published(
        "a41fb8727c4f1e722e53cb1ea935038a1177b8bdf09387f3b048f9da5255ef3e",
        PHI4,
    ),
    published(
        "26a59556925c987317ce5291811ba3b7f32ec4c647c400c6cc7e3a9993007ba7",
        MISTRAL,
    ),
    published(
        "1c6594f8393552ef16bbf3ddecb67d8258fb8d66339a1a092a8f8496061f02d3",
        MISTRAL_V1,
    ),
    published(
        "9074ed36d7503f0f63bd70ef4a0db1e12ec90718aef446404917f5ee3216e2f3",
        MISTRAL_V3,
    ),
    published(
        "1127255163dd25a2fd472f9901035aa9e78dc77ca33efdd010f5c8ea87e5d436",
        MISTRAL_NEMO,
    ),
    published(
        "3c4ad5fa60dd8c7ccdf82fa4225864c903e107728fcaf859fa6052cb80c92ee9",
        MISTRAL_V7,
    ),
    published(
        "66291cf0045c2425a3a667cf3cbb7af2b11f09e025c02f97245323ab79119362",
        ZEPHYR,
    ),
    published(
        "09d68eeb5c0eaa551adea6cc088a05c7298966f395f203126e76b74f5a77a8ff",
        GRANITE3,
    ),
    published(
        "fe689ffbd6a4e2d0532d7480696b065b10e0e1eff3f9b9fc4bea415761e4bf4a",
        OLMO2,
    ),
    published(
        "ac7498a36a719da630e99d48e6ebc4409de85a77556c2b6159eeb735bcbd11df",
        TULU3,
    ),
    published(
        "9db2cf47ce03bfd0aab6ec59942503714fa0372f09f7e1d54cbcd71a1110b863",
        COMMAND_R,
    ),
    published(
        "72e5bcf17c856a1f419178d7d26bad0f2ee111940aaf802bf643a6073da2a805",
        DEEPSEEK_R1,
    ),
    published(
        "8aeba567270fa9a8d5372caf4b04affea947c4421d96adc01e3ff94021b0ae8e",
        DEEPSEEK_V2,
    ),
    published(
        "901b10d47195fadb5692137ecd4b2733730be9d32fde6c6eae23e5153712525e",
        OPENCHAT,
    ),
    published(
        "b58913fce67fc69834213fd446f9d85f30e0ddd8f88f482e65fdfcb6f9d77f15",
        MEGREZ,
    ),
    published(
        "194900ce7bc7190dbe359ba6f83d54656bc3be8780abaa97a1d01bf1a9c5489c",
        LING,
    ),
    published(
        "aab20feb9bc6881f941ea649356130ffbc4943b3c2577c0991e1fba90de5a0fc",
        KIMI_K2,
    ),
];
