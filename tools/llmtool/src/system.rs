//! Makes a system for a user's models: the description and the policy in the sizes that they need, the store, and a key
//! of this machine that signs them.
//!
//! The repository's description and policy are the templates: only what a larger model needs is changed, so the
//! isolation argument is the same. Anything that cannot work is reported before anything is written.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::simd::tiles::TILE;
use llm_core::transformer::{Checked, LoadError, LoadOptions, Plan, Positions, STEP_WORK};
use protocol::wire::InferParams;
use sysdesc::{PAGE_SIZES, System};
use toml_edit::{DocumentMut, TomlError, value};

use crate::engine::{load_error, service_options};
use crate::error::ToolError;
use crate::policy::{self, Device, With};
use crate::store::{Archive, Contents, StoreFile, Trust, TrustedKeys, pack, store_path};
use crate::units::ByteSize;
use crate::{files, keys};

/// Where the loader puts the image in the board's memory, in bytes from its beginning (`boot` in the
/// board's file).
const IMAGE_AT: u64 = 0x3000_0000;
/// Memory of kernel, monitor, programs, rings, log and the initialiser's own structures, in bytes. Observed: 11 MiB.
const REST: u64 = 48 << 20;
/// Pages that the initialiser can create in all regions together (`tools/isolation/policy.toml` has the reason), less
/// those of the rings and the log.
const SMALL_PAGES: u64 = 53_000;
/// Multiply-accumulates per second of an emulated Cortex-A53 on a slow machine.
const EMULATED_SPEED: u64 = 100_000_000;
/// Tokens that a request should be able to have within the deadline: a prompt of some lines, and the default number of
/// generated tokens.
const FIRST_REQUEST: u64 = 64 + InferParams::DEFAULT.max_tokens as u64;
/// Default context of a system in tokens, unless the model's is smaller.
pub const CONTEXT: usize = 2048;

/// The user's request.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Models, adapters and training data; the first model is loaded at boot.
    pub files: Vec<StoreFile>,
    /// Context in tokens; by default [`CONTEXT`], or the model's own if that is smaller.
    pub context: Option<usize>,
    /// Number of whole contexts that fit the cache.
    pub sessions: usize,
    /// Memory of the board, in bytes.
    pub memory: u64,
}

/// The planned system.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Name, plan and parameters of each model.
    models: Vec<(String, Plan, u64)>,
    context: usize,
    arena: u64,
    store: u64,
    page: u64,
    deadline_s: u64,
    grace_ms: u64,
}

/// The regions of a description that hold models, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regions {
    /// Working memory of inference.
    pub arena: u64,
    /// Files and their signatures.
    pub store: u64,
    /// Their pages.
    pub page: u64,
}

impl Regions {
    /// Rounded up to whole pages: small ones if the initialiser can create that many.
    fn new(arena: u64, store: u64) -> Self {
        let [small, large] = PAGE_SIZES;
        let round = |bytes: u64, page: u64| bytes.next_multiple_of(page);
        let pages = (round(arena, small) + round(store, small)) / small;
        let page = if pages <= SMALL_PAGES { small } else { large };
        Self {
            arena: round(arena, page),
            store: round(store, page),
            page,
        }
    }

    /// What one model needs, and not a page more: its file of `bytes` bytes, `sessions` contexts in the cache, and its
    /// adapters, which take `adapters` bytes of the arena and whose files are included in `bytes`.
    ///
    /// # Errors
    /// No arena can hold it.
    pub fn of_model(
        checked: &Checked<'_>,
        bytes: u64,
        adapters: u64,
        context: usize,
        sessions: usize,
        kv: KvType,
    ) -> Result<Self, LoadError> {
        let plan = plan_checked(checked, context, sessions, kv)?;
        Ok(Self::new(
            plan.total() + adapters,
            bytes + FILE_OVERHEAD + STORE_END,
        ))
    }
}

impl Display for Regions {
    /// The two lines of a description.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { arena, store, page } = self;
        writeln!(
            f,
            r#"<memory_region name="arena" size="{arena:#x}" page_size="{page:#x}" />"#
        )?;
        writeln!(
            f,
            r#"<memory_region name="model_store" size="{store:#x}" page_size="{page:#x}" prefill_path="store.tar" />"#
        )
    }
}

/// In addition to a file, the store has its header, the padding of its last block, and header and block of the
/// signature.
const FILE_OVERHEAD: u64 = 4 * 512;
/// The two blocks that end an archive, whose length is a multiple of twenty blocks.
const STORE_END: u64 = 20 * 512;

/// Plans a system, and refuses what cannot work.
///
/// # Errors
/// A file cannot be read or is not a model that runs, or the board has too little memory.
pub fn plan(wish: &Wish) -> Result<Layout, ToolError> {
    let mut read = Vec::new();
    for file in &wish.files {
        read.push(files::read(&file.path)?);
    }
    let mut contents = Vec::new();
    for (file, bytes) in wish.files.iter().zip(&read) {
        contents.push(Contents::of(&file.path, bytes)?);
    }
    let adapters: Vec<_> = contents.iter().filter_map(Contents::adapter).collect();
    let mut models = Vec::new();
    let (mut arena, mut store, mut context) = (0, 0, 1);
    let (mut slowest, mut longest_step) = (0, 0);
    let mut names = std::collections::BTreeSet::new();
    for ((file, bytes), content) in wish.files.iter().zip(&read).zip(&contents) {
        if !names.insert(store_path(file, content.kind())) {
            return Err(ToolError::StoreDuplicate {
                name: file.name.clone(),
            });
        }
        store += bytes.len() as u64 + FILE_OVERHEAD;
        let Contents::Model(model) = content else {
            continue;
        };
        let (plan, part) = plan_model(file, model, wish)?;
        // All adapters that it can have, at the same time.
        let digest = sha256(bytes);
        let sizes = adapters.iter().map(|adapter| {
            let size = adapter.check(&model.base(), Some(&digest));
            size.map_or(0, |size| size.info.bytes)
        });
        arena = arena.max(plan.total() + sizes.sum::<u64>());
        context = context.max(plan.context as usize);
        slowest = slowest.max(model.parameters());
        longest_step = longest_step.max(STEP_WORK + part);
        models.push((file.name.clone(), plan, model.parameters()));
    }
    if models.is_empty() {
        return Err(ToolError::NoModel);
    }
    store += STORE_END;
    let least = 8 << 20;
    let Regions { arena, store, page } = Regions::new(arena.max(least), store.max(least));
    let ms = |work: u64| work * 1000 / EMULATED_SPEED;
    let layout = Layout {
        models,
        context,
        arena,
        store,
        page,
        deadline_s: ms(slowest * FIRST_REQUEST).div_ceil(1000),
        grace_ms: 2 * ms(longest_step),
    };
    // The image contains the store's contents, and the store is filled from it.
    let image = store + REST / 2;
    let all = image + store + arena + REST / 2;
    if all > wish.memory || IMAGE_AT + image > wish.memory {
        return Err(ToolError::SystemMemory {
            needed: ByteSize(all.max(IMAGE_AT + image)),
            memory: ByteSize(wish.memory),
            arena: ByteSize(arena),
            store: ByteSize(store),
        });
    }
    Ok(layout)
}

/// What a model needs in an arena, and the work of the largest part that a step cannot split.
fn plan_model(
    file: &StoreFile,
    checked: &Checked<'_>,
    wish: &Wish,
) -> Result<(Plan, u64), ToolError> {
    let context = wish.context.unwrap_or(CONTEXT);
    let plan = plan_checked(checked, context, wish.sessions, KvType::Q8);
    let plan = plan.map_err(|wrong| load_error(&file.path)(Box::new(wrong)))?;
    let config = checked.config();
    let widest = config
        .width
        .max(config.query_width())
        .max(config.feed_forward);
    let rows = (TILE * widest) as u64 * plan.batch;
    let head = 2 * plan.context * config.head_size as u64;
    Ok((plan, rows.max(head)))
}

/// What a model needs of an arena for `sessions` contexts.
fn plan_checked(
    checked: &Checked<'_>,
    context: usize,
    sessions: usize,
    kv: KvType,
) -> Result<Plan, LoadError> {
    let options = service_options(context, kv);
    let plan = |options: &LoadOptions| match checked.plan(options, u32::MAX as usize & !63) {
        // The arena is not that large; the plan says what it must have.
        Ok(plan) | Err(LoadError::TooLarge(plan)) => Ok(plan),
        Err(wrong) => Err(wrong),
    };
    let of_one = plan(&options)?;
    plan(&LoadOptions {
        positions: Positions::Exactly(of_one.context as usize * sessions),
        ..options
    })
}

/// What a system is made from, besides its files.
#[derive(Clone, Copy, Debug)]
pub struct Templates<'p> {
    /// Template of the description.
    pub description: &'p Path,
    /// Template of the policy.
    pub policy: &'p Path,
    /// The pair of keys that signs the files, without its endings; created if missing.
    pub key: &'p Path,
    /// The device's pair of keys, which signs the adapters made on the device; created if missing.
    pub device_key: &'p Path,
}

/// Writes the system into `folder`: `system.xml`, `policy.toml` with the compiled `policy.bin` and `formats.bin`, and
/// `store.tar`. The schemas of the policy's formats are copied there as well.
///
/// # Errors
/// A template or a file cannot be read or written, or a template lacks something that must be changed.
pub fn write(
    wish: &Wish,
    layout: &Layout,
    templates: &Templates<'_>,
    folder: &Path,
) -> Result<(), ToolError> {
    let make = |folder: &Path| {
        std::fs::create_dir_all(folder).map_err(|source| ToolError::Write {
            path: folder.to_path_buf(),
            source,
        })
    };
    make(folder)?;
    let mut links = Vec::new();
    for file in &wish.files {
        let content = Contents::of(&file.path, &files::read(&file.path)?)?.kind();
        let link = folder.join(store_path(file, content));
        make(link.parent().unwrap_or(folder))?;
        refuse_inside(&link, &file.path)?;
        refuse_other(&link)?;
        links.push(link);
    }
    let (secret, public) = key_pair(templates.key)?;
    let (device, _) = key_pair(templates.device_key)?;
    let system = describe(layout, templates.description)?;
    let system_file = folder.join("system.xml");
    files::write(&system_file, system.as_bytes())?;

    let (policy_text, schemas) = adapt_policy(layout, templates.policy)?;
    for (name, schema) in schemas {
        files::write(&folder.join(name), &schema)?;
    }
    let file = folder.join("policy.toml");
    files::write(&folder.join("this-machine.pub.pem"), &files::read(&public)?)?;
    files::write(&file, policy_text.as_bytes())?;
    let with = With {
        system: Some(&system_file),
        device: Device::File(&device),
    };
    let compiled = policy::compile(&file, with)?;
    files::write_secret(&folder.join("policy.bin"), &compiled.image()?)?;
    files::write(&folder.join("formats.bin"), &compiled.formats_image()?)?;

    // Signatures are stored in the folder, so nobody else's files are touched.
    let secret = keys::read_secret(&secret)?;
    let signed = |(file, path): (&StoreFile, PathBuf)| -> Result<StoreFile, ToolError> {
        let content = files::read(&file.path)?;
        link(&file.path, &path)?;
        let signature = keys::sign(&secret, &sha256(&content));
        files::write(&keys::signature_path(&path), &signature)?;
        Ok(StoreFile {
            name: file.name.clone(),
            path,
        })
    };
    let files = wish.files.iter().zip(links).map(signed);
    let files = files.collect::<Result<_, _>>()?;
    let trust = Trust::Keys(Box::new(TrustedKeys {
        any: compiled.trusted_keys(),
        adapters: None,
    }));
    let Archive { mut bytes, .. } = pack(files, layout.store, &trust)?;
    // The Microkit tool requires a file of exactly the region's size.
    bytes.resize(layout.store as usize, 0);
    files::write(&folder.join("store.tar"), &bytes)
}

/// The pair of keys of this name, created if missing.
fn key_pair(name: &Path) -> Result<(PathBuf, PathBuf), ToolError> {
    let with = |suffix: &str| {
        let mut path = name.as_os_str().to_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    let pair = (with(".key.pem"), with(".pub.pem"));
    if !pair.0.exists() {
        if let Some(folder) = name.parent() {
            std::fs::create_dir_all(folder).map_err(|source| ToolError::Write {
                path: folder.to_path_buf(),
                source,
            })?;
        }
        keys::generate(name)?;
    }
    Ok(pair)
}

/// Refuses a file at the place of the system's link, because it could be another file.
fn refuse_inside(link: &Path, file: &Path) -> Result<(), ToolError> {
    let whole = |path: &Path| {
        std::fs::canonicalize(path).map_err(|source| ToolError::Read {
            path: path.to_path_buf(),
            source,
        })
    };
    let folder = link.parent().unwrap_or(Path::new(""));
    match whole(file)?.parent() == Some(&whole(folder)?) {
        true => Err(ToolError::InOutput {
            path: file.to_path_buf(),
        }),
        false => Ok(()),
    }
}

/// Refuses to replace anything that is not a link, because we did not make it.
fn refuse_other(to: &Path) -> Result<(), ToolError> {
    match to.symlink_metadata() {
        Ok(there) if !there.is_symlink() => Err(ToolError::InOutput {
            path: to.to_path_buf(),
        }),
        _ => Ok(()),
    }
}

/// Makes `to` another name of the file `from`.
fn link(from: &Path, to: &Path) -> Result<(), ToolError> {
    let failed = |source| ToolError::Write {
        path: to.to_path_buf(),
        source,
    };
    let from = std::fs::canonicalize(from).map_err(failed)?;
    // A link from an earlier call.
    if to.symlink_metadata().is_ok() {
        std::fs::remove_file(to).map_err(failed)?;
    }
    std::os::unix::fs::symlink(from, to).map_err(failed)
}

/// The template with regions of the layout's sizes, at addresses where they do not overlap.
fn describe(layout: &Layout, template: &Path) -> Result<String, ToolError> {
    let wrong = |reason: String| ToolError::Template {
        path: template.to_path_buf(),
        reason,
    };
    let bytes = files::read(template)?;
    let mut text =
        String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8; save it as UTF-8".into()))?;
    let before = System::parse(&text).map_err(|error| wrong(error.to_string()))?;
    let place = |region: &str| {
        let maps = before.domains.iter().flat_map(|domain| &domain.maps);
        let mut maps = maps.filter(|map| before.regions[map.region].name == region);
        let first = maps.next();
        first
            .map(|map| map.vaddr)
            .ok_or_else(|| wrong(format!("nobody maps a region '{region}'")))
    };
    let arena_at = place("arena")?.next_multiple_of(layout.page);
    let store_at = place("model_store")?
        .max(arena_at + layout.arena)
        .next_multiple_of(layout.page);
    for (region, bytes, at) in [
        ("arena", layout.arena, arena_at),
        ("model_store", layout.store, store_at),
    ] {
        let tag = format!("<memory_region name=\"{region}\"");
        let values = [("size", bytes), ("page_size", layout.page)];
        change(&mut text, &tag, &values).ok_or_else(|| wrong(format!("{tag} has no size")))?;
        let tag = format!("<map mr=\"{region}\"");
        change(&mut text, &tag, &[("vaddr", at)])
            .ok_or_else(|| wrong(format!("{tag} has no vaddr")))?;
    }
    // Parses what was meant, or fails if the template has an unforeseen form.
    let after = System::parse(&text).map_err(|error| wrong(error.to_string()))?;
    for (name, bytes) in [("arena", layout.arena), ("model_store", layout.store)] {
        let mut regions = after.regions.iter().filter(|region| region.name == name);
        if regions.next().map(|region| region.size) != Some(bytes) {
            return Err(wrong(format!(
                "the size of '{name}' cannot be changed in it"
            )));
        }
    }
    Ok(text)
}

/// Sets attributes of all elements that begin with `tag`; `None` if there is no such element or attribute.
fn change(text: &mut String, tag: &str, values: &[(&str, u64)]) -> Option<()> {
    let mut from = 0;
    let mut found = None;
    while let Some(at) = text.get(from..)?.find(tag) {
        let start = from + at;
        let end = start + text.get(start..)?.find('>')?;
        let mut element = text.get(start..end)?.to_owned();
        for (name, value) in values {
            let attribute = format!(" {name}=\"");
            let begin = element.find(&attribute)? + attribute.len();
            let length = element.get(begin..)?.find('"')?;
            element.replace_range(begin..begin + length, &format!("{value:#x}"));
        }
        text.replace_range(start..end, &element);
        from = start + element.len();
        found = Some(());
    }
    found
}

/// Files of JSON schemas: names and contents.
type Schemas = Vec<(String, Vec<u8>)>;

/// The template with this machine's key, the context, and the time limits that a larger model needs.
fn adapt_policy(layout: &Layout, template: &Path) -> Result<(String, Schemas), ToolError> {
    let wrong = |reason: String| ToolError::Template {
        path: template.to_path_buf(),
        reason,
    };
    let bytes = files::read(template)?;
    let text =
        String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8; save it as UTF-8".into()))?;
    let mut document: DocumentMut = text.parse().map_err(|error: TomlError| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.as_bytes().get(..start).unwrap_or_default();
        ToolError::Policy {
            path: template.to_path_buf(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            // Some messages have several lines; an error is one.
            reason: error.message().lines().collect::<Vec<_>>().join(", "),
        }
    })?;
    let inference = document
        .get_mut("inference")
        .and_then(|item| item.as_table_mut())
        .ok_or_else(|| wrong("it has no [inference]".into()))?;
    inference.insert("context", value(layout.context as i64));
    for (name, least_ms) in [
        ("deadline", layout.deadline_s * 1000),
        ("stop-grace", layout.grace_ms),
    ] {
        let now = inference.get(name).and_then(|item| item.as_str());
        let now = now.and_then(|text| humantime::parse_duration(text).ok());
        if now.is_none_or(|now| now.as_millis() < u128::from(least_ms)) {
            // The key keeps its comment.
            inference[name] = value(format!("{least_ms}ms"));
        }
    }
    let keys = document.entry("keys").or_insert_with(toml_edit::table);
    let keys = keys
        .as_table_mut()
        .ok_or_else(|| wrong("its [keys] is not a table".into()))?;
    let mut key = toml_edit::Table::new();
    key.insert("file", value("this-machine.pub.pem"));
    keys.insert("this-machine", toml_edit::Item::Table(key));
    let schemas = take_schemas(&mut document, template.parent().unwrap_or(Path::new("")))?;
    Ok((document.to_string(), schemas))
}

/// Moves the policy's JSON schemas next to the policy: returns name and contents of each.
fn take_schemas(document: &mut DocumentMut, beside: &Path) -> Result<Schemas, ToolError> {
    let mut schemas = Vec::new();
    let formats = document.get_mut("formats");
    let formats = formats.and_then(|item| item.as_table_like_mut());
    for (_, format) in formats.into_iter().flat_map(|formats| formats.iter_mut()) {
        let file = format.get("json-schema").and_then(|file| file.as_str());
        if let Some(file) = file {
            let content = files::read(&beside.join(file))?;
            // Names of formats may not be valid file names.
            let own = format!("format-{}.schema.json", schemas.len());
            format["json-schema"] = value(&own);
            schemas.push((own, content));
        }
    }
    Ok(schemas)
}

impl Display for Layout {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, plan, parameters) in &self.models {
            writeln!(
                f,
                "{name}: {:.1} M parameters, context {}, a cache of {} positions; weights {}, keys and values {}, activations {}, \
                 vocabulary {}",
                *parameters as f64 / 1e6,
                plan.context,
                plan.positions,
                ByteSize(plan.weights),
                ByteSize(plan.kv_cache),
                ByteSize(plan.activations),
                ByteSize(plan.vocabulary),
            )?;
        }
        writeln!(
            f,
            "arena {}, model store {}, pages of {}",
            ByteSize(self.arena),
            ByteSize(self.store),
            ByteSize(self.page)
        )?;
        writeln!(
            f,
            "time limits for an emulated Cortex-A53: a deadline of {} s and a stop-grace of {} ms at least",
            self.deadline_s, self.grace_ms
        )
    }
}

#[cfg(test)]
mod tests;
