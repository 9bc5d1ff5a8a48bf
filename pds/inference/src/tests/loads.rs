//! Models are loaded from the store, or refused by name.

use super::harness::*;
use protocol::wire::engine::KvType as WireKvType;

#[test]
fn a_model_is_loaded_from_its_place_in_the_store() {
    let small = model(Shape::default()).finish();
    let mut store = vec![0xAA; 77];
    store.extend(&small);
    store.extend([0xBB; 100]);
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &store);
    audit.send(7, &load(77, small.len()));
    let seen = audit.settle(&mut server);
    let [Seen::Loaded(7, loaded)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(loaded.info.file_bytes, small.len() as u64);
    assert_eq!((loaded.info.context, loaded.info.layers), (64, 2));
    assert_eq!(loaded.info.sha256, [0; 32], "audit has its own");
    assert_eq!(loaded.numerics, llm_core::NUMERICS_VERSION);
    assert_eq!(loaded.kv_type, WireKvType::Q8);
    let arena = loaded.arena;
    assert_eq!(arena.capacity, 1 << 20);
    assert!(arena.kv_cache > 0 && arena.peak == arena.current());
    assert!(loaded.kv_positions >= 64);
    // The pool takes everything that is left, up to the largest possible size.
    let full = loaded.kv_positions == 32 * 64;
    let block = arena.kv_cache / u64::from(loaded.kv_positions) * 16;
    assert!(full || arena.capacity - arena.current() < block + 64);

    audit.send(8, &Command::Status);
    let seen = audit.settle(&mut server);
    let expected = Holdings {
        arena,
        kv_positions: loaded.kv_positions,
        kv_free: loaded.kv_positions,
        running: 0,
        waiting: 0,
    };
    assert_eq!(seen, [Seen::Holdings(expected)]);
}

#[test]
fn a_model_is_loaded_with_the_context_that_audit_says() {
    let small = model(Shape::default()).finish();
    for (context, expected) in [(16, 16), (32, 32), (64, 64), (1 << 17, 64)] {
        let mut memory = Memory::new(1 << 20);
        let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &small);
        let load = Command::Load {
            offset: 0,
            bytes: small.len() as u64,
            context,
        };
        audit.send(7, &load);
        let seen = audit.settle(&mut server);
        assert!(
            matches!(&seen[..], [Seen::Loaded(7, loaded)] if loaded.info.context == expected),
            "{seen:?}"
        );
    }
}

#[test]
fn a_place_outside_the_store_is_refused() {
    let (mut audit, mut server) = set_up(StubBackend::default(), b"store");
    for (offset, bytes) in [(0, 6), (6, 0), (5, 1), (u64::MAX, 1), (1, u64::MAX)] {
        audit.send(
            1,
            &Command::Load {
                offset,
                bytes,
                context: 64,
            },
        );
        let seen = audit.settle(&mut server);
        let end = offset.saturating_add(bytes);
        assert!(
            matches!(&seen[..], [Seen::Failed(1, failure, detail)]
                if *failure == Failure::over(ErrorCode::BadModel, end, 5) && !detail.is_empty()),
            "{seen:?}"
        );
    }
    audit.send(2, &first(0, b"a", 1));
    assert_eq!(audit.settle(&mut server), [failed(2, ErrorCode::NoModel)]);
}

#[test]
fn a_bad_load_is_explained_and_leaves_model_and_sessions_in_service() {
    let good = model(Shape::default()).finish();
    let large = model(Shape {
        layers: 40,
        ..Shape::default()
    })
    .finish();
    let mut store = good.clone();
    store.extend(&large);
    store.extend(b"junk");
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = set_up(transformer(&mut memory, OPTIONS), &store);
    audit.load(&mut server, good.len());
    audit.send(1, &first(3, b"hello", 3));
    audit.settle(&mut server);
    for (offset, bytes, code) in [
        (0, good.len() / 2, ErrorCode::BadModel),
        (good.len() + large.len(), 4, ErrorCode::BadModel),
        (good.len(), large.len(), ErrorCode::ModelTooLarge),
    ] {
        audit.send(2, &load(offset, bytes));
        let seen = audit.settle(&mut server);
        let [Seen::Failed(2, failure, detail)] = &seen[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(failure.code, code);
        assert!(!detail.is_empty());
    }
    audit.send(7, &next(3, b" there", 3));
    let seen = audit.settle(&mut server);
    assert!(matches!(
        seen.last(),
        Some(Seen::Finished(7, FinishReason::MaxTokens, _, 3))
    ));
    // Loading a valid model forgets the sessions.
    audit.load(&mut server, good.len());
    audit.send(8, &next(3, b" there", 3));
    assert_eq!(
        audit.settle(&mut server),
        [failed(8, ErrorCode::SessionEvicted)]
    );
}
