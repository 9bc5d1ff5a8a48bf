//! The client's behaviour: it sends requests, stops reading and sends garbage at random, and keeps accounts.
//!
//! It works in *turns* of [`REQUESTS`] requests for text. Between turns it only asks for its own
//! budget. A turn begins when somebody has changed the budget's limit, so the soak decides when, and what is logged
//! between turns belongs to no client. Its accounts are debug output, line by line:
//!
//! ```text
//! end TAG KIND CODE PROMPT GENERATED TURN TOKENS BYTES SHA256     a request has ended
//! turn NUMBER ASKED CANCELS GARBAGE ANSWERED INDICES STOPS MALFORMED UNEXPECTED     a turn is over, with all totals
//! wrong TEXT                                                      something impossible
//! ```
//!
//! TAG is the request's seed, which is unique for the client, so the request can be found in the audit log. KIND is
//! `finished`, `failed` or `lost`. TOKENS, BYTES and SHA256 describe the text that arrived. ANSWERED is the number of
//! garbage messages that audit answers.
//!
//! After the lock-down the process cannot allocate, so everything here has its final size.

use crate::noise::{Noise, Noisy};
use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use sel4_llm_client::region::{ReadWords, WriteWords};
use sel4_llm_client::{
    BudgetChange, Client, Event, Inbox, Incoming, Infer, Notice, RequestId, Sampling, SessionName,
    SubmitError, UserName,
};
use sha2::{Digest as _, Sha256};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// Requests for text in a turn; must equal the constant in tests/src/books.rs.
const REQUESTS: u32 = 60;
/// The limit in the policy. It does not start a turn.
const LIMIT_AT_BOOT: u64 = 1_000_000_000;
/// Most requests for text in flight: more than the policy allows.
const MOST_OPEN: usize = 9;
/// Position of a ring's indices in a region: see `docs/protocol.md`.
const HEAD_WORD: usize = 2;
const TAIL_WORD: usize = 3;

/// Services of the runtime.
pub trait Port {
    /// Tells audit to look at its rings.
    fn notify_audit(&mut self);
    /// Debug output.
    fn say(&mut self, line: fmt::Arguments<'_>);
    /// Does nothing for a while, whatever arrives.
    fn sleep(&mut self, time: Duration);
}

/// A request for text in flight.
struct Open {
    request: RequestId,
    tag: u64,
    tokens: u64,
    bytes: u64,
    text: Sha256,
}

/// Totals of all turns.
#[derive(Default)]
struct Sums {
    asked: u64,
    cancels: u64,
    garbage: u64,
    /// How many of them audit answers.
    answered: u64,
    indices: u64,
    stops: u64,
}

/// The client; see the module.
pub struct Soak<R, W> {
    client: Client<'static, R, Noisy<W>>,
    noise: Rc<Cell<Noise>>,
    /// Its own region, to write impossible indices.
    indices: W,
    inbox: Box<Inbox>,
    chance: Xoshiro256PlusPlus,
    /// Seed of the turns, so that two clients behave differently.
    own: u64,
    open: Vec<Open>,
    /// Limit of requests in flight at the moment.
    wanted: usize,
    /// Requests of this turn that are still to be sent; `None` between turns.
    left: Option<u32>,
    turns: u64,
    limit: u64,
    /// The pending question about the budget.
    question: Option<RequestId>,
    sums: Sums,
    /// Whether a request was refused: then there is no hurry to send another.
    was_refused: bool,
    is_ready: bool,
}

impl<R: ReadWords, W: WriteWords> Soak<R, W> {
    /// A client with this name, the handle of its region's noise, and that region.
    pub fn new(
        name: &str,
        client: Client<'static, R, Noisy<W>>,
        noise: Rc<Cell<Noise>>,
        indices: W,
    ) -> Self {
        let own = name.bytes().fold(7, |sum: u64, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        Self {
            client,
            noise,
            indices,
            inbox: Box::new(Inbox::new()),
            chance: Xoshiro256PlusPlus::seed_from_u64(own),
            own,
            open: Vec::with_capacity(MOST_OPEN),
            wanted: 1,
            left: None,
            turns: 0,
            limit: LIMIT_AT_BOOT,
            question: None,
            sums: Sums::default(),
            was_refused: false,
            is_ready: false,
        }
    }

    /// Audit has signalled.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        self.read(port);
        if self.is_ready {
            match self.left {
                None => self.rest(port),
                Some(left) => self.ask(left, port),
            }
        }
        self.signal(port);
    }

    fn signal(&mut self, port: &mut impl Port) {
        if self.client.take_owed_signal() {
            port.notify_audit();
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        // The bias of the remainder of a 64-bit number does not matter here.
        self.chance.next_u64() % limit
    }

    // ---- Reading ----------------------------------------------------------------------------------

    fn read(&mut self, port: &mut impl Port) {
        loop {
            let Some(incoming) = self.client.poll(&mut self.inbox) else {
                return;
            };
            if matches!(incoming, Incoming::Notice(Notice::Ready(_))) {
                self.is_ready = true;
            }
            let request = incoming.request();
            if let Some(index) = self.open.iter().position(|o| Some(o.request) == request) {
                if let Some(open) = self.open.get_mut(index)
                    && let Incoming::Part { event, .. } = incoming
                {
                    match event {
                        Event::Text { tokens, text } => {
                            open.tokens += u64::from(tokens);
                            open.bytes += text.len() as u64;
                            open.text.update(text);
                        }
                        other => port.say(format_args!("wrong {other:?} as a part of text")),
                    }
                }
                if incoming.is_end() {
                    let open = self.open.swap_remove(index);
                    self.was_refused |= open.tokens == 0 && is_failure(&incoming);
                    tell(open, &incoming, port);
                }
            } else if request.is_some() && request == self.question {
                self.question = None;
                if let Incoming::Last {
                    event: Event::Budget(budget),
                    ..
                } = incoming
                    && budget.tokens != self.limit
                {
                    self.limit = budget.tokens;
                    self.begin();
                }
            }
            // Stops reading, for example with a half-full ring.
            self.stop(40, port);
        }
    }

    /// Once in this many calls, does nothing for a while: usually briefly, now and then for longer than a request may
    /// take.
    fn stop(&mut self, once_in: u64, port: &mut impl Port) {
        if self.left.is_none() || self.below(once_in) > 0 {
            return;
        }
        self.sums.stops += 1;
        let time = match self.below(200) {
            0..2 => 4_500,
            2..12 => self.below(500),
            _ => self.below(20),
        };
        self.signal(port);
        port.sleep(Duration::from_millis(time));
    }

    // ---- Asking -----------------------------------------------------------------------------------

    /// Starts a turn.
    fn begin(&mut self) {
        self.chance = Xoshiro256PlusPlus::seed_from_u64(self.own ^ self.limit.rotate_left(17));
        self.left = Some(REQUESTS);
        self.turns += 1;
    }

    /// Between turns: asks for its budget from time to time.
    fn rest(&mut self, port: &mut impl Port) {
        if self.question.is_none() {
            port.sleep(Duration::from_millis(5));
            let own = self.client.budget(UserName::EMPTY, BudgetChange::default());
            match own {
                Ok(request) => self.question = Some(request),
                // There is room for one message, because all others were answered.
                Err(error) => port.say(format_args!("wrong {error}")),
            }
        }
    }

    fn ask(&mut self, mut left: u32, port: &mut impl Port) {
        if left == REQUESTS && self.open.is_empty() && self.below(3) == 0 {
            self.write_indices(port);
        }
        if core::mem::take(&mut self.was_refused) {
            let time = 1 + self.below(8);
            port.sleep(Duration::from_millis(time));
        }
        while left > 0 && self.open.len() < self.wanted {
            if self.below(12) == 0 {
                self.send_garbage(port);
            }
            match self.infer() {
                Ok(()) => left -= 1,
                // Audit signals when it has read.
                Err(SubmitError::Full | SubmitError::TooManyInFlight) => break,
                Err(error) => {
                    port.say(format_args!("wrong {error}"));
                    break;
                }
            }
            self.wanted = 1 + self.below(MOST_OPEN as u64) as usize;
            self.stop(12, port);
        }
        self.left = Some(left);
        if self.below(10) == 0 {
            self.cancel();
        }
        if left == 0 && self.open.is_empty() {
            self.left = None;
            self.end_turn(port);
            self.rest(port);
        }
    }

    /// Sends a request for text. Its seed is its tag.
    fn infer(&mut self) -> Result<(), SubmitError> {
        const PROMPTS: [&str; 8] = [
            "Once upon a time",
            "One day",
            "The king said",
            "There was once a poor woodcutter",
            "Long ago, when wishes still helped,",
            "Ein M\u{e4}rchen: \u{732b}",
            "a b c d e f g h i j k l m n o p q r s t u v w x y z",
            " ",
        ];
        const SESSIONS: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
        let tag = self.sums.asked + 1;
        let prompt = PROMPTS[self.below(PROMPTS.len() as u64) as usize];
        let sampling = Sampling {
            seed: tag,
            temperature: self.below(3) as u32 * 700_000,
            // An invalid one, now and then.
            top_p: if self.below(50) == 0 {
                2_000_000
            } else {
                950_000
            },
            ..Sampling::default()
        };
        let tokens = if self.below(20) == 0 { 120 } else { 24 };
        let mut infer = Infer::new(prompt)
            .max_tokens(1 + self.below(tokens) as u32)
            .sampling(sampling);
        if self.below(10) < 4 {
            let name = SESSIONS[self.below(SESSIONS.len() as u64) as usize];
            infer = infer.session(SessionName::new(name).unwrap_or(SessionName::EMPTY));
        }
        let request = self.client.infer(&infer)?;
        self.sums.asked = tag;
        self.open.push(Open {
            request,
            tag,
            tokens: 0,
            bytes: 0,
            text: Sha256::new(),
        });
        Ok(())
    }

    /// Cancels one of its requests.
    fn cancel(&mut self) {
        let index = self.below(self.open.len().max(1) as u64) as usize;
        if let Some(open) = self.open.get(index) {
            self.client.cancel(open.request);
            self.sums.cancels += 1;
        }
    }

    // ---- Misdeeds ---------------------------------------------------------------------------------

    /// Sends an invalid message, without waiting for an answer.
    fn send_garbage(&mut self, port: &mut impl Port) {
        let noise = Noise::some(self.chance.next_u64());
        self.noise.set(noise);
        let sent = self.client.budget(UserName::EMPTY, BudgetChange::default());
        self.noise.set(Noise::None);
        if let Ok(request) = sent {
            self.sums.garbage += 1;
            self.sums.answered += u64::from(noise.is_answered());
            // A cancel is always answered, which ends it.
            self.client.abandon(request);
            self.signal(port);
        }
    }

    /// Claims to have sent or read an impossible number of messages, then takes that back. Messages in transit would be
    /// lost, so there are none; it is over when audit answers again.
    fn write_indices(&mut self, port: &mut impl Port) {
        self.sums.indices += 1;
        let (word, random) = match self.chance.next_u64() {
            random if random % 2 == 0 => (HEAD_WORD, random),
            random => (TAIL_WORD, random),
        };
        let honest = self.indices.load(word);
        // Usually in this epoch.
        let epoch = if random % 8 < 6 {
            honest >> 32 << 32
        } else {
            0
        };
        self.indices.publish(word, epoch ^ (random >> 32));
        port.notify_audit();
        port.sleep(Duration::from_millis(2));
        self.indices.publish(word, honest);
        port.notify_audit();
        for _ in 0..1_000 {
            let Ok(ping) = self.client.who_am_i() else {
                port.sleep(Duration::from_millis(2));
                self.read(port);
                continue;
            };
            self.signal(port);
            for _ in 0..10 {
                port.sleep(Duration::from_millis(2));
                while let Some(incoming) = self.client.poll(&mut self.inbox) {
                    if incoming.request() == Some(ping) && incoming.is_end() {
                        return;
                    }
                }
                self.signal(port);
            }
            self.client.abandon(ping);
            self.sums.cancels += 1;
        }
        port.say(format_args!("wrong audit does not answer any more"));
    }

    fn end_turn(&mut self, port: &mut impl Port) {
        let Sums {
            asked,
            cancels,
            garbage,
            answered,
            indices,
            stops,
        } = self.sums;
        let dropped = self.client.dropped();
        port.say(format_args!(
            "turn {} {asked} {cancels} {garbage} {answered} {indices} {stops} {} {}",
            self.turns, dropped.malformed, dropped.unexpected
        ));
    }
}

fn is_failure(incoming: &Incoming<'_>) -> bool {
    let Incoming::Last { event, .. } = incoming else {
        return false;
    };
    matches!(event, Event::Failed { .. })
}

/// The line for a request that is over.
fn tell(open: Open, incoming: &Incoming<'_>, port: &mut impl Port) {
    let (kind, code, prompt, generated, turn) = match *incoming {
        Incoming::Last { event, .. } => match event {
            Event::Finished(end) => (
                "finished",
                end.reason as u32,
                end.prompt_tokens,
                end.generated_tokens,
                end.turn,
            ),
            Event::Failed { failure, .. } => ("failed", failure.code as u32, 0, 0, 0),
            other => return port.say(format_args!("wrong {other:?} as an end of text")),
        },
        _ => ("lost", 0, 0, 0, 0),
    };
    let Open {
        tag,
        tokens,
        bytes,
        text,
        ..
    } = open;
    port.say(format_args!(
        "end {tag} {kind} {code} {prompt} {generated} {turn} {tokens} {bytes} {}",
        Hex(&text.finalize())
    ));
}

/// Bytes as hexadecimal digits.
struct Hex<'b>(&'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
