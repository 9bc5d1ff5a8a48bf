//! Which event ends which request: each kind of request with each kind of event.

use super::*;
use crate::ends::{Kind, Place};
use crate::{BudgetChange, LogQuery};
use protocol::attest::Attestation;
use protocol::record::{Kind as RecordKind, Record};
use protocol::wire::client::{AdapterEntry, Exported, FormatEntry, Training, Tuned};
use protocol::wire::client::{
    Budget, LogExtent, ModelEntry, Progress, SessionEntry, Stage, Stats, Status,
};
use protocol::wire::{AdapterInfo, ModelInfo, TrainParams};
use std::vec;

fn requests() -> Vec<(&'static str, Request<'static>)> {
    let login = Request::Login {
        user: admin(),
        passphrase: None,
    };
    let infer = asks("", &[(PartKind::Text, b"x")]);
    let adapter = name("moral");
    let budget = Request::Budget {
        user: admin(),
        change: BudgetChange::NONE,
    };
    let (session, model) = (name("tale"), name("tiny"));
    vec![
        ("infer", infer),
        ("models", Request::Models),
        ("load", Request::Load { name: model }),
        ("status", Request::Status),
        ("stats", Request::Stats { watch: false }),
        ("watch", Request::Stats { watch: true }),
        ("login", login),
        ("logout", Request::Logout),
        ("whoami", Request::WhoAmI),
        ("users", Request::Users),
        ("budget", budget),
        ("log", Request::Log(LogQuery::default())),
        ("verify", Request::VerifyLog),
        ("attest", Request::Attest { nonce: name("n") }),
        ("reset", Request::Reset),
        ("halt", Request::Halt),
        ("sessions", Request::Sessions),
        ("close", Request::Close { session }),
        (
            "tune",
            Request::FineTune {
                params: TrainParams::default(),
                data: name("tales"),
                adapter,
            },
        ),
        ("example", Request::Example { text: b"{}" }),
        ("drop-examples", Request::DropExamples),
        ("adapters", Request::Adapters),
        ("load-adapter", Request::LoadAdapter { name: adapter }),
        ("drop-adapter", Request::DropAdapter { name: adapter }),
        ("export", Request::ExportAdapter { name: adapter }),
        ("formats", Request::Formats),
    ]
}

/// Each event, with the requests of which it is a part and those that it ends.
fn events() -> Vec<(Event<'static>, &'static str, &'static str)> {
    let extent = LogExtent::default();
    let progress = Progress {
        stage: Stage::Loading,
        done: 0,
        total: 0,
    };
    let record = Record::new(RecordKind::Admit);
    let loaded = Event::Loaded {
        name: name("tiny"),
        info: ModelInfo::default(),
    };
    let verified = Event::LogVerified {
        extent,
        broken_at: 0,
    };
    let all = "infer models load status stats watch login logout whoami users budget log verify attest reset halt sessions close \
        tune example drop-examples adapters load-adapter drop-adapter export formats";
    let attestation = Attestation {
        sequence: 1,
        boot: 1,
        nonce: name("n"),
        head: [1; 32],
        signature: [2; 64],
    };
    let adapter_loaded = Event::AdapterLoaded {
        name: name("moral"),
        info: AdapterInfo::default(),
    };
    let part = Event::AdapterPart {
        offset: 0,
        bytes: b"GGUF",
    };
    let exported = Exported {
        name: name("moral"),
        file_bytes: 4,
        sha256: [1; 32],
        base_sha256: [2; 32],
        signature: [3; 64],
    };
    let examples = Event::Examples {
        count: 1,
        bytes: 2,
        limit: 3,
    };
    vec![
        (Event::Ready(user("guest")), "", ""),
        (text(b"x"), "infer", ""),
        (finished(), "", "infer"),
        (failed(ErrorCode::Busy), "", all),
        (Event::Model(ModelEntry::default()), "models", ""),
        (
            Event::Listed { count: 0 },
            "",
            "models users sessions adapters formats",
        ),
        (loaded, "", "load"),
        (Event::Status(Status::default()), "", "status"),
        (Event::Stats(Stats::default()), "watch", "stats"),
        (
            Event::Recovered {
                after_us: 0,
                restarts: 0,
            },
            "",
            "",
        ),
        (Event::User(user("guest")), "users", "login logout whoami"),
        (Event::Budget(Budget::default()), "", "budget"),
        (Event::Record { record, text: b"" }, "log", ""),
        (Event::LogEnd(extent), "", "log"),
        (verified, "", "verify"),
        (Event::Attested(attestation), "", "attest"),
        (Event::Session(SessionEntry::default()), "sessions", ""),
        (Event::Progress(progress), "load tune load-adapter", ""),
        (
            Event::Done,
            "",
            "watch verify reset halt close drop-adapter export",
        ),
        (Event::Adapter(AdapterEntry::default()), "adapters", ""),
        (Event::Format(FormatEntry::default()), "formats", ""),
        (Event::Training(Training::default()), "tune", ""),
        (Event::Tuned(Tuned::default()), "", "tune"),
        (adapter_loaded, "", "load-adapter"),
        (part, "export", ""),
        (Event::Exported(exported), "", "export"),
        (examples, "", "example drop-examples"),
    ]
}

#[test]
fn each_event_is_a_part_or_the_end_of_the_requests_that_it_answers_and_nothing_to_others() {
    assert_eq!(Kind::of(&Request::Cancel), None);
    for (request_name, request) in requests() {
        let kind = Kind::of(&request).unwrap();
        for (event, parts, ends) in events() {
            let is_in = |names: &str| names.split(' ').any(|name| name == request_name);
            let expected = match (is_in(parts), is_in(ends)) {
                (true, false) => Place::Part,
                (false, true) => Place::Last,
                _ => Place::Stray,
            };
            assert_eq!(kind.place(&event), expected, "{request_name}, {event:?}");
        }
    }
}

#[test]
fn what_answers_another_kind_of_request_leaves_it_in_flight() {
    for (request_name, request) in requests() {
        let mut system = System::on();
        let id = system.client.submit(&request).unwrap();
        for (event, parts, ends) in events() {
            if [parts, ends]
                .iter()
                .any(|names| names.split(' ').any(|name| name == request_name))
            {
                continue;
            }
            system.say(id.number(), &event);
            assert_eq!(
                system.polled(),
                Vec::<String>::new(),
                "{request_name}, {event:?}"
            );
        }
        assert_eq!(system.in_flight(), [id]);
        system.say(id.number(), &failed(ErrorCode::BadPolicy));
        assert_eq!(system.polled().len(), 1);
        assert!(system.in_flight().is_empty());
    }
}
