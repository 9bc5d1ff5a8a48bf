//! An adapter's file: GGUF as written by llama.cpp's `convert_lora_to_gguf.py`.
//!
//! In ggml's order of dimensions, A is (columns of W, r) and B is (r, rows of W). Everything is checked before anything
//! changes: [`AdapterFile::read`] checks what depends on the file alone, [`AdapterFile::check`] whether it fits a
//! model.

use super::base::{Base, Target};
use super::{AdapterError, AdapterInfo, MAX_RANK};
use crate::arena::ALIGNMENT;
use crate::gguf::{self, Gguf, KnownKey, TensorInfo, check_keys};
use crate::quantize::{self, TensorType};
use crate::simd::adapter::Stored;
use crate::transformer::Work;

/// Key that identifies the base's file by its SHA-256 in hexadecimal. llama.cpp's converter does not write it.
pub const BASE_SHA256_KEY: &str = "sel4_llm.base.sha256";

/// Keys of adapters. An unlisted one could change the result, as `adapter.alora.invocation_tokens` does.
const KEYS: &[KnownKey] = &[
    KnownKey::read("type"),
    KnownKey::read("lora.alpha"),
    // Notes for people choosing an adapter.
    KnownKey::nothing("lora.task_name"),
    KnownKey::nothing("lora.prompt_prefix"),
];

/// A file whose contents were checked, independently of a model.
#[derive(Clone, Debug)]
pub struct AdapterFile<'a> {
    gguf: Gguf<'a>,
    architecture: &'a str,
    alpha: f32,
    /// Factor for its effect, chosen by the caller.
    strength: f32,
    base: Option<[u8; 32]>,
}

/// The two halves of the adapter for one tensor of the base.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    /// The tensor of the base.
    pub(super) name: &'a str,
    pub(super) a: TensorInfo<'a>,
    pub(super) b: TensorInfo<'a>,
}

impl Pair<'_> {
    pub(super) const fn rank(&self) -> usize {
        // At most `MAX_RANK`, which `AdapterFile::read` has checked.
        self.a.rows() as usize
    }
}

/// Type of a tensor's elements in the arena: as in the file, if it has floats.
pub(super) const fn stored(tensor: &TensorInfo<'_>) -> Stored {
    match tensor.ty {
        TensorType::F16 => Stored::F16,
        TensorType::BF16 => Stored::BF16,
        _ => Stored::F32,
    }
}

/// Size of `elements` elements in the arena: each matrix begins on a cache line.
pub(super) const fn padded(stored: Stored, elements: usize) -> usize {
    (elements * stored.bytes()).next_multiple_of(ALIGNMENT)
}

/// Resources that an adapter needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdapterSize {
    /// Its properties.
    pub info: AdapterInfo,
    /// Size of its matrices in the arena, in bytes.
    pub(super) data: usize,
    /// Work that it adds to a token without logits.
    pub work: Work,
    /// Work that it adds to a token with logits.
    pub work_with_logits: Work,
}

impl<'a> AdapterFile<'a> {
    /// Parses and checks a file.
    ///
    /// # Errors
    /// The file is not a valid adapter.
    pub fn read(file: &'a [u8]) -> Result<Self, AdapterError> {
        let gguf = Gguf::parse(file)?;
        expect(&gguf, "general.type", "adapter")?;
        expect(&gguf, "adapter.type", "lora")?;
        check_keys(&gguf, "adapter.", &[KEYS])?;
        let alpha = gguf.f32_of("adapter.lora.alpha")?;
        if !(alpha.is_finite() && alpha > 0.0) {
            return Err(AdapterError::Alpha);
        }
        let base = match gguf.str_opt(BASE_SHA256_KEY)? {
            None => None,
            Some(text) => Some(digest(text).ok_or(AdapterError::BadDigest)?),
        };
        let adapter = Self {
            architecture: gguf.str_of("general.architecture")?,
            gguf,
            alpha,
            strength: 1.0,
            base,
        };
        for tensor in adapter.gguf.tensors() {
            adapter.check_tensor(&tensor)?;
        }
        match adapter.gguf.tensor_count() {
            0 => Err(AdapterError::Empty),
            _ => Ok(adapter),
        }
    }

    /// The same adapter with its effect multiplied by `strength`.
    #[must_use]
    pub fn scaled(self, strength: f32) -> Self {
        Self { strength, ..self }
    }

    /// The architecture that it was made for.
    #[must_use]
    pub const fn architecture(&self) -> &'a str {
        self.architecture
    }

    /// The SHA-256 of the file that it was made for, if it names one.
    #[must_use]
    pub const fn base(&self) -> Option<&[u8; 32]> {
        self.base.as_ref()
    }

    /// The file.
    #[must_use]
    pub const fn gguf(&self) -> &Gguf<'a> {
        &self.gguf
    }

    /// Its properties as far as they do not depend on the base: all except its size in an arena.
    #[must_use]
    pub fn info(&self) -> AdapterInfo {
        let mut info = AdapterInfo {
            rank: 0,
            alpha: self.alpha,
            matrices: 0,
            parameters: 0,
            bytes: 0,
        };
        for pair in self.pairs() {
            info.rank = info.rank.max(pair.rank() as u32);
            info.matrices += 1;
            info.parameters += pair.a.elements().saturating_add(pair.b.elements());
        }
        info
    }

    /// Checks it against a model. `file`: SHA-256 of the model file, if it is to be compared as well.
    ///
    /// # Errors
    /// It was made for another model.
    pub fn check(
        &self,
        base: &Base<'_>,
        file: Option<&[u8; 32]>,
    ) -> Result<AdapterSize, AdapterError> {
        let model = base.config.family.name;
        if self.architecture != model {
            let made_for = gguf::name(self.architecture);
            return Err(AdapterError::Architecture { made_for, model });
        }
        if let (Some(made_for), Some(file)) = (self.base(), file)
            && made_for != file
        {
            return Err(AdapterError::OtherBase);
        }
        let mut size = AdapterSize {
            info: self.info(),
            data: 0,
            work: Work::default(),
            work_with_logits: Work::default(),
        };
        for pair in self.pairs() {
            let target = fit(&pair, base)?;
            let rank = pair.rank();
            let [a, b] = [pair.a, pair.b].map(|tensor| stored(&tensor));
            size.data += padded(a, rank * target.columns);
            let parts = target.parts.iter();
            size.data += parts.map(|(_, rows)| padded(b, rank * rows)).sum::<usize>();
            let [of_a, of_b] = [target.columns, target.rows()].map(|side| rank * side);
            let work = Work {
                multiply_accumulates: (of_a + of_b) as u64,
                weight_bytes: (of_a * a.bytes() + of_b * b.bytes()) as u64,
                cache_bytes: 0,
            };
            size.work_with_logits += work;
            if pair.name != "output.weight" {
                size.work += work;
            }
        }
        size.info.bytes = super::bytes(base.config, size.data);
        Ok(size)
    }

    /// α / r, times the caller's factor.
    pub(super) fn scale(&self, pair: &Pair<'_>) -> f32 {
        self.alpha / pair.rank() as f32 * self.strength
    }

    /// The pairs, ordered by their A.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair<'a>> + '_ {
        self.gguf.tensors().filter_map(|a| {
            let name = a.name.strip_suffix(A)?;
            let b = self.other_half(name, B)?;
            Some(Pair { name, a, b })
        })
    }

    fn other_half(&self, name: &str, half: &str) -> Option<TensorInfo<'a>> {
        self.gguf.tensors().find(|other| {
            let rest = other.name.strip_prefix(name);
            rest == Some(half)
        })
    }

    /// Checks what does not depend on the base.
    fn check_tensor(&self, tensor: &TensorInfo<'_>) -> Result<(), AdapterError> {
        let shown = || gguf::name(tensor.name);
        let name = |half| tensor.name.strip_suffix(half);
        let (name, other) = match (name(A), name(B)) {
            (Some(name), _) => (name, B),
            (_, Some(name)) => (name, A),
            _ => return Err(AdapterError::UnknownTensor(shown())),
        };
        let other = self
            .other_half(name, other)
            .ok_or_else(|| AdapterError::Half(shown()))?;
        let ranks = match tensor.name.ends_with(A) {
            true => [tensor.rows(), other.columns()],
            false => [tensor.columns(), other.rows()],
        };
        let [rank, other] = ranks;
        let [.., planes, volumes] = tensor.dims;
        if rank != other || rank > MAX_RANK as u64 || planes.max(volumes) > 1 {
            let tensor = shown();
            return Err(AdapterError::Rank { tensor, rank });
        }
        match tensor.ty {
            TensorType::F32 | TensorType::F16 | TensorType::BF16 | TensorType::Q8_0 => {}
            ty => {
                return Err(AdapterError::Type {
                    tensor: shown(),
                    ty: ty.name(),
                });
            }
        }
        match quantize::is_finite(tensor.ty, tensor.data) {
            true => Ok(()),
            false => Err(AdapterError::NonFinite(shown())),
        }
    }
}

/// Suffixes of the halves' names.
const A: &str = ".lora_a";
const B: &str = ".lora_b";

/// The base's tensor that a pair changes.
pub(super) fn fit(pair: &Pair<'_>, base: &Base<'_>) -> Result<Target, AdapterError> {
    let target = base
        .target(pair.name)
        .ok_or_else(|| AdapterError::UnknownTensor(gguf::name(pair.a.name)))?;
    let (columns, rows) = (target.columns as u64, target.rows() as u64);
    let sizes = [
        (pair.a, pair.a.columns(), columns),
        (pair.b, pair.b.rows(), rows),
    ];
    for (tensor, size, expected) in sizes {
        if size != expected {
            return Err(AdapterError::Shape {
                tensor: gguf::name(tensor.name),
                size,
                expected,
            });
        }
    }
    Ok(target)
}

fn expect(gguf: &Gguf<'_>, key: &'static str, expected: &'static str) -> Result<(), AdapterError> {
    // A model's file has neither of these keys.
    let value = gguf.str_opt(key)?.unwrap_or("missing");
    match value == expected {
        true => Ok(()),
        false => Err(AdapterError::NoAdapter {
            key,
            value: gguf::name(value),
            expected,
        }),
    }
}

/// Parses 64 hexadecimal digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut digest = [0; 32];
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(pairs) {
        let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
        *byte = (high? * 16 + low?) as u8;
    }
    Some(digest)
}
