//! `quantize`: converts a model's weights to other types.

use std::collections::BTreeMap;
use std::io::Write;

use llm_core::gguf::Gguf;
use llm_core::quantize::TensorType;
use llm_core::transformer::{Checked, LoadError};

use crate::args::Quantize;
use crate::convert::convert;
use crate::engine::{check_runs, load_error, service_options};
use crate::error::ToolError;
use crate::files;
use crate::imatrix::Imatrix;
use crate::mixture::{Targets, is_matrix};
use crate::output::progress_bar;
use crate::recipe::{self, Recipe};
use crate::units::ByteSize;

pub(super) fn quantize(arguments: &Quantize, out: &mut impl Write) -> Result<(), ToolError> {
    let (model, output) = (arguments.model.path(), arguments.output());
    let imatrix_path = arguments.imatrix.as_deref();
    let mut inputs = vec![model];
    inputs.extend(imatrix_path);
    files::refuse_overwriting(output, &inputs)?;
    let file = files::read(model)?;
    let checked = check_runs(model, &file)?;
    let gguf = checked.gguf();
    let imatrix = imatrix_path.map(Imatrix::read).transpose()?;
    let (name, targets) = match (arguments.file_type(), &arguments.recipe, arguments.fit) {
        (Some(ty), ..) => {
            let targets = ty.targets(gguf, arguments.pure, imatrix.is_some());
            (ty.name, targets)
        }
        (None, Some(recipe), _) => (recipe.rest().name(), recipe.targets(gguf)),
        (None, None, arena) => {
            let recipe = fit(arguments, &checked, arena.unwrap_or(ByteSize(0)), out)?;
            (recipe.rest().name(), recipe.targets(gguf))
        }
    };
    let notes = notes(gguf, &targets, imatrix.as_ref());
    if notes.requantised > 0 && targets.quantised && !arguments.allow_requantize {
        eprintln!(
            "llmtool: warning: {} matrices have been quantised before, and what that lost stays lost: quantise the F16 or \
             F32 file if there is one (--allow-requantize says that you know)",
            notes.requantised
        );
    }
    let bar = progress_bar("quantizing");
    let converted = convert(gguf, &targets, imatrix.as_ref(), &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    files::write(output, &converted)?;
    let parameters: u64 = gguf.tensors().map(|tensor| tensor.elements()).sum();
    writeln!(
        out,
        "{}: {name}, {} ({:.2} bits a weight)",
        output.display(),
        ByteSize(converted.len() as u64),
        8.0 * converted.len() as f64 / (parameters.max(1) as f64),
    )?;
    notes.print(out)
}

/// Summary of a file's matrices.
#[derive(Debug, Default)]
struct Notes {
    matrices: usize,
    /// Number of matrices that became each type.
    types: BTreeMap<&'static str, usize>,
    /// For the wanted type, the type used instead, and the row length: the number of matrices.
    fallbacks: BTreeMap<(&'static str, &'static str, u64), usize>,
    /// Block size of the types that did not fit.
    block: usize,
    /// Number of quantised matrices that the importance matrix does not cover.
    unimportant: Option<usize>,
    /// Number of matrices that were already quantised and change type.
    requantised: usize,
}

fn notes(gguf: &Gguf<'_>, targets: &Targets, imatrix: Option<&Imatrix>) -> Notes {
    let mut notes = Notes {
        unimportant: imatrix.map(|_| 0),
        ..Notes::default()
    };
    let is_float = |ty: TensorType| ty.block_len() == 1;
    for (tensor, target) in gguf.tensors().zip(&targets.tensors) {
        if !is_matrix(&tensor) {
            continue;
        }
        notes.matrices += 1;
        *notes.types.entry(target.ty.name()).or_default() += 1;
        if target.ty != target.wanted {
            let key = (target.wanted.name(), target.ty.name(), tensor.columns());
            *notes.fallbacks.entry(key).or_default() += 1;
            notes.block = notes.block.max(target.wanted.block_len());
        }
        if !is_float(tensor.ty) && tensor.ty != target.ty {
            notes.requantised += 1;
        }
        let known = imatrix.is_none_or(|imatrix| imatrix.of(tensor.name).is_some());
        if let (false, false, Some(count)) = (known, is_float(target.ty), &mut notes.unimportant) {
            *count += 1;
        }
    }
    notes
}

impl Notes {
    fn print(&self, out: &mut impl Write) -> Result<(), ToolError> {
        let types: Vec<String> = self
            .types
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        writeln!(out, "  {} matrices: {}", self.matrices, types.join(", "))?;
        let fallen: usize = self.fallbacks.values().sum();
        if fallen > 0 {
            writeln!(
                out,
                "  {fallen} of them have rows that are no whole number of blocks of {} values, and got another type:",
                self.block
            )?;
        }
        for ((wanted, given, columns), count) in &self.fallbacks {
            writeln!(
                out,
                "  {count:>6} {given} in place of {wanted} (rows of {columns})"
            )?;
        }
        match self.unimportant {
            Some(count) if count > 0 => writeln!(
                out,
                "  {count} of them are not in the importance matrix: all their columns count alike"
            )?,
            _ => {}
        }
        Ok(())
    }
}

/// The best recipe that runs in `arena`, and a table of what it chose.
fn fit(
    arguments: &Quantize,
    checked: &Checked<'_>,
    arena: ByteSize,
    out: &mut impl Write,
) -> Result<Recipe, ToolError> {
    let error = load_error(arguments.model.path());
    let options = service_options(arguments.context.0, arguments.kv.into());
    // An arena of no bytes is too small for any weights, so this plans the smallest batch.
    let plan = match checked.plan(&options, 0) {
        Ok(plan) | Err(LoadError::TooLarge(plan)) => plan,
        Err(other) => return Err(error(Box::new(other))),
    };
    // Vectors, norms and positions remain F32.
    let vectors: u64 = checked
        .gguf()
        .tensors()
        .filter(|tensor| !is_matrix(tensor))
        .map(|tensor| (tensor.elements() * 4).next_multiple_of(64))
        .sum();
    let others = plan.total() - plan.weights + vectors;
    let bar = progress_bar("measuring");
    let budget = arena.0.saturating_sub(others);
    let (recipe, choices) = recipe::fit(checked.gguf(), budget, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    writeln!(
        out,
        "{:<14} {:>7} {:<5} {:>12} {:>12}",
        "matrices", "number", "type", "size", "error"
    )?;
    for choice in &choices {
        writeln!(
            out,
            "{:<14} {:>7} {:<5} {:>12} {:>10.2} %",
            choice.kind,
            choice.tensors,
            choice.ty.name(),
            ByteSize(choice.bytes).to_string(),
            100.0 * (choice.error / choice.tensors as f64).sqrt(),
        )?;
    }
    let weights: u64 = choices.iter().map(|choice| choice.bytes).sum();
    for (purpose, bytes) in [
        ("norms, biases", vectors),
        ("KV cache", plan.kv_cache),
        ("activations", plan.activations),
        ("vocabulary", plan.vocabulary),
        ("total", weights + others),
    ] {
        writeln!(out, "{purpose:<28} {:>12}", ByteSize(bytes).to_string())?;
    }
    writeln!(out, "of an arena of {arena}")?;
    Ok(recipe)
}
