//! What is sent, and what is refused before it is sent.

use super::*;
use crate::{Infer, Link, MAX_IN_FLIGHT, Segment, SubmitError};
use protocol::limits::{MAX_PARTS_BYTES, MAX_PASSPHRASE_BYTES, MAX_PROMPT_BYTES, MAX_SEGMENTS};
use protocol::region::WriteWords;
use protocol::ring::SLOTS;
use std::string::ToString as _;
use std::vec;

#[test]
fn nothing_is_sent_before_audit_has_begun_and_the_first_request_after_it_needs_no_poll() {
    let mut system = System::off();
    assert_eq!(system.client.link(), Link::Waiting);
    assert_eq!(system.client.status(), Err(SubmitError::NotConnected));
    assert_eq!(system.client.room(), 0);
    assert_eq!(system.polled(), Vec::<String>::new());
    assert!(!system.client.take_owed_signal());
    system.audit.lead(1);
    let request = system.client.status().unwrap();
    assert_eq!(request.number(), 1);
    assert!(system.client.take_owed_signal() && !system.client.take_owed_signal());
    assert_eq!(system.asked(), [(1, "Status".into())]);
    assert_eq!(system.client.link(), Link::Open);
}

#[test]
fn an_audit_of_another_version_is_named_with_both_versions() {
    let mut system = System::on();
    system.theirs.store(0, 3);
    let ours = protocol::VERSION;
    let error = SubmitError::OtherVersion { theirs: 3, ours };
    assert_eq!(system.client.status(), Err(error));
    assert_eq!(system.client.link(), Link::OtherVersion { theirs: 3, ours });
    assert_eq!(system.client.room(), 0);
    assert_eq!(system.asked(), []);
    let text = error.to_string();
    assert!(
        text.contains("version 3 ") && text.contains(&format!("version {ours}:")),
        "{text}"
    );
}

#[test]
fn a_full_ring_refuses_until_audit_has_read() {
    let mut system = System::on();
    assert_eq!(system.fill().len(), SLOTS);
    assert_eq!(system.client.status(), Err(SubmitError::Full));
    assert_eq!(system.client.room(), 0);
    assert_eq!(system.asked().len(), SLOTS);
    assert_eq!(system.client.room(), SLOTS);
    system.client.status().unwrap();
    assert_eq!(system.in_flight().len(), SLOTS + 1);
}

#[test]
fn a_tail_that_audit_cannot_have_is_told_apart_from_a_full_ring() {
    let mut system = System::on();
    system.client.status().unwrap();
    system.theirs.store(3, 1 << 32 | 500);
    assert_eq!(system.client.status(), Err(SubmitError::BrokenRing));
    assert_eq!(system.client.room(), 0);
    assert_eq!(system.in_flight().len(), 1);
    system.theirs.store(3, 1 << 32 | 1);
    system.client.status().unwrap();
}

#[test]
fn more_than_can_be_in_flight_are_refused_until_one_has_ended() {
    let mut system = System::on();
    let mut requests = Vec::new();
    for _ in 0..MAX_IN_FLIGHT {
        requests.push(system.client.status().unwrap());
        system.asked();
    }
    assert_eq!(system.client.status(), Err(SubmitError::TooManyInFlight));
    assert_eq!(system.client.room(), 0);
    assert_eq!(system.asked(), []);
    system.say(requests[7].number(), &failed(ErrorCode::NoModel));
    assert_eq!(system.polled().len(), 1);
    assert_eq!(system.client.room(), 1);
    system.client.status().unwrap();
}

#[test]
fn what_no_audit_takes_is_refused_with_the_value_and_the_limit_and_not_sent() {
    let mut system = System::on();
    let prompt = |prompt| asks("", &[(PartKind::Text, prompt)]);
    let long = vec![b'x'; MAX_PROMPT_BYTES + 1];
    let long_passphrase = vec![b'x'; MAX_PASSPHRASE_BYTES + 1];
    let login = |passphrase| Request::Login {
        user: admin(),
        passphrase: Some(passphrase),
    };
    for (request, failure) in [
        (prompt(b""), Failure::over(ErrorCode::EmptyPrompt, 1, 0)),
        (
            prompt(&long),
            Failure::over(ErrorCode::PromptBytes, 8193, 8192),
        ),
        (
            prompt(b"ab\xff"),
            Failure::over(ErrorCode::PromptNotUtf8, 2, 0),
        ),
        (
            login(&long_passphrase),
            Failure::over(ErrorCode::PassphraseLength, 129, 128),
        ),
    ] {
        assert_eq!(
            system.client.submit(&request),
            Err(SubmitError::Invalid(failure))
        );
    }
    assert_eq!(
        system.client.submit(&Request::Cancel),
        Err(SubmitError::NotARequest)
    );
    assert_eq!(system.asked(), []);
    assert!(system.in_flight().is_empty() && !system.client.take_owed_signal());
    let text = SubmitError::Invalid(Failure::over(ErrorCode::PromptBytes, 8193, 8192)).to_string();
    assert!(text.contains("8193") && text.contains("8192"), "{text}");
    // The longest prompts are sent whole.
    system.client.submit(&prompt(&long[1..])).unwrap();
    system.client.submit(&login(&long_passphrase[1..])).unwrap();
    let asked = system.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].1.contains(&"x".repeat(MAX_PROMPT_BYTES)));
}

#[test]
fn each_method_sends_its_request() {
    let mut system = System::on();
    let client = &mut system.client;
    let change = crate::BudgetChange {
        tokens: Some(7),
        period_us: None,
    };
    let query = crate::LogQuery {
        last: 3,
        ..Default::default()
    };
    let infer = Infer::new("Once")
        .session(name("tale"))
        .max_tokens(9)
        .temperature(500_000)
        .seed(11);
    let sent = [
        client.infer(&infer),
        client.models(),
        client.load(name("tiny")),
        client.status(),
        client.stats(),
        client.watch_stats(),
        client.login(admin(), None),
        client.login(admin(), Some(b"secret")),
        client.logout(),
        client.who_am_i(),
        client.users(),
        client.budget(admin(), change),
        client.log(query),
        client.verify_log(),
        client.reset(),
        client.sessions(),
    ];
    let numbers: Vec<u32> = sent.map(|id| id.unwrap().number()).into();
    let mut asked = system.asked();
    system.client.formats().unwrap();
    system.client.close(name("tale")).unwrap();
    asked.extend(system.asked());
    assert!(asked.iter().map(|(number, _)| *number).eq(1..=18) && numbers.len() == 16);
    let expected = [
        "parts: [(Text, \"Once\")] }",
        "Models",
        "Load { name: \"tiny\" }",
        "Status",
        "Stats { watch: false }",
        "Stats { watch: true }",
        "Login { user: \"admin\", passphrase: None }",
        "Login { user: \"admin\", passphrase: Some([115, 101, 99, 114, 101, 116]) }",
        "Logout",
        "WhoAmI",
        "Users",
        "Budget { user: \"admin\", change: BudgetChange { tokens: Some(7), period_us: None } }",
        "Log(LogQuery { last: 3, user: \"\", follow: false })",
        "VerifyLog",
        "Reset",
        "Sessions",
        "Formats",
        "Close { session: \"tale\" }",
    ];
    for ((_, asked), expected) in asked.iter().zip(expected) {
        assert!(asked.ends_with(expected), "{asked}");
    }
    for part in [
        "seed: 11",
        "temperature: 500000",
        "max_tokens: 9",
        "session: \"tale\"",
    ] {
        assert!(asked[0].1.contains(part), "{part}: {}", asked[0].1);
    }
}

#[test]
fn text_is_asked_for_greedily_or_as_a_sampling_says() {
    let sampling = crate::Sampling {
        top_k: 3,
        ..Default::default()
    };
    for (infer, part) in [
        (Infer::new("x").greedy(), "temperature: 0,"),
        (Infer::new("x").sampling(sampling), "top_k: 3,"),
        (Infer::new("x"), "temperature: 800000,"),
    ] {
        let mut buffer = [0; MAX_PARTS_BYTES];
        let text = format!("{:?}", infer.request(&mut buffer).unwrap());
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_conversation_is_sent_with_its_roles_and_what_bounds_the_answer() {
    let segments = [
        Segment::system("Be brief."),
        Segment::user("Hi"),
        Segment::assistant(""),
        Segment::user("<|im_end|>"),
    ];
    for (infer, expected) in [
        (
            Infer::conversation(&segments),
            r#"format: "", parts: [(System, "Be brief."), (User, "Hi"), (Assistant, ""), (User, "<|im_end|>")] }"#,
        ),
        (
            Infer::say("Hi").system("Be brief.").choices(&["yes", "no"]),
            r#"parts: [(System, "Be brief."), (User, "Hi"), (Choice, "yes"), (Choice, "no")] }"#,
        ),
        (
            Infer::new("Once").stops(&["\n\n", "."]),
            r#"parts: [(Text, "Once"), (Stop, "\n\n"), (Stop, ".")] }"#,
        ),
        (
            Infer::prompt("Hi").format(name("triage")),
            r#"format: "triage", parts: [(Prompt, "Hi")] }"#,
        ),
    ] {
        let mut system = System::on();
        assert_eq!(system.client.check(&infer), Ok(()));
        let request = system.client.infer(&infer).unwrap();
        let asked = system.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].1.ends_with(expected), "{}", asked[0].1);
        assert_eq!(asked[0].0, request.number());
    }
}

#[test]
fn a_conversation_that_no_audit_takes_is_refused_before_anything_is_sent() {
    use ErrorCode::*;
    let long = "x".repeat(MAX_PROMPT_BYTES);
    let many = [Segment::user("a"); MAX_SEGMENTS + 1];
    let (odd, none) = ([Segment::user("a"), Segment::assistant("b")], []);
    let late = [
        Segment::user("a"),
        Segment::assistant("b"),
        Segment::system("c"),
    ];
    let stops = ["a", "b", "c", "d", "e"];
    let triage = name("triage");
    for (infer, code, value) in [
        (Infer::say(""), EmptyPrompt, 1),
        (Infer::prompt(""), EmptyPrompt, 1),
        (Infer::conversation(&none), EmptyPrompt, 0),
        (Infer::conversation(&odd), SegmentRole, 2),
        (Infer::conversation(&late), SegmentRole, 3),
        (Infer::conversation(&many), Segments, 17),
        // There would be two system texts, or one beside a text to complete.
        (Infer::conversation(&late[2..]).system("d"), SegmentRole, 2),
        (Infer::new("x").system("d"), SegmentRole, 0),
        (Infer::prompt("x").system("d"), SegmentRole, 0),
        (Infer::say("x").system(&long), PromptBytes, 8201),
        (Infer::say("x").stops(&stops), StopStrings, 5),
        (Infer::say("x").stops(&["a", ""]), StopBytes, 0),
        (Infer::say("x").stops(&[&long[..65]]), StopBytes, 65),
        (Infer::say("x").choices(&["a", "a"]), ChoiceTwice, 2),
        (Infer::say("x").choices(&["a", ""]), ChoiceEmpty, 2),
        (Infer::say("x").choices(&["a\nb"]), ChoiceLineFeed, 1),
        (Infer::say("x").choices(&[&long[..513]]), ChoicesBytes, 513),
        (Infer::say("x").choices(&["a"; 33]), ChoiceTwice, 2),
        (
            Infer::say("x").choices(&["a"]).stops(&["b"]),
            FormatAndStops,
            0,
        ),
        (
            Infer::say("x").format(triage).stops(&["b"]),
            FormatAndStops,
            0,
        ),
        (
            Infer::say("x").format(triage).choices(&["b"]),
            FormatAndChoices,
            0,
        ),
    ] {
        let mut system = System::on();
        let failure = system.client.check(&infer).unwrap_err();
        assert_eq!((failure.code, failure.value), (code, value), "{infer:?}");
        let error = SubmitError::Invalid(failure);
        assert_eq!(system.client.infer(&infer), Err(error));
        assert_eq!(system.asked(), []);
        assert!(system.in_flight().is_empty());
    }
    // A request built by hand gets the same failure.
    let by_hand = asks(
        "triage",
        &[(PartKind::User, b"x"), (PartKind::Choice, b"a")],
    );
    let error = SubmitError::Invalid(Failure::of(FormatAndChoices));
    assert_eq!(System::on().client.submit(&by_hand), Err(error));
}

#[test]
fn a_cancellation_waits_for_room_and_goes_before_later_requests() {
    let mut system = System::on();
    let requests = system.fill();
    assert!(system.client.cancel(requests[3]));
    assert!(system.client.cancel(requests[5]));
    assert_eq!(system.asked().len(), SLOTS, "there was no room for them");
    assert_eq!(system.client.room(), SLOTS - 2, "they have theirs");
    system.client.who_am_i().unwrap();
    let expected = [
        (4, "Cancel".into()),
        (6, "Cancel".into()),
        (17, "WhoAmI".into()),
    ];
    assert_eq!(system.asked(), expected);
    // Even if nothing else is sent.
    let more = system.fill();
    assert!(system.client.cancel(more[0]));
    system.asked();
    assert!(system.client.take_owed_signal());
    assert_eq!(system.polled(), Vec::<String>::new());
    assert!(system.client.take_owed_signal(), "audit must hear of it");
    assert_eq!(system.asked(), [(more[0].number(), "Cancel".into())]);
}

#[test]
fn what_was_cancelled_still_has_its_end_and_what_is_over_needs_none() {
    let mut system = System::on();
    let request = system.client.infer(&Infer::new("x")).unwrap();
    assert!(system.client.cancel(request));
    assert!(system.client.cancel(request), "as often as one likes");
    assert_eq!(system.asked().len(), 3);
    system.say(1, &text(b"late"));
    system.say(1, &finished());
    assert_eq!(system.polled().len(), 2);
    assert!(!system.client.cancel(request) && !system.client.abandon(request));
    assert!(!system.client.cancel(RequestId::from_number(0)));
    assert_eq!(system.asked(), []);
    system.say(1, &failed(ErrorCode::NoSuchRequest));
    assert_eq!(system.polled(), Vec::<String>::new());
    assert_eq!(system.client.dropped().unexpected, 1);
}

#[test]
fn of_what_was_abandoned_nothing_is_told_any_more_and_its_number_stays_taken_until_its_end() {
    let mut system = System::on();
    let request = system.client.infer(&Infer::new("x")).unwrap();
    assert!(system.client.cancel(request));
    assert!(system.client.abandon(request) && !system.client.abandon(request));
    assert!(!system.client.cancel(request) && system.in_flight().is_empty());
    assert_eq!(system.asked()[1..], [(1, "Cancel".into())], "once");
    system.say(1, &text(b"late"));
    system.say(1, &finished());
    system.say(0, &Event::Ready(user("guest")));
    assert_eq!(system.polled().len(), 1);
    assert_eq!(
        system.client.dropped(),
        Default::default(),
        "they were expected"
    );
}

#[test]
fn requests_that_were_abandoned_and_never_end_do_not_use_up_the_room() {
    let mut system = System::on();
    for _ in 0..3 * MAX_IN_FLIGHT {
        let request = system.client.status().unwrap();
        assert!(system.client.abandon(request));
        system.asked();
    }
    assert_eq!(system.client.room(), SLOTS);
}

#[test]
fn a_passphrase_is_wiped_from_memory_at_once_and_from_the_ring_when_audit_has_read_it() {
    let secret = b"correct horse battery";
    let mut system = System::on();
    system.client.status().unwrap();
    let request = system.client.login(admin(), Some(secret)).unwrap();
    let frame = &system.client.memory_for_tests().outgoing;
    let mut copy = frame.clone();
    assert!(
        copy.begin(0, 0).iter().all(|byte| *byte == 0),
        "not in the frame"
    );
    assert_eq!(system.polled(), Vec::<String>::new());
    assert!(holds(&system.ours, secret), "audit has not read it");
    assert_eq!(system.asked().len(), 2);
    system.say(request.number(), &Event::User(user(ADMIN)));
    assert!(system.client.poll(&mut system.inbox).unwrap().is_end());
    assert!(
        !holds(&system.ours, secret),
        "its answer says that it was read"
    );

    // Even if audit restarts instead of reading it.
    system.client.login(admin(), Some(secret)).unwrap();
    system.audit.lead(2);
    assert_eq!(system.polled().len(), 3, "the news, and two that are lost");
    assert!(!holds(&system.ours, secret));

    // And even if there was no room for it.
    system.fill();
    assert_eq!(
        system.client.login(admin(), Some(secret)),
        Err(SubmitError::Full)
    );
    let mut copy = system.client.memory_for_tests().outgoing.clone();
    assert!(copy.begin(0, 0).iter().all(|byte| *byte == 0) && !holds(&system.ours, secret));
}
