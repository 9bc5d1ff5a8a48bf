//! Full rings, a full table, and the egress cap.

use super::*;

#[test]
fn nothing_is_lost_when_the_shell_reads_slowly() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    let (mut sent, mut told) = (0, Vec::new());
    while sent < 100 {
        if !system.generate(number, &mut sent, b"x") {
            // Inference pauses until the shell reads.
            told.extend(system.told());
        }
    }
    told.extend(system.told_at_last());
    let texts = told.iter().map(|told| match told {
        Told::Text(5, text) => text.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(texts.sum::<usize>(), 100);
    system.finished(number, FinishReason::MaxTokens, 100);
    assert_eq!(system.told().len(), 1);
}

#[test]
fn no_more_leaves_inference_than_the_egress_cap_allows() {
    let mut policy = policy();
    policy.egress_bytes_per_second = 500;
    policy.egress_burst_bytes = 1024;
    let mut system = System::serving_with(&policy);
    // The bytes of inference's report on its load.
    let of_load = system.stats().egress_bytes;
    system.runtime.now += SECOND;
    system.infer(5, 100);
    let number = system.admitted();
    let before = system.runtime.now;
    let (mut sent, mut passed) = (0, 0);
    while passed < 100 {
        system.generate(number, &mut sent, &[b'x'; 92]);
        let told = system.told();
        assert!(
            sent - passed <= 3,
            "no more waits than the burst has bytes for"
        );
        for told in &told {
            let Told::Text(5, text) = told else {
                panic!("{told:?}")
            };
            passed += text.len() as u32 / 92;
        }
        if told.is_empty() {
            let at = system.runtime.timer.unwrap();
            assert!(at > system.runtime.now);
            system.runtime.now = at.min(system.runtime.now + SECOND);
        }
    }
    // 100 tokens of 92 + 4 + 8 bytes; the burst's worth passes at once.
    let took = system.runtime.now - before;
    let least = (100 * 104 - 1024) * SECOND / 500;
    assert!(
        took >= least && took < least + 2 * SECOND,
        "{took} for {least}"
    );
    let stats = system.stats();
    assert_eq!(
        (stats.egress_limit, stats.egress_bytes),
        (500, of_load + 100 * 104)
    );
    // Its end has to wait as well.
    system.finished(number, FinishReason::MaxTokens, 100);
    assert_eq!(system.runtime.restarts, 0);
    system.runtime.now += SECOND;
    system.wake();
    assert!(matches!(system.told()[..], [Told::Finished(5, _)]));
}

#[test]
fn a_table_without_room_refuses_and_leaves_audit_a_place_of_its_own() {
    let mut system = System::serving();
    let places = protocol::limits::MAX_REQUESTS;
    for id in 1..=places as u32 {
        system.ask(id, &Request::Status);
        assert!(matches!(system.asked()[..], [Asked::Status(_)]), "{id}");
    }
    assert_eq!(system.told_at_last(), []);
    let (value, limit) = (places as u64, places as u64);
    let full = Failure::over(ErrorCode::TooManyRequests, value, limit);
    system.ask(100, &Request::Status);
    assert_eq!(system.told(), [Told::Failed(100, full)]);
    // A restart fails all of them; the load that follows has a place before the shell has been told of each.
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.join();
    system.loaded(system.own_load);
    let told = system.told_at_last();
    let failed = told.iter().filter(|t| matches!(t, Told::Failed(..)));
    assert_eq!(failed.count(), places);
    assert!(told.contains(&Told::Recovered(1)), "{told:?}");
    system.serves(101);
}
