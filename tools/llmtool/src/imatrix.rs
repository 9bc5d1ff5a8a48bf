//! Importance matrices: for each column of a matrix, the mean square of the values that it is multiplied by.
//!
//! The file is llama.cpp's, a GGUF file with two tensors for each matrix: `NAME.in_sum2`, the sums of squares, and
//! `NAME.counts`, the number of tokens. Source: `tools/imatrix/imatrix.cpp` and `common/imatrix-loader.cpp` of
//! llama.cpp.

use std::collections::BTreeMap;
use std::path::Path;

use llm_core::gguf::{Gguf, Value};
use llm_core::quantize::{TensorType, dequantize_row};

use crate::engine::Runner;
use crate::error::{ImatrixError, ToolError};
use crate::files;
use crate::gguf_writer::GgufWriter;
use crate::perplexity::Chunks;

const TYPE: &str = "general.type";
const DATASETS: &str = "imatrix.datasets";
const CHUNK_COUNT: &str = "imatrix.chunk_count";
const CHUNK_SIZE: &str = "imatrix.chunk_size";
const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

/// The sums of one matrix.
#[derive(Clone, Debug, Default, PartialEq)]
struct MatrixSums {
    /// Σ x², for each column.
    sums: Vec<f64>,
    /// Number of tokens.
    count: u64,
    /// The sums, divided by the count.
    means: Vec<f32>,
}

/// An importance matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imatrix {
    entries: BTreeMap<String, MatrixSums>,
    /// The texts that it was made from.
    datasets: Vec<String>,
    /// Number of chunks read.
    chunks: u32,
    /// Tokens of a chunk.
    chunk_size: u32,
    /// The file's name, for the model's metadata.
    file: String,
}

impl Imatrix {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or is not an importance matrix.
    pub fn read(path: &Path) -> Result<Self, ToolError> {
        let bytes = files::read(path)?;
        let mut imatrix = Self::parse(&bytes).map_err(|source| ToolError::Imatrix {
            path: path.to_path_buf(),
            source,
        })?;
        let name = path.file_name().unwrap_or_default();
        imatrix.file = name.to_string_lossy().into_owned();
        Ok(imatrix)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// The bytes are not an importance matrix.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImatrixError> {
        let gguf = Gguf::parse(bytes).map_err(ImatrixError::Gguf)?;
        let number = |key| match gguf.u32_opt(key) {
            Ok(Some(number)) => Ok(number),
            _ => Err(ImatrixError::Key(key)),
        };
        let mut imatrix = Self {
            chunks: number(CHUNK_COUNT)?,
            chunk_size: number(CHUNK_SIZE)?,
            ..Self::default()
        };
        let datasets = gguf.array_opt(DATASETS).ok().flatten();
        let datasets = datasets.ok_or(ImatrixError::Key(DATASETS))?;
        if let Ok(texts) = datasets.strings() {
            let texts = texts.map(|text| String::from_utf8_lossy(text).into_owned());
            imatrix.datasets = texts.collect();
        }
        let floats = |name: &str, suffix: &str| -> Option<Vec<f32>> {
            let tensor = gguf.tensor(&format!("{name}{suffix}"))?;
            let mut values = vec![0.0; tensor.elements() as usize];
            (tensor.ty == TensorType::F32).then_some(())?;
            dequantize_row(tensor.ty, tensor.data, &mut values).ok()?;
            Some(values)
        };
        for tensor in gguf.tensors() {
            let name = [SUMS, COUNTS]
                .into_iter()
                .find_map(|suffix| tensor.name.strip_suffix(suffix));
            let Some(name) = name else { continue };
            if imatrix.entries.contains_key(name) {
                continue;
            }
            let incomplete = || ImatrixError::Incomplete(name.to_owned());
            let sums = floats(name, SUMS).ok_or_else(incomplete)?;
            let counts = floats(name, COUNTS).ok_or_else(incomplete)?;
            let &[count] = counts.as_slice() else {
                return Err(incomplete());
            };
            let sound = |x: f32| x.is_finite() && x >= 0.0;
            if !sound(count) || !sums.iter().all(|&sum| sound(sum)) {
                return Err(ImatrixError::Value(name.to_owned()));
            }
            let mut entry = MatrixSums {
                count: count.round() as u64,
                sums: sums.into_iter().map(f64::from).collect(),
                means: Vec::new(),
            };
            entry.average();
            imatrix.entries.insert(name.to_owned(), entry);
        }
        match imatrix.entries.is_empty() {
            true => Err(ImatrixError::Empty),
            false => Ok(imatrix),
        }
    }

    /// The importance of each column of a tensor, if known.
    #[must_use]
    pub fn of(&self, tensor: &str) -> Option<&[f32]> {
        self.entries.get(tensor).map(|entry| entry.means.as_slice())
    }

    /// Number of matrices.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no matrices.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Records in a model's metadata what it was quantised with, as llama-quantize does.
    pub fn describe(&self, writer: &mut GgufWriter) {
        writer.set(
            "quantize.imatrix.file",
            &Value::String(self.file.as_bytes()),
        );
        if let Some(dataset) = self.datasets.first() {
            let dataset = Value::String(dataset.as_bytes());
            writer.set("quantize.imatrix.dataset", &dataset);
        }
        let entries = Value::U32(self.entries.len() as u32);
        writer.set("quantize.imatrix.entries_count", &entries);
        if self.chunks > 0 {
            writer.set("quantize.imatrix.chunks_count", &Value::U32(self.chunks));
        }
    }

    /// The file.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let mut writer = GgufWriter::new();
        writer.set(TYPE, &Value::String(b"imatrix"));
        writer.set_strings(DATASETS, &self.datasets);
        writer.set(CHUNK_COUNT, &Value::U32(self.chunks));
        writer.set(CHUNK_SIZE, &Value::U32(self.chunk_size));
        let bytes = |values: &[f32]| -> Vec<u8> {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        };
        for (name, entry) in &self.entries {
            let sums: Vec<f32> = entry.sums.iter().map(|&sum| sum as f32).collect();
            let dims = [sums.len() as u64, 1];
            writer.tensor(
                &format!("{name}{SUMS}"),
                TensorType::F32,
                &dims,
                bytes(&sums),
            );
            let count = [entry.count as f32];
            writer.tensor(
                &format!("{name}{COUNTS}"),
                TensorType::F32,
                &[1, 1],
                bytes(&count),
            );
        }
        writer.finish()
    }

    /// Measures over chunks of a text; `dataset` is the text's name. `output`: include the output matrix, if the model
    /// has a separate one.
    ///
    /// # Errors
    /// The model cannot process a token or value.
    pub fn measure(
        runner: &mut Runner<'_>,
        gguf: &Gguf<'_>,
        chunks: &Chunks,
        dataset: String,
        output: bool,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, ToolError> {
        // Like llama-imatrix: the matrices of blocks, and the output matrix only on request.
        let is_measured =
            |name: &str| name.starts_with("blk.") || (output && name == "output.weight");
        let mut entries: Vec<Option<(&str, MatrixSums)>> = gguf
            .tensors()
            .map(|tensor| {
                let entry = MatrixSums {
                    sums: vec![0.0; tensor.columns() as usize],
                    ..MatrixSums::default()
                };
                is_measured(tensor.name).then_some((tensor.name, entry))
            })
            .collect();
        let mut observer = |tensor: usize, x: &[f32]| {
            let Some(Some((_, entry))) = entries.get_mut(tensor) else {
                return;
            };
            for x in x.chunks_exact(entry.sums.len().max(1)) {
                entry.count += 1;
                for (sum, &x) in entry.sums.iter_mut().zip(x) {
                    *sum += f64::from(x) * f64::from(x);
                }
            }
        };
        let at_once = match output {
            true => runner.most_logits(),
            false => runner.model().batch(),
        };
        let total = chunks.len();
        for (index, chunk) in chunks.iter().enumerate() {
            runner.check(chunk)?;
            for (n, tokens) in chunk.chunks(at_once).enumerate() {
                runner.observe(tokens, n * at_once, output, &mut observer)?;
            }
            progress(index + 1, total);
        }
        let named = entries.into_iter().flatten().filter(|(_, e)| e.count > 0);
        let entries = named.map(|(name, mut entry)| {
            entry.average();
            (name.to_owned(), entry)
        });
        Ok(Self {
            entries: entries.collect(),
            datasets: vec![dataset],
            chunks: total as u32,
            chunk_size: chunks.context() as u32,
            file: String::new(),
        })
    }
}

impl MatrixSums {
    /// If nothing was seen, all columns are alike.
    fn average(&mut self) {
        let count = self.count as f64;
        let mean = |&sum: &f64| {
            if count > 0.0 {
                (sum / count) as f32
            } else {
                1.0
            }
        };
        self.means = self.sums.iter().map(mean).collect();
    }
}
