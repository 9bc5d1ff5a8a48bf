//! What batches, other sessions and values that are not finite do to a request: nothing.

use super::*;
use crate::team::Alone;
use crate::transformer::LoadOptions;

/// The division of a prompt into batches does not affect any bit of the result.
#[test]
fn logits_do_not_depend_on_batches() {
    let tokens: Vec<u32> = (0..40).map(|i| 259 + i * 7 % 31).collect();
    for (kv, ty) in [
        (KvType::F32, TensorType::F32),
        (KvType::F16, TensorType::Q8_0),
        (KvType::F16, TensorType::Q4_0),
        (KvType::Q8, TensorType::Q8_0),
    ] {
        let file = model(Shape {
            ty,
            ..Shape::default()
        })
        .finish();
        with_backend(LoadOptions { kv, ..OPTIONS }, |backend| {
            backend.load(&file).unwrap();
            let alone = logits(backend, &tokens);
            for size in [2, 7, 16, 40] {
                let (model, arena) = backend.parts().unwrap();
                model.reserve(arena, 0, tokens.len()).unwrap();
                let mut start = 0;
                for batch in tokens.chunks(size) {
                    model
                        .forward(arena, &mut Alone, batch, start, true)
                        .unwrap();
                    start += batch.len();
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(model.logits(arena)), bits(&alone[start - 1]), "{size}");
                }
            }
        });
    }
}

const SEVERAL: LoadOptions = LoadOptions {
    kv: KvType::Q8,
    sessions: 8,
    positions: Positions::Exactly(8 * 64),
    ..OPTIONS
};

/// Each session gets the same output as alone, whatever else runs, starts or is cancelled.
#[test]
fn sessions_do_not_show_in_one_another() {
    let file = model(Shape::default()).finish();
    let prompts = [
        "a",
        "hello there",
        "some longer prompt than that",
        "of",
        "the end.",
        "x y z",
    ];
    let params = |n: usize| GenerateParams {
        sampler: SamplerParams {
            seed: n as u64,
            ..SamplerParams::greedy()
        },
        max_tokens: 5 + 3 * n as u32,
    };
    let alone: Vec<_> = with_backend(SEVERAL, |backend| {
        backend.load(&file).unwrap();
        let one = |(n, prompt): (usize, &&str)| generate(backend, prompt, &params(n));
        prompts.iter().enumerate().map(one).collect()
    });
    for cpu in Cpu::all() {
        with_backend(LoadOptions { cpu, ..SEVERAL }, |backend| {
            backend.load(&file).unwrap();
            let mut waiting = prompts.iter().enumerate().chain([(9, &"to be cancelled")]);
            let (mut of_session, mut ids) = ([None; 8], [const { Vec::new() }; 10]);
            let (mut text, mut steps) = (Text::new(), 0);
            loop {
                // They come one after another, while others are in flight.
                if steps % 3 == 0
                    && let Some((n, prompt)) = waiting.next()
                {
                    let session = of_session.iter().position(Option::is_none).unwrap();
                    let turn = Turn::only(session);
                    backend
                        .start(turn, Prompt::Text(prompt.as_bytes()), &params(n))
                        .unwrap();
                    of_session[session] = Some(n);
                }
                steps += 1;
                match backend.step(&mut text) {
                    Progress::Idle => break,
                    Progress::Working => {}
                    Progress::Training(_) => panic!("nothing is trained"),
                    Progress::Evicted(session) => panic!("session {session} is not idle"),
                    Progress::Session(session, step) => match step.unwrap() {
                        Step::Prefill { .. } => {}
                        Step::Token { id } => {
                            let n: usize = of_session[session].unwrap();
                            ids[n].push(id);
                            if n == 9 && ids[n].len() == 2 {
                                backend.cancel(session);
                            }
                        }
                        Step::Finished { .. } => of_session[session] = None,
                    },
                }
            }
            assert_eq!(of_session, [None; 8]);
            assert_eq!(ids[..6], alone[..], "{}", cpu.name());
            assert_eq!(ids[9].len(), 2, "cancelled after two");
            let (model, arena) = backend.parts().unwrap();
            assert_eq!(model.cache().free_positions(arena), 8 * 64);
        });
    }
}

#[test]
fn a_session_that_ends_in_a_batch_leaves_the_others_in_it() {
    let file = model(Shape::default()).finish();
    with_backend(SEVERAL, |backend| {
        backend.load(&file).unwrap();
        let alone = generate(backend, "the other", &greedy(4));
        backend
            .start(
                Turn::only(0),
                Prompt::Text(b"a longer prompt that is cancelled"),
                &greedy(9),
            )
            .unwrap();
        let other = 3;
        let turn = Turn::only(other);
        backend
            .start(turn, Prompt::Text(b"the other"), &greedy(4))
            .unwrap();
        let mut text = Text::new();
        assert_eq!(
            backend.step(&mut text),
            Progress::Working,
            "a batch is on its way"
        );
        backend.cancel(0);
        let mut ids = Vec::new();
        loop {
            match backend.step(&mut text) {
                Progress::Idle => break,
                Progress::Session(session, Ok(Step::Token { id })) => {
                    assert_eq!(session, other);
                    ids.push(id);
                }
                _ => {}
            }
        }
        assert_eq!(ids, alone);
    });
}

/// A token with a non-finite LayerNorm: only the session that uses it fails.
#[test]
fn a_value_that_is_not_finite_costs_its_own_session_alone() {
    let mut writer = gpt2(Shape {
        ty: TensorType::F32,
        ..Shape::default()
    });
    let output: Vec<f32> = (0..64 * 257).map(|i| (i % 19) as f32 - 9.0).collect();
    writer.tensor("output.weight", TensorType::F32, &[64, 257], &output);
    let bad = 200;
    let row = &mut writer.tensor_bytes("token_embd.weight")[bad * 64 * 4..][..8];
    row[..4].copy_from_slice(&3e38f32.to_le_bytes());
    row[4..].copy_from_slice(&3e38f32.to_le_bytes());
    let file = writer.finish();
    // The good one may have no credit, so that it rests once it has read its prompt beside the bad one.
    for credit in [u32::MAX, 0] {
        one_is_lost(&file, bad as u32, credit);
    }
}

fn one_is_lost(file: &[u8], bad: u32, credit: u32) {
    with_backend(SEVERAL, |backend| {
        backend.load(file).unwrap();
        backend
            .start(Turn::only(0), Prompt::Tokens(&[1, 70, 61]), &greedy(6))
            .unwrap();
        let alone = run(backend).0;
        backend
            .start(Turn::only(0), Prompt::Tokens(&[1, bad]), &greedy(6))
            .unwrap();
        let good = 5;
        let turn = Turn {
            credit,
            ..Turn::only(good)
        };
        backend
            .start(turn, Prompt::Tokens(&[1, 70, 61]), &greedy(6))
            .unwrap();
        let (mut text, mut ids, mut lost) = (Text::new(), Vec::new(), Vec::new());
        let mut rests = 0;
        loop {
            match backend.step(&mut text) {
                Progress::Idle if credit == 0 && rests == 0 => {
                    rests += 1;
                    assert_eq!((ids.len(), lost.len()), (0, 1));
                    backend.grant(good, 6);
                }
                Progress::Idle => break,
                Progress::Session(session, Ok(Step::Token { id })) => {
                    assert_eq!(session, good);
                    ids.push(id);
                }
                Progress::Session(session, Err(error)) => lost.push((session, error)),
                _ => {}
            }
        }
        assert_eq!(lost, [(0, GenerateError::NonFinite)]);
        assert_eq!(ids, alone);
        let gone = backend.start(Turn::next(0), Prompt::Tokens(&[1]), &greedy(1));
        assert_eq!(gone, Err(GenerateError::NothingThere));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_change_of_a_file_is_loaded_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        head_only in any::<bool>(),
    ) {
        let mut file = model(Shape { layers: 1, ..Shape::default() }).finish();
        let range = if head_only { 600 } else { file.len() };
        for (index, byte) in changes {
            file[index.index(range)] = byte;
        }
        with_backend(OPTIONS, |backend| {
            if backend.load(&file).is_ok() && backend.start(Turn::only(0), Prompt::Text(b"ab"), &greedy(3)).is_ok() {
                let mut text = Text::new();
                while backend.step(&mut text) != Progress::Idle {}
            }
        });
    }
}
