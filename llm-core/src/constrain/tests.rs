mod vocabularies;

use super::*;
use crate::gguf::Gguf;
use crate::sampling::SamplerParams;
use crate::testing::{GgufWriter, byte_character};
use crate::tokenizer::{Header, TokenType, Vocabulary};
use formats::encode::{Encoded, NONE, image, words};
use formats::{Formats, MAX_ALL_STATES};
use proptest::prelude::*;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;
use vocabularies::{Loaded, bytes, looping, pieces, sentence_pieces, with_table};
use zerocopy::FromZeros;

fn of_words(list: &[&str]) -> Encoded {
    let list: Vec<&[u8]> = list.iter().map(|word| word.as_bytes()).collect();
    Encoded::new(&words(&list)).unwrap()
}

/// The allowed tokens, by definition.
fn allowed<A: Automaton>(
    automaton: &A,
    state: A::State,
    cost: impl Fn(A::State) -> u16,
    view: &VocabularyView<'_>,
    left: usize,
) -> Vec<u32> {
    let suppressed: Vec<u32> = view.suppressed().collect();
    let ids = 0..view.len() as u32;
    ids.filter(|id| {
        let text: Vec<u8> = view.decode(*id, false).collect();
        let after = automaton.walk(state, &text);
        let ends = view.is_eog(*id);
        !suppressed.contains(id)
            && after.is_some_and(|after| match ends {
                true => automaton.accepts(after),
                false => !text.is_empty() && usize::from(cost(after)) <= left,
            })
    })
    .collect()
}

fn allowed_by(
    constraint: &Constraint,
    table: &FormatTable<'_>,
    view: &VocabularyView<'_>,
    left: usize,
) -> Vec<u32> {
    match constraint {
        Constraint::Named { format, state } => {
            let (dfa, costs) = table.get(*format).unwrap();
            allowed(
                &dfa,
                *state,
                |state| cost::of_state(costs, state),
                view,
                left,
            )
        }
        Constraint::Choices {
            choices,
            costs,
            state,
        } => allowed(
            choices,
            *state,
            |state| cost::of_choice(choices, costs, state),
            view,
            left,
        ),
    }
}

/// Generates an answer from random logits, comparing each token with the choice after masking every logit. Returns its
/// text and its number of tokens.
fn answer(
    format: &Format,
    table: &FormatTable<'_>,
    view: &VocabularyView<'_>,
    params: SamplerParams,
    most: usize,
    mut logit: impl FnMut() -> f32,
) -> Result<(Vec<u8>, usize), FormatError> {
    let mut constraint = Constraint::new(format, table, view, most)?;
    let mut sampler = Sampler::new(params);
    let mut candidates = vec![Candidate::new_zeroed(); view.len()];
    let (mut text, mut history) = (Vec::new(), Vec::new());
    while history.len() < most {
        let left = most - history.len() - 1;
        let logits: Vec<f32> = (0..view.len()).map(|_| logit()).collect();
        let may = allowed_by(&constraint, table, view, left);
        assert!(!may.is_empty(), "a token is always left");
        let others = (0..view.len() as u32).rev().filter(|id| !may.contains(id));
        let expected = sampler
            .clone()
            .sample_except(&logits, &history, others, &mut candidates);
        let with = Choosing {
            logits: &logits,
            history: &history,
            candidates: &mut candidates,
        };
        let id = constraint
            .choose(&mut sampler, table, view, left, with)
            .unwrap();
        assert_eq!(id, expected, "as after masking");
        history.push(id);
        text.extend(view.decode(id, false));
        if view.is_eog(id) || constraint.is_over(table) {
            break;
        }
    }
    Ok((text, history.len()))
}

#[test]
fn what_a_state_takes_is_the_fewest_tokens_of_its_shortest_way() {
    let bytes = bytes();
    let view = bytes.view();
    let cost_of = |word: &str| {
        let costs = cost::of_choices(&Choices::new([word]).unwrap(), &view);
        let of_choice = costs[0];
        let of_state = with_table(&[of_words(&[word])], &view, |table| {
            let (dfa, costs) = table.get(0).unwrap();
            cost::of_state(costs, dfa.start())
        });
        assert_eq!(u16::from(of_choice), of_state, "{word}");
        of_choice
    };
    // ab|c, abc, abd: control and unused tokens do not count.
    for (word, tokens) in [
        ("a", 1),
        ("abc", 1),
        ("abdab", 2),
        ("cab", 2),
        ("ba", 2),
        ("ü", 1),
        ("€", 3),
        ("c a", 1),
        ("d", 1),
    ] {
        assert_eq!(cost_of(word), tokens, "{word}");
    }
    let pieces = pieces(&[]);
    let view = pieces.view();
    let cost_of = |word| cost::of_choices(&Choices::new([word]).unwrap(), &view)[0];
    // In a user-defined token `▁` is not a space, and text with `▁` matches no token that has one. User-defined tokens
    // with a space are not searched for.
    for (word, tokens) in [
        (" ", 1),
        (" a", 1),
        (" b", 2),
        ("b ", 1),
        ("▁b", 1),
        ("▁a", 4),
        ("▂", 1),
        ("c a", 2),
        ("<0x", 3),
    ] {
        assert_eq!(cost_of(word), tokens, "{word}");
    }
}

#[test]
fn formats_that_cannot_be_had_are_refused() {
    let without = pieces(b"xd<");
    let view = without.view();
    let error = |format: &Format, most| {
        with_table(
            &[of_words(&["abd", "q"]), of_words(&["abx"])],
            &view,
            |table| Constraint::new(format, table, &view, most).map(drop),
        )
    };
    let choices = |list: &[&str]| Format::Choices(Choices::new(list.iter().copied()).unwrap());
    assert_eq!(error(&Format::Named(0), 1), Ok(()));
    assert_eq!(
        error(&Format::Named(2), 9),
        Err(FormatError::NoSuchFormat { format: 2 })
    );
    assert_eq!(error(&Format::Named(1), 9), Err(FormatError::NotSpelled));
    assert_eq!(error(&choices(&["abx"]), 9), Err(FormatError::NotSpelled));
    assert_eq!(
        error(&choices(&["abx", "qr"]), 2),
        Ok(()),
        "one can be spelled"
    );
    let too_long = Err(FormatError::TooLong {
        tokens: 2,
        limit: 1,
    });
    assert_eq!(error(&choices(&["abx", "qr"]), 1), too_long);
    let long = "q".repeat(300);
    assert_eq!(error(&choices(&[&long]), 500), Err(FormatError::NotSpelled));
}

#[test]
fn an_answer_that_is_over_needs_no_token_for_its_end() {
    let bytes = bytes();
    let view = bytes.view();
    let choices = Format::Choices(Choices::new(["ab", "abab"]).unwrap());
    with_table(&[], &view, |table| {
        let ab = view.find(b"ab").unwrap() as usize;
        let run = |end: f32, most| {
            let mut n = 0;
            let logit = || {
                let id = n % view.len();
                n += 1;
                match id {
                    0 => end,
                    id if id == ab => 5.0,
                    _ => 0.0,
                }
            };
            answer(&choices, table, &view, SamplerParams::greedy(), most, logit).unwrap()
        };
        // A likelier end must wait for a word, and makes the answer shorter.
        assert_eq!(run(9.0, 5), (b"ab".to_vec(), 2));
        assert_eq!(run(1.0, 5), (b"abab".to_vec(), 2));
        assert_eq!(run(1.0, 1), (b"ab".to_vec(), 1));
    });
}

fn sampler_params() -> impl Strategy<Value = SamplerParams> {
    const ONE: u32 = 1_000_000;
    (
        any::<u64>(),
        prop_oneof![Just(0), Just(ONE), 0..3 * ONE],
        prop_oneof![Just(0u32), 1u32..80],
        prop_oneof![Just(ONE), 0..ONE],
        prop_oneof![Just(0), 0..ONE],
        (ONE..2 * ONE, 0u32..5),
    )
        .prop_map(
            |(seed, temperature, top_k, top_p, min_p, (repeat_penalty, repeat_last_n))| {
                SamplerParams {
                    seed,
                    temperature,
                    top_k,
                    top_p,
                    min_p,
                    repeat_penalty,
                    repeat_last_n,
                }
            },
        )
}

proptest! {
    #[test]
    fn answers_are_words_and_each_token_is_the_choice_after_masking_all_others(
        list in prop::collection::btree_set("(ab|c a|b|ü|▁| |a<0x|abd|a){1,5}", 1..8),
        params in sampler_params(),
        most in 1usize..12,
        (seed, steep) in (any::<u64>(), 1f32..20.0),
        kind in 0..2,
    ) {
        let loaded = if kind == 0 { pieces(&[]) } else { bytes() };
        let view = loaded.view();
        let texts: Vec<&str> = list.iter().map(String::as_str).collect();
        let choices = Choices::new(texts.iter().copied()).unwrap();
        let all = [of_words(&texts), looping()];
        with_table(&all, &view, |table| {
            let formats = [Format::Named(0), Format::Choices(choices), Format::Named(1)];
            let mut said = Vec::new();
            for format in &formats {
                let mut random = seed;
                // Ties are common.
                let logit = || {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((random >> 60) as f32 - 8.0) * steep / 8.0
                };
                said.push(answer(format, table, &view, params, most, logit));
            }
            for (text, tokens) in said[..2].iter().flatten() {
                assert!(list.iter().any(|word| word.as_bytes() == text), "{text:?}");
                assert!(*tokens <= most);
            }
            let (text, tokens) = said[2].clone().unwrap();
            let looping = all[1].dfa().unwrap();
            let end = looping.walk(looping.start(), &text);
            assert!(end.is_some_and(|end| looping.accepts(end)) && tokens <= most);
        });
    }

    #[test]
    fn each_state_has_a_token_to_one_that_takes_one_token_less(
        list in prop::collection::btree_set("(ab|c a|b|ü|▁| |a<0x|abd|a|x){1,6}", 1..10),
        kind in 0..3,
    ) {
        let loaded = match kind { 0 => pieces(&[]), 1 => pieces(b"x\xBC"), _ => bytes() };
        let view = loaded.view();
        let texts: Vec<&str> = list.iter().map(String::as_str).collect();
        with_table(&[of_words(&texts), looping()], &view, |table| {
            for format in 0..2 {
                let (dfa, costs) = table.get(format).unwrap();
                let cost = |state| cost::of_state(costs, state);
                for state in dfa.all().filter(|state| cost(*state) != UNSPELLED) {
                    assert!(cost(state) <= dfa.shortest(state));
                    assert_eq!(cost(state) == 0, dfa.accepts(state));
                    if let Some(left) = cost(state).checked_sub(1) {
                        let may = allowed(&dfa, state, cost, &view, usize::from(left));
                        assert!(may.iter().any(|id| !view.is_eog(*id)), "{state:?}");
                    }
                }
            }
        });
    }
}

/// A token's report has room for this much text. More would be lost, and the answer would not be a word.
#[test]
fn a_token_that_no_report_has_room_for_is_never_chosen() {
    for (letters, may) in [
        (MAX_FORMAT_TOKEN_BYTES, true),
        (MAX_FORMAT_TOKEN_BYTES + 1, false),
    ] {
        let word = "y".repeat(letters);
        // Unchanged, and with the space spelled differently.
        for spelled in [word.clone(), format!("▁{}", &word[1..])] {
            let text = spelled.replace('▁', " ");
            let mut tokens = vec![("<unk>", TokenType::Unknown), ("</s>", TokenType::Control)];
            tokens.extend([("y", TokenType::Normal), ("▁", TokenType::Normal)]);
            tokens.push((&spelled, TokenType::Normal));
            let loaded = Loaded::new(&sentence_pieces(&tokens));
            let view = loaded.view();
            with_table(&[of_words(&[&text])], &view, |table| {
                let (dfa, costs) = table.get(0).unwrap();
                let cost = |state| cost::of_state(costs, state);
                let firsts = table.firsts();
                let mask = Mask::new(&dfa, dfa.start(), cost, firsts, view, 1000);
                assert_eq!(mask.after(4).is_some(), may, "{spelled}");
            });
        }
    }
}
