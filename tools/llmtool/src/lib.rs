//! Host tool of sel4-llm: inspects, runs and prepares models with the engine that runs on seL4.
//!
//! - [`args`]: the command line; [`commands`]: what the commands do;
//! - [`convert`]: converts a model's weights to other types; [`gguf_writer`]: writes GGUF files;
//! - [`mixture`], [`recipe`]: the type of each matrix; [`imatrix`]: which of its columns matter;
//! - [`adapter`]: adapters to apply to a model; [`perplexity`]: how well a model predicts a text;
//! - [`armour`]: finds adapters in the output of a console;
//! - [`store`]: makes the archive for the model store;
//! - [`disk`]: images of disks;
//! - [`policy`], [`passphrase`], [`keys`]: what audit should trust;
//! - [`audit_log`], [`replay`]: checks what audit has recorded, and repeats it;
//! - [`chat`]: chat templates and the scaffolds that do the same;
//! - [`mod@bench`]: how fast a model runs here;
//! - [`engine`], [`vocabulary`]: the engine in the host's memory.

pub mod adapter;
pub mod answer;
pub mod args;
pub mod armour;
pub mod audit_log;
pub mod bench;
pub mod chat;
pub mod commands;
pub mod convert;
pub mod destination;
pub mod disk;
pub mod engine;
pub mod error;
pub mod files;
pub mod gguf_writer;
pub mod imatrix;
pub mod keys;
pub mod mixture;
pub mod output;
pub mod passphrase;
pub mod perplexity;
pub mod policy;
pub mod recipe;
pub mod replay;
pub mod store;
pub mod system;
pub mod units;
pub mod vocabulary;
