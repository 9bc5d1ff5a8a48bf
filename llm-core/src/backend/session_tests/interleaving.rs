//! Any interleaving of requests, compared with what each session gets alone.

mod acts;
mod expected;

pub(in crate::backend) use acts::{Act, PLAYERS, PROMPTS, act};
pub(in crate::backend) use expected::Contents;

use super::*;
use crate::transformer::LoadOptions;

use expected::{Expected, Player, in_cache};

#[derive(Default)]
struct World {
    players: [Player; PLAYERS],
    /// Sessions whose requests have credit but no room, in order of arrival or of being granted credit.
    queue: Vec<usize>,
    time: usize,
    /// Results of earlier runs alone.
    known: HashMap<(Vec<u32>, u32, u64), Generated>,
    evicted: usize,
    /// How often all requests rested.
    rests: usize,
    /// How often a resting request lost its room.
    taken: usize,
    contents: Contents,
    /// Tokens that needed no computation.
    reused: u64,
}

impl World {
    fn grant(&mut self, backend: &mut TransformerBackend, session: usize, tokens: u32) {
        backend.grant(session, tokens);
        let player = &mut self.players[session];
        let rested = player.rests();
        if let Some(request) = &mut player.request {
            request.credit = request.credit.max(tokens);
        }
        if rested && !player.rests() && !player.running {
            self.queue.push(session);
        }
    }

    fn requests(&self) -> impl Iterator<Item = usize> {
        (0..PLAYERS).filter(|&n| self.players[n].request.is_some())
    }

    /// Positions that the whole turn of `n` needs.
    fn wanted(&self, n: usize) -> usize {
        self.players[n].request.as_ref().unwrap().wanted()
    }

    /// Nothing is left to do: no request has credit, and none is at its end.
    fn rest(&mut self) {
        let any = self.requests().next().is_some();
        self.rests += usize::from(any);
        assert_eq!(self.queue, [], "they wait for nobody");
        for n in self.requests() {
            let (row, request) = (&self.players[n].row, self.players[n].request.as_ref());
            let request = request.unwrap();
            assert!(request.rests(), "{n} could go on");
            assert!(request.ids.len() < request.params.max_tokens as usize);
            assert!(row.len() < CONTEXT && !request.cancelled);
        }
    }

    /// Which requests began in a step, and which lost their room. `ended` came to its end in it. `before`: positions
    /// that each had.
    fn transitions(
        &mut self,
        backend: &TransformerBackend,
        before: &[usize],
        ended: Option<usize>,
        evicts: bool,
    ) {
        let running: Vec<bool> = (0..PLAYERS).map(|n| backend.is_running(n)).collect();
        let has = |n: usize| self.players[n].running && ended != Some(n);
        let (taken, kept): (Vec<_>, Vec<_>) =
            (0..PLAYERS).filter(|&n| has(n)).partition(|&n| !running[n]);
        let begun = (0..PLAYERS).filter(|&n| !self.players[n].running && running[n]);
        let begun = begun.count();
        assert!(
            self.queue[..begun].iter().all(|&n| running[n]),
            "none overtakes"
        );

        // Of those that gave up their room, even the one that rested last was needed.
        if let Some(&last) = taken.iter().max_by_key(|&&n| self.players[n].still_since) {
            for &n in &taken {
                assert!(self.players[n].rests(), "{n} has credit and loses its room");
            }
            for &n in kept.iter().filter(|&&n| self.players[n].rests()) {
                assert!(self.players[n].still_since > self.players[last].still_since);
            }
            let held: usize = kept.iter().map(|&n| before[n]).sum::<usize>() + before[last];
            let ahead = |place: usize| {
                self.queue[..place]
                    .iter()
                    .map(|&n| self.wanted(n))
                    .sum::<usize>()
            };
            let positions = backend.occupancy().positions;
            let places = begun + usize::from(evicts);
            assert!(
                (0..places).any(|n| held + ahead(n) + self.wanted(self.queue[n]) > positions),
                "{last} gave its room for nobody"
            );
        }
        self.taken += taken.len();
        self.queue.drain(..begun);
        for (player, running) in self.players.iter_mut().zip(running) {
            player.running = running;
        }
    }

    fn start(
        &mut self,
        backend: &mut TransformerBackend,
        turn: Turn,
        prompt: &str,
        params: GenerateParams,
    ) {
        let ids = tokenize(backend, prompt, turn.fresh);
        let player = &mut self.players[turn.session];
        if !turn.fresh && player.request.is_none() && !player.row.is_empty() {
            let other = Turn {
                owner: player.owner ^ 1,
                ..turn
            };
            let refused = backend.start(other, Prompt::Text(prompt.as_bytes()), &params);
            assert_eq!(refused, Err(GenerateError::NothingThere));
        }
        let owner = match turn.fresh {
            true => turn.owner,
            false => player.owner,
        };
        let turn = Turn { owner, ..turn };
        let got = backend.start(turn, Prompt::Text(prompt.as_bytes()), &params);
        let tokens = player.row.len() + ids.len();
        if player.request.is_some() {
            assert_eq!(got, Err(GenerateError::Busy));
        } else if !turn.fresh && player.row.is_empty() {
            assert_eq!(got, Err(GenerateError::NothingThere));
        } else if !turn.fresh && tokens >= CONTEXT {
            let limit = CONTEXT;
            assert_eq!(got, Err(GenerateError::ContextFull { tokens, limit }));
        } else {
            let prompt_tokens = ids.len() as u32;
            assert_eq!(got, Ok(prompt_tokens));
            if turn.fresh {
                player.row.clear();
            }
            player.owner = owner;
            player.row.extend(ids);
            player.request = Some(Expected {
                keep: turn.keep,
                credit: turn.credit,
                params,
                prompt_tokens,
                row: player.row.clone(),
                ids: Vec::new(),
                shown: String::new(),
                cancelled: false,
            });
            if turn.credit > 0 {
                self.queue.push(turn.session);
            }
        }
    }

    /// One step, and everything that must hold after it. True if there is more to do.
    fn step(&mut self, backend: &mut TransformerBackend, subject: Subject) -> bool {
        let before: Vec<usize> = (0..PLAYERS).map(|n| reserved(backend, n)).collect();
        let rested: Vec<bool> = self.players.iter().map(Player::rests).collect();
        let ran: Vec<bool> = self.players.iter().map(|player| player.running).collect();
        let (model, arena) = backend.parts().unwrap();
        let known = model.cache().check(arena);
        let has_free = model.cache().free_positions(arena);
        let mut text = Text::new();
        let progress = backend.step(&mut text);
        let ended = match progress {
            Progress::Session(n, Ok(Step::Finished { .. })) => Some(n),
            _ => None,
        };
        let evicts = matches!(progress, Progress::Evicted(_));
        // A request that begins with nothing in the cache reuses what its owner has there, unless another that begins
        // needed the room. One that had something may have lost it in this step.
        let begun: Vec<usize> = (0..PLAYERS)
            .filter(|&n| !ran[n] && backend.is_running(n))
            .collect();
        let spared = begun.iter().map(|&n| {
            let player = &self.players[n];
            in_cache(&known, player.owner, &player.row)
        });
        let spared: Vec<[usize; 3]> = spared.collect();
        let reused = backend.occupancy().reused - self.reused;
        self.reused += reused;
        let reused = reused as usize;
        let most: usize = spared.iter().map(|[_, all, _]| all).sum();
        assert!(reused <= most, "{reused} of {most}");
        if let ([n], [[whole, all, retained]]) = (&begun[..], &spared[..]) {
            let had_some = before[*n] > 0;
            // Once the session refers to the whole blocks, the block to copy from may be the only one left to copy to.
            let scarce = *whole == reused && has_free - retained < 2 * BLOCK_POSITIONS;
            assert!(reused == *all || scarce || had_some && reused == 0);
        }
        self.transitions(backend, &before, ended, evicts);
        match progress {
            Progress::Training(_) => panic!("nothing is trained"),
            Progress::Idle => {
                self.rest();
                return false;
            }
            Progress::Working | Progress::Session(_, Ok(Step::Prefill { .. })) => {}
            Progress::Session(n, Ok(Step::Token { id })) => {
                let player = &mut self.players[n];
                assert!(player.running, "{n} has no room");
                let request = player.request.as_mut().unwrap();
                request.ids.push(id);
                request.shown.push_str(&text);
                let generated = request.ids.len() as u32;
                assert!(generated <= request.credit, "{n} goes beyond its credit");
                player.row.push(id);
                if player.rests() {
                    player.still_since = self.time;
                    self.time += 1;
                }
            }
            Progress::Session(
                n,
                Ok(Step::Finished {
                    reason,
                    prompt_tokens,
                    generated,
                }),
            ) => self.finish(n, reason, [prompt_tokens, generated], subject),
            Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
            Progress::Evicted(n) => {
                self.evicted += 1;
                let idle = (0..PLAYERS)
                    .filter(|&n| self.players[n].request.is_none() && before[n] > 0)
                    .min_by_key(|&n| self.players[n].still_since);
                assert_eq!(Some(n), idle, "the longest idle");
                // It gives its room to the first waiting request, alone or together with other idle sessions.
                let running = (0..PLAYERS).filter(|&n| self.players[n].running);
                let taken: usize = running.map(|n| reserved(backend, n)).sum();
                let wanted = self.wanted(self.queue[0]);
                assert!(wanted + taken <= backend.occupancy().positions);
                self.players[n].row.clear();
            }
        }
        // If waiting requests were considered, the first waits for no resting one.
        if let (Some(&first), None, false) = (self.queue.first(), ended, evicts) {
            let at_work = (0..PLAYERS).filter(|&n| self.players[n].running && !rested[n]);
            let taken: usize = at_work.map(|n| reserved(backend, n)).sum();
            assert!(
                self.wanted(first) + taken > backend.occupancy().positions,
                "{first} has credit and waits for one that rests"
            );
        }
        self.check(backend);
        true
    }

    fn finish(&mut self, n: usize, reason: FinishReason, counts: [u32; 2], subject: Subject) {
        let player = &mut self.players[n];
        let request = player.request.take().unwrap();
        assert_eq!(counts, [request.prompt_tokens, request.ids.len() as u32]);
        let params = request.params;
        let key = (request.row, params.max_tokens, params.sampler.seed);
        let expected = self
            .known
            .entry(key)
            .or_insert_with_key(|(row, ..)| alone_on(subject, row, &params));
        if reason == FinishReason::Cancelled {
            assert!(request.cancelled);
            assert!(expected.0.starts_with(&request.ids));
            assert!(expected.1.starts_with(&request.shown));
        } else {
            assert_eq!((request.ids, request.shown, reason), *expected);
        }
        if !request.keep {
            player.row.clear();
        }
        player.still_since = self.time;
        self.time += 1;
        self.queue.retain(|&of| of != n);
    }

    fn check(&mut self, backend: &mut TransformerBackend) {
        self.contents.check(backend);
        let occupancy = backend.occupancy();
        let running = self.requests().filter(|&n| self.players[n].running);
        assert_eq!(occupancy.running, running.count());
        let requests = self.requests().count();
        assert_eq!(occupancy.running + occupancy.waiting, requests);
        let held: usize = (0..PLAYERS).map(|n| reserved(backend, n)).sum();
        assert_eq!(
            held + occupancy.free,
            occupancy.positions,
            "no block is lost"
        );
        for n in self.requests().filter(|&n| self.players[n].running) {
            assert!(reserved(backend, n) >= self.wanted(n), "{n} is cut short");
        }
        for (n, player) in self.players.iter().enumerate() {
            let has = reserved(backend, n);
            assert!(!player.row.is_empty() || has == 0, "{n} holds what it lost");
        }
    }
}

/// Plays `acts`, runs everything to its end, and forgets everything. Returns how often sessions were evicted, all
/// rested, and a resting one lost its room, and how many tokens were reused from the cache.
fn play(subject: Subject, positions: usize, acts: Vec<Act>) -> [usize; 4] {
    let options = LoadOptions {
        kv: subject.kv,
        sessions: PLAYERS,
        positions: Positions::Exactly(positions),
        ..OPTIONS
    };
    with_file(&subject.file(), options, |backend| {
        let mut world = World::default();
        for act in acts {
            match act {
                Act::Start {
                    turn,
                    prompt,
                    max_tokens,
                    seed,
                } => world.start(backend, turn, PROMPTS[prompt], sampled(seed, max_tokens)),
                Act::Grant(n, tokens) => world.grant(backend, n, tokens),
                Act::Cancel(n) => {
                    backend.cancel(n);
                    if let Some(request) = &mut world.players[n].request {
                        request.cancelled = true;
                    }
                }
                Act::Forget(n) => {
                    let got = backend.forget(n);
                    if world.players[n].request.is_some() {
                        assert_eq!(got, Err(GenerateError::Busy));
                    } else {
                        assert_eq!(got, Ok(()));
                        world.players[n].row.clear();
                    }
                }
                Act::Steps(count) => {
                    for _ in 0..count {
                        if !world.step(backend, subject) {
                            break;
                        }
                    }
                }
            }
            world.check(backend);
        }
        let rests = world.rests;
        for steps in 0.. {
            assert!(steps < 20_000, "somebody waits for ever: {:?}", world.queue);
            if world.step(backend, subject) {
                continue;
            }
            // All rest. Some get a few more tokens, so that they take each other's room.
            let requests: Vec<usize> = world.requests().collect();
            if requests.is_empty() {
                break;
            }
            for n in [steps, steps / 3].map(|n| requests[n % requests.len()]) {
                let request = world.players[n].request.as_ref().unwrap();
                let tokens = (request.ids.len() + 1 + steps % 5) as u32;
                world.grant(backend, n, tokens);
            }
        }
        for n in 0..PLAYERS {
            backend.forget(n).unwrap();
        }
        let occupancy = backend.occupancy();
        assert_eq!(occupancy.free, occupancy.positions);
        world.check(backend);
        let (model, arena) = backend.parts().unwrap();
        assert_eq!(model.cache().free_positions(arena), occupancy.positions);
        backend.reset();
        assert_eq!(backend.occupancy().retained, 0);
        [world.evicted, rests, world.taken, world.reused as usize]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any interleaving of turns, credit, rests, cancels and evictions gives each session the same output as alone.
    /// Requests are served in order and never cut short. None exceeds its credit, rests with credit left, or waits with
    /// credit for a resting one. Nothing is taken from a request with credit or without need, and no cache block is
    /// lost. Prefixes are shared as far as they exist, only among sessions of one owner, and never written.
    #[test]
    fn any_interleaving_gives_each_session_what_it_gets_alone(
        acts in prop::collection::vec(act(), 1..40),
        kv in prop::sample::select(vec![KvType::F32, KvType::F16, KvType::Q8]),
        windowed in any::<bool>(),
        pool in 4usize..=10,
    ) {
        play(Subject { kv, windowed }, pool * 16, acts);
    }
}

/// The property would be vacuous if nothing were ever evicted or shared, or no request ever rested or lost its room
/// that way.
#[test]
fn the_interleavings_have_evictions_and_rests_in_them() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    const SUBJECT: Subject = Subject {
        kv: KvType::Q8,
        windowed: false,
    };
    let mut runner = TestRunner::deterministic();
    let mut plays = [0; 4];
    for _ in 0..36 {
        let acts = prop::collection::vec(act(), 30..40);
        let acts = acts.new_tree(&mut runner).unwrap().current();
        for (plays, count) in plays.iter_mut().zip(play(SUBJECT, CONTEXT, acts)) {
            *plays += usize::from(count > 0);
        }
    }
    assert!(
        plays.iter().all(|&plays| plays >= 8),
        "evictions, rests, room taken, and blocks shared in {plays:?} of 36"
    );
}
