//! Stop strings and user-defined tokens.

use super::*;

#[test]
fn an_answer_ends_before_the_first_stop_string_and_has_the_tokens_up_to_it() {
    let mut stopped = 0;
    with_file(&file(&SCAFFOLD), |backend| {
        for seed in 0..60 {
            let params = sampled(seed, 30);
            backend
                .start(Turn::only(0), Prompt::Text(b"hello"), &params)
                .unwrap();
            let (ids, texts, reason) = answer(backend);
            let whole = texts.concat();
            // Two characters that occur one after the other, and one that never occurs.
            let characters: Vec<char> = whole.chars().collect();
            let at = seed as usize % characters.len().max(2).saturating_sub(1);
            let pair: String = characters.iter().skip(at).take(2).collect();
            let stops = Stops::new(
                [pair.as_str(), "zz?"]
                    .into_iter()
                    .filter(|stop| !stop.is_empty()),
            );
            let turn = Turn {
                stops: stops.unwrap(),
                ..Turn::only(0)
            };
            backend
                .start(turn, Prompt::Text(b"hello"), &params)
                .unwrap();
            let (cut, shown, ended) = answer(backend);
            assert!(
                shown
                    .iter()
                    .all(|text| text.len() <= MAX_STOPPED_TEXT_BYTES)
            );
            let shown = shown.concat();
            assert_eq!(cut, ids[..cut.len()]);
            let first = turn.stops.iter().filter_map(|stop| {
                let stop = std::str::from_utf8(stop).unwrap();
                Some((whole.find(stop)? + stop.len(), whole.find(stop)?))
            });
            match first.min() {
                Some((_, start)) => {
                    assert_eq!(
                        (ended, shown.as_str()),
                        (FinishReason::Stop, &whole[..start])
                    );
                    stopped += 1;
                }
                None => assert_eq!((ended, &shown, cut.len()), (reason, &whole, ids.len())),
            }
        }
    });
    assert!(stopped > 40, "{stopped}");
}

#[test]
fn a_request_has_a_format_or_stop_strings() {
    let choices = formats::Choices::new(["a"]).unwrap();
    let turn = Turn {
        format: Some(crate::constrain::Format::Choices(choices)),
        stops: Stops::new(["b"]).unwrap(),
        ..Turn::only(0)
    };
    with_file(&file(&SCAFFOLD), |backend| {
        let refused = backend.start(turn, Prompt::Text(b"a"), &sampled(1, 3));
        assert_eq!(refused, Err(GenerateError::FormatAndStops));
        // Both work with any prompt.
        let turn = Turn {
            stops: Stops::NONE,
            ..turn
        };
        backend
            .start(turn, Prompt::Segments(&[user("a")]), &sampled(1, 3))
            .unwrap();
        assert_eq!(answer(backend).1.concat(), "a");
        backend
            .start(turn, Prompt::Tokens(&[1, 70]), &sampled(1, 3))
            .unwrap();
        assert_eq!(answer(backend).1.concat(), "a");
    });
}

#[test]
fn a_text_becomes_a_user_defined_token_only_if_the_turn_allows_it() {
    let file = file(&SCAFFOLD);
    // The last letter of the vocabulary becomes a user-defined token. A single byte would stay text.
    let mut writer = model(Shape::default());
    let gguf = Gguf::parse(&file).unwrap();
    let mut tokens: Vec<Vec<u8>> = gguf
        .array("tokenizer.ggml.tokens")
        .unwrap()
        .strings()
        .unwrap()
        .map(<[u8]>::to_vec)
        .collect();
    let mut kinds: Vec<i32> = gguf
        .array("tokenizer.ggml.token_type")
        .unwrap()
        .i32s()
        .unwrap()
        .collect();
    let last = tokens.len() - 1;
    tokens[last] = b"[x]".to_vec();
    kinds[last] = 4;
    for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.token_type"] {
        writer.remove_key(key);
    }
    writer
        .strings("tokenizer.ggml.tokens", &tokens)
        .i32s("tokenizer.ggml.token_type", &kinds);
    with_file(&writer.finish(), |backend| {
        let mut tokens = |user_defined| {
            let turn = Turn {
                user_defined,
                ..Turn::only(0)
            };
            let tokens = backend
                .start(turn, Prompt::Text(b"a[x]"), &sampled(1, 1))
                .unwrap();
            answer(backend);
            tokens
        };
        // Begin, a space, and `a`; then three or one.
        assert_eq!((tokens(false), tokens(true)), (6, 4));
    });
}

#[test]
fn the_stub_ends_at_stop_strings_and_gives_back_texts_with_roles() {
    let mut stub = StubBackend::default();
    stub.load(b"anything").unwrap();
    let stops = Stops::new(["cd", "xyz"]).unwrap();
    let turn = Turn {
        stops,
        ..Turn::only(0)
    };
    let said = [Segment::new(Role::System, "ab"), user("xycde")];
    stub.start(turn, Prompt::Segments(&said), &sampled(1, 100))
        .unwrap();
    let (ids, shown, reason) = answer(&mut stub);
    assert_eq!((ids.len(), reason), (6, FinishReason::Stop));
    assert_eq!(shown, ["a", "b", "", "", "xy", ""]);
    stub.start(turn, Prompt::Text(b"axy"), &sampled(1, 100))
        .unwrap();
    let (_, shown, reason) = answer(&mut stub);
    assert_eq!(
        (shown.concat().as_str(), reason),
        ("axy", FinishReason::EndOfText)
    );
}
