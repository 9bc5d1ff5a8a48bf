//! Requests, loads and drops of adapters in any order.

use super::*;
use crate::transformer::LoadOptions;

/// Sessions of the property test, and their possible adapters: those in place 0 and 1 come and go.
const SESSIONS: usize = 6;

const ADAPTERS: [Option<u8>; SESSIONS] = [None, Some(2), Some(3), Some(4), Some(2), None];

#[derive(Clone, Debug)]
enum Act {
    Steps(usize),
    Toggle(usize),
    Grant(usize, u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1usize..40).prop_map(Act::Steps),
        1 => prop::sample::select(vec![0, 1, 7]).prop_map(Act::Toggle),
        1 => (0..SESSIONS, 1u32..20).prop_map(|(n, tokens)| Act::Grant(n, tokens)),
    ]
}

/// Runs requests with their adapters while others come and go; returns each session's output.
fn play(positions: usize, kv: KvType, cpu: crate::simd::Cpu, acts: &[Act]) -> Vec<Got> {
    let options = LoadOptions {
        positions: Positions::Exactly(positions),
        sessions: SESSIONS,
        kv,
        cpu,
        ..OPTIONS
    };
    let adapters = adapters();
    with_backend(4 << 20, options, |backend| {
        // Deliberately not in order.
        for place in [4, 0, 3, 2] {
            backend
                .load_adapter(place, &adapters[place], &BASE)
                .unwrap();
        }
        let mut there = [0, 2, 3, 4]
            .iter()
            .fold([false; MAX_ADAPTERS], |mut there, &n| {
                there[n] = true;
                there
            });
        let mut got = vec![Got::default(); SESSIONS];
        for (n, adapter) in ADAPTERS.into_iter().enumerate() {
            let turn = Turn {
                client: n % 3,
                credit: if n % 2 == 0 { u32::MAX } else { 3 },
                ..turn(n, adapter)
            };
            let params = sampled(n as u64, 14);
            backend
                .start(
                    turn,
                    Prompt::Text(PROMPTS[n % PROMPTS.len()].as_bytes()),
                    &params,
                )
                .unwrap();
        }
        for act in acts {
            match *act {
                Act::Steps(count) => {
                    for _ in 0..count {
                        step(backend, &mut got);
                    }
                }
                Act::Toggle(place) => {
                    match there[place] {
                        true => backend.drop_adapter(place).unwrap(),
                        false => {
                            let file = &adapters[place];
                            backend.load_adapter(place, file, &BASE).unwrap();
                        }
                    }
                    there[place] = !there[place];
                }
                Act::Grant(n, tokens) => backend.grant(n, tokens),
            }
        }
        for n in 0..SESSIONS {
            backend.grant(n, u32::MAX);
        }
        for steps in 0.. {
            assert!(steps < 20_000, "somebody waits for ever");
            if !step(backend, &mut got) {
                break;
            }
        }
        got
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Requests get the same output as when alone, whatever comes and goes meanwhile, on every path.
    #[test]
    fn requests_do_not_notice_adapters_that_come_and_go(
        acts in prop::collection::vec(act(), 1..30),
        exact in any::<bool>(),
        pool in 4usize..=20,
        path in any::<prop::sample::Index>(),
    ) {
        let kv = if exact { KvType::F32 } else { KvType::Q8 };
        let cpus: Vec<_> = crate::simd::Cpu::all().collect();
        let cpu = *path.get(&cpus);
        let calm = play(SESSIONS * 64, kv, crate::simd::Cpu::SCALAR, &[]);
        prop_assert!(calm.iter().all(|got| got.ended));
        let got = play(pool * 16, kv, cpu, &acts);
        prop_assert_eq!(got, calm);
    }
}

#[test]
fn requests_with_different_adapters_get_what_they_get_alone() {
    let got = play(SESSIONS * 64, KvType::Q8, crate::simd::Cpu::detect(), &[]);
    for (n, got) in got.iter().enumerate() {
        let params = sampled(n as u64, 14);
        let expected = alone(PROMPTS[n % PROMPTS.len()], ADAPTERS[n], &params);
        assert_eq!(*got, expected, "{n}");
    }
    let distinct = |a: usize, b: usize| assert_ne!(got[a].ids, got[b].ids);
    distinct(0, 5);
    // The same prompt with and without an adapter.
    let params = sampled(0, 14);
    assert_ne!(alone("a", Some(2), &params), alone("a", None, &params));
}
