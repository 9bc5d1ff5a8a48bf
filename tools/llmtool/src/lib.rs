//! Host tool of sel4-llm: looks into, runs and prepares models with the engine that runs on seL4.
//!
//! - [`args`]: the command line; [`commands`]: what the commands do;
//! - [`convert`]: a model with its weights in another type; [`gguf_writer`]: writes GGUF files;
//! - [`mixture`], [`recipe`]: which type each matrix gets; [`imatrix`]: which of its columns matter;
//! - [`adapter`]: adapters that are applied to a model; [`perplexity`]: how well a model foresees a text;
//! - [`armour`]: adapters out of what a console has printed;
//! - [`store`]: the archive that the model store holds;
//! - [`disk`]: images of disks;
//! - [`policy`], [`passphrase`], [`keys`]: what audit is told to trust;
//! - [`audit_log`], [`replay`]: what audit has written down;
//! - [`chat`]: chat templates and the scaffolds that do the same;
//! - [`mod@bench`]: how fast a model runs here;
//! - [`engine`], [`vocabulary`]: the engine with memory of the host.

pub mod adapter;
pub mod answer;
pub mod args;
pub mod armour;
pub mod audit_log;
pub mod bench;
pub mod chat;
pub mod commands;
pub mod convert;
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
