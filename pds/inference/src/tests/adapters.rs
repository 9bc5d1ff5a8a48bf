//! Adapters are loaded, used and dropped, and trained up to the last byte of their files.

use super::harness::*;
use protocol::limits::MAX_PART_BYTES;

const ADAPTER: &[u8] = b"GGUF an adapter";
const DATA: &[u8] = b"{\"text\":\"one\"}\n{\"text\":\"two\"}\n";
const ALONE: &[u8] = b"{\"alone\":1}\n";
const FILE: &[u8] = b"GGUF model";

/// A store with all of these, one after the other.
fn store() -> Vec<u8> {
    [FILE, ADAPTER, DATA, ALONE].concat()
}

fn place_of(what: &[u8]) -> (u64, u64) {
    let store = store();
    let mut windows = store.windows(what.len());
    let at = windows.position(|window| window == what).unwrap();
    (at as u64, what.len() as u64)
}

fn adapter(place: u32, source: Source, (offset, bytes): (u64, u64)) -> Command<'static> {
    Command::Adapter {
        place,
        source,
        offset,
        bytes,
        base: [9; 32],
    }
}

fn train(data: &[u8], params: TrainParams) -> Command<'static> {
    let (offset, bytes) = place_of(data);
    Command::Train {
        params,
        source: Source::Store,
        offset,
        bytes,
        base: [9; 32],
        room: 1 << 20,
    }
}

fn with_adapter(mut command: Command<'_>, place: u32) -> Command<'_> {
    if let Command::Infer { adapter, .. } = &mut command {
        *adapter = place + 1;
    }
    command
}

fn serving(store: &[u8]) -> (Audit, TestServer<'_, StubBackend>) {
    let (mut audit, mut server) = set_up(StubBackend::default(), store);
    audit.load(&mut server, FILE.len());
    (audit, server)
}

/// Joins the parts of the file. They must be in order and as long as possible.
fn file_of(seen: &[Seen], of: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut is_last = false;
    for seen in seen {
        if let Seen::Part(request, offset, bytes) = seen
            && *request == of
        {
            assert!(!is_last && !bytes.is_empty());
            assert_eq!(*offset, file.len() as u64);
            is_last = bytes.len() < MAX_PART_BYTES;
            file.extend(bytes);
        }
    }
    file
}

#[test]
fn an_adapter_is_loaded_from_either_place_used_and_dropped() {
    let store = store();
    let device = [&[0; 64][..], ADAPTER].concat();
    let device = &device[..];
    let (mut audit, mut server) = set_up_with(StubBackend::default(), &store, &device);
    audit.load(&mut server, FILE.len());
    audit.send(1, &adapter(0, Source::Store, place_of(ADAPTER)));
    let there = (64, ADAPTER.len() as u64);
    audit.send(2, &adapter(7, Source::Device, there));
    let seen = audit.settle(&mut server);
    let [
        Seen::AdapterLoaded(1, first),
        Seen::AdapterLoaded(2, second),
    ] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!((first.info.alpha, first.info.bytes), (1_000_000, 15));
    assert_eq!(first, second);
    audit.send(3, &with_adapter(first_turn(0), 7));
    audit.send(4, &first_turn(1));
    let seen = audit.settle(&mut server);
    assert_eq!(text_of(&seen, 3), "HELLO");
    assert_eq!(text_of(&seen, 4), "hello");
    audit.send(5, &Command::DropAdapter { place: 7 });
    assert_eq!(audit.settle(&mut server), []);
    audit.send(6, &with_adapter(first_turn(0), 7));
    let gone = failed(6, ErrorCode::NoSuchAdapter);
    assert_eq!(audit.settle(&mut server), [gone]);
    audit.send(7, &Command::DropAdapter { place: 7 });
    let seen = audit.settle(&mut server);
    assert!(
        matches!(&seen[..], [Seen::Failed(7, failure, _)] if failure.code == ErrorCode::NoSuchAdapter)
    );
}

fn first_turn(session: u32) -> Command<'static> {
    first(session, b"hello", 5)
}

#[test]
fn what_is_no_adapter_or_lies_outside_is_refused_with_the_reason() {
    let store = store();
    let (mut audit, mut server) = serving(&store);
    let end = store.len() as u64;
    for (source, place) in [
        (Source::Store, (end, 1)),
        (Source::Store, (u64::MAX, 2)),
        (Source::Device, (0, 1)),
        (Source::Store, place_of(DATA)),
    ] {
        audit.send(1, &adapter(0, source, place));
        let seen = audit.settle(&mut server);
        assert!(
            matches!(&seen[..], [Seen::Failed(1, failure, detail)]
                if failure.code == ErrorCode::BadAdapter && !detail.is_empty()),
            "{seen:?}"
        );
    }
    let mut outside = train(DATA, TrainParams::default());
    if let Command::Train { offset, .. } = &mut outside {
        *offset = end;
    }
    audit.send(2, &outside);
    let seen = audit.settle(&mut server);
    assert!(matches!(&seen[..], [Seen::Failed(2, failure, detail)]
            if failure.code == ErrorCode::BadData && !detail.is_empty()));
    audit.send(3, &adapter(0, Source::Store, place_of(ADAPTER)));
    audit.send(4, &adapter(0, Source::Store, place_of(ADAPTER)));
    let seen = audit.settle(&mut server);
    assert!(
        matches!(&seen[..], [Seen::AdapterLoaded(3, _), Seen::Failed(4, failure, _)]
            if failure.code == ErrorCode::AdapterInUse)
    );
}

#[test]
fn a_training_tells_its_plan_then_how_far_it_is_then_its_file_and_its_end() {
    let store = store();
    let (mut audit, mut server) = serving(&store);
    audit.send(5, &train(DATA, TrainParams::default()));
    let seen = audit.settle(&mut server);
    let plan = TrainProgress {
        step: 0,
        steps: 6,
        tokens: 0,
        loss: 0,
        longest: 14,
        alone: false,
    };
    assert_eq!(seen[0], Seen::Training(5, plan));
    let steps: Vec<_> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Training(5, progress) => Some((progress.step, progress.tokens)),
            _ => None,
        })
        .collect();
    assert_eq!(steps[..3], [(0, 0), (1, 14), (2, 28)]);
    let file = file_of(&seen, 5);
    assert!(file.starts_with(b"GGUF"));
    let end = Trained {
        tokens: 84,
        bytes: file.len() as u64,
        steps: 6,
        loss: 166_667,
    };
    assert_eq!(seen.last(), Some(&Seen::Trained(5, end)));
    // The same seed gives the same adapter, another seed another.
    for (number, seed) in [(6, 42), (7, 43)] {
        let params = TrainParams {
            seed,
            ..TrainParams::default()
        };
        audit.send(number, &train(DATA, params));
        let seen = audit.settle(&mut server);
        assert_eq!(file_of(&seen, number) == file, seed == 42);
    }
}

#[test]
fn requests_go_on_beside_a_training_and_only_one_goes_on() {
    let store = store();
    let (mut audit, mut server) = serving(&store);
    let long = TrainParams {
        epochs: 100,
        ..TrainParams::default()
    };
    audit.send(1, &train(DATA, long));
    audit.send(2, &first_turn(0));
    audit.send(3, &train(DATA, long));
    audit.send(4, &adapter(0, Source::Store, place_of(ADAPTER)));
    audit.send(5, &Command::DropAdapter { place: 0 });
    audit.send(6, &load(0, FILE.len()));
    let seen = audit.settle(&mut server);
    assert_eq!(text_of(&seen, 2), "hello");
    let at = |is: fn(&Seen) -> bool| seen.iter().position(is).unwrap();
    let finished = at(|seen| matches!(seen, Seen::Finished(2, ..)));
    assert!(finished < at(|seen| matches!(seen, Seen::Trained(1, _))));
    for number in [3, 4, 5] {
        assert!(seen.contains(&failed(number, ErrorCode::Training)));
    }
    assert!(seen.contains(&failed(6, ErrorCode::ModelInUse)));
    // A training of 200 steps reports a hundred times, after the plan.
    let told = seen.iter().filter(|s| matches!(s, Seen::Training(1, _)));
    assert!((95..=101).contains(&told.count()));
}

#[test]
fn a_training_that_needs_all_memory_refuses_requests_and_is_refused_while_there_are_any() {
    let store = store();
    let (mut audit, mut server) = serving(&store);
    audit.send(1, &train(ALONE, TrainParams::default()));
    audit.send(2, &first_turn(0));
    let seen = audit.settle(&mut server);
    assert!(matches!(&seen[0], Seen::Training(1, progress) if progress.alone));
    assert!(seen.contains(&failed(2, ErrorCode::Training)));
    audit.send(3, &first_turn(0));
    audit.send(4, &train(ALONE, TrainParams::default()));
    let seen = audit.settle(&mut server);
    assert!(
        seen.iter()
            .any(|seen| matches!(seen, Seen::Failed(4, failure, _)
            if *failure == Failure::over(ErrorCode::TrainAlone, 1, 0))),
        "{seen:?}"
    );
}

#[test]
fn a_training_that_is_cancelled_sends_no_more_of_its_file_and_frees_the_engine() {
    let store = store();
    let (mut audit, mut server) = serving(&store);
    // While it is being trained, and while its file is being sent, after this many polls.
    for polls in [1, 4, 8] {
        audit.send(1, &train(DATA, TrainParams::default()));
        let mut seen = Vec::new();
        for _ in 0..polls {
            server.poll(&mut audit.signals);
            seen.extend(audit.receive());
        }
        audit.send(1, &Command::Cancel);
        server.poll(&mut audit.signals);
        let end = audit.settle(&mut server);
        assert!(
            matches!(&end[..], [Seen::Trained(1, trained)] if trained.bytes == 0),
            "{end:?}"
        );
    }
    audit.send(2, &Command::Cancel);
    let none = failed(2, ErrorCode::NoSuchRequest);
    assert_eq!(audit.settle(&mut server), [none]);
    audit.send(3, &train(DATA, TrainParams::default()));
    let seen = audit.settle(&mut server);
    assert!(matches!(seen.last(), Some(Seen::Trained(3, trained)) if trained.bytes > 0));
}

#[test]
fn a_file_for_which_there_is_no_room_is_not_sent() {
    let store = store();
    let (mut audit, mut server) = serving(&store);
    let mut command = train(DATA, TrainParams::default());
    if let Command::Train { room, .. } = &mut command {
        *room = 6_000;
    }
    audit.send(1, &command);
    let seen = audit.settle(&mut server);
    let failure = Failure::over(ErrorCode::AdapterRoom, 6_001, 6_000);
    assert_eq!(seen.last(), Some(&Seen::Failed(1, failure, "".into())));
    assert!(file_of(&seen, 1).is_empty());
}

#[test]
fn a_new_epoch_ends_a_training_in_silence() {
    let store = store();
    let (mut audit, mut server) = serving(&store);
    audit.send(1, &train(DATA, TrainParams::default()));
    server.poll(&mut audit.signals);
    audit.ring.lead(2);
    assert_eq!(audit.settle(&mut server), [Seen::Ready]);
    audit.send(2, &train(DATA, TrainParams::default()));
    let seen = audit.settle(&mut server);
    assert!(matches!(seen.last(), Some(Seen::Trained(2, _))));
}
