//! `inspect`: the contents of a model file, and what it needs to run.

mod adapter;

use std::io::Write;

use llm_core::chat::{MAX_FIXED_TOKENS, MAX_SEGMENT_TOKENS, Template};
use llm_core::gguf::{Gguf, Value};
use llm_core::kv_cache::KvType;
use llm_core::quantize::TensorType;
use llm_core::transformer::{Checked, LoadError, LoadOptions, MAX_ADAPTERS, Plan, Positions};

use super::printable;
use crate::adapter::Adapter;
use crate::args::Inspect;
use crate::engine::{load_error, service_options};
use crate::error::ToolError;
use crate::files;
use crate::system::Regions;
use crate::units::ByteSize;
use crate::vocabulary::HostVocabulary;

pub(super) fn inspect(arguments: &Inspect, out: &mut impl Write) -> Result<(), ToolError> {
    let model = arguments.model.path();
    let file = files::read(model)?;
    let gguf = Gguf::parse(&file).map_err(ToolError::gguf(model))?;
    let text = |key: &str| gguf.str_opt(key).ok().flatten();
    if text("general.type") == Some("adapter") {
        return adapter::inspect(arguments, &gguf, out);
    }
    if arguments.base.is_some() {
        return Err(ToolError::OptionFor {
            path: model.to_path_buf(),
            option: "--base",
            wanted: "adapters, and this is a model",
        });
    }
    let number = |key: &str| gguf.u32_opt(key).ok().flatten();
    let architecture = text("general.architecture").unwrap_or("(not named)");
    let parameters: u64 = gguf.tensors().map(|tensor| tensor.elements()).sum();

    writeln!(out, "{}", model.display())?;
    let mut line = |label: &str, value: String| writeln!(out, "  {label:<14}{value}");
    line(
        "name",
        printable(text("general.name").unwrap_or("(not named)").as_bytes()),
    )?;
    line("architecture", printable(architecture.as_bytes()))?;
    line(
        "file",
        format!("{}, GGUF v{}", ByteSize(file.len() as u64), gguf.version()),
    )?;
    line(
        "parameters",
        format!(
            "{:.2} M in {} tensors",
            parameters as f64 / 1e6,
            gguf.tensor_count()
        ),
    )?;
    for ty in TensorType::ALL {
        let of_type = || gguf.tensors().filter(move |tensor| tensor.ty == ty);
        let bytes: u64 = of_type().map(|tensor| tensor.data.len() as u64).sum();
        if bytes > 0 {
            line(
                "",
                format!(
                    "{:<5} {:>4} tensors {:>12}",
                    ty.name(),
                    of_type().count(),
                    ByteSize(bytes).to_string()
                ),
            )?;
        }
    }
    if let Some(tokens) = gguf.array_opt("tokenizer.ggml.tokens").ok().flatten() {
        let model = text("tokenizer.ggml.model").unwrap_or("(not named)");
        line(
            "vocabulary",
            format!(
                "{} tokens, tokenizer {}",
                tokens.len(),
                printable(model.as_bytes())
            ),
        )?;
    }
    let template = Template::of(&gguf).map_err(ToolError::scaffold(model))?;
    line("chat", super::chat::name(&template))?;
    if let Some(scaffold) = template.scaffold() {
        // A file with an invalid vocabulary is shown anyway.
        if let Ok(vocabulary) = HostVocabulary::load(model, &gguf) {
            line(
                "",
                super::chat::roles(&scaffold, &vocabulary.view()).to_owned(),
            )?;
            let bound = vocabulary.bound(&scaffold);
            let (once, each) = (bound.fixed_tokens, bound.segment_tokens);
            line(
                "",
                match bound.is_served() {
                    true => format!("adds at most {once} tokens, and {each} for each text"),
                    false => format!(
                        "not served: it adds {once} tokens, and {each} for each text; at most {MAX_FIXED_TOKENS} and \
                         {MAX_SEGMENT_TOKENS} are allowed, so prompts are continued as texts"
                    ),
                },
            )?;
        }
    }
    let key = |name: &str| number(&format!("{architecture}.{name}"));
    let layers = key("block_count");
    let each = |name: &str| {
        let key = format!("{architecture}.{name}");
        let number = gguf.u32_or_equal_opt(&key, layers.unwrap_or(0) as usize);
        number.ok().flatten()
    };
    if let (Some(layers), Some(width), Some(heads)) = (
        layers,
        key("embedding_length"),
        each("attention.head_count"),
    ) {
        let kv_heads = each("attention.head_count_kv").unwrap_or(heads);
        let feed_forward = each("feed_forward_length").unwrap_or(0);
        line(
            "shape",
            format!(
                "{layers} layers, {width} wide, {heads} heads ({kv_heads} for keys and values), \
             feed-forward {feed_forward}"
            ),
        )?;
    }
    if let Some(context) = key("context_length") {
        line("context", format!("{context} tokens"))?;
    }

    // The contents of a file that cannot run are shown anyway; the exit status says that it cannot.
    let runs = inspect_plan(arguments, &file, out)?;
    list(arguments, &gguf, out)?;
    runs
}

/// Lists metadata and tensors, if requested.
fn list(arguments: &Inspect, gguf: &Gguf<'_>, out: &mut impl Write) -> Result<(), ToolError> {
    if arguments.metadata {
        writeln!(out, "\n  metadata")?;
        for (key, value) in gguf.keys() {
            writeln!(
                out,
                "    {:<42} {}",
                printable(key.as_bytes()),
                show(&value)
            )?;
        }
    }
    if arguments.tensors {
        writeln!(out, "\n  tensors")?;
        for tensor in gguf.tensors() {
            let dims: Vec<String> = tensor
                .dims
                .iter()
                .take(tensor.rank)
                .map(u64::to_string)
                .collect();
            writeln!(
                out,
                "    {:<32} {:<5} {:>16} {:>12}",
                printable(tensor.name.as_bytes()),
                tensor.ty.name(),
                dims.join(" x "),
                ByteSize(tensor.data.len() as u64).to_string(),
            )?;
        }
    }
    Ok(())
}

/// What the model needs to run, or, as the inner result, why it cannot run.
fn inspect_plan(
    arguments: &Inspect,
    file: &[u8],
    out: &mut impl Write,
) -> Result<Result<(), ToolError>, ToolError> {
    let capacity = usize::try_from(arguments.arena.0).unwrap_or(usize::MAX);
    let mut refused = |error: LoadError| {
        writeln!(out, "  cannot run    {error}")?;
        Ok(Err(load_error(arguments.model.path())(Box::new(error))))
    };
    let checked = match Checked::new(file) {
        Ok(checked) => checked,
        Err(error) => return refused(error),
    };
    // 0, or more than the model has, means the model's own context.
    let own = checked.config().context_length;
    let context = match arguments.context.0 {
        0 => own,
        some => some.min(own),
    };
    let options = service_options(context, arguments.kv.into());
    let mut adapters = Vec::new();
    for path in &arguments.lora {
        adapters.push(Adapter::read(path.clone(), 1.0)?);
    }
    if adapters.len() > MAX_ADAPTERS {
        return Err(ToolError::TooManyAdapters {
            adapters: adapters.len(),
        });
    }
    let adapter_bytes = crate::adapter::bytes(&adapters, &checked, file)?;
    let (plan, fits) = match checked.plan_with(&options, capacity, adapter_bytes) {
        Ok(plan) => (plan, true),
        Err(LoadError::TooLarge(plan)) => (plan, false),
        Err(error) => return refused(error),
    };
    let regions = Regions::of_model(
        &checked,
        file.len() as u64,
        adapter_bytes,
        arguments.context.0,
        arguments.sessions as usize,
        arguments.kv.into(),
    );
    let regions = match regions {
        Ok(regions) => regions,
        Err(error) => return refused(error),
    };
    let Plan {
        weights,
        kv_cache,
        activations,
        vocabulary,
        ..
    } = plan;
    let kv = match options.kv {
        KvType::Q8 => "8-bit",
        KvType::F16 => "F16",
        KvType::F32 => "F32",
    };
    writeln!(
        out,
        "  memory        for a session of {} tokens, keys and values {kv}; tables for {} sessions",
        plan.context, options.sessions
    )?;
    for (purpose, bytes) in [
        ("weights", weights),
        ("KV cache", kv_cache),
        ("activations", activations),
        ("vocabulary", vocabulary),
        ("adapters", plan.adapters),
        ("total", plan.total()),
    ] {
        if (purpose, bytes) == ("adapters", 0) {
            continue;
        }
        writeln!(
            out,
            "                {purpose:<12}{:>12}",
            ByteSize(bytes).to_string()
        )?;
    }
    let arena = arguments.arena;
    if fits {
        writeln!(out, "  runs          in an arena of {arena}")?;
        let fill = LoadOptions {
            positions: Positions::Fill,
            ..options
        };
        // It fits with the minimum, so it fits with what is left.
        if let Ok(full) = checked.plan_with(&fill, capacity, adapter_bytes) {
            writeln!(
                out,
                "                whose sessions share keys and values of {} tokens",
                full.positions
            )?;
        }
    } else if plan.largest_context > 0 {
        writeln!(
            out,
            "  too large     for an arena of {arena}; with a context of {} tokens it fits",
            plan.largest_context
        )?;
    } else {
        writeln!(
            out,
            "  too large     for an arena of {arena}: quantize it further, or enlarge the arena"
        )?;
    }
    let sessions = match arguments.sessions {
        1 => "a session".to_owned(),
        sessions => format!("{sessions} sessions"),
    };
    writeln!(
        out,
        "  system.xml    with room for {sessions} of {} tokens:",
        plan.context
    )?;
    for line in regions.to_string().lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(Ok(()))
}

/// A metadata value on one line.
fn show(value: &Value<'_>) -> String {
    const MOST: usize = 6;
    match value {
        Value::U8(number) => number.to_string(),
        Value::I8(number) => number.to_string(),
        Value::U16(number) => number.to_string(),
        Value::I16(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::I32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::String(text) => {
            let text = printable(text);
            let cut: String = text.chars().take(72).collect();
            if cut.len() < text.len() {
                format!("\"{cut}…\"")
            } else {
                format!("\"{cut}\"")
            }
        }
        Value::Array(array) => {
            let first: Vec<String> = array
                .values()
                .take(MOST)
                .map(|value| show(&value))
                .collect();
            let more = if array.len() > MOST { ", …" } else { "" };
            format!(
                "{} {}: [{}{more}]",
                array.len(),
                array.item_type().name(),
                first.join(", ")
            )
        }
    }
}
