//! The file of an adapter: a GGUF file as llama.cpp's `convert_lora_to_gguf.py` writes it.
//!
//! In ggml's order of dimensions, A is (columns of W, r) and B is (r, rows of W). Everything is checked before anything
//! changes: [`AdapterFile::read`] checks what can be known of the file alone, [`AdapterFile::check`] whether it fits a
//! model.

use super::base::{Base, Target};
use super::{AdapterError, AdapterInfo, MAX_RANK};
use crate::gguf::{self, Gguf, KnownKey, TensorInfo, check_keys};
use crate::quantize::{self, TensorType};
use crate::transformer::Work;

/// The key that names the file of the base by its SHA-256, in hexadecimal digits. llama.cpp's converter does not write it.
pub const BASE_SHA256_KEY: &str = "sel4_llm.base.sha256";

/// Keys of adapters. One that is not listed could change the result, as `adapter.alora.invocation_tokens` does.
const KEYS: &[KnownKey] = &[
    KnownKey::read("type"),
    KnownKey::read("lora.alpha"),
    // Notes for those who choose among adapters.
    KnownKey::nothing("lora.task_name"),
    KnownKey::nothing("lora.prompt_prefix"),
];

/// A file whose contents have been checked, for whatever model.
#[derive(Clone, Debug)]
pub struct AdapterFile<'a> {
    gguf: Gguf<'a>,
    architecture: &'a str,
    alpha: f32,
    /// What the caller multiplies its effect by.
    strength: f32,
    base: Option<[u8; 32]>,
}

/// The two halves for one tensor of the base.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    /// The tensor of the base.
    pub(super) name: &'a str,
    pub(super) a: TensorInfo<'a>,
    pub(super) b: TensorInfo<'a>,
}

impl Pair<'_> {
    pub(super) const fn rank(&self) -> usize {
        // At most `MAX_RANK`, as `AdapterFile::read` has checked.
        self.a.rows() as usize
    }
}

/// Floats in the arena that `len` floats take: each matrix begins a cache line.
pub(super) const fn padded(len: usize) -> usize {
    len.next_multiple_of(16)
}

/// What an adapter will take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdapterSize {
    /// What it is.
    pub info: AdapterInfo,
    /// Floats of its matrices in the arena.
    pub(super) floats: usize,
    /// What it adds to a token whose logits are not wanted.
    pub work: Work,
    /// What it adds to one whose logits are.
    pub work_with_logits: Work,
}

impl<'a> AdapterFile<'a> {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// What is wrong with it.
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

    /// What can be said of it without its base: all but the bytes that it takes in an arena.
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

    /// Checks it against a model. `file`: SHA-256 of the model's file, if that is to be compared, too.
    ///
    /// # Errors
    /// It is for another one.
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
            floats: 0,
            work: Work::default(),
            work_with_logits: Work::default(),
        };
        for pair in self.pairs() {
            let target = fit(&pair, base)?;
            let rank = pair.rank();
            size.floats += padded(rank * target.columns);
            let rows = target.parts.iter().map(|(_, rows)| padded(rank * rows));
            size.floats += rows.sum::<usize>();
            let elements = rank * (target.columns + target.rows());
            let work = Work {
                multiply_accumulates: elements as u64,
                weight_bytes: (elements * size_of::<f32>()) as u64,
                cache_bytes: 0,
            };
            size.work_with_logits += work;
            if pair.name != "output.weight" {
                size.work += work;
            }
        }
        size.info.bytes = super::bytes(base.config, size.floats);
        Ok(size)
    }

    /// α / r, times what the caller wants of it.
    pub(super) fn scale(&self, pair: &Pair<'_>) -> f32 {
        self.alpha / pair.rank() as f32 * self.strength
    }

    /// The pairs, in the order of their A.
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

    /// Checks what can be known of a half without the base.
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

/// How the names of the halves end.
const A: &str = ".lora_a";
const B: &str = ".lora_b";

/// Where the base has what a pair changes.
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
    // A model's file says neither what it is nor what kind of adapter.
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

/// 64 hexadecimal digits.
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
