//! Stop strings.

use super::*;

#[test]
fn what_may_become_a_stop_string_is_held_back_until_it_does_not() {
    let mut system = serving();
    let number = begin(&mut system, &request("", stops(&["abc", "xyz"])));
    let mut text = String::new();
    for (token, shown) in [
        ("1a", "1"),
        ("b", ""),
        ("a", "ab"),
        ("b", ""),
        ("d", "abd"),
        ("xy", ""),
    ] {
        system.token(number, token);
        text += &heard(&mut system).0;
        assert!(text.ends_with(shown), "{text} after {token}");
    }
    assert_eq!(text, "1ababd");
    // All its tokens have been sent; the text that was held back follows with the end.
    system.finished(number, FinishReason::EndOfText, 6);
    let told = system.told_at_last();
    assert_eq!(told[0], Told::Text(1, "xy".into()));
    assert!(matches!(told[1], Told::Finished(1, finished) if finished.generated_tokens == 6));
    let record = system.last_record(Kind::Finish);
    assert_eq!((record.stops, record.generated_tokens), (2, 6));

    // An answer that ends at a stop string ends before it, and the text held back was part of the stop string.
    let number = begin(&mut system, &request("", stops(&["abc"])));
    system.token(number, "1ab");
    system.finished(number, FinishReason::Stop, 1);
    let (text, end) = heard(&mut system);
    assert_eq!(text, "1ab");
    assert!(matches!(end, Some(Told::Finished(1, it)) if it.reason == FinishReason::Stop));
    assert_eq!(
        system.last_record(Kind::Finish).code,
        FinishReason::Stop as u16
    );
    assert_eq!(system.runtime.restarts, 0);
}

#[test]
fn a_stop_string_in_what_came_is_a_breach_and_none_of_it_is_shown() {
    for (tokens, shown) in [
        (&["one abc"][..], ""),
        (&["one ab", "c two"], "one "),
        (&["a", "b", "c"], ""),
        (&["aab", "c"], "a"),
    ] {
        let mut system = serving();
        let number = begin(&mut system, &request("", stops(&["abc"])));
        for token in tokens {
            system.token(number, token);
        }
        is_broken_off(&mut system, shown, ErrorCode::StopBreach);
    }
    let mut system = serving();
    let number = begin(&mut system, &request("", completion(b"once")));
    system.finished(number, FinishReason::Stop, 0);
    assert_eq!(system.runtime.restarts, 1, "it has no stop strings");
}

#[test]
fn the_longest_tokens_fit_with_what_was_held_back() {
    let mut system = serving();
    let stop = "a".repeat(63) + "b";
    let number = begin(&mut system, &request("", stops(&[&stop])));
    system.token(number, &"a".repeat(63));
    assert_eq!(heard(&mut system).0, "");
    let mut frame = protocol::ring::Frame::new();
    let text = [b'c'; 256];
    for _ in 0..15 {
        Report::Token { id: 1, text: &text }.write(number, &mut frame);
        system.inference.send(&frame).unwrap();
    }
    system.wake();
    let (text, _) = heard(&mut system);
    assert_eq!((text.len(), system.runtime.restarts), (63 + 15 * 256, 0));
}
