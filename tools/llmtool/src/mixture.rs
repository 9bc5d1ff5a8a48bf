//! The types of a file's matrices for a file type, as in llama-quantize.
//!
//! A file "in Q4_K_M" has most matrices in Q4_K, and the most sensitive ones in Q6_K. Which these are is llama.cpp's
//! choice: `Mix::wanted` is the rule of `llama_tensor_get_type_impl` in its `src/llama-quant.cpp` (as of
//! llama-cpp-python 0.3.36), for the types that the engine reads and for dense models of at most 64 blocks. Its rules
//! for Falcon, for experts and for models of 70 B have no counterpart here.

use llm_core::gguf::{Gguf, TensorInfo};
use llm_core::quantize::TensorType;

/// A file type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileType {
    /// llama-quantize's name.
    pub name: &'static str,
    /// llama.cpp's number, `general.file_type`.
    pub number: u32,
    /// The type that most matrices get.
    pub base: TensorType,
    mix: Mix,
}

/// Which matrices get another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mix {
    /// None: the file's type is not quantised.
    Plain,
    /// The output matrix.
    Output,
    Q2K,
    Q3KM,
    Q3KL,
    Q4KS,
    Q4KM,
    Q5KM,
    IQ4,
    /// With an importance matrix, the first matrices of the feed-forward layers get this type, which has an offset.
    Offset(TensorType),
    Ternary,
}

const fn file_type(name: &'static str, number: u32, base: TensorType, mix: Mix) -> FileType {
    FileType {
        name,
        number,
        base,
        mix,
    }
}

/// All of them.
pub const FILE_TYPES: [FileType; 21] = [
    file_type("F32", 0, TensorType::F32, Mix::Plain),
    file_type("F16", 1, TensorType::F16, Mix::Plain),
    file_type("BF16", 32, TensorType::BF16, Mix::Plain),
    file_type("Q8_0", 7, TensorType::Q8_0, Mix::Output),
    file_type("Q6_K", 18, TensorType::Q6K, Mix::Output),
    file_type("Q5_K_M", 17, TensorType::Q5K, Mix::Q5KM),
    file_type("Q5_K_S", 16, TensorType::Q5K, Mix::Output),
    file_type("Q5_1", 9, TensorType::Q5_1, Mix::Output),
    file_type("Q5_0", 8, TensorType::Q5_0, Mix::Offset(TensorType::Q5_1)),
    file_type("Q4_K_M", 15, TensorType::Q4K, Mix::Q4KM),
    file_type("Q4_K_S", 14, TensorType::Q4K, Mix::Q4KS),
    file_type("Q4_1", 3, TensorType::Q4_1, Mix::Output),
    file_type("Q4_0", 2, TensorType::Q4_0, Mix::Offset(TensorType::Q4_1)),
    file_type("IQ4_NL", 25, TensorType::IQ4NL, Mix::IQ4),
    file_type("IQ4_XS", 30, TensorType::IQ4XS, Mix::IQ4),
    file_type("Q3_K_L", 13, TensorType::Q3K, Mix::Q3KL),
    file_type("Q3_K_M", 12, TensorType::Q3K, Mix::Q3KM),
    file_type("Q3_K_S", 11, TensorType::Q3K, Mix::Output),
    file_type("Q2_K", 10, TensorType::Q2K, Mix::Q2K),
    file_type("TQ2_0", 37, TensorType::TQ2_0, Mix::Ternary),
    file_type("TQ1_0", 36, TensorType::TQ1_0, Mix::Ternary),
];

/// Aliases in llama-quantize.
const ALIASES: [(&str, &str); 3] = [("Q3_K", "Q3_K_M"), ("Q4_K", "Q4_K_M"), ("Q5_K", "Q5_K_M")];

impl FileType {
    /// The type of this name, in any case.
    ///
    /// # Errors
    /// The name is unknown; lists the valid ones.
    pub fn parse(name: &str) -> Result<Self, String> {
        let alias = ALIASES
            .into_iter()
            .find(|(alias, _)| alias.eq_ignore_ascii_case(name));
        let name = alias.map_or(name, |(_, name)| name);
        FILE_TYPES
            .into_iter()
            .find(|ty| ty.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let names = FILE_TYPES.map(|ty| ty.name).join(", ");
                format!("there are {names}")
            })
    }

    /// The target type of each tensor of `gguf`. `pure`: without the mixture; `imatrix`: there is an importance matrix,
    /// which changes some choices.
    #[must_use]
    pub fn targets(self, gguf: &Gguf<'_>, pure: bool, imatrix: bool) -> Targets {
        let shape = Shape::of(gguf, imatrix);
        let (mut v_index, mut down_index) = (0, 0);
        let tensors: Vec<TensorInfo<'_>> = gguf.tensors().collect();
        // The indices follow the order of the blocks.
        let mut order: Vec<usize> = (0..tensors.len()).collect();
        order.sort_by_key(|&at| block(tensors[at].name));
        let mut targets = vec![Target::same(TensorType::F32); tensors.len()];
        for at in order {
            let tensor = &tensors[at];
            if !is_matrix(tensor) {
                continue;
            }
            let kind = kind(tensor.name);
            let wanted = match (pure, self.mix) {
                (true, _) | (_, Mix::Plain) => self.base,
                (false, mix) => mix
                    .wanted(kind, self.base, &shape, v_index, down_index)
                    .unwrap_or(self.base),
            };
            v_index += usize::from(matches!(kind, "attn_v" | "attn_qkv"));
            down_index += usize::from(kind == "ffn_down");
            targets[at] = Target::new(wanted, tensor);
        }
        Targets {
            file_type: self.number,
            quantised: self.base.block_len() > 1,
            tensors: targets,
        }
    }
}

/// What the rule depends on besides a matrix's kind.
struct Shape {
    layers: usize,
    /// Number of matrices of values, or of queries, keys and values.
    values: usize,
    /// Heads that share keys and values.
    group: u32,
    /// Whether the embedding is also the output matrix.
    tied: bool,
    imatrix: bool,
}

impl Shape {
    fn of(gguf: &Gguf<'_>, imatrix: bool) -> Self {
        let architecture = gguf.str_opt("general.architecture").ok().flatten();
        let key = |name: &str| format!("{}.{name}", architecture.unwrap_or_default());
        let layers = gguf.u32_opt(&key("block_count")).ok().flatten();
        let layers = layers.unwrap_or(0) as usize;
        let number = |name: &str| gguf.u32_or_equal_opt(&key(name), layers).ok().flatten();
        let heads = number("attention.head_count").unwrap_or(1);
        let kv_heads = number("attention.head_count_kv").unwrap_or(heads);
        let is_value = |tensor: &TensorInfo<'_>| {
            tensor.name.ends_with(".weight") && matches!(kind(tensor.name), "attn_v" | "attn_qkv")
        };
        Self {
            layers,
            values: gguf.tensors().filter(is_value).count(),
            group: heads / kv_heads.max(1),
            tied: gguf.tensor("output.weight").is_none(),
            imatrix,
        }
    }
}

/// Whether a matrix is among those that get more bits: the first and the last eighth of `count`, and every third.
const fn more_bits(index: usize, count: usize) -> bool {
    index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2
}

impl Mix {
    /// The type of a matrix, if it is not the file's. `value` and `down`: how many matrices of values, and of the down
    /// projection in feed-forward layers, came before.
    fn wanted(
        self,
        kind: &str,
        base: TensorType,
        shape: &Shape,
        value: usize,
        down: usize,
    ) -> Option<TensorType> {
        use TensorType::{Q3K, Q4K, Q5K, Q6K, Q8_0};
        let eighth = shape.layers / 8;
        let grouped = shape.group >= 4;
        match kind {
            "output" => (base != Q8_0).then_some(Q6K),
            "token_embd" if shape.tied => (base != Q8_0).then_some(Q6K),
            "token_embd" => (self == Self::Ternary).then_some(Q4K),
            "attn_v" | "attn_qkv" => match self {
                Self::Q2K => Some(if grouped { Q4K } else { Q3K }),
                Self::Q3KM => Some(if value < 2 { Q5K } else { Q4K }),
                Self::Q3KL => Some(Q5K),
                Self::IQ4 if grouped => Some(Q5K),
                Self::Q4KM | Self::Q5KM if more_bits(value, shape.values) => Some(Q6K),
                Self::Q4KS if value < 4 => Some(Q5K),
                _ => None,
            },
            "ffn_down" => match self {
                Self::Q2K => Some(Q3K),
                Self::Q3KM => Some(if down < shape.layers / 16 { Q5K } else { Q4K }),
                Self::Q3KL => Some(Q5K),
                Self::Q4KM | Self::Q5KM if more_bits(down, shape.layers) => Some(Q6K),
                Self::IQ4 if down < eighth && !shape.imatrix => Some(Q5K),
                Self::Q4KS if down < eighth => Some(Q5K),
                Self::Offset(ty) if down < eighth && shape.imatrix => Some(ty),
                _ => None,
            },
            "attn_output" => match self {
                Self::Q2K => Some(Q3K),
                Self::Q3KM => Some(Q4K),
                Self::Q3KL => Some(Q5K),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The number of a tensor's block; 0 for tensors outside blocks, which come first.
fn block(name: &str) -> usize {
    let rest = name.strip_prefix("blk.");
    let number = rest.and_then(|rest| rest.split('.').next());
    number
        .and_then(|number| number.parse().ok())
        .map_or(0, |number: usize| number.saturating_add(1))
}

/// Whether a tensor is a matrix that can be quantised. Vectors and norms are small, and errors in them affect every
/// token; so do errors in positions.
#[must_use]
pub fn is_matrix(tensor: &TensorInfo<'_>) -> bool {
    let kind = kind(tensor.name);
    tensor.rank > 1
        && tensor.name.ends_with("weight")
        && !kind.contains("norm")
        && kind != "position_embd"
}

/// The target of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The intended type.
    pub wanted: TensorType,
    /// The actual type, which differs if the rows are not whole blocks.
    pub ty: TensorType,
}

impl Target {
    /// The type as it is.
    #[must_use]
    pub const fn same(ty: TensorType) -> Self {
        Self { wanted: ty, ty }
    }

    /// The type, or the fallback for rows of the tensor's length.
    #[must_use]
    pub fn new(wanted: TensorType, tensor: &TensorInfo<'_>) -> Self {
        Self {
            wanted,
            ty: fitting(wanted, tensor.columns()),
        }
    }
}

/// The targets of a file's tensors, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// `general.file_type`.
    pub file_type: u32,
    /// Whether the file's type is a block type.
    pub quantised: bool,
    /// One for each tensor.
    pub tensors: Vec<Target>,
}

/// The type itself, or the fallback for rows of `columns` values.
#[must_use]
pub fn fitting(mut ty: TensorType, columns: u64) -> TensorType {
    while !columns.is_multiple_of(ty.block_len() as u64) {
        ty = ty.fallback().unwrap_or(TensorType::F16);
    }
    ty
}

/// llama.cpp's number for a file whose matrices have this type.
#[must_use]
pub fn number_of(ty: TensorType) -> u32 {
    // If there are several, the one without a mixture is last in the list. Otherwise LLAMA_FTYPE_GUESSED.
    let of_type = FILE_TYPES.iter().rev().find(|file| file.base == ty);
    of_type.map_or(1024, |file| file.number)
}

/// Name of a tensor without block and suffix.
#[must_use]
pub fn kind(name: &str) -> &str {
    let name = name.strip_suffix(".weight").unwrap_or(name);
    match name
        .strip_prefix("blk.")
        .and_then(|rest| rest.split_once('.'))
    {
        Some((_, kind)) => kind,
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_llama_quantize_in_any_case() {
        assert_eq!(FileType::parse("q4_k_m").unwrap().number, 15);
        assert_eq!(FileType::parse("Q4_K").unwrap().name, "Q4_K_M");
        assert_eq!(FileType::parse("bf16").unwrap().base, TensorType::BF16);
        assert!(FileType::parse("Q9").unwrap_err().contains("Q4_K_M"));
        for ty in FILE_TYPES {
            assert_eq!(FileType::parse(ty.name), Ok(ty));
        }
    }

    #[test]
    fn rows_fall_back_as_in_llama_cpp() {
        for (ty, columns, expected) in [
            (TensorType::Q4K, 256, TensorType::Q4K),
            (TensorType::Q4K, 96, TensorType::Q5_0),
            (TensorType::Q5K, 96, TensorType::Q5_1),
            (TensorType::Q6K, 96, TensorType::Q8_0),
            (TensorType::Q3K, 96, TensorType::Q4_0),
            (TensorType::Q2K, 40, TensorType::F16),
        ] {
            assert_eq!(fitting(ty, columns), expected);
        }
    }

    #[test]
    fn more_bits_go_to_both_ends_and_every_third() {
        // 30 blocks: the first three, the last four, and 5, 8, 11 … between.
        let more: Vec<usize> = (0..30).filter(|&index| more_bits(index, 30)).collect();
        assert_eq!(more, [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29]);
    }

    #[test]
    fn a_type_of_matrices_has_the_number_of_its_file() {
        for (ty, number) in [
            (TensorType::Q4K, 14),
            (TensorType::Q3K, 11),
            (TensorType::Q5K, 16),
            (TensorType::F16, 1),
            (TensorType::Q8_1, 1024),
        ] {
            assert_eq!(number_of(ty), number);
        }
    }

    #[test]
    fn kinds_are_names_without_block_and_suffix() {
        assert_eq!(kind("blk.12.attn_q.weight"), "attn_q");
        assert_eq!(kind("token_embd.weight"), "token_embd");
        assert_eq!(kind("blk.0.attn_norm.weight"), "attn_norm");
    }
}
