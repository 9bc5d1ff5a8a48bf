//! Adapters and training data on a disk: inference can read nothing unverified, and nothing is overwritten.

use super::super::adapters::{adapter_loaded, base, infer_with};
use super::super::tuning::{file, tune};
use super::*;
use crate::tests::disk::world::SLOT;
use crate::tests::disk::world::model_bytes;
use protocol::adapters::{EXAMPLES_BYTES, MADE_BYTES};
use protocol::hash::Hash;
use protocol::limits::MAX_DATA_BYTES;
use protocol::record::Kind;
use protocol::wire::client::AdapterOrigin;
use protocol::wire::engine::{Report, Source};
use protocol::wire::{Fault, FaultKind};
use sha2::{Digest as _, Sha256};

/// Key of the device that the policy is for.
const DEVICE: u8 = 7;

impl World {
    /// The content of the region of adapters behind the examples.
    pub(super) fn region(&self) -> Vec<u8> {
        let words = EXAMPLES_BYTES / 8..(EXAMPLES_BYTES + MADE_BYTES) / 8;
        words
            .flat_map(|word| self.system.adapters.load(word).to_ne_bytes())
            .collect()
    }

    pub(super) fn lies(&self, offset: u64, file: &[u8]) -> bool {
        let begin = offset as usize - EXAMPLES_BYTES;
        self.region()[begin..begin + file.len()] == *file
    }

    /// Asks for an adapter and proceeds until inference is told of it. Returns the number of the request, its place,
    /// and its position.
    fn asks_for(&mut self, id: u32, name: &str) -> (u32, u32, u64) {
        let name = model(name);
        self.system.ask(id, &Request::LoadAdapter { name });
        let told = self.settle();
        let asked = self.system.asked();
        let [
            Asked::Adapter {
                number,
                place,
                source: Source::Device,
                offset,
                base: of,
                ..
            },
        ] = asked[..]
        else {
            panic!("an adapter, not {asked:?}, {told:?}");
        };
        assert_eq!(of, base());
        (number, place, offset)
    }

    /// Loads an adapter. Returns its position.
    fn loads_adapter(&mut self, id: u32, name: &str) -> u64 {
        let (number, _, offset) = self.asks_for(id, name);
        self.system
            .say(number, &Report::AdapterLoaded(adapter_loaded()));
        let info = adapter_loaded().info;
        let loaded = Told::AdapterLoaded(id, model(name), info);
        assert_eq!(self.settle(), [loaded]);
        offset
    }

    /// Checks that the load or fine-tuning is refused with this error before inference is told of it, and that the
    /// region is unchanged.
    fn refuses(&mut self, request: &Request<'_>) -> Failure {
        let before = self.region();
        self.system.ask(70, request);
        let told = self.settle();
        let failed: Vec<_> = told
            .iter()
            .filter_map(|told| match told {
                Told::Failed(70, failure) => Some(*failure),
                _ => None,
            })
            .collect();
        assert_eq!(failed.len(), 1, "{told:?}");
        assert_eq!(self.system.asked(), []);
        assert!(self.region() == before);
        failed[0]
    }

    fn refuses_adapter(&mut self, name: &str) -> Failure {
        self.refuses(&Request::LoadAdapter { name: model(name) })
    }
}

#[test]
fn adapters_of_the_disk_are_listed_behind_the_others_by_names_of_their_own() {
    let mut world = World::new();
    world.put("adapters/more/sad.gguf", b"GGUF sad", None);
    world.put("adapters/with blank.gguf", b"GGUF", None);
    world.put("adapters/notes.txt", b"no adapter", None);
    world.put("adapters/alone.gguf.sig", b"", None);
    world.system.ask(5, &Request::Adapters);
    let told = world.settle();
    let listed: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Adapter(5, entry) => Some((entry.name, entry.origin, entry.signature)),
            _ => None,
        })
        .collect();
    assert_eq!(
        listed,
        [
            (
                model("disk/moral"),
                AdapterOrigin::Disk,
                Signature::Unchecked
            ),
            (
                model("disk/more/sad"),
                AdapterOrigin::Disk,
                Signature::Missing
            ),
        ]
    );
    let skipped = Failure::over(ErrorCode::FilesSkipped, 1, 0);
    assert_eq!(told.last(), Some(&Told::Failed(5, skipped)));
    // No adapter is listed as a model.
    world.system.ask(6, &Request::Models);
    let told = world.settle();
    assert!(
        !told
            .iter()
            .any(|told| matches!(told, Told::Model(_, entry) if entry.name == model("disk/moral")))
    );
    world.disk.remove("adapters/with blank.gguf");
    world.loads_adapter(7, "disk/moral");
    world.system.ask(8, &Request::Adapters);
    let told = world.settle();
    let Told::Adapter(8, entry) = &told[0] else {
        panic!("{told:?}");
    };
    let sha256: Hash = Sha256::digest(b"GGUF moral").into();
    assert_eq!((entry.sha256, entry.base_sha256), (sha256, base()));
    assert_eq!((entry.signature, entry.loaded), (Signature::Good, true));
    assert_eq!(told.last(), Some(&Told::Listed(8, 2)));
}

#[test]
fn an_adapter_of_the_disk_is_verified_before_inference_can_read_it_and_comes_back_after_a_restart()
{
    let mut world = World::new();
    let sad = model_bytes("sad", 50_001);
    world.put("adapters/sad.gguf", &sad, Some(2));
    world.system.ask(
        5,
        &Request::LoadAdapter {
            name: model("disk/sad"),
        },
    );
    while world.reads < 1 + sad.len().div_ceil(8192) {
        assert!(world.look());
        assert_eq!(world.system.asked(), []);
        assert!(world.region().iter().all(|byte| *byte == 0));
    }
    world.settle();
    let asked = world.system.asked();
    let [
        Asked::Adapter {
            number,
            place: 0,
            source: Source::Device,
            offset,
            bytes,
            ..
        },
    ] = asked[..]
    else {
        panic!("{asked:?}");
    };
    assert_eq!(bytes as usize, sad.len());
    assert!(world.lies(offset, &sad));
    world
        .system
        .say(number, &Report::AdapterLoaded(adapter_loaded()));
    world.settle();
    let record = world.system.last_record(Kind::Adapter);
    let sha256: Hash = Sha256::digest(&sad).into();
    assert_eq!(
        (record.name, record.code, record.adapter_sha256),
        (model("disk/sad"), 3, sha256)
    );
    world.system.ask(6, &infer_with("", "disk/sad"));
    let number = world.system.admitted();
    assert_eq!(world.system.used, 1);
    world
        .system
        .finished(number, protocol::wire::FinishReason::EndOfText, 0);
    world.settle();

    // After a restart it is loaded from the region: the card may be gone.
    world.disk.clear();
    let fault = Fault {
        kind: FaultKind::Memory,
        ip: 0,
        address: 0,
    };
    let System { audit, runtime, .. } = &mut world.system;
    audit.on_fault(fault, runtime);
    world.system.join();
    world.system.loaded(world.system.own_load);
    let asked = world.system.asked();
    let [
        Asked::Adapter {
            number, offset: at, ..
        },
    ] = asked[..]
    else {
        panic!("{asked:?}");
    };
    assert!(at == offset && world.lies(offset, &sad));
    world
        .system
        .say(number, &Report::AdapterLoaded(adapter_loaded()));
    world.settle();

    // After a drop, its part of the region is free.
    world.put("adapters/other.gguf", b"GGUF other", Some(2));
    let other = world.loads_adapter(8, "disk/other");
    assert!(other >= offset + sad.len() as u64);
    let name = model("disk/sad");
    world.system.ask(9, &Request::DropAdapter { name });
    assert_eq!(world.settle(), [Told::Done(9)]);
    assert_eq!(world.system.last_record(Kind::DropAdapter).code, 3);
    assert_eq!(world.system.asked(), [Asked::DropAdapter(0)]);
    let not_loaded = Failure::of(ErrorCode::AdapterNotLoaded);
    world
        .system
        .is_refused(&infer_with("", "disk/sad"), not_loaded);
    let export = Request::ExportAdapter {
        name: model("disk/other"),
    };
    let not_ours = Failure::of(ErrorCode::NotOfDevice);
    world.system.is_refused(&export, not_ours);
}

#[test]
fn what_is_wrong_with_an_adapter_of_the_disk_is_said_and_the_region_stays_as_it_is() {
    let mut world = World::new();
    world.loads_adapter(5, "disk/moral");
    world.put("adapters/unsigned.gguf", b"GGUF", None);
    world.put("adapters/foreign.gguf", b"GGUF", Some(3));
    world.put("adapters/another.gguf", b"GGUF", Some(DEVICE + 1));
    let large = vec![7; SLOT + 1];
    world.put("adapters/large.gguf", &large, Some(2));
    world.put("adapters/altered.gguf", b"GGUF right", Some(2));
    world
        .disk
        .insert("adapters/altered.gguf".into(), b"GGUF wrong".to_vec());
    world
        .disk
        .insert("adapters/stray.gguf.sig".into(), vec![1; 64]);
    for (name, code) in [
        ("disk/unsigned", ErrorCode::Unsigned),
        ("disk/foreign", ErrorCode::BadSignature),
        ("disk/another", ErrorCode::BadSignature),
        ("disk/altered", ErrorCode::BadSignature),
        ("disk/nothing", ErrorCode::NoSuchFile),
        ("disk/stray", ErrorCode::NoSuchFile),
        ("disk/large", ErrorCode::AdapterRoom),
        // Only names that ask for the disk are looked for there.
        ("foreign", ErrorCode::NoSuchAdapter),
    ] {
        assert_eq!(world.refuses_adapter(name).code, code, "{name}");
    }
    // A file that this device has signed may come back.
    world.put("adapters/ours.gguf", b"GGUF ours", Some(DEVICE));
    world.loads_adapter(20, "disk/ours");
    // Only inference can tell that it is for another model.
    world.put("adapters/other.gguf", b"GGUF other", Some(2));
    let (number, ..) = world.asks_for(21, "disk/other");
    let other = Failure::of(ErrorCode::OtherBase);
    world.system.fails(number, other);
    assert_eq!(world.settle(), [Told::Failed(21, other)]);
    // Another model empties the places and the region.
    let one = world.disk["one.gguf"].clone();
    world.loads(22, "disk/one", &one, 0);
    world.system.ask(23, &Request::Adapters);
    let told = world.settle();
    assert!(
        told.len() > 2
            && !told
                .iter()
                .any(|it| matches!(it, Told::Adapter(_, it) if it.loaded))
    );
}

#[test]
fn whatever_files_does_a_load_of_an_adapter_ends_with_one_error() {
    for (misdeed, code) in [
        (Misdeed::OtherBytes(0), ErrorCode::BadSignature),
        (Misdeed::Shrinks, ErrorCode::FileChanged),
        (Misdeed::Endless, ErrorCode::AdapterRoom),
        (Misdeed::Breaks(8192), ErrorCode::DiskFailed),
        (Misdeed::Nonsense, ErrorCode::FilesBreach),
    ] {
        let mut world = World::new();
        world.settle();
        let sad = model_bytes("sad", 20_000);
        world.put("adapters/sad.gguf", &sad, Some(2));
        world.misdeed = misdeed;
        assert_eq!(world.refuses_adapter("disk/sad").code, code, "{misdeed:?}");
        world.misdeed = Misdeed::None;
        world.loads_adapter(6, "disk/sad");
    }
}

#[test]
fn what_is_made_here_and_what_is_loaded_from_the_disk_have_parts_of_the_region_of_their_own() {
    let mut world = World::new();
    let sad = model_bytes("sad", 10_001);
    world.put("adapters/sad.gguf", &sad, Some(2));
    world.put("data/tales.jsonl", b"once\nupon\na time", Some(2));
    let at = world.loads_adapter(5, "disk/sad");
    world.system.ask(6, &tune("disk/tales", "made"));
    world.settle();
    let train = world.system.trains();
    let made = file();
    world.system.makes(train.number, &made);
    assert!(world.lies(at, &sad));
    world
        .system
        .say(train.number, &Report::AdapterLoaded(adapter_loaded()));
    world.settle();
    world.put("adapters/third.gguf", b"GGUF third", Some(2));
    let third = world.loads_adapter(7, "disk/third");
    assert!(world.lies(at, &sad) && world.lies(third, b"GGUF third"));
    let region = world.region();
    assert!(region.windows(made.len()).any(|window| window == made));
}

#[test]
fn data_of_the_disk_are_read_once_and_on_record_with_their_hash() {
    for path in ["data/tales.jsonl", "data/tales.txt"] {
        let mut world = World::new();
        let data = b"once\nupon\na time\n";
        world.put(path, data, Some(2));
        world.system.ask(5, &tune("disk/tales", ""));
        world.settle();
        let train = world.system.trains();
        assert_eq!(
            (train.source, train.bytes),
            (Source::Device, data.len() as u64)
        );
        assert!(world.lies(train.offset, data));
        // The adapter will be placed before them.
        assert!(train.room <= train.offset - EXAMPLES_BYTES as u64);
        let record = world.system.last_record(Kind::Tune);
        let sha256: Hash = Sha256::digest(data).into();
        assert_eq!((record.prompt_sha256, record.code), (sha256, 3));
        assert_eq!(record.name, model("tales"), "it is made here");
        assert_eq!(record.value, 3 * (data.len() as u64 + 3 * 4));
        let reads = world.reads;
        let made = file();
        world.system.makes(train.number, &made);
        assert!(world.lies(train.offset, data));
        assert_eq!(world.reads, reads);
    }
}

#[test]
fn what_is_wrong_with_data_of_the_disk_is_said_before_inference_hears_of_it() {
    let mut world = World::new();
    world.put("data/unsigned.txt", b"once", None);
    world.put("data/foreign.txt", b"once", Some(3));
    // The device's signature counts for adapters, not for data.
    world.put("data/ours.txt", b"once", Some(DEVICE));
    world.put("data/empty.txt", b"", Some(2));
    let long = vec![b'x'; MAX_DATA_BYTES + 1];
    world.put("data/long.jsonl", &long, Some(2));
    for (name, code) in [
        ("disk/unsigned", ErrorCode::Unsigned),
        ("disk/foreign", ErrorCode::BadSignature),
        ("disk/ours", ErrorCode::BadSignature),
        ("disk/empty", ErrorCode::EmptyData),
        ("disk/long", ErrorCode::DataTooLong),
        ("disk/nothing", ErrorCode::NoSuchFile),
        ("unsigned", ErrorCode::NoSuchData),
    ] {
        assert_eq!(world.refuses(&tune(name, "x")).code, code, "{name}");
    }
    // A load that is cancelled while it reads leaves nothing.
    world.put("data/good.txt", b"once", Some(2));
    world.system.ask(80, &tune("disk/good", "x"));
    assert!(world.look());
    world.system.ask(80, &Request::Cancel);
    let told = world.settle();
    let cancelled = Failure::of(ErrorCode::Cancelled);
    assert_eq!(told, [Told::Failed(80, cancelled)]);
    world.system.ask(81, &tune("disk/good", "x"));
    world.settle();
    world.system.trains();
}
