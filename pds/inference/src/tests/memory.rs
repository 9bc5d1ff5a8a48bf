//! Memory that only a load writes, and somebody else has written.

use super::harness::*;
use llm_core::quantize::TensorType;

/// A server whose model is loaded, and sealed if `seals`.
fn serving<'s>(
    memory: &'s mut Memory,
    file: &'s [u8],
    seals: bool,
) -> (Audit, TestServer<'s, TransformerBackend<'s>>) {
    let mut backend = transformer(memory, OPTIONS);
    if seals {
        backend.seal_models();
    }
    let (mut audit, mut server) = set_up(backend, file);
    audit.load(&mut server, file.len());
    (audit, server)
}

/// Somebody writes the memory.
fn write(
    server: &mut TestServer<'_, TransformerBackend<'_>>,
    at: impl Fn(usize) -> core::ops::Range<usize>,
    with: impl Fn(u8) -> u8,
) {
    let weights = server.backend_mut().usage();
    let weights = weights.of(llm_core::arena::Purpose::Weights);
    let (_, arena) = server.backend_mut().parts().expect("a model");
    for byte in &mut arena.memory_mut()[at(weights)] {
        *byte = with(*byte);
    }
}

#[test]
fn values_that_are_not_finite_because_weights_were_changed_end_the_domain() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = serving(&mut memory, &file, true);
    audit.send(1, &first(0, b"hello", 3));
    server.poll(&mut audit.signals);
    // NaNs, in scales and elsewhere.
    write(&mut server, |weights| 0..weights, |_| 0xff);
    let seen = audit.settle(&mut server);
    assert_eq!(seen.last(), Some(&Seen::Corrupt), "{seen:?}");
    // It does nothing more before the restart, whatever it is asked.
    audit.send(2, &first(1, b"hello", 3));
    audit.send(3, &Command::Status);
    assert_eq!(audit.settle(&mut server), []);
}

#[test]
fn a_change_that_gives_a_wrong_text_is_found_once_there_is_time() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    for bit in [0x01, 0x80] {
        let (mut audit, mut server) = serving(&mut memory, &file, true);
        audit.send(1, &only(0, b"hello", 3));
        let seen = audit.settle(&mut server);
        assert!(
            matches!(seen.last(), Some(Seen::Finished(1, ..))),
            "{seen:?}"
        );
        // One bit in the middle of the weights.
        let middle = |weights| weights / 2..weights / 2 + 1;
        write(&mut server, middle, |byte| byte ^ bit);
        audit.send(2, &only(0, b"hello", 3));
        let seen = audit.settle(&mut server);
        assert_eq!(seen.last(), Some(&Seen::Corrupt), "{seen:?}");
    }
}

#[test]
fn a_change_where_an_interrupted_inspection_has_already_been_is_found_too() {
    let shape = Shape {
        feed_forward: 1024,
        ty: TensorType::F32,
        ..Shape::default()
    };
    let file = model(shape).finish();
    let mut memory = Memory::new(4 << 20);
    let (mut audit, mut server) = serving(&mut memory, &file, true);
    audit.send(1, &only(0, b"hello", 3));
    while !matches!(audit.receive().last(), Some(Seen::Finished(1, ..))) {
        server.poll(&mut audit.signals);
    }
    assert_eq!(server.poll(&mut audit.signals), Activity::Busy, "inspects");
    write(&mut server, |_| 4096..4097, |byte| byte ^ 1);
    audit.send(2, &only(0, b"hello", 3));
    let seen = audit.settle(&mut server);
    assert_eq!(seen.last(), Some(&Seen::Corrupt), "{seen:?}");
}

#[test]
fn what_only_concerns_requests_ends_with_them() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = serving(&mut memory, &file, true);
    audit.send(1, &only(0, b"hello", 3));
    let honest = text_of(&audit.settle(&mut server), 1);
    // A part of the keys and values.
    let used = server.backend_mut().usage().current;
    write(&mut server, |_| used / 8 * 6..used / 8 * 7, |_| 0xff);
    audit.send(2, &only(0, b"hello", 3));
    let seen = audit.settle(&mut server);
    assert!(!seen.contains(&Seen::Corrupt), "{seen:?}");
    audit.send(3, &only(0, b"hello", 3));
    assert_eq!(text_of(&audit.settle(&mut server), 3), honest);
}

#[test]
fn a_model_that_is_loaded_anew_is_sealed_anew() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = serving(&mut memory, &file, true);
    write(&mut server, |_| 0..1, |byte| byte ^ 1);
    audit.load(&mut server, file.len());
    audit.send(1, &only(0, b"hello", 3));
    let seen = audit.settle(&mut server);
    assert!(
        matches!(seen.last(), Some(Seen::Finished(1, ..))),
        "{seen:?}"
    );
}

#[test]
fn without_a_seal_a_value_that_is_not_finite_costs_its_request_alone() {
    let file = model(Shape::default()).finish();
    let mut memory = Memory::new(1 << 20);
    let (mut audit, mut server) = serving(&mut memory, &file, false);
    write(&mut server, |weights| 0..weights, |_| 0xff);
    audit.send(1, &only(0, b"hello", 3));
    let seen = audit.settle(&mut server);
    assert_eq!(seen, [failed(1, ErrorCode::NonFinite)]);
}
