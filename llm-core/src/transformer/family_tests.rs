//! What each family's files may contain, and the effect of windows and parallel blocks. `tools/llmtool/tests/parity.rs`
//! checks that the numbers match llama.cpp's.

mod refusals;

use super::*;
use crate::kv_cache::KvType;
use crate::team::Alone;
use crate::team::tests::InTurn;
use crate::testing::{GgufWriter, Memory, Shape, family, gpt2};
use std::string::{String, ToString};
use std::vec::Vec;

const OPTIONS: LoadOptions = LoadOptions {
    context: 64,
    kv: KvType::F32,
    sessions: 2,
    positions: Positions::Fill,
    max_prompt_bytes: 64,
    cpu: Cpu::SCALAR,
    workers: 1,
};

/// A small model of a family.
fn file(name: &str) -> GgufWriter {
    match name {
        "gpt2" => gpt2(Shape::default()),
        name => family(name, Shape::default()),
    }
}

fn with(name: &str, change: impl FnOnce(&mut GgufWriter)) -> Vec<u8> {
    let mut writer = file(name);
    change(&mut writer);
    writer.finish()
}

/// The configuration after replacing a key.
fn config(name: &str, key: &str, write: impl FnOnce(&mut GgufWriter, &str)) -> Config {
    *Checked::new(&replaced(name, key, write))
        .expect(key)
        .config()
}

fn refusal(name: &str, key: &str, write: impl FnOnce(&mut GgufWriter, &str)) -> String {
    let file = replaced(name, key, write);
    Checked::new(&file).expect_err(key).to_string()
}

fn replaced(name: &str, key: &str, write: impl FnOnce(&mut GgufWriter, &str)) -> Vec<u8> {
    let key = std::format!("{name}.{key}");
    with(name, |file| {
        file.remove_key(&key);
        write(file, &key);
    })
}

/// Bits of the logits after the last of `ids`, processed in batches of `batch` by as many workers as the options say.
fn logits(file: &[u8], options: &LoadOptions, ids: &[u32], batch: usize) -> Vec<u32> {
    let checked = Checked::new(file).expect("a model");
    let mut memory = Memory::new(8 << 20);
    let mut arena = Arena::new(memory.bytes()).expect("aligned");
    let model = Model::load(&checked, options, &mut arena).expect("room");
    model.reserve(&mut arena, 0, ids.len()).expect("positions");
    let batches = ids.len().div_ceil(batch);
    for (n, part) in ids.chunks(batch).enumerate() {
        let last = n + 1 == batches;
        let mut team = InTurn(options.workers);
        let ran = model.forward(&mut arena, &mut team, part, n * batch, last);
        ran.expect("finite");
    }
    model.logits(&arena).iter().map(|x| x.to_bits()).collect()
}

fn ids(n: usize) -> Vec<u32> {
    (0..n as u32).map(|n| (n * n * 7 + 3) % 250 + 3).collect()
}

#[test]
fn every_family_runs_and_batches_paths_and_workers_do_not_change_its_bits() {
    for Family { name, .. } in FAMILIES {
        let file = file(name).finish();
        for kv in [KvType::F32, KvType::F16, KvType::Q8] {
            let options = LoadOptions { kv, ..OPTIONS };
            let expected = logits(&file, &options, &ids(21), 1);
            let finite = expected
                .iter()
                .all(|bits| f32::from_bits(*bits).is_finite());
            assert!(finite && expected.iter().any(|bits| *bits != expected[0]));
            for cpu in Cpu::all() {
                let options = LoadOptions { cpu, ..options };
                for (batch, workers) in [(4, 1), (21, 1), (1, 2), (21, 2), (4, 3), (21, 4)] {
                    let options = LoadOptions { workers, ..options };
                    let got = logits(&file, &options, &ids(21), batch);
                    let cpu = cpu.name();
                    assert_eq!(got, expected, "{name} {kv:?} {cpu} {batch} {workers}");
                }
            }
        }
    }
}

/// With one block, a token sees the others only through its window.
#[test]
fn what_lies_before_a_window_changes_nothing_and_what_lies_in_it_does() {
    let shape = Shape {
        layers: 1,
        ..Shape::default()
    };
    for name in ["gemma2", "gemma3", "olmo2"] {
        let file = family(name, shape).finish();
        for kv in [KvType::F32, KvType::F16, KvType::Q8] {
            for cpu in Cpu::all() {
                let options = LoadOptions { kv, cpu, ..OPTIONS };
                // The window of 8 begins inside a cache block, at its beginning, and in the first block.
                for len in [12, 20, 24, 30, 40] {
                    let mut row = ids(len);
                    let expected = logits(&file, &options, &row, 16);
                    row[..len - 8].fill(200);
                    let before = logits(&file, &options, &row, 16);
                    assert_eq!(before, expected, "{name} {kv:?} {len}");
                    row[len - 8] = 201;
                    let inside = logits(&file, &options, &row, 16);
                    assert_ne!(inside, expected, "{name} {kv:?} {len}");
                }
            }
        }
    }
}

#[test]
fn a_window_that_holds_everything_is_none() {
    let wide = replaced("olmo2", "attention.sliding_window", |file, key| {
        file.u32(key, 21);
    });
    let none = replaced("olmo2", "attention.sliding_window", |_, _| {});
    let narrow = file("olmo2").finish();
    let row = ids(21);
    let expected = logits(&none, &OPTIONS, &row, 7);
    assert_eq!(logits(&wide, &OPTIONS, &row, 7), expected);
    assert_ne!(logits(&narrow, &OPTIONS, &row, 7), expected);
}

#[test]
fn work_counts_the_positions_of_windows_only() {
    let narrow = file("olmo2").finish();
    let none = replaced("olmo2", "attention.sliding_window", |_, _| {});
    let work = |file: &[u8], position| {
        let checked = Checked::new(file).expect("a model");
        checked.work(position, KvType::F16, true)
    };
    // Two blocks, the first with a window of 8; 64 query elements, 2 heads of 16 for keys and for values in f16.
    let row = 2 * 16 * 2;
    for position in [0, 6, 7, 8, 30] {
        let (with, without) = (work(&narrow, position), work(&none, position));
        let hidden = (position as u64 + 1).saturating_sub(8);
        assert_eq!(
            without.multiply_accumulates - with.multiply_accumulates,
            2 * 64 * hidden
        );
        assert_eq!(without.cache_bytes - with.cache_bytes, 2 * row * hidden);
        assert_eq!(without.weight_bytes, with.weight_bytes);
    }
}

#[test]
fn which_blocks_have_a_window_is_read_from_a_period_or_from_an_array() {
    let key = "attention.sliding_window_pattern";
    let blocks = |config: Config| {
        let blocks = config.window.expect("a window").blocks;
        [blocks.contains(0), blocks.contains(1)]
    };
    for (period, expected) in [(0, [true, true]), (1, [false; 2]), (2, [true, false])] {
        let config = config("gemma2", key, |file, key| {
            file.u32(key, period);
        });
        assert_eq!(blocks(config), expected, "{period}");
    }
    let config = config("gemma3", key, |file, key| {
        file.i32s(key, &[0, 1]);
    });
    assert_eq!(blocks(config), [false, true]);
    let error = refusal("gemma3", key, |file, key| {
        file.i32s(key, &[1, 0, 1]);
    });
    assert_eq!(
        error,
        "gemma3.attention.sliding_window_pattern is an array of 3 items: there must be 2, one for each block"
    );
    // It must not be read as "no" for each block.
    let error = refusal("gemma3", key, |file, key| {
        file.f32s(key, &[1.0, 1.0]);
    });
    assert_eq!(
        error,
        "gemma3.attention.sliding_window_pattern has items that are neither bools nor integers"
    );
}

#[test]
fn what_a_file_leaves_out_is_what_llama_cpp_takes() {
    let missing = |name, key| config(name, key, |_, _| {});
    let gemma2 = missing("gemma2", "attention.sliding_window");
    assert_eq!(gemma2.window.expect("a window").len, 4096);
    assert_eq!(gemma2.caps.scores, Some(50.0));
    assert_eq!(gemma2.caps.logits, Some(30.0));
    assert_eq!(gemma2.scales.embedding, Some(8.0));
    assert_eq!(gemma2.rope.expect("a rotation").windowed, None);
    let gemma3 = missing("gemma3", "attention.sliding_window");
    assert_eq!(gemma3.window, None);
    assert_eq!((gemma3.caps.scores, gemma3.caps.logits), (None, None));
    let base = config("gemma3", "rope.freq_base", |file, key| {
        file.f32(key, 1e6);
    });
    let rope = base.rope.expect("a rotation");
    assert_eq!(rope.angles.base, 1e6);
    assert_eq!(rope.windowed.expect("other angles").base, 1e4);
    let granite = missing("granite", "residual_scale");
    assert_eq!(granite.scales.residual, None);
    assert_eq!(granite.scales.logits, Some(2.0));
    let still = config("granite", "rope.scaling.finetuned", |file, key| {
        file.bool(key, false);
    });
    assert_eq!(still.rope.expect("a rotation").without, Blocks::ALL);
    let phi3 = config("phi3", "attention.sliding_window", |file, key| {
        file.u32(key, 8);
    });
    assert_eq!(phi3.window, None);
    let smollm3 = missing("smollm3", "rope.freq_base")
        .rope
        .expect("a rotation");
    let without: Vec<usize> = (0..9).filter(|&n| smollm3.without.contains(n)).collect();
    assert_eq!(without, [3, 7]);
}

/// As in llama.cpp, the divisors depend on the context that the model is loaded with.
#[test]
fn long_divisors_are_for_contexts_beyond_the_original_one() {
    let long_at = |original: u32, context: usize| {
        let file = with("phi3", |file| {
            file.str("phi3.rope.scaling.type", "longrope");
            file.u32("phi3.rope.scaling.original_context_length", original);
            for (name, divisor) in [("short", 1.0), ("long", 3.0)] {
                let name = std::format!("rope_factors_{name}.weight");
                let ty = crate::quantize::TensorType::F32;
                file.tensor(&name, ty, &[8], &[divisor; 8]);
            }
        });
        let options = LoadOptions { context, ..OPTIONS };
        let plain = logits(
            &super::family_tests::file("phi3").finish(),
            &options,
            &ids(9),
            9,
        );
        logits(&file, &options, &ids(9), 9) != plain
    };
    assert!(!long_at(32, 32));
    assert!(long_at(32, 33));
    assert!(!long_at(64, 64));
}

/// Contents of a cache block.
fn cached(model: &Model, arena: &Arena<'_>, block: usize) -> Vec<u8> {
    let shape = model.cache().shape();
    let blocks = model.cache().positions() / crate::kv_cache::BLOCK_POSITIONS;
    let parts = arena
        .get(model.cache().spans().0)
        .chunks_exact(shape.part_bytes());
    parts
        .skip(block)
        .step_by(blocks)
        .flatten()
        .copied()
        .collect()
}

/// The shortest possible steps, so that each operation is split wherever it can be. A session leaves after any of them,
/// and the new owner of its cache blocks is not affected.
#[test]
fn a_session_can_leave_a_batch_after_any_step_and_the_others_get_what_they_get_alone() {
    for name in ["llama", "gptneox", "gemma3"] {
        let file = file(name).finish();
        let prompt = ids(5);
        let expected = logits(&file, &OPTIONS, &prompt, 5);
        let checked = Checked::new(&file).expect("a model");
        let mut memory = Memory::new(8 << 20);
        let mut arena = Arena::new(memory.bytes()).expect("aligned");
        let model = Model::load(&checked, &OPTIONS, &mut arena).expect("room");
        let token = |session, position, id, logits| Token {
            id,
            session,
            position,
            logits,
            adapter: None,
        };
        let mut leaves_after = 0;
        loop {
            for session in 0..2 {
                model.reserve(&mut arena, session, 16).expect("positions");
            }
            // The leaving session comes before the other.
            let mut tokens = std::vec![token(0, 0, 77, false), token(0, 1, 78, true)];
            let stays = prompt.iter().zip(0..);
            tokens.extend(stays.map(|(&id, n)| token(1, n, id, n == 4)));
            let mut batch = model.begin(&mut arena, &tokens);
            let freed = usize::from(arena.get(model.cache().spans().1)[1]);
            let mut before = Vec::new();
            let (mut steps, mut is_done) = (0, false);
            while !is_done {
                if steps == leaves_after {
                    batch.remove(0);
                    model.release(&mut arena, 0);
                    before = cached(&model, &arena, freed);
                }
                is_done = model
                    .advance(&mut arena, &mut Alone, &mut batch, 1)
                    .expect("finite");
                steps += 1;
            }
            let untouched = cached(&model, &arena, freed) == before;
            assert!(before.is_empty() || untouched, "{name}, {leaves_after}");
            let (last, number) = batch.tokens().last().expect("tokens that stayed");
            assert_eq!((last.session, last.position), (1, 4));
            let output = number.expect("logits that were wanted");
            let logits = model.choosing(&mut arena, 1, output).logits;
            let got: Vec<u32> = logits.iter().map(|x| x.to_bits()).collect();
            assert!(
                got == expected,
                "{name}, after {leaves_after} of {steps} steps"
            );
            for session in 0..2 {
                model.release(&mut arena, session);
            }
            leaves_after += 1;
            if leaves_after > steps {
                assert!(steps > 100, "{name} has only {steps} parts");
                break;
            }
        }
    }
}
