//! All paths give the same bits as the reference, and the reference computes attention.

use super::*;
use crate::kv_cache::KvShape;
use crate::simd::Cpu;
use crate::testing::kernels::{self, Attending};
use proptest::prelude::*;
use std::vec::Vec;

/// Bits of a token's attention output.
fn attended(cpu: Cpu, shape: KvShape, attending: Attending, x: &[f32]) -> Vec<u32> {
    let exact = |x: &f32| {
        assert!(x.is_finite());
        x.to_bits()
    };
    let attended = kernels::attended(cpu, shape, attending, x);
    attended.iter().map(exact).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every path of this CPU, with head groups of any size, and head sizes that are or are not whole groups of lanes.
    #[test]
    fn all_paths_give_the_bits_of_the_scalar_one(
        x in prop::collection::vec(prop_oneof![-8.0f32..8.0, Just(8.0), Just(-8.0)], 701),
        positions in 1usize..40,
        kv_heads in 1usize..3,
        group in 1usize..8,
        size in prop::sample::select(&[6usize, 16, 32, 48, 64, 80, 128]),
        window in prop_oneof![Just(40usize), 1usize..40],
        cap in prop_oneof![Just(None), (0.5f32..60.0).prop_map(Some)],
    ) {
        let attending = Attending {
            heads: kv_heads * group,
            positions,
            first: positions.saturating_sub(window),
            cap,
        };
        for ty in [KvType::F32, KvType::F16, KvType::Q8] {
            let shape = KvShape {
                ty,
                layers: 2,
                kv_heads,
                head_size: size,
                context: 40,
                sessions: 2,
                positions: 80,
            };
            let expected = attended(Cpu::SCALAR, shape, attending, &x);
            for cpu in Cpu::all() {
                let got = attended(cpu, shape, attending, &x);
                prop_assert!(got == expected, "{} {ty:?}", cpu.name());
            }
        }
    }

    /// Keys without their bias: all paths give the same bits as the scalar one, which match attention to keys with the
    /// bias, computed in f64.
    #[test]
    fn biases_that_the_cache_lacks_are_added_to_the_scores(
        x in prop::collection::vec(-2.0f32..2.0, 401),
        bias in prop::collection::vec(prop_oneof![3 => Just(0.0f32), 1 => -900.0f32..900.0], 32),
        positions in 1usize..40,
        halves in any::<bool>(),
    ) {
        let (heads, kv_heads, size, pairs) = (6, 2, 16, 6);
        let shape = KvShape {
            ty: KvType::Q8,
            layers: 2,
            kv_heads,
            head_size: size,
            context: 48,
            sessions: 2,
            positions: 96,
        };
        // Slow rotations, so that scores differ by less than exp can resolve.
        let angle = |i: usize, position: usize| position as f64 * 1e-4 / (i + 1) as f64;
        let mut angles = std::vec![0.0; pairs * 2 * 48];
        for (i, angles) in angles.chunks_exact_mut(96).enumerate() {
            for position in 0..48 {
                angles[position] = angle(i, position).cos() as f32;
                angles[48 + position] = angle(i, position).sin() as f32;
            }
        }
        let mut values = bias.clone();
        // Biases of unrotated elements are dropped.
        values.chunks_exact_mut(size).for_each(|head| head[2 * pairs..].fill(0.0));
        let left_out = kernels::LeftOut { values, angles, pairs, halves };
        let run = |cpu| {
            let attending = Attending { heads, positions, first: 0, cap: None };
            kernels::attended_beside(cpu, shape, attending, &x, Some(&left_out))
        };
        let got = run(Cpu::SCALAR);
        for cpu in Cpu::all() {
            let same = run(cpu).iter().zip(&got).all(|(a, b)| a.to_bits() == b.to_bits());
            prop_assert!(same, "{}", cpu.name());
        }

        let cycle = |skip: usize, len: usize| -> Vec<f64> {
            x.iter().cycle().skip(skip).take(len).map(|x| f64::from(*x)).collect()
        };
        let row = kv_heads * size;
        let base = 2 * positions * row;
        let query = cycle(2 * base, heads * size);
        for head in 0..heads {
            let kv_head = head / 3;
            let q = &query[head * size..][..size];
            let key = |p: usize| {
                let mut key = cycle(base + 2 * p * row + kv_head * size, size);
                let bias = &bias[kv_head * size..][..size];
                for (key, bias) in key[2 * pairs..].iter_mut().zip(&bias[2 * pairs..]) {
                    *key += f64::from(*bias);
                }
                for i in 0..pairs {
                    let [a, b] = super::super::key_bias::pair(i, pairs, halves);
                    let (sin, cos) = angle(i, p).sin_cos();
                    key[a] += f64::from(bias[a]) * cos - f64::from(bias[b]) * sin;
                    key[b] += f64::from(bias[a]) * sin + f64::from(bias[b]) * cos;
                }
                key
            };
            let scores: Vec<f64> = (0..positions)
                .map(|p| key(p).iter().zip(q).map(|(k, q)| k * q).sum::<f64>() / 4.0)
                .collect();
            let most = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
            for i in 0..size {
                let value = |p: usize| cycle(base + (2 * p + 1) * row + kv_head * size, size)[i];
                let exact = (0..positions).map(|p| weights[p] * value(p)).sum::<f64>()
                    / weights.iter().sum::<f64>();
                let got = f64::from(got[head * size + i]);
                prop_assert!((got - exact).abs() < 8e-2, "{got} {exact}");
            }
        }
    }

    /// Attention computed in f64.
    #[test]
    fn attention_is_what_it_says(
        x in prop::collection::vec(-2.0f32..2.0, 401),
        positions in 1usize..40,
        window in prop_oneof![Just(40usize), 1usize..40],
        cap in prop_oneof![Just(None), (0.5f32..8.0).prop_map(Some)],
    ) {
        let (heads, kv_heads, size) = (4, 2, 8);
        let first = positions.saturating_sub(window);
        let attending = Attending { heads, positions, first, cap };
        let capped = |score: f64| match cap.map(f64::from) {
            Some(cap) => cap * (score / cap).tanh(),
            None => score,
        };
        let reference = |skip: usize, len: usize| -> Vec<f64> {
            x.iter().cycle().skip(skip).take(len).map(|x| f64::from(*x)).collect()
        };
        let row = kv_heads * size;
        // The second layer, after the first.
        let base = 2 * positions * row;
        let query = reference(2 * base, heads * size);
        for (ty, tolerance) in [(KvType::F32, 1e-5), (KvType::F16, 4e-3), (KvType::Q8, 6e-2)] {
            let shape = KvShape {
                ty,
                layers: 2,
                kv_heads,
                head_size: size,
                context: 40,
                sessions: 2,
                positions: 80,
            };
            let got = attended(Cpu::detect(), shape, attending, &x);
            for head in 0..heads {
                let part = |p: usize, which: usize| {
                    reference(base + (2 * p + which) * row + head / 2 * size, size)
                };
                let q = &query[head * size..][..size];
                let weights: Vec<f64> = (first..positions)
                    .map(|p| part(p, 0).iter().zip(q).map(|(k, q)| k * q).sum::<f64>())
                    .map(|dot| capped(dot / (size as f64).sqrt()).exp())
                    .collect();
                for i in 0..size {
                    let value = (first..).zip(&weights).map(|(p, w)| w * part(p, 1)[i]);
                    let exact = value.sum::<f64>() / weights.iter().sum::<f64>();
                    let got = f64::from(f32::from_bits(got[head * size + i]));
                    prop_assert!((got - exact).abs() < tolerance, "{ty:?} {got} {exact}");
                }
            }
        }
    }
}
