//! Tokens with a role: those that end a generation, and those that are never text, whatever type the file gives them.
//!
//! Like llama.cpp, this uses metadata keys and spellings, because few files have all the keys. It differs where
//! llama.cpp would let text become such a token: what a file calls a control token stays one.

use super::{
    END_OF_GENERATION, STRIPS_BEFORE, STRIPS_BEHIND, SUPPRESSED, TokenType, VocabularyError,
};
use crate::gguf::{Array, Gguf, Value};

/// Keys that name tokens at which generation ends, whatever their spelling.
const END_KEYS: [&str; 3] = [
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
];

/// A role in fill-in-the-middle.
struct Role {
    /// Keys that name its token; the last one present counts.
    keys: &'static [&'static str],
    /// Its spellings if no key names it. llama.cpp picks one of several by the order of its hash table; here all get
    /// the role.
    spellings: &'static [&'static [u8]],
    /// Whether generation ends at it.
    ends: bool,
}

const ROLES: [Role; 6] = [
    Role {
        keys: &[
            "tokenizer.ggml.fim_pre_token_id",
            "tokenizer.ggml.prefix_token_id",
        ],
        spellings: &[
            b"<|fim_prefix|>",
            b"<fim-prefix>",
            b"<fim_prefix>",
            "<｜fim▁begin｜>".as_bytes(),
            b"<PRE>",
            "▁<PRE>".as_bytes(),
            b"<|code_prefix|>",
            b"<|prefix|>",
        ],
        ends: false,
    },
    Role {
        keys: &[
            "tokenizer.ggml.fim_suf_token_id",
            "tokenizer.ggml.suffix_token_id",
        ],
        spellings: &[
            b"<|fim_suffix|>",
            b"<fim-suffix>",
            b"<fim_suffix>",
            "<｜fim▁hole｜>".as_bytes(),
            b"<SUF>",
            "▁<SUF>".as_bytes(),
            b"<|code_suffix|>",
            b"<|suffix|>",
        ],
        ends: false,
    },
    Role {
        keys: &[
            "tokenizer.ggml.fim_mid_token_id",
            "tokenizer.ggml.middle_token_id",
        ],
        spellings: &[
            b"<|fim_middle|>",
            b"<fim-middle>",
            b"<fim_middle>",
            "<｜fim▁end｜>".as_bytes(),
            b"<MID>",
            "▁<MID>".as_bytes(),
            b"<|code_middle|>",
            b"<|middle|>",
        ],
        ends: false,
    },
    Role {
        keys: &["tokenizer.ggml.fim_pad_token_id"],
        spellings: &[
            b"<|fim_pad|>",
            b"<fim-pad>",
            b"<fim_pad>",
            b"<PAD>",
            b"[PAD]",
        ],
        ends: true,
    },
    Role {
        keys: &["tokenizer.ggml.fim_rep_token_id"],
        spellings: &[
            b"<|fim_repo|>",
            b"<|repo_name|>",
            b"<fim-repo>",
            b"<REPO>",
            b"<reponame>",
        ],
        ends: true,
    },
    Role {
        keys: &["tokenizer.ggml.fim_sep_token_id"],
        spellings: &[b"<|file_sep|>"],
        ends: true,
    },
];

/// Spellings at which generation ends. Files often give these tokens the wrong type.
const END_SPELLINGS: [&[u8]; 22] = [
    b"<|eot_id|>",
    b"<|im_end|>",
    b"<|end|>",
    b"<|return|>",
    b"<|call|>",
    b"<|flush|>",
    b"<|calls|>",
    b"<end_of_turn>",
    b"<|endoftext|>",
    b"</s>",
    b"<|eom_id|>",
    b"<EOT>",
    b"_<EOT>",
    b"[EOT]",
    b"[EOS]",
    b"<|end_of_text|>",
    b"<end_of_utterance>",
    b"<eos>",
    b"<turn|>",
    b"<|tool_response>",
    "<｜end▁of▁sentence｜>".as_bytes(),
    b"[e~[",
];

/// Marks the tokens of `table` that have a role with [`END_OF_GENERATION`] and the control type. `types` holds the
/// file's types, one per token, and `role` finds the token that a key names.
pub(super) fn mark_roles(
    tokens: &Array<'_>,
    types: &mut [u8],
    role: impl Fn(&str) -> Result<Option<u32>, VocabularyError>,
) -> Result<(), VocabularyError> {
    for entry in &ROLES {
        let mut named = None;
        for key in entry.keys {
            named = role(key)?.or(named);
        }
        match named {
            Some(id) if entry.ends => mark(types, id),
            Some(_) => {}
            None => {
                for_spelled(tokens, types, entry.spellings, |flags| {
                    let end = if entry.ends { END_OF_GENERATION } else { 0 };
                    *flags = TokenType::Control as u8 | end;
                })?;
            }
        }
    }
    for_spelled(tokens, types, &END_SPELLINGS, |flags| {
        *flags = TokenType::Control as u8 | END_OF_GENERATION;
    })?;
    Ok(())
}

/// Marks the tokens at which generation ends according to a key. The end of text has a default if no key names it.
pub(super) fn mark_ends(
    types: &mut [u8],
    end_of_text: Option<u32>,
    role: impl Fn(&str) -> Result<Option<u32>, VocabularyError>,
) -> Result<(), VocabularyError> {
    end_of_text.into_iter().for_each(|id| mark(types, id));
    for key in END_KEYS {
        role(key)?.into_iter().for_each(|id| mark(types, id));
    }
    Ok(())
}

/// Undoes marks that the spellings set wrongly, in vocabularies recognised by their other tokens. `own` are the file's
/// types.
pub(super) fn take_back(
    tokens: &Array<'_>,
    types: &mut [u8],
    own: impl Iterator<Item = TokenType>,
) -> Result<(), VocabularyError> {
    let ends = |wanted: &[&[u8]]| -> Result<bool, VocabularyError> {
        let mut spelled = tokens.strings()?.zip(types.iter());
        Ok(spelled.any(|(token, flags)| flags & END_OF_GENERATION != 0 && wanted.contains(&token)))
    };
    let calls = ends(&[b"<|call|>", b"<|calls|>"])?;
    // It ends messages there, and an answer consists of several (o200k_harmony, solar-open).
    let messages_end = calls && (ends(&[b"<|return|>"])? || ends(&[b"<|flush|>"])?);
    // It is a text tag (plamo, gemma4).
    let is_text = ends(&[b"<|tool_response>", b"<|plamo:eos|>"])?;
    for ((token, flags), own) in tokens.strings()?.zip(types.iter_mut()).zip(own) {
        if messages_end && token == b"<|end|>" {
            *flags &= !END_OF_GENERATION;
        }
        if is_text && token == b"</s>" {
            *flags = own as u8;
        }
    }
    Ok(())
}

/// The numbers of tokens that are never generated. A list that could name all of them is refused.
pub(super) fn suppressed<'a>(
    gguf: &Gguf<'a>,
    tokens: usize,
) -> Result<Option<Array<'a>>, VocabularyError> {
    let list = gguf.array_opt("tokenizer.ggml.suppress_tokens")?;
    if let Some(list) = list {
        let _ = list.i32s()?;
        if list.len() >= tokens {
            let suppressed = list.len();
            return Err(VocabularyError::TooManySuppressed { suppressed, tokens });
        }
    }
    Ok(list)
}

/// Marks the tokens of a list that are never generated, and returns whether there are any. Invalid numbers are ignored,
/// as in llama.cpp.
pub(super) fn mark_suppressed(list: &Array<'_>, types: &mut [u8]) -> Result<bool, VocabularyError> {
    let mut any = false;
    for id in list.i32s()? {
        let place = usize::try_from(id).ok().and_then(|id| types.get_mut(id));
        if let Some(flags) = place {
            *flags |= SUPPRESSED;
            any = true;
        }
    }
    Ok(any)
}

/// Marks the special tokens that absorb white space, in the models that llama.cpp identifies by name.
pub(super) fn mark_strips(
    gguf: &Gguf<'_>,
    tokens: &Array<'_>,
    types: &mut [u8],
) -> Result<(), VocabularyError> {
    let pre = gguf.str_opt("tokenizer.ggml.pre")?.unwrap_or("");
    // Text for people: whatever it is, it is no reason to refuse a model.
    let name = match gguf.get("general.name") {
        Some(Value::String(name)) => name,
        _ => b"",
    };
    let named = |part: &[u8]| {
        name.windows(part.len())
            .any(|at| at.eq_ignore_ascii_case(part))
    };
    if matches!(pre, "jina-v2-de" | "jina-v2-es" | "jina-v2-code") {
        for_spelled(tokens, types, &[b"<mask>"], |flags| *flags |= STRIPS_BEFORE)?;
    } else if named(b"phi-3") || named(b"phi3") {
        types.iter_mut().for_each(|flags| *flags |= STRIPS_BEHIND);
        let others: [&[u8]; 3] = [b"<unk>", b"<s>", b"<|endoftext|>"];
        for_spelled(tokens, types, &others, |flags| *flags &= !STRIPS_BEHIND)?;
    } else if named(b"modern-bert") {
        for_spelled(tokens, types, &[b"[MASK]"], |flags| *flags |= STRIPS_BEFORE)?;
    }
    Ok(())
}

fn mark(types: &mut [u8], id: u32) {
    if let Some(flags) = types.get_mut(id as usize) {
        *flags |= END_OF_GENERATION;
    }
}

/// Calls `change` with the flags of each token that has one of these spellings.
fn for_spelled(
    tokens: &Array<'_>,
    types: &mut [u8],
    spellings: &[&[u8]],
    change: impl Fn(&mut u8),
) -> Result<(), VocabularyError> {
    for (token, flags) in tokens.strings()?.zip(types.iter_mut()) {
        // Few tokens share a first byte with one of them.
        let first = token.first().copied().unwrap_or(0);
        if matches!(first, b'<' | b'[' | b'_' | 0xE2) && spellings.contains(&token) {
            change(flags);
        }
    }
    Ok(())
}
