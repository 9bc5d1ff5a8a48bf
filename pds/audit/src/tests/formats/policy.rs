//! Formats that the policy allows or requires.

use super::*;

/// The system whose policy was changed by `change` refuses these for this reason, and admits those.
fn refuses_and_admits(
    change: impl FnOnce(&mut Policy),
    refused: &[(Request<'_>, ErrorCode)],
    admitted: &[Request<'_>],
) {
    let mut policy = with_formats(policy());
    change(&mut policy);
    let mut system = serving_with(&policy);
    for (request, code) in refused {
        system.is_refused(request, Failure::of(*code));
    }
    for (id, request) in (1..).zip(admitted) {
        system.ask(id, request);
        system.admitted();
    }
}

#[test]
fn a_format_must_be_there_and_alone() {
    let both = prompt(&[(PartKind::Stop, "a"), (PartKind::Choice, "b")]);
    let once = completion(b"once");
    let refused = [
        (request("nothing", once), ErrorCode::UnknownFormat),
        (
            request("verdict", choices(&["a"])),
            ErrorCode::FormatAndChoices,
        ),
        (request("verdict", stops(&["a"])), ErrorCode::FormatAndStops),
        (request("", both), ErrorCode::FormatAndStops),
    ];
    refuses_and_admits(|_| (), &refused, &[request("verdict", once)]);
}

#[test]
fn role_and_client_say_which_formats_may_and_whether_one_must_be_used() {
    let once = completion(b"once");
    let [free, verdict, digits] = ["", "verdict", "digits"].map(|name| request(name, once));
    let ad_hoc = request("", choices(&["a"]));
    let stopped = request("", stops(&["x"]));
    let only_digits = FormatRule::NONE.with(1);
    let must = only_digits.with_choices().with_must();
    let (not, needed) = (ErrorCode::FormatNotAllowed, ErrorCode::FormatNeeded);
    let of_role = |policy: &mut Policy, rule| policy.roles[0].formats = rule;
    let of_client = |policy: &mut Policy, rule| policy.clients[0].formats = rule;
    let changes: [fn(&mut Policy, FormatRule); 2] = [of_role, of_client];
    for change in changes {
        let refused = [(verdict, not), (ad_hoc, not)];
        refuses_and_admits(
            |it| change(it, only_digits),
            &refused,
            &[digits, free, stopped],
        );
        let refused = [(free, needed), (stopped, needed), (verdict, not)];
        refuses_and_admits(|it| change(it, must), &refused, &[ad_hoc, digits]);
    }
    let both = |policy: &mut Policy| {
        of_role(policy, FormatRule::NONE.with(0));
        of_client(policy, only_digits);
    };
    refuses_and_admits(both, &[(verdict, not), (digits, not)], &[free]);
}

#[test]
fn who_must_use_a_format_is_told_nothing_else_that_inference_chooses() {
    let name = ModelName::new("default").unwrap();
    let mut policy = with_formats(policy());
    for (is_bound, ip) in [(false, FAULT.ip), (true, 0)] {
        policy.clients[0].formats = match is_bound {
            true => FormatRule::ANY.with_must(),
            false => FormatRule::ANY,
        };
        let mut system = serving_with(&policy);
        system.audit.on_fault(FAULT, &mut system.runtime);
        system.wake();
        match &system.told()[..] {
            [Told::Fault(fault, 1)] => assert_eq!(fault.ip, ip),
            other => panic!("{other:?}"),
        }
        system.join();
        let failure = Failure::over(ErrorCode::BadModel, 0x5ec2e7, 0x5ec2e7);
        let load = system.own_load;
        let detail = b"anything";
        system.say(load, &Report::Failed { failure, detail });
        let mut frame = Frame::new();
        let mut heard = 0;
        while system.shell.receive(&mut frame).unwrap() {
            if let Event::Failed {
                failure: told,
                detail,
            } = Event::parse(&frame).unwrap()
            {
                let (passes, says) = match is_bound {
                    true => (Failure::of(failure.code), &b""[..]),
                    false => (failure, &b"anything"[..]),
                };
                assert_eq!((told, detail), (passes, says));
                heard += 1;
            }
        }
        assert_eq!(heard, 1);
    }
    let mut system = serving_with(&policy);
    for request in [
        Request::Status,
        Request::Load { name },
        Request::Adapters,
        Request::LoadAdapter { name },
        Request::ExportAdapter { name },
        Request::Log(LogQuery::default()),
    ] {
        system.is_refused(&request, Failure::of(ErrorCode::FormatNeeded));
    }
    system.ask(5, &Request::Models);
    assert!(matches!(system.told()[..], [.., Told::Listed(5, _)]));
}

#[test]
fn the_formats_are_listed_with_whether_one_may_use_them() {
    let mut policy = with_formats(policy());
    policy.roles[0].formats = FormatRule::NONE.with(1);
    let mut system = serving_with(&policy);
    system.ask(3, &Request::Formats);
    let image = region();
    let formats = formats::Formats::read(&image).unwrap();
    let entry = |index: usize, allowed| {
        let named = formats.get(index).unwrap();
        Told::Format(
            3,
            FormatEntry {
                name: FormatName::new(named.name).unwrap(),
                states: named.dfa.states() as u32,
                bytes: named.table.len() as u32,
                allowed,
                sha256: Sha256::digest(named.table).into(),
            },
        )
    };
    let expected = [entry(0, false), entry(1, true), Told::Listed(3, 2)];
    assert_eq!(system.told_at_last(), expected);
}

#[test]
fn formats_that_are_not_those_of_the_policy_let_nobody_do_anything() {
    let policy = with_formats(policy());
    let failure = Failure::over(ErrorCode::BadPolicy, PolicyError::Formats as u64, 0);
    let image = region();
    let mut wrong: Vec<Vec<u8>> = [0, 16, image.len() / 2, image.len() - 1]
        .map(|at| {
            let mut image = image.clone();
            image[at] ^= 1;
            image
        })
        .into();
    wrong.push(image[1..].to_vec());
    wrong.push(Vec::new());
    for region in wrong {
        let mut system = booted(&policy, region);
        system.told();
        system.ask(1, &request("verdict", completion(b"once")));
        assert_eq!(system.told(), [Told::Failed(1, failure)]);
    }
    // If both are wrong, that is found, too.
    let mut broken = image.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let mut policy = policy;
    policy.formats_sha256 = Sha256::digest(&broken).into();
    if formats::Formats::read(&broken).is_err() {
        let mut system = booted(&policy, broken);
        system.told();
        system.ask(1, &Request::Models);
        assert_eq!(system.told(), [Told::Failed(1, failure)]);
    }
    policy.formats_sha256 = Sha256::digest(&image).into();
    policy.format_count = 1;
    let mut system = booted(&policy, image);
    system.told();
    system.ask(1, &Request::Models);
    assert_eq!(system.told(), [Told::Failed(1, failure)]);
}
