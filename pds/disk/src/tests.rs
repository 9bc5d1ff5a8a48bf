extern crate std;

use super::*;
use proptest::prelude::*;
use protocol::region::WriteWords as _;
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use std::vec;
use std::vec::Vec;

/// A device in memory that answers after some polls, fails where it should, or never answers.
struct Fake {
    bytes: Vec<u8>,
    writable: bool,
    /// Polls until an operation ends.
    wait: u32,
    asked: u32,
    broken: Option<u64>,
    stuck: bool,
    under_way: Option<Operation>,
    flushes: u32,
}

impl Fake {
    fn new(sectors: usize) -> Self {
        Self {
            bytes: (0..sectors * SECTOR_BYTES)
                .map(|at| (at / SECTOR_BYTES) as u8)
                .collect(),
            writable: true,
            wait: 0,
            asked: 0,
            broken: None,
            stuck: false,
            under_way: None,
            flushes: 0,
        }
    }
}

impl Device for Fake {
    fn description(&self) -> Description {
        Description {
            sectors: (self.bytes.len() / SECTOR_BYTES) as u64,
            writable: self.writable,
        }
    }

    fn begin(&mut self, operation: Operation, buffer: &mut [u8]) -> Result<(), DiskError> {
        assert_eq!(self.under_way, None, "two operations at once");
        assert!(buffer.len() <= MAX_TRANSFER_BYTES && buffer.len().is_multiple_of(SECTOR_BYTES));
        if let Operation::Read { first } | Operation::Write { first } = operation {
            assert!(!buffer.is_empty());
            let end = first as usize * SECTOR_BYTES + buffer.len();
            assert!(end <= self.bytes.len(), "outside of the device");
        }
        if self.broken == Some(u64::MAX) {
            return Err(DiskError::Device);
        }
        self.under_way = Some(operation);
        self.asked = 0;
        Ok(())
    }

    fn finish(&mut self, operation: Operation, buffer: &mut [u8]) -> Option<Result<(), DiskError>> {
        assert_eq!(self.under_way, Some(operation));
        self.asked += 1;
        if self.stuck || self.asked <= self.wait {
            return None;
        }
        self.under_way = None;
        match operation {
            Operation::Read { first } | Operation::Write { first }
                if self.broken == Some(first) =>
            {
                return Some(Err(DiskError::Device));
            }
            Operation::Read { first } => {
                let at = first as usize * SECTOR_BYTES;
                buffer.copy_from_slice(&self.bytes[at..at + buffer.len()]);
            }
            Operation::Write { first } => {
                let at = first as usize * SECTOR_BYTES;
                self.bytes[at..at + buffer.len()].copy_from_slice(buffer);
            }
            Operation::Flush => self.flushes += 1,
        }
        Some(Ok(()))
    }
}

#[derive(Default)]
struct Signals(u32);

impl Port for Signals {
    fn notify_files(&mut self) {
        self.0 += 1;
    }
}

type TestDisk = Disk<TestRegion, TestRegion, Fake>;

struct Bench {
    disk: TestDisk,
    files: TestEndpoint,
    region: TestRegion,
    signals: Signals,
}

fn bench(device: Option<Fake>) -> Bench {
    let (ours, files, region) = endpoints();
    let mut bench = Bench {
        disk: Disk::new(ours, device),
        files,
        region,
        signals: Signals::default(),
    };
    bench.disk.start(&mut bench.signals);
    assert_eq!(bench.signals.0, 1);
    assert!(bench.files.follow());
    bench
}

impl Bench {
    fn order(&mut self, number: u32, order: &Order<'_>) {
        let mut frame = Frame::new();
        order.write(number, &mut frame);
        self.files.send(&frame).unwrap();
    }

    fn look(&mut self) {
        self.disk.on_signal(&mut self.signals);
    }

    /// The next answer, with its number.
    fn outcome(&mut self) -> Option<(u32, Told)> {
        let mut frame = Frame::new();
        if !self.files.receive(&mut frame).unwrap() {
            return None;
        }
        let told = match Outcome::parse(&frame).unwrap() {
            Outcome::Described(description) => Told::Described(description),
            Outcome::Sectors { first, data } => Told::Sectors(first, data.to_vec()),
            Outcome::Done => Told::Done,
            Outcome::Failed { why, sector } => Told::Failed(why, sector),
        };
        Some((frame.header().request, told))
    }

    fn answer(&mut self, order: &Order<'_>) -> Told {
        self.order(9, order);
        self.look();
        let (number, told) = self.outcome().expect("an answer");
        assert_eq!(number, 9);
        assert_eq!(self.outcome(), None, "a second answer");
        told
    }
}

#[derive(Debug, PartialEq)]
enum Told {
    Described(Description),
    Sectors(u64, Vec<u8>),
    Done,
    Failed(DiskError, u64),
}

#[test]
fn sectors_are_read_written_and_flushed() {
    let mut bench = bench(Some(Fake::new(40)));
    let description = Description {
        sectors: 40,
        writable: true,
    };
    assert_eq!(bench.answer(&Order::Describe), Told::Described(description));
    let data = vec![0xaa; 16 * SECTOR_BYTES];
    assert_eq!(
        bench.answer(&Order::Write {
            first: 24,
            data: &data
        }),
        Told::Done
    );
    assert_eq!(
        bench.answer(&Order::Read {
            first: 24,
            sectors: 16
        }),
        Told::Sectors(24, data)
    );
    let read = bench.answer(&Order::Read {
        first: 23,
        sectors: 1,
    });
    assert_eq!(read, Told::Sectors(23, vec![23; SECTOR_BYTES]));
    assert_eq!(bench.answer(&Order::Flush), Told::Done);
    assert_eq!(bench.disk.device().unwrap().flushes, 1);
    assert_eq!(
        bench.disk.counters(),
        Counters {
            answered: 5,
            violations: 0
        }
    );
}

#[test]
fn orders_that_the_device_cannot_have_never_reach_it() {
    let mut bench = bench(Some(Fake::new(40)));
    let failed = |why, sector| Told::Failed(why, sector);
    for (first, sectors) in [
        (40, 1),
        (39, 2),
        (25, 16),
        (u64::MAX, 1),
        (u64::MAX - 3, 16),
    ] {
        let read = bench.answer(&Order::Read { first, sectors });
        assert_eq!(read, failed(DiskError::Range, first));
        let data = vec![1; sectors as usize * SECTOR_BYTES];
        let write = bench.answer(&Order::Write { first, data: &data });
        assert_eq!(write, failed(DiskError::Range, first));
    }
    for data in [&[][..], &[1; 511], &[1; 513]] {
        let write = bench.answer(&Order::Write { first: 0, data });
        assert_eq!(write, failed(DiskError::Range, 0));
    }
    bench.disk.device().unwrap().writable = false;
    let data = vec![1; SECTOR_BYTES];
    let write = bench.answer(&Order::Write {
        first: 7,
        data: &data,
    });
    assert_eq!(write, failed(DiskError::ReadOnly, 7));
    assert_eq!(bench.answer(&Order::Flush), failed(DiskError::ReadOnly, 0));
    let read = bench.answer(&Order::Read {
        first: 7,
        sectors: 1,
    });
    assert_eq!(read, Told::Sectors(7, vec![7; SECTOR_BYTES]));
}

#[test]
fn a_device_that_fails_is_told_and_driven_on() {
    let mut bench = bench(Some(Fake::new(40)));
    bench.disk.device().unwrap().broken = Some(3);
    let read = Order::Read {
        first: 3,
        sectors: 2,
    };
    assert_eq!(bench.answer(&read), Told::Failed(DiskError::Device, 3));
    let read = Order::Read {
        first: 4,
        sectors: 1,
    };
    assert_eq!(bench.answer(&read), Told::Sectors(4, vec![4; SECTOR_BYTES]));
    // This device accepts no operation at all.
    bench.disk.device().unwrap().broken = Some(u64::MAX);
    assert_eq!(bench.answer(&read), Told::Failed(DiskError::Device, 4));
    assert_eq!(
        bench.answer(&Order::Flush),
        Told::Failed(DiskError::Device, 0)
    );
}

#[test]
fn without_a_device_everything_fails_at_once() {
    let mut bench = bench(None);
    let none = Told::Failed(DiskError::NoDevice, 0);
    assert_eq!(bench.answer(&Order::Describe), none);
    assert_eq!(bench.answer(&Order::Flush), none);
    let read = Order::Read {
        first: 0,
        sectors: 1,
    };
    assert_eq!(bench.answer(&read), none);
}

#[test]
fn orders_wait_for_a_slow_device_and_are_answered_in_their_order() {
    let mut bench = bench(Some(Fake {
        wait: 3,
        ..Fake::new(40)
    }));
    for number in 1..=16u32 {
        let first = u64::from(number);
        bench.order(number, &Order::Read { first, sectors: 1 });
    }
    let mut answered = 0;
    for _ in 0..100 {
        bench.look();
        while let Some((number, told)) = bench.outcome() {
            answered += 1;
            assert_eq!(number, answered);
            assert_eq!(
                told,
                Told::Sectors(u64::from(number), vec![number as u8; SECTOR_BYTES])
            );
        }
    }
    assert_eq!(answered, 16);
}

#[test]
fn a_device_that_never_answers_costs_its_orders_alone() {
    let mut bench = bench(Some(Fake {
        stuck: true,
        ..Fake::new(40)
    }));
    bench.order(
        1,
        &Order::Read {
            first: 0,
            sectors: 1,
        },
    );
    bench.order(2, &Order::Describe);
    for _ in 0..50 {
        bench.look();
        assert_eq!(bench.outcome(), None);
    }
    // It finally recovers.
    bench.disk.device().unwrap().stuck = false;
    bench.look();
    assert_eq!(
        bench.outcome(),
        Some((1, Told::Sectors(0, vec![0; SECTOR_BYTES])))
    );
    assert!(matches!(bench.outcome(), Some((2, Told::Described(_)))));
}

#[test]
fn answers_wait_for_a_files_that_does_not_read() {
    let mut bench = bench(Some(Fake::new(40)));
    for round in 0..4u32 {
        for number in 1..=8 {
            bench.order(
                round * 8 + number,
                &Order::Read {
                    first: 1,
                    sectors: 1,
                },
            );
            bench.look();
        }
    }
    // Sixteen are answered, one waits with its result, and the others are in the ring.
    let mut numbers = Vec::new();
    for _ in 0..40 {
        while let Some((number, _)) = bench.outcome() {
            numbers.push(number);
        }
        bench.look();
    }
    assert_eq!(numbers, (1..=32).collect::<Vec<_>>());
}

proptest! {
    /// Whatever files writes into its region, nothing panics, the device gets only valid sectors (`Fake` checks that),
    /// and each wake-up ends.
    #[test]
    fn a_hostile_files_reaches_nothing_but_sectors(
        words in prop::collection::vec((0usize..3000, any::<u64>()), 0..200),
        orders in prop::collection::vec((0u16..8, any::<[u8; 12]>()), 0..40),
        wait in 0u32..3,
    ) {
        let mut bench = bench(Some(Fake { wait, ..Fake::new(40) }));
        for (kind, bytes) in orders {
            let mut frame = Frame::new();
            frame.begin(0x600 + kind, 5)[..12].copy_from_slice(&bytes);
            frame.finish(12);
            let _ = bench.files.send(&frame);
            bench.look();
            let _ = bench.files.receive(&mut frame);
        }
        for (place, value) in words {
            bench.region.store(place, value);
            bench.look();
        }
    }
}
