//! Fine-tuning: from the data to an adapter that is signed, on record and loaded, and everything that can go wrong in
//! between.

mod breaches;
mod ends;
mod system;

pub(super) use system::{file, tune};

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
use system::{BOUND, progress, trained};

const TALES: &[u8] = b"once\nupon\na time";

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
