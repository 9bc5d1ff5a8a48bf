//! Messages between audit and files, and between files and disk.

use super::{Frame, WireError};
use crate::limits::{MAX_PATH_BYTES, MAX_TRANSFER_BYTES};
use crate::wire::disk::{Description, DiskError, Order, Outcome};
use crate::wire::files::{Answer, Ask, FilesError, Volume};

extern crate std;
use std::vec::Vec;

static LONGEST: [u8; MAX_TRANSFER_BYTES] = [b'x'; MAX_TRANSFER_BYTES];

pub(super) fn asks() -> Vec<Ask<'static>> {
    [
        Ask::Mount,
        Ask::List,
        Ask::Open {
            path: b"models/tiny.gguf",
        },
        Ask::Open {
            path: &LONGEST[..MAX_PATH_BYTES],
        },
        Ask::Read {
            offset: 1 << 40,
            bytes: MAX_TRANSFER_BYTES as u32,
        },
        Ask::Close,
        Ask::OpenLog,
        Ask::ReadLog {
            slot: 7,
            sectors: 16,
        },
        Ask::WriteLog {
            slot: 7,
            data: &LONGEST,
        },
        Ask::FlushLog,
        Ask::Create {
            path: b"adapters/moral.gguf",
        },
        Ask::Append {
            offset: 0,
            bytes: &LONGEST[..3],
        },
        Ask::Finish,
    ]
    .into()
}

pub(super) fn answers() -> Vec<Answer<'static>> {
    [
        Answer::Mounted(Volume {
            bytes: 1 << 26,
            writable: true,
            width: 16,
            ..Volume::default()
        }),
        Answer::File {
            bytes: 9,
            path: b"tiny.gguf",
        },
        Answer::Listed {
            count: 1,
            skipped: 2,
        },
        Answer::Opened { bytes: 9 },
        Answer::Part {
            offset: 512,
            bytes: &LONGEST,
        },
        Answer::Done,
        Answer::LogOpened { sectors: 8192 },
        Answer::LogSectors {
            slot: 1,
            data: &LONGEST[..512],
        },
        Answer::Failed {
            why: FilesError::Device,
            value: 77,
        },
    ]
    .into()
}

pub(super) fn orders() -> Vec<Order<'static>> {
    [
        Order::Describe,
        Order::Read {
            first: u64::MAX,
            sectors: 1,
        },
        Order::Write {
            first: 0,
            data: &LONGEST,
        },
        Order::Flush,
    ]
    .into()
}

pub(super) fn outcomes() -> Vec<Outcome<'static>> {
    [
        Outcome::Described(Description {
            sectors: 1 << 17,
            writable: true,
        }),
        Outcome::Sectors {
            first: 3,
            data: &LONGEST,
        },
        Outcome::Done,
        Outcome::Failed {
            why: DiskError::Range,
            sector: 3,
        },
    ]
    .into()
}

#[test]
fn a_transfer_of_nothing_or_too_much_is_refused() {
    let mut frame: Frame = Frame::new();
    for sectors in [0, 17, u32::MAX] {
        Order::Read { first: 0, sectors }.write(1, &mut frame);
        assert_eq!(Order::parse(&frame), Err(WireError::Field(0x602)));
        Ask::ReadLog { slot: 0, sectors }.write(1, &mut frame);
        assert_eq!(Ask::parse(&frame), Err(WireError::Field(0x407)));
    }
    for bytes in [0, MAX_TRANSFER_BYTES as u32 + 1, u32::MAX] {
        Ask::Read { offset: 0, bytes }.write(1, &mut frame);
        assert_eq!(Ask::parse(&frame), Err(WireError::Field(0x404)));
    }
}
