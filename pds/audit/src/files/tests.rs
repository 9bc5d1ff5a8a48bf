use super::link::{ANSWER_US, LOADS, MAX_BREACHES, MAX_LISTED};
use super::*;
use proptest::prelude::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_TRANSFER_BYTES;
use protocol::region::WriteWords as _;
use protocol::ring::Frame;
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use protocol::wire::files::{Answer, Ask, FilesError, Volume};
use std::string::String;
use std::vec;
use std::vec::Vec;

/// Audit's end, and a files domain that says whatever a test wants.
struct Rig {
    link: Link<TestRegion, TestRegion>,
    files: TestEndpoint,
    region: TestRegion,
    frame: Frame,
}

impl Rig {
    fn new() -> Self {
        let (ring, mut files, region) = endpoints();
        let mut link = Link::new(ring);
        link.lead();
        assert!(link.takes_signal() && !link.takes_signal());
        assert!(files.follow());
        Self {
            link,
            files,
            region,
            frame: Frame::new(),
        }
    }

    /// Asks a question. Returns the number that files sees.
    fn ask(&mut self, owner: Owner, ask: &Ask<'_>) -> u32 {
        assert_eq!(self.link.ask(owner, ask, 0), Ok(true));
        assert!(self.link.takes_signal());
        let mut frame = Frame::new();
        assert_eq!(self.files.receive(&mut frame), Ok(true));
        assert_eq!(Ask::parse(&frame).as_ref(), Ok(ask));
        frame.header().request
    }

    fn say(&mut self, number: u32, answer: &Answer<'_>) {
        let mut frame = Frame::new();
        answer.write(number, &mut frame);
        self.files.send(&frame).unwrap();
    }

    fn hear(&mut self) -> Heard<'_> {
        self.link.receive(&mut self.frame, 0)
    }

    fn is_breach(&mut self) -> bool {
        matches!(self.hear(), Heard::Failed(_, failure) if failure.code == ErrorCode::FilesBreach)
    }
}

const READ: Ask<'_> = Ask::Read {
    offset: 8192,
    bytes: 512,
};

#[test]
fn an_answer_goes_to_who_has_asked() {
    let mut rig = Rig::new();
    let number = rig.ask(Owner::Load, &READ);
    let part = Answer::Part {
        offset: 8192,
        bytes: &[7; 512],
    };
    rig.say(number, &part);
    assert_eq!(rig.hear(), Heard::Answer(Owner::Load, part));
    assert_eq!(rig.hear(), Heard::Nothing);
    let number = rig.ask(Owner::Log, &Ask::FlushLog);
    rig.say(number, &Answer::Done);
    assert_eq!(rig.hear(), Heard::Answer(Owner::Log, Answer::Done));
    assert_eq!(rig.link.take_breaches(), 0);
}

#[test]
fn each_owner_has_one_question_under_way_a_load_has_several_and_they_end_in_their_order() {
    let mut rig = Rig::new();
    assert_eq!(rig.link.asks(), None);
    let first = rig.ask(Owner::List, &Ask::List);
    assert_eq!(rig.link.asks(), Some(Owner::List));
    assert_eq!(rig.link.ask(Owner::List, &Ask::Mount, 0), Ok(false));
    let reads: Vec<_> = (0..LOADS).map(|_| rig.ask(Owner::Load, &READ)).collect();
    assert_eq!(rig.link.ask(Owner::Load, &READ, 0), Ok(false));
    let log = rig.ask(Owner::Log, &Ask::FlushLog);
    assert_eq!(rig.link.ask(Owner::Log, &Ask::FlushLog, 0), Ok(false));
    let end = Answer::Listed {
        count: 0,
        skipped: 0,
    };
    let part = Answer::Part {
        offset: 8192,
        bytes: &[7; 512],
    };
    rig.say(first, &end);
    assert_eq!(rig.hear(), Heard::Answer(Owner::List, end));
    for number in reads {
        rig.say(number, &part);
        assert_eq!(rig.hear(), Heard::Answer(Owner::Load, part));
    }
    rig.say(log, &Answer::Done);
    assert_eq!(rig.hear(), Heard::Answer(Owner::Log, Answer::Done));
    assert_eq!((rig.link.under_way(), rig.link.take_breaches()), (0, 0));
}

#[test]
fn what_is_forgotten_ends_without_anybody_hearing_of_it() {
    let mut rig = Rig::new();
    let numbers = [rig.ask(Owner::Load, &READ), rig.ask(Owner::Load, &READ)];
    let log = rig.ask(Owner::Log, &Ask::FlushLog);
    rig.link.forget(Owner::Load);
    let next = rig.ask(Owner::Load, &Ask::Close);
    for number in numbers {
        let part = Answer::Part {
            offset: 8192,
            bytes: &[],
        };
        rig.say(number, &part);
        assert_eq!(rig.hear(), Heard::Noise);
    }
    rig.say(log, &Answer::Done);
    assert_eq!(rig.hear(), Heard::Answer(Owner::Log, Answer::Done));
    rig.say(next, &Answer::Done);
    assert_eq!(rig.hear(), Heard::Answer(Owner::Load, Answer::Done));
    assert_eq!(rig.link.take_breaches(), 0);
}

#[test]
fn a_list_ends_with_as_many_files_as_came_and_each_is_in_time() {
    let mut rig = Rig::new();
    let number = rig.ask(Owner::List, &Ask::List);
    for n in 0..3u64 {
        let path = std::format!("folder/{n}.gguf");
        let file = Answer::File {
            bytes: n,
            path: path.as_bytes(),
        };
        rig.say(number, &file);
        let heard = rig.link.receive(&mut rig.frame, n * 1000);
        assert_eq!(heard, Heard::Answer(Owner::List, file));
        assert_eq!(rig.link.due_us(), Some(n * 1000 + ANSWER_US));
    }
    let end = Answer::Listed {
        count: 3,
        skipped: 1,
    };
    rig.say(number, &end);
    assert_eq!(rig.hear(), Heard::Answer(Owner::List, end));
    assert_eq!(rig.link.due_us(), None);
}

#[test]
fn a_list_without_an_end_is_a_breach() {
    let mut rig = Rig::new();
    let number = rig.ask(Owner::List, &Ask::List);
    let file = Answer::File {
        bytes: 1,
        path: b"a",
    };
    for _ in 0..MAX_LISTED {
        rig.say(number, &file);
        assert_eq!(rig.hear(), Heard::Answer(Owner::List, file));
    }
    rig.say(number, &file);
    assert!(rig.is_breach());
    assert_eq!(rig.link.asks(), None);
}

#[test]
fn what_answers_another_question_ends_the_one_that_was_asked() {
    let long = vec![0; MAX_TRANSFER_BYTES];
    let part = |offset, bytes| Answer::Part { offset, bytes };
    let read_log = Ask::ReadLog {
        slot: 4,
        sectors: 2,
    };
    let sectors = |slot, data| Answer::LogSectors { slot, data };
    let file = |path| Answer::File { bytes: 1, path };
    let listed = Answer::Listed {
        count: 1,
        skipped: 0,
    };
    for (ask, answer) in [
        (READ, part(8191, &long[..512])),
        (READ, part(8192, &long[..513])),
        (READ, part(8192, &long)),
        (READ, Answer::Done),
        (READ, Answer::Opened { bytes: 1 }),
        (read_log, sectors(4, &long[..1023])),
        (read_log, sectors(4, &long[..512])),
        (read_log, sectors(5, &long[..1024])),
        (read_log, part(4, &long[..1024])),
        (Ask::List, listed),
        (Ask::List, file(b"")),
        (Ask::List, file(b"a\nb")),
        (Ask::List, file(b"\xff")),
        (Ask::List, file(b"\x1b[2J")),
        (Ask::Mount, Answer::Done),
        (Ask::Open { path: b"a" }, Answer::Done),
        (Ask::FlushLog, Answer::LogOpened { sectors: 1 }),
        (Ask::OpenLog, Answer::Opened { bytes: 1 }),
    ] {
        let mut rig = Rig::new();
        let number = rig.ask(Owner::Load, &ask);
        rig.say(number, &answer);
        assert!(rig.is_breach(), "{ask:?}: {answer:?}");
        assert_eq!((rig.link.take_breaches(), rig.link.asks()), (1, None));
        // It does not end the link.
        let number = rig.ask(Owner::Load, &Ask::Close);
        rig.say(number, &Answer::Done);
        assert_eq!(rig.hear(), Heard::Answer(Owner::Load, Answer::Done));
    }
}

#[test]
fn the_number_of_another_question_and_no_question_are_breaches() {
    let mut rig = Rig::new();
    rig.say(0, &Answer::Done);
    assert_eq!(rig.hear(), Heard::Noise);
    let number = rig.ask(Owner::List, &Ask::Finish);
    // An answer to a question that has ended is not the fault of the one under way.
    rig.say(number.wrapping_sub(1), &Answer::Done);
    assert_eq!(rig.hear(), Heard::Noise);
    assert_eq!(rig.link.under_way(), 1);
    rig.say(number.wrapping_add(1), &Answer::Done);
    assert!(rig.is_breach());
    // The honest answer arrives too late.
    rig.say(number, &Answer::Done);
    assert_eq!(rig.hear(), Heard::Noise);
    assert_eq!(rig.link.take_breaches(), 4);
}

#[test]
fn a_reason_is_believed_whatever_was_asked() {
    for why in FilesError::ALL {
        let mut rig = Rig::new();
        let number = rig.ask(Owner::List, &Ask::List);
        let failed = Answer::Failed {
            why: *why,
            value: 77,
        };
        rig.say(number, &failed);
        match rig.hear() {
            Heard::Failed(Owner::List, failure) => assert_eq!(failure.value, 77),
            other => panic!("{other:?}"),
        }
        assert_eq!(rig.link.take_breaches(), 0);
    }
}

#[test]
fn silence_gives_the_link_up_for_good() {
    let mut rig = Rig::new();
    assert_eq!(rig.link.look(u64::MAX), None);
    let number = rig.ask(Owner::Load, &READ);
    assert_eq!(rig.link.due_us(), Some(ANSWER_US));
    assert_eq!(rig.link.look(ANSWER_US - 1), None);
    let failure = Failure::over(ErrorCode::FilesSilent, 0, ANSWER_US);
    assert_eq!(rig.link.look(ANSWER_US), Some((Owner::Load, failure)));
    assert_eq!(rig.link.look(ANSWER_US), None);
    assert_eq!(rig.link.failure(), Some(failure));
    // The answer arrives after all.
    rig.say(number, &Answer::Done);
    assert_eq!(rig.hear(), Heard::Nothing);
    assert_eq!(rig.link.ask(Owner::Log, &Ask::OpenLog, 0), Err(failure));
    assert_eq!(rig.link.due_us(), None);
}

#[test]
fn a_files_that_does_not_read_is_silent() {
    let mut rig = Rig::new();
    // Its tail index is impossible.
    rig.region.store(3, u64::MAX);
    assert_eq!(rig.link.ask(Owner::List, &Ask::Mount, 5), Ok(true));
    assert_eq!(rig.link.look(ANSWER_US), None);
    assert!(rig.link.look(5 + ANSWER_US).is_some());
}

#[test]
fn too_many_wrong_answers_give_the_link_up() {
    let mut rig = Rig::new();
    for n in 1..=MAX_BREACHES {
        rig.say(99, &Answer::Done);
        assert_eq!(rig.hear(), Heard::Noise);
        assert_eq!(rig.link.take_breaches(), 1, "breach {n}");
    }
    let limit = u64::from(MAX_BREACHES);
    let failure = Failure::over(ErrorCode::FilesBreach, limit, limit);
    assert_eq!(rig.link.failure(), Some(failure));
    rig.say(99, &Answer::Done);
    assert_eq!(rig.hear(), Heard::Nothing);
    assert_eq!(rig.link.ask(Owner::Log, &READ, 0), Err(failure));
}

#[test]
fn the_last_breach_of_all_still_ends_the_question() {
    let mut rig = Rig::new();
    for _ in 1..MAX_BREACHES {
        rig.say(99, &Answer::Done);
        assert_eq!(rig.hear(), Heard::Noise);
    }
    let number = rig.ask(Owner::Load, &READ);
    rig.say(number, &Answer::Done);
    assert!(rig.is_breach());
    assert!(rig.link.failure().is_some());
    assert_eq!(rig.link.look(u64::MAX), None);
}

proptest! {
    /// Whatever is in files' region: each question ends once, with a valid result, and nothing panics.
    #[test]
    fn no_bytes_do_more_than_end_what_was_asked(
        acts in prop::collection::vec((0u8..6, any::<u64>(), 0usize..20_000, any::<u8>()), 1..60)
    ) {
        let mut rig = Rig::new();
        let (mut asked, mut ended, mut now) = (0u32, 0u32, 0u64);
        let path: String = "x".repeat(255);
        for (act, value, word, byte) in acts {
            match act {
                0 => {
                    let asks = [
                        READ, Ask::List, Ask::Mount, Ask::OpenLog, Ask::FlushLog,
                        Ask::Open { path: path.as_bytes() },
                    ];
                    let ask = asks[byte as usize % asks.len()];
                    asked += u32::from(rig.link.ask(Owner::Load, &ask, now) == Ok(true));
                }
                1 => rig.region.store(word % 4000, value),
                2 => now = now.saturating_add(value % (2 * ANSWER_US)),
                3 => {
                    let mut frame = Frame::<{ protocol::ring::PAYLOAD_WORDS }>::new();
                    let bytes = word % 600;
                    frame.begin(0x501 + u16::from(byte % 10), asked)[..bytes].fill(byte);
                    frame.finish(bytes);
                    let _ = rig.files.send(&frame);
                }
                _ => {
                    let _ = rig.files.receive(&mut Frame::new());
                    let data = vec![byte; 512];
                    let answers = [
                        Answer::Done,
                        Answer::Part { offset: 8192, bytes: &data },
                        Answer::Listed { count: 0, skipped: 0 },
                        Answer::Failed { why: FilesError::Device, value },
                        Answer::Opened { bytes: value },
                        Answer::Mounted(Volume::default()),
                    ];
                    let mut frame = Frame::new();
                    answers[byte as usize % answers.len()].write(asked, &mut frame);
                    let _ = rig.files.send(&frame);
                }
            }
            let mut heard = Vec::new();
            for _ in 0..protocol::ring::SLOTS {
                match rig.link.receive(&mut rig.frame, now) {
                    Heard::Answer(_, Answer::File { .. }) | Heard::Noise => {}
                    Heard::Nothing => break,
                    Heard::Answer(..) | Heard::Failed(..) => heard.push(()),
                }
            }
            while rig.link.look(now).is_some() {
                heard.push(());
            }
            ended += heard.len() as u32;
            prop_assert_eq!(asked, ended + rig.link.under_way() as u32);
        }
    }
}
