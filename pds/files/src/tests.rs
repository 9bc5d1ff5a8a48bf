mod broken;
mod fake_disk;
mod new_files;

extern crate std;

use super::*;
use core::pin::pin;
use fake_disk::{FakeDisk, Mode};
use proptest::prelude::*;
use protocol::store::LOG_FILE;
use protocol::testing::{TestEndpoint, TestRegion, all_of_endpoints, endpoints};
use protocol::wire::disk::{Description, Order, Outcome};
use protocol::wire::files::Volume as Described;
use std::boxed::Box;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;
use storage::make::{Plan, make};
use storage::{Blocks, Memory, SECTOR, Table, Ticket, block_on};

type Image = Memory<Vec<u8>>;

#[derive(Default)]
struct Signals {
    audit: u32,
    disk: u32,
}

impl Port for Signals {
    fn notify_audit(&mut self) {
        self.audit += 1;
    }

    fn notify_disk(&mut self) {
        self.disk += 1;
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Mounted(Described),
    File(String, u64),
    Listed(u32, u32),
    Opened(u64),
    Part(u64, Vec<u8>),
    Done,
    LogOpened(u32),
    LogSectors(u32, Vec<u8>),
    Failed(FilesError, u64),
}

fn told(frame: &Frame) -> Told {
    match Answer::parse(frame).expect("files sends answers") {
        Answer::Mounted(volume) => Told::Mounted(volume),
        Answer::File { bytes, path } => {
            Told::File(core::str::from_utf8(path).unwrap().to_string(), bytes)
        }
        Answer::Listed { count, skipped } => Told::Listed(count, skipped),
        Answer::Opened { bytes } => Told::Opened(bytes),
        Answer::Part { offset, bytes } => Told::Part(offset, bytes.to_vec()),
        Answer::Done => Told::Done,
        Answer::LogOpened { sectors } => Told::LogOpened(sectors),
        Answer::LogSectors { slot, data } => Told::LogSectors(slot, data.to_vec()),
        Answer::Failed { why, value } => Told::Failed(why, value),
    }
}

struct Bench {
    links: &'static Links<TestRegion, TestRegion>,
    service: Pin<Box<dyn Future<Output = Infallible>>>,
    audit: TestEndpoint,
    disk: FakeDisk,
    signals: Signals,
    number: u32,
}

impl Bench {
    /// Asserts that the file system is sound.
    fn check(&mut self) {
        let say = |finding: &dyn core::fmt::Display, _| std::println!("{finding}");
        let findings = block_on(storage::check(&mut self.disk.image, &mut [0; 4096], say));
        assert_eq!(findings, Ok(0));
    }

    fn new(image: Image, mode: Mode) -> Self {
        let (mut audit, audits_peer, _) = endpoints();
        let (mut ring, disks_peer, ..) = all_of_endpoints();
        audit.lead(1);
        ring.lead(1);
        let links = Box::leak(Box::new(Links::new(audits_peer, disks_peer)));
        Self {
            links,
            service: Box::pin(serve(links)),
            audit,
            disk: FakeDisk {
                ring,
                image,
                mode,
                looks: 0,
                writes: Vec::new(),
                flushes: 0,
            },
            signals: Signals::default(),
            number: 0,
        }
    }

    fn send(&mut self, ask: &Ask<'_>) -> u32 {
        self.number += 1;
        let mut frame = Frame::new();
        ask.write(self.number, &mut frame);
        self.audit.send(&frame).unwrap();
        self.number
    }

    fn turn(&mut self) {
        self.links.poll(self.service.as_mut(), &mut self.signals);
        self.disk.look();
    }

    /// The next answer, if one comes.
    fn hear(&mut self) -> Option<(u32, Told)> {
        let mut frame = Frame::new();
        for _ in 0..5000 {
            if self.audit.receive(&mut frame).unwrap() {
                return Some((frame.header().request, told(&frame)));
            }
            self.turn();
        }
        None
    }

    fn ask(&mut self, ask: &Ask<'_>) -> Told {
        let number = self.send(ask);
        let (of, told) = self.hear().expect("an answer");
        assert_eq!(of, number);
        told
    }

    /// Writes a whole new file.
    fn write(&mut self, path: &str, bytes: &[u8]) {
        let path = path.as_bytes();
        assert_eq!(self.ask(&Ask::Create { path }), Told::Done);
        assert_eq!(self.ask(&Ask::Append { offset: 0, bytes }), Told::Done);
        assert_eq!(self.ask(&Ask::Finish), Told::Done);
    }

    /// Appends to the new file until the disk, which has `free` bytes left, is full. Returns the size reached.
    fn fill(&mut self, free: u64) -> u64 {
        let mut offset = 0;
        let failed = loop {
            let bytes = &[7; 8192];
            match self.ask(&Ask::Append { offset, bytes }) {
                Told::Done => offset += bytes.len() as u64,
                other => break other,
            }
        };
        assert!(
            matches!(failed, Told::Failed(FilesError::Full, _)),
            "{failed:?}"
        );
        assert!(offset + 8192 * 4 > free);
        offset
    }

    fn mount(&mut self) -> Described {
        match self.ask(&Ask::Mount) {
            Told::Mounted(volume) => volume,
            other => panic!("{other:?}"),
        }
    }

    fn list(&mut self) -> Vec<Told> {
        let number = self.send(&Ask::List);
        let mut all = Vec::new();
        loop {
            let (of, told) = self.hear().expect("an answer");
            assert_eq!(of, number);
            all.push(told);
            if !matches!(all.last(), Some(Told::File(..))) {
                return all;
            }
        }
    }
}

const LOG_SECTORS: usize = 64;

fn contents(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 7) as u8).collect()
}

/// A disk with two files and a log.
fn image() -> Image {
    let mut image = Memory::new(vec![0; 4 << 20]);
    let plan = Plan {
        table: Table::Mbr,
        label: "TEST",
        seed: [1; 32],
    };
    block_on(async {
        make(&mut image, &plan).await?;
        let mut ground = Ground::new();
        let mut volume = Volume::mount(&mut image, &mut ground).await?;
        volume.make_folders("adapters").await?;
        for (path, bytes) in [
            (LOG_FILE, LOG_SECTORS * SECTOR),
            ("tiny.gguf", 20_000),
            ("adapters/moral.gguf", 700),
        ] {
            let mut file = volume.create(path).await?;
            volume.append(&mut file, &contents(bytes)).await?;
            volume.close(file).await?;
        }
        volume.sync().await
    })
    .unwrap();
    image
}

#[test]
fn files_are_listed_and_read_at_any_place() {
    for mode in [Mode::Honest, Mode::Slow] {
        let mut bench = Bench::new(image(), mode);
        let volume = bench.mount();
        assert!(volume.writable && volume.free > 1 << 20);
        assert_eq!((volume.first, volume.width, volume.table), (2048, 12, 1));
        let file = |path: &str, bytes| Told::File(path.to_string(), bytes);
        assert_eq!(
            bench.list(),
            [
                file("adapters/moral.gguf", 700),
                file(LOG_FILE, (LOG_SECTORS * SECTOR) as u64),
                file("tiny.gguf", 20_000),
                Told::Listed(3, 0),
            ]
        );
        let opened = bench.ask(&Ask::Open { path: b"tiny.gguf" });
        assert_eq!(opened, Told::Opened(20_000));
        let all = contents(20_000);
        for (offset, bytes) in [
            (0usize, 8192),
            (8192, 8192),
            (16_384, 3616),
            (3, 1),
            (511, 1026),
        ] {
            let part = bench.ask(&Ask::Read {
                offset: offset as u64,
                bytes: bytes as u32,
            });
            let expected = all[offset..offset + bytes].to_vec();
            assert_eq!(part, Told::Part(offset as u64, expected));
        }
        let end = bench.ask(&Ask::Read {
            offset: 19_999,
            bytes: 512,
        });
        assert_eq!(end, Told::Part(19_999, vec![all[19_999]]));
        let beyond = bench.ask(&Ask::Read {
            offset: u64::MAX,
            bytes: 1,
        });
        assert_eq!(beyond, Told::Part(u64::MAX, vec![]));
        assert_eq!(bench.ask(&Ask::Close), Told::Done);
        let none = bench.ask(&Ask::Read {
            offset: 0,
            bytes: 1,
        });
        assert_eq!(none, Told::Failed(FilesError::NotOpen, 0));
        assert!(bench.signals.audit > 0 && bench.signals.disk > 0);
    }
}

#[test]
fn names_that_audit_may_not_be_told_are_counted_and_do_not_end_the_list() {
    // A long name may contain control characters above 127, and a damaged one any.
    for odd in ["ti\u{85}y", "ti\u{1b}y", "ti\ny"] {
        let mut image = image();
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let (from, to) = (wide("tiny"), wide(odd));
        let bytes = image.bytes_mut();
        let mut found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&from));
        let at = found.next().unwrap();
        bytes[at..at + to.len()].copy_from_slice(&to);
        let mut bench = Bench::new(image, Mode::Honest);
        bench.mount();
        let mut listed = bench.list();
        let Some(Told::Listed(count, 1)) = listed.pop() else {
            panic!("{odd:?}: {listed:?}");
        };
        assert!(count > 0 && listed.len() == count as usize);
        for file in listed {
            let Told::File(path, _) = file else {
                panic!("{file:?}");
            };
            assert!(!path.chars().any(char::is_control), "{path:?}");
        }
    }
}

#[test]
fn the_log_is_written_to_its_own_sectors_and_nothing_else_changes() {
    let mut bench = Bench::new(image(), Mode::Honest);
    bench.mount();
    let write = Ask::WriteLog {
        slot: 5,
        data: &[9; 2 * SECTOR],
    };
    assert_eq!(bench.ask(&write), Told::Failed(FilesError::NotOpen, 5));
    assert_eq!(
        bench.ask(&Ask::OpenLog),
        Told::LogOpened(LOG_SECTORS as u32)
    );
    bench.disk.writes.clear();
    let before = bench.disk.image.bytes().to_vec();
    assert_eq!(bench.ask(&write), Told::Done);
    assert_eq!(bench.ask(&Ask::FlushLog), Told::Done);
    assert_eq!((bench.disk.writes.len(), bench.disk.flushes), (1, 1));
    let at = bench.disk.writes[0] as usize * SECTOR;
    let mut expected = before;
    expected[at..at + 2 * SECTOR].fill(9);
    assert!(bench.disk.image.bytes() == expected);
    let read = bench.ask(&Ask::ReadLog {
        slot: 4,
        sectors: 3,
    });
    let first = contents(LOG_SECTORS * SECTOR)[4 * SECTOR..5 * SECTOR].to_vec();
    assert_eq!(
        read,
        Told::LogSectors(4, [first, vec![9; 2 * SECTOR]].concat())
    );
    for (slot, sectors) in [(64, 1), (63, 2), (u32::MAX, 16)] {
        let failed = Told::Failed(FilesError::Range, u64::from(slot));
        assert_eq!(bench.ask(&Ask::ReadLog { slot, sectors }), failed);
        let data = vec![1; sectors as usize * SECTOR];
        assert_eq!(bench.ask(&Ask::WriteLog { slot, data: &data }), failed);
    }
    for data in [&[][..], &[1; 511]] {
        let failed = Told::Failed(FilesError::Range, 0);
        assert_eq!(bench.ask(&Ask::WriteLog { slot: 0, data }), failed);
    }
}

#[test]
fn answers_wait_for_an_audit_that_does_not_read() {
    let mut bench = Bench::new(image(), Mode::Honest);
    bench.mount();
    for _ in 0..6 {
        bench.send(&Ask::List);
    }
    // Six lists have 24 answers, more than the ring holds.
    for _ in 0..1000 {
        bench.turn();
    }
    let mut lists = 0;
    while let Some((_, told)) = bench.hear() {
        lists += u32::from(told == Told::Listed(3, 0));
    }
    assert_eq!(lists, 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever audit's ring and the disk hold, each ask is answered and nothing panics.
    #[test]
    fn asks_of_any_kind_on_a_damaged_disk_are_answered(
        asks in prop::collection::vec((0u16..14, any::<[u8; 12]>(), any::<bool>()), 1..20),
        changes in prop::collection::vec((0usize..120, 0usize..SECTOR, any::<u8>()), 0..12),
    ) {
        let mut image = image();
        for (sector, byte, value) in changes {
            let first = if sector == 0 { 0 } else { 2047 };
            image.bytes_mut()[(first + sector) * SECTOR + byte] = value;
        }
        let mut bench = Bench::new(image, Mode::Honest);
        bench.send(&Ask::Mount);
        assert!(bench.hear().is_some());
        for (kind, bytes, is_text) in asks {
            let mut frame = Frame::new();
            let payload: &[u8] = if is_text { b"tiny.gguf" } else { &bytes };
            frame.begin(0x400 + kind, 500)[..payload.len()].copy_from_slice(payload);
            frame.finish(payload.len());
            bench.audit.send(&frame).unwrap();
            let mut answers = 0;
            loop {
                let answer = bench.hear();
                prop_assert!(answer.is_some(), "kind {kind} has no end");
                answers += 1;
                if !matches!(answer, Some((_, Told::File(..)))) {
                    break;
                }
                prop_assert!(answers < 5000);
            }
        }
    }
}

#[test]
fn a_pinned_service_is_what_the_domain_polls() {
    // As in the runtime, the future is pinned, so it does not move between two polls.
    let (audit, files, _) = endpoints();
    let (disk, files_too, _) = endpoints();
    let links = Links::new(files, files_too);
    let mut service = pin!(serve(&links));
    let mut signals = Signals::default();
    links.poll(service.as_mut(), &mut signals);
    links.poll(service.as_mut(), &mut signals);
    assert_eq!((signals.audit, signals.disk), (0, 0));
    drop((audit, disk));
}
