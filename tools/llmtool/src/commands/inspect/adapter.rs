//! What is in an adapter's file, and what it costs beside its base.

use std::io::Write;

use llm_core::gguf::Gguf;

use super::{list, printable};
use crate::adapter::Adapter;
use crate::args::Inspect;
use crate::engine::check_runs;
use crate::error::ToolError;
use crate::files;
use crate::units::ByteSize;

pub(super) fn inspect(
    arguments: &Inspect,
    gguf: &Gguf<'_>,
    out: &mut impl Write,
) -> Result<(), ToolError> {
    let path = arguments.model.path();
    if !arguments.lora.is_empty() {
        return Err(ToolError::OptionFor {
            path: path.to_path_buf(),
            option: "--lora",
            wanted: "models, and this is an adapter",
        });
    }
    let adapter = Adapter::read(path.to_path_buf(), 1.0)?;
    writeln!(out, "{}", path.display())?;
    let mut line = |label: &str, value: String| writeln!(out, "  {label:<14}{value}");
    let file = match adapter.file() {
        Ok(file) => file,
        Err(error) => {
            // What is in it is shown all the same; the status says that it cannot be applied.
            line("cannot run", error.to_string())?;
            list(arguments, gguf, out)?;
            return Err(error);
        }
    };
    let info = file.info();
    line(
        "adapter",
        format!("LoRA of rank {}, alpha {}", info.rank, info.alpha),
    )?;
    line(
        "for",
        format!(
            "the architecture {}",
            printable(file.architecture().as_bytes())
        ),
    )?;
    if let Some(base) = file.base() {
        let digits: String = base.iter().map(|byte| format!("{byte:02x}")).collect();
        line("base", format!("SHA-256 {digits}"))?;
    }
    line(
        "parameters",
        format!("{} for {} matrices", info.parameters, info.matrices),
    )?;
    if let Some(path) = &arguments.base {
        let model = files::read(path)?;
        let checked = check_runs(path, &model)?;
        let size = match adapter.check(&checked.base(), &model) {
            Ok(size) => size,
            Err(error) => {
                line("cannot run", error.to_string())?;
                list(arguments, gguf, out)?;
                return Err(error);
            }
        };
        line("fits", path.display().to_string())?;
        line(
            "memory",
            format!("{} of the arena", ByteSize(size.info.bytes)),
        )?;
        line(
            "work",
            format!(
                "{} MACs for each token",
                size.work_with_logits.multiply_accumulates
            ),
        )?;
    }
    list(arguments, gguf, out)
}
