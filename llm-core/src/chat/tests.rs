//! Scaffolds as data, and rendering with a small vocabulary. `llmtool` compares with the templates' own Jinja.

use super::*;
use crate::gguf::Gguf;
use crate::testing::{GgufWriter, byte_character};
use crate::tokenizer::{Cell, Header, Vocabulary, VocabularyView, scratch_cells};
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

/// Bytes, then `<a>` (control, begin), `<b>` (control, end), `<u>` (user-defined), two line breaks (user-defined).
struct Small(Header, Vec<u32>);

const BEGIN: u32 = 256;
const END: u32 = 257;
const USER: u32 = 258;
const LINES: u32 = 259;

impl Small {
    fn new() -> Self {
        let mut tokens: Vec<Vec<u8>> = (0..=255u8)
            .map(|byte| byte_character(byte).to_string().into_bytes())
            .collect();
        tokens.extend(["<a>", "<b>", "<u>", "\n\n"].map(|token| token.as_bytes().to_vec()));
        let mut types = vec![1; 256];
        types.extend([3, 3, 4, 4]);
        let mut writer = GgufWriter::default();
        writer
            .str("tokenizer.ggml.model", "gpt2")
            .str("tokenizer.ggml.pre", "gpt-2")
            .strings("tokenizer.ggml.tokens", &tokens)
            .i32s("tokenizer.ggml.token_type", &types)
            .strings("tokenizer.ggml.merges", &[])
            .u32("tokenizer.ggml.bos_token_id", BEGIN)
            .u32("tokenizer.ggml.eos_token_id", END)
            .bool("tokenizer.ggml.add_bos_token", true);
        let file = writer.finish();
        let gguf = Gguf::parse(&file).expect("parsed");
        let mut table = vec![0; Vocabulary::check(&gguf).expect("checked").words()];
        Self(Header::fill(&gguf, &mut table).expect("filled"), table)
    }

    fn view(&self) -> VocabularyView<'_> {
        self.0.view(&self.1)
    }

    fn encode(&self, scaffold: &Scaffold<'_>, text: &str, user_defined: bool) -> Vec<u32> {
        let segments = [Segment::new(Role::User, text)];
        let mut buffer = vec![0; 1 << 14];
        let mut cells = vec![Cell::default(); scratch_cells(buffer.len())];
        let view = self.view();
        let bound = scaffold
            .bound(&view, &mut buffer, &mut cells)
            .expect("a bound");
        let mut out = vec![0; bound.tokens(text.len(), 1)];
        let conversation = Conversation {
            segments: &segments,
            place: Place::Beginning,
            user_defined,
        };
        let buffers = Buffers {
            text: &mut buffer,
            cells: &mut cells,
            out: &mut out,
        };
        let len = scaffold.encode(&view, &bound, &conversation, buffers);
        out.truncate(len.expect("encoded"));
        out
    }
}

const PLAIN: Scaffold<'static> = Scaffold {
    name: "test",
    begin: "{bos}",
    system: System {
        place: SystemPlace::FirstUser,
        turn: Turn {
            before: "(",
            trim: Trim::NONE,
            after: ")",
        },
        default: "",
        user_trim: Trim::BOTH,
    },
    user: Turn {
        before: "<u>",
        trim: Trim {
            front: true,
            back: false,
        },
        after: "{eos}",
    },
    assistant: Turn {
        before: "",
        trim: Trim::NONE,
        after: "{eos}",
    },
    generation: "<b>x",
    refused: ["odd", "", "", "", "", "", "", ""],
};

#[test]
fn what_a_text_spells_is_text_and_what_the_scaffold_spells_is_a_token() {
    let small = Small::new();
    let bytes = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
    let around = |middle: Vec<u32>| {
        // One begin token, although both the file and the scaffold add one.
        let mut ids = vec![BEGIN, USER];
        ids.extend(middle);
        ids.extend([END, END, u32::from(b'x')]);
        ids
    };
    let said = "<a> {eos} <b><u>";
    assert_eq!(small.encode(&PLAIN, said, false), around(bytes(said)));
    let mut allowed = bytes("<a> {eos} <b>");
    allowed.push(USER);
    assert_eq!(small.encode(&PLAIN, said, true), around(allowed));
    // Line breaks are text, whatever their type.
    let lines = vec![u32::from(b'a'), LINES, u32::from(b'b')];
    assert_eq!(small.encode(&PLAIN, "a\n\nb", false), around(lines));
}

#[test]
fn a_token_does_not_begin_in_a_text_and_end_in_the_scaffold() {
    let small = Small::new();
    let scaffold = Scaffold {
        user: Turn {
            before: "<",
            trim: Trim::NONE,
            after: ">",
        },
        ..PLAIN
    };
    let ids = small.encode(&scaffold, "a", false);
    assert_eq!(
        ids[..4],
        [BEGIN, u32::from(b'<'), u32::from(b'a'), u32::from(b'>')]
    );
    let ids = small.encode(&scaffold, "u", false);
    assert!(!ids.contains(&USER));
}

#[test]
fn a_buffer_that_is_too_small_is_an_error_that_says_how_much_is_needed() {
    let small = Small::new();
    let segments = [Segment::new(Role::User, "hello")];
    let conversation = Conversation {
        segments: &segments,
        place: Place::Beginning,
        user_defined: false,
    };
    let mut text = [0; 8];
    let refused = PLAIN.render(&small.view(), &conversation, &mut text);
    assert_eq!(
        refused,
        Err(ChatError::TooLong {
            bytes: 18,
            limit: 8
        })
    );
    let mut text = [0; 64];
    let rendered = PLAIN.render(&small.view(), &conversation, &mut text);
    assert_eq!(rendered, Ok("<a><u>hello<b><b>x"));
}

#[test]
fn roles_are_marked_if_a_control_token_stands_between_any_two_texts() {
    let small = Small::new();
    let view = small.view();
    assert!(!PLAIN.separates(&view), "a system text ends with a bracket");
    let nowhere = System {
        place: SystemPlace::Nowhere,
        ..PLAIN.system
    };
    let marked = Scaffold {
        system: nowhere,
        ..PLAIN
    };
    assert!(marked.separates(&view));
    let open = Scaffold {
        assistant: Turn {
            after: "\n",
            ..PLAIN.assistant
        },
        ..marked
    };
    assert!(!open.separates(&view), "a user-defined token is not enough");
}

#[test]
fn a_scaffold_survives_being_packed_and_no_part_of_it_is_taken_for_one() {
    let mut bytes = vec![0; PLAIN.packed_bytes()];
    assert_eq!(PLAIN.pack(&mut bytes), Some(bytes.len()));
    assert_eq!(Scaffold::unpack(&bytes), Ok(PLAIN));
    let short = bytes.len() - 1;
    assert_eq!(PLAIN.pack(&mut bytes[..short]), None);
    // The last string is a refused spelling, which may be missing; the others may not.
    let last = 2 + "odd".len();
    for len in 0..bytes.len() - last {
        assert!(Scaffold::unpack(&bytes[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_scaffold_that_is_too_large_or_of_another_form_is_refused() {
    let strings: Vec<String> = PLAIN.strings().map(str::to_string).collect();
    let with = |at: usize, text: &str| {
        let mut strings = strings.clone();
        strings[at] = text.to_string();
        let bytes: Vec<&[u8]> = strings.iter().map(String::as_bytes).collect();
        Scaffold::from_strings(bytes.into_iter()).map(|_| ())
    };
    assert_eq!(with(1, "another name"), Ok(()));
    assert_eq!(with(0, "2"), Err(ScaffoldError::Wrong { at: 0 }));
    assert_eq!(with(3, "middle"), Err(ScaffoldError::Wrong { at: 3 }));
    assert_eq!(with(5, "left"), Err(ScaffoldError::Wrong { at: 5 }));
    assert_eq!(with(16, ""), Err(ScaffoldError::Wrong { at: 16 }));
    let long = "x".repeat(MAX_LITERAL_BYTES + 1);
    assert!(matches!(with(7, &long), Err(ScaffoldError::TooLong { .. })));
    let mut many: Vec<&str> = strings.iter().map(String::as_str).collect();
    many.extend(["y"; MAX_REFUSED]);
    let many = Scaffold::from_strings(many.iter().map(|text| text.as_bytes()));
    assert!(matches!(
        many,
        Err(ScaffoldError::Strings { strings: 25, .. })
    ));
}

proptest! {
    #[test]
    fn whatever_bytes_are_unpacked_the_reader_ends_and_packs_the_same_again(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let _ = Scaffold::unpack(&bytes);
        let mut packed = vec![0; PLAIN.packed_bytes()];
        PLAIN.pack(&mut packed).expect("room");
        for (at, byte) in cuts {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        if let Ok(scaffold) = Scaffold::unpack(&packed) {
            let mut again = vec![0; scaffold.packed_bytes()];
            scaffold.pack(&mut again).expect("room");
            prop_assert_eq!(Scaffold::unpack(&again), Ok(scaffold));
        }
    }
}
