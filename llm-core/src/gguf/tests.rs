use super::builder::{Builder, string};
use super::*;
use proptest::prelude::*;
use std::string::ToString;
use std::vec::Vec;

fn sample() -> Builder {
    Builder::default()
        .str("general.architecture", "llama")
        .u32("llama.block_count", 2)
        .bool("yes", true)
        .key("f", ValueType::F32.to_gguf(), &1.5_f32.to_le_bytes())
        .key("neg", ValueType::I64.to_gguf(), &(-1_i64).to_le_bytes())
        .key("small", ValueType::U8.to_gguf(), &[7])
        .array(
            "names",
            ValueType::String,
            [string(b"a"), string(b""), string("▁b".as_bytes())],
        )
        .array("floats", ValueType::F32, [1.0_f32.to_le_bytes().to_vec()])
        .tensor("a", 0, &[4, 2], 0)
        .tensor("b", 8, &[32], 32)
        .data(32 + 34)
}

fn refused(builder: &Builder) -> GgufError {
    Gguf::parse(&builder.build()).expect_err("refused")
}

#[test]
fn values_and_tensors_are_found() {
    let file = sample().build();
    let gguf = Gguf::parse(&file).unwrap();
    assert_eq!(gguf.version(), 3);
    assert_eq!(gguf.str_of("general.architecture"), Ok("llama"));
    assert_eq!(gguf.u32_of("llama.block_count"), Ok(2));
    assert_eq!(gguf.u32_of("small"), Ok(7));
    assert_eq!(gguf.bool_of("yes"), Ok(true));
    assert_eq!(gguf.f32_of("f"), Ok(1.5));
    assert_eq!(gguf.u32_opt("none"), Ok(None));
    assert_eq!(gguf.keys().count(), 8);
    let names: Vec<_> = gguf.array("names").unwrap().strings().unwrap().collect();
    assert_eq!(names, [&b"a"[..], b"", "▁b".as_bytes()]);
    let floats: Vec<_> = gguf.array("floats").unwrap().f32s().unwrap().collect();
    assert_eq!(floats, [1.0]);
    assert_eq!(gguf.tensors().count(), 2);
    let a = gguf.tensor("a").unwrap();
    assert_eq!((a.columns(), a.rows(), a.rank), (4, 2, 2));
    assert_eq!(a.data.len(), 32);
    assert_eq!(gguf.require("b").unwrap().data.len(), 34);
}

#[test]
fn errors_name_the_key_and_the_types() {
    let file = sample().build();
    let gguf = Gguf::parse(&file).unwrap();
    assert_eq!(
        gguf.u32_of("none").unwrap_err().to_string(),
        "the metadata key none is missing"
    );
    assert_eq!(
        gguf.u32_of("neg").unwrap_err().to_string(),
        "the metadata key neg has a value of type i64, \
         expected an integer from 0 to 4294967295"
    );
    assert!(matches!(
        gguf.array("floats").unwrap().strings().err(),
        Some(GgufError::WrongType { .. })
    ));
    assert!(matches!(
        gguf.require("c").err(),
        Some(GgufError::MissingTensor { tensor }) if tensor == "c"
    ));
}

#[test]
fn version_2_is_read_and_others_are_refused() {
    let mut file = sample().build();
    file[4] = 2;
    assert_eq!(Gguf::parse(&file).unwrap().version(), 2);
    for version in [0_u32, 4, 0x0001_0001] {
        file[4..8].copy_from_slice(&version.to_le_bytes());
        assert_eq!(
            Gguf::parse(&file).err(),
            Some(GgufError::UnsupportedVersion { version })
        );
    }
    assert_eq!(Gguf::parse(b"GGML").err(), Some(GgufError::NotGguf));
}

#[test]
fn what_people_have_by_mistake_is_named_as_what_it_is() {
    let safetensors = [&64_u64.to_le_bytes()[..], b"{\"__metadata__\":{}}"].concat();
    for (file, what, todo) in [
        (&b""[..], "empty", "again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 98362432\n",
            "Git LFS pointer",
            "git lfs pull",
        ),
        (
            b"\xEF\xBB\xBF\n <!DOCTYPE html><html>",
            "web page",
            "/resolve/",
        ),
        (b"<HTML><body>Sign in", "web page", "log in"),
        (&safetensors, "safetensors", "convert_hf_to_gguf.py"),
        (b"tjgg\x03\0\0\0", "GGML", "convert_hf_to_gguf.py"),
        (b"lmgg\0\x7D\0\0", "GGML", "convert_hf_to_gguf.py"),
        (b"PK\x03\x04\0\0", "PyTorch", "convert_hf_to_gguf.py"),
        (b"\x1F\x8B\x08\0", "compressed", "unpack"),
        (b"GGUF\x01\0\0\0", "version 1", "newer"),
        (
            b"GGUF\0\0\0\x03\0\0\0\0",
            "big-endian",
            "gguf-convert-endian",
        ),
    ] {
        let error = Gguf::parse(file).expect_err(what);
        let text = error.to_string();
        assert!(error.is_other_file(), "{text}");
        assert!(text.contains(what) && text.contains(todo), "{text}");
        // An event to the shell carries no more.
        assert!(text.len() <= 256, "{} bytes: {text}", text.len());
    }
    // A text that is none of these, and a length that no header has.
    let large = [&u64::MAX.to_le_bytes()[..], b"{\"a\":1}"].concat();
    for file in [&b"<svg>"[..], b"version 2", &large, b"\x40\0\0\0\0\0\0"] {
        assert_eq!(Gguf::parse(file).err(), Some(GgufError::NotGguf));
    }
}

#[test]
fn one_part_of_a_split_model_is_refused_as_that() {
    let u16 = |value: u16| value.to_le_bytes();
    let part = |number, count| {
        sample()
            .key("split.no", ValueType::U16.to_gguf(), &u16(number))
            .key("split.count", ValueType::U16.to_gguf(), &u16(count))
    };
    let error = refused(&part(1, 3));
    assert_eq!(error, GgufError::Split { part: 2, parts: 3 });
    assert!(error.to_string().contains("part 2 of 3 of a split model"));
    assert!(error.to_string().contains("llama-gguf-split --merge"));
    // A model split into one part is complete.
    assert!(Gguf::parse(&part(0, 1).build()).is_ok());
}

#[test]
fn a_number_may_be_given_for_each_block_if_all_are_equal() {
    let items = |numbers: &[u32]| {
        let items = numbers.iter().map(|number| number.to_le_bytes().to_vec());
        let file = Builder::default().array("k", ValueType::U32, items).build();
        let gguf = Gguf::parse(&file).unwrap();
        gguf.u32_or_equal_opt("k", 3)
    };
    let uneven = |len| {
        let key = name("k");
        Err(GgufError::Uneven { key, len, items: 3 })
    };
    assert_eq!(items(&[8, 8, 8]), Ok(Some(8)));
    assert_eq!(items(&[8, 8, 4]), uneven(3));
    assert_eq!(items(&[8, 8]), uneven(2));
    assert_eq!(items(&[]), uneven(0));
    let file = Builder::default().u32("k", 7).build();
    let gguf = Gguf::parse(&file).unwrap();
    assert_eq!(gguf.u32_or_equal_opt("k", 3), Ok(Some(7)));
    assert_eq!(gguf.u32_or_equal_opt("none", 3), Ok(None));
}

#[test]
fn a_key_that_is_not_known_or_cannot_be_honoured_is_refused_by_name() {
    const FIRST: &[KnownKey] = &[
        KnownKey::read("width"),
        KnownKey::nothing("note.*"),
        KnownKey::only("causal", Effect::OnlyBool(true)),
    ];
    const SECOND: &[KnownKey] = &[
        KnownKey::only("experts", Effect::OnlyInteger(0)),
        KnownKey::only("factor", Effect::OnlyFloat(1.0)),
    ];
    let check = |builder: Builder| {
        let file = builder.build();
        let gguf = Gguf::parse(&file).unwrap();
        check_keys(&gguf, "a.", &[FIRST, SECOND]).map_err(|error| error.to_string())
    };
    let float = |value: f32| {
        let bytes = value.to_le_bytes();
        Builder::default().key("a.factor", ValueType::F32.to_gguf(), &bytes)
    };
    let fine = Builder::default()
        .u32("a.width", 3)
        .str("a.note.one", "x")
        .bool("a.causal", true)
        .u32("a.experts", 0)
        // A key of another namespace.
        .u32("b.other", 1);
    assert_eq!(check(fine), Ok(()));
    assert_eq!(check(float(1.0)), Ok(()));
    let zeros = [0_u32, 0].map(|zero| zero.to_le_bytes().to_vec());
    let array = Builder::default().array("a.experts", ValueType::U32, zeros);
    assert_eq!(check(array), Ok(()));
    for (builder, expected) in [
        (
            Builder::default().u32("a.widths", 3),
            "the metadata key a.widths is not known to the engine, and could change the result",
        ),
        (
            Builder::default().bool("a.causal", false),
            "a.causal = false is not supported, only true is",
        ),
        (
            Builder::default().u32("a.causal", 0),
            "a.causal = 0 is not supported, only true is",
        ),
        (
            Builder::default().u32("a.experts", 8),
            "a.experts = 8 is not supported, only 0 is",
        ),
        (float(1.25), "a.factor = 1.25 is not supported, only 1 is"),
    ] {
        assert_eq!(check(builder), Err(expected.to_string()));
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let file = sample().build();
    for len in 0..file.len() {
        assert!(Gguf::parse(&file[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn counts_beyond_the_limits_are_refused_before_they_are_used() {
    let mut file = sample().build();
    file[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(
        Gguf::parse(&file).err(),
        Some(GgufError::TooMany {
            what: "tensors",
            ..
        })
    ));
    let mut file = sample().build();
    file[16..24].copy_from_slice(&(MAX_KEYS as u64 + 1).to_le_bytes());
    assert!(matches!(
        Gguf::parse(&file).err(),
        Some(GgufError::TooMany {
            what: "metadata keys",
            ..
        })
    ));
}

#[test]
fn lengths_that_the_file_does_not_have_are_refused() {
    for len in [1_u64 << 32, 1 << 61, u64::MAX] {
        for item_type in [0_u32, 6, 8, 10] {
            let mut value = item_type.to_le_bytes().to_vec();
            value.extend(len.to_le_bytes());
            let array = Builder::default().key("k", 9, &value);
            assert!(matches!(refused(&array), GgufError::Truncated { .. }));
        }
        let string = Builder::default().key("k", 8, &len.to_le_bytes());
        assert!(matches!(refused(&string), GgufError::Truncated { .. }));
    }
}

#[test]
fn wrong_metadata_is_refused_by_name() {
    let twice = Builder::default().u32("k", 1).u32("k", 1);
    assert!(matches!(refused(&twice), GgufError::DuplicateKey { key } if key == "k"));
    let unknown = Builder::default().key("k", 13, &[]);
    assert!(matches!(
        refused(&unknown),
        GgufError::UnknownValueType { value_type: 13, .. }
    ));
    let nested = Builder::default().array("k", ValueType::Array, []);
    assert!(matches!(
        refused(&nested),
        GgufError::UnknownValueType { .. }
    ));
    let bad_bool = Builder::default().key("k", 7, &[2]);
    assert!(matches!(
        refused(&bad_bool),
        GgufError::BadBool { value: 2, .. }
    ));
    let bad_bools = Builder::default().array("k", ValueType::Bool, [vec_of(0), vec_of(3)]);
    assert!(matches!(
        refused(&bad_bools),
        GgufError::BadBool { value: 3, .. }
    ));
    let nameless = Builder::default().u32("", 1);
    assert!(matches!(refused(&nameless), GgufError::BadName { .. }));
    for alignment in [0, 3, MAX_ALIGNMENT * 2] {
        let odd = Builder::default().u32("general.alignment", alignment);
        assert_eq!(refused(&odd), GgufError::BadAlignment { alignment });
    }
}

fn vec_of(byte: u8) -> Vec<u8> {
    [byte].to_vec()
}

#[test]
fn wrong_tensors_are_refused_by_name() {
    let tensor = |ggml_type, dims: &[u64], offset| {
        refused(
            &Builder::default()
                .tensor("first", 0, &[8], 0)
                .tensor("t", ggml_type, dims, offset)
                .data(256),
        )
    };
    assert!(matches!(tensor(0, &[8], 16), GgufError::Misaligned { .. }));
    assert!(matches!(tensor(0, &[8], 0), GgufError::Overlap { .. }));
    assert!(matches!(
        tensor(0, &[8], 256),
        GgufError::TensorOutOfFile { .. }
    ));
    assert!(matches!(
        tensor(0, &[8], u64::MAX - 31),
        GgufError::TensorOutOfFile { .. }
    ));
    assert!(matches!(
        tensor(8, &[33], 32),
        GgufError::RowNotWholeBlocks { .. }
    ));
    assert!(matches!(tensor(0, &[], 32), GgufError::BadShape { .. }));
    assert!(matches!(tensor(0, &[1; 5], 32), GgufError::BadShape { .. }));
    assert!(matches!(tensor(0, &[4, 0], 32), GgufError::BadShape { .. }));
    assert!(matches!(
        tensor(0, &[1 << 40, 1 << 40], 32),
        GgufError::TensorTooLarge { .. }
    ));
    assert_eq!(
        tensor(18, &[256], 32).to_string(),
        "the tensor t has type IQ3_XXS (18), which is not supported"
    );
    let twice = Builder::default()
        .tensor("t", 0, &[8], 0)
        .tensor("t", 0, &[8], 32)
        .data(64);
    assert!(matches!(refused(&twice), GgufError::DuplicateTensor { tensor } if tensor == "t"));
}

#[test]
fn tensors_may_be_listed_in_any_order() {
    let file = Builder::default()
        .tensor("late", 0, &[8], 32)
        .tensor("early", 0, &[8], 0)
        .data(64)
        .build();
    assert_eq!(Gguf::parse(&file).unwrap().tensors().count(), 2);
}

/// Uses every accessor.
fn walk(file: &[u8]) {
    let Ok(gguf) = Gguf::parse(file) else { return };
    for (key, value) in gguf.keys() {
        assert!(gguf.get(key).is_some());
        let _ = (gguf.u32_of(key), gguf.f32_of(key), gguf.bool_of(key));
        let _ = gguf.str_of(key);
        if let Value::Array(array) = value {
            assert_eq!(array.values().count(), array.len());
        }
    }
    assert_eq!(gguf.tensors().count(), gguf.tensor_count());
    for tensor in gguf.tensors() {
        assert!(gguf.tensor(tensor.name).is_some());
        assert_eq!(tensor.elements() % tensor.ty.block_len() as u64, 0);
    }
}

#[test]
fn the_largest_lists_of_keys_and_tensors_are_read_quickly() {
    let mut builder = Builder::default();
    for key in 0..MAX_KEYS {
        builder = builder.u32(&std::format!("key.{key}"), 1);
    }
    for tensor in 0..MAX_TENSORS {
        // Descending offsets, so that each is compared with all others.
        let offset = 32 * (MAX_TENSORS - 1 - tensor) as u64;
        builder = builder.tensor(&std::format!("blk.{tensor}"), 0, &[8], offset);
    }
    let file = builder.data(32 * MAX_TENSORS).build();
    let begun = std::time::Instant::now();
    walk(&file);
    assert!(begun.elapsed().as_secs() < 20);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(
        mut file in proptest::collection::vec(any::<u8>(), 0..512),
        header: bool,
    ) {
        if header && file.len() >= 24 {
            file[..8].copy_from_slice(b"GGUF\x03\0\0\0");
            // Small counts, so that the lists are reached.
            file[9..16].fill(0);
            file[17..24].fill(0);
        }
        walk(&file);
    }

    #[test]
    fn any_change_to_a_file_is_parsed_or_refused(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut file = sample().build();
        for (index, byte) in changes {
            let at = index.index(file.len());
            file[at] = byte;
        }
        walk(&file);
        let len = cut.index(file.len());
        walk(&file[..len]);
    }
}
