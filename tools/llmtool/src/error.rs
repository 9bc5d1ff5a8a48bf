//! What can go wrong, in words that say what to do.

mod armour;
mod data;
mod imatrix;
mod keys;

use std::fmt;
use std::io;
use std::path::PathBuf;

use llm_core::chat::ScaffoldError;
use llm_core::gguf::GgufError;
use llm_core::quantize::QuantizeError;
use llm_core::tokenizer::{TokenizeError, VocabularyError};
use llm_core::transformer::training::TrainError;
use llm_core::transformer::{AdapterError, LoadError, MAX_ADAPTERS};
use protocol::store::LOG_FILE;
use storage::StorageError;

use crate::chat::TemplateError;
use crate::destination::Destination;
use crate::passphrase::PassphraseError;
use crate::units::ByteSize;
use crate::units::count;

pub use armour::ArmourError;
pub use data::DataError;
pub use imatrix::ImatrixError;
pub use keys::KeyError;

/// Why a command failed. Boxes keep it small: it travels in every `Result`.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// A file cannot be read.
    #[error("cannot read {}: {}", path.display(), Unread(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {}", path.display(), Written(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The output file is also an input file.
    #[error(
        "{} is also an input, and would be overwritten. Give another file with -o",
        path.display()
    )]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// A file is where a system should be written.
    #[error(
        "{} is in the folder that the system is written to: move it elsewhere, or give another folder with -o",
        path.display()
    )]
    InOutput {
        /// The file.
        path: PathBuf,
    },
    /// A file is not an importance matrix.
    #[error("{}: {source}", path.display())]
    Imatrix {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImatrixError,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {}", Written(.0))]
    Output(#[from] io::Error),
    /// A file is not a model that can be read.
    #[error("{}: {source}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<GgufError>,
    },
    /// A file is not an adapter that can be used, or not with this model.
    #[error("{}: {source}", path.display())]
    Adapter {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<AdapterError>,
    },
    /// There are more adapters than the engine can hold.
    #[error("{adapters} adapters: the engine has at most {MAX_ADAPTERS} at once")]
    TooManyAdapters {
        /// How many.
        adapters: usize,
    },
    /// The strength of an adapter is not a number.
    #[error("--lora-scaled FILE SCALE: {0:?} is not a number; give one such as 0.5")]
    LoraScale(std::ffi::OsString),
    /// An option does not apply to this kind of file.
    #[error("{}: {option} is for {wanted}", path.display())]
    OptionFor {
        /// The file.
        path: PathBuf,
        /// The option.
        option: &'static str,
        /// What it can be used with.
        wanted: &'static str,
    },
    /// A file's vocabulary cannot be used.
    #[error("{}: {source}", path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<VocabularyError>,
    },
    /// A file has no chat template.
    #[error("{} has no chat template ({}): nothing can be derived", path.display(), llm_core::chat::TEMPLATE_KEY)]
    NoTemplate {
        /// The file.
        path: PathBuf,
    },
    /// What a file's chat template does is not known.
    #[error(
        "the chat template of {} is not known: `llmtool chat-template -m {} -o OUT` derives it; or give --raw to continue the \
         prompt as a text", path.display(), path.display()
    )]
    UnknownTemplate {
        /// The file.
        path: PathBuf,
    },
    /// A system text was given for a model without a chat template.
    #[error("{} has no chat template, so there is no place for --system: put the text into the prompt", path.display())]
    NoSystemPlace {
        /// The file.
        path: PathBuf,
    },
    /// No scaffold can be derived from a file's chat template.
    #[error("{}: {source}", path.display())]
    ChatTemplate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<TemplateError>,
    },
    /// The scaffold in a file is invalid.
    #[error("{}: {source}", path.display())]
    Scaffold {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ScaffoldError>,
    },
    /// A text cannot be tokenized.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// A tensor's values cannot be stored in the requested type.
    #[error("the tensor {tensor}, row {row}: {source}")]
    Quantize {
        /// The tensor.
        tensor: String,
        /// The row.
        row: u64,
        /// What is wrong.
        source: QuantizeError,
    },
    /// The board has too little memory for a system with these models.
    #[error(
        "the system needs {needed} of memory, the board has {memory}: arena {arena}, model store {store}, which the image holds \
         a second time; take fewer or smaller models, a smaller context or fewer sessions, or give the board more (--memory, MEMORY= with make)"
    )]
    SystemMemory {
        /// Bytes needed, including the image.
        needed: ByteSize,
        /// Bytes available.
        memory: ByteSize,
        /// Size of the arena.
        arena: ByteSize,
        /// Size of the store.
        store: ByteSize,
    },
    /// A description or policy cannot be the template of a system.
    #[error("{} cannot be the template of a system: {reason}", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A system has no model.
    #[error("there is no model among the files: give one, too")]
    NoModel,
    /// A name that a file cannot have in the model store, or on a disk.
    #[error(
        "{name} is not a valid name for a file of {target}: it needs 1 to {} letters, digits, '.', '_' or '-' \
         (give one as NAME=FILE)",
        target.max_name_bytes()
    )]
    StoreName {
        /// The name.
        name: String,
        /// Where it should go.
        target: Destination,
    },
    /// Training data has the name that is reserved for examples typed at a console.
    #[error(
        "{} would be called 'examples' in the store, which is reserved for examples typed at a console (rename it as NAME=FILE)",
        path.display()
    )]
    StoreExamples {
        /// The file.
        path: PathBuf,
    },
    /// A console capture contains no usable adapter.
    #[error("{}: {source}", path.display())]
    Armour {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ArmourError>,
    },
    /// A file of training data cannot be used.
    #[error("{}: {source}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<DataError>,
    },
    /// Two files would have one name in the store.
    #[error("two files would be called {name} in the store (rename one as NAME=FILE)")]
    StoreDuplicate {
        /// The name.
        name: String,
    },
    /// The archive is larger than the store.
    #[error(
        "the archive needs {needed} bytes, but the store has {limit}: leave a file out, quantize \
         one further, or enlarge model_store in system.xml and give --store-size (nothing was written)"
    )]
    StoreTooSmall {
        /// Bytes of the archive.
        needed: u64,
        /// Bytes of the store.
        limit: u64,
    },
    /// The engine refuses the model.
    #[error("{}: {source}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<LoadError>,
    },
    /// The engine cannot train on the data.
    #[error("{}: {source}", path.display())]
    Train {
        /// The data.
        path: PathBuf,
        /// Why not.
        source: Box<TrainError>,
    },
    /// The system refuses to start threads.
    #[error("the system refuses to start {threads} threads: {source}. Give fewer with --threads")]
    Threads {
        /// How many were wanted.
        threads: usize,
        /// Why not.
        source: std::io::Error,
    },
    /// The engine refuses or ends a generation.
    #[error("{0}")]
    Generate(String),
    /// A token id that the model does not have.
    #[error("token {id} is not in the vocabulary of {tokens} tokens")]
    TokenId {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        tokens: usize,
    },
    /// Not even the smallest types fit.
    #[error(
        "the matrices need {needed} bytes in the smallest types, the arena leaves {budget}: enlarge it, or shorten --context"
    )]
    NothingFits {
        /// Bytes needed.
        needed: u64,
        /// Bytes that are left for them.
        budget: u64,
    },
    /// The chunks are too short to measure anything.
    #[error(
        "no token counts in {limit} chunks of {context}: give -c 3 or more, and --chunks 1 or more"
    )]
    NothingCounts {
        /// Tokens of a chunk.
        context: usize,
        /// Most chunks.
        limit: usize,
    },
    /// A text has too few tokens to measure.
    #[error(
        "the text has {}, at least {needed} are needed: give a longer one, or a smaller --context",
        count(*tokens, "token")
    )]
    TextTooShort {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens needed.
        needed: usize,
    },
    /// Two models have different vocabularies.
    #[error(
        "{} and {} have different vocabularies: only predictions of the same tokens can be compared, say \
         of a model and of the file that it was quantised from",
        model.display(), reference.display()
    )]
    OtherVocabulary {
        /// The model.
        model: PathBuf,
        /// The one to compare with.
        reference: PathBuf,
    },
    /// The format of an answer cannot be compiled.
    #[error("the format of the answer: {0}")]
    Format(#[from] format_compiler::CompileError),
    /// A file of formats is invalid.
    #[error("the file of formats: {0}")]
    FormatsFile(#[from] formats::FormatsError),
    /// A stop string cannot be used.
    #[error(transparent)]
    Stops(#[from] formats::stop::StopsError),
    /// A JSON schema cannot be a format.
    #[error("{}: {reason}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Formats cannot be combined.
    #[error("the formats of answers: {0}")]
    Formats(#[from] formats::encode::EncodeError),
    /// A policy is invalid, or does not match the description.
    #[error("{}:{line}: {reason}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A policy cannot be written without the description of its clients.
    #[error(
        "give --system system.xml: audit knows each client of the policy by the number of its channel, which is defined there"
    )]
    NoDescription,
    /// A key or a signature.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature of a model.
    #[error("{}: {source}", path.display())]
    Signature {
        /// The model.
        path: PathBuf,
        /// What is wrong.
        source: Box<KeyError>,
    },
    /// Some models are not signed as required; each was reported.
    #[error("{refused} of {} would be refused", count(*models, "model"))]
    NotVerified {
        /// How many.
        refused: usize,
        /// Of how many.
        models: usize,
    },
    /// An exported log has failed the check; the findings were printed.
    #[error("the log does not hold: {}", count(*findings, "finding"))]
    Log {
        /// How many.
        findings: usize,
    },
    /// Replayed requests gave other results, or none could be replayed.
    #[error("{} reproduced, {differ} differ, {skipped} not replayed", count(*reproduced, "request"))]
    Replay {
        /// Number of requests that gave the same.
        reproduced: usize,
        /// Number of requests that did not.
        differ: usize,
        /// Number of requests that could not be replayed.
        skipped: usize,
    },
    /// No source was given that could contain the log's models.
    #[error(
        "{}: this is a log alone, without models; give --models DIR, a folder or an image with them",
        log.display()
    )]
    NoSources {
        /// The log.
        log: PathBuf,
    },
    /// A line of examples to be answered is invalid.
    #[error("{}: line {line} is not an object with \"prompt\" and \"answer\": {source}", path.display())]
    Example {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A required file is missing.
    #[error("{0} is missing; see --help")]
    FileMissing(&'static str),
    /// There are more files than the command takes.
    #[error("unexpected argument {}: model and data are already given; see --help", .0.display())]
    FileTooMany(PathBuf),
    /// A file has no examples.
    #[error("{} holds no examples", .0.display())]
    NoExamples(PathBuf),
    /// A passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// There is no image at a path.
    #[error("{}: there is no such image; make one with 'llmtool disk create'", .0.display())]
    NoImage(PathBuf),
    /// A disk, or something on it.
    #[error("{}: {source}{}", image.display(), advice(source))]
    Disk {
        /// The image.
        image: PathBuf,
        /// What is wrong.
        source: StorageError,
    },
    /// A file of a disk.
    #[error("{}: {file}: {source}{}", image.display(), advice(source))]
    OnDisk {
        /// The image.
        image: PathBuf,
        /// The file.
        file: String,
        /// What is wrong.
        source: StorageError,
    },
    /// A disk has too little room.
    #[error(
        "{}: {file} needs {needed}, {free} are free (a file that it replaces goes only when the new one is there): \
         make a larger disk, or remove files",
        image.display()
    )]
    DiskFull {
        /// The image.
        image: PathBuf,
        /// The file.
        file: String,
        /// What it needs.
        needed: ByteSize,
        /// Bytes available.
        free: ByteSize,
    },
    /// A folder has no room for another name.
    #[error(
        "{}: there is room for {file}, but not for its name, because the top folder of FAT12 and FAT16 holds a fixed number of \
         names, and long ones count as several; put it into another folder, or remove files",
        image.display()
    )]
    FolderFull {
        /// The image.
        image: PathBuf,
        /// The file.
        file: String,
    },
    /// A disk on which a new file could take the clusters of others.
    #[error(
        "{}: nothing was written, because the file system is damaged and other files could be lost: {finding}; \
         'llmtool disk check' lists all damage, and fsck.fat repairs it",
        image.display()
    )]
    DiskUnsound {
        /// The image.
        image: PathBuf,
        /// The first finding.
        finding: String,
    },
    /// A disk that cannot be checked further.
    #[error("{}: {source}; make a new one with 'llmtool disk create'", image.display())]
    DiskUnreadable {
        /// The image.
        image: PathBuf,
        /// What is wrong.
        source: StorageError,
    },
    /// A file that is not a log in any form.
    #[error(
        "{}: not a disk with a file system, nor its file {LOG_FILE}, nor an export, which 'llmctl audit --json' makes",
        .0.display()
    )]
    NoLog(PathBuf),
    /// A path that is reserved.
    #[error(
        "{path} is reserved for the audit log and for files that are being written; choose another name"
    )]
    DiskReserved {
        /// The path.
        path: String,
    },
    /// Two files for one path on a disk.
    #[error(
        "two files have the path {path} on the disk, which ignores case; rename one with NAME=FILE"
    )]
    DiskDuplicate {
        /// The path.
        path: String,
    },
    /// A file that should contain a log does not.
    #[error("{}: {source}", path.display())]
    DiskLog {
        /// The image, or the log's file.
        path: PathBuf,
        /// What is wrong.
        source: disk_log::OpenError,
    },
    /// The audit log's file cannot have this size.
    #[error(
        "an audit log cannot have {size}: it needs {min} to {max}, in whole sectors of 512 bytes, and must fit on the disk"
    )]
    LogSize {
        /// The size.
        size: ByteSize,
        /// The smallest.
        min: ByteSize,
        /// The largest.
        max: ByteSize,
    },
    /// Several files were given for one path.
    #[error("--as names one file, but {files} are given")]
    OneFile {
        /// How many.
        files: usize,
    },
    /// A disk has errors; each was reported.
    #[error("{}: {}", image.display(), count(*findings as usize, "finding"))]
    DiskFindings {
        /// The image.
        image: PathBuf,
        /// How many.
        findings: u64,
    },
    /// There are no tokens, or more than fit in the model's context.
    #[error("{} given, but the model takes 1 to {limit}", count(*tokens, "token"))]
    TokenCount {
        /// How many were given.
        tokens: usize,
        /// Longest sequence.
        limit: usize,
    },
}

/// Why the system did not let a file be read, and what to do.
struct Unread<'a>(&'a io::Error);

impl fmt::Display for Unread<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind() {
            io::ErrorKind::NotFound => "there is no such file; check its name and folder",
            io::ErrorKind::PermissionDenied => {
                "permission denied; change the file's permissions, or copy it"
            }
            io::ErrorKind::IsADirectory => "it is a folder; name a file in it",
            io::ErrorKind::NotADirectory => {
                "a part of its path is a file and no folder; look at its path"
            }
            _ => return without_number(self.0, f),
        })
    }
}

/// Why the system did not let a file be written, and what to do.
struct Written<'a>(&'a io::Error);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind() {
            io::ErrorKind::NotFound => "there is no such folder; make it first, or name another",
            io::ErrorKind::PermissionDenied => "permission denied; name another place",
            io::ErrorKind::IsADirectory => "it is a folder; name a file in it",
            io::ErrorKind::WouldBlock => {
                "another program (a running system, or llmtool) is using it; end that first"
            }
            io::ErrorKind::NotADirectory => {
                "a part of its path is a file and no folder; look at its path"
            }
            io::ErrorKind::AlreadyExists => "it exists already; remove it, or name another",
            io::ErrorKind::StorageFull => "the disk is full; make room, or name another place",
            io::ErrorKind::ReadOnlyFilesystem => "nothing can be written there; name another place",
            _ => return without_number(self.0, f),
        })
    }
}

/// What to do about a disk in this state.
const fn advice(source: &StorageError) -> &'static str {
    match source {
        StorageError::Damaged { .. } => "; 'llmtool disk check' says what is wrong",
        _ => "",
    }
}

/// The system's error message, without its number.
fn without_number(error: &io::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = error.to_string();
    let words = text
        .split_once(" (os error ")
        .map_or(&*text, |(words, _)| words);
    f.write_str(words)
}

impl ToolError {
    /// Whether the reader of standard output has gone away, which is not a failure: `llmtool … | head`.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// For [`Result::map_err`] on a file's structure.
    pub fn gguf(path: &std::path::Path) -> impl Fn(GgufError) -> Self + '_ {
        |source| Self::Gguf {
            path: path.to_path_buf(),
            source: Box::new(source),
        }
    }

    /// For [`Result::map_err`] on the scaffold in a file.
    pub fn scaffold(path: &std::path::Path) -> impl Fn(ScaffoldError) -> Self + '_ {
        |source| Self::Scaffold {
            path: path.to_path_buf(),
            source: Box::new(source),
        }
    }

    /// For [`Result::map_err`] on a file's vocabulary.
    pub fn vocabulary(path: &std::path::Path) -> impl Fn(VocabularyError) -> Self + '_ {
        |source| Self::Vocabulary {
            path: path.to_path_buf(),
            source: Box::new(source),
        }
    }
}
