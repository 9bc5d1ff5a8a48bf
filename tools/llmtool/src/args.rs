//! The command line: the texts of `--help`, and the parsing of values.
//!
//! The same rules hold for every command: the model is `-m FILE`, or just FILE; a text is `-p TEXT` or `-f FILE`;
//! output goes to `-o FILE`. Options have llama.cpp's names where they mean the same.

pub mod common;
pub mod disk;
pub mod finetune;
pub mod make;
pub mod run;
pub mod system;
pub mod trust;
pub mod values;

use clap::{Parser, Subcommand};

pub use make::{ChatTemplate, DeriveScaffold, Inspect, Pack, Quantize};
pub use run::{Bench, Generate, Imatrix, Logits, Perplexity, Tokenize, Wcet};

/// Inspects, runs and prepares models for sel4-llm, with the engine that runs on seL4.
///
/// The engine computes the same bits on both: for the same model, prompt and seed, `llmtool generate` prints what the
/// shell prints on seL4.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    arg_required_else_help = true,
    // Wider lines are hard to read on any terminal.
    max_term_width = 100,
    after_help = "Examples:
  llmtool inspect -m models/default.gguf
  llmtool generate -m models/default.gguf -p \"Once upon a time\"
  llmtool quantize -m big-f16.gguf -o small.gguf --type Q4_K_M
  llmtool pack -m default=models/default.gguf -o store.tar

The model is -m FILE in every command, or FILE alone.

`llmtool COMMAND --help` explains a command with examples."
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is in a model file and what it needs to run
    #[command(after_long_help = "\
Examples:
  An overview:
    llmtool inspect -m models/default.gguf
  Does it fit an arena of 6 MiB with a context of 1024 tokens?
    llmtool inspect -m models/default.gguf --arena 6MiB -c 1024
  All tensors and metadata:
    llmtool inspect -m models/default.gguf --tensors --metadata

It ends with the two regions that system.xml needs for the model. The exit status is 1 if the model cannot run.")]
    Inspect(Inspect),
    /// Split a text into tokens
    #[command(after_long_help = "\
Examples:
  One token per line, with its text:
    llmtool tokenize -m models/default.gguf -p \"Once upon a time\"
  Only the ids, for a file:
    llmtool tokenize -m models/default.gguf --ids -f story.txt")]
    Tokenize(Tokenize),
    /// Answer a prompt or continue it, as `llminfer` does in the shell
    #[command(after_long_help = "\
If the model has a chat template, the prompt is a user's message; --raw continues it as a text.

Defaults and parsing are the same as in the shell: fractions are kept as whole millionths, so the same \
text gives the same bits here and on seL4.

Examples:
  The likeliest continuation, always the same:
    llmtool generate -m models/default.gguf -p \"Once upon a time\" --temp 0
  Another story for every seed:
    llmtool generate -m models/default.gguf -p \"Once upon a time\" -n 200 -s 7")]
    Generate(Generate),
    /// Train an adapter (LoRA) for a model, as `llmfinetune` does in the shell
    #[command(after_long_help = "\
DATA contains texts separated by blank lines, or one JSON object per line: {\"prompt\": \"…\", \"answer\": \"…\"}, of which \
only the answer is learnt, or {\"text\": \"…\"}. The same model, data and options give the same adapter to the last bit, \
here and on the device.

Examples:
  llmtool finetune -m models/default.gguf -f morals.jsonl -o morals.gguf
  In the memory of the device:
    llmtool finetune -m models/default.gguf -f morals.jsonl -o morals.gguf --arena 8MiB
  Then:
    llmtool generate -m models/default.gguf --lora morals.gguf -p \"Once upon a time\"")]
    Finetune(finetune::Finetune),
    /// Count the examples that a model answers exactly: what an adapter has taught it
    #[command(after_help = "\
Examples:
  llmtool score models/default.gguf feelings-test.jsonl
  llmtool score models/default.gguf feelings-test.jsonl --lora feelings.gguf --verbose")]
    Score(finetune::Score),
    /// Show what is known about a model's chat template, or derive a scaffold from it
    #[command(after_long_help = "\
Published templates are known. For others, -o derives the scaffold, which is the fixed text around messages: the \
template, a Jinja program, is run on conversations with markers, and the scaffold is compared with it on hundreds of \
random ones. The scaffold is written to a copy of the model, which then needs its own signature. A template that no \
scaffold can express is refused, with a conversation that shows why.

Examples:
  llmtool chat-template -m model.gguf
  llmtool chat-template -m model.gguf -o model-chat.gguf
  Make a template that writes today's date always write this one:
    llmtool chat-template -m model.gguf -o model-chat.gguf --date 2026-01-31")]
    ChatTemplate(ChatTemplate),
    /// `chat-template -o` starts this to run a template with limited memory and time
    #[command(hide = true, name = crate::chat::apart::COMMAND)]
    DeriveScaffold(DeriveScaffold),
    /// Print the logits that follow a prompt, as JSON
    #[command(after_long_help = "\
The output is one object: \"tokens\" (the ids that were fed), \"positions\" and, for each position, a row of \"logits\" with \
one number per token of the vocabulary. Reading the numbers back gives the same bits.

Examples:
  After the last token of a text:
    llmtool logits -m models/tiny-f32.gguf --kv f32 -p \"Once upon a time\"
  After every one of some token ids:
    llmtool logits -m models/tiny-f32.gguf --tokens 1,1165,336 --all")]
    Logits(Logits),
    /// Measure how well a model predicts a text
    #[command(after_long_help = "\
Perplexity is defined as in llama.cpp's llama-perplexity: the text is cut into chunks of the context's length, and the \
second half of each counts. With --bits-per-byte every token of the text counts, in windows of the context's length \
that overlap by half; that figure can be compared between models with different vocabularies.

--against also reads the text with a second model that has the same vocabulary, for example the same weights in F32, \
and prints the mean Kullback-Leibler divergence of the first model's predictions from the second's.

Examples:
  llmtool perplexity -m models/default.gguf -f valid.txt
  llmtool perplexity -m models/default.gguf -f valid.txt --bits-per-byte
  What does quantising cost?
    llmtool perplexity -m default-q4_k.gguf -f valid.txt --against default-f32.gguf")]
    Perplexity(Perplexity),
    /// Measure which columns of a model's matrices matter, for `quantize --imatrix`
    #[command(after_long_help = "\
Reads a text in chunks of the context's length and adds up the squares of the inputs of each matrix. The file has \
llama.cpp's format: llama-quantize accepts it, and `llmtool quantize` accepts llama-imatrix's.

Examples:
  llmtool imatrix -m model-f16.gguf -f calibration.txt -o model.imatrix.gguf
  llmtool quantize -m model-f16.gguf -o model-q4_k_m.gguf --type Q4_K_M --imatrix model.imatrix.gguf")]
    Imatrix(Imatrix),
    /// Measure how fast a model runs on this machine, on one thread
    #[command(after_long_help = "\
Prints medians of several runs: loading with all checks and the file's SHA-256, reading a prompt of -p tokens, \
generating -n tokens, and a token at the beginning and at the end of the context.

Examples:
  llmtool bench -m models/default.gguf
  llmtool bench -m models/default.gguf -p 512 -n 128 -r 3
  llmtool bench -m models/default.gguf --cpu scalar --json")]
    Bench(Bench),
    /// Print what a token costs at each position
    #[command(after_long_help = "\
The work depends only on the model and the position, so the last line is the worst case.

Example:
  llmtool wcet -m models/default.gguf -c 1024")]
    Wcet(Wcet),
    /// Store a model's weights in another type
    #[command(after_long_help = "\
TYPE is one of llama-quantize's: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0, \
IQ4_NL, IQ4_XS, Q3_K_L, Q3_K_M, Q3_K_S, Q2_K, TQ2_0, TQ1_0; Q3_K, Q4_K and Q5_K mean the M variants. As in \
llama-quantize, some matrices of the file get other types, which the summary lists; --pure prevents that. Types with \
blocks of 256 values need rows of whole blocks; other matrices fall back as in llama.cpp (Q4_K to Q5_0, Q5_K to Q5_1, \
Q6_K to Q8_0, Q2_K and Q3_K to Q4_0), and the summary says how many. Vectors, norms and positions become F32. The \
metadata is copied. Converting to F32 and back to the original type keeps values exact.

--fit measures the error of each type for each kind of matrix, begins with the smallest type, and steps up where it \
helps most, as long as the whole model (weights, keys and values of the context, activations, vocabulary) fits in the \
arena.

Examples:
  The usual choice; both lines do the same:
    llmtool quantize -m model-f16.gguf -o model-q4_k_m.gguf --type Q4_K_M
    llmtool quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M
  With an importance matrix:
    llmtool quantize -m model-f16.gguf -o model-q3_k_m.gguf --type Q3_K_M --imatrix model.imatrix.gguf
  The same weights for a program that reads only F32:
    llmtool quantize -m model-q8_0.gguf -o model-f32.gguf --type F32
  The best types that fit in 6 MiB:
    llmtool quantize -m model-f32.gguf -o model-fit.gguf --fit 6MiB
  By hand:
    llmtool quantize -m model-f32.gguf -o model-mix.gguf --recipe attn_v=q6_k,ffn_down=q6_k,*=q4_k")]
    Quantize(Quantize),
    /// Pack model files into the archive that the model store holds
    #[command(after_long_help = "\
The archive is a plain tar archive: `tar tf` lists it. The same files give the same bytes. The part of a file's name \
before .gguf is the model's name in the shell; the first model is loaded at boot. The signature beside each file \
(`llmtool sign`) is packed with it.

Examples:
  llmtool pack default=models/default.gguf models/tiny-f32.gguf -o store.tar
  Only files that a policy trusts; prints the name of the key:
    llmtool pack -m default=models/default.gguf -o store.tar --policy policy.toml
  tar tf store.tar")]
    Pack(Pack),
    /// Make the description, policy and store of a system for models of your own
    #[command(after_long_help = "\
Prints how many bytes the models need, and refuses models that cannot run before anything is built. The description and \
the policy are the repository's, changed for the models: sizes and addresses of the regions `arena` and `model_store`, \
context, time limits, and this machine's key, which is generated once and signs the models. The models' own files are \
not changed. `make run MODEL=FILE` does this and boots the system.

Examples:
  llmtool system SmolLM2-135M-Instruct.Q4_1.gguf -o build/mine
  Two models, the first of which is loaded at boot, with room for four conversations of 1024 tokens:
    llmtool system chat=SmolLM2.gguf tales=models/default.gguf --context 1024 --sessions 4 -o build/mine")]
    System(system::System),
    /// Check a policy and compile it for the audit domain
    #[command(after_long_help = "\
Without -o the policy is printed in words: the clients, who may do what with which budget, and how many bits a hostile \
inference server could leak per hour. Errors are reported with their line. With --system, the policy's clients are \
also compared with the description's.

Examples:
  llmtool policy policy.toml
  llmtool policy policy.toml --system system.xml -o policy.bin --formats formats.bin")]
    Policy(trust::Policy),
    /// Hash a passphrase for a policy
    #[command(after_long_help = "\
Asks twice on a terminal; otherwise reads one line from standard input. Prints the line for a user in the \
policy, with an Argon2id PHC string. Every run uses a new salt.

Examples:
  llmtool passphrase
  pass show sel4-llm | llmtool passphrase --memory-kib 256")]
    Passphrase(trust::Passphrase),
    /// Make a pair of keys for signing models
    #[command(after_long_help = "\
Writes NAME.key.pem, the secret key, which only its owner can read, and NAME.pub.pem, the public one. Existing files \
are not overwritten. OpenSSL reads both.

Examples:
  llmtool keygen ~/keys/models-2026
  Put the public key into the policy, as the hexadecimal number that is printed, or as the file:
    [keys.models-2026]
    file = \"models-2026.pub.pem\"")]
    Keygen(trust::Keygen),
    /// Sign models
    #[command(after_long_help = "\
Writes MODEL.sig: 64 bytes, Ed25519 over the SHA-256 of the file. An existing signature is replaced.

Examples:
  llmtool sign --key ~/keys/models-2026.key.pem my-models/tales.gguf my-models/small.gguf
  The same with OpenSSL:
    openssl dgst -sha256 -binary MODEL >digest
    openssl pkeyutl -sign -rawin -inkey models-2026.key.pem -in digest -out MODEL.sig")]
    Sign(trust::Sign),
    /// Verify the signatures of models, as the audit domain does before it loads one
    #[command(after_long_help = "\
Examples:
  With the keys that a policy trusts:
    llmtool verify --policy policy.toml models/*.gguf
  With one key:
    llmtool verify --key models-2026.pub.pem models/default.gguf")]
    Verify(trust::Verify),
    /// Check or print an export of the audit log
    #[command(
        subcommand,
        after_long_help = "\
An export is the output of `llmctl audit --json`; the capture of a serial console works, too, with everything around \
it. Every entry contains the hash of the one before it, so changed, missing, moved and inserted entries are found and \
named. The exit status is 0 only if the whole log passes.

A log that somebody has forged as a whole passes, too. To detect that, note the head that `llmctl audit verify` prints \
on the console, and give it with --head; or have the device sign it: `llmctl audit attest NONCE` prints a line that \
--device checks, in the same capture or in a separate one (--attestation).

No check can show that a log is the newest that its device ever had. The device has no counter that cannot be reset, so \
an older disk that was put back looks just as it did then. Compare it with your notes: the numbers of the newest entry \
and of the boot never decrease.

Examples:
  llmtool audit verify console.log
  llmtool audit verify console.log --device device.pub.pem --nonce 2026-12-01
  llmtool audit verify disk.img --device device.pub.pem --attestation console.log
  llmtool audit verify console.log --head 8c1f…
  llmtool audit show console.log"
    )]
    Audit(trust::Audit),
    /// Extract an adapter made on a device from the output of its console
    #[command(
        subcommand,
        after_long_help = "\
On the console, `llmctl adapter export NAME` prints the adapter as lines of text. The capture of a serial console can \
contain other output. The file is compared with its SHA-256, and with --key its signature is checked. The result is a \
GGUF file that llama.cpp loads with --lora, with its signature beside it.

Examples:
  llmtool adapter import console.log --key device.pub.pem -o feelings.gguf
  llmtool adapter import console.log --name moral -o moral.gguf"
    )]
    Adapter(trust::Adapter),
    /// Make and check disks, and copy files to and from them
    #[command(
        subcommand,
        after_long_help = "\
A disk has one FAT file system, so any computer can read and write it, and images need no root privileges. Models, \
adapters and training data have the same paths as in the store's archive (NAME.gguf, adapters/NAME.gguf, \
data/NAME.jsonl), with their signatures beside them. The file AUDIT.LOG has a fixed size and is contiguous, because \
the audit log is written in place.

Examples:
  llmtool disk create disk.img --size 64MiB
  llmtool disk add disk.img models/default.gguf tales=models/tiny-f32.gguf
  llmtool disk add disk.img notes.bin --as notes/first.bin --unsigned
  llmtool disk list disk.img --policy policy.toml
  llmtool disk check disk.img"
    )]
    Disk(disk::Disk),
    /// Run the requests of an exported audit log again, and compare the results
    #[command(after_long_help = "\
The export is verified first. Then every request that ended is run again with its model, prompt, sampler and seed, \
after the earlier turns of its session, for as many tokens as it generated, and the hash of its output is compared with \
the one in the log. If the log has only hashes of prompts, their texts come from --prompts. The exit status is 0 only \
if at least one request was replayed, and every replayed request was reproduced.

Examples:
  llmtool replay console.log --models models
  llmtool replay console.log --models models --prompts prompts.txt
  llmtool replay console.log --models models --texts said.json")]
    Replay(trust::Replay),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_that_reads_a_model_takes_it_by_the_same_option() {
        for command in Cli::command().get_subcommands() {
            let has = |id: &str| {
                command
                    .get_arguments()
                    .any(|argument| argument.get_short() == id.chars().next())
            };
            let reads = !matches!(
                command.get_name(),
                "policy" | "passphrase" | "keygen" | "audit" | "replay" | "adapter" | "disk"
            );
            assert_eq!(has("m"), reads, "{}", command.get_name());
        }
    }
}
