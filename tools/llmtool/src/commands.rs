//! The commands. Each writes its result to `out`; progress and summaries for people go to standard
//! error.

mod chat;
mod disk;
mod finetune;
mod generate;
mod import;
mod inspect;
mod log;
mod measure;
mod quantize;
mod score;
mod trust;

use std::io::Write;
use std::path::Path;

use llm_core::gguf::Gguf;
use llm_core::tokenizer::EncodeOptions;
use protocol::limits::MAX_CONTEXT_TOKENS;
use protocol::store::Content;
use safe_text::is_safe;
use serde::Serialize;

use crate::adapter;
use crate::args::trust::Adapter;
use crate::args::{self, Cli, Command, Logits, Pack, Tokenize, Wcet};
use crate::engine::{Memory, Runner, check_runs, load_error, team};
use crate::error::ToolError;
use crate::files;
use crate::output::progress_bar;
use crate::store::{Trust, TrustedKeys, pack};
use crate::system::{self, Templates, Wish};
use crate::units::ByteSize;
use crate::units::count;
use crate::vocabulary::HostVocabulary;
use crate::{keys, policy};

/// Runs what the command line asks for.
///
/// # Errors
/// Why it failed.
pub fn run(cli: &Cli, out: &mut impl Write) -> Result<(), ToolError> {
    match &cli.command {
        Command::Inspect(arguments) => inspect::inspect(arguments, out),
        Command::Tokenize(arguments) => tokenize(arguments, out),
        Command::Generate(arguments) => generate::generate(arguments, out),
        Command::Finetune(arguments) => finetune::finetune(arguments, out),
        Command::Score(arguments) => score::score(arguments, out),
        Command::ChatTemplate(arguments) => chat::chat_template(arguments, out),
        Command::DeriveScaffold(arguments) => chat::derive_scaffold(arguments, out),
        Command::Logits(arguments) => logits(arguments, out),
        Command::Perplexity(arguments) => measure::perplexity(arguments, out),
        Command::Imatrix(arguments) => measure::imatrix(arguments, out),
        Command::Bench(arguments) => measure::bench(arguments, out),
        Command::Wcet(arguments) => wcet(arguments, out),
        Command::Quantize(arguments) => quantize::quantize(arguments, out),
        Command::Pack(arguments) => pack_store(arguments, out),
        Command::System(arguments) => system(arguments, out),
        Command::Policy(arguments) => trust::policy(arguments, out),
        Command::Passphrase(arguments) => trust::passphrase(arguments, out),
        Command::Keygen(arguments) => trust::keygen(arguments, out),
        Command::Sign(arguments) => trust::sign(arguments, out),
        Command::Verify(arguments) => trust::verify(arguments, out),
        Command::Adapter(Adapter::Import(arguments)) => import::import(arguments, out),
        Command::Audit(arguments) => log::audit(arguments, out),
        Command::Disk(arguments) => disk::disk(arguments, out),
        Command::Replay(arguments) => log::replay(arguments, out),
    }
}

fn system(arguments: &args::system::System, out: &mut impl Write) -> Result<(), ToolError> {
    let wish = Wish {
        files: arguments.models.files(),
        context: arguments.context.map(|context| context.0),
        sessions: arguments.sessions as usize,
        memory: arguments.memory.0,
    };
    let layout = system::plan(&wish)?;
    write!(out, "{layout}")?;
    let Some(folder) = &arguments.output else {
        return Ok(());
    };
    let templates = Templates {
        description: &arguments.system,
        policy: &arguments.policy,
        key: &arguments.key,
        device_key: &arguments.device_key,
    };
    system::write(&wish, &layout, &templates, folder)
}

fn tokenize(arguments: &Tokenize, out: &mut impl Write) -> Result<(), ToolError> {
    let text = arguments.text.read()?;
    let file = files::read(arguments.model.path())?;
    let gguf = Gguf::parse(&file).map_err(ToolError::gguf(arguments.model.path()))?;
    let vocabulary = HostVocabulary::load(arguments.model.path(), &gguf)?;
    let options = EncodeOptions {
        add_special: !arguments.no_special,
        parse_special: arguments.parse_special,
        parse_user_defined: true,
    };
    let ids = vocabulary.encode(&text, options)?;
    if arguments.ids {
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        writeln!(out, "{}", ids.join(" "))?;
        return Ok(());
    }
    let view = vocabulary.view();
    for &id in &ids {
        let piece = printable(view.piece(id));
        writeln!(out, "{id:>7}  {piece:<16} {:?}", view.token_type(id))?;
    }
    let (tokens, bytes) = (count(ids.len(), "token"), count(text.len(), "byte"));
    writeln!(out, "{tokens}, {bytes}")?;
    Ok(())
}

/// Result of `logits`.
#[derive(Serialize)]
struct LogitsOutput {
    tokens: Vec<u32>,
    positions: Vec<usize>,
    logits: Vec<Vec<f32>>,
}

fn logits(arguments: &Logits, out: &mut impl Write) -> Result<(), ToolError> {
    let prompt = arguments.sequence.text()?;
    let model = arguments.model.path();
    let file = files::read(model)?;
    let error = load_error(model);
    let checked = check_runs(model, &file)?;
    let options = arguments.engine.run_options(MAX_CONTEXT_TOKENS);
    let lora = arguments.lora.read()?;
    let adapters = adapter::bytes(&lora, &checked, &file)?;
    let mut memory = Memory::with_adapters(&checked, &options, adapters).map_err(&error)?;
    let team = team(&options)?;
    let mut runner = Runner::load(&checked, &options, team, &mut memory).map_err(&error)?;
    if let Some(lora) = &lora {
        runner.load_adapter(lora, &file)?;
    }
    let tokens = match prompt {
        Some(prompt) => {
            let options = EncodeOptions {
                add_special: true,
                parse_special: false,
                parse_user_defined: true,
            };
            HostVocabulary::load(model, checked.gguf())?.encode(&prompt, options)?
        }
        None => arguments.sequence.tokens.clone(),
    };
    runner.check(&tokens)?;

    let mut positions = Vec::new();
    let mut rows = Vec::new();
    let bar = progress_bar("computing");
    bar.set_length(tokens.len() as u64);
    for (position, &token) in tokens.iter().enumerate() {
        let row = runner.feed(token, position)?;
        if arguments.all || position + 1 == tokens.len() {
            positions.push(position);
            rows.push(row.to_vec());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let output = LogitsOutput {
        tokens,
        positions,
        logits: rows,
    };
    serde_json::to_writer(&mut *out, &output).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

fn wcet(arguments: &Wcet, out: &mut impl Write) -> Result<(), ToolError> {
    let model = arguments.model.path();
    let file = files::read(model)?;
    let checked = check_runs(model, &file)?;
    let context = arguments.context.0.min(checked.config().context_length);
    let lora = arguments.lora.read()?;
    let lora = lora.map(|lora| lora.check(&checked.base(), &file));
    let lora = lora.transpose()?;
    writeln!(
        out,
        "{:>8} {:>16} {:>14} {:>14} {:>14}",
        "position", "MACs", "weights", "keys, values", "without logits"
    )?;
    let mut positions: Vec<usize> = (0..)
        .map(|power| 1usize << power)
        .take_while(|&position| position < context)
        .collect();
    positions.insert(0, 0);
    positions.push(context - 1);
    positions.dedup();
    for position in positions {
        let mut work = checked.work(position, arguments.kv.into(), true);
        let mut prefill = checked.work(position, arguments.kv.into(), false);
        if let Some(size) = &lora {
            work += size.work_with_logits;
            prefill += size.work;
        }
        writeln!(
            out,
            "{position:>8} {:>16} {:>14} {:>14} {:>14}",
            work.multiply_accumulates,
            work.weight_bytes,
            work.cache_bytes,
            prefill.multiply_accumulates
        )?;
    }
    writeln!(
        out,
        "MACs and bytes of one token; the last column is the MACs of a token of the prompt"
    )?;
    Ok(())
}

fn pack_store(arguments: &Pack, out: &mut impl Write) -> Result<(), ToolError> {
    let trust = match (&arguments.policy, arguments.unsigned) {
        (Some(path), _) => {
            let own = arguments.device_key.as_deref().map(keys::read_either);
            Trust::Keys(Box::new(TrustedKeys {
                any: policy::compile(path, policy::With::default())?.trusted_keys(),
                adapters: own.transpose()?,
            }))
        }
        (None, true) => Trust::Anything,
        (None, false) => Trust::Signed,
    };
    let models = arguments.models.files();
    let signatures = models.iter().map(|file| keys::signature_path(&file.path));
    let signatures: Vec<std::path::PathBuf> = signatures.collect();
    let paths = models.iter().map(|file| file.path.as_path());
    let paths: Vec<&Path> = paths
        .chain(signatures.iter().map(std::path::PathBuf::as_path))
        .collect();
    files::refuse_overwriting(&arguments.output, &paths)?;
    let archive = pack(models, arguments.store_size.0, &trust)?;
    files::write(&arguments.output, &archive.bytes)?;
    for packed in &archive.files {
        let name = &packed.file.name;
        let name = match packed.content {
            Content::Model => name.clone(),
            Content::Adapter => format!("{name} (adapter)"),
            Content::Data => format!("{name} (data)"),
        };
        writeln!(
            out,
            "  {:<24} {:>12}  {}, {}",
            name,
            ByteSize(packed.bytes as u64).to_string(),
            packed.file.path.display(),
            packed.signature
        )?;
    }
    let used = archive.bytes.len() as u64;
    let store = arguments.store_size;
    writeln!(
        out,
        "  {:<24} {:>12}  {:.0} % of a store of {store}",
        arguments.output.display().to_string(),
        ByteSize(used).to_string(),
        100.0 * used as f64 / (store.0.max(1) as f64),
    )?;
    Ok(())
}

/// Bytes from a file on one line, whatever they are.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .flat_map(|character| {
            let escaped = !is_safe(character) || matches!(character, '\n' | '\t');
            let plain = (!escaped).then_some(character);
            let escape = escaped.then(|| character.escape_default());
            plain.into_iter().chain(escape.into_iter().flatten())
        })
        .collect()
}
