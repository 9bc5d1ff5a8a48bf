//! Requests for text: their admission and their credit.

use super::*;
use crate::model::{ENTRY, Live, Place, Stage, State, Stop, Text, Tune, Waiting, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::name::{FormatName, ModelName, SessionName};
use protocol::policy::{FormatRule, Permission};
use protocol::record::Kind;
use protocol::wire::engine::Command;
use protocol::wire::{InferParams, Parts};

use crate::formats::{Answer, sha256_of};

impl Judge<'_> {
    /// The place of a request for text, if it is admitted.
    pub(super) fn may_infer(
        &mut self,
        client: usize,
        id: u32,
        params: InferParams,
        (session, adapter, format): (SessionName, ModelName, FormatName),
        parts: &Parts<'_>,
    ) -> Result<(Place, Option<(u32, Hash)>), Failure> {
        self.require(client, Permission::Infer)?;
        self.require_running()?;
        self.require_new(client, id)?;
        self.has_place(client)?;
        parts.check()?;
        params.check()?;
        let (most, of_user) = self
            .role(client)
            .map_or((0, 0), |role| (role.max_tokens, role.max_sessions as usize));
        if params.max_tokens > most {
            let (value, limit) = (u64::from(params.max_tokens), u64::from(most));
            return Err(Failure::over(ErrorCode::MaxTokens, value, limit));
        }
        self.may_answer(client, format, parts)?;
        if self.model.loads_for_client() {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        if self.model.current.is_none() {
            return Err(Failure::of(ErrorCode::NoModel));
        }
        let is_alone =
            |tune: &Tune| tune.stage == Stage::Training && tune.progress.is_some_and(|it| it.alone);
        if self.model.tune().is_some_and(|(_, tune)| is_alone(tune)) {
            return Err(Failure::of(ErrorCode::Training));
        }
        self.has_room(client)?;
        let named = self.adapter_named(adapter)?;
        let identity = self.model.clients[client].identity;
        let (user, of_client) = identity.map_or((0, 0), |it| (it.user, it.sessions));
        let owner = (client, user);
        let place = self
            .model
            .sessions
            .place(owner, session, of_user, of_client)?;
        let adapter = match &place {
            Place::On(slot) => {
                let session = self.model.sessions.present.get(slot);
                let began = session.and_then(|session| session.adapter);
                if named.is_some() && named != began {
                    return Err(Failure::of(ErrorCode::OtherAdapter));
                }
                began
            }
            _ => named,
        };
        let tokens = u64::from(Self::most(parts)) + u64::from(params.max_tokens);
        let now = self.now;
        if let Some(ledger) = self.model.ledgers.get_mut(user) {
            ledger.roll(now);
            if tokens > ledger.left() {
                let left = ledger.left();
                return Err(Failure::over(ErrorCode::QuotaExceeded, tokens, left));
            }
        }
        let begins = !matches!(place, Place::On(_)) && !session.is_empty();
        // A session that begins with a name can be evicted once.
        let eviction = if begins { ENTRY } else { 0 };
        self.take_share(client, self.share_of(parts.as_bytes()) + eviction)?;
        Ok((place, adapter))
    }

    fn share_of(&self, prompt: &[u8]) -> u64 {
        let keeps = self
            .model
            .policy
            .is_ok_and(|policy| policy.keep_prompts == 1);
        ENTRIES[0] * ENTRY + if keeps { prompt.len() as u64 } else { 0 }
    }

    /// Limit of the prompt's tokens: one per byte, two more, and those of the template, which is the same for all
    /// models here.
    fn most(parts: &Parts<'_>) -> u32 {
        let segments: Vec<_> = parts.segments().collect();
        let bytes: usize = segments.iter().map(|segment| segment.text.len()).sum();
        let info = crate::acts::model_info();
        let added = match parts.completion() {
            Some(_) => 0,
            None => info.fixed_tokens + segments.len() as u32 * info.segment_tokens,
        };
        bytes as u32 + 2 + added
    }

    /// The formats that a client may use: by the client's rule and by its user's role.
    pub(super) fn rules(&self, client: usize) -> [FormatRule; 2] {
        let none = FormatRule::NONE.with_must();
        let identity = self.model.clients[client].identity;
        let of_role = self.role(client).map_or(none, |role| role.formats);
        [of_role, identity.map_or(none, |identity| identity.formats)]
    }

    /// Whether a client must use a format, and so is told nothing else that inference chooses.
    pub(super) fn is_bound(&self, client: usize) -> bool {
        self.rules(client).iter().any(|rule| rule.must_use())
    }

    /// Whether this format, or none, is allowed for an answer.
    fn may_answer(
        &self,
        client: usize,
        format: FormatName,
        parts: &Parts<'_>,
    ) -> Result<(), Failure> {
        let refused = |code| Err(Failure::of(code));
        let rules = self.rules(client);
        let has_choices = parts.choices().next().is_some();
        if !format.is_empty() {
            let mut formats = self.model.formats.iter();
            let place = formats.position(|listed| listed.name == format);
            return match place {
                _ if has_choices => refused(ErrorCode::FormatAndChoices),
                _ if parts.stops().next().is_some() => refused(ErrorCode::FormatAndStops),
                None => refused(ErrorCode::UnknownFormat),
                Some(place) if rules.iter().all(|rule| rule.allows(place)) => Ok(()),
                Some(_) => refused(ErrorCode::FormatNotAllowed),
            };
        }
        if has_choices {
            return match rules.iter().all(|rule| rule.allows_choices()) {
                true => parts.allowed().map(drop),
                false => refused(ErrorCode::FormatNotAllowed),
            };
        }
        match self.is_bound(client) {
            true => refused(ErrorCode::FormatNeeded),
            false => Ok(()),
        }
    }

    /// The format of a request in records and commands: its name, hash and number.
    fn format_of(&self, format: FormatName, parts: &Parts<'_>) -> ((FormatName, Hash), u32) {
        let mut formats = (1..).zip(self.model.formats);
        if let Some((number, listed)) = formats.find(|(_, listed)| listed.name == format) {
            return ((format, listed.sha256), number);
        }
        match parts.choices().next() {
            Some(_) => {
                let name = FormatName::new("choices").unwrap_or_default();
                ((name, sha256_of(parts)), 0)
            }
            None => ((FormatName::EMPTY, [0; 32]), 0),
        }
    }

    pub(super) fn admitted(
        &mut self,
        client: usize,
        id: u32,
        params: InferParams,
        (name, format): (SessionName, FormatName),
        parts: Parts<'_>,
        (place, adapter): (Place, Option<(u32, Hash)>),
    ) -> Held {
        self.figures.comparisons += 1;
        let prompt = parts.as_bytes();
        let (named, format_number) = self.format_of(format, &parts);
        let number = self.model.last_number + 1;
        let sent = match self.seen.front() {
            Some(Seen::Sent(Ring::Inference, message)) if message.request == number => message,
            _ if self.inference.free == 0 => {
                return broken(
                    Claim::Parts,
                    format!("client {client} finds inference's ring full within its part of it"),
                );
            }
            other => {
                return broken(
                    Claim::Refusals,
                    format!("{id} of client {client} must be admitted, but next comes {other:?}"),
                );
            }
        };
        let frame = sent.frame();
        let slot = match Command::parse(&frame) {
            Ok(Command::Infer { session, .. }) => session,
            other => return broken(Claim::Answers, format!("{other:?}")),
        };
        let right = match &place {
            Place::On(at) => slot == *at,
            Place::Free => !self.model.sessions.present.contains_key(&slot),
            Place::InsteadOf(slots) => slots.contains(&slot),
        };
        claim!(self, Sessions, right, "slot {slot} for {place:?}");
        self.works(prompt.len());
        let credit = params.max_tokens.min(self.model.bucket.window);
        let command = Command::Infer {
            params,
            session: slot,
            client: client as u32,
            user: self.model.clients[client].user() as u32,
            fresh: !matches!(place, Place::On(_)),
            keep: !name.is_empty(),
            credit,
            adapter: adapter.map_or(0, |(place, _)| place + 1),
            format: format_number,
            user_defined: self
                .model
                .policy
                .is_ok_and(|policy| policy.user_defined == 1),
            parts,
        };
        self.model.last_number = number;
        self.commands(Some(client), number, &command, Claim::Answers)?;
        if let Place::InsteadOf(_) = place {
            let ended = self.model.sessions.end(slot, ErrorCode::SessionEvicted);
            self.evicted(ended)?;
        }
        let user = self.model.clients[client].user();
        let owner = (client, user);
        let (session, turn) = self
            .model
            .sessions
            .begin(slot, owner, name, adapter, self.now);
        let text = Text {
            slot,
            session,
            turn,
            params,
            adapter,
            prompt_bytes: prompt.len() as u32,
            prompt_sha256: Sha256::digest(prompt).into(),
            counts: (
                parts
                    .completion()
                    .map_or(parts.segments().count() as u32, |_| 0),
                parts.stops().count() as u32,
            ),
            most_prompt: Self::most(&parts),
            format: named,
            answer: Answer::of(format, &parts),
            all: Vec::new(),
            shown: 0,
            tokens: 0,
            handed_on: 0,
            waiting: Waiting::default(),
            credit,
            output: Sha256::new(),
            first_us: None,
            held_before_us: self.model.bucket.held_us(self.now),
            cancelled: false,
            stop: Stop::No,
        };
        let policy = self.model.policy.ok();
        let allowed = policy.map_or(0, |policy| policy.deadline_us);
        let live = Live {
            client: Some(client),
            id: Some(id),
            user,
            share: self.share_of(prompt),
            work: Work::Text(Box::new(text)),
            admitted_us: self.now,
            deadline_us: self.now + allowed,
            state: State::Active,
        };
        self.model.live.insert(number, live);
        let most = u64::from(Self::most(&parts)) + u64::from(params.max_tokens);
        let (record, kept) = self.record_of(Kind::Admit, number)?;
        let reserved = record.value;
        claim!(
            self,
            Log,
            reserved == most,
            "{number} reserves {most}, its record says {reserved}"
        );
        let keeps = policy.is_some_and(|policy| policy.keep_prompts == 1);
        claim!(
            self,
            Log,
            kept == if keeps { prompt } else { &[] },
            "a prompt of {} bytes is kept as {}",
            prompt.len(),
            kept.len()
        );
        if let Some(ledger) = self.model.ledgers.get_mut(user) {
            ledger.reserve(number, most);
        }
        self.model.counts.admitted += 1;
        self.figures.admitted += 1;
        let answer = Answer::of(format, &parts);
        self.figures.bound += u64::from(answer.is_bound());
        self.model.note_busy(self.now);
        Ok(())
    }

    /// Checks the credit for inference: no more than was asked for, no more than the window ahead of a client, and not
    /// one token at a time. A request that is paused although its client has taken everything gets more.
    pub(super) fn credit_is_granted(&mut self) -> Held {
        while let Some(Seen::Sent(Ring::Inference, message)) = self.seen.front() {
            let number = message.request;
            let frame = message.frame();
            let Ok(Command::Credit { tokens }) = Command::parse(&frame) else {
                return broken(Claim::Answers, format!("inference is told {message:?}"));
            };
            let window = self.model.bucket.window;
            let text = self.model.live.get(&number).and_then(Live::text);
            let Some((text, most)) = text.map(|text| (text.clone(), text.params.max_tokens)) else {
                return broken(Claim::Credit, format!("{number} is not a request for text"));
            };
            claim!(
                self,
                Credit,
                text.stop == Stop::No,
                "{number} must stop, but gets credit"
            );
            claim!(
                self,
                Credit,
                tokens > text.credit && tokens <= most && tokens <= text.handed_on + window,
                "{number} gets credit for {tokens}, after {}, with {} of {most} handed on, and a window of {window}",
                text.credit,
                text.handed_on
            );
            claim!(
                self,
                Credit,
                tokens == most || 2 * (tokens - text.credit) >= window,
                "{number} gets credit for {tokens}, after {}",
                text.credit
            );
            let command = Command::Credit { tokens };
            self.commands(None, number, &command, Claim::Credit)?;
            self.figures.grants += 1;
            if let Some(text) = self.model.live.get_mut(&number).and_then(Live::text_mut) {
                text.credit = tokens;
            }
        }
        let room = self.has_own_room();
        for (number, live) in &self.model.live {
            let Some(text) = live.text() else {
                continue;
            };
            self.figures.comparisons += 1;
            let rests = text.credit == text.handed_on && text.credit < text.params.max_tokens;
            if rests && text.stop == Stop::No && room {
                return broken(
                    Claim::Credit,
                    format!(
                        "{number} is paused, although its client has taken everything: {text:?}"
                    ),
                );
            }
        }
        Ok(())
    }
}
