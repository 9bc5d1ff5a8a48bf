//! Sizes of a system's regions for a model.

use super::{CONTEXT, EMULATED_SPEED, FIRST_REQUEST, IMAGE_AT, REST, SMALL_PAGES, STORE_END, Wish};
use crate::engine::{load_error, service_options};
use crate::error::ToolError;
use crate::files;
use crate::store::{Contents, StoreFile, store_path};
use crate::units::ByteSize;
use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::simd::tiles::TILE;
use llm_core::transformer::{Checked, LoadError, LoadOptions, Plan, Positions, STEP_WORK};
use std::fmt::{self, Display, Formatter};
use sysdesc::PAGE_SIZES;

/// The planned system.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Name, plan and parameters of each model.
    pub(super) models: Vec<(String, Plan, u64)>,
    pub(super) context: usize,
    pub(super) arena: u64,
    pub(super) store: u64,
    pub(super) page: u64,
    pub(super) deadline_s: u64,
    pub(super) grace_ms: u64,
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
    pub(super) fn new(arena: u64, store: u64) -> Self {
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
