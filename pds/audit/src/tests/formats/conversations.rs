//! Conversations, and models that make impossible claims about their templates.

use super::*;

fn conversation() -> Parts<'static> {
    parts(&[
        (PartKind::System, b"be"),
        (PartKind::User, b"how?"),
        (PartKind::Assistant, b""),
        (PartKind::User, b"so"),
        (PartKind::Stop, b"stop"),
    ])
}

/// Loads a model with a template.
fn instruct(fixed_tokens: u32, segment_tokens: u32) -> Loaded {
    let loaded = loaded();
    Loaded {
        info: ModelInfo {
            fixed_tokens,
            segment_tokens,
            ..loaded.info
        },
        ..loaded
    }
}

#[test]
fn a_conversation_reserves_what_its_template_adds_and_no_more_is_believed() {
    let most = 8 + 2 + 30 + 4 * 5;
    for (prompt_tokens, restarts) in [(most, 0), (most + 1, 1)] {
        let mut system = booted(&with_formats(policy()), region());
        system.join();
        system.say(system.own_load, &Report::Loaded(instruct(30, 5)));
        system.told();
        let number = begin(&mut system, &request("", conversation()));
        assert_eq!(system.budget().reserved, u64::from(most) + 20);
        system.say(
            number,
            &Report::Finished {
                reason: FinishReason::EndOfText,
                prompt_tokens,
                generated_tokens: 0,
            },
        );
        assert_eq!(system.runtime.restarts, restarts);
        let used = if restarts == 0 { u64::from(most) } else { 0 };
        assert_eq!(system.budget().used, used);
        let admit = system.last_record(Kind::Admit);
        assert_eq!((admit.segments, admit.stops), (4, 1));
        let bytes = conversation().as_bytes().len();
        assert_eq!(admit.prompt_bytes as usize, bytes);
        let digest: [u8; 32] = Sha256::digest(conversation().as_bytes()).into();
        assert_eq!(admit.prompt_sha256, digest);
        let log = system.audit.log();
        let entry = log.iter().find(|entry| entry.record == admit).unwrap();
        assert_eq!(entry.text.to_vec(), conversation().as_bytes());
    }
    // Roles out of order are refused, with the position.
    let mut system = serving();
    let wrong = parts(&[(PartKind::User, b"x"), (PartKind::User, b"y")]);
    let failure = Failure::over(ErrorCode::SegmentRole, 2, 0);
    system.is_refused(&request("", wrong), failure);
}

#[test]
fn the_log_says_whether_texts_could_spell_user_defined_tokens() {
    for allowed in [0, 1] {
        let policy = Policy {
            user_defined: allowed,
            ..policy()
        };
        let mut system = System::serving_with(&policy);
        let number = begin(
            &mut system,
            &request("", parts(&[(PartKind::Prompt, b"x")])),
        );
        system.say(
            number,
            &Report::Finished {
                reason: FinishReason::EndOfText,
                prompt_tokens: 2,
                generated_tokens: 0,
            },
        );
        for kind in [Kind::Admit, Kind::Finish] {
            assert_eq!(
                u32::from(system.last_record(kind).user_defined),
                allowed,
                "{kind:?}"
            );
        }
    }
}

#[test]
fn a_template_that_claims_to_add_too_much_is_a_breach() {
    let (fixed, each) = (MAX_FIXED_TOKENS, MAX_SEGMENT_TOKENS);
    for (loaded, restarts) in [
        (instruct(fixed, each), 0),
        (instruct(fixed + 1, 0), 1),
        (instruct(0, each + 1), 1),
    ] {
        let mut system = booted(&with_formats(policy()), region());
        system.join();
        system.say(system.own_load, &Report::Loaded(loaded));
        assert_eq!(system.runtime.restarts, restarts);
    }
}

#[test]
fn a_prompt_is_said_to_a_model_with_a_template_and_completed_by_any_other() {
    for (template, kind, segments) in [("chatml", PartKind::User, 1), ("", PartKind::Text, 0)] {
        let mut system = booted(&with_formats(policy()), region());
        system.join();
        let mut loaded = instruct(20, 5);
        loaded.info.template = TemplateName::new(template).unwrap();
        system.say(system.own_load, &Report::Loaded(loaded));
        system.told();
        let stop: (PartKind, &[u8]) = (PartKind::Stop, b".");
        let asked = parts(&[(PartKind::Prompt, b"once"), stop]);
        system.ask(1, &request("", asked));
        let mut frame = Frame::new();
        assert_eq!(system.inference.receive(&mut frame), Ok(true));
        let Ok(Command::Infer { parts: passed, .. }) = Command::parse(&frame) else {
            panic!("a request for text");
        };
        // Inference's command, the log and the reservation agree.
        let decided = parts(&[(kind, b"once"), stop]);
        assert_eq!(passed, decided);
        let record = system.last_record(Kind::Admit);
        assert_eq!(record.segments, segments);
        let sha256: [u8; 32] = Sha256::digest(decided.as_bytes()).into();
        assert_eq!(record.prompt_sha256, sha256);
        let scaffold = u64::from(segments) * 25;
        assert_eq!(system.budget().reserved, 4 + 2 + scaffold + 20);
        // It remains a conversation whatever the model: a model without a template refuses it.
        system.ask(2, &request("", parts(&[(PartKind::User, b"once")])));
        assert_eq!(system.last_record(Kind::Admit).segments, 1);
    }
}
