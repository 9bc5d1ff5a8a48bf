//! A hostile client. It has no console: it learns from its own budget which attack to make ([`NO_ORDER`]), and reports
//! in prompts, which the policy keeps in the log: `NAME begins`, then `NAME: ` and what it saw.
//!
//! It implements its end of the ring itself, because the client library would refuse to send most of this.

mod attacks;
mod list;

pub use list::{ATTACKS, Attack, Must, NO_ORDER, ORDERS, ordered};

use crate::{Ground, Say};
use core::fmt::Write as _;
use protocol::error::ErrorCode;
use protocol::limits::MAX_PARTS_BYTES;
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame};
use protocol::wire::client::{BudgetChange, Event, Request};
use protocol::wire::{InferParams, Sampling, completion};

/// Longest wait for an answer to one of its own requests.
const PATIENCE_US: u64 = 40_000_000;
/// How often it tries to report, because its share of the log may be used up at first.
const REPORTS: usize = 120;
const PAUSE_US: u64 = 500_000;
/// The time that the runner needs to see a report, in microseconds.
const NOTICED_US: u64 = 2_000_000;

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Granted,
    Refused(ErrorCode),
    /// No end has arrived.
    Lost,
}

/// The two messages that it needs at a time.
pub struct Memory {
    outgoing: Frame,
    incoming: Frame,
}

impl Memory {
    /// Empty messages.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            outgoing: Frame::new(),
            incoming: Frame::new(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The hostile client.
pub struct Mallory<'m, R, W, G> {
    ring: Endpoint<R, W>,
    memory: &'m mut Memory,
    ground: G,
    /// Number of the latest request.
    number: u32,
    /// Whether the system takes requests.
    ready: bool,
    /// Number of its request for repeated counters. The event that audit then sends every second is its clock.
    watch: Option<u32>,
    /// The last order that was carried out, in tokens.
    order: u64,
}

impl<'m, R: ReadWords, W: WriteWords, G: Ground> Mallory<'m, R, W, G> {
    /// A client that waits for its first order.
    pub fn new(ring: Endpoint<R, W>, memory: &'m mut Memory, ground: G) -> Self {
        Self {
            ring,
            memory,
            ground,
            number: 0,
            ready: false,
            watch: None,
            order: NO_ORDER,
        }
    }

    /// Audit has signalled.
    pub fn on_signal(&mut self) {
        self.ring.follow();
        self.drain();
        if !self.ready {
            return self.tell_audit();
        }
        let mut tokens = 0;
        let question = Request::Budget {
            user: UserName::EMPTY,
            change: BudgetChange::NONE,
        };
        self.ask_and(&question, |event| {
            if let Event::Budget(budget) = event {
                tokens = budget.tokens;
            }
        });
        if tokens != 0 && tokens != self.order {
            self.order = tokens;
            if let Some(attack) = ordered(tokens) {
                self.carry_out(attack);
            }
        }
        if self.watch.is_none() && self.send(&Request::Stats { watch: true }) {
            self.watch = Some(self.number);
        }
        self.tell_audit();
    }

    fn carry_out(&mut self, attack: &Attack) {
        if let Some(number) = self.watch.take() {
            self.send_as(&Request::Cancel, number);
        }
        let mut say = Say::new();
        let _ = write!(say, "{} begins", attack.name);
        self.report(&say);
        if attack.lasts {
            // Some attacks write so much that the report would be beyond the entries that the runner reads.
            self.pass(NOTICED_US);
        }
        say.clear();
        let _ = write!(say, "{}: ", attack.name);
        self.perform(attack.name, &mut say);
        self.clean_up();
        self.report(&say);
    }

    /// Cancels its requests, back to 64 numbers before the latest.
    fn clean_up(&mut self) {
        for number in self.number.saturating_sub(64)..=self.number {
            while !self.send_as(&Request::Cancel, number) {
                self.tell_audit();
                self.drain();
            }
        }
        self.pass(PAUSE_US);
    }

    /// Reports something in the log.
    fn report(&mut self, say: &Say) {
        for _ in 0..REPORTS {
            if self.ask(&infer(
                &mut no_parts(),
                say.as_bytes(),
                1,
                SessionName::EMPTY,
            )) == End::Granted
            {
                return;
            }
            self.pass(PAUSE_US);
        }
    }

    // ---- Its end of the ring ----------------------------------------------------------------------

    fn tell_audit(&mut self) {
        let _ = self.ring.take_owed_signal();
        self.ground.notify_audit();
    }

    /// Sends a request under a new number; false if there is no room.
    fn send(&mut self, request: &Request<'_>) -> bool {
        self.number = self.number.wrapping_add(1).max(1);
        self.send_as(request, self.number)
    }

    fn send_as(&mut self, request: &Request<'_>, number: u32) -> bool {
        request.write(number, &mut self.memory.outgoing);
        let is_sent = self.ring.send(&self.memory.outgoing).is_ok();
        if is_sent {
            self.ground.message_passed();
        }
        is_sent
    }

    /// Sends a request, and waits for its end.
    fn ask(&mut self, request: &Request<'_>) -> End {
        self.ask_and(request, |_| {})
    }

    /// Like [`Self::ask`], and passes each event to `look`.
    fn ask_and(&mut self, request: &Request<'_>, mut look: impl FnMut(&Event<'_>)) -> End {
        let until = self.ground.now_us().saturating_add(PATIENCE_US);
        while !self.send(request) {
            self.drain();
            self.tell_audit();
            if self.ground.now_us() > until {
                return End::Lost;
            }
        }
        let number = self.number;
        self.ground.notify_audit();
        while self.ground.now_us() <= until {
            let mut end = None;
            self.receive(|of, event| {
                if of == number {
                    look(event);
                    end = end_of(event, matches!(request, Request::Users));
                }
            });
            if let Some(end) = end {
                return end;
            }
        }
        End::Lost
    }

    /// Reads one message; false if there is none.
    fn receive(&mut self, look: impl FnOnce(u32, &Event<'_>)) -> bool {
        let Self { ring, memory, .. } = self;
        match ring.receive(&mut memory.incoming) {
            Ok(false) => return false,
            Ok(true) => {
                let number = memory.incoming.header().request;
                if let Ok(event) = Event::parse(&memory.incoming) {
                    self.ready |= matches!(event, Event::Ready(_));
                    look(number, &event);
                }
            }
            Err(_) => {}
        }
        self.ground.message_passed();
        if self.ring.take_owed_signal() {
            self.ground.notify_audit();
        }
        true
    }

    /// Reads everything in the ring. Returns the number of ends.
    fn drain(&mut self) -> u32 {
        let mut ends = 0;
        while self.receive(|_, event| ends += u32::from(end_of(event, false).is_some())) {}
        ends
    }

    /// Reads for this long.
    fn pass(&mut self, us: u64) -> u32 {
        let until = self.ground.now_us().saturating_add(us);
        let mut ends = 0;
        self.tell_audit();
        while self.ground.now_us() < until {
            ends += self.drain();
        }
        ends
    }

    /// Does nothing, and reads nothing, for this long.
    fn rest(&mut self, us: u64) {
        let until = self.ground.now_us().saturating_add(us);
        while self.ground.now_us() < until {
            core::hint::spin_loop();
        }
    }
}

/// Buffer for the parts of a request.
type PartsBuffer = [u8; MAX_PARTS_BYTES];

const fn no_parts() -> PartsBuffer {
    [0; MAX_PARTS_BYTES]
}

/// A request for text with greedy sampling.
fn infer<'b>(
    buffer: &'b mut PartsBuffer,
    prompt: &[u8],
    max_tokens: u32,
    session: SessionName,
) -> Request<'b> {
    let sampling = Sampling {
        temperature: 0,
        ..Sampling::default()
    };
    let params = InferParams {
        sampling,
        max_tokens,
        ..InferParams::default()
    };
    Request::Infer {
        params,
        session,
        adapter: ModelName::EMPTY,
        format: FormatName::EMPTY,
        // No prompt here is empty or too long, so this cannot fail.
        parts: completion(buffer, prompt).unwrap_or_default(),
    }
}

/// How an event ends its request; `None` if more events follow. The users in a list of users do not end it.
fn end_of(event: &Event<'_>, of_users: bool) -> Option<End> {
    match event {
        Event::Failed { failure, .. } => Some(End::Refused(failure.code)),
        Event::Finished(_)
        | Event::Listed { .. }
        | Event::Loaded { .. }
        | Event::Status(_)
        | Event::Stats(_)
        | Event::Budget(_)
        | Event::LogEnd(_)
        | Event::LogVerified { .. }
        | Event::Attested(_)
        | Event::Tuned(_)
        | Event::AdapterLoaded { .. }
        | Event::Exported(_)
        | Event::Examples { .. }
        | Event::Done => Some(End::Granted),
        Event::User(_) => (!of_users).then_some(End::Granted),
        _ => None,
    }
}
