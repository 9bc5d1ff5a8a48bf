//! How the clients of an engine share its cache and its time, so that none can starve another.
//!
//! *Cache.* A client is *present* if one of its sessions holds positions or waits for some. Its *part* is the cache
//! divided by the number of clients present. A request within its client's part goes before all others. It takes what
//! it needs from clients that hold more than their parts: first the newest of their requests at work, each of which is
//! displaced in this way only once. What a client does not use is lent to the others. A client's only request at work
//! is never taken, however large. So a request within a part waits for at most one request of each other client, and
//! only if that is larger than a part. If every part holds a whole context there are no such requests, and no client
//! waits for another. A request larger than a part has no such guarantee: it begins when those within their parts leave
//! it room.
//!
//! *Time* is what the model spends on the tokens of a client ([`Time`]).
//!
//! Neither depends on what a client says about itself, and neither affects any text: keys and values are a function of
//! the tokens, and a request that loses them has them recomputed at its own expense.

use super::MAX_CLIENTS;
use crate::kv_cache::BLOCK_POSITIONS;
use crate::transformer::MAX_SESSIONS;

/// State of a session's request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is no request.
    #[default]
    Idle,
    /// It has room in the cache, and credit.
    AtWork,
    /// It has room in the cache, but no credit.
    Resting,
    /// It has credit but no room, and this place in the queue, from 0.
    Queued(usize),
    /// It has neither.
    Out,
}

/// What matters about a session for sharing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    /// Its client.
    pub(super) client: usize,
    /// Positions of the cache that it holds, in whole blocks.
    pub(super) positions: usize,
    pub(super) standing: Standing,
    /// When it became idle or began to rest; only increases.
    pub(super) since: u64,
    /// When its request began.
    pub(super) began: u64,
    /// Set if its request was at work beyond its client's part and lost its room: that part.
    pub(super) displaced: Option<usize>,
    /// Positions for the whole turn of a queued request, in whole blocks; 0 for others.
    pub(super) wanted: usize,
}

/// The next action on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The request of this session now has room.
    Begin(usize),
    /// Take the blocks of this session; they are recomputed when its request has room.
    Take(usize),
    /// Do the same to a session at work that is beyond its client's part.
    Displace {
        /// The session.
        session: usize,
        /// Positions that its client may have at work before it begins again.
        part: usize,
    },
    /// Evict this idle session.
    Evict(usize),
    /// No request can begin until a request at work ends. There is one.
    Wait,
}

/// How much each client holds.
struct Shares<'a> {
    sessions: &'a [Holding; MAX_SESSIONS],
    cache: usize,
    part: usize,
    at_work: [usize; MAX_CLIENTS],
    all: [usize; MAX_CLIENTS],
}

impl<'a> Shares<'a> {
    fn new(sessions: &'a [Holding; MAX_SESSIONS], cache: usize) -> Self {
        let (mut at_work, mut all) = ([0; MAX_CLIENTS], [0; MAX_CLIENTS]);
        let mut present = [false; MAX_CLIENTS];
        for session in sessions {
            all[session.client] += session.positions;
            if session.standing == Standing::AtWork {
                at_work[session.client] += session.positions;
            }
            present[session.client] |= session.positions > 0 || session.wanted > 0;
        }
        let present = present.iter().filter(|&&present| present).count().max(1);
        Self {
            sessions,
            cache,
            part: cache / BLOCK_POSITIONS / present * BLOCK_POSITIONS,
            at_work,
            all,
        }
    }

    /// Whether the request and what its client has at work fit the client's part.
    fn is_within(&self, request: &Holding) -> bool {
        self.at_work[request.client] + request.wanted <= self.part
    }

    /// Whether its client has nothing else at work.
    fn is_only(&self, request: &Holding) -> bool {
        self.at_work[request.client] == 0
    }

    /// Whether it may take what others hold beyond their parts.
    fn is_due(&self, request: &Holding) -> bool {
        self.is_only(request) || self.is_within(request)
    }

    fn has_too_much(&self, client: usize) -> bool {
        self.all[client] > self.part
    }

    /// The next request to serve: the first of its client. Requests within their parts go first, then those that are
    /// all their clients have, then the others. Ties go to the client with the least at work.
    fn first(&self) -> Option<usize> {
        let place = |n: usize| match self.sessions[n].standing {
            Standing::Queued(place) => Some(place),
            _ => None,
        };
        let first_of = |client: usize| {
            (0..MAX_SESSIONS)
                .filter(|&n| self.sessions[n].client == client)
                .filter_map(|n| Some((place(n)?, n)))
                .min()
        };
        // A displaced request waits until it fits the part that it lost its room to, even if the other client has left
        // meanwhile, because that client might come back again and again. There is older work of its own client to wait
        // for.
        let may_begin = |&(_, n): &(usize, usize)| {
            let request = &self.sessions[n];
            let all = self.at_work[request.client] + request.wanted;
            self.is_only(request) || request.displaced.is_none_or(|part| all <= part)
        };
        (0..MAX_CLIENTS)
            .filter_map(first_of)
            .filter(may_begin)
            .min_by_key(|&(place, n)| {
                let request = &self.sessions[n];
                let (within, only) = (self.is_within(request), self.is_only(request));
                (!within, !only, self.at_work[request.client], place)
            })
            .map(|(_, n)| n)
    }

    /// The newest requests at work that a request may displace, one bit per session.
    fn surplus(&self, request: &Holding) -> u32 {
        let mut surplus = 0;
        if !self.is_within(request) {
            return surplus;
        }
        let newest_of = |client: usize, but: u32| {
            (0..MAX_SESSIONS)
                .filter(|&n| self.sessions[n].client == client && but & bit(n) == 0)
                .filter(|&n| self.sessions[n].standing == Standing::AtWork)
                .max_by_key(|&n| self.sessions[n].began)
        };
        for client in (0..MAX_CLIENTS).filter(|&client| client != request.client) {
            let mut kept = self.at_work[client];
            while kept > self.part
                && let Some(newest) = newest_of(client, surplus)
                && newest_of(client, surplus | bit(newest)).is_some()
            {
                surplus |= bit(newest);
                kept -= self.sessions[newest].positions;
            }
        }
        surplus
    }

    /// The action that makes room for the request of `first`.
    fn make_room(&self, first: usize) -> Admission {
        let request = &self.sessions[first];
        let due = self.is_due(request);
        let surplus = self.surplus(request);
        let own_is_too_much =
            self.all[request.client] - request.positions + request.wanted > self.part;
        // First from clients that hold too much, then from its own; from all if its client has nothing at work. For a
        // request that is neither due nor within its part, others give up only resting requests beyond their parts.
        let only = self.is_only(request);
        for (from_own, from_all) in [(own_is_too_much, false), (true, false), (true, only)] {
            let may_take = |n: usize| {
                let session = &self.sessions[n];
                match session.standing {
                    Standing::AtWork => surplus & bit(n) != 0,
                    _ if session.client == request.client => from_own,
                    Standing::Resting if self.has_too_much(session.client) => true,
                    _ => from_all || (due && self.has_too_much(session.client)),
                }
            };
            let left = self.cache.saturating_sub(request.wanted);
            if self.positions(|n| n != first && !may_take(n)) <= left {
                return self.take_one(first, left, may_take);
            }
        }
        Admission::Wait
    }

    /// Takes from one of the allowed sessions. Waiting and idle sessions go before those whose requests have begun,
    /// unless they do not have enough.
    fn take_one(&self, first: usize, left: usize, may_take: impl Fn(usize) -> bool) -> Admission {
        let is = |n: usize, standing| self.sessions[n].standing == standing;
        let has_begun = |n: usize| is(n, Standing::AtWork) || is(n, Standing::Resting);
        let takeable = || {
            (0..MAX_SESSIONS)
                .filter(|&n| n != first && self.sessions[n].positions > 0 && may_take(n))
        };
        let since = |n: &usize| self.sessions[*n].since;
        if self.positions(|n| n != first && (has_begun(n) || !may_take(n))) > left {
            let resting = takeable().filter(|&n| is(n, Standing::Resting));
            let at_work = takeable().filter(|&n| is(n, Standing::AtWork));
            if let Some(longest) = resting.min_by_key(since) {
                return Admission::Take(longest);
            }
            let began = |n: &usize| self.sessions[*n].began;
            if let Some(newest) = at_work.max_by_key(began) {
                let part = self.part;
                return Admission::Displace {
                    session: newest,
                    part,
                };
            }
        }
        let idle = takeable().filter(|&n| is(n, Standing::Idle));
        if let Some(longest) = idle.min_by_key(since) {
            return Admission::Evict(longest);
        }
        // The one that would be served last.
        let place = |n: &usize| match self.sessions[*n].standing {
            Standing::Queued(place) => place,
            _ => usize::MAX,
        };
        let waiting = takeable().filter(|&n| !has_begun(n)).max_by_key(place);
        waiting.map_or(Admission::Wait, Admission::Take)
    }

    /// Positions held by the sessions selected.
    fn positions(&self, which: impl Fn(usize) -> bool) -> usize {
        let held = |n: usize| self.sessions[n].positions;
        (0..MAX_SESSIONS).filter(|&n| which(n)).map(held).sum()
    }
}

/// The next action on the queue; `None` if the queue is empty. `cache`: positions that all sessions share.
pub(super) fn admission(sessions: &[Holding; MAX_SESSIONS], cache: usize) -> Option<Admission> {
    let shares = Shares::new(sessions, cache);
    let first = shares.first()?;
    let wanted = sessions[first]
        .wanted
        .saturating_sub(sessions[first].positions);
    let free = cache.saturating_sub(shares.positions(|_| true));
    Some(match wanted <= free {
        true => Admission::Begin(first),
        false => shares.make_room(first),
    })
}

fn bit(session: usize) -> u32 {
    1 << session
}

const _: () = assert!(MAX_SESSIONS <= 32);

/// Cost of a token in units of engine time. A batch, which its clients share, costs as much again.
const TOKEN: u64 = 12;

/// Tokens that a client gets at once if it has that many, unless it is the one that is behind. Fewer would make a
/// prompt as slow as one batch per token.
const CHUNK: usize = 8;

/// How far a client may be ahead of another.
pub(super) const LEAD: u64 = 16 * TOKEN;

/// The engine's time: what went through the model for each client.
///
/// Clients that have work get equal time, within [`LEAD`]. A token in a shared batch takes about as long as a batch's
/// fixed cost, so a batch counts as one extra token, divided among its clients. A client gets no compensation for time
/// in which it had no work. A client that is alone has the engine to itself.
#[derive(Debug)]
pub(super) struct Time {
    served: [u64; MAX_CLIENTS],
    /// The least that a client with work had been served.
    now: u64,
    /// Which clients had work.
    active: [bool; MAX_CLIENTS],
}

impl Time {
    pub(super) const fn new() -> Self {
        Self {
            served: [0; MAX_CLIENTS],
            now: 0,
            active: [false; MAX_CLIENTS],
        }
    }

    /// For each client, how many tokens the next batch may have. If any client has work, one of them gets at least one.
    /// `pending`: tokens that each client has to process.
    pub(super) fn allowances(&mut self, pending: &[usize; MAX_CLIENTS]) -> [usize; MAX_CLIENTS] {
        let before = self.least_served().unwrap_or(self.now);
        self.active = pending.map(|pending| pending > 0);
        for (served, active) in self.served.iter_mut().zip(self.active) {
            // A client that starts now begins level with the others.
            if active {
                *served = before.max(*served);
            }
        }
        self.now = self.least_served().unwrap_or(before);
        let mut allowed = [usize::MAX; MAX_CLIENTS];
        if self.active.iter().filter(|&&active| active).count() > 1 {
            for ((allowed, served), &pending) in allowed.iter_mut().zip(self.served).zip(pending) {
                *allowed = ((self.now + LEAD).saturating_sub(served) / TOKEN) as usize;
                if *allowed < pending.min(CHUNK) {
                    *allowed = 0;
                }
            }
        }
        allowed
    }

    /// Accounts for a batch with these numbers of tokens per client.
    pub(super) fn serve(&mut self, tokens: &[usize; MAX_CLIENTS]) {
        let clients = tokens.iter().filter(|&&tokens| tokens > 0).count() as u64;
        for (served, &tokens) in self.served.iter_mut().zip(tokens) {
            if tokens > 0 {
                *served += tokens as u64 * TOKEN + TOKEN / clients;
            }
        }
    }

    fn least_served(&self) -> Option<u64> {
        let served = self.served.iter().zip(self.active);
        served
            .filter(|(_, active)| *active)
            .map(|(served, _)| *served)
            .min()
    }
}

#[cfg(test)]
mod tests;
