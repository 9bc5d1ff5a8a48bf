//! Schedules the sessions' requests: which wait, which are at work, which give up their room.
//!
//! A request with credit waits until the cache has room for its whole turn, so that it is never cut short. Requests of
//! a client begin in order of arrival; [`super::sharing`] describes how clients share cache and time. To make room,
//! idle sessions are evicted, the longest idle first, but only if that frees enough. Otherwise cached keys and values
//! of sessions with waiting requests are taken as well, the last in the queue first.
//!
//! A request whose credit is used up rests. All its tokens but the last have been through the model. That last one,
//! which the next logits need, enters no batch until there is credit. So credit decides when a session continues, but
//! never what it says. A resting request keeps its room in the cache until another cannot begin without it: if idle and
//! waiting sessions do not have enough, the request that has rested longest gives up its blocks. With new credit it
//! queues like any other. So no request with credit waits for one without, and [`Scheduler::step`] is idle only if all
//! requests rest.
//!
//! Keys and values that were taken are recomputed from the tokens, which are kept. This work is bounded: only a request
//! with credit can begin, and a request with credit loses only what its client holds beyond its part of the cache, so
//! that another client can begin within its own.
//!
//! If the cache still has a session's first tokens, computed for the same owner and adapter ([`crate::kv_cache`]), a
//! request whose session has nothing there takes them when it begins. Sharing frees no room for anybody: each session
//! counts as if all its blocks were its own. So when a request begins, waits or is evicted does not depend on what
//! anybody asked. The saved room, like all free room, holds prefixes of sessions that are gone; they are dropped when
//! it is needed, without a step or a report.
//!
//! The scheduler has no clock; its caller, which grants credit, ends what takes too long.

mod batches;
mod prompt;
mod room;
mod session;

use super::output::Output;
use super::sharing::Time;
use super::{
    FinishReason, GenerateError, GenerateParams, MAX_CLIENTS, Occupancy, Progress, Prompt, Step,
    Text, Turn,
};
use crate::arena::Arena;
use crate::constrain::{Constraint, FormatTable};
use crate::sampling::Sampler;
use crate::team::Team;
use crate::transformer::{Batch, MAX_SESSIONS, Model};
use batches::Ready;
use prompt::{too_long, write_segments, write_text, write_tokens};
use session::{Generation, Session};

/// The sessions and their requests.
#[derive(Debug)]
pub struct Scheduler {
    sessions: [Session; MAX_SESSIONS],
    /// Sessions whose requests have credit and wait for room in the cache, in order of arrival or of being granted
    /// credit again.
    queue: heapless::Deque<u8, MAX_SESSIONS>,
    /// The batch going through the model.
    batch: Option<Batch>,
    /// Results of the last complete batch.
    ready: heapless::Deque<Ready, MAX_SESSIONS>,
    /// For each client, the session to serve first.
    next: [usize; MAX_CLIENTS],
    /// The client to serve first.
    first: usize,
    /// Counts how often a session became idle, began to rest or began to work.
    changes: u64,
    /// What each client has used of the engine.
    time: Time,
    /// Sessions, one bit each, that shared a batch with a non-finite value. Each gets the next batch to itself, so that
    /// only the one that caused it fails. None of them rests: it still has the work of that batch, and credit never
    /// decreases.
    suspects: u32,
    /// Tokens processed by the model.
    computed: u64,
    /// Tokens that were not processed, because they were in the cache.
    reused: u64,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler {
    /// A scheduler with empty sessions.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sessions: [const { Session::EMPTY }; MAX_SESSIONS],
            queue: heapless::Deque::new(),
            batch: None,
            ready: heapless::Deque::new(),
            next: [0; MAX_CLIENTS],
            first: 0,
            changes: 0,
            time: Time::new(),
            suspects: 0,
            computed: 0,
            reused: 0,
        }
    }

    /// Number of requests, and use of the cache.
    #[must_use]
    pub fn occupancy(&self, model: &Model, arena: &Arena<'_>) -> Occupancy {
        let requests = self.sessions.iter().filter(|s| s.generation.is_some());
        let running = self.sessions.iter().filter(|s| s.is_running()).count();
        let (cache, sessions) = (model.cache(), 0..model.sessions());
        let reserved: usize = sessions.map(|n| cache.reserved(arena, n)).sum();
        Occupancy {
            positions: cache.positions(),
            free: cache.positions().saturating_sub(reserved),
            retained: cache.retained_positions(arena),
            computed: self.computed,
            reused: self.reused,
            running,
            waiting: requests.count() - running,
        }
    }

    /// Takes a request, appending the tokens of `prompt` to the session. It is served after those already waiting, when
    /// it has credit and the cache has room. Returns the number of prompt tokens.
    ///
    /// # Errors
    /// The request is refused and the session unchanged; a fresh session is empty.
    pub fn start(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        formats: &FormatTable<'_>,
        turn: Turn,
        prompt: Prompt<'_>,
        params: &GenerateParams,
    ) -> Result<u32, GenerateError> {
        let history = self.open(model, arena, &turn, params)?;
        let context = model.context();
        let tokens = match prompt {
            Prompt::Text(text) => write_text(model, arena, &turn, history, text),
            Prompt::Segments(segments) => write_segments(model, arena, &turn, history, segments),
            Prompt::Tokens(ids) => write_tokens(model, arena, &turn, history, ids),
        };
        let tokens = tokens.map_err(|error| too_long(error, history, context))?;
        let constraint = match &turn.format {
            None => None,
            Some(format) => {
                let room = context.saturating_sub(history).saturating_sub(tokens);
                let most = room.min(params.max_tokens as usize);
                let vocabulary = model.vocabulary();
                let view = vocabulary.view(arena.get(vocabulary.table()));
                Some(Constraint::new(format, formats, &view, most)?)
            }
        };
        self.enqueue(turn, history, tokens, params, constraint)
    }

    /// Tokens that the session of `turn` holds, provided that it can take a request.
    fn open(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        turn: &Turn,
        params: &GenerateParams,
    ) -> Result<usize, GenerateError> {
        if params.max_tokens == 0 {
            return Err(GenerateError::NoTokens);
        }
        if turn.format.is_some() && !turn.stops.is_empty() {
            return Err(GenerateError::FormatAndStops);
        }
        let (session, limit) = (turn.session, model.sessions());
        if session >= limit {
            return Err(GenerateError::NoSuchSession { session, limit });
        }
        if turn.client >= MAX_CLIENTS {
            return Err(GenerateError::NoSuchClient {
                client: turn.client,
                limit: MAX_CLIENTS,
            });
        }
        if !model.serves() {
            return Err(GenerateError::Training);
        }
        if let Some(adapter) = turn.adapter.map(usize::from)
            && model.adapter(adapter).is_none()
        {
            return Err(GenerateError::NoSuchAdapter { adapter });
        }
        if self.sessions[session].generation.is_some() {
            return Err(GenerateError::Busy);
        }
        if turn.fresh {
            self.clear(session, model, arena);
        } else if self.sessions[session].tokens == 0 || self.sessions[session].owner != turn.owner {
            return Err(GenerateError::NothingThere);
        } else if self.sessions[session].adapter != turn.adapter {
            return Err(GenerateError::OtherAdapter);
        }
        Ok(self.sessions[session].tokens)
    }

    fn enqueue(
        &mut self,
        turn: Turn,
        history: usize,
        prompt_tokens: usize,
        params: &GenerateParams,
        constraint: Option<Constraint>,
    ) -> Result<u32, GenerateError> {
        if prompt_tokens == 0 {
            return Err(GenerateError::EmptyPrompt);
        }
        let session = &mut self.sessions[turn.session];
        session.tokens = history + prompt_tokens;
        session.client = turn.client;
        session.owner = turn.owner;
        session.adapter = turn.adapter;
        session.generation = Some(Generation {
            sampler: Sampler::new(params.sampler),
            constraint,
            max_tokens: params.max_tokens as usize,
            credit: turn.credit as usize,
            prompt_tokens,
            start: session.tokens,
            keep: turn.keep,
            admitted: false,
            displaced: None,
            output: Output::new(turn.stops),
            finished: None,
        });
        if !session.rests() {
            self.wait(turn.session);
        }
        Ok(prompt_tokens as u32)
    }

    /// Appends a session to the queue. Its request must have credit, and be neither admitted nor queued.
    fn wait(&mut self, session: usize) {
        // Each session is in the queue at most once.
        let _ = self.queue.push_back(session as u8);
    }

    /// Whether the session has a request with room for its whole turn.
    #[cfg(test)]
    pub fn is_running(&self, session: usize) -> bool {
        self.sessions[session].is_running()
    }

    /// Lets a session's request generate `tokens` in all, including those already generated. A smaller number than
    /// before has no effect, nor does one for a session without a request.
    pub fn grant(&mut self, index: usize, tokens: u32) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let rested = session.rests();
        if let Some(generation) = &mut session.generation {
            generation.credit = generation.credit.max(tokens as usize);
        }
        if rested && !session.rests() && !session.is_running() {
            self.wait(index);
        }
    }

    /// Ends the request of a session, whether waiting, at work or resting: its next step is [`Step::Finished`]. The
    /// session then holds its earlier contents, the prompt, and what was generated.
    pub fn cancel(&mut self, session: usize) {
        if let Some(session) = self.sessions.get_mut(session)
            && let Some(generation) = &mut session.generation
        {
            generation.finished.get_or_insert(FinishReason::Cancelled);
        }
    }

    /// Forgets the contents of an idle session.
    ///
    /// # Errors
    /// The session has a request in flight, or does not exist.
    pub fn forget(
        &mut self,
        session: usize,
        model: &Model,
        arena: &mut Arena<'_>,
    ) -> Result<(), GenerateError> {
        let limit = model.sessions();
        if session >= limit {
            return Err(GenerateError::NoSuchSession { session, limit });
        }
        if self.sessions[session].generation.is_some() {
            return Err(GenerateError::Busy);
        }
        self.clear(session, model, arena);
        Ok(())
    }

    /// Whether any request uses this adapter.
    #[must_use]
    pub fn uses(&self, adapter: usize) -> bool {
        let mut requests = self.sessions.iter().filter(|s| s.generation.is_some());
        requests.any(|session| session.adapter.map(usize::from) == Some(adapter))
    }

    /// Forgets the idle sessions that began with an adapter.
    pub fn forget_adapter(&mut self, adapter: usize, model: &Model, arena: &mut Arena<'_>) {
        for session in 0..model.sessions() {
            let Session {
                adapter: its,
                generation,
                ..
            } = &self.sessions[session];
            if generation.is_none() && its.map(usize::from) == Some(adapter) {
                self.clear(session, model, arena);
            }
        }
    }

    /// Forgets all sessions, dropping their requests without an end.
    pub fn reset(&mut self, model: &Model, arena: &mut Arena<'_>) {
        for session in 0..model.sessions() {
            model.release(arena, session);
        }
        model.cache().forget_retained(arena);
        *self = Self::new();
    }

    /// Call after the arena was laid out anew ([`Model::rearrange`]). Keys and values of all sessions are gone, as are
    /// the batch in progress and the results of the last. Sessions keep their tokens. Requests that were at work wait
    /// before all others, in the order in which they began; resting ones keep resting.
    pub(crate) fn displace_all(&mut self) {
        self.batch = None;
        self.ready.clear();
        // The culprit will be found again.
        self.suspects = 0;
        let mut at_work = 0u32;
        for (n, session) in self.sessions.iter_mut().enumerate() {
            session.position = 0;
            let works = session.is_running() && !session.rests();
            at_work |= u32::from(works) << n;
            if let Some(generation) = &mut session.generation {
                generation.admitted = false;
            }
        }
        let newest = |at_work: u32| {
            (0..MAX_SESSIONS)
                .filter(|n| at_work >> n & 1 == 1)
                .max_by_key(|&n| self.sessions[n].began)
        };
        while let Some(session) = newest(at_work) {
            at_work &= !(1 << session);
            // Each session is in the queue at most once.
            let _ = self.queue.push_front(session as u8);
        }
    }

    /// Does a bounded amount of work: `STEP_WORK` for each worker of a batch's way through the model, or the choice of
    /// one token.
    /// Ending a request needs no credit. `text` receives what can be shown, in whole characters; the last token of a
    /// generation brings what was held back.
    pub fn step(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        team: &mut impl Team,
        formats: &FormatTable<'_>,
        text: &mut Text,
    ) -> Progress {
        text.clear();
        for session in 0..MAX_SESSIONS {
            if let Some(step) = self.finish(session, model, arena) {
                return Progress::Session(session, Ok(step));
            }
        }
        if let Some(progress) = self.admit(model, arena) {
            return progress;
        }
        if let Some(Ready { session, output }) = self.ready.pop_front() {
            return self.bring(session, output, model, arena, formats, text);
        }
        match self.batch.take().or_else(|| self.fill(model, arena)) {
            Some(batch) => self.advance(batch, model, arena, team),
            None => Progress::Idle,
        }
    }

    /// The end of a session's request, if it is due.
    fn finish(&mut self, index: usize, model: &Model, arena: &mut Arena<'_>) -> Option<Step> {
        let session = &mut self.sessions[index];
        let generation = session.generation.as_ref()?;
        let step = Step::Finished {
            reason: generation.finished?,
            prompt_tokens: generation.prompt_tokens as u32,
            generated: (session.tokens - generation.start) as u32,
        };
        let keep = generation.keep;
        session.generation = None;
        self.note_change(index);
        self.withdraw(index);
        if keep {
            // Frees what was reserved for tokens that were not generated.
            model.truncate(arena, index, self.sessions[index].position);
        } else {
            self.clear(index, model, arena);
        }
        Some(step)
    }

    /// Removes a session's request from everywhere it is listed.
    fn withdraw(&mut self, session: usize) {
        self.suspects &= !(1 << session);
        if let Some(batch) = &mut self.batch {
            batch.remove(session);
            if batch.is_empty() {
                self.batch = None;
            }
        }
        self.ready.retain(|ready| ready.session != session);
        self.queue
            .retain(|waiting| usize::from(*waiting) != session);
    }

    /// Forgets the contents of a session without a request.
    fn clear(&mut self, session: usize, model: &Model, arena: &mut Arena<'_>) {
        self.sessions[session] = Session::EMPTY;
        model.release(arena, session);
    }

    /// Notes that the session is idle or rests from now on.
    fn note_change(&mut self, session: usize) {
        self.sessions[session].since = self.changes;
        self.changes += 1;
    }
}
