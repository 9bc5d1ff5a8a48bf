//! A team of threads runs models; `tests/golden` has the golden vectors with several workers.

use llm_core::arena::Arena;
use llm_core::kv_cache::KvType;
use llm_core::quantize::{NonFinite, TensorType};
use llm_core::simd::Cpu;
use llm_core::team::{Alone, Team};
use llm_core::testing::{Memory, Shape, model};
use llm_core::transformer::{Checked, LoadOptions, MAX_BATCH, Model, Positions};
use workers::{Threads, cores};

const SHAPE: Shape = Shape {
    context: 128,
    ty: TensorType::Q8_0,
    width: 64,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    feed_forward: 96,
    tied: true,
};

/// Bits of the logits after a prompt in one batch and three more tokens, `times` times.
fn logits(file: &[u8], team: &mut impl Team, times: usize) -> Result<Vec<u32>, NonFinite> {
    let options = LoadOptions {
        context: 128,
        kv: KvType::Q8,
        sessions: 1,
        positions: Positions::Exactly(128),
        max_prompt_bytes: 64,
        cpu: Cpu::detect(),
        workers: team.workers(),
    };
    let checked = Checked::new(file).expect("a model");
    let mut memory = Memory::new(8 << 20);
    let mut arena = Arena::new(memory.bytes()).expect("aligned");
    let model = Model::load(&checked, &options, &mut arena).expect("room");
    model.reserve(&mut arena, 0, 128).expect("positions");
    let mut bits = Vec::new();
    let prompt: Vec<u32> = (0..MAX_BATCH as u32).map(|n| n * 7 % 200 + 3).collect();
    for _ in 0..times {
        model.forward(&mut arena, team, &prompt, 0, true)?;
        bits.extend(model.logits(&arena).iter().map(|x| x.to_bits()));
        for n in 0..3 {
            model.forward(&mut arena, team, &[n + 5], MAX_BATCH + n as usize, true)?;
            bits.extend(model.logits(&arena).iter().map(|x| x.to_bits()));
        }
    }
    Ok(bits)
}

#[test]
fn teams_of_any_size_give_the_bits_of_one_worker() {
    let file = model(SHAPE).finish();
    let expected = logits(&file, &mut Alone, 3).unwrap();
    for workers in [1, 2, 3, 4, 7] {
        let mut eager = Threads::eager(workers).unwrap();
        assert_eq!(eager.workers(), workers);
        assert!(
            logits(&file, &mut eager, 3).unwrap() == expected,
            "{workers} workers"
        );
        // The same team continues with another model's memory, and a team that divides only long jobs gives the same
        // bits.
        assert!(
            logits(&file, &mut eager, 3).unwrap() == expected,
            "{workers} again"
        );
        let mut team = Threads::new(workers).unwrap();
        assert!(
            logits(&file, &mut team, 3).unwrap() == expected,
            "{workers} not eager"
        );
    }
}

#[test]
fn a_value_that_is_not_finite_is_reported_whoever_finds_it() {
    let mut file = model(SHAPE);
    let rows = file.tensor_bytes("blk.0.attn_norm.weight");
    for weight in rows.as_chunks_mut::<4>().0 {
        *weight = 3e38f32.to_le_bytes();
    }
    let file = file.finish();
    for workers in [1, 2, 4] {
        let mut team = Threads::eager(workers).unwrap();
        assert_eq!(logits(&file, &mut team, 1), Err(NonFinite), "{workers}");
    }
}

#[test]
fn a_team_ends_whether_it_has_worked_or_not() {
    for workers in 0..6 {
        drop(Threads::new(workers).unwrap());
    }
    assert!((1..=64).contains(&cores()));
    assert_eq!(Threads::new(0).unwrap().workers(), 1);
}
