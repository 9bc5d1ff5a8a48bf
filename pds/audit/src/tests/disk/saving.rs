//! Adapters made here are written to the disk complete and with a signature by the device's key, or not at all.

use super::super::adapters::{adapter_loaded, infer_with};
use super::super::tuning::{file, tune};
use super::*;
use ed25519_dalek::{Signature as Ed25519, SigningKey};
use protocol::hash::Hash;
use protocol::limits::MAX_PART_BYTES;
use protocol::record::Kind;
use protocol::wire::client::Tuned;
use protocol::wire::engine::Report;
use protocol::wire::{Fault, FaultKind};
use sha2::{Digest as _, Sha256};

const PATH: &str = "adapters/moods.gguf";

/// Checks that the disk has this adapter, with a signature that verifies with the device's public key.
fn is_signed_by_device(signature: &[u8], file: &[u8]) -> bool {
    let public = SigningKey::from_bytes(&[7; 32]).verifying_key();
    let signature = Ed25519::from_slice(signature).unwrap();
    let sha256: Hash = Sha256::digest(file).into();
    public.verify_strict(&sha256, &signature).is_ok()
}

impl World {
    /// Makes an adapter and proceeds until it is loaded.
    fn makes(&mut self, id: u32, name: &str) {
        self.put("data/tales.txt", b"once\nupon\na time", Some(2));
        self.system.ask(id, &tune("disk/tales", name));
        self.settle();
        let number = self.system.trains().number;
        self.system.makes(number, &file());
        self.system
            .say(number, &Report::AdapterLoaded(adapter_loaded()));
    }

    /// Runs until the fine-tuning has ended, however long that takes.
    fn tuned(&mut self, id: u32) -> Tuned {
        for _ in 0..1000 {
            for told in self.settle() {
                if let Told::Tuned(of, tuned) = told {
                    assert_eq!(of, id);
                    return tuned;
                }
            }
            let now = self.system.runtime.now + 1000;
            self.system.runtime.now = self.system.runtime.timer.unwrap_or(0).max(now);
            self.system.wake();
        }
        panic!("it does not end");
    }
}

#[test]
fn what_is_made_is_written_with_its_signature_on_record_and_loads_after_a_reboot() {
    let mut world = World::new();
    world.makes(5, "moods");
    let tuned = world.tuned(5);
    assert_eq!(
        (tuned.name, tuned.on_disk),
        (model("moods"), model("disk/moods"))
    );
    assert_eq!((tuned.not_loaded, tuned.not_on_disk), (None, None));
    let (made, signature) = (
        world.disk[PATH].clone(),
        world.disk["adapters/moods.gguf.sig"].clone(),
    );
    assert!(made == file() && is_signed_by_device(&signature, &made));
    let record = world.system.last_record(Kind::Save);
    let sha256: Hash = Sha256::digest(&made).into();
    assert_eq!(
        (
            record.name,
            record.adapter_sha256,
            record.value,
            record.code
        ),
        (model("disk/moods"), sha256, made.len() as u64, 0)
    );
    assert_eq!(record.user.as_str(), "admin");
    let saved = record.sequence;
    assert!(world.system.last_record(Kind::Tuned).sequence < saved);
    world.system.ask(6, &infer_with("", "moods"));
    world.system.admitted();

    // After a reboot the device accepts its own signature.
    let mut rebooted = World::new();
    rebooted.disk.insert(PATH.into(), made.clone());
    rebooted.disk.insert(format!("{PATH}.sig"), signature);
    let name = model("disk/moods");
    rebooted.system.ask(5, &Request::LoadAdapter { name });
    rebooted.settle();
    let asked = rebooted.system.asked();
    let [Asked::Adapter { offset, .. }] = asked[..] else {
        panic!("{asked:?}");
    };
    assert!(rebooted.lies(offset, &made));
}

#[test]
fn what_lies_on_the_disk_is_never_written_over() {
    let mut world = World::new();
    world.put(PATH, b"another", Some(3));
    world.put("adapters/moods-2.gguf", b"and another", None);
    let before = world.disk.clone();
    world.makes(5, "disk/moods");
    let tuned = world.tuned(5);
    assert_eq!(
        (tuned.name, tuned.on_disk),
        (model("moods"), model("disk/moods-3"))
    );
    for (path, content) in before {
        assert_eq!(world.disk[&path], content, "{path}");
    }
    assert!(world.disk["adapters/moods-3.gguf"] == file());
    for n in 4..=9 {
        world.put(&format!("adapters/moods-{n}.gguf"), b"x", None);
    }
    let name = model("moods");
    world.system.ask(6, &Request::DropAdapter { name });
    world.settle();
    world.system.asked();
    world.makes(7, "moods");
    let tuned = world.tuned(7);
    assert_eq!(tuned.not_on_disk, Some(ErrorCode::AdapterExists));
    assert!(tuned.on_disk.is_empty());
}

#[test]
fn an_adapter_that_cannot_be_written_stays_in_memory_and_its_user_is_told_why() {
    let half = file().len() / 2;
    for (misdeed, code) in [
        (Misdeed::ReadOnly, ErrorCode::DiskReadOnly),
        (Misdeed::Full(0), ErrorCode::DiskFull),
        (Misdeed::Full(64), ErrorCode::DiskFull),
        (Misdeed::Full(half), ErrorCode::DiskFull),
        (Misdeed::Silence, ErrorCode::FilesSilent),
    ] {
        let mut world = World::new();
        world.makes(5, "moods");
        world.misdeed = misdeed;
        if misdeed == Misdeed::Silence {
            world.settle();
            world.system.runtime.now += ANSWER_US;
            world.system.wake();
        }
        let tuned = world.tuned(5);
        assert_eq!(tuned.not_on_disk, Some(code), "{misdeed:?}");
        assert!(tuned.on_disk.is_empty() && tuned.not_loaded.is_none());
        assert!(!world.disk.contains_key(PATH), "nothing half made");
        let record = world.system.last_record(Kind::Save);
        assert_eq!(
            (record.code, record.name),
            (code as u16, model("disk/moods"))
        );
        world.system.ask(6, &infer_with("", "moods"));
        let number = world.system.admitted();
        world
            .system
            .finished(number, protocol::wire::FinishReason::EndOfText, 0);
        world.settle();
    }
    let mut world = World::new();
    let name = "m".repeat(60);
    world.makes(5, &name);
    let tuned = world.tuned(5);
    assert_eq!(tuned.not_on_disk, Some(ErrorCode::NameLength));
    assert_eq!((tuned.disk_value, tuned.disk_limit), (60, 59));
}

#[test]
fn whenever_the_power_goes_the_disk_has_no_adapter_or_a_whole_one_with_its_signature() {
    let mut steps = 0;
    for cut in 0.. {
        let mut world = World::new();
        world.makes(5, "moods");
        for _ in 0..cut {
            world.look();
            world.system.runtime.now += SECOND;
            world.system.wake();
        }
        if let Some(made) = world.disk.get(PATH) {
            assert!(*made == file());
            assert!(is_signed_by_device(
                &world.disk[&format!("{PATH}.sig")],
                made
            ));
            steps = cut;
            break;
        }
    }
    // One check of the name; three questions for the signature; then create, each part, and finish.
    assert_eq!(steps, 1 + 3 + 1 + file().len().div_ceil(MAX_PART_BYTES) + 1);
}

#[test]
fn a_restart_of_inference_or_a_cancel_meanwhile_changes_nothing() {
    let mut world = World::new();
    world.makes(5, "moods");
    assert!(world.look() && world.look());
    world.system.ask(5, &Request::Cancel);
    let System { audit, runtime, .. } = &mut world.system;
    let fault = Fault {
        kind: FaultKind::Memory,
        ip: 0,
        address: 0,
    };
    audit.on_fault(fault, runtime);
    world.system.join();
    world.system.loaded(world.system.own_load);
    let tuned = world.tuned(5);
    assert_eq!(tuned.on_disk, model("disk/moods"));
    assert!(world.disk[PATH] == file());
    let asked = world.system.asked();
    assert!(matches!(asked[..], [Asked::Adapter { .. }]), "{asked:?}");
}

#[test]
fn models_and_adapters_stay_as_they_are_while_one_is_written() {
    let mut world = World::new();
    world.makes(5, "moods");
    let training = Failure::of(ErrorCode::Training);
    for request in [
        Request::Load {
            name: model("disk/one"),
        },
        Request::LoadAdapter {
            name: model("disk/moral"),
        },
        Request::DropAdapter {
            name: model("moods"),
        },
        tune("disk/tales", "more"),
    ] {
        world.system.ask(9, &request);
        let told = world.system.told_at_last();
        assert!(told.contains(&Told::Failed(9, training)), "{told:?}");
    }
    // Text goes on.
    world.system.infer(10, 5);
    let number = world.system.admitted();
    world.system.token(number, "x");
    world
        .system
        .finished(number, protocol::wire::FinishReason::EndOfText, 1);
    world.tuned(5);
}

#[test]
fn its_bytes_leave_inference_no_faster_than_the_egress_cap_allows() {
    let mut policy = policy();
    (policy.egress_bytes_per_second, policy.egress_burst_bytes) = (512, 2048);
    let mut world = World::of(policy, Misdeed::None);
    world.makes(5, "moods");
    world.tuned(5);
    let stats = world.system.stats();
    let uptime = world.system.runtime.now;
    assert!(world.disk[PATH] == file());
    assert!(
        stats.egress_bytes >= file().len() as u64,
        "{}",
        stats.egress_bytes
    );
    assert!(stats.egress_bytes <= 2048 + 512 * uptime / 1_000_000 + 200);
}
