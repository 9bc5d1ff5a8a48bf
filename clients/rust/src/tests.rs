//! The client, with tests that play audit.

mod answers;
mod ends;
mod hostile;
mod receiving;
mod sending;

use crate::{Client, Event, Inbox, Memory, PartKind, Request, RequestId};
use protocol::error::{ErrorCode, Failure};
use protocol::name::{Name, UserName};
use protocol::region::ReadWords;
use protocol::ring::Frame;
use protocol::testing::{TestEndpoint, TestRegion, all_of_endpoints, parts};
use protocol::wire::FinishReason;
use protocol::wire::client::{Finished, User};
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

type TestClient = Client<'static, TestRegion, TestRegion>;

struct System {
    client: TestClient,
    inbox: Inbox,
    audit: TestEndpoint,
    /// The region that the client writes.
    ours: TestRegion,
    /// The region that audit writes.
    theirs: TestRegion,
}

impl System {
    /// A system in which audit has not started.
    fn off() -> Self {
        let (audit, end, ours, theirs) = all_of_endpoints();
        Self {
            client: Client::new(end, Box::leak(Box::new(Memory::new()))),
            inbox: Inbox::new(),
            audit,
            ours,
            theirs,
        }
    }

    fn on() -> Self {
        let mut system = Self::off();
        system.audit.lead(1);
        system
    }

    fn say(&mut self, number: u32, event: &Event<'_>) {
        let mut frame = Frame::new();
        event.write(number, &mut frame);
        self.audit.send(&frame).unwrap();
    }

    /// Everything that the client has to report now, as debug text.
    fn polled(&mut self) -> Vec<String> {
        let mut polled = Vec::new();
        while let Some(incoming) = self.client.poll(&mut self.inbox) {
            polled.push(format!("{incoming:?}"));
        }
        polled
    }

    /// The requests that audit finds: numbers, and debug text.
    fn asked(&mut self) -> Vec<(u32, String)> {
        let (mut frame, mut asked) = (Frame::new(), Vec::new());
        while self.audit.receive(&mut frame).unwrap() {
            let request = Request::parse(&frame).unwrap();
            asked.push((frame.header().request, format!("{request:?}")));
        }
        asked
    }

    /// Fills the ring, and returns the requests that fitted.
    fn fill(&mut self) -> Vec<RequestId> {
        let mut taken = Vec::new();
        while let Ok(request) = self.client.status() {
            taken.push(request);
        }
        taken
    }

    fn in_flight(&self) -> Vec<RequestId> {
        self.client.in_flight().collect()
    }
}

fn name<const N: usize>(text: &str) -> Name<N> {
    Name::new(text).unwrap()
}

fn user(text: &str) -> User {
    User {
        name: name(text),
        role: name::<32>("reader"),
        permissions: 1,
        has_passphrase: 0,
    }
}

const fn finished() -> Event<'static> {
    Event::Finished(Finished {
        reason: FinishReason::EndOfText,
        prompt_tokens: 5,
        generated_tokens: 2,
        turn: 1,
        first_token_us: 1,
        total_us: 2,
        held_us: 0,
    })
}

const fn text(text: &[u8]) -> Event<'_> {
    Event::Text { tokens: 1, text }
}

const fn failed(code: ErrorCode) -> Event<'static> {
    Event::Failed {
        failure: Failure::of(code),
        detail: b"",
    }
}

fn holds(region: &TestRegion, needle: &[u8]) -> bool {
    let words = (0..region.words()).flat_map(|word| region.load(word).to_le_bytes());
    let bytes: Vec<u8> = words.collect();
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn asks(format: &str, all: &[(PartKind, &[u8])]) -> Request<'static> {
    Request::Infer {
        params: Default::default(),
        session: Name::EMPTY,
        adapter: Name::EMPTY,
        format: name(format),
        parts: parts(all),
    }
}

const ADMIN: &str = "admin";

fn admin() -> UserName {
    name(ADMIN)
}
