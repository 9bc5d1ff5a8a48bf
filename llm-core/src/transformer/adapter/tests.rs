//! Adapters compared with the arithmetic that they represent, and invalid files. `tools/llmtool/tests/parity.rs` checks
//! that the numbers match llama.cpp's.

use super::*;
use crate::gguf::{Gguf, TensorInfo};
use crate::kv_cache::KvType;
use crate::quantize::{TensorType, dequantize_row};
use crate::simd::Cpu;
use crate::team::Alone;
use crate::testing::{AdapterShape, GgufWriter, Memory, Shape, adapter, family, gpt2};
use crate::transformer::{
    Checked, FAMILIES, LoadOptions, MAX_SESSIONS, Model, Plan, Positions, Token,
};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

mod refusals;

const OPTIONS: LoadOptions = LoadOptions {
    context: 64,
    kv: KvType::F32,
    sessions: 4,
    positions: Positions::Fill,
    max_prompt_bytes: 64,
    cpu: Cpu::SCALAR,
    workers: 1,
};

fn file(name: &str, shape: Shape) -> GgufWriter {
    match name {
        "gpt2" => gpt2(shape),
        name => family(name, shape),
    }
}

/// A model of a family and three adapters for it: for attention only, for everything with another α, and in eight bits.
fn files(name: &str, ty: TensorType) -> (Vec<u8>, [Vec<u8>; 3]) {
    let shape = Shape {
        ty,
        tied: name == "gpt2",
        ..Shape::default()
    };
    let base = file(name, shape).finish();
    let shapes = [
        AdapterShape {
            attention: true,
            ..AdapterShape::default()
        },
        AdapterShape {
            rank: 5,
            alpha: 3.0,
            ty: TensorType::F16,
            seed: 2,
            ..AdapterShape::default()
        },
        AdapterShape {
            rank: 32,
            alpha: 16.0,
            ty: TensorType::Q8_0,
            seed: 3,
            ..AdapterShape::default()
        },
    ];
    let adapters = shapes.map(|shape| adapter(&base, shape).finish());
    (base, adapters)
}

fn ids(n: usize) -> Vec<u32> {
    (0..n as u32).map(|n| (n * n * 7 + 3) % 250 + 3).collect()
}

/// Runs `run` with a model and adapters in their places.
fn with<T>(
    base: &[u8],
    adapters: &[&[u8]],
    options: &LoadOptions,
    run: impl FnOnce(&mut Model, &mut Arena<'_>) -> T,
) -> T {
    let checked = Checked::new(base).expect("a model");
    let mut memory = Memory::new(16 << 20);
    let mut arena = Arena::new(memory.bytes()).expect("aligned");
    let mut model = Model::load(&checked, options, &mut arena).expect("room");
    for (place, file) in adapters.iter().enumerate() {
        let file = AdapterFile::read(file).expect("an adapter");
        model
            .load_adapter(&mut arena, place, &file, None)
            .expect("room");
    }
    run(&mut model, &mut arena)
}

/// Logits after the last of `ids`, processed in batches of `batch`.
fn logits(
    model: &Model,
    arena: &mut Arena<'_>,
    ids: &[u32],
    batch: usize,
    adapter: Option<u8>,
) -> Vec<f32> {
    model.release(arena, 0);
    model.reserve(arena, 0, ids.len()).expect("positions");
    let tokens: Vec<Token> = (0..)
        .zip(ids)
        .map(|(position, &id)| Token {
            id,
            session: 0,
            position,
            logits: position as usize + 1 == ids.len(),
            adapter,
        })
        .collect();
    for tokens in tokens.chunks(batch) {
        let mut batch = model.begin(arena, tokens);
        model.finish(arena, &mut Alone, &mut batch).expect("finite");
    }
    model.logits(arena).to_vec()
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|x| x.to_bits()).collect()
}

/// The values of a tensor.
fn values(tensor: &TensorInfo<'_>) -> Vec<f32> {
    let mut values = vec![0.0; tensor.elements() as usize];
    dequantize_row(tensor.ty, tensor.data, &mut values).expect("whole blocks");
    values
}

/// W + α / r · B A for every matrix, in f64.
fn merge(base: &mut GgufWriter, adapter: &[u8]) {
    let gguf = Gguf::parse(adapter).expect("a file");
    let alpha = gguf.f32_of("adapter.lora.alpha").expect("alpha");
    for a in gguf.tensors() {
        let Some(name) = a.name.strip_suffix(".lora_a") else {
            continue;
        };
        let b = gguf.require(&format!("{name}.lora_b")).expect("a half");
        let (columns, rank) = (a.columns() as usize, a.rows() as usize);
        let (a, b) = (values(&a), values(&b));
        let weights = base.tensor_bytes(name).as_chunks_mut::<4>().0;
        for (row, weights) in weights.chunks_mut(columns).enumerate() {
            for (column, weight) in weights.iter_mut().enumerate() {
                let products = (0..rank)
                    .map(|j| f64::from(b[row * rank + j]) * f64::from(a[j * columns + column]));
                let delta = f64::from(alpha) / rank as f64 * products.sum::<f64>();
                let sum = f64::from(f32::from_le_bytes(*weight)) + delta;
                *weight = (sum as f32).to_le_bytes();
            }
        }
    }
}

#[test]
fn an_adapter_gives_what_its_product_added_to_the_weights_gives_in_every_family() {
    for family in FAMILIES {
        let shape = Shape {
            ty: TensorType::F32,
            tied: family.name == "gpt2",
            ..Shape::default()
        };
        let (base, adapters) = files(family.name, TensorType::F32);
        for adapter in &adapters {
            let mut merged = file(family.name, shape);
            merge(&mut merged, adapter);
            let merged = merged.finish();
            let expected = with(&merged, &[], &OPTIONS, |model, arena| {
                logits(model, arena, &ids(12), 12, None)
            });
            let (plain, adapted) = with(&base, &[adapter], &OPTIONS, |model, arena| {
                let plain = logits(model, arena, &ids(12), 12, None);
                (plain, logits(model, arena, &ids(12), 12, Some(0)))
            });
            let (low, high) = expected
                .iter()
                .fold((f32::MAX, f32::MIN), |(low, high), &x| {
                    (low.min(x), high.max(x))
                });
            let distance = |a: &[f32]| {
                let differences = a.iter().zip(&expected).map(|(a, b)| (a - b).abs());
                differences.fold(0.0, f32::max) / (high - low)
            };
            let (of_plain, of_adapted) = (distance(&plain), distance(&adapted));
            assert!(of_adapted < 1e-5, "{}: {of_adapted}", family.name);
            assert!(of_plain > 0.05, "{}: it changes nothing", family.name);
        }
    }
}

#[test]
fn paths_batches_places_and_other_adapters_do_not_change_the_bits_of_an_adapter() {
    for family in FAMILIES {
        let (base, [a, b, c]) = files(family.name, TensorType::Q8_0);
        for kv in [KvType::F32, KvType::Q8] {
            let options = LoadOptions { kv, ..OPTIONS };
            let expected = with(&base, &[&a, &b, &c], &options, |model, arena| {
                [None, Some(0), Some(1), Some(2)]
                    .map(|adapter| bits(&logits(model, arena, &ids(21), 1, adapter)))
            });
            for (n, one) in expected.iter().enumerate() {
                assert!(expected[..n].iter().all(|other| other != one));
            }
            for cpu in Cpu::all() {
                let options = LoadOptions { cpu, ..options };
                with(&base, &[&c, &a, &b], &options, |model, arena| {
                    for (n, place) in [None, Some(1), Some(2), Some(0)].into_iter().enumerate() {
                        for batch in [4, 21] {
                            let got = bits(&logits(model, arena, &ids(21), batch, place));
                            let what = format!("{} {kv:?} {}", family.name, cpu.name());
                            assert_eq!(got, expected[n], "{what} {n} {batch}");
                        }
                    }
                });
            }
        }
    }
}

/// Four sessions, one without an adapter, in one batch, however it is split into steps.
#[test]
fn sessions_with_different_adapters_share_a_batch_and_each_gets_what_it_gets_alone() {
    for name in ["llama", "gpt2", "phi3"] {
        let (base, [a, b, c]) = files(name, TensorType::Q8_0);
        for cpu in Cpu::all() {
            let options = LoadOptions { cpu, ..OPTIONS };
            with(&base, &[&a, &b, &c], &options, |model, arena| {
                let adapters = [Some(2), None, Some(0), Some(1)];
                // Different texts of different lengths; the shortest has no logits.
                let rows = [5, 9, 7, 11].map(|n| ids(n).split_off(n / 3));
                let alone: Vec<_> = (0..4)
                    .map(|n| bits(&logits(model, arena, &rows[n], 64, adapters[n])))
                    .collect();
                model.release(arena, 0);
                let mut tokens = Vec::new();
                for (n, row) in rows.iter().enumerate() {
                    model.reserve(arena, n, row.len()).expect("positions");
                    tokens.extend((0..).zip(row).map(|(position, &id)| Token {
                        id,
                        session: n as u16,
                        position,
                        logits: n > 0 && position as usize + 1 == row.len(),
                        adapter: adapters[n],
                    }));
                }
                for work in [1, 1 << 12, u64::MAX] {
                    let mut batch = model.begin(arena, &tokens);
                    while !model
                        .advance(arena, &mut Alone, &mut batch, work)
                        .expect("finite")
                    {}
                    let wanted = batch.tokens().filter_map(|(t, n)| Some((t, n?)));
                    for (token, output) in wanted {
                        let got = bits(model.logits_of(arena, output));
                        assert_eq!(got, alone[usize::from(token.session)], "{name} {work}");
                    }
                }
            });
        }
    }
}

#[test]
fn a_session_can_leave_a_batch_with_adapters_after_any_step() {
    let (base, [a, b, _]) = files("llama", TensorType::Q8_0);
    with(&base, &[&a, &b], &OPTIONS, |model, arena| {
        let row = ids(6);
        let alone = bits(&logits(model, arena, &row, 64, Some(1)));
        for steps in 0..200 {
            let mut tokens = Vec::new();
            for session in 0..2 {
                model.reserve(arena, session, row.len()).expect("positions");
                tokens.extend((0..).zip(&row).map(|(position, &id)| Token {
                    id,
                    session: session as u16,
                    position,
                    logits: position as usize + 1 == row.len(),
                    adapter: Some(session as u8),
                }));
            }
            let mut batch = model.begin(arena, &tokens);
            let mut over = false;
            for _ in 0..steps {
                over = over
                    || model
                        .advance(arena, &mut Alone, &mut batch, 1 << 12)
                        .expect("finite");
            }
            if over {
                return;
            }
            batch.remove(0);
            model.finish(arena, &mut Alone, &mut batch).expect("finite");
            let (_, output) = batch.tokens().last().expect("a token");
            assert_eq!(bits(model.logits_of(arena, output.expect("logits"))), alone);
        }
        panic!("more steps than there are parts");
    });
}

#[test]
fn a_plan_with_adapters_is_exact_and_below_it_an_adapter_is_refused_with_what_it_needs() {
    let (base, adapters) = files("qwen2", TensorType::Q8_0);
    let checked = Checked::new(&base).expect("a model");
    let sizes = adapters.each_ref().map(|file| {
        let file = AdapterFile::read(file).expect("an adapter");
        file.check(&checked.base(), None)
            .expect("it fits")
            .info
            .bytes
    });
    let options = LoadOptions {
        sessions: MAX_SESSIONS,
        kv: KvType::Q8,
        ..OPTIONS
    };
    let all = sizes.iter().sum();
    let Err(crate::transformer::LoadError::TooLarge(least)) = checked.plan_with(&options, 0, all)
    else {
        panic!("nothing fits nothing");
    };
    assert_eq!(least.adapters, all);
    for (capacity, fits) in [(least.total(), true), (least.total() - 64, false)] {
        let mut memory = Memory::new(capacity as usize);
        let mut arena = Arena::new(memory.bytes()).expect("aligned");
        let mut model = Model::load(&checked, &options, &mut arena).expect("room");
        let mut load = |place: usize, arena: &mut Arena<'_>| {
            let file = AdapterFile::read(&adapters[place]).expect("an adapter");
            model.load_adapter(arena, place, &file, None)
        };
        for place in 0..2 {
            load(place, &mut arena).expect("room");
        }
        let before = arena.usage();
        let third = load(2, &mut arena);
        if fits {
            assert_eq!(third.expect("room").bytes, sizes[2]);
            let usage = arena.usage();
            assert_eq!(usage.current as u64, least.total());
            assert_eq!(usage.of(Purpose::Adapters) as u64, all);
            assert_eq!(usage.of(Purpose::KvCache) as u64, least.kv_cache);
            assert_eq!(usage.of(Purpose::Activations) as u64, least.activations);
            assert_eq!(model.batch() as u64, least.batch);
        } else {
            let Err(AdapterError::TooLarge(plan)) = third else {
                panic!("{third:?}");
            };
            assert_eq!((plan.total(), plan.capacity), (least.total(), capacity));
            assert_eq!(arena.usage(), before, "nothing has changed");
        }
    }
}

#[test]
fn the_work_of_an_adapter_is_that_of_its_matrices() {
    let (base, [a, b, _]) = files("phi3", TensorType::F32);
    let checked = Checked::new(&base).expect("a model");
    for file in [a, b] {
        let file = AdapterFile::read(&file).expect("an adapter");
        let size = file.check(&checked.base(), None).expect("it fits");
        let elements = |output: bool| {
            let tensors = file.gguf().tensors();
            let some = tensors.filter(|t| output || !t.name.starts_with("output"));
            some.map(|t| t.elements()).sum::<u64>()
        };
        assert_eq!(size.work.multiply_accumulates, elements(false));
        assert_eq!(size.work_with_logits.multiply_accumulates, elements(true));
        assert_eq!(size.info.parameters, elements(true));
        assert_eq!(size.info.matrices as usize * 2, file.gguf().tensor_count());
        // One has 32-bit floats, the other 16-bit ones.
        let bytes = file.gguf().tensors().map(|t| t.data.len() as u64);
        assert_eq!(size.work_with_logits.weight_bytes, bytes.sum::<u64>());
        assert!(size.info.bytes >= size.work_with_logits.weight_bytes);
    }
}

/// In every order, filling the places again.
#[test]
fn adapters_come_and_go_and_those_that_stay_keep_their_bits() {
    let (base, adapters) = files("llama", TensorType::Q8_0);
    let all = adapters.each_ref().map(Vec::as_slice);
    with(&base, &all, &OPTIONS, |model, arena| {
        let full: Plan = *model.plan();
        let all = |model: &Model, arena: &mut Arena<'_>| {
            let places = [None, Some(0), Some(1), Some(2)];
            places.map(|adapter| {
                let there = adapter.is_none_or(|n| model.adapter(usize::from(n)).is_some());
                there.then(|| bits(&logits(model, arena, &ids(9), 9, adapter)))
            })
        };
        let expected = all(model, arena);
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut there = [true; 3];
            for place in order {
                model.drop_adapter(arena, place).expect("it is there");
                there[place] = false;
                for (n, got) in all(model, arena).into_iter().enumerate() {
                    let is_there = n == 0 || there[n - 1];
                    assert_eq!(
                        got,
                        expected[n].clone().filter(|_| is_there),
                        "{order:?} {n}"
                    );
                }
            }
            assert_eq!(model.plan().adapters, 0);
            for place in order {
                let file = AdapterFile::read(&adapters[place]).expect("an adapter");
                model.load_adapter(arena, place, &file, None).expect("room");
            }
            assert_eq!(all(model, arena), expected);
            assert_eq!(*model.plan(), full);
        }
    });
}

#[test]
fn the_effect_of_an_adapter_can_be_scaled() {
    let (base, [a, ..]) = files("llama", TensorType::F32);
    let read = |alpha: f32| {
        let shape = AdapterShape {
            attention: true,
            alpha,
            ..AdapterShape::default()
        };
        adapter(&base, shape).finish()
    };
    let half = read(4.0);
    let expected = with(&base, &[&half], &OPTIONS, |model, arena| {
        bits(&logits(model, arena, &ids(9), 9, Some(0)))
    });
    with(&base, &[], &OPTIONS, |model, arena| {
        let file = AdapterFile::read(&a).expect("an adapter").scaled(0.5);
        model.load_adapter(arena, 3, &file, None).expect("room");
        assert_eq!(bits(&logits(model, arena, &ids(9), 9, Some(3))), expected);
    });
}
