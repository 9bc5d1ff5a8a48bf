use super::*;
use crate::work::WORK_BYTES;
use ed25519_dalek::{Signer as _, SigningKey};
use protocol::name::UserName;
use protocol::policy::TrustedKey;
use std::vec;
use std::vec::Vec;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A policy that trusts the key that [`signed`] signs with, and another.
pub(crate) fn trusting(mut policy: Policy) -> Policy {
    for (seed, name) in [(1, "other"), (2, "ours")] {
        policy.keys[policy.key_count as usize] = TrustedKey {
            name: UserName::new(name).unwrap(),
            public: key(seed).verifying_key().to_bytes(),
        };
        policy.key_count += 1;
    }
    policy
}

pub(crate) fn sign(file: &[u8], seed: u8) -> [u8; 64] {
    let hash: Hash = Sha256::digest(file).into();
    key(seed).sign(&hash).to_bytes()
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, data) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *data).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A store with `default`, `tiny` (several slices long), `unsigned`, and `foreign`, signed by an unknown key.
pub(crate) fn signed() -> Vec<u8> {
    let tiny = vec![7; 3 * WORK_BYTES + 5];
    archive(&[
        ("default.gguf", b"GGUF default"),
        ("default.gguf.sig", &sign(b"GGUF default", 2)),
        ("tiny.gguf", &tiny),
        ("tiny.gguf.sig", &sign(&tiny, 1)),
        ("unsigned.gguf", b"GGUF"),
        ("foreign.gguf", b"GGUF"),
        ("foreign.gguf.sig", &sign(b"GGUF", 3)),
    ])
}

/// Key of the device that [`protocol::testing::policy`] is for.
const DEVICE: u8 = 7;

/// Like [`signed`], with adapters and training data: `moral` and `tales` are signed by the policy's key, `ours`
/// only by the device; `unsigned` has no signature and `foreign` one by an unknown key.
pub(crate) fn with_adapters() -> Vec<u8> {
    let moral = [b"GGUF moral".to_vec(), vec![1; WORK_BYTES]].concat();
    let long = vec![b'x'; protocol::limits::MAX_DATA_BYTES + 1];
    archive(&[
        ("default.gguf", b"GGUF default"),
        ("default.gguf.sig", &sign(b"GGUF default", 2)),
        ("other.gguf", b"GGUF other"),
        ("other.gguf.sig", &sign(b"GGUF other", 2)),
        ("adapters/moral.gguf", &moral),
        ("adapters/moral.gguf.sig", &sign(&moral, 2)),
        ("adapters/ours.gguf", b"GGUF ours"),
        ("adapters/ours.gguf.sig", &sign(b"GGUF ours", DEVICE)),
        ("adapters/unsigned.gguf", b"GGUF"),
        ("adapters/foreign.gguf", b"GGUF"),
        ("adapters/foreign.gguf.sig", &sign(b"GGUF", 3)),
        ("data/tales.txt", b"once\nupon\na time"),
        ("data/tales.txt.sig", &sign(b"once\nupon\na time", 2)),
        ("data/ours.txt", b"once"),
        ("data/ours.txt.sig", &sign(b"once", DEVICE)),
        ("data/unsigned.txt", b"once"),
        ("data/foreign.txt", b"once"),
        ("data/foreign.txt.sig", &sign(b"once", 3)),
        ("data/empty.txt", b""),
        ("data/empty.txt.sig", &sign(b"", 2)),
        ("data/long.txt", &long),
        ("data/long.txt.sig", &sign(&long, 2)),
    ])
}

/// A store of models with these names, all signed.
pub(crate) fn signed_as(names: &[&str]) -> Vec<u8> {
    let files: Vec<_> = names
        .iter()
        .flat_map(|name| {
            let content = std::format!("GGUF {name}").into_bytes();
            let signature = sign(&content, 2).to_vec();
            [
                (std::format!("{name}.gguf"), content),
                (std::format!("{name}.gguf.sig"), signature),
            ]
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, c)| (n.as_str(), &c[..])).collect();
    archive(&files)
}

/// Hashes as much as a wake-up that hashes nothing else.
fn slice<'m>(
    models: &mut Models<'m>,
    verification: &mut Verification<'m>,
    policy: &Policy,
) -> Option<Result<Verified, Failure>> {
    models.step(verification, policy, &Device::new(policy), &mut {
        WORK_BYTES
    })
}

fn verify(store: &[u8], name: &str) -> Result<(Verified, usize), Failure> {
    let policy = trusting(protocol::testing::policy());
    let mut models = Models::new(store);
    let mut verification = models.begin(ModelName::new(name).unwrap())?;
    for steps in 1.. {
        if let Some(result) = slice(&mut models, &mut verification, &policy) {
            // The second time, the verdict is known.
            let mut again = models.begin(ModelName::new(name).unwrap()).unwrap();
            let device = Device::new(&policy);
            let known = models.step(&mut again, &policy, &device, &mut 0);
            assert_eq!(known, Some(result));
            assert_eq!(again.progress().0, 0);
            return result.map(|verified| (verified, steps));
        }
    }
    unreachable!()
}

#[test]
fn a_signed_model_is_verified_in_slices() {
    let store = signed();
    let (verified, steps) = verify(&store, "default").unwrap();
    assert_eq!((verified.bytes, steps), (12, 1));
    let offset = verified.offset as usize;
    assert_eq!(&store[offset..offset + 12], b"GGUF default");
    let (verified, steps) = verify(&store, "tiny").unwrap();
    assert_eq!((verified.bytes as usize, steps), (3 * WORK_BYTES + 5, 4));
}

#[test]
fn of_too_many_verdicts_the_oldest_is_forgotten_and_found_again() {
    let files: Vec<_> = (0..=KEPT)
        .map(|n| {
            (
                std::format!("m{n}.gguf"),
                std::format!("GGUF {n}").into_bytes(),
            )
        })
        .collect();
    let signatures: Vec<_> = files
        .iter()
        .map(|(name, data)| (std::format!("{name}.sig"), sign(data, 2)))
        .collect();
    let mut all: Vec<(&str, &[u8])> = Vec::new();
    for ((name, data), (signature_name, signature)) in files.iter().zip(&signatures) {
        all.extend([(name.as_str(), &data[..]), (signature_name, signature)]);
    }
    let store = archive(&all);
    let policy = trusting(protocol::testing::policy());
    let mut models = Models::new(&store);
    let verify = |models: &mut Models<'_>, n: usize| {
        let name = ModelName::new(&std::format!("m{n}")).unwrap();
        let mut verification = models.begin(name).unwrap();
        let result = slice(models, &mut verification, &policy);
        assert!(matches!(result, Some(Ok(_))));
    };
    let known = |models: &Models<'_>, n: usize| {
        let model = models.store().find(&std::format!("m{n}")).unwrap();
        models.signature(model.file.offset, true)
    };
    for n in 0..KEPT {
        verify(&mut models, n);
    }
    assert_eq!(known(&models, 0), Signature::Good);
    verify(&mut models, KEPT);
    assert_eq!(known(&models, 0), Signature::Unchecked);
    assert_eq!(known(&models, 1), Signature::Good);
    verify(&mut models, 0);
    assert_eq!(known(&models, 0), Signature::Good);
}

#[test]
fn unsigned_foreign_and_missing_models_are_refused() {
    let store = signed();
    for (name, code) in [
        ("unsigned", ErrorCode::Unsigned),
        ("foreign", ErrorCode::BadSignature),
        ("nothing", ErrorCode::NoSuchModel),
    ] {
        assert_eq!(verify(&store, name).unwrap_err(), Failure::of(code));
    }
    assert_eq!(
        verify(&[], "default").unwrap_err().code,
        ErrorCode::BadStore
    );
}

#[test]
fn every_bit_flip_of_a_signed_model_or_its_signature_is_refused() {
    let store = signed();
    let at = |what: &[u8]| store.windows(what.len()).position(|w| w == what).unwrap();
    let file = at(b"GGUF default");
    let signature = at(&sign(b"GGUF default", 2));
    for byte in (file..file + 12).chain(signature..signature + 64) {
        for bit in 0..8 {
            let mut store = store.clone();
            store[byte] ^= 1 << bit;
            let failure = verify(&store, "default").unwrap_err();
            assert_eq!(
                failure.code,
                ErrorCode::BadSignature,
                "byte {byte}, bit {bit}"
            );
        }
    }
}

#[test]
fn what_is_known_of_signatures_can_be_listed() {
    let store = signed();
    let policy = trusting(protocol::testing::policy());
    let mut models = Models::new(&store);
    for name in ["default", "foreign"] {
        let mut verification = models.begin(ModelName::new(name).unwrap()).unwrap();
        while slice(&mut models, &mut verification, &policy).is_none() {}
    }
    let known: Vec<_> = models
        .store()
        .models()
        .unwrap()
        .map(|m| {
            (
                m.name,
                models.signature(m.file.offset, m.signature.is_some()),
            )
        })
        .collect();
    assert_eq!(
        known,
        [
            ("default", Signature::Good),
            ("tiny", Signature::Unchecked),
            ("unsigned", Signature::Missing),
            ("foreign", Signature::Bad),
        ]
    );
}
