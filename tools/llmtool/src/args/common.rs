//! Arguments that many commands share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use llm_core::transformer::LoadOptions;
use protocol::limits::MAX_SESSIONS;

use super::values::{Kv, threads};
use crate::adapter::Adapter;
use crate::engine::load_options;
use crate::error::ToolError;
use crate::files;
use crate::output::text_or_stdin;

/// The model: `-m FILE`, or just FILE.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ModelArg {
    /// Model file (GGUF)
    #[arg(short = 'm', long = "model", value_name = "FILE")]
    named: Option<PathBuf>,
    /// The same as -m MODEL
    #[arg(value_name = "MODEL")]
    placed: Option<PathBuf>,
}

impl ModelArg {
    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        // One of the two is set, because the group is required.
        let path = self.named.as_deref().or(self.placed.as_deref());
        path.unwrap_or(Path::new(""))
    }
}

/// A text: `-p TEXT`, or `-f FILE`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TextArg {
    /// Text; - reads standard input
    #[arg(
        short = 'p',
        long = "prompt",
        value_name = "TEXT",
        allow_hyphen_values = true
    )]
    text: Option<String>,
    /// File with the text; - reads standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl TextArg {
    /// The text's bytes, which may be anything.
    ///
    /// # Errors
    /// The file or standard input cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, ToolError> {
        match (&self.text, &self.file) {
            (Some(text), _) => text_or_stdin(text),
            (None, Some(file)) if file.as_os_str() == "-" => text_or_stdin("-"),
            (None, Some(file)) => files::read(file),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// The file that it is read from, if any.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// A name for the source of the text, for messages.
    #[must_use]
    pub fn source(&self) -> String {
        let file = self.file.as_ref().map(|file| file.display().to_string());
        file.unwrap_or_else(|| "(command line)".to_owned())
    }
}

/// An adapter: `--lora FILE`, or `--lora-scaled FILE SCALE`.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct LoraArg {
    /// Adapter (LoRA, GGUF) to apply to the model
    #[arg(long = "lora", value_name = "FILE")]
    plain: Option<PathBuf>,
    /// The same, with its effect multiplied by SCALE
    #[arg(long = "lora-scaled", num_args = 2, value_names = ["FILE", "SCALE"], allow_negative_numbers = true)]
    scaled: Option<Vec<OsString>>,
}

impl LoraArg {
    /// The adapter, if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or SCALE is not a number.
    pub fn read(&self) -> Result<Option<Adapter>, ToolError> {
        if let Some(path) = &self.plain {
            return Adapter::read(path.clone(), 1.0).map(Some);
        }
        let Some([path, scale]) = self.scaled.as_deref() else {
            return Ok(None);
        };
        let number = scale.to_str().and_then(|text| text.parse().ok());
        let number = number.filter(|scale: &f32| scale.is_finite());
        let number = number.ok_or_else(|| ToolError::LoraScale(scale.clone()))?;
        Adapter::read(path.into(), number).map(Some)
    }
}

/// How the engine runs.
#[derive(Debug, Args)]
pub struct EngineArg {
    /// How keys and values are stored
    #[arg(long, value_enum, default_value_t = Kv::Q8)]
    pub kv: Kv,
    /// The threads of the engine.
    #[command(flatten)]
    pub threads: ThreadsArg,
}

impl EngineArg {
    /// Options for a context.
    #[must_use]
    pub fn run_options(&self, context: usize) -> LoadOptions {
        LoadOptions {
            workers: self.threads.number(),
            ..load_options(context, self.kv.into())
        }
    }

    /// Options for a tool that needs the logits after every token: as many tokens at once as there can be sessions.
    #[must_use]
    pub fn reading_options(&self, context: usize) -> LoadOptions {
        LoadOptions {
            sessions: MAX_SESSIONS,
            ..self.run_options(context)
        }
    }
}

/// The number of threads.
#[derive(Clone, Copy, Debug, Args)]
pub struct ThreadsArg {
    /// Threads that compute together; results are the same for every number [default: one for each core]
    #[arg(short = 't', long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
}

impl ThreadsArg {
    /// The number, including the calling thread.
    #[must_use]
    pub fn number(&self) -> usize {
        self.threads.unwrap_or_else(workers::cores)
    }
}
