//! Models and adapters of a store, signed or unsigned.

use super::{AnyStore, DEVICE, ModelFile, Signed, key};
use crate::dice::Dice;
use ed25519_dalek::Signer as _;
use protocol::limits::MAX_DATA_BYTES;
use protocol::name::ModelName;
use protocol::store::{Content, Store};
use sha2::{Digest as _, Sha256};

pub(super) fn any_store(number: u64) -> AnyStore {
    let mut dice = Dice::new(0x5703E, number);
    if number == 0 {
        return AnyStore {
            bytes: vec![0xAB; 3000],
            models: None,
            adapters: Vec::new(),
            data: Vec::new(),
        };
    }
    let count = *dice.pick(&[1, 2, 3, 4, 6, 20, 18]);
    let mut builder = tar::Builder::new(Vec::new());
    let mut append = |name: &str, data: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        let appended = builder.append_data(&mut header, name, data);
        appended.expect("a file for an archive in memory");
    };
    let mut signed = Vec::new();
    for model in 0..count {
        let name = if model == 0 && number % 8 != 7 {
            String::from("default")
        } else {
            format!("m{model}")
        };
        let len = match dice.below(8) {
            0 => dice.within(150_000, 500_000),
            1 => 131_072,
            2 => 131_073,
            _ => dice.within(1, 400),
        };
        let mut data: Vec<u8> = (0..len).map(|i| (i as u8) ^ (number as u8)).collect();
        data[0] = model as u8;
        let hash = Sha256::digest(&data);
        let how = match dice.below(10) {
            0 => Signed::Missing,
            1 | 2 => Signed::Badly,
            _ => Signed::Well,
        };
        // In most stores the first model can be loaded.
        let how = if model == 0 && number % 5 != 4 {
            Signed::Well
        } else {
            how
        };
        let signature = match how {
            Signed::Well => key(1 + dice.below(2) as u8).sign(&hash).to_bytes(),
            _ if dice.percent(50) => key(3).sign(&hash).to_bytes(),
            _ => {
                let mut signature = key(1).sign(&hash).to_bytes();
                signature[dice.below(64) as usize] ^= 1;
                signature
            }
        };
        append(&format!("{name}.gguf"), &data);
        if how != Signed::Missing {
            append(&format!("{name}.gguf.sig"), &signature);
        }
        signed.push((how, false));
    }
    let (mut of_adapters, mut of_data) = (Vec::new(), Vec::new());
    for adapter in 0..dice.below(6) {
        let len = *dice.pick(&[100, 500, 40_000]);
        let data = [adapter as u8; 1].repeat(len);
        let how = any_signed(&mut dice);
        let name = format!("adapters/a{adapter}.gguf");
        append(&name, &data);
        // The device's signature is accepted, too.
        let good = *dice.pick(&[1, 2, DEVICE]);
        if let Some(signature) = sign(&data, how, good) {
            append(&format!("{name}.sig"), &signature);
        }
        of_adapters.push((how, good == DEVICE));
    }
    for number in 0..dice.below(6) {
        let lines = *dice.pick(&[0, 1, 3, 50]);
        let mut data = b"line\n".repeat(lines);
        data.extend(vec![b'x'; *dice.pick(&[0, 1, 700, 50_000])]);
        if dice.percent(5) {
            data.resize(MAX_DATA_BYTES + 1, b'\n');
        }
        let how = any_signed(&mut dice);
        let name = format!("data/d{number}.txt");
        append(&name, &data);
        if let Some(signature) = sign(&data, how, 1) {
            append(&format!("{name}.sig"), &signature);
        }
        of_data.push((how, false));
    }
    let bytes = builder.into_inner().expect("an archive in memory");
    let files = |content, signed: Vec<(Signed, bool)>| -> Vec<ModelFile> {
        let found = Store::new(&bytes).items(content).expect("an archive");
        found
            .zip(signed)
            .map(|(item, (signed, by_device))| ModelFile {
                name: ModelName::new(item.name).expect("a name"),
                offset: item.file.offset as u64,
                bytes: item.file.data.len() as u64,
                sha256: Sha256::digest(item.file.data).into(),
                signed,
                by_device,
                line_feeds: item.file.data.iter().filter(|b| **b == b'\n').count() as u64,
            })
            .collect()
    };
    AnyStore {
        models: Some(files(Content::Model, signed)),
        adapters: files(Content::Adapter, of_adapters),
        data: files(Content::Data, of_data),
        bytes,
    }
}

fn any_signed(dice: &mut Dice) -> Signed {
    match dice.below(8) {
        0 => Signed::Missing,
        1 => Signed::Badly,
        _ => Signed::Well,
    }
}

/// Makes a signature; a good one uses this key.
fn sign(data: &[u8], how: Signed, good: u8) -> Option<[u8; 64]> {
    let seed = match how {
        Signed::Missing => return None,
        Signed::Well => good,
        Signed::Badly => 3,
    };
    Some(key(seed).sign(&Sha256::digest(data)).to_bytes())
}
