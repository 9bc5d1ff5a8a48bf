//! The attacks of the hostile client.

use super::{End, Mallory, end_of, infer, no_parts};
use crate::{Forger, Ground, Say, memory, place};
use core::fmt::Write as _;
use protocol::VERSION;
use protocol::error::ErrorCode;
use protocol::limits::MAX_PROMPT_BYTES;
use protocol::name::{ModelName, Nonce, SessionName, UserName};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::SLOTS;
use protocol::wire::client::{BudgetChange, Event, LogQuery, Request};

/// Duration of an attack without a natural end, in microseconds: long enough for several requests of the honest client,
/// even on an emulated board.
const LASTS_US: u64 = 12_000_000;
/// Time for audit to look at forged data: in the simulation it is another process.
const LOOK_US: u64 = 200_000;
/// Longest wait for the first token of one of many requests.
const BEGINS_US: u64 = 1_000_000;
/// Number of requests for text: more than it may have at once (`requests` in the policy).
const MANY: usize = 12;
/// The longest text that the role allows.
const LONGEST: u32 = 512;
/// The name of the honest client's session.
const HONEST_SESSION: &str = "diary";
const STORY: &[u8] = b"Once upon a time";

static LONG_PROMPT: [u8; MAX_PROMPT_BYTES] = [b'a'; MAX_PROMPT_BYTES];

impl<R: ReadWords, W: WriteWords, G: Ground> Mallory<'_, R, W, G> {
    /// Makes the attack with this name.
    pub(super) fn perform(&mut self, name: &str, say: &mut Say) {
        let Some(name) = name.strip_prefix("mallory-") else {
            let _ = write!(say, "UNKNOWN");
            return;
        };
        match name {
            "flood-garbage" => self.flood_garbage(say),
            "log-in" => self.log_in(say),
            "change-budgets" => self.change_budgets(say),
            "read-log" => self.read_log(say),
            "load-and-reset" => {
                let name = ModelName::new("tiny").unwrap_or_default();
                self.try_all(&[Request::Load { name }, Request::Reset], say);
            }
            "halt" => self.try_all(&[Request::Halt], say),
            "take-session" => self.take_session(say),
            "cancel-others" => self.cancel_others(say),
            "storm-signals" => {
                let until = self.until();
                let mut signals = 0_u64;
                while self.ground.now_us() < until {
                    self.ground.notify_audit();
                    signals += 1;
                }
                let _ = write!(say, "signalled {signals} times");
            }
            "spin" => {
                self.rest(LASTS_US);
                let _ = write!(say, "spun for {} s", LASTS_US / 1_000_000);
            }
            "ask-state" => self.ask_state(say),
            "never-read" => self.never_read(say),
            "never-read-lists" => self.never_read_lists(say),
            "take-all-parts" => self.take_all_parts(say),
            "use-up-engine" => self.use_up_engine(say),
            "flood-prompts" => self.flood_prompts(say),
            "read-shell-ring" => memory::read(place::SHELL_RING, say),
            "write-shell-ring" => memory::write(place::SHELL_RING + 16, say),
            "read-shell-events" => memory::read(place::SHELL_EVENTS, say),
            "write-own-events" => memory::write(place::MALLORY_EVENTS + 16, say),
            "read-behind-its-ring" => memory::read(place::MALLORY_RING + 0x23000, say),
            "write-inference-ring" => memory::write(place::OWN_RING + 16, say),
            "read-arena" => memory::read(place::ARENA, say),
            "read-store" => memory::read(place::STORE, say),
            "read-adapters" => memory::read(place::ADAPTERS, say),
            "read-formats" => memory::read(place::FORMATS, say),
            "write-audit-log" => memory::write(place::AUDIT_LOG + 8, say),
            "read-policy" => memory::read(place::POLICY, say),
            "write-device" => memory::write(place::DEVICE + 8, say),
            "execute-ring" => memory::execute(place::MALLORY_RING + 0x22ff8, true, say),
            _ if self.forge(name) => {
                let _ = write!(say, "forged");
            }
            _ => {
                if !self.ground.perform(name, say) {
                    let _ = write!(say, "UNKNOWN");
                }
            }
        }
    }

    fn until(&mut self) -> u64 {
        self.ground.now_us().saturating_add(LASTS_US)
    }

    // ---- Its ring ---------------------------------------------------------------------------------

    /// Forges its end of the ring, has audit look, and then restores the truth so that it can report. Returns false if
    /// no attack has this name.
    fn forge(&mut self, name: &str) -> bool {
        self.drain();
        let mut forger = Forger::of_mallory();
        let truth = forger.indices();
        let first = |kind: u64| u64::from(VERSION) << 48 | kind << 32;
        let (epoch, head) = (forger.epoch, forger.head);
        match name {
            "forge-head" => forger.publish(epoch, head.wrapping_add(1000)),
            "forge-head-back" => forger.publish(epoch, head.wrapping_sub(1)),
            "forge-tail" => forger.publish_tail(0x8000_0000),
            "forge-epoch" => forger.put(first(9), epoch.wrapping_add(1), 1, &[]),
            "forge-epoch-index" => forger.publish(epoch.wrapping_add(1), head.wrapping_add(3)),
            "forge-version" => {
                forger.publish_version(1);
                forger.put(1 << 48 | 9 << 32, epoch, 1, &[]);
            }
            "forge-length" => forger.put(first(1) | 0xffff_ffff, epoch, 1, &[]),
            "forge-report" => {
                for kind in [0x302, 0x303, 0x305, 0x101, 0x10d, 0x110] {
                    forger.put(first(kind), epoch, 1, &[]);
                }
            }
            "scribble" => forger.scribble(self.number.into()),
            _ => return false,
        }
        self.ground.notify_audit();
        self.rest(LOOK_US);
        forger.restore(&truth);
        self.ground.notify_audit();
        self.rest(LOOK_US);
        true
    }

    fn flood_garbage(&mut self, say: &mut Say) {
        let until = self.until();
        let (mut state, mut sent) = (u64::from(self.number), 0_u32);
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 27)
        };
        while self.ground.now_us() < until {
            let word = next();
            // Mostly requests, and some messages that only others send.
            let kind = match word % 4 {
                0 => (word >> 8) as u16,
                1 => 0x100 | (word >> 8) as u16 & 0x1f,
                2 => 0x300 | (word >> 8) as u16 & 0x1f,
                _ => (word >> 8) as u16 & 0x1f,
            };
            let outgoing = &mut self.memory.outgoing;
            let payload = outgoing.begin(kind, (word >> 32) as u32);
            let bytes = (word >> 40) as usize % 256;
            for byte in payload.iter_mut().take(bytes) {
                *byte = next() as u8;
            }
            outgoing.finish(bytes);
            match self.ring.send(&self.memory.outgoing) {
                Ok(()) => sent += 1,
                Err(_) => {
                    self.tell_audit();
                    self.drain();
                }
            }
        }
        let _ = write!(say, "flooded with {sent}");
    }

    // ---- What others own ----------------------------------------------------------------------------

    /// Sends requests that it is not allowed to make, and reports how many were granted.
    fn try_all(&mut self, requests: &[Request<'_>], say: &mut Say) {
        let mut granted = 0;
        for request in requests {
            match self.ask(request) {
                End::Granted => {
                    granted += 1;
                    let _ = write!(say, "SUCCEEDED: {request:?} ");
                }
                End::Refused(_) => {}
                End::Lost => {
                    let _ = write!(say, "no answer to {request:?} ");
                }
            }
        }
        let _ = write!(say, "granted={granted} of {}", requests.len());
    }

    fn log_in(&mut self, say: &mut Say) {
        let user = |name| UserName::new(name).unwrap_or_default();
        let log_in = |name, passphrase| Request::Login {
            user: user(name),
            passphrase,
        };
        let logins = [
            log_in("tester", None),
            log_in("tester", Some(b"")),
            log_in("guest", None),
            log_in("guest", Some(b"")),
            log_in("mallory", None),
            log_in("nobody", None),
            log_in("nobody", Some(b"sel4")),
            Request::Users,
        ];
        self.try_all(&logins, say);
        // This is allowed: it returns to the user that the policy names for its channel.
        let _ = self.ask(&Request::Logout);
        let mut is = UserName::EMPTY;
        self.ask_and(&Request::WhoAmI, |event| {
            if let Event::User(user) = event {
                is = user.name;
            }
        });
        let _ = write!(say, ", is {is}");
    }

    fn change_budgets(&mut self, say: &mut Say) {
        let user = |name| UserName::new(name).unwrap_or_default();
        let tokens = |tokens| BudgetChange {
            tokens: Some(tokens),
            period_us: None,
        };
        let budget = |user, change| Request::Budget { user, change };
        let requests = [
            budget(user("tester"), BudgetChange::NONE),
            budget(user("tester"), tokens(0)),
            budget(UserName::EMPTY, tokens(1 << 40)),
            budget(user("mallory"), tokens(1 << 40)),
        ];
        self.try_all(&requests, say);
    }

    fn read_log(&mut self, say: &mut Say) {
        let query = |last, follow, user| {
            Request::Log(LogQuery {
                last,
                follow,
                user: UserName::new(user).unwrap_or_default(),
            })
        };
        let requests = [
            query(10, false, "tester"),
            query(0, false, ""),
            query(1, true, ""),
            Request::VerifyLog,
            Request::Attest {
                nonce: Nonce::new("mallory").unwrap_or_default(),
            },
        ];
        self.try_all(&requests, say);
    }

    fn take_session(&mut self, say: &mut Say) {
        let session = SessionName::new(HONEST_SESSION).unwrap_or_default();
        if self.ask(&infer(&mut no_parts(), STORY, 2, session)) != End::Granted {
            let _ = write!(say, "it has no session of this name ");
        }
        let (mut listed, mut foreign) = (0, 0);
        self.ask_and(&Request::Sessions, |event| {
            if let Event::Session(session) = event {
                listed += 1;
                // A second turn would mean that the session is somebody else's.
                let is_own = session.user.as_str() == "mallory" && session.turns == 1;
                foreign += u32::from(!is_own);
            }
        });
        let _ = match foreign {
            0 => write!(say, "listed {listed}, which is its own"),
            _ => write!(say, "SUCCEEDED: listed {foreign} that are not its own"),
        };
        if self.ask(&Request::Close { session }) == End::Granted {
            let _ = write!(say, "; closed");
        }
        let _ = match self.ask(&Request::Close { session }) {
            End::Refused(code) => write!(say, "; then {code:?}"),
            other => write!(say, "; SUCCEEDED: closed another: {other:?}"),
        };
    }

    fn cancel_others(&mut self, say: &mut Say) {
        let until = self.until();
        let (mut sent, mut hits) = (0_u32, 0_u32);
        while self.ground.now_us() < until {
            for number in 1..=512 {
                while !self.send_as(&Request::Cancel, number) {
                    self.tell_audit();
                    let missed = |code| code == ErrorCode::NoSuchRequest;
                    while self.receive(|_, event| match event {
                        Event::Failed { failure, .. } if missed(failure.code) => {}
                        _ => hits += 1,
                    }) {}
                    if self.ground.now_us() >= until {
                        break;
                    }
                }
                sent += 1;
            }
        }
        let _ = match hits {
            0 => write!(say, "cancelled nothing with {sent} messages"),
            _ => write!(say, "SUCCEEDED: {hits} answers to {sent} messages"),
        };
    }

    // ---- Shared resources -------------------------------------------------------------------------

    fn ask_state(&mut self, say: &mut Say) {
        let until = self.until();
        let (mut asked, mut answered) = (0_u32, 0);
        let questions = [
            Request::Status,
            Request::Stats { watch: false },
            Request::Models,
        ];
        while self.ground.now_us() < until {
            for question in &questions {
                asked += u32::from(self.send(question));
            }
            self.tell_audit();
            answered += self.drain();
        }
        let _ = write!(say, "asked {asked} questions, {answered} ends");
    }

    fn never_read(&mut self, say: &mut Say) {
        let asked =
            (0..MANY).filter(|_| self.send(&infer(&mut no_parts(), STORY, 64, SessionName::EMPTY)));
        let asked = asked.count() as u32;
        self.ground.notify_audit();
        self.rest(LASTS_US);
        self.count_ends(asked, say);
    }

    fn never_read_lists(&mut self, say: &mut Say) {
        let requests = [
            Request::Models,
            Request::Sessions,
            Request::Stats { watch: false },
            Request::WhoAmI,
        ];
        let requests = requests.iter().cycle().take(SLOTS);
        let asked = requests.filter(|request| self.send(request)).count() as u32;
        // Twice as many events are waiting as its ring holds.
        self.ground.notify_audit();
        self.rest(LASTS_US);
        self.count_ends(asked, say);
    }

    /// Reads until as many ends have arrived as requests were sent, and reports how many are missing.
    fn count_ends(&mut self, asked: u32, say: &mut Say) {
        let until = self.until().saturating_add(LASTS_US);
        let mut ended = 0;
        while ended < asked && self.ground.now_us() < until {
            ended += self.pass(1000);
        }
        let lost = i64::from(asked) - i64::from(ended);
        let _ = write!(say, "asked={asked} ended={ended} lost={lost}");
    }

    fn take_all_parts(&mut self, say: &mut Say) {
        let until = self.until();
        let mut name = heapless::String::<8>::new();
        let mut refusal = None;
        let (mut admitted, mut ended) = (0, 0);
        // Each request is sent after the previous one has begun, so that its part of inference's ring is not the limit.
        for index in 0..MANY {
            name.clear();
            let _ = write!(name, "all-{index}");
            let session = SessionName::new(&name).unwrap_or_default();
            if !self.send(&infer(&mut no_parts(), STORY, LONGEST, session)) {
                break;
            }
            let number = self.number;
            self.ground.notify_audit();
            // Requests that wait for room in the cache count as admitted.
            let begins_until = self.ground.now_us().saturating_add(BEGINS_US);
            let (mut begun, mut refused) = (false, None);
            while !begun && refused.is_none() && self.ground.now_us() < begins_until {
                self.receive(|of, event| match event {
                    Event::Text { .. } if of == number => begun = true,
                    Event::Failed { failure, .. } if of == number => refused = Some(failure.code),
                    _ => ended += i32::from(end_of(event, false).is_some()),
                });
            }
            if refused.is_some() {
                refusal = refused;
                break;
            }
            admitted += 1;
        }
        let under_way = admitted - ended;
        while self.ground.now_us() < until {
            self.pass(1000);
        }
        let _ = write!(say, "had {under_way} under way, then ");
        let _ = match refusal {
            Some(code) => write!(say, "{code:?}"),
            None => write!(say, "no refusal"),
        };
        self.clean_up();
        for index in 0..MANY {
            name.clear();
            let _ = write!(name, "all-{index}");
            let session = SessionName::new(&name).unwrap_or_default();
            let _ = self.ask(&Request::Close { session });
        }
    }

    fn use_up_engine(&mut self, say: &mut Say) {
        let until = self.until();
        let (mut texts, mut bytes) = (0_u32, 0);
        while self.ground.now_us() < until {
            while self.send(&infer(&mut no_parts(), STORY, LONGEST, SessionName::EMPTY)) {
                texts += 1;
            }
            self.tell_audit();
            while self.receive(|_, event| {
                if let Event::Text { text, .. } = event {
                    bytes += text.len();
                }
            }) {}
        }
        let _ = write!(say, "asked for {texts} texts, got {bytes} bytes");
    }

    fn flood_prompts(&mut self, say: &mut Say) {
        let until = self.until();
        let (mut prompts, mut refusals, mut is_used_up) = (0_u32, 0_u32, false);
        while self.ground.now_us() < until {
            prompts +=
                u32::from(self.send(&infer(&mut no_parts(), &LONG_PROMPT, 1, SessionName::EMPTY)));
            self.tell_audit();
            while self.receive(|_, event| {
                if let Event::Failed { failure, .. } = event {
                    refusals += 1;
                    is_used_up |= failure.code == ErrorCode::LogShare;
                }
            }) {}
        }
        let _ = write!(say, "{prompts} prompts, {refusals} refusals or failures");
        if is_used_up {
            let _ = write!(say, ", then {:?}", ErrorCode::LogShare);
        }
    }
}
