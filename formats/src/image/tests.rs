extern crate std;
use super::*;
use crate::encode::{EncodeError, Encoded, NONE, Table, image, words};
use crate::{Automaton, REGION_BYTES};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

fn encoded(list: &[&str]) -> Encoded {
    let list: Vec<&[u8]> = list.iter().map(|word| word.as_bytes()).collect();
    Encoded::new(&words(&list)).unwrap()
}

/// `a`* then `b`, over classes that are not minimal.
fn looping() -> Encoded {
    let mut classes = [3; 256];
    (
        classes[usize::from(b'a')],
        classes[usize::from(b'b')],
        classes[usize::from(b'c')],
    ) = (0, 1, 2);
    #[rustfmt::skip]
    let next = vec![
        1, 2, NONE, NONE,
        0, 2, 3, NONE, // The same state again, and a transition into a dead state.
        NONE, NONE, NONE, NONE,
        3, 3, 3, 3,
    ];
    let accepts = vec![false, false, true, false];
    Encoded::new(&Table {
        classes,
        width: 4,
        next,
        accepts,
    })
    .unwrap()
}

fn accepts<A: Automaton>(automaton: &A, text: &[u8]) -> bool {
    let state = automaton.walk(automaton.start(), text);
    state.is_some_and(|state| automaton.accepts(state))
}

#[test]
fn formats_come_back_by_name_and_number_with_their_languages() {
    let (triage, looping) = (encoded(&["ignore", "note", "notify"]), looping());
    let mut region = image([("triage", &triage), ("loop", &looping)]).unwrap();
    region.resize(REGION_BYTES, 0);
    let formats = Formats::read(&region).unwrap();
    assert_eq!(formats.len(), 2);
    let names: Vec<_> = formats.iter().map(|one| (one.index, one.name)).collect();
    assert_eq!(names, [(0, "triage"), (1, "loop")]);
    let found = formats.find("loop").unwrap();
    assert_eq!((found.index, found.first_state), (1, triage.states()));
    assert_eq!(formats.get(1).unwrap().name, "loop");
    assert!(formats.find("other").is_none() && formats.get(2).is_none());
    assert_eq!(formats.states(), triage.states() + looping.states());
    let dfa = formats.get(0).unwrap().dfa;
    for (text, is_word) in [
        ("ignore", true),
        ("note", true),
        ("not", false),
        ("notes", false),
    ] {
        assert_eq!(accepts(&dfa, text.as_bytes()), is_word, "{text}");
    }
    assert!(accepts(&found.dfa, b"aaaaab") && !accepts(&found.dfa, b"aabb"));
}

#[test]
fn the_automaton_is_minimal_and_trimmed() {
    // Two states: before `b`, and after it.
    let looping = looping();
    assert_eq!(looping.states(), 2);
    // `ac` and `bc` share what follows.
    assert_eq!(encoded(&["ac", "bc"]).states(), 3);
    let dfa = looping.dfa().unwrap();
    assert!(
        dfa.next(dfa.start(), b'c').is_none(),
        "no way into the trap"
    );
    assert_eq!(
        (dfa.shortest(dfa.start()), dfa.exit(dfa.start())),
        (1, b'b')
    );
}

#[test]
fn what_is_no_format_is_refused() {
    let error = |list: &[&[u8]]| Encoded::new(&words(list)).unwrap_err();
    assert_eq!(error(&[]), EncodeError::Empty);
    assert_eq!(error(&[b""]), EncodeError::OnlyEmpty);
    let long = [b'x'; MAX_STATES];
    assert_eq!(
        error(&[&long]),
        EncodeError::States {
            states: MAX_STATES + 1
        }
    );
    let longest = Encoded::new(&words(&[&long[1..]])).unwrap();
    assert_eq!(longest.states(), MAX_STATES);
    let names: Vec<String> = (0..=MAX_FORMATS).map(|n| format!("f{n}")).collect();
    let several = |n: usize| image(names.iter().take(n).map(|name| (name.as_str(), &longest)));
    assert_eq!(
        several(5).unwrap_err(),
        EncodeError::AllStates {
            states: 5 * MAX_STATES
        }
    );
    let small = encoded(&["a"]);
    let all = image(names.iter().map(|name| (name.as_str(), &small)));
    assert_eq!(all.unwrap_err(), EncodeError::Formats { formats: 17 });
    for name in ["", "a b", "ü", "x'", &"x".repeat(33)] {
        assert_eq!(
            image([(name, &small)]).unwrap_err(),
            EncodeError::Name,
            "{name:?}"
        );
    }
    assert_eq!(
        image([("a", &small), ("a", &small)]).unwrap_err(),
        EncodeError::Name
    );
    let mut short = words(&[b"a"]);
    short.next.pop();
    assert_eq!(Encoded::new(&short).unwrap_err(), EncodeError::Table);
    // The region has no room for 4,000 states with 256 classes, although each number is within its limit.
    let mut wide = words(&[]);
    wide.accepts = vec![false; 4000];
    wide.next = (0..4000 * 256u32)
        .map(|cell| match (cell / 256, cell % 256) {
            (3999, _) => NONE,
            // Each byte leads to another state, so each needs a class of its own.
            (state, byte) => 3999.min(state + 1 + byte),
        })
        .collect();
    wide.accepts[3999] = true;
    let wide = Encoded::new(&wide).unwrap();
    let error = image([("wide", &wide)]).unwrap_err();
    assert_eq!(
        error,
        EncodeError::Bytes {
            bytes: 16 + 48 + wide.size()
        }
    );
}

#[test]
fn what_is_no_image_is_refused() {
    let good = image([("a", &encoded(&["x", "yz"])), ("b", &looping())]).unwrap();
    assert!(Formats::read(&good).is_ok());
    let error = |bytes: &[u8]| Formats::read(bytes).unwrap_err();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(error(&[]), FormatsError::Size);
    assert_eq!(error(&good[..15]), FormatsError::Size);
    assert_eq!(error(&[0; 64]), FormatsError::Magic);
    assert_eq!(error(&changed(8, 9)), FormatsError::Version);
    assert_eq!(error(&changed(12, 17)), FormatsError::Count);
    assert_eq!(
        error(&changed(12, 3)),
        FormatsError::Name,
        "a table is no entry"
    );
    assert_eq!(error(&changed(16, 0)), FormatsError::Name);
    assert_eq!(
        error(&changed(64, b'a')),
        FormatsError::Name,
        "the second is called a, too"
    );
    assert_eq!(
        error(&changed(16 + 37, 0x20)),
        FormatsError::Count,
        "8,192 states and more"
    );
    assert_eq!(
        error(&changed(16 + 36, 0)),
        FormatsError::Table,
        "no states"
    );
    assert_eq!(
        error(&changed(16 + 40, 0)),
        FormatsError::Table,
        "no classes"
    );
    assert_eq!(
        error(&changed(16 + 34, 0xFF)),
        FormatsError::Size,
        "it begins behind the end"
    );
    assert_eq!(error(&good[..good.len() - 1]), FormatsError::Size);
    assert_eq!(error(&changed(16 + 44, 1)), FormatsError::Table);
    assert_eq!(error(&changed(good.len() - 1, 0xFF)), FormatsError::Table);
    assert!(
        Formats::read(&[MAGIC.as_slice(), &[1, 0, 0, 0, 0, 0, 0, 0]].concat())
            .unwrap()
            .is_empty()
    );
}

/// Whether what `read` promises holds, seen from outside.
fn keeps_its_promises(formats: &Formats<'_>) -> bool {
    formats.iter().all(|one| {
        let dfa = one.dfa;
        dfa.all().all(|state| {
            // Following the exits reaches a word, in as many bytes as promised.
            let mut at = state;
            for left in (0..dfa.shortest(state)).rev() {
                match dfa.next(at, dfa.exit(at)) {
                    Some(next) if dfa.shortest(next) == left => at = next,
                    _ => return false,
                }
            }
            let nexts = (0..=u8::MAX).filter_map(|byte| dfa.next(state, byte));
            dfa.accepts(at)
                && nexts.into_iter().all(|next| {
                    next.index() < dfa.states() && dfa.shortest(next) + 1 >= dfa.shortest(state)
                })
        })
    })
}

proptest! {
    #[test]
    fn any_change_of_an_image_is_refused_or_keeps_the_promises(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = image([("a", &encoded(&["ignore", "note", "ask"])), ("b", &looping())]).unwrap();
        let len = bytes.len();
        for (index, byte) in changes {
            bytes[index.index(len)] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(len)]] {
            if let Ok(formats) = Formats::read(bytes) {
                prop_assert!(keeps_its_promises(&formats));
                prop_assert_eq!(formats.iter().count(), formats.len());
            }
        }
    }

    #[test]
    fn any_bytes_behind_a_good_head_are_read_or_refused(
        states in 0u32..40, classes in 0u32..6, offset in 0u32..100,
        table in prop::collection::vec(prop_oneof![Just(0u8), 0u8..6, any::<u8>()], 0..1000),
    ) {
        let mut bytes = image([("a", &encoded(&["x"]))]).unwrap();
        bytes.truncate(64);
        bytes[48..60].copy_from_slice([offset, states, classes].as_bytes());
        bytes.extend(table);
        if let Ok(formats) = Formats::read(&bytes) {
            prop_assert!(keeps_its_promises(&formats));
        }
    }

    #[test]
    fn an_automaton_accepts_its_words_alone_and_says_what_may_follow(
        list in prop::collection::btree_set("[ab€]{1,5}", 1..12),
        text in "[ab€]{0,6}",
    ) {
        let words: Vec<&str> = list.iter().map(String::as_str).collect();
        let one = encoded(&words);
        let dfa = one.dfa().unwrap();
        prop_assert_eq!(accepts(&dfa, text.as_bytes()), list.contains(&text));
        let state = dfa.walk(dfa.start(), text.as_bytes());
        let rests: BTreeSet<&[u8]> = words
            .iter()
            .filter_map(|word| word.as_bytes().strip_prefix(text.as_bytes()))
            .collect();
        prop_assert_eq!(state.is_some(), !rests.is_empty());
        if let Some(state) = state {
            let shortest = rests.iter().map(|rest| rest.len()).min().unwrap();
            prop_assert_eq!(usize::from(dfa.shortest(state)), shortest);
            prop_assert_eq!(dfa.is_over(state), rests == BTreeSet::from([&b""[..]]));
        }
    }
}
