//! Whatever audit's region holds, nothing panics and each request ends once.

use super::*;
use crate::Incoming;
use proptest::prelude::*;
use protocol::region::WriteWords;
use std::collections::BTreeMap;

/// An action of a client or its audit, in any order.
#[derive(Clone, Debug)]
enum Step {
    /// Submits the request of this kind.
    Submit(u8),
    Cancel(u32),
    Abandon(u32),
    Poll,
    /// Audit reads everything that was sent.
    Read,
    /// A message of this kind about this request, with zeros or with bytes.
    Say(u16, u32, Vec<u8>),
    /// Ends a request.
    Fail(u32),
    /// Audit restarts.
    Lead,
    /// Changes a word of audit's region.
    Store(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 0u32..24;
    // Every kind of event, and a number that none has.
    let kinds = || {
        prop_oneof![
            20 => prop::sample::select(Event::KINDS),
            1 => Just((0x100, 0)),
        ]
    };
    prop_oneof![
        4 => (0u8..8).prop_map(Step::Submit),
        1 => number().prop_map(Step::Cancel),
        1 => number().prop_map(Step::Abandon),
        4 => Just(Step::Poll),
        3 => Just(Step::Read),
        // The length of a message without its variable part.
        3 => (kinds(), number()).prop_map(|((kind, fixed), n)| Step::Say(kind, n, std::vec![0; fixed])),
        2 => (kinds(), number(), prop::collection::vec(any::<u8>(), 0..90)).prop_map(|((kind, _), n, bytes)| Step::Say(kind, n, bytes)),
        2 => number().prop_map(Step::Fail),
        1 => Just(Step::Lead),
    ]
}

fn submit(client: &mut TestClient, kind: u8) -> Option<RequestId> {
    let request = match kind {
        0 => client.infer(&crate::Infer::new("x")),
        1 => client.models(),
        2 => client.watch_stats(),
        3 => client.login(admin(), Some(b"secret")),
        4 => client.status(),
        5 => client.log(Default::default()),
        6 => client.verify_log(),
        _ => client.load(name("tiny")),
    };
    request.ok()
}

/// What has become of the requests so far.
#[derive(Default)]
struct Fates {
    /// Whether each was abandoned, and how often it has ended.
    requests: BTreeMap<u32, (bool, usize)>,
}

impl Fates {
    fn check(&mut self, incoming: &Incoming<'_>) -> Result<(), TestCaseError> {
        let Some(request) = incoming.request() else {
            return Ok(());
        };
        let (abandoned, ends) = self
            .requests
            .get_mut(&request.number())
            .expect("a request of ours");
        prop_assert!(!*abandoned, "nothing is told of {request:?} any more");
        prop_assert_eq!(*ends, 0, "nothing comes after the end of {:?}", request);
        *ends += usize::from(incoming.is_end());
        Ok(())
    }
}

impl System {
    fn take(
        &mut self,
        step: Step,
        epoch: &mut u32,
        fates: &mut Fates,
    ) -> Result<(), TestCaseError> {
        let mut frame = Frame::new();
        match step {
            Step::Submit(kind) => {
                if let Some(request) = submit(&mut self.client, kind) {
                    let before = fates.requests.insert(request.number(), (false, 0));
                    prop_assert_eq!(before, None, "a new number");
                }
            }
            Step::Cancel(number) => {
                self.client.cancel(RequestId::from_number(number));
            }
            Step::Abandon(number) => {
                if self.client.abandon(RequestId::from_number(number)) {
                    fates
                        .requests
                        .get_mut(&number)
                        .expect("a request of ours")
                        .0 = true;
                }
            }
            Step::Poll => {
                let mut polls = 0;
                while let Some(incoming) = self.client.poll(&mut self.inbox) {
                    fates.check(&incoming)?;
                    polls += 1;
                    prop_assert!(polls <= crate::MAX_WAITING, "one look is bounded");
                }
            }
            Step::Read => while let Ok(true) = self.audit.receive(&mut frame) {},
            Step::Say(kind, number, payload) => {
                frame.begin(kind, number)[..payload.len()].copy_from_slice(&payload);
                frame.finish(payload.len());
                let _ = self.audit.send(&frame);
            }
            Step::Fail(number) => {
                failed(ErrorCode::Busy).write(number, &mut frame);
                let _ = self.audit.send(&frame);
            }
            Step::Lead => {
                *epoch += 1;
                self.audit.lead(*epoch);
            }
            Step::Store(word, value) => self.theirs.store(word, value),
        }
        Ok(())
    }

    /// Audit restarts and is honest: everything in flight ends, and requests are served.
    fn settle(&mut self, epoch: u32, fates: &mut Fates) -> Result<(), TestCaseError> {
        self.audit.lead(epoch + 1);
        self.theirs.store(0, u64::from(protocol::VERSION));
        while let Some(incoming) = self.client.poll(&mut self.inbox) {
            fates.check(&incoming)?;
        }
        for (number, (abandoned, ends)) in &fates.requests {
            prop_assert_eq!(*ends, usize::from(!abandoned), "the end of {}", number);
        }
        prop_assert!(self.in_flight().is_empty());
        let request = self.client.status().unwrap();
        self.say(request.number(), &failed(ErrorCode::NoModel));
        prop_assert_eq!(self.polled().len(), 1);
        prop_assert!(!holds(&self.ours, b"secret"));
        Ok(())
    }
}

proptest! {
    // Few cases, because each searches the whole region of the client for a passphrase.
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn each_request_ends_once_whatever_is_said(steps in prop::collection::vec(step(), 0..150)) {
        let (mut system, mut fates, mut epoch) = (System::on(), Fates::default(), 1);
        for step in steps {
            system.take(step, &mut epoch, &mut fates)?;
        }
        system.settle(epoch, &mut fates)?;
    }

    #[test]
    fn any_words_in_audits_region_are_survived(
        steps in prop::collection::vec(
            prop_oneof![
                2 => step(),
                3 => (0usize..4, any::<u64>()).prop_map(|(word, value)| Step::Store(word, value)),
                // Indices of an existing epoch, and slots.
                3 => (2usize..4, 1u64..4, 0u64..40).prop_map(|(word, epoch, index)| Step::Store(word, epoch << 32 | index)),
                2 => (8usize..64, any::<u64>()).prop_map(|(word, value)| Step::Store(word, value)),
                1 => (0u64..6).prop_map(|epoch| Step::Store(1, epoch)),
                1 => (0u64..6).prop_map(|version| Step::Store(0, version)),
            ],
            0..150,
        )
    ) {
        let (mut system, mut fates, mut epoch) = (System::on(), Fates::default(), 1);
        for step in steps {
            system.take(step, &mut epoch, &mut fates)?;
        }
        // An epoch that the client has not joined yet.
        system.settle(epoch.max(100), &mut fates)?;
    }
}
