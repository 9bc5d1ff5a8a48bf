use super::*;
use crate::testing::Memory;
use proptest::prelude::*;
use std::vec::Vec;

#[test]
fn spans_are_aligned_zeroed_and_disjoint() {
    let mut memory = Memory::new(4096);
    memory.bytes().fill(0xAA);
    let mut arena = Arena::new(memory.bytes()).unwrap();
    let a = arena.alloc::<f32>(3, Purpose::Weights).unwrap();
    let b = arena.alloc::<u8>(65, Purpose::KvCache).unwrap();
    assert_eq!(arena.get(a), [0.0; 3]);
    arena.get_mut(b).fill(1);
    assert_eq!(arena.get(a), [0.0; 3]);
    for start in [a.range().start, b.range().start] {
        assert_eq!(start % ALIGNMENT, 0);
    }
    let usage = arena.usage();
    assert_eq!(
        (usage.of(Purpose::Weights), usage.of(Purpose::KvCache)),
        (64, 128)
    );
    assert_eq!(
        (usage.current, usage.peak, usage.capacity),
        (192, 192, 4096)
    );
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut memory = Memory::new(128);
    let mut arena = Arena::new(memory.bytes()).unwrap();
    arena.alloc::<u8>(1, Purpose::Other).unwrap();
    let before = arena.usage();
    assert_eq!(
        arena.alloc::<u8>(65, Purpose::Weights).unwrap_err(),
        ArenaError::Exhausted {
            purpose: Purpose::Weights,
            needed: 128,
            left: 64
        }
    );
    assert!(
        arena
            .alloc::<u64>(usize::MAX / 2, Purpose::Weights)
            .is_err()
    );
    assert_eq!(arena.usage(), before);
    arena.alloc::<u8>(64, Purpose::Weights).unwrap();
}

#[test]
fn rolling_back_gives_the_room_again_and_keeps_the_peak() {
    let mut memory = Memory::new(1024);
    let mut arena = Arena::new(memory.bytes()).unwrap();
    arena.alloc::<u8>(64, Purpose::Weights).unwrap();
    let mark = arena.mark();
    let first = arena.alloc::<u32>(16, Purpose::Activations).unwrap();
    arena.get_mut(first).fill(7);
    arena.rollback(mark);
    let usage = arena.usage();
    assert_eq!(
        (usage.current, usage.peak, usage.of(Purpose::Activations)),
        (64, 128, 0)
    );
    let again = arena.alloc::<u32>(16, Purpose::Activations).unwrap();
    assert_eq!(arena.get(again), [0; 16], "zeroed again");
}

#[test]
fn the_two_halves_of_a_split_are_used_at_once() {
    let mut memory = Memory::new(1024);
    let mut arena = Arena::new(memory.bytes()).unwrap();
    let weights = arena.alloc::<f32>(4, Purpose::Weights).unwrap();
    arena.get_mut(weights).fill(2.0);
    let mark = arena.mark();
    let x = arena.alloc::<f32>(4, Purpose::Activations).unwrap();
    let y = arena.alloc::<u16>(4, Purpose::Activations).unwrap();
    let (frozen, mut working) = arena.split(mark);
    let [xs, ys] = working.disjoint([x.range(), y.range()]);
    as_mut::<f32>(xs).copy_from_slice(frozen.get(weights));
    as_mut::<u16>(ys).fill(9);
    assert_eq!(arena.get(x), [2.0; 4]);
    assert_eq!(arena.get(y), [9; 4]);
}

#[test]
fn what_lies_above_a_removed_part_moves_down_with_its_values() {
    let mut memory = Memory::new(1024);
    let mut arena = Arena::new(memory.bytes()).unwrap();
    let below = arena.alloc::<u8>(64, Purpose::Weights).unwrap();
    let gone = arena.alloc::<u8>(100, Purpose::Adapters).unwrap();
    let above = arena.alloc::<u32>(5, Purpose::Adapters).unwrap();
    arena.get_mut(below).fill(1);
    arena.get_mut(gone).fill(2);
    arena.get_mut(above).copy_from_slice(&[3, 4, 5, 6, 7]);
    let start = gone.range().start;
    arena.remove(start..start + 128, Purpose::Adapters);
    let above = above.moved_down(128);
    assert_eq!(arena.get(below), [1; 64]);
    assert_eq!(arena.get(above), [3, 4, 5, 6, 7]);
    let usage = arena.usage();
    assert_eq!((usage.current, usage.of(Purpose::Adapters)), (128, 64));
}

#[test]
fn misaligned_memory_is_refused() {
    let mut memory = Memory::new(128);
    assert_eq!(
        Arena::new(&mut memory.bytes()[1..]).unwrap_err(),
        ArenaError::Misaligned
    );
}

proptest! {
    #[test]
    fn any_sequence_of_allocations_stays_inside_and_apart(
        sizes in prop::collection::vec(0usize..2000, 0..40)
    ) {
        let mut memory = Memory::new(1 << 14);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        let mut spans = Vec::new();
        for size in sizes {
            if let Ok(span) = arena.alloc::<u8>(size, Purpose::Other) {
                spans.push(span.range());
            }
        }
        for (i, a) in spans.iter().enumerate() {
            prop_assert!(a.end <= 1 << 14 && a.start % ALIGNMENT == 0);
            for b in &spans[..i] {
                prop_assert!(b.end <= a.start || a.is_empty() || b.is_empty());
            }
        }
    }
}
