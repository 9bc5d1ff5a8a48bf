//! The commands. Each writes its result to `out`; progress and summaries for people go to standard
//! error.

mod inspect;
mod log;
mod trust;

use std::io::Write;
use std::time::Instant;

use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::generate::{FinishReason, GenerateParams, Progress, Step, Text, Turn};
use llm_core::gguf::Gguf;
use llm_core::sampling::SamplerParams;
use llm_core::tokenizer::EncodeOptions;
use llm_core::transformer::{Checked, LoadError};
use protocol::limits::{MAX_CONTEXT_TOKENS, defaults};
use safe_text::{Sanitiser, is_safe};
use serde::Serialize;

use crate::args::{
    self, Bench, ByteSize, Cli, Command, Generate, Logits, Pack, Perplexity, Quantize, Tokenize,
    Wcet,
};
use crate::convert::convert;
use crate::engine::{Memory, Runner, load_error, load_options, service_options};
use crate::error::ToolError;
use crate::files;
use crate::output::{progress_bar, text_or_stdin};
use crate::perplexity;
use crate::policy;
use crate::recipe::{self, Recipe, kind};
use crate::store::{Trust, pack};
use crate::system::{self, Wish};
use crate::vocabulary::HostVocabulary;

/// Runs what the command line asks for.
///
/// # Errors
/// Why it failed.
pub fn run(cli: &Cli, out: &mut impl Write) -> Result<(), ToolError> {
    match &cli.command {
        Command::Inspect(arguments) => inspect::inspect(arguments, out),
        Command::Tokenize(arguments) => tokenize(arguments, out),
        Command::Generate(arguments) => generate(arguments, out),
        Command::Logits(arguments) => logits(arguments, out),
        Command::Perplexity(arguments) => perplexity(arguments, out),
        Command::Bench(arguments) => bench(arguments, out),
        Command::Wcet(arguments) => wcet(arguments, out),
        Command::Quantize(arguments) => quantize(arguments, out),
        Command::Pack(arguments) => pack_store(arguments, out),
        Command::System(arguments) => system(arguments, out),
        Command::Policy(arguments) => trust::policy(arguments, out),
        Command::Passphrase(arguments) => trust::passphrase(arguments, out),
        Command::Keygen(arguments) => trust::keygen(arguments, out),
        Command::Sign(arguments) => trust::sign(arguments, out),
        Command::Verify(arguments) => trust::verify(arguments, out),
        Command::Audit(arguments) => log::audit(arguments, out),
        Command::Replay(arguments) => log::replay(arguments, out),
    }
}

fn system(arguments: &args::system::System, out: &mut impl Write) -> Result<(), ToolError> {
    let wish = Wish {
        models: arguments.models.clone(),
        context: arguments.context.map(|tokens| tokens as usize),
        sessions: arguments.sessions as usize,
        memory: arguments.memory.0,
    };
    let layout = system::plan(&wish)?;
    write!(out, "{layout}")?;
    let Some(folder) = &arguments.output else {
        return Ok(());
    };
    let args::system::System {
        system,
        policy,
        key,
        ..
    } = arguments;
    system::write(&wish, &layout, system, policy, key, folder)
}

fn tokenize(arguments: &Tokenize, out: &mut impl Write) -> Result<(), ToolError> {
    let text = text_or_stdin(&arguments.text)?;
    let file = files::read(&arguments.model)?;
    let gguf = Gguf::parse(&file).map_err(ToolError::gguf(&arguments.model))?;
    let vocabulary = HostVocabulary::load(&arguments.model, &gguf)?;
    let options = EncodeOptions {
        add_special: !arguments.no_special,
        parse_special: arguments.parse_special,
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
    writeln!(out, "{} tokens, {} bytes", ids.len(), text.len())?;
    Ok(())
}

fn generate(arguments: &Generate, out: &mut impl Write) -> Result<(), ToolError> {
    let prompt = text_or_stdin(&arguments.prompt)?;
    let file = files::read(&arguments.model)?;
    let error = load_error(&arguments.model);
    let options = load_options(arguments.context as usize, arguments.kv.into());
    let mut memory = {
        let checked = Checked::new(&file).map_err(Box::new).map_err(&error)?;
        Memory::for_model(&checked, &options).map_err(&error)?
    };
    let mut backend = TransformerBackend::new(memory.arena().map_err(&error)?, options);
    backend.load(&file).map_err(Box::new).map_err(&error)?;
    let params = GenerateParams {
        max_tokens: arguments.max_tokens,
        sampler: SamplerParams {
            seed: arguments.seed,
            temperature: arguments.temperature.0,
            top_k: arguments.top_k,
            top_p: arguments.top_p.0,
            min_p: arguments.min_p.0,
            repeat_penalty: arguments.repeat_penalty.0,
            repeat_last_n: defaults::REPEAT_LAST_N,
        },
    };
    let refused = |error: llm_core::generate::GenerateError| ToolError::Generate(error.to_string());

    let begun = Instant::now();
    let mut first_token = None;
    let mut prefill = Some(progress_bar("reading the prompt"));
    let mut text = Text::new();
    let mut shown = Sanitiser::new();
    backend
        .start(Turn::only(0), &prompt, &params)
        .map_err(refused)?;
    loop {
        let step = match backend.step(&mut text) {
            Progress::Idle => break,
            Progress::Working | Progress::Evicted(_) => continue,
            Progress::Session(_, step) => step.map_err(refused)?,
        };
        match step {
            Step::Prefill { done, total } => {
                if let Some(bar) = &prefill {
                    bar.set_length(total.into());
                    bar.set_position(done.into());
                }
            }
            Step::Token { .. } => {
                if let Some(bar) = prefill.take() {
                    bar.finish_and_clear();
                }
                first_token.get_or_insert_with(|| begun.elapsed());
                // It is as untrusted here as in the shell, which shows it the same.
                let mut safe = String::new();
                shown.push(text.as_bytes(), &mut |character| safe.push(character));
                out.write_all(safe.as_bytes())?;
                out.flush()?;
            }
            Step::Finished {
                reason,
                prompt_tokens,
                generated,
            } => {
                writeln!(out)?;
                let first = first_token.unwrap_or_default();
                let after_first = begun.elapsed().saturating_sub(first).as_secs_f64();
                let rate = f64::from(generated.saturating_sub(1)) / after_first.max(1e-9);
                eprintln!(
                    "[{prompt_tokens} prompt tokens, {generated} generated, {rate:.1} tokens/s, \
                     first after {:.0} ms, {}]",
                    first.as_secs_f64() * 1e3,
                    match reason {
                        FinishReason::EndOfText => "end of text",
                        FinishReason::MaxTokens => "--max-tokens reached",
                        FinishReason::ContextFull => "context full",
                        FinishReason::Cancelled => "cancelled",
                    }
                );
            }
        }
    }
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
    let prompt = arguments.prompt.as_deref().map(text_or_stdin).transpose()?;
    let file = files::read(&arguments.model)?;
    let error = load_error(&arguments.model);
    let checked = Checked::new(&file).map_err(Box::new).map_err(&error)?;
    let options = load_options(MAX_CONTEXT_TOKENS, arguments.kv.into());
    let mut memory = Memory::for_model(&checked, &options).map_err(&error)?;
    let mut runner = Runner::load(&checked, &options, &mut memory).map_err(&error)?;
    let tokens = match prompt {
        Some(prompt) => {
            let options = EncodeOptions {
                add_special: true,
                parse_special: false,
            };
            HostVocabulary::load(&arguments.model, checked.gguf())?.encode(&prompt, options)?
        }
        None => arguments.tokens.clone(),
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

fn perplexity(arguments: &Perplexity, out: &mut impl Write) -> Result<(), ToolError> {
    let text = if arguments.text.as_os_str() == "-" {
        text_or_stdin("-")?
    } else {
        files::read(&arguments.text)?
    };
    let file = files::read(&arguments.model)?;
    let error = load_error(&arguments.model);
    let checked = Checked::new(&file).map_err(Box::new).map_err(&error)?;
    let options = load_options(arguments.context as usize, arguments.kv.into());
    let mut memory = Memory::for_model(&checked, &options).map_err(&error)?;
    let mut runner = Runner::load(&checked, &options, &mut memory).map_err(&error)?;
    let context = runner.model().context();
    let vocabulary = HostVocabulary::load(&arguments.model, checked.gguf())?;
    let bos = vocabulary.view().bos_added();
    let tokens = text_tokens(arguments, &vocabulary, &text)?;
    let bar = progress_bar("reading the text");
    let mut progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    if arguments.bits_per_byte {
        let measured = perplexity::bits_per_byte(
            &mut runner,
            &tokens,
            bos,
            context,
            text.len(),
            &mut progress,
        )?;
        bar.finish_and_clear();
        writeln!(
            out,
            "{:.4} bits per byte ({} tokens, {} bytes, windows of {context})",
            measured.value,
            measured.tokens,
            text.len()
        )?;
        return Ok(());
    }
    let limit = arguments.chunks.unwrap_or(usize::MAX);
    if let Some(path) = &arguments.against {
        let file = files::read(path)?;
        let error = load_error(path);
        let reference = Checked::new(&file).map_err(Box::new).map_err(&error)?;
        if !same_vocabulary(&checked, &reference) {
            return Err(ToolError::OtherVocabulary {
                model: arguments.model.clone(),
                reference: path.clone(),
            });
        }
        let mut memory = Memory::for_model(&reference, &options).map_err(&error)?;
        let mut reference = Runner::load(&reference, &options, &mut memory).map_err(&error)?;
        let context = context.min(reference.model().context());
        let measured = perplexity::divergence(
            &mut runner,
            &mut reference,
            &tokens,
            bos,
            context,
            limit,
            &mut progress,
        )?;
        bar.finish_and_clear();
        writeln!(
            out,
            "KL divergence = {:.5} +/- {:.5} nats, same choice {:.2} %, PPL = {:.4}, of the reference {:.4} ({:+.2} %) \
             ({} tokens in {} chunks of {context})",
            measured.mean,
            measured.error,
            100.0 * measured.same_choice,
            measured.perplexity[0],
            measured.perplexity[1],
            100.0 * (measured.perplexity[0] / measured.perplexity[1] - 1.0),
            measured.tokens,
            measured.chunks
        )?;
        return Ok(());
    }
    let measured =
        perplexity::perplexity(&mut runner, &tokens, bos, context, limit, &mut progress)?;
    bar.finish_and_clear();
    writeln!(
        out,
        "PPL = {:.4} +/- {:.4} ({} tokens in {} chunks of {context})",
        measured.value, measured.error, measured.tokens, measured.chunks
    )?;
    Ok(())
}

/// The tokens of a text to measure; its documents are joined by the tokens for the end and the beginning of a text.
fn text_tokens(
    arguments: &Perplexity,
    vocabulary: &HostVocabulary,
    text: &[u8],
) -> Result<Vec<u32>, ToolError> {
    // At the beginning, llama-perplexity adds it; its first token is that of the first chunk anyway.
    let encode = |text: &[u8], first: bool| {
        let add_special = first && !arguments.bits_per_byte;
        let options = EncodeOptions {
            add_special,
            parse_special: false,
        };
        vocabulary.encode(text, options)
    };
    let Some(separator) = &arguments.separator else {
        return Ok(encode(text, true)?);
    };
    let view = vocabulary.view();
    let mut tokens: Vec<u32> = Vec::new();
    for document in files::documents(text, separator.as_bytes()) {
        let first = tokens.is_empty();
        if !first {
            tokens.extend(view.eos());
            tokens.extend(view.bos_added());
        }
        tokens.extend(encode(document, first)?);
    }
    Ok(tokens)
}

/// Whether the two files have the same token texts, so that a token's number means the same in both.
fn same_vocabulary(a: &Checked<'_>, b: &Checked<'_>) -> bool {
    const KEY: &str = "tokenizer.ggml.tokens";
    let (Ok(a), Ok(b)) = (a.gguf().array(KEY), b.gguf().array(KEY)) else {
        return false;
    };
    match (a.strings(), b.strings()) {
        (Ok(a), Ok(b)) => a.eq(b),
        _ => false,
    }
}

fn bench(arguments: &Bench, out: &mut impl Write) -> Result<(), ToolError> {
    let file = files::read(&arguments.model)?;
    let mut options = load_options(arguments.context as usize, arguments.kv.into());
    options.cpu = arguments.cpu.unwrap_or(options.cpu);
    let error = load_error(&arguments.model);
    let figures = crate::bench::bench(
        &file,
        &options,
        arguments.runs as usize,
        arguments.quick,
        error,
    )?;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &figures).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{}, {}", arguments.model.display(), options.cpu.name())?;
    for figure in figures {
        writeln!(
            out,
            "  {:<40} {:>10.1} {}",
            figure.name, figure.value, figure.unit
        )?;
    }
    Ok(())
}

fn wcet(arguments: &Wcet, out: &mut impl Write) -> Result<(), ToolError> {
    let file = files::read(&arguments.model)?;
    let error = load_error(&arguments.model);
    let checked = Checked::new(&file).map_err(Box::new).map_err(&error)?;
    let context = (arguments.context as usize).min(checked.config().context_length);
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
        let work = checked.work(position, arguments.kv.into(), true);
        let prefill = checked.work(position, arguments.kv.into(), false);
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

fn quantize(arguments: &Quantize, out: &mut impl Write) -> Result<(), ToolError> {
    let file = files::read(&arguments.input)?;
    let gguf = Gguf::parse(&file).map_err(ToolError::gguf(&arguments.input))?;
    let recipe = match (arguments.ty, &arguments.recipe, arguments.fit) {
        (Some(ty), ..) => Recipe::uniform(ty),
        (None, Some(recipe), _) => recipe.clone(),
        (None, None, arena) => fit(arguments, &file, arena.unwrap_or(ByteSize(0)), out)?,
    };
    let bar = progress_bar("quantizing");
    let converted = convert(&gguf, &recipe, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    files::write(&arguments.output, &converted)?;
    let parameters: u64 = gguf.tensors().map(|tensor| tensor.elements()).sum();
    writeln!(
        out,
        "{}: {}, {} ({:.2} bits a weight)",
        arguments.output.display(),
        recipe.rest().name(),
        ByteSize(converted.len() as u64),
        8.0 * converted.len() as f64 / (parameters.max(1) as f64),
    )?;
    Ok(())
}

/// The best recipe that runs in `arena`, with a table of what it chose.
fn fit(
    arguments: &Quantize,
    file: &[u8],
    arena: ByteSize,
    out: &mut impl Write,
) -> Result<Recipe, ToolError> {
    let error = load_error(&arguments.input);
    let checked = Checked::new(file).map_err(Box::new).map_err(&error)?;
    let options = service_options(arguments.context as usize, arguments.kv.into());
    // With the smallest batch, whatever the weights: the arena of no bytes is too small for any.
    let plan = match checked.plan(&options, 0) {
        Ok(plan) | Err(LoadError::TooLarge(plan)) => plan,
        Err(other) => return Err(error(Box::new(other))),
    };
    let is_matrix = |tensor: &llm_core::gguf::TensorInfo<'_>| {
        let kind = kind(tensor.name);
        tensor.rank > 1 && !kind.contains("norm") && kind != "position_embd"
    };
    // Vectors, norms and positions stay F32.
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

fn pack_store(arguments: &Pack, out: &mut impl Write) -> Result<(), ToolError> {
    let trust = match (&arguments.policy, arguments.unsigned) {
        (Some(path), _) => Trust::Keys(policy::compile(path, None)?.trusted_keys()),
        (None, true) => Trust::Anything,
        (None, false) => Trust::Signed,
    };
    let archive = pack(arguments.files.clone(), arguments.store_size.0, &trust)?;
    files::write(&arguments.output, &archive.bytes)?;
    for packed in &archive.models {
        writeln!(
            out,
            "  {:<24} {:>12}  {}, {}",
            packed.file.name,
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
