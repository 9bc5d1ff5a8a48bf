//! Room in the cache: which request begins next, and which sessions lose theirs for it.
//!
//! [`crate::generate::sharing`] decides; this carries it out.

use super::Scheduler;
use crate::arena::Arena;
use crate::generate::Progress;
use crate::generate::sharing::{Admission, Holding, Standing, admission};
use crate::transformer::{MAX_SESSIONS, Model};

impl Scheduler {
    /// Lets waiting requests begin, as long as there is room or room can be made.
    pub(super) fn admit(&mut self, model: &Model, arena: &mut Arena<'_>) -> Option<Progress> {
        while !self.queue.is_empty() {
            let holdings = self.holdings(model, arena);
            match admission(&holdings, model.cache().positions())? {
                Admission::Begin(session) => {
                    self.share(session, model, arena);
                    if let Err(full) = model.reserve(arena, session, holdings[session].wanted) {
                        // There was room, so this is a bug.
                        self.withdraw(session);
                        self.clear(session, model, arena);
                        return Some(Progress::Session(session, Err(full.into())));
                    }
                    self.queue.retain(|n| usize::from(*n) != session);
                    self.sessions[session].began = self.changes;
                    self.changes += 1;
                    if let Some(generation) = &mut self.sessions[session].generation {
                        generation.admitted = true;
                    }
                }
                Admission::Take(session) => self.take_room(session, model, arena),
                Admission::Displace { session, part } => {
                    self.withdraw(session);
                    self.take_room(session, model, arena);
                    if let Some(generation) = &mut self.sessions[session].generation {
                        generation.displaced = Some(part);
                    }
                    // It is the first of its client. Each session is in the queue at most once.
                    let _ = self.queue.push_front(session as u8);
                }
                Admission::Evict(session) => {
                    self.clear(session, model, arena);
                    return Some(Progress::Evicted(session));
                }
                Admission::Wait => return None,
            }
        }
        None
    }

    /// If a session has nothing in the cache, reuses the tokens that are already there.
    pub(super) fn share(&mut self, index: usize, model: &Model, arena: &mut Arena<'_>) {
        if model.cache().reserved(arena, index) == 0 {
            let session = &mut self.sessions[index];
            session.position = model.share(arena, index, session.origin(), session.tokens);
            self.reused += session.position as u64;
        }
    }

    /// What each session has and wants of the cache. Shared blocks count for each session, so that admission and
    /// eviction are the same as without sharing.
    fn holdings(&self, model: &Model, arena: &Arena<'_>) -> [Holding; MAX_SESSIONS] {
        let mut holdings = [Holding::default(); MAX_SESSIONS];
        let sessions = self.sessions.iter().enumerate().take(model.sessions());
        for ((n, session), holding) in sessions.zip(&mut holdings) {
            *holding = Holding {
                client: session.client,
                positions: model.cache().reserved(arena, n),
                standing: match &session.generation {
                    None => Standing::Idle,
                    Some(_) if session.is_running() && session.rests() => Standing::Resting,
                    Some(_) if session.is_running() => Standing::AtWork,
                    Some(_) => Standing::Out,
                },
                since: session.since,
                began: session.began,
                displaced: session.generation.as_ref().and_then(|g| g.displaced),
                wanted: 0,
            };
        }
        for (place, &n) in self.queue.iter().enumerate() {
            let n = usize::from(n);
            let generation = self.sessions[n].generation.as_ref();
            let all = generation.map_or(0, |g| g.start.saturating_add(g.max_tokens));
            holdings[n].standing = Standing::Queued(place);
            holdings[n].wanted = model.cache().rounded(all);
        }
        holdings
    }

    /// Takes the blocks of a session that has nothing in a batch. Its keys and values are recomputed when its request
    /// has room.
    fn take_room(&mut self, index: usize, model: &Model, arena: &mut Arena<'_>) {
        let session = &mut self.sessions[index];
        session.position = 0;
        if let Some(generation) = &mut session.generation {
            generation.admitted = false;
        }
        model.release(arena, index);
    }
}
