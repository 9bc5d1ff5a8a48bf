//! The file of an adapter, in the format of llama.cpp's converter: metadata, the list of tensors, and their elements in
//! F16, which is the converter's default. Compared with F32, that halves the size to keep, to export and to read for
//! every token.

use super::TrainParams;
use super::adapted::Adapted;
use super::job::Job;
use crate::arena::as_mut;
use crate::quantize::NonFinite;
use crate::transformer::config::Config;
use crate::transformer::steps::{Stepwise, Stop};
use crate::transformer::training::Targets;
use core::fmt::Write as _;
use core::ops::Range;
use half::f16;
use zerocopy::IntoBytes;

/// Name of a tensor.
type TensorName = heapless::String<48>;

/// Numbers of metadata types.
const UINT32: u32 = 4;
const FLOAT32: u32 = 6;
const STRING: u32 = 8;
const UINT64: u32 = 10;

/// Alignment of each tensor's data in bytes, which is the default for files.
const ALIGNMENT: usize = 32;

/// Number of the tensor type F16.
const F16: u32 = 1;

/// A tensor of the file.
struct TensorEntry {
    name: TensorName,
    /// Length of a row, and number of rows.
    shape: [usize; 2],
    /// Where its elements are in the parameters: one range for A; for B, one per matrix that shares its A, stored
    /// transposed.
    parts: heapless::Vec<Range<usize>, 3>,
    transposed: bool,
}

impl TensorEntry {
    fn bytes(&self) -> usize {
        (self.shape[0] * self.shape[1] * size_of::<f16>()).next_multiple_of(ALIGNMENT)
    }
}

/// All tensors, in file order.
fn entries<'a>(
    config: &Config,
    adapted: &'a Adapted,
) -> impl Iterator<Item = TensorEntry> + use<'a> {
    (0..config.layers).flat_map(|layer| entries_of(layer, adapted))
}

/// The tensors of a block.
fn entries_of(layer: usize, adapted: &Adapted) -> impl Iterator<Item = TensorEntry> + use<'_> {
    adapted.tensors().flat_map(move |tensor| {
        let name = |half: &str| {
            let mut name = TensorName::new();
            // Two digits, at most eleven letters and fifteen fit.
            let _ = write!(name, "blk.{layer}.{}.weight.lora_{half}", tensor.name);
            name
        };
        let pairs = tensor.slots.iter();
        let pairs = pairs.filter_map(|&slot| adapted.pair(layer, slot));
        let rank = adapted.rank;
        let (mut columns, mut rows) = (0, 0);
        let (mut a, mut b) = (heapless::Vec::new(), heapless::Vec::new());
        for pair in pairs {
            (columns, rows) = (pair.columns, rows + pair.rows);
            a = core::iter::once(pair.a..pair.a + rank * pair.columns).collect();
            // A tensor has at most three matrices.
            let _ = b.push(pair.b..pair.b + rank * pair.rows);
        }
        [
            TensorEntry {
                name: name("a"),
                shape: [columns, rank],
                parts: a,
                transposed: false,
            },
            TensorEntry {
                name: name("b"),
                shape: [rank, rows],
                parts: b,
                transposed: true,
            },
        ]
    })
}

/// Receives the bytes; those that do not fit are only counted.
struct Sink<'a> {
    to: &'a mut [u8],
    at: usize,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if let Some(to) = self.to.get_mut(self.at..end) {
            to.copy_from_slice(bytes);
        }
        self.at = end;
    }

    fn text(&mut self, text: &str) {
        self.put(&(text.len() as u64).to_le_bytes());
        self.put(text.as_bytes());
    }

    fn key(&mut self, key: &str, ty: u32) {
        self.text(key);
        self.put(&ty.to_le_bytes());
    }

    fn align(&mut self) {
        while !self.at.is_multiple_of(ALIGNMENT) {
            self.put(&[0]);
        }
    }
}

/// Number of metadata keys.
const KEYS: u64 = 11;

/// Everything before the tensor data.
fn head(sink: &mut Sink<'_>, config: &Config, adapted: &Adapted, params: &TrainParams) {
    sink.put(b"GGUF");
    sink.put(&3u32.to_le_bytes());
    sink.put(&(entries(config, adapted).count() as u64).to_le_bytes());
    sink.put(&KEYS.to_le_bytes());
    let texts = [
        ("general.type", "adapter"),
        ("general.architecture", config.family.name),
        ("adapter.type", "lora"),
    ];
    for (key, value) in texts {
        sink.key(key, STRING);
        sink.text(value);
    }
    sink.key("adapter.lora.alpha", FLOAT32);
    sink.put(&params.alpha().to_le_bytes());
    let mut base = heapless::String::<64>::new();
    for byte in params.base {
        // Two digits for each of 32 bytes fit.
        let _ = write!(base, "{byte:02x}");
    }
    sink.key("sel4_llm.base.sha256", STRING);
    sink.text(&base);
    for (key, value) in [
        ("sel4_llm.training.rank", params.rank),
        ("sel4_llm.training.epochs", params.epochs),
        ("sel4_llm.training.numerics", crate::NUMERICS_VERSION),
    ] {
        sink.key(key, UINT32);
        sink.put(&value.to_le_bytes());
    }
    sink.key("sel4_llm.training.rate", FLOAT32);
    sink.put(&params.rate().to_le_bytes());
    sink.key("sel4_llm.training.seed", UINT64);
    sink.put(&params.seed.to_le_bytes());
    sink.key("sel4_llm.training.targets", STRING);
    sink.text(match params.targets {
        Targets::Attention => "attention",
        Targets::All => "all",
    });
    let mut offset = 0;
    for entry in entries(config, adapted) {
        sink.text(&entry.name);
        sink.put(&2u32.to_le_bytes());
        for dimension in entry.shape {
            sink.put(&(dimension as u64).to_le_bytes());
        }
        sink.put(&F16.to_le_bytes());
        sink.put(&(offset as u64).to_le_bytes());
        offset += entry.bytes();
    }
    sink.align();
}

/// Size of the file in bytes.
pub(super) fn bytes(config: &Config, adapted: &Adapted, params: &TrainParams) -> usize {
    let mut sink = Sink { to: &mut [], at: 0 };
    head(&mut sink, config, adapted, params);
    sink.at
        + entries(config, adapted)
            .map(|entry| entry.bytes())
            .sum::<usize>()
}

impl Job<'_> {
    /// Writes the file over gradients and moments, which are no longer needed.
    pub(super) fn write(&mut self, params: &TrainParams) -> Result<(), Stop> {
        let config = &self.model.config;
        let adapted = self.adapted;
        let mut counted = Sink { to: &mut [], at: 0 };
        head(&mut counted, config, adapted, params);
        let head_bytes = counted.at;
        self.once(|job| {
            let to = job.working.get_mut(job.area.moments).as_mut_bytes();
            head(&mut Sink { to, at: 0 }, config, adapted, params);
            Ok(())
        })?;
        // All blocks are alike.
        let block: usize = entries_of(0, adapted).map(|entry| entry.bytes()).sum();
        self.in_parts(config.layers, adapted.per_block as u64, |job, layers| {
            let ranges = [job.area.moments.range(), job.area.parameters.range()];
            let [to, parameters] = job.working.disjoint(ranges);
            let mut sink = Sink {
                to,
                at: head_bytes + layers.start * block,
            };
            let entries = layers.flat_map(|layer| entries_of(layer, adapted));
            for entry in entries {
                put_numbers(&mut sink, &entry, as_mut(parameters), adapted.rank)?;
            }
            Ok(())
        })
    }
}

/// Writes the elements of a tensor.
///
/// # Errors
/// An element is too large for F16.
fn put_numbers(
    sink: &mut Sink<'_>,
    entry: &TensorEntry,
    parameters: &[f32],
    rank: usize,
) -> Result<(), NonFinite> {
    for part in entry.parts.iter().cloned() {
        let part = &parameters[part];
        // A: unchanged.
        let (rows, columns) = match entry.transposed {
            false => (1, part.len()),
            true => (part.len() / rank, rank),
        };
        for row in 0..rows {
            for column in 0..columns {
                let number = f16::from_f32(part[column * rows + row]);
                if !number.is_finite() {
                    return Err(NonFinite);
                }
                sink.put(&number.to_le_bytes());
            }
        }
    }
    sink.align();
    Ok(())
}
