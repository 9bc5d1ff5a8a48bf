//! `chat-template`: what is known about a model's chat template, and the scaffold that does the same.

use std::io::Write;
use std::path::Path;

use llm_core::chat::{
    SCAFFOLD_KEY, Scaffold, SystemPlace, TEMPLATE_KEY, Template, template_digest,
};
use llm_core::gguf::Gguf;
use llm_core::tokenizer::VocabularyView;

use super::printable;
use crate::args::{ChatTemplate, DeriveScaffold};
use crate::chat::apart::{answer, derive_apart};
use crate::chat::jinja::Date;
use crate::error::ToolError;
use crate::files;
use crate::gguf_writer::GgufWriter;
use crate::vocabulary::HostVocabulary;

pub(super) fn chat_template(
    arguments: &ChatTemplate,
    out: &mut impl Write,
) -> Result<(), ToolError> {
    let path = arguments.model.path();
    let file = files::read(path)?;
    let gguf = Gguf::parse(&file).map_err(ToolError::gguf(path))?;
    let Some(output) = &arguments.output else {
        let template = Template::of(&gguf).map_err(ToolError::scaffold(path))?;
        writeln!(out, "{}", name(&template))?;
        if let Some(scaffold) = template.scaffold() {
            let vocabulary = HostVocabulary::load(path, &gguf)?;
            show(&scaffold, &vocabulary.view(), out)?;
        }
        return Ok(());
    };
    files::refuse_overwriting(output, &[path])?;
    derive_into(path, &gguf, output, arguments.date, out)
}

/// Describes whether a text can imitate another role's.
pub(super) fn roles(scaffold: &Scaffold<'_>, vocabulary: &VocabularyView<'_>) -> &'static str {
    match scaffold.separates(vocabulary) {
        true => "control tokens keep roles apart",
        false => {
            "text can imitate roles: they are told apart by text that anybody can write, not by control tokens of this \
             vocabulary"
        }
    }
}

/// The process in which a template runs.
pub(super) fn derive_scaffold(
    arguments: &DeriveScaffold,
    out: &mut impl Write,
) -> Result<(), ToolError> {
    let path = arguments.model.path();
    let file = files::read(path)?;
    let gguf = Gguf::parse(&file).map_err(ToolError::gguf(path))?;
    let template = template(path, &gguf)?;
    let vocabulary = HostVocabulary::load(path, &gguf)?;
    let date = arguments.date;
    Ok(answer(template, &vocabulary.view(), date, file.len(), out)?)
}

/// The chat template in a file.
fn template<'g>(path: &Path, gguf: &Gguf<'g>) -> Result<&'g str, ToolError> {
    let no_template = || ToolError::NoTemplate {
        path: path.to_path_buf(),
    };
    gguf.str_opt(TEMPLATE_KEY)
        .map_err(ToolError::gguf(path))?
        .ok_or_else(no_template)
}

/// What is known about a template, in one line.
pub(super) fn name(template: &Template<'_>) -> String {
    match template {
        Template::None => "none: prompts are continued as texts".to_owned(),
        Template::Unknown => {
            "not known: `llmtool chat-template FILE -o OUT` derives what it does".to_owned()
        }
        Template::Published(published) => published.scaffold.name.to_owned(),
        Template::Derived(_) => "derived from the file's template".to_owned(),
    }
}

fn derive_into(
    path: &Path,
    gguf: &Gguf<'_>,
    output: &Path,
    date: Option<Date>,
    out: &mut impl Write,
) -> Result<(), ToolError> {
    let template = template(path, gguf)?;
    let vocabulary = HostVocabulary::load(path, gguf)?;
    let wrong = |source| ToolError::ChatTemplate {
        path: path.to_path_buf(),
        source: Box::new(source),
    };
    let (strings, compared) = derive_apart(path, date).map_err(wrong)?;
    let scaffold = Scaffold::from_strings(strings.iter().map(String::as_bytes))
        .map_err(ToolError::scaffold(path))?;
    show(&scaffold, &vocabulary.view(), out)?;

    let mut copy = GgufWriter::with_metadata_of(gguf);
    let digest = String::from_utf8_lossy(&template_digest(template)).into_owned();
    let kept: Vec<String> = std::iter::once(digest)
        .chain(strings.iter().cloned())
        .collect();
    copy.set_strings(SCAFFOLD_KEY, &kept);
    for tensor in gguf.tensors() {
        let dims = tensor.dims.get(..tensor.rank).unwrap_or(&tensor.dims);
        copy.tensor(tensor.name, tensor.ty, dims, tensor.data.to_vec());
    }
    files::write(output, &copy.finish())?;
    writeln!(
        out,
        "agrees with the template on {compared} random conversations; written to {}, which needs a signature \
         (`llmtool sign`)",
        output.display()
    )?;
    Ok(())
}

/// Prints a scaffold for people.
fn show(
    scaffold: &Scaffold<'_>,
    vocabulary: &VocabularyView<'_>,
    out: &mut impl Write,
) -> Result<(), ToolError> {
    let mut line =
        |label: &str, text: &str| writeln!(out, "  {label:<14}{}", printable(text.as_bytes()));
    let around = |turn: &llm_core::chat::Turn<'_>, whose: &str| {
        let white = match (turn.trim.front, turn.trim.back) {
            (false, false) => "",
            (true, true) => ", without white space around it",
            (true, false) => ", without white space in front",
            (false, true) => ", without white space behind",
        };
        (format!("{}⟨{whose}⟩{}", turn.before, turn.after), white)
    };
    line("begins with", scaffold.begin)?;
    let system = scaffold.system;
    let (text, white) = around(&system.turn, "system");
    match system.place {
        SystemPlace::First => line("system", &format!("{text}{white}"))?,
        SystemPlace::FirstUser => {
            line("system", &format!("{text}{white} in the first user's turn"))?
        }
        SystemPlace::LastUser => line("system", &format!("{text}{white} in the last user's turn"))?,
        SystemPlace::Nowhere => line("system", "has no place")?,
    }
    if !system.default.is_empty() {
        line("without one", system.default)?;
    }
    let (text, white) = around(&scaffold.user, "user");
    line("user", &format!("{text}{white}"))?;
    let (text, white) = around(&scaffold.assistant, "assistant");
    line("assistant", &format!("{text}{white}"))?;
    line("answer", scaffold.generation)?;
    for spelling in scaffold
        .refused
        .iter()
        .filter(|spelling| !spelling.is_empty())
    {
        line("refuses", &format!("texts with {spelling}"))?;
    }
    let word = match scaffold.separates(vocabulary) {
        true => "roles",
        false => "caution",
    };
    line(word, roles(scaffold, vocabulary))?;
    Ok(())
}
