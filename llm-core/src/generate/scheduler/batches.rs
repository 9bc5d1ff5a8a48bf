//! Batches: which tokens go through the model together, and how their results are used.

use super::Scheduler;
use super::session::Session;
use crate::arena::Arena;
use crate::constrain::FormatTable;
use crate::generate::{GenerateError, MAX_CLIENTS, Progress, Step, Text};
use crate::team::Team;
use crate::transformer::{Batch, MAX_BATCH, MAX_SESSIONS, Model, STEP_WORK, Token};

/// A session that a batch has advanced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) session: usize,
    /// Index of its logits in the batch; `None` if its prompt continues.
    pub(super) output: Option<usize>,
}

impl Scheduler {
    pub(super) fn bring(
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
    pub(super) fn fill(&mut self, model: &Model, arena: &mut Arena<'_>) -> Option<Batch> {
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
    pub(super) fn advance(
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
