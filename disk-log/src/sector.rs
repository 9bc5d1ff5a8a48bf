//! One sector: how it is written, and when it counts.

use protocol::hash::Hash;
use sha2::{Digest as _, Sha256};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a sector.
pub const SECTOR: usize = protocol::limits::SECTOR_BYTES;

/// Bytes of an entry that a sector holds.
pub const PIECE: usize = 400;

const MAGIC: [u8; 8] = *b"sel4llmL";

const VERSION: u16 = 1;

const SEAL: usize = 16;

/// No log reaches this, so sums of positions do not overflow.
const MAX_POSITION: u64 = 1 << 60;

/// Which device a log belongs to: the first half of the SHA-256 of its public key.
pub type Device = [u8; 16];

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    magic: [u8; 8],
    version: U16,
    part: U16,
    parts: U16,
    zero: U16,
    slots: U32,
    life: U32,
    position: U64,
    durable: U64,
    sequence: U64,
    device: Device,
    entry: Hash,
    piece: [u8; PIECE],
    seal: [u8; SEAL],
}

const _: () = assert!(size_of::<Layout>() == SECTOR);

/// The header of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which part of its entry this is, from 0.
    pub part: u16,
    /// Parts of the entry.
    pub parts: u16,
    /// Sectors of the log.
    pub slots: u32,
    /// How often the log had been opened for writing.
    pub life: u32,
    /// Sectors written before it since the log was created.
    pub position: u64,
    /// Position up to which everything was durable.
    pub durable: u64,
    /// Sequence number of the entry.
    pub sequence: u64,
    /// The device that the log belongs to.
    pub device: Device,
    /// SHA-256 of the entry.
    pub entry: Hash,
}

/// What a sector holds.
#[derive(Debug)]
pub(crate) enum Sector<'s> {
    /// Zeros: it was never written.
    Zero,
    /// A complete sector.
    Whole(Header, &'s [u8; PIECE]),
    /// The magic number without a valid sector behind it, or its beginning followed by zeros. An interrupted write into an
    /// empty file leaves nothing else.
    Begun,
    /// Anything else.
    Garbage,
}

impl Sector<'_> {
    pub fn read(bytes: &[u8; SECTOR]) -> Sector<'_> {
        let Ok(layout) = Layout::ref_from_bytes(bytes) else {
            return Sector::Garbage;
        };
        let header = Header {
            part: layout.part.get(),
            parts: layout.parts.get(),
            slots: layout.slots.get(),
            life: layout.life.get(),
            position: layout.position.get(),
            durable: layout.durable.get(),
            sequence: layout.sequence.get(),
            device: layout.device,
            entry: layout.entry,
        };
        let sound = layout.magic == MAGIC
            && layout.version.get() == VERSION
            && layout.zero.get() == 0
            && header.part < header.parts
            && header.position < MAX_POSITION
            && u64::from(header.part) <= header.position
            && header.durable <= header.position
            && seal(bytes) == layout.seal;
        if sound {
            return Sector::Whole(header, &layout.piece);
        }
        let same = bytes.iter().zip(&MAGIC).take_while(|(a, b)| a == b).count();
        match bytes.get(same..) {
            Some(rest) if rest.iter().all(|byte| *byte == 0) && same == 0 => Sector::Zero,
            Some(rest) if same == MAGIC.len() || rest.iter().all(|byte| *byte == 0) => {
                Sector::Begun
            }
            _ => Sector::Garbage,
        }
    }
}

/// Encodes a sector.
pub(crate) fn write(header: &Header, piece: &[u8], to: &mut [u8; SECTOR]) {
    let mut layout = Layout {
        magic: MAGIC,
        version: VERSION.into(),
        part: header.part.into(),
        parts: header.parts.into(),
        zero: 0.into(),
        slots: header.slots.into(),
        life: header.life.into(),
        position: header.position.into(),
        durable: header.durable.into(),
        sequence: header.sequence.into(),
        device: header.device,
        entry: header.entry,
        piece: [0; PIECE],
        seal: [0; SEAL],
    };
    for (to, from) in layout.piece.iter_mut().zip(piece) {
        *to = *from;
    }
    *to = zerocopy::transmute!(layout);
    let seal = seal(to);
    for (to, from) in to.iter_mut().rev().zip(seal.iter().rev()) {
        *to = *from;
    }
}

fn seal(sector: &[u8; SECTOR]) -> [u8; SEAL] {
    let [sealed @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = sector;
    let digest: Hash = Sha256::digest(sealed).into();
    let mut seal = [0; SEAL];
    for (to, from) in seal.iter_mut().zip(digest) {
        *to = from;
    }
    seal
}
