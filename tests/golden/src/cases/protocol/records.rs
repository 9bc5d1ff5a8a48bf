//! Records, policies and stores.

use super::{PROMPT, conversation, format, model, user};
use crate::bits::Bits;
use crate::generator::Generator;
use alloc::vec::Vec;
use core::fmt::Write as _;
use log_export::{Ending, Line, Opening};
use protocol::hash::SIGNATURE_BYTES;
use protocol::policy::{POLICY_REGION_BYTES, Policy};
use protocol::record::{Kind, Record};
use protocol::store::Store;
use protocol::testing::policy_bytes;
use protocol::wire::engine::KvType;
use protocol::wire::{InferParams, TrainParams};
use safe_text::json::Text;

pub(super) fn record(kind: Kind) -> Record {
    Record {
        code: 3,
        kv_type: KvType::Q8 as u16,
        numerics: 1,
        request: 9,
        sequence: u64::MAX,
        time_us: 123_456_789,
        previous: [0x0F; 32],
        user: user(),
        session: 2,
        turn: 1,
        prompt_bytes: PROMPT.len() as u32,
        prompt_tokens: 6,
        generated_tokens: 100,
        text_bytes: PROMPT.len() as u32,
        params: InferParams::default(),
        train: TrainParams::default(),
        model_sha256: [0xF0; 32],
        adapter_sha256: [0xE1; 32],
        format: format(),
        format_sha256: [0xD2; 32],
        segments: 3,
        stops: 2,
        user_defined: 1,
        value: 17,
        limit: 18,
        name: model(),
        ..Record::new(kind)
    }
}

pub(super) fn record_json(bits: &mut Bits) {
    let mut line = |text: core::fmt::Arguments<'_>| {
        let _ = writeln!(bits, "{text}");
    };
    let opening = Opening {
        anchor: [3; 32],
        first: 7,
    };
    line(format_args!("{opening}"));
    for kind in Kind::ALL {
        let record = record(*kind);
        let text = match kind {
            Kind::Admit => conversation().as_bytes(),
            _ => PROMPT,
        };
        line(format_args!(
            "{}",
            Line {
                record: &record,
                text
            }
        ));
    }
    let text = b"\"quoted\" \\ \x00\x1b[31m \xff \xe2\x96 \xf0\x9f\xa6\x8a \n";
    line(format_args!("{}", Text(text)));
    let ending = Ending {
        head: [4; 32],
        entries: 19,
        filtered: false,
    };
    line(format_args!("{ending}"));
}

/// A policy, and the result of reading it when it is cut off or one bit is flipped.
pub(super) fn policy_read(bits: &mut Bits) {
    let mut sound = policy_bytes();
    sound.resize(POLICY_REGION_BYTES, 0);
    let mut generator = Generator::new(903);
    let mut read = |bytes: &[u8]| match Policy::read(bytes) {
        Ok(policy) => {
            for user in policy.users() {
                let _ = writeln!(bits, "{} {}", user.name, user.budget_tokens);
            }
        }
        Err(error) => bits.number(error as u64),
    };
    read(&sound);
    read(&sound[..100]);
    for at in 0..256 {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << generator.below(8);
        read(&bytes);
    }
}

/// Appends a file to an archive in the `ustar` format of tar.
fn archived(path: &str, data: &[u8], archive: &mut Vec<u8>) {
    let mut header = [0u8; 512];
    header[..path.len()].copy_from_slice(path.as_bytes());
    for (digit, place) in header[124..135].iter_mut().rev().enumerate() {
        *place = b'0' + (data.len() >> (3 * digit) & 7) as u8;
    }
    header[148..156].fill(b' ');
    header[156] = b'0';
    header[257..262].copy_from_slice(b"ustar");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (digit, place) in header[148..154].iter_mut().rev().enumerate() {
        *place = b'0' + (sum >> (3 * digit) & 7) as u8;
    }
    header[154] = 0;
    archive.extend(header);
    archive.extend(data);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

/// An archive with models, signatures and other files, and what is read from it as more and more of its bytes change.
pub(super) fn store_read(bits: &mut Bits) {
    let mut generator = Generator::new(904);
    let mut sound = Vec::new();
    archived("README", b"no model", &mut sound);
    archived("models/default.gguf", &generator.bytes(700), &mut sound);
    archived("models/default.gguf.sig", &[7; SIGNATURE_BYTES], &mut sound);
    archived("tiny.gguf", &generator.bytes(512), &mut sound);
    archived("tiny.gguf.sig", b"too short", &mut sound);
    sound.resize(sound.len() + 2048, 0);
    let model = Store::new(&sound).find("default").expect("it is there");
    assert_eq!(model.signature, Some([7; SIGNATURE_BYTES]));
    assert_eq!(&sound[model.file.offset..][..700], model.file.data);
    for _ in 0..200 {
        for file in Store::new(&sound).files() {
            let _ = writeln!(bits, "{} {} {}", file.path, file.offset, file.data.len());
        }
        match Store::new(&sound).models() {
            Ok(models) => models.for_each(|model| {
                let _ = writeln!(bits, "{} {}", model.name, model.signature.is_some());
            }),
            Err(failure) => bits.number(failure.code as u64),
        }
        let header = 512 * generator.below(sound.len() / 512);
        sound[header + [0, 124, 130, 134, 148, 156][generator.below(6)]] = generator.byte();
    }
}
