//! Requests of `llminfer` and `llmchat`.

use crate::command::Ask;
use protocol::error::{ErrorCode, Failure};
use protocol::region::{ReadWords, WriteWords};
use sel4_llm_client::limits::{MAX_CHOICES, MAX_STOPS};
use sel4_llm_client::{Client, Infer, RequestId, SubmitError};

/// How the model gets a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// As the user's turn; refused if the model has no chat template.
    ByUser,
    /// As the user's turn if the model has a chat template, and otherwise as a text to complete. Audit decides, because
    /// only it knows the model that will run the request.
    AsTheModelHasIt,
    /// As a text to complete.
    Raw,
}

/// Sends a request for text.
pub(crate) fn submit<R: ReadWords, W: WriteWords>(
    client: &mut Client<'_, R, W>,
    ask: &Ask<'_>,
    said: Said,
    text: &[u8],
) -> Result<RequestId, SubmitError> {
    build(ask, said, text, |infer| client.infer(infer)).map_err(SubmitError::Invalid)?
}

/// Checks whether such a request is valid.
///
/// # Errors
/// The reason why it is not.
pub(crate) fn check<R: ReadWords, W: WriteWords>(
    client: &mut Client<'_, R, W>,
    ask: &Ask<'_>,
) -> Result<(), Failure> {
    ask.params.check()?;
    build(ask, Said::ByUser, b"x", |infer| client.check(infer))?
}

/// Builds the request and passes it to `send`.
fn build<T>(
    ask: &Ask<'_>,
    said: Said,
    text: &[u8],
    send: impl FnOnce(&Infer<'_>) -> T,
) -> Result<T, Failure> {
    let text = utf8(text)?;
    let mut infer = match (said, ask.system) {
        (Said::Raw, _) => Infer::new(text),
        // Only a model with a chat template can take a system text.
        (Said::ByUser, _) | (Said::AsTheModelHasIt, Some(_)) => Infer::say(text),
        (Said::AsTheModelHasIt, None) => Infer::prompt(text),
    };
    if let Some(system) = ask.system {
        infer = infer.system(utf8(system)?);
    }
    let mut stops = heapless::Vec::<&str, MAX_STOPS>::new();
    for stop in ask.stops.into_iter().flatten() {
        // There is room for all of them.
        let _ = stops.push(utf8(stop)?);
    }
    let mut choices = heapless::Vec::<&str, MAX_CHOICES>::new();
    if let Some(list) = ask.choices {
        let list = utf8(list)?;
        for choice in list.split(',') {
            choices.push(choice).map_err(|_| {
                let value = list.split(',').map(|_| 1u64).fold(0, u64::saturating_add);
                Failure::over(ErrorCode::Choices, value, MAX_CHOICES as u64)
            })?;
        }
    }
    infer = infer
        .params(ask.params)
        .session(ask.session)
        .adapter(ask.adapter)
        .format(ask.format)
        .stops(&stops)
        .choices(&choices);
    Ok(send(&infer))
}

fn utf8(text: &[u8]) -> Result<&str, Failure> {
    core::str::from_utf8(text)
        .map_err(|error| Failure::over(ErrorCode::PromptNotUtf8, error.valid_up_to() as u64, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::limits::MAX_PARTS_BYTES;
    use protocol::wire::client::Request;
    use std::format;
    use std::string::String;

    fn parts(ask: &Ask<'_>, said: Said, text: &[u8]) -> Result<String, Failure> {
        let mut buffer = [0; MAX_PARTS_BYTES];
        build(ask, said, text, |infer| {
            match infer.request(&mut buffer)? {
                Request::Infer { parts, .. } => Ok(format!("{parts:?}")),
                other => panic!("{other:?}"),
            }
        })?
    }

    #[test]
    fn a_text_goes_as_what_it_was_said_to_be() {
        let plain = Ask::default();
        let with_system = Ask {
            system: Some(b"Be brief."),
            ..plain
        };
        for (ask, said, expected) in [
            (plain, Said::Raw, r#"[(Text, "Hi")]"#),
            (plain, Said::AsTheModelHasIt, r#"[(Prompt, "Hi")]"#),
            (plain, Said::ByUser, r#"[(User, "Hi")]"#),
            (
                with_system,
                Said::AsTheModelHasIt,
                r#"[(System, "Be brief."), (User, "Hi")]"#,
            ),
        ] {
            assert_eq!(parts(&ask, said, b"Hi").as_deref(), Ok(expected));
        }
    }

    #[test]
    fn choices_are_cut_at_commas_and_stops_come_whole() {
        let ask = Ask {
            choices: Some(b"yes,no, not sure"),
            ..Ask::default()
        };
        assert_eq!(
            parts(&ask, Said::Raw, b"x").as_deref(),
            Ok(r#"[(Text, "x"), (Choice, "yes"), (Choice, "no"), (Choice, " not sure")]"#)
        );
        let mut ask = Ask::default();
        ask.stops[0] = Some(b"a,b");
        ask.stops[1] = Some(b"\n\n");
        assert_eq!(
            parts(&ask, Said::Raw, b"x").as_deref(),
            Ok(r#"[(Text, "x"), (Stop, "a,b"), (Stop, "\n\n")]"#)
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_value() {
        let with = |choices: &'static str| Ask {
            choices: Some(choices.as_bytes()),
            ..Ask::default()
        };
        let many = "x,".repeat(40);
        let many = Ask {
            choices: Some(many.as_bytes()),
            ..Ask::default()
        };
        let mut stopped = Ask::default();
        stopped.stops[0] = Some(b"");
        for (ask, text, code, value) in [
            (with(""), &b"x"[..], ErrorCode::ChoiceEmpty, 1),
            (with("a,b,a"), b"x", ErrorCode::ChoiceTwice, 3),
            (with("a,,b"), b"x", ErrorCode::ChoiceEmpty, 2),
            (many, b"x", ErrorCode::Choices, 41),
            (stopped, b"x", ErrorCode::StopBytes, 0),
            (Ask::default(), b"ab\xff", ErrorCode::PromptNotUtf8, 2),
        ] {
            let failure = parts(&ask, Said::Raw, text).unwrap_err();
            assert_eq!((failure.code, failure.value), (code, value));
        }
    }
}
