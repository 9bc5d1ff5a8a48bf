//! The audit log as lines of JSON.
//!
//! `llmctl audit --json` prints one object per line: [`Opening`], the entries ([`Line`]), [`Ending`]. `llmctl audit
//! attest` prints an [`AttestationLine`]. Members are named like the fields; hashes are lower-case hexadecimal, and text is
//! escaped to ASCII. The text of a request is an array of its parts, each with kind and text. Everything that is hashed is
//! included, so `llmtool audit verify` needs only the lines to compute the chain. It writes each line again with these
//! types, and a line that differs has been altered.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
mod tests;

use core::fmt::{self, Display, Formatter, Write as _};
use protocol::attest::Attestation;
use protocol::hash::{Hash, Hex};
use protocol::record::{Kind, RECORD_VERSION, Record};
use protocol::wire::Parts;
use safe_text::json::{Object, Text};

/// Version of the signed statement and of its line, which contains it.
pub const ATTESTATION_VERSION: u16 = 1;

/// First line of an export.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The hash that the first entry holds of its predecessor.
    pub anchor: Hash,
    /// Sequence number of the first entry.
    pub first: u64,
}

impl Display for Opening {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Object::new(f)
            .text("log", "sel4-llm")
            .member("version", RECORD_VERSION)
            .member("first", self.first)
            .text("anchor", Hex(&self.anchor))
            .finish()
    }
}

/// Last line of an export.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// SHA-256 of the last entry.
    pub head: Hash,
    /// Number of entries printed.
    pub entries: u64,
    /// Whether entries were left out, in which case the chain cannot be checked.
    pub filtered: bool,
}

impl Display for Ending {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Object::new(f)
            .text("head", Hex(&self.head))
            .member("entries", self.entries)
            .member("filtered", self.filtered)
            .finish()
    }
}

/// An entry as a line of an export.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its text.
    pub text: &'a [u8],
}

impl Line<'_> {
    /// Writes the text of a request as its parts, because a JSON text cannot hold their lengths; any other text as it is.
    fn write_text(&self, object: &mut Object<'_, '_>) {
        let parts = match self.record.kind() {
            Some(Kind::Admit) => Parts::parse(self.text),
            _ => None,
        };
        match parts {
            Some(parts) => object.member("parts", Pairs(parts)),
            None => object.member("text", Text(self.text)),
        };
    }
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Record {
            version,
            kind,
            code,
            kv_type,
            numerics,
            request,
            sequence,
            time_us,
            previous,
            user,
            session,
            turn,
            prompt_bytes,
            prompt_tokens,
            generated_tokens,
            text_bytes,
            params,
            train,
            format,
            format_sha256,
            segments,
            stops,
            user_defined,
            model_sha256,
            adapter_sha256,
            prompt_sha256,
            output_sha256,
            latency_us,
            first_token_us,
            value,
            limit,
            count,
            name,
        } = self.record;
        let mut object = Object::new(f);
        object
            .member("sequence", sequence)
            .member("time_us", time_us)
            .text("event", self.record.kind().map_or("unknown", Kind::as_str))
            .member("version", version)
            .member("kind", kind)
            .member("code", code)
            .text("user", user)
            .text("name", name)
            .member("request", request)
            .member("session", session)
            .member("turn", turn)
            .member("kv_type", kv_type)
            .member("numerics", numerics)
            .member("prompt_bytes", prompt_bytes)
            .member("prompt_tokens", prompt_tokens)
            .member("generated_tokens", generated_tokens)
            .member("text_bytes", text_bytes)
            .member("latency_us", latency_us)
            .member("first_token_us", first_token_us)
            .member("value", value)
            .member("limit", limit)
            .member("count", count)
            .text("format", format)
            .member("segments", segments)
            .member("stops", stops)
            .member("user_defined", user_defined)
            .object("params", |object| {
                let sampling = &params.sampling;
                object
                    .member("seed", sampling.seed)
                    .member("temperature", sampling.temperature)
                    .member("top_k", sampling.top_k)
                    .member("top_p", sampling.top_p)
                    .member("min_p", sampling.min_p)
                    .member("repeat_penalty", sampling.repeat_penalty)
                    .member("repeat_last_n", sampling.repeat_last_n)
                    .member("max_tokens", params.max_tokens);
            })
            .object("train", |object| {
                object
                    .member("seed", train.seed)
                    .member("rank", train.rank)
                    .member("alpha", train.alpha)
                    .member("epochs", train.epochs)
                    .member("rate", train.rate)
                    .member("targets", train.targets);
            })
            .text("model_sha256", Hex(model_sha256))
            .text("adapter_sha256", Hex(adapter_sha256))
            .text("format_sha256", Hex(format_sha256))
            .text("prompt_sha256", Hex(prompt_sha256))
            .text("output_sha256", Hex(output_sha256))
            .text("previous", Hex(previous));
        if *text_bytes > 0 {
            self.write_text(&mut object);
        }
        object.finish()
    }
}

/// The parts of a request, each with its kind and its text.
struct Pairs<'a>(Parts<'a>);

impl Display for Pairs<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (i, part) in self.0.iter().enumerate() {
            let between = if i == 0 { "" } else { "," };
            write!(f, "{between}[\"{}\",{}]", part.kind.word(), Text(part.text))?;
        }
        f.write_char(']')
    }
}

/// A signed head, as `llmctl audit attest` prints it and `llmtool audit verify` reads it.
#[derive(Clone, Copy, Debug)]
pub struct AttestationLine<'a>(pub &'a Attestation);

impl Display for AttestationLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Attestation {
            sequence,
            boot,
            nonce,
            head,
            signature,
        } = self.0;
        Object::new(f)
            .text("attest", "sel4-llm")
            .member("version", ATTESTATION_VERSION)
            .member("sequence", sequence)
            .member("boot", boot)
            .text("nonce", nonce)
            .text("head", Hex(head))
            .text("signature", Hex(signature))
            .finish()
    }
}
