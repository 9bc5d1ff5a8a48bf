//! From logits to tokens: each filter by itself and all together, with several seeds.

use super::Case;
use crate::bits::Bits;
use crate::generator::Generator;
use alloc::vec::Vec;
use llm_core::arena::as_mut;
use llm_core::sampling::{Candidate, Sampler, SamplerParams};
use llm_core::testing::Memory;

/// Cases of the sampler.
pub const CASES: &[Case] = &[
    Case::once("sampler_greedy", |bits| {
        sample(SamplerParams::greedy(), bits)
    }),
    Case::once("sampler_temperature", |bits| {
        for temperature in [1, 200_000, ONE, 10 * ONE] {
            sample(
                SamplerParams {
                    temperature,
                    ..WARM
                },
                bits,
            );
        }
    }),
    Case::once("sampler_top_k", |bits| {
        for top_k in [1, 2, 40, VOCABULARY as u32, u32::MAX] {
            sample(SamplerParams { top_k, ..WARM }, bits);
        }
    }),
    Case::once("sampler_top_p", |bits| {
        for top_p in [0, 100_000, 950_000, ONE - 1] {
            sample(SamplerParams { top_p, ..WARM }, bits);
        }
    }),
    Case::once("sampler_min_p", |bits| {
        for min_p in [1, 50_000, 500_000, ONE] {
            sample(SamplerParams { min_p, ..WARM }, bits);
        }
    }),
    Case::once("sampler_repeat_penalty", |bits| {
        for (repeat_penalty, repeat_last_n) in [(1_100_000, 1), (1_100_000, 64), (10 * ONE, 64)] {
            for temperature in [0, ONE] {
                let penalty = SamplerParams {
                    temperature,
                    repeat_penalty,
                    repeat_last_n,
                    ..WARM
                };
                sample(penalty, bits);
            }
        }
    }),
    Case::once("sampler_all_with_seeds", |bits| {
        for seed in [0, 1, 42, u64::MAX] {
            let all = SamplerParams {
                seed,
                temperature: 800_000,
                top_k: 40,
                top_p: 950_000,
                min_p: 50_000,
                repeat_penalty: 1_100_000,
                repeat_last_n: 64,
            };
            sample(all, bits);
        }
    }),
];

const ONE: u32 = 1_000_000;

const VOCABULARY: usize = 300;

const WARM: SamplerParams = SamplerParams {
    seed: 7,
    temperature: ONE,
    ..SamplerParams::greedy()
};

/// Tokens from changing logits, including ties, both zeros and both ends of the range; each token joins the history.
fn sample(params: SamplerParams, bits: &mut Bits) {
    let mut generator = Generator::new(800);
    let mut candidates = Memory::new(VOCABULARY * size_of::<Candidate>());
    let candidates = as_mut::<Candidate>(candidates.bytes());
    let mut sampler = Sampler::new(params);
    let mut history = Vec::new();
    for step in 0..40 {
        let mut logits = generator.floats(VOCABULARY, 6.0);
        logits[step] = 0.0;
        logits[step + 1] = -0.0;
        if step % 2 == 0 {
            logits[step + 2] = 6.5;
            logits[step + 100] = 6.5;
        }
        logits[299] = f32::MIN / 4.0;
        history.push(sampler.sample(&logits, &history, candidates));
    }
    bits.ids(&history);
}
