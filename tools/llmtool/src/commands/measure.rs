//! `perplexity`, `imatrix` and `bench`: how well a model predicts, which columns matter, and how fast it runs.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use llm_core::tokenizer::EncodeOptions;
use llm_core::transformer::Checked;

use crate::adapter;
use crate::args::{Bench, Imatrix, Perplexity};
use crate::engine::{self, Memory, Runner, check_runs, load_error};
use crate::error::ToolError;
use crate::files;
use crate::output::progress_bar;
use crate::perplexity::{self, Chunks};
use crate::units::ByteSize;
use crate::units::{count, rate};
use crate::vocabulary::HostVocabulary;

pub(super) fn perplexity(arguments: &Perplexity, out: &mut impl Write) -> Result<(), ToolError> {
    let text = arguments.text.read()?;
    let model = arguments.model.path();
    let file = files::read(model)?;
    let error = load_error(model);
    let checked = check_runs(model, &file)?;
    let options = arguments.engine.reading_options(arguments.context.0);
    let lora = arguments.lora.read()?;
    let adapters = adapter::bytes(&lora, &checked, &file)?;
    let mut memory = Memory::with_adapters(&checked, &options, adapters).map_err(&error)?;
    let team = engine::team(&options)?;
    let mut runner = Runner::load(&checked, &options, team, &mut memory).map_err(&error)?;
    if let Some(lora) = &lora {
        runner.load_adapter(lora, &file)?;
    }
    let context = runner.model().context();
    let vocabulary = HostVocabulary::load(model, checked.gguf())?;
    let bos = vocabulary.view().bos_added();
    let separator = arguments.separator.as_deref();
    let tokens = text_tokens(separator, arguments.bits_per_byte, &vocabulary, &text)?;
    let bar = progress_bar("reading the text");
    let mut progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let begun = Instant::now();
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
    let limit = usize::try_from(arguments.chunks).unwrap_or(usize::MAX);
    if let Some(path) = &arguments.against {
        let file = files::read(path)?;
        let error = load_error(path);
        let reference = check_runs(path, &file)?;
        if !same_vocabulary(&checked, &reference) {
            return Err(ToolError::OtherVocabulary {
                model: model.to_path_buf(),
                reference: path.clone(),
            });
        }
        let mut memory = Memory::for_model(&reference, &options).map_err(&error)?;
        // It has a team of its own: the two models take turns, and the threads of the idle one sleep.
        let team = engine::team(&options)?;
        let loaded = Runner::load(&reference, &options, team, &mut memory);
        let mut reference = loaded.map_err(&error)?;
        let context = context.min(reference.model().context());
        let chunks = Chunks::cut(&tokens, bos, context, limit)?;
        let measured = perplexity::divergence(&mut runner, &mut reference, &chunks, &mut progress)?;
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
    let chunks = Chunks::cut(&tokens, bos, context, limit)?;
    let measured = perplexity::perplexity(&mut runner, &chunks, &mut progress)?;
    bar.finish_and_clear();
    writeln!(
        out,
        "PPL = {:.4} +/- {:.4} ({} tokens in {} chunks of {context})",
        measured.value, measured.error, measured.tokens, measured.chunks
    )?;
    say_rate(&chunks, begun);
    Ok(())
}

/// Reports on standard error how fast the chunks were read.
fn say_rate(chunks: &Chunks, begun: Instant) {
    let tokens = (chunks.len() * chunks.context()) as u32;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!(
        "[prompt {}, {:.1} tokens/s; nothing generated]",
        count(tokens as usize, "token"),
        rate(tokens, seconds)
    );
}

pub(super) fn imatrix(arguments: &Imatrix, out: &mut impl Write) -> Result<(), ToolError> {
    let model = arguments.model.path();
    let inputs: Vec<&Path> = [Some(model), arguments.text.path()]
        .into_iter()
        .flatten()
        .collect();
    files::refuse_overwriting(&arguments.output, &inputs)?;
    let text = arguments.text.read()?;
    let file = files::read(model)?;
    let error = load_error(model);
    let checked = check_runs(model, &file)?;
    let options = arguments.engine.reading_options(arguments.context.0);
    let mut memory = Memory::for_model(&checked, &options).map_err(&error)?;
    let team = engine::team(&options)?;
    let mut runner = Runner::load(&checked, &options, team, &mut memory).map_err(&error)?;
    let vocabulary = HostVocabulary::load(model, checked.gguf())?;
    let bos = vocabulary.view().bos_added();
    let tokens = text_tokens(None, false, &vocabulary, &text)?;
    let limit = usize::try_from(arguments.chunks).unwrap_or(usize::MAX);
    let chunks = Chunks::cut(&tokens, bos, runner.model().context(), limit)?;
    let bar = progress_bar("reading the text");
    let begun = Instant::now();
    let measured = crate::imatrix::Imatrix::measure(
        &mut runner,
        checked.gguf(),
        &chunks,
        arguments.text.source(),
        arguments.process_output,
        &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        },
    )?;
    bar.finish_and_clear();
    let bytes = measured.finish();
    files::write(&arguments.output, &bytes)?;
    writeln!(
        out,
        "{}: {}, the importance of {} matrices over {} chunks of {} tokens",
        arguments.output.display(),
        ByteSize(bytes.len() as u64),
        measured.len(),
        chunks.len(),
        chunks.context()
    )?;
    say_rate(&chunks, begun);
    Ok(())
}

/// The tokens of a text to measure; its documents are joined by the tokens for the end and the beginning of a text.
/// `whole`: all of them count, and each window gets its own begin token.
fn text_tokens(
    separator: Option<&str>,
    whole: bool,
    vocabulary: &HostVocabulary,
    text: &[u8],
) -> Result<Vec<u32>, ToolError> {
    // llama-perplexity adds it at the beginning; here, the first token of each chunk is replaced by it anyway.
    let encode = |text: &[u8], first: bool| {
        let add_special = first && !whole;
        let options = EncodeOptions {
            add_special,
            parse_special: false,
            parse_user_defined: true,
        };
        vocabulary.encode(text, options)
    };
    let Some(separator) = separator else {
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

pub(super) fn bench(arguments: &Bench, out: &mut impl Write) -> Result<(), ToolError> {
    let model = arguments.model.path();
    let file = files::read(model)?;
    let mut options = arguments.engine.run_options(arguments.context.0);
    options.cpu = arguments.cpu.unwrap_or(options.cpu);
    let error = load_error(model);
    let bar = progress_bar("measuring");
    let wish = crate::bench::Wish {
        prompt: arguments.prompt as usize,
        generate: arguments.generate as usize,
        runs: arguments.runs as usize,
        quick: arguments.quick,
    };
    let lora = arguments.lora.read()?;
    let mut progress = |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let figures = crate::bench::bench(&file, lora.as_ref(), &options, wish, error, &mut progress)?;
    bar.finish_and_clear();
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &figures).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    let threads = count(options.workers, "thread");
    let cpu = options.cpu.name();
    writeln!(out, "{}, {cpu}, {threads}", model.display())?;
    for figure in figures {
        writeln!(
            out,
            "  {:<40} {:>10.1} {}",
            figure.name, figure.value, figure.unit
        )?;
    }
    Ok(())
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
