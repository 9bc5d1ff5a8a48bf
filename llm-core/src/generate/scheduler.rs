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

use super::output::Output;
use super::sharing::{Admission, Holding, Standing, Time, admission};
use super::{
    FinishReason, GenerateError, GenerateParams, MAX_CLIENTS, Occupancy, Progress, Prompt, Step,
    Text, Turn,
};
use crate::arena::Arena;
use crate::chat::{Buffers, Conversation, Place, Segment};
use crate::constrain::{Choosing, Constraint, FormatTable};
use crate::kv_cache::Origin;
use crate::sampling::Sampler;
use crate::team::Team;
use crate::tokenizer::{EXTRA_PROMPT_TOKENS, EncodeOptions};
use crate::transformer::{Batch, MAX_BATCH, MAX_SESSIONS, Model, STEP_WORK, Token};

/// A turn in progress.
#[derive(Debug)]
struct Generation {
    sampler: Sampler,
    /// The format of its text, and how far the text is.
    constraint: Option<Constraint>,
    max_tokens: usize,
    /// Total number of tokens that may be generated.
    credit: usize,
    /// Tokens of this turn's prompt.
    prompt_tokens: usize,
    /// Tokens of the session before generation.
    start: usize,
    keep: bool,
    /// Whether it has room in the cache for its whole turn. Otherwise it is in the queue if it has credit, and rests if
    /// not.
    admitted: bool,
    /// Set if it was at work beyond its client's part of the cache and lost its room: that part.
    displaced: Option<usize>,
    output: Output,
    finished: Option<FinishReason>,
}

/// A conversation. Its tokens and its table of cached blocks are in the arena.
#[derive(Debug)]
struct Session {
    /// Tokens of all turns, both prompts and generated; 0 if the session is empty.
    tokens: usize,
    /// Tokens that have been through the model, whose keys and values are in the cache.
    position: usize,
    /// The request; `None` if idle.
    generation: Option<Generation>,
    /// Client of its last turn, below [`MAX_CLIENTS`].
    client: usize,
    /// Its owner.
    owner: u32,
    /// The adapter of all its tokens.
    adapter: Option<u8>,
    /// When it became idle or began to rest, in [`Scheduler::changes`].
    since: u64,
    /// When its request began, in the same unit.
    began: u64,
}

impl Session {
    const EMPTY: Self = Self {
        tokens: 0,
        position: 0,
        generation: None,
        client: 0,
        owner: 0,
        adapter: None,
        since: 0,
        began: 0,
    };

    /// Identifies the sessions with which it may share cache.
    const fn origin(&self) -> Origin {
        Origin {
            owner: self.owner,
            adapter: self.adapter,
        }
    }

    fn is_running(&self) -> bool {
        self.generation.as_ref().is_some_and(|g| g.admitted)
    }

    /// Whether its request has used up its credit.
    fn rests(&self) -> bool {
        let generation = self.generation.as_ref();
        generation.is_some_and(|g| self.tokens - g.start >= g.credit)
    }

    /// Tokens that may go through the model now; 0 if the request waits or rests.
    fn pending(&self) -> usize {
        match self.is_running() && !self.rests() {
            true => self.tokens - self.position,
            false => 0,
        }
    }

    /// Chooses the next token from the `output`-th logits.
    fn sample(
        &mut self,
        index: usize,
        output: usize,
        model: &Model,
        arena: &mut Arena<'_>,
        formats: &FormatTable<'_>,
        text: &mut Text,
    ) -> Option<Result<u32, GenerateError>> {
        let generation = self.generation.as_mut()?;
        let workspace = model.choosing(arena, index, output);
        let history = &workspace.tokens[..self.tokens];
        let vocabulary = model.vocabulary();
        let view = vocabulary.view(workspace.frozen.get(vocabulary.table()));
        let sampler = &mut generation.sampler;
        let id = match &mut generation.constraint {
            None => sampler.sample_except(
                workspace.logits,
                history,
                view.suppressed(),
                workspace.candidates,
            ),
            Some(constraint) => {
                let most = generation
                    .max_tokens
                    .min(workspace.tokens.len() - generation.start);
                // After the one chosen now.
                let left = most.saturating_sub(self.tokens - generation.start + 1);
                let with = Choosing {
                    logits: workspace.logits,
                    history,
                    candidates: workspace.candidates,
                };
                match constraint.choose(sampler, formats, &view, left, with) {
                    Some(id) => id,
                    None => return Some(Err(GenerateError::FormatStuck)),
                }
            }
        };
        workspace.tokens[self.tokens] = id;
        self.tokens += 1;

        let stopped = generation.output.push(view.decode(id, false), text);
        let constraint = generation.constraint.as_ref();
        generation.finished = if stopped {
            Some(FinishReason::Stop)
        } else if view.is_eog(id)
            || constraint.is_some_and(|constraint| constraint.is_over(formats))
        {
            Some(FinishReason::EndOfText)
        } else if self.tokens - generation.start >= generation.max_tokens {
            Some(FinishReason::MaxTokens)
        } else if self.tokens >= workspace.tokens.len() {
            Some(FinishReason::ContextFull)
        } else {
            None
        };
        if generation.finished.is_some() && !stopped && generation.output.finish(text) {
            generation.finished = Some(FinishReason::Stop);
        }
        Some(Ok(id))
    }
}

/// A session that a batch has advanced.
#[derive(Clone, Copy, Debug)]
struct Ready {
    session: usize,
    /// Index of its logits in the batch; `None` if its prompt continues.
    output: Option<usize>,
}

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

    /// Does a bounded amount of work: [`STEP_WORK`] for each worker of a batch's way through the model, or the choice of
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

    /// Lets waiting requests begin, as long as there is room or room can be made.
    fn admit(&mut self, model: &Model, arena: &mut Arena<'_>) -> Option<Progress> {
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
    fn share(&mut self, index: usize, model: &Model, arena: &mut Arena<'_>) {
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

    fn bring(
        &mut self,
        index: usize,
        output: Option<usize>,
        model: &Model,
        arena: &mut Arena<'_>,
        formats: &FormatTable<'_>,
        text: &mut Text,
    ) -> Progress {
        let session = &mut self.sessions[index];
        let Some(output) = output else {
            let step = Step::Prefill {
                done: session.position as u32,
                total: session.tokens as u32,
            };
            return Progress::Session(index, Ok(step));
        };
        let token = session.sample(index, output, model, arena, formats, text);
        if session.rests() {
            self.note_change(index);
        }
        match token {
            Some(Ok(id)) => Progress::Session(index, Ok(Step::Token { id })),
            Some(Err(error)) => {
                self.withdraw(index);
                self.clear(index, model, arena);
                Progress::Session(index, Err(error))
            }
            None => Progress::Working,
        }
    }

    /// The next batch: a token of each session that may continue, in turn if not all fit; then more of the prompts.
    /// `None` if no session may continue.
    fn fill(&mut self, model: &Model, arena: &mut Arena<'_>) -> Option<Batch> {
        let sessions = model.sessions();
        let mut shares = [0usize; MAX_SESSIONS];
        let suspect = self.suspects.trailing_zeros() as usize;
        let pending = |session: usize| match self.suspects == 0 || suspect == session {
            true => self.sessions[session].pending(),
            false => 0,
        };
        let mut next = self.next;
        let mut of_clients = [0usize; MAX_CLIENTS];
        for session in 0..sessions {
            of_clients[self.sessions[session].client] += pending(session);
        }
        let mut allowed = self.time.allowances(&of_clients);
        let mut left = model.batch();
        let mut readers = 0;
        for client in (0..MAX_CLIENTS).map(|n| (self.first + n) % MAX_CLIENTS) {
            let mut unserved = None;
            for session in (0..sessions).map(|n| (self.next[client] + n) % sessions) {
                if self.sessions[session].client != client || pending(session) == 0 {
                    continue;
                }
                if left.min(allowed[client]) == 0 {
                    unserved = unserved.or(Some(session));
                    continue;
                }
                shares[session] = 1;
                left -= 1;
                allowed[client] -= 1;
                readers += usize::from(pending(session) > 1);
            }
            next[client] = unserved.unwrap_or((next[client] + 1) % sessions);
        }
        let mut served = [0; MAX_CLIENTS];
        for (session, share) in shares
            .iter_mut()
            .enumerate()
            .filter(|(_, share)| **share > 0)
        {
            let client = self.sessions[session].client;
            if pending(session) > 1 {
                let allowed = &mut allowed[client];
                let more = (left / readers).min(pending(session) - 1).min(*allowed);
                *share += more;
                left -= more;
                *allowed -= more;
                readers -= 1;
            }
            served[client] += *share;
        }
        self.time.serve(&served);
        let mut tokens: heapless::Vec<Token, MAX_BATCH> = heapless::Vec::new();
        for (session, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0) {
            let Session {
                tokens: all,
                position,
                adapter,
                ..
            } = self.sessions[session];
            let history = model.tokenizing(arena, session).tokens;
            let ids = history.iter().enumerate().skip(position);
            for (position, &id) in ids.take(share) {
                // The shares add up to at most a batch.
                let _ = tokens.push(Token {
                    id,
                    session: session as u16,
                    position: position as u32,
                    logits: position + 1 == all,
                    adapter,
                });
            }
        }
        (self.next, self.first) = (next, (self.first + 1) % MAX_CLIENTS);
        (!tokens.is_empty()).then(|| model.begin(arena, &tokens))
    }

    /// Advances a batch by a step.
    fn advance(
        &mut self,
        mut batch: Batch,
        model: &Model,
        arena: &mut Arena<'_>,
        team: &mut impl Team,
    ) -> Progress {
        // Together they take as long for it as one worker for a step.
        let work = STEP_WORK.saturating_mul(team.workers() as u64);
        match model.advance(arena, team, &mut batch, work) {
            Ok(false) => self.batch = Some(batch),
            Ok(true) => self.collect(&batch, model, arena),
            Err(_) => return self.suspect(&batch, model, arena),
        }
        Progress::Working
    }

    /// Records the results of a batch.
    fn collect(&mut self, batch: &Batch, model: &Model, arena: &mut Arena<'_>) {
        let mut tokens = batch.tokens().peekable();
        while let Some((token, output)) = tokens.next() {
            let session = usize::from(token.session);
            self.computed += 1;
            self.suspects &= !(1 << session);
            let next = tokens.peek();
            if next.is_some_and(|(next, _)| next.session == token.session) {
                continue;
            }
            let position = token.position as usize + 1;
            self.sessions[session].position = position;
            model.publish(arena, session, self.sessions[session].origin(), position);
            // At most one per session.
            let _ = self.ready.push_back(Ready { session, output });
        }
    }

    /// Handles a non-finite value. In a batch of one session, the culprit is known.
    fn suspect(&mut self, batch: &Batch, model: &Model, arena: &mut Arena<'_>) -> Progress {
        let sessions = batch.tokens().map(|(token, _)| usize::from(token.session));
        let bits = sessions.fold(0u32, |bits, session| bits | 1 << session);
        if bits.count_ones() != 1 || batch.has_removed() {
            self.suspects |= bits;
            return Progress::Working;
        }
        let session = bits.trailing_zeros() as usize;
        self.withdraw(session);
        self.clear(session, model, arena);
        Progress::Session(session, Err(GenerateError::NonFinite))
    }
}

/// Writes the tokens of a text after the session's `history` tokens, and returns their number.
fn write_text(
    model: &Model,
    arena: &mut Arena<'_>,
    turn: &Turn,
    history: usize,
    text: &[u8],
) -> Result<usize, GenerateError> {
    check_bytes(text.len(), model)?;
    let vocabulary = *model.vocabulary();
    let workspace = model.tokenizing(arena, turn.session);
    let options = EncodeOptions {
        add_special: turn.fresh,
        parse_special: false,
        parse_user_defined: turn.user_defined,
    };
    let view = vocabulary.view(workspace.frozen.get(vocabulary.table()));
    let room = room_behind(workspace.tokens, history);
    let tokens = view.encode(text, options, workspace.cells, room)?;
    // Admission reserves by this bound before anything is tokenized. It is exceeded only if a space takes several
    // tokens, or if begin, end and a space are all added to a text of one token per byte.
    let limit = text.len().saturating_add(EXTRA_PROMPT_TOKENS);
    match tokens <= limit {
        true => Ok(tokens),
        false => Err(GenerateError::PromptTokens { tokens, limit }),
    }
}

/// Like [`write_text`], for a conversation in the model's chat template.
fn write_segments(
    model: &Model,
    arena: &mut Arena<'_>,
    turn: &Turn,
    history: usize,
    segments: &[Segment<'_>],
) -> Result<usize, GenerateError> {
    let template = model.loaded_template().ok_or(GenerateError::NoTemplate)?;
    let said = segments.iter().map(|segment| segment.text.len());
    check_bytes(said.fold(0, usize::saturating_add), model)?;
    let vocabulary = *model.vocabulary();
    let workspace = model.tokenizing(arena, turn.session);
    let scaffold = template.scaffold(&workspace.frozen);
    let scaffold = scaffold.ok_or(GenerateError::NoTemplate)?;
    let view = vocabulary.view(workspace.frozen.get(vocabulary.table()));
    let last = workspace.tokens[..history].last();
    let conversation = Conversation {
        segments,
        place: last.map_or(Place::Beginning, |&last| Place::Behind { last }),
        user_defined: turn.user_defined,
    };
    let buffers = Buffers {
        text: workspace.text,
        cells: workspace.cells,
        out: room_behind(workspace.tokens, history),
    };
    Ok(scaffold.encode(&view, template.bound(), &conversation, buffers)?)
}

/// Like [`write_text`], for given token ids.
fn write_tokens(
    model: &Model,
    arena: &mut Arena<'_>,
    turn: &Turn,
    history: usize,
    ids: &[u32],
) -> Result<usize, GenerateError> {
    let vocabulary = model.config().vocabulary;
    let room = room_behind(model.tokenizing(arena, turn.session).tokens, history);
    let (tokens, limit) = (ids.len(), room.len());
    match room.get_mut(..tokens) {
        Some(place) if ids.iter().all(|&id| (id as usize) < vocabulary) => {
            place.copy_from_slice(ids);
            Ok(tokens)
        }
        _ => Err(GenerateError::PromptTokens { tokens, limit }),
    }
}

/// Where a prompt goes; one place is left after it for the first generated token.
fn room_behind(tokens: &mut [u32], history: usize) -> &mut [u32] {
    let end = tokens.len().saturating_sub(1);
    &mut tokens[history.min(end)..end]
}

/// Refuses texts that are longer than the model was loaded for.
fn check_bytes(bytes: usize, model: &Model) -> Result<(), GenerateError> {
    let limit = model.max_prompt_bytes();
    match bytes <= limit {
        true => Ok(()),
        false => Err(GenerateError::PromptBytes { bytes, limit }),
    }
}

/// A prompt that does not fit after the session's contents means that the context is full.
fn too_long(error: GenerateError, history: usize, context: usize) -> GenerateError {
    match error {
        GenerateError::PromptTokens { tokens, .. } if history > 0 => GenerateError::ContextFull {
            tokens: history + tokens,
            limit: context,
        },
        error => error,
    }
}
