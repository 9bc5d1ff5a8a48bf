use super::*;
use proptest::prelude::*;
use protocol::region::ReadWords as _;
use protocol::testing::TestRegion;
use std::vec;
use std::vec::Vec;

fn shelf() -> Shelf<TestRegion> {
    Shelf::new(TestRegion::with_words(REGION_BYTES / WORD))
}

fn made(name: &str, space: Space) -> Made {
    Made {
        id: 0,
        name: ModelName::new(name).unwrap(),
        space,
        sha256: [0; 32],
        base: [0; 32],
        signature: [0; 64],
    }
}

fn all(shelf: &mut Shelf<TestRegion>, id: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let part = shelf.part(id, bytes.len(), 104).to_vec();
        if part.is_empty() {
            return bytes;
        }
        bytes.extend(part);
    }
}

#[test]
fn an_adapter_is_read_and_hashed_as_it_was_written() {
    let mut shelf = shelf();
    let room = shelf.room_to_make(&Places::new()).unwrap();
    let whole = REGION_BYTES - EXAMPLES_BYTES;
    assert_eq!((room.offset, room.bytes), (EXAMPLES_BYTES, whole));
    let file: Vec<u8> = (0..10_003u32).map(|n| (n % 251) as u8).collect();
    let mut done = 0;
    for part in file.chunks(MAX_PART_BYTES) {
        assert!(shelf.write_part(room, done, part));
        done += part.len();
    }
    assert!(!shelf.write_part(room, done, b"x"), "not whole words");
    let space = Space {
        bytes: done,
        ..room
    };
    let id = shelf.keep(made("a", space));
    assert_eq!(all(&mut shelf, id), file);
    for slice in [8, 100, 4096, 1 << 20] {
        let (mut hasher, mut done, mut lines) = (Sha256::new(), 0, 0);
        while done < space.bytes {
            let (now, met) = shelf.hash(space, done, &mut hasher, &mut { slice });
            assert!(now > done);
            (done, lines) = (now, lines + met);
        }
        assert_eq!(hasher.finalize(), Sha256::digest(&file));
        assert_eq!(lines, count_lines(&file));
    }
    assert_eq!(shelf.find(ModelName::new("a").unwrap()).unwrap().id, id);
    shelf.forget(id);
    assert!(shelf.get(id).is_none() && shelf.part(id, 0, 99).is_empty());
    assert_eq!(shelf.room_to_make(&Places::new()), Ok(room));
}

#[test]
fn a_part_that_does_not_fit_its_room_is_not_written() {
    let shelf = shelf();
    let room = Space {
        offset: EXAMPLES_BYTES,
        bytes: 16,
    };
    assert!(shelf.write_part(room, 8, &[7; 8]));
    assert!(!shelf.write_part(room, 8, &[9; 9]));
    assert!(!shelf.write_part(room, usize::MAX - 7, &[9; 16]));
    let word = |at: usize| shelf.region.load(at / WORD);
    assert_eq!(word(EXAMPLES_BYTES + 8), u64::from_ne_bytes([7; 8]));
    assert_eq!(word(EXAMPLES_BYTES + 16), 0);
}

#[test]
fn too_many_adapters_and_too_little_room_are_refused() {
    let mut shelf = shelf();
    for n in 0..MAX_MADE {
        let room = shelf.room_to_make(&Places::new()).unwrap();
        let space = Space { bytes: 100, ..room };
        shelf.keep(made(&std::format!("a{n}"), space));
    }
    let full = Failure::over(ErrorCode::TooManyAdapters, 8, 8);
    assert_eq!(shelf.room_to_make(&Places::new()), Err(full));
    shelf.made.clear();
    let room = shelf.room_to_make(&Places::new()).unwrap();
    let bytes = room.bytes - 4000;
    shelf.keep(made("large", Space { bytes, ..room }));
    let failure = shelf.room_to_make(&Places::new()).unwrap_err();
    assert_eq!(failure.code, ErrorCode::AdapterRoom);
    assert!(failure.limit <= 4000);
}

#[test]
fn examples_are_lines_one_behind_the_other_and_end_with_their_room() {
    let mut shelf = shelf();
    let code = |result: Result<(), Failure>| result.map_err(|failure| failure.code);
    let long = vec![b'x'; MAX_EXAMPLE_BYTES + 1];
    for (text, wrong) in [
        (&b""[..], ErrorCode::ExampleBytes),
        (&long, ErrorCode::ExampleBytes),
        (b"a\nb", ErrorCode::BadExample),
        (b"a\r", ErrorCode::BadExample),
        (b"a\xff", ErrorCode::BadExample),
    ] {
        assert_eq!(code(shelf.add_example(text)), Err(wrong));
    }
    assert_eq!(shelf.add_example(b"one"), Ok(()));
    assert_eq!(shelf.add_example("zwölf, lang".as_bytes()), Ok(()));
    let space = shelf.examples();
    assert_eq!((shelf.example_count(), space.bytes), (2, 17));
    let lines = shelf.read(0, space.bytes).to_vec();
    assert_eq!(lines, "one\nzwölf, lang\n".as_bytes());
    let example = &long[..MAX_EXAMPLE_BYTES];
    for _ in 0..7 {
        assert_eq!(shelf.add_example(example), Ok(()));
    }
    let before = shelf.examples();
    let full = shelf.add_example(example).unwrap_err();
    assert_eq!(full.code, ErrorCode::ExamplesFull);
    assert_eq!((full.limit, shelf.examples()), (65_536, before));
    shelf.drop_examples();
    assert_eq!((shelf.example_count(), shelf.examples().bytes), (0, 0));
}

proptest! {
    /// Whatever is made and forgotten, adapters overlap neither each other nor the examples.
    #[test]
    fn spaces_never_overlap(
        acts in prop::collection::vec((any::<bool>(), 1usize..400_000, any::<prop::sample::Index>()), 1..60)
    ) {
        let mut shelf = shelf();
        for (makes, bytes, index) in acts {
            if makes {
                if let Ok(room) = shelf.room_to_make(&Places::new()) {
                    let space = Space { bytes: bytes.min(room.bytes), ..room };
                    shelf.keep(made("a", space));
                }
            } else if shelf.len() > 0 {
                let id = shelf.nth(index.index(shelf.len())).unwrap().id;
                shelf.forget(id);
            }
            for (n, made) in shelf.made.iter().enumerate() {
                let Space { offset, bytes } = made.space;
                prop_assert!(offset >= EXAMPLES_BYTES && offset + bytes <= REGION_BYTES);
                prop_assert!(offset.is_multiple_of(ALIGN));
                for other in &shelf.made[..n] {
                    let apart = other.space.end() <= offset || made.space.end() <= other.space.offset;
                    prop_assert!(apart);
                }
            }
        }
    }
}
