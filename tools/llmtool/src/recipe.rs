//! Which type each matrix of a model gets.

use std::collections::BTreeMap;
use std::str::FromStr;

use llm_core::gguf::{Gguf, TensorInfo};
use llm_core::quantize::{TensorType, dequantize_row, quantize_row};

use crate::error::ToolError;
use crate::mixture::{Target, Targets, fitting, is_matrix, kind, number_of};

/// Names of matrices without block and suffix, as in `blk.3.attn_q.weight`.
pub const KINDS: [&str; 12] = [
    "token_embd",
    "position_embd",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_qkv",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
    "output",
    "*",
];

/// Types that a recipe can name.
pub const TYPES: [TensorType; 17] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::BF16,
    TensorType::Q8_0,
    TensorType::Q6K,
    TensorType::Q5_1,
    TensorType::Q5_0,
    TensorType::Q5K,
    TensorType::Q4_1,
    TensorType::Q4_0,
    TensorType::Q4K,
    TensorType::IQ4NL,
    TensorType::IQ4XS,
    TensorType::Q3K,
    TensorType::Q2K,
    TensorType::TQ2_0,
    TensorType::TQ1_0,
];

/// Types that [`fit`] chooses from, each smaller than the one before.
const LADDER: [TensorType; 7] = [
    TensorType::F16,
    TensorType::Q8_0,
    TensorType::Q6K,
    TensorType::Q5K,
    TensorType::Q4K,
    TensorType::Q3K,
    TensorType::Q2K,
];

/// Rows of a tensor used to measure errors: enough to distinguish types.
const SAMPLE_ROWS: usize = 64;

/// A type by its name in ggml, in any case.
#[must_use]
pub fn type_by_name(name: &str) -> Option<TensorType> {
    TYPES
        .into_iter()
        .find(|ty| ty.name().eq_ignore_ascii_case(name))
}

/// A type for each kind of matrix: `ffn_down=Q6_K,*=Q4_K`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    kinds: BTreeMap<String, TensorType>,
    /// The type for all other kinds.
    rest: TensorType,
}

impl Recipe {
    /// All matrices in one type.
    #[must_use]
    pub const fn uniform(ty: TensorType) -> Self {
        Self {
            kinds: BTreeMap::new(),
            rest: ty,
        }
    }

    /// The type that most matrices get.
    #[must_use]
    pub const fn rest(&self) -> TensorType {
        self.rest
    }

    /// The target type of each tensor of `gguf`: F32 for vectors and norms, and for positions unless they are named.
    #[must_use]
    pub fn targets(&self, gguf: &Gguf<'_>) -> Targets {
        let target = |tensor: TensorInfo<'_>| {
            let named = self.kinds.get(kind(tensor.name)).copied();
            let named_positions = tensor.rank > 1 && named.is_some();
            match is_matrix(&tensor) || named_positions {
                true => Target::new(named.unwrap_or(self.rest), &tensor),
                false => Target::same(TensorType::F32),
            }
        };
        Targets {
            file_type: number_of(self.rest),
            quantised: self.rest.block_len() > 1,
            tensors: gguf.tensors().map(target).collect(),
        }
    }
}

impl FromStr for Recipe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut recipe = Self::uniform(TensorType::F16);
        let mut has_rest = false;
        for part in text.split(',') {
            let (kind, name) = part
                .split_once('=')
                .ok_or_else(|| format!("'{part}' is not KIND=TYPE"))?;
            if !KINDS.contains(&kind) {
                return Err(format!("no kind '{kind}' (there are {})", KINDS.join(", ")));
            }
            let ty = type_by_name(name).ok_or_else(|| {
                let names = TYPES.map(TensorType::name).join(", ");
                format!("no type '{name}' (there are {names})")
            })?;
            if kind == "*" {
                recipe.rest = ty;
                has_rest = true;
            } else {
                recipe.kinds.insert(kind.to_owned(), ty);
            }
        }
        if has_rest {
            Ok(recipe)
        } else {
            Err("the other matrices need a type: add *=TYPE".to_owned())
        }
    }
}

/// A kind of matrix in a model, and its cost in a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The kind.
    pub kind: String,
    /// Number of tensors.
    pub tensors: usize,
    /// Number of their elements.
    pub elements: u64,
    /// Type of most of them.
    pub ty: TensorType,
    /// Bytes in the arena.
    pub bytes: u64,
    /// Σ ‖w − ŵ‖² / ‖w‖² over the tensors.
    pub error: f64,
}

/// The recipe with the least error whose matrices take at most `budget` bytes in an arena. All kinds begin with the
/// smallest type; the step up that saves most error for its bytes comes first, as long as one fits. The error weighs
/// every matrix by its own norm.
///
/// # Errors
/// The smallest recipe needs more, or a value cannot be stored.
pub fn fit(
    gguf: &Gguf<'_>,
    budget: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Recipe, Vec<Choice>), ToolError> {
    let kinds = candidates(gguf, progress)?;
    // The last candidate of each kind is its smallest.
    let mut chosen: Vec<usize> = kinds.iter().map(|kind| kind.len() - 1).collect();
    let total = |chosen: &[usize]| -> u64 {
        let bytes = kinds.iter().zip(chosen).map(|(kind, &at)| kind[at].bytes);
        bytes.sum()
    };
    if total(&chosen) > budget {
        return Err(ToolError::NothingFits {
            needed: total(&chosen),
            budget,
        });
    }
    loop {
        let left = budget - total(&chosen);
        let mut best: Option<(f64, usize, usize)> = None;
        for (index, (kind, &at)) in kinds.iter().zip(&chosen).enumerate() {
            for (up, candidate) in kind[..at].iter().enumerate() {
                let more = candidate.bytes.saturating_sub(kind[at].bytes);
                let gain = (kind[at].error - candidate.error) / more.max(1) as f64;
                if more <= left && gain > best.map_or(0.0, |(gain, ..)| gain) {
                    best = Some((gain, index, up));
                }
            }
        }
        match best {
            Some((_, index, up)) => chosen[index] = up,
            None => break,
        }
    }
    let choices: Vec<Choice> = kinds
        .iter()
        .zip(&chosen)
        .map(|(kind, &at)| kind[at].clone())
        .collect();
    let mut recipe = Recipe::uniform(TensorType::Q4K);
    for choice in &choices {
        recipe.kinds.insert(choice.kind.clone(), choice.ty);
        // The name for people: the type of most weights.
        if choice.elements >= choices.iter().map(|c| c.elements).max().unwrap_or(0) {
            recipe.rest = choice.ty;
        }
    }
    Ok((recipe, choices))
}

/// For each kind of matrix, its cost in every type of the ladder, largest first.
fn candidates(
    gguf: &Gguf<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Vec<Choice>>, ToolError> {
    let mut kinds: BTreeMap<&str, Vec<TensorInfo<'_>>> = BTreeMap::new();
    for tensor in gguf.tensors() {
        let kind = kind(tensor.name);
        if is_matrix(&tensor) {
            kinds.entry(kind).or_default().push(tensor);
        }
    }
    let total = (kinds.len() * LADDER.len()) as u64;
    let mut done = 0;
    let mut all = Vec::new();
    for (kind, tensors) in kinds {
        let mut of_kind: Vec<Choice> = Vec::new();
        for ty in LADDER {
            let mut choice = Choice {
                kind: kind.to_owned(),
                tensors: tensors.len(),
                elements: 0,
                ty: fitting(ty, tensors[0].columns()),
                bytes: 0,
                error: 0.0,
            };
            for tensor in &tensors {
                let ty = fitting(ty, tensor.columns());
                let blocks = tensor.elements() / ty.block_len() as u64;
                choice.elements += tensor.elements();
                choice.bytes += (blocks * ty.block_bytes() as u64).next_multiple_of(64);
                choice.error += relative_error(tensor, ty)?;
            }
            done += 1;
            progress(done, total);
            // A fallback may be larger than the type before it.
            if of_kind.last().is_none_or(|last| choice.bytes < last.bytes) {
                of_kind.push(choice);
            }
        }
        all.push(of_kind);
    }
    Ok(all)
}

/// ‖w − ŵ‖² / ‖w‖², on some rows.
fn relative_error(tensor: &TensorInfo<'_>, ty: TensorType) -> Result<f64, ToolError> {
    let failed = |row| {
        move |source| ToolError::Quantize {
            tensor: tensor.name.to_owned(),
            row,
            source,
        }
    };
    let columns = tensor.columns() as usize;
    let row_bytes = |ty: TensorType| columns / ty.block_len() * ty.block_bytes();
    let rows = tensor.rows() as usize;
    let (mut values, mut back) = (vec![0.0f32; columns], vec![0.0f32; columns]);
    let mut stored = vec![0; row_bytes(ty)];
    let (mut error, mut norm) = (0.0, 0.0);
    let source = tensor.data.chunks_exact(row_bytes(tensor.ty)).enumerate();
    for (row, bytes) in source.step_by(rows.div_ceil(SAMPLE_ROWS)) {
        dequantize_row(tensor.ty, bytes, &mut values)
            .and_then(|()| quantize_row(ty, &values, &mut stored))
            .and_then(|()| dequantize_row(ty, &stored, &mut back))
            .map_err(failed(row as u64))?;
        for (&value, &back) in values.iter().zip(&back) {
            error += f64::from(value - back).powi(2);
            norm += f64::from(value).powi(2);
        }
    }
    Ok(if norm > 0.0 { error / norm } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_read() {
        let recipe: Recipe = "ffn_down=q6_k,token_embd=Q8_0,*=q4_k".parse().unwrap();
        assert_eq!(recipe.rest(), TensorType::Q4K);
        assert_eq!(recipe.kinds["ffn_down"], TensorType::Q6K);
        for (text, part) in [
            ("ffn_down=q6_k", "add *=TYPE"),
            ("ffn=q6_k,*=q4_k", "no kind 'ffn'"),
            ("*=q9", "no type 'q9'"),
            ("q4_k", "is not KIND=TYPE"),
        ] {
            let error = text.parse::<Recipe>().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
