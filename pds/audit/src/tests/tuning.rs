//! Fine-tuning: from the data to an adapter that is signed, on record and loaded, and everything that can go wrong in
//! between.

use super::adapters::{adapter_loaded, base, infer_with};
use super::harness::*;
use crate::files::FilesEnd;
use ed25519_dalek::{Signature, SigningKey};
use protocol::adapters::EXAMPLES_BYTES;
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::{MAX_DATA_BYTES, MAX_PART_BYTES, TRAIN_DEADLINE_US, WATCHDOG_PERIOD_US};
use protocol::name::ModelName;
use protocol::policy::{DeviceKey, Policy};
use protocol::record::Kind;
use protocol::region::ReadWords as _;
use protocol::testing::TestRegion;
use protocol::wire::client::{AdapterOrigin, Exported, Request, Tuned};
use protocol::wire::engine::{Report, Source, Trained};
use protocol::wire::{FinishReason, TrainParams, TrainProgress};
use sha2::{Digest, Sha256};
use std::vec;
use std::vec::Vec;

const TALES: &[u8] = b"once\nupon\na time";

/// The most tokens that three epochs of it can have.
const BOUND: u64 = 3 * (16 + 3 * 3);

pub(super) fn tune(data: &str, adapter: &str) -> Request<'static> {
    Request::FineTune {
        params: TrainParams::default(),
        data: model(data),
        adapter: ModelName::new(adapter).unwrap(),
    }
}

fn progress(step: u32, tokens: u64) -> TrainProgress {
    TrainProgress {
        step,
        steps: 9,
        tokens,
        loss: 2_000_000,
        longest: 6,
        alone: false,
    }
}

/// An adapter's file, of three parts.
pub(super) fn file() -> Vec<u8> {
    let bytes = 0..(2 * MAX_PART_BYTES + 1003) as u32;
    bytes.map(|n| (n * 7 % 253) as u8).collect()
}

fn trained(tokens: u64, bytes: usize) -> Trained {
    Trained {
        tokens,
        bytes: bytes as u64,
        steps: 9,
        loss: 1_000_000,
    }
}

fn stopped(tokens: u64) -> Report<'static> {
    Report::Trained(Trained {
        steps: 2,
        ..trained(tokens, 0)
    })
}

impl<F: FilesEnd<TestRegion, TestRegion>> System<F> {
    /// Asks for a fine-tuning on `tales` and proceeds until inference is asked to train.
    fn tunes(&mut self, id: u32, adapter: &str) -> Train {
        self.ask(id, &tune("tales", adapter));
        self.trains()
    }

    pub(super) fn trains(&mut self) -> Train {
        let told = self.told_at_last();
        assert!(
            told.iter().all(|told| matches!(told, Told::Progress(..))),
            "{told:?}"
        );
        let asked = self.asked();
        match &asked[..] {
            [Asked::Train(train)] => (**train).clone(),
            other => panic!("a training, not {other:?}"),
        }
    }

    fn at(&mut self, number: u32, progress: TrainProgress) {
        self.say(number, &Report::Training(progress));
    }

    fn sends(&mut self, number: u32, file: &[u8]) {
        for (n, bytes) in file.chunks(MAX_PART_BYTES).enumerate() {
            let offset = (n * MAX_PART_BYTES) as u64;
            self.say(number, &Report::Part { offset, bytes });
        }
    }

    /// Trains to the end and proceeds until inference is asked to load the adapter. Returns its place.
    pub(super) fn makes(&mut self, number: u32, file: &[u8]) -> u32 {
        self.at(number, progress(0, 0));
        self.sends(number, file);
        self.say(number, &Report::Trained(trained(60, file.len())));
        while self
            .runtime
            .timer
            .is_some_and(|at| at <= self.runtime.now + 2000)
        {
            self.runtime.now = self.runtime.timer.unwrap();
            self.audit.on_timer(&mut self.runtime);
        }
        match self.asked()[..] {
            [
                Asked::Adapter {
                    number: of,
                    place,
                    source: Source::Device,
                    bytes,
                    ..
                },
            ] if of == number => {
                assert_eq!(bytes, file.len() as u64);
                place
            }
            ref other => panic!("a load, not {other:?}"),
        }
    }

    /// Makes an adapter and loads it.
    fn tunes_to_the_end(&mut self, id: u32, adapter: &str, file: &[u8]) -> Tuned {
        let number = self.tunes(id, adapter).number;
        self.makes(number, file);
        self.say(number, &Report::AdapterLoaded(adapter_loaded()));
        match self.told_at_last().pop() {
            Some(Told::Tuned(of, tuned)) if of == id => tuned,
            other => panic!("an adapter, not {other:?}"),
        }
    }

    /// The last event of a request, besides its progress.
    fn end_of(&mut self) -> Vec<Told> {
        let mut told = self.told_at_last();
        told.retain(|told| !matches!(told, Told::Training(..)));
        told
    }

    /// Reads an exported adapter to its end.
    fn exports(&mut self, id: u32, name: &str) -> (Vec<u8>, Exported) {
        self.ask(id, &Request::ExportAdapter { name: model(name) });
        let mut file = Vec::new();
        loop {
            for told in self.told() {
                match told {
                    Told::Part(of, offset, bytes) => {
                        assert_eq!((of, offset), (id, file.len() as u64));
                        file.extend(bytes);
                    }
                    Told::Exported(of, exported) if of == id => return (file, exported),
                    other => panic!("an export, not {other:?}"),
                }
            }
            self.runtime.now = self.runtime.timer.unwrap_or(0).max(self.runtime.now);
            self.wake();
        }
    }
}

#[test]
fn an_adapter_is_made_signed_recorded_loaded_and_leaves_as_it_is() {
    let mut system = System::with_adapters();
    let before = system.budget();
    let train = system.tunes(5, "moral-2");
    let number = train.number;
    let in_store = system.audit.monitor_for_tests().models.store();
    let data = in_store
        .find_item(protocol::store::Content::Data, "tales")
        .unwrap();
    assert_eq!(data.file.data, TALES);
    let expected = Train {
        number,
        params: TrainParams::default(),
        source: Source::Store,
        offset: data.file.offset as u64,
        bytes: 16,
        base: base(),
        room: (protocol::adapters::MADE_BYTES) as u64,
    };
    assert_eq!(train, expected);
    assert_eq!(system.budget().reserved, BOUND);
    let admitted = system.last_record(Kind::Tune);
    let sha256: Hash = Sha256::digest(TALES).into();
    assert_eq!(
        (
            admitted.prompt_sha256,
            admitted.prompt_bytes,
            admitted.value
        ),
        (sha256, 16, BOUND)
    );
    assert_eq!((admitted.model_sha256, admitted.code), (base(), 1));
    assert_eq!(admitted.train, TrainParams::default());
    assert_eq!(admitted.name, model("moral-2"));

    system.at(number, progress(0, 0));
    system.runtime.now += SECOND;
    system.at(number, progress(3, 20));
    let told = system.told();
    let [Told::Training(5, first), Told::Training(5, second)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(
        (first.progress, second.progress),
        (progress(0, 0), progress(3, 20))
    );
    assert!(second.elapsed_us >= SECOND);
    // Requests go on during the training.
    system.serves(6);

    let file = file();
    let made: Hash = Sha256::digest(&file).into();
    system.sends(number, &file);
    system.say(number, &Report::Trained(trained(60, file.len())));
    let [
        Asked::Adapter {
            number: of,
            place: 0,
            source: Source::Device,
            offset,
            bytes,
            base: beside,
        },
    ] = system.asked()[..]
    else {
        panic!("a load")
    };
    assert_eq!((of, bytes as usize, beside), (number, file.len(), base()));
    let in_region: Vec<u8> = (0..system.adapters.words())
        .flat_map(|word| system.adapters.load(word).to_ne_bytes())
        .skip(offset as usize)
        .take(file.len())
        .collect();
    assert!(in_region == file && offset as usize >= EXAMPLES_BYTES);
    assert_eq!(system.told(), [], "it is not loaded yet");
    let budget = system.budget();
    assert_eq!(
        (budget.used - before.used, budget.reserved),
        (60 + 3 + 1, 0)
    );
    let record = system.last_record(Kind::Tuned);
    assert_eq!(
        (record.adapter_sha256, record.value),
        (made, file.len() as u64)
    );
    assert_eq!((record.prompt_tokens, record.generated_tokens), (60, 9));
    assert_eq!((record.code, record.limit), (1, 1_000_000));
    assert_eq!(
        (record.prompt_sha256, record.model_sha256),
        (sha256, base())
    );
    assert_eq!(record.train, TrainParams::default());
    assert_eq!(record.numerics, 2, "who repeats it must know");

    system.say(number, &Report::AdapterLoaded(adapter_loaded()));
    let told = system.told();
    let [Told::Tuned(5, tuned)] = told[..] else {
        panic!("{told:?}")
    };
    let expected = Tuned {
        name: model("moral-2"),
        sha256: made,
        file_bytes: file.len() as u64,
        tokens: 60,
        steps: 9,
        loss: 1_000_000,
        total_us: tuned.total_us,
        ..Tuned::default()
    };
    assert_eq!(tuned, expected);
    let record = system.last_record(Kind::Adapter);
    assert_eq!(
        (record.name, record.adapter_sha256, record.code),
        (model("moral-2"), made, 2)
    );
    let known = system.adapters_known();
    assert_eq!(known[0], (model("moral-2"), AdapterOrigin::Device, true));
    system.ask(7, &infer_with("", "moral-2"));
    system.admitted();
    assert_eq!(system.used, 1);

    // It is exported unchanged, with a signature that verifies with the device's public key.
    let (exported, end) = system.exports(8, "moral-2");
    assert!(exported == file);
    let bytes = file.len() as u64;
    assert_eq!(
        (end.sha256, end.base_sha256, end.file_bytes),
        (made, base(), bytes)
    );
    let public = SigningKey::from_bytes(&[7; 32]).verifying_key();
    let signature = Signature::from_bytes(&end.signature);
    assert!(public.verify_strict(&made, &signature).is_ok());
    let record = system.last_record(Kind::Export);
    assert_eq!((record.adapter_sha256, record.value), (made, bytes));
    let not_ours = Failure::of(ErrorCode::NotOfDevice);
    system.is_refused(
        &Request::ExportAdapter {
            name: model("moral"),
        },
        not_ours,
    );
    let none = Failure::of(ErrorCode::NoSuchAdapter);
    system.is_refused(
        &Request::ExportAdapter {
            name: model("none"),
        },
        none,
    );
}

#[test]
fn what_cannot_be_trained_is_refused_before_inference_hears_of_it() {
    let mut system = System::with_adapters();
    let over = Failure::over;
    for (data, failure) in [
        ("nothing", Failure::of(ErrorCode::NoSuchData)),
        ("unsigned", Failure::of(ErrorCode::Unsigned)),
        ("foreign", Failure::of(ErrorCode::BadSignature)),
        ("empty", Failure::of(ErrorCode::EmptyData)),
        (
            "long",
            over(
                ErrorCode::DataTooLong,
                MAX_DATA_BYTES as u64 + 1,
                MAX_DATA_BYTES as u64,
            ),
        ),
    ] {
        system.is_refused(&tune(data, "a"), failure);
    }
    // A signature by the device does not make data trusted.
    system.ask(4, &tune("ours", "a"));
    let bad = Failure::of(ErrorCode::BadSignature);
    assert_eq!(system.told(), [Told::Failed(4, bad)]);
    system.ask(4, &tune("examples", "a"));
    let empty = Failure::of(ErrorCode::EmptyData);
    assert_eq!(system.told(), [Told::Failed(4, empty)]);
    let exists = Failure::of(ErrorCode::AdapterExists);
    system.is_refused(&tune("tales", "moral"), exists);
    let params = TrainParams {
        rank: 65,
        ..TrainParams::default()
    };
    let request = Request::FineTune {
        params,
        data: model("tales"),
        adapter: ModelName::EMPTY,
    };
    system.is_refused(&request, over(ErrorCode::TrainRank, 65, 64));
    assert_eq!(system.last_record(Kind::Refuse).train, params);

    let mut policy = policy();
    policy.users[1].budget_tokens = BOUND - 1;
    let mut system = System::with_adapters_and(&policy);
    let quota = over(ErrorCode::QuotaExceeded, BOUND, BOUND - 1);
    system.is_refused(&tune("tales", "a"), quota);
    policy.device_key = DeviceKey::NONE;
    let mut system = System::with_adapters_and(&policy);
    let no_key = Failure::of(ErrorCode::NoDeviceKey);
    system.is_refused(&tune("tales", "a"), no_key);
}

#[test]
fn there_is_one_at_a_time_and_it_keeps_models_and_adapters_as_they_are() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    let training = Failure::of(ErrorCode::Training);
    for request in [
        tune("tales", "b"),
        Request::Load {
            name: model("other"),
        },
        Request::LoadAdapter {
            name: model("ours"),
        },
        Request::Example { text: b"{}" },
        Request::DropExamples,
    ] {
        system.ask(6, &request);
        assert_eq!(system.told(), [Told::Failed(6, training)], "{request:?}");
    }
    system.at(number, progress(0, 0));
    system.at(number, progress(4, 7));
    system.told();
    system.ask(7, &Request::Status);
    let [Asked::Status(question)] = system.asked()[..] else {
        panic!("a question")
    };
    system.say(question, &Report::Holdings(holdings()));
    let told = system.told();
    let [Told::Status(7, status)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(status.tuning, model("a"));
    assert_eq!(status.training.progress, progress(4, 7));
    // Without a name it gets that of its data, and the next one a number.
    system.sends(number, &file());
    system.say(number, &Report::Trained(trained(60, file().len())));
    system.asked();
    system.fails(number, Failure::of(ErrorCode::AdapterTooLarge));
    system.told();
    assert_eq!(system.tunes_to_the_end(8, "", &file()).name, model("tales"));
    assert_eq!(
        system.tunes_to_the_end(8, "", &file()).name,
        model("tales-2")
    );
}

#[test]
fn a_training_without_memory_for_requests_keeps_them_away_until_it_is_over() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    let alone = |step| TrainProgress {
        alone: true,
        ..progress(step, 0)
    };
    system.at(number, alone(0));
    system.told();
    let training = Failure::of(ErrorCode::Training);
    system.infer(6, 5);
    assert_eq!(system.told(), [Told::Failed(6, training)]);
    assert_eq!(system.asked(), []);
    system.sends(number, &file());
    system.say(number, &Report::Trained(trained(60, file().len())));
    assert!(matches!(system.asked()[..], [Asked::Adapter { .. }]));
    system.say(number, &Report::AdapterLoaded(adapter_loaded()));
    system.told();
    system.serves(6);
    // Inference may refuse such a training, and a request in flight has said so.
    let number = system.tunes(7, "b").number;
    system.infer(8, 5);
    let request = system.admitted();
    system.fails(request, training);
    system.fails(number, Failure::over(ErrorCode::TrainAlone, 1, 0));
    let told = system.told();
    assert!(told.contains(&Told::Failed(8, training)));
    let refused = Failure::over(ErrorCode::TrainAlone, 1, 0);
    assert!(told.contains(&Told::Failed(7, refused)));
    assert_eq!(system.budget().reserved, 0);
}

#[test]
fn a_cancel_keeps_nothing_and_costs_what_was_used() {
    let mut system = System::with_adapters();
    let before = system.budget().used;
    let number = system.tunes(5, "a").number;
    system.at(number, progress(0, 0));
    system.at(number, progress(2, 11));
    system.told();
    system.ask(5, &Request::Cancel);
    system.ask(5, &Request::Cancel);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    // A report may be on its way.
    system.at(number, progress(2, 12));
    system.say(number, &stopped(13));
    let cancelled = Failure::of(ErrorCode::Cancelled);
    assert_eq!(system.end_of(), [Told::Failed(5, cancelled)]);
    assert_eq!(system.budget().used, before + 13);
    assert_eq!(system.adapters_known().len(), 4);
    let record = system.last_record(Kind::Tuned);
    assert_eq!(
        (record.code, record.adapter_sha256, record.value),
        (4, [0; 32], 0)
    );
    assert_eq!((record.prompt_tokens, record.generated_tokens), (13, 2));
    assert_eq!(system.last_record(Kind::Cancel).name, model("a"));
    // One that ends at that very moment is not kept, either.
    let number = system.tunes(6, "a").number;
    system.at(number, progress(0, 0));
    system.sends(number, &file());
    system.ask(6, &Request::Cancel);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.say(number, &Report::Trained(trained(60, file().len())));
    assert_eq!(system.end_of(), [Told::Failed(6, cancelled)]);
    assert_eq!(system.adapters_known().len(), 4);
    assert_eq!(system.runtime.restarts, 0);
    system.tunes_to_the_end(7, "a", &file());
}

#[test]
fn a_training_has_its_own_deadline_and_is_stopped_then() {
    let mut system = System::with_adapters();
    let used = system.budget().used;
    let number = system.tunes(5, "a").number;
    system.at(number, progress(0, 0));
    system.watch(TRAIN_DEADLINE_US - 2 * SECOND);
    assert_eq!(system.asked(), []);
    system.runtime.now += 3 * SECOND;
    system.wake();
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.say(number, &stopped(5));
    let told = system.end_of();
    assert!(
        matches!(&told[..], [Told::Failed(5, failure)]
            if failure.code == ErrorCode::Deadline && failure.limit == TRAIN_DEADLINE_US),
        "{told:?}"
    );
    assert_eq!(system.last_record(Kind::Timeout).limit, TRAIN_DEADLINE_US);
    assert_eq!(system.budget().used - used, 5);
    // An inference server that does not obey is restarted, and nothing is charged.
    let number = system.tunes(6, "a").number;
    system.at(number, progress(0, 0));
    system.runtime.now += TRAIN_DEADLINE_US;
    system.wake();
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.watch(WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 1);
    let unresponsive = Failure::of(ErrorCode::Unresponsive);
    assert!(system.end_of().contains(&Told::Failed(6, unresponsive)));
    assert_eq!(system.budget().used - used, 5);
}

#[test]
fn a_restart_in_the_middle_ends_it_with_a_refund_and_leaves_the_rest_as_it_was() {
    let mut system = System::with_adapters();
    let first = system.tunes_to_the_end(5, "first", &file());
    let used = system.budget().used;
    let number = system.tunes(6, "second").number;
    system.at(number, progress(0, 0));
    system.sends(number, &file());
    system.audit.on_fault(FAULT, &mut system.runtime);
    let failed = Told::Failed(6, Failure::of(ErrorCode::InferenceFault));
    assert!(system.end_of().contains(&failed));
    let record = system.last_record(Kind::Fail);
    assert_eq!(
        (record.name, record.train),
        (model("second"), TrainParams::default())
    );
    let budget = system.budget();
    assert_eq!((budget.used, budget.reserved), (used, 0));
    system.join();
    system.loaded(system.own_load);
    let [
        Asked::Adapter {
            number, place: 0, ..
        },
    ] = system.asked()[..]
    else {
        panic!("the first comes back")
    };
    system.say(number, &Report::AdapterLoaded(adapter_loaded()));
    system.told();
    let known = system.adapters_known();
    assert_eq!(known.len(), 5);
    assert_eq!(known[0], (model("first"), AdapterOrigin::Device, true));
    let (exported, end) = system.exports(7, "first");
    assert!(exported == file() && end.sha256 == first.sha256);
    system.tunes_to_the_end(8, "second", &file());
}

#[test]
fn what_is_made_survives_an_inference_that_dies_before_it_has_loaded_it() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    system.makes(number, &file());
    system.audit.on_fault(FAULT, &mut system.runtime);
    let told = system.end_of();
    let tuned = told.iter().find_map(|told| match told {
        Told::Tuned(5, tuned) => Some(*tuned),
        _ => None,
    });
    assert_eq!(tuned.unwrap().not_loaded, Some(ErrorCode::InferenceFault));
    system.join();
    system.loaded(system.own_load);
    system.told();
    assert_eq!(
        system.adapters_known()[0],
        (model("a"), AdapterOrigin::Device, false)
    );
    assert_eq!(system.loads_adapter(6, "a"), 0);
}

#[test]
fn what_does_not_fit_beside_the_model_is_kept_and_its_user_is_told_why_it_is_not_loaded() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    system.makes(number, &file());
    system.fails(number, Failure::over(ErrorCode::AdapterTooLarge, 9, 8));
    let told = system.end_of();
    assert!(
        matches!(&told[..], [Told::Tuned(5, tuned)]
            if tuned.not_loaded == Some(ErrorCode::AdapterTooLarge)),
        "{told:?}"
    );
    assert_eq!(
        system.adapters_known()[0],
        (model("a"), AdapterOrigin::Device, false)
    );
    // It does not fit another model.
    system.ask(
        6,
        &Request::Load {
            name: model("other"),
        },
    );
    system.told_at_last();
    let [Asked::Load(load, ..)] = system.asked()[..] else {
        panic!("a load")
    };
    system.loaded(load);
    system.told();
    let other = Failure::of(ErrorCode::OtherBase);
    system.is_refused(&Request::LoadAdapter { name: model("a") }, other);
}

/// The reports of a training, in order, and whether the last is a breach of the protocol.
fn says(reports: &[Report<'_>], is_breach: bool) {
    let mut system = System::with_adapters();
    let used = system.budget().used;
    let number = system.tunes(5, "a").number;
    let last = reports.len() - 1;
    for (n, report) in reports.iter().enumerate() {
        assert_eq!(system.runtime.restarts, 0, "before {n} of {reports:?}");
        system.say(number, report);
    }
    let restarts = system.runtime.restarts;
    assert_eq!(restarts, usize::from(is_breach), "{:?}", reports[last]);
    if is_breach {
        let violation = Failure::of(ErrorCode::ProtocolViolation);
        let told = system.end_of();
        assert!(told.contains(&Told::Failed(5, violation)), "{told:?}");
        let budget = system.budget();
        assert_eq!((budget.used, budget.reserved), (used, 0));
        assert_eq!(system.adapters_known().len(), 4);
    }
}

#[test]
fn inference_is_believed_nothing_of_a_training_that_cannot_be() {
    let training = |step, tokens| Report::Training(progress(step, tokens));
    let begun = training(0, 0);
    let other = |change: fn(&mut TrainProgress)| {
        let mut progress = progress(1, 1);
        change(&mut progress);
        Report::Training(progress)
    };
    let part = |offset, bytes| Report::Part { offset, bytes };
    let (whole, odd) = (&[1; 16][..], &[1; 9][..]);
    let over = |tokens, bytes| Report::Trained(trained(tokens, bytes));
    // The plan comes first, and does not change.
    says(&[begun, training(9, BOUND)], false);
    says(&[training(1, 0)], true);
    says(&[training(0, 1)], true);
    says(&[begun, training(10, 1)], true);
    says(&[begun, training(1, BOUND + 1)], true);
    says(&[begun, training(2, 5), training(1, 5)], true);
    says(&[begun, training(2, 5), training(2, 4)], true);
    says(&[begun, other(|it| it.steps = 8)], true);
    says(&[begun, other(|it| it.longest = 7)], true);
    says(&[begun, other(|it| it.alone = true)], true);
    let endless = TrainProgress {
        steps: 10,
        ..progress(0, 0)
    };
    says(&[Report::Training(endless)], true);
    // Parts arrive in order, after the plan.
    says(&[begun, part(0, whole), part(16, odd)], false);
    says(&[part(0, whole)], true);
    says(&[begun, part(0, b"")], true);
    says(&[begun, part(8, whole)], true);
    says(&[begun, part(0, whole), part(0, whole)], true);
    says(&[begun, part(0, whole), part(24, whole)], true);
    says(&[begun, part(0, odd), part(9, whole)], true);
    says(&[begun, part(0, whole), training(1, 1)], true);
    // The end agrees with the parts.
    says(&[begun, part(0, whole), over(60, 16)], false);
    says(&[over(60, 0)], true);
    says(&[begun, over(60, 0)], true);
    says(&[begun, over(60, 16)], true);
    says(&[begun, part(0, whole), over(60, 17)], true);
    says(&[begun, part(0, whole), over(60, 0)], true);
    says(&[begun, part(0, whole), over(BOUND + 1, 16)], true);
    says(&[begun, training(1, 5), part(0, whole), over(4, 16)], true);
    // Only a training may get these reports.
    says(&[begun, Report::Token { id: 1, text: b"a" }], true);
    says(&[Report::AdapterLoaded(adapter_loaded())], true);
    says(&[Report::Loaded(loaded())], true);
    says(
        &[Report::Failed {
            failure: Failure::of(ErrorCode::Cancelled),
            detail: b"",
        }],
        true,
    );
}

#[test]
fn no_more_is_written_than_there_is_room_for() {
    let mut system = System::with_adapters();
    let Train { number, room, .. } = system.tunes(5, "a");
    system.at(number, progress(0, 0));
    let part = [3; MAX_PART_BYTES];
    let parts = room as usize / MAX_PART_BYTES;
    assert_eq!(room as usize % MAX_PART_BYTES, 0);
    for n in 0..parts {
        let offset = (n * MAX_PART_BYTES) as u64;
        system.say(
            number,
            &Report::Part {
                offset,
                bytes: &part,
            },
        );
    }
    assert_eq!(system.runtime.restarts, 0);
    system.say(
        number,
        &Report::Part {
            offset: room,
            bytes: &[1],
        },
    );
    assert_eq!(system.runtime.restarts, 1);
}

#[test]
fn parts_after_the_end_are_a_breach_while_it_is_signed_and_dropped_when_it_is_over() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    system.makes(number, &file());
    let late = Report::Part {
        offset: 0,
        bytes: &[9; 8],
    };
    system.say(number, &late);
    assert_eq!(system.runtime.restarts, 1);
    let mut system = System::with_adapters();
    let tuned = system.tunes_to_the_end(5, "a", &file());
    let violations = system.stats().violations;
    let number = system.last_record(Kind::Tuned).request;
    system.say(number, &late);
    assert_eq!(system.runtime.restarts, 0);
    assert_eq!(system.stats().violations, violations + 1);
    let (exported, _) = system.exports(6, "a");
    assert_eq!(Hash::from(Sha256::digest(&exported)), tuned.sha256);
}

#[test]
fn examples_that_were_typed_are_data_and_stay_while_they_are_used() {
    let mut system = System::with_adapters();
    let (one, two) = (&b"{\"text\":\"one\"}"[..], &b"{\"text\":\"two\"}"[..]);
    for (id, text, said) in [(5, one, (1, 15)), (6, two, (2, 30))] {
        system.ask(id, &Request::Example { text });
        assert_eq!(system.told(), [Told::Examples(id, said.0, said.1)]);
    }
    let record = system.last_record(Kind::Example);
    assert_eq!(record.prompt_sha256, Hash::from(Sha256::digest(two)));
    assert_eq!((record.prompt_bytes, record.value), (14, 30));
    let log = system.audit.log().iter();
    let texts: Vec<_> = log
        .filter(|entry| entry.record.kind() == Some(Kind::Example))
        .map(|entry| entry.text.to_vec())
        .collect();
    assert_eq!(texts, [one, two], "they can be trained on again");
    let wrong = Failure::over(ErrorCode::BadExample, 2, 0);
    system.is_refused(&Request::Example { text: b"{}\n" }, wrong);
    system.ask(7, &tune("examples", ""));
    let train = system.trains();
    assert_eq!(
        (train.source, train.offset, train.bytes),
        (Source::Device, 0, 30)
    );
    let record = system.last_record(Kind::Tune);
    let data = [one, b"\n", two, b"\n"].concat();
    assert_eq!(record.prompt_sha256, Hash::from(Sha256::digest(&data)));
    assert_eq!((record.code, record.value), (2, 3 * (30 + 3 * 3)));
    assert_eq!(record.name, model("examples"));
    system.ask(8, &Request::DropExamples);
    let training = Failure::of(ErrorCode::Training);
    assert_eq!(system.told(), [Told::Failed(8, training)]);
    system.fails(train.number, Failure::over(ErrorCode::BadData, 2, 0));
    let bad = Failure::over(ErrorCode::BadData, 2, 0);
    assert_eq!(system.told(), [Told::Failed(7, bad)]);
    system.ask(9, &Request::DropExamples);
    assert_eq!(system.told(), [Told::Examples(9, 0, 0)]);
}

#[test]
fn an_adapter_that_is_dropped_is_forgotten_and_so_is_an_export_of_it() {
    let mut policy: Policy = policy();
    policy.egress_bytes_per_second = 500;
    policy.egress_burst_bytes = 1024;
    let mut system = System::with_adapters_and(&policy);
    system.runtime.now += 60 * SECOND;
    system.tunes_to_the_end(5, "a", &file());
    system.runtime.now += 60 * SECOND;
    system.wake();
    // As much as the cap lets pass at once, then more as time passes.
    system.ask(6, &Request::ExportAdapter { name: model("a") });
    let told = system.told();
    assert!(
        matches!(&told[..], [Told::Part(6, 0, bytes)] if bytes.len() == 1016),
        "{told:?}"
    );
    let began = system.runtime.now;
    system.runtime.now = system.runtime.timer.unwrap();
    system.wake();
    assert!(matches!(system.told()[..], [Told::Part(6, 1016, _)]));
    assert!(system.runtime.now - began >= 2 * SECOND);
    system.ask(7, &Request::DropAdapter { name: model("a") });
    assert_eq!(system.asked(), [Asked::DropAdapter(0)]);
    let none = Failure::of(ErrorCode::NoSuchAdapter);
    assert_eq!(system.told(), [Told::Done(7), Told::Failed(6, none)]);
    let record = system.last_record(Kind::DropAdapter);
    assert_eq!((record.name, record.code), (model("a"), 2));
    assert_eq!(system.adapters_known().len(), 4);
    system.runtime.now += 60 * SECOND;
    system.wake();
    system.tunes_to_the_end(8, "a", &file());
    system.ask(9, &Request::ExportAdapter { name: model("a") });
    system.ask(9, &Request::Cancel);
    assert_eq!(system.told_at_last().last(), Some(&Told::Done(9)));
}

#[test]
fn a_client_that_does_not_read_gets_the_newest_progress_alone() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    let mut fill = 0;
    while system.shell_has_room() {
        fill += 1;
        system.ask(100 + fill, &Request::WhoAmI);
    }
    for step in 0..=9 {
        system.at(number, progress(step, u64::from(step)));
    }
    let told = system.told_at_last();
    let progress: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Training(5, training) => Some(training.progress.step),
            _ => None,
        })
        .collect();
    assert_eq!(progress, [9]);
}

#[test]
fn data_are_read_in_slices_and_a_cancel_meanwhile_leaves_no_trace_of_cost() {
    let mut system = System::with_adapters();
    let line = vec![b'x'; 8000];
    for id in 5..13 {
        system.ask(id, &Request::Example { text: &line });
        assert!(matches!(system.told()[..], [Told::Examples(..)]));
    }
    system.ask(20, &tune("examples", "a"));
    assert_eq!(system.asked(), [], "it is read first");
    system.ask(20, &Request::Cancel);
    let cancelled = Failure::of(ErrorCode::Cancelled);
    assert_eq!(system.told_at_last(), [Told::Failed(20, cancelled)]);
    let budget = system.budget();
    assert_eq!((budget.used, budget.reserved), (0, 0));
    system.ask(21, &tune("examples", "a"));
    let train = system.trains();
    assert_eq!(train.bytes, 8 * 8001);
    system.fails(train.number, Failure::over(ErrorCode::TrainMemory, 9, 8));
    let memory = Failure::over(ErrorCode::TrainMemory, 9, 8);
    assert_eq!(system.told(), [Told::Failed(21, memory)]);
    system.infer(22, 5);
    let number = system.admitted();
    system.finished(number, FinishReason::EndOfText, 0);
}
