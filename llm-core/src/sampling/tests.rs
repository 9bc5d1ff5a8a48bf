use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const ONE: u32 = 1_000_000;

fn sample_with(params: SamplerParams, logits: &[f32], history: &[u32], n: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(params);
    let mut scratch = vec![Candidate { logit: 0.0, id: 0 }; logits.len()];
    (0..n)
        .map(|_| sampler.sample(logits, history, &mut scratch))
        .collect()
}

fn sampling() -> SamplerParams {
    SamplerParams {
        temperature: ONE,
        ..SamplerParams::greedy()
    }
}

#[test]
fn greedy_takes_the_largest_and_of_equals_the_lowest_id() {
    assert_eq!(
        sample_with(SamplerParams::greedy(), &[1.0, 3.0, 3.0, 2.0], &[], 1),
        [1]
    );
}

#[test]
fn the_penalty_counts_a_token_once_and_lowers_both_signs() {
    let params = SamplerParams {
        repeat_penalty: 2 * ONE,
        repeat_last_n: 4,
        ..SamplerParams::greedy()
    };
    assert_eq!(sample_with(params, &[3.0, 2.0], &[0, 0, 0], 1), [1]);
    assert_eq!(
        sample_with(params, &[3.0, 1.0], &[0, 0, 0], 1),
        [0],
        "3 / 2 > 1"
    );
    assert_eq!(sample_with(params, &[-1.0, -1.5], &[0], 1), [1]);
    assert_eq!(
        sample_with(params, &[3.0, 2.0], &[0, 1, 1, 1, 1], 1),
        [0],
        "out of the window"
    );
}

#[test]
fn frequencies_follow_the_softmax() {
    let n = 20_000;
    let drawn = sample_with(sampling(), &[0.0, 1.0, 2.0], &[], n);
    let total: f64 = (0..3).map(|i| f64::from(i).exp()).sum();
    for id in 0..3 {
        let share = drawn.iter().filter(|&&d| d == id).count() as f64 / n as f64;
        assert!(
            (share - f64::from(id).exp() / total).abs() < 0.015,
            "{id}: {share}"
        );
    }
}

#[test]
fn top_k_top_p_and_min_p_cut_the_tail() {
    let logits = [0.0, 1.0, 2.0, 3.0];
    let drawn = |params| {
        let mut ids = sample_with(params, &logits, &[], 3000);
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    assert_eq!(drawn(sampling()), [0, 1, 2, 3]);
    assert_eq!(
        drawn(SamplerParams {
            top_k: 2,
            ..sampling()
        }),
        [2, 3]
    );
    // Probabilities 0.644, 0.237, 0.087, 0.032.
    assert_eq!(
        drawn(SamplerParams {
            top_p: 650_000,
            ..sampling()
        }),
        [2, 3]
    );
    assert_eq!(
        drawn(SamplerParams {
            top_p: 0,
            ..sampling()
        }),
        [3]
    );
    // Relative to the likeliest 1, 0.368, 0.135, 0.050.
    assert_eq!(
        drawn(SamplerParams {
            min_p: 100_000,
            ..sampling()
        }),
        [1, 2, 3]
    );
    assert_eq!(
        drawn(SamplerParams {
            min_p: ONE,
            ..sampling()
        }),
        [3]
    );
}

#[test]
fn what_is_suppressed_is_never_chosen_whatever_its_logit() {
    let logits = [5.0, 9.0, 1.0, 8.0, 3.0];
    let mut scratch = [Candidate { logit: 0.0, id: 0 }; 5];
    let mut greedy = Sampler::new(SamplerParams::greedy());
    assert_eq!(greedy.sample_except(&logits, &[], [3, 1], &mut scratch), 0);
    assert_eq!(
        greedy.sample_except(&logits, &[], [4, 3, 1, 0], &mut scratch),
        2
    );
    // Otherwise the choice is the same as in a vocabulary without them.
    let mut scratch = [Candidate { logit: 0.0, id: 0 }; 5];
    let mut all = Sampler::new(sampling());
    let mut fewer = Sampler::new(sampling());
    for _ in 0..1000 {
        let chosen = all.sample_except(&logits, &[], [3, 1], &mut scratch);
        let place = fewer.sample(&[5.0, 1.0, 3.0], &[], &mut scratch[..3]);
        assert_eq!(chosen, [0, 2, 4][place as usize]);
    }
}

#[test]
fn a_seed_repeats_its_tokens_and_another_does_not() {
    let logits: Vec<f32> = (0..100).map(|i| (i % 7) as f32).collect();
    let with = |seed| sample_with(SamplerParams { seed, ..sampling() }, &logits, &[], 50);
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
}

proptest! {
    #[test]
    fn any_parameters_and_finite_logits_give_a_token(
        logits in prop::collection::vec(-1e38f32..1e38, 1..50),
        history in prop::collection::vec(0u32..60, 0..20),
        (temperature, top_k, top_p, min_p) in (0..=10 * ONE, 0u32..60, 0..=ONE, 0..=ONE),
        (repeat_penalty, repeat_last_n, seed) in (ONE..=10 * ONE, 0u32..30, any::<u64>()),
    ) {
        let params = SamplerParams {
            seed, temperature, top_k, top_p, min_p, repeat_penalty, repeat_last_n,
        };
        let id = sample_with(params, &logits, &history, 1)[0];
        prop_assert!((id as usize) < logits.len());
    }
}
