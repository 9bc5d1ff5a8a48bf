//! Why no scaffold can be derived from a chat template.

use super::jinja::MAX_TEMPLATE_BYTES;

/// Why no scaffold can be derived.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template is longer than one may be.
    #[error("the chat template is {bytes} bytes long: at most {MAX_TEMPLATE_BYTES} are run")]
    Long {
        /// How long it is.
        bytes: usize,
    },
    /// The process that ran it was terminated.
    #[error(
        "the chat template takes more memory, time or depth than a template may, and was stopped ({0}): nothing can be derived \
         from it"
    )]
    Stopped(String),
    /// What the process that ran it said.
    #[error("{0}")]
    Refused(String),
    /// The process to run it cannot be started.
    #[error("a process to run the chat template in cannot be started: {0}")]
    Process(#[from] std::io::Error),
    /// The template is not valid Jinja, or refuses a conversation that every template should accept.
    #[error("the chat template cannot be rendered: {0}")]
    Jinja(String),
    /// It writes the date, so its output would differ from run to run.
    #[error(
        "the chat template writes today's date: give the date that it shall always write with --date YYYY-MM-DD"
    )]
    Date,
    /// It leaves a text out, repeats it, or moves it.
    #[error(
        "no scaffold can do what the chat template does: it does not write each text once and in order ({0})"
    )]
    Order(&'static str),
    /// It changes white space in an unusual way.
    #[error(
        "no scaffold can do what the chat template does: it takes away part of the white space around {0}"
    )]
    WhiteSpace(&'static str),
    /// What it writes around a text depends on more than the text's role.
    #[error(
        "no scaffold can do what the chat template does: what it writes {0} is not always the same"
    )]
    Uneven(&'static str),
    /// It treats too many texts specially.
    #[error(
        "no scaffold can do what the chat template does: it treats texts with {0} in ways of its own"
    )]
    Content(String),
    /// Its texts contain the marker that stands for a token in scaffolds.
    #[error("the chat template contains {{bos}} or {{eos}}, which stand for tokens in scaffolds")]
    Names,
    /// A conversation for which template and scaffold differ.
    #[error(
        "no scaffold can do what the chat template does: for a conversation of {segments} segments it gives\n  {template}\nand the scaffold \
         that would be nearest\n  {scaffold}"
    )]
    Differs {
        /// How long it is.
        segments: usize,
        /// The template's output.
        template: String,
        /// The scaffold's output.
        scaffold: String,
    },
    /// The scaffold is larger than one may be.
    #[error(transparent)]
    Scaffold(#[from] llm_core::chat::ScaffoldError),
}
