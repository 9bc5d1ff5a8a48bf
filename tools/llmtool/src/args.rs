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
  What a person wants to know at a glance:
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
  One token a line, with what it stands for:
    llmtool tokenize -m models/default.gguf -p \"Once upon a time\"
  The ids alone, of a file:
    llmtool tokenize -m models/default.gguf --ids -f story.txt")]
    Tokenize(Tokenize),
    /// Answer a prompt or continue it, as `llminfer` does in the shell
    #[command(after_long_help = "\
If the model has a chat template, the prompt is what a user says; --raw continues it as a text.

The defaults and the reading of fractions are the shell's: fractions are kept as whole millionths, so
the same text gives the same bits here and on seL4.

Examples:
  The likeliest continuation, always the same:
    llmtool generate -m models/default.gguf -p \"Once upon a time\" --temp 0
  Another story for every seed:
    llmtool generate -m models/default.gguf -p \"Once upon a time\" -n 200 -s 7")]
    Generate(Generate),
    /// Train an adapter (LoRA) for a model, as `llmfinetune` does in the shell
    #[command(after_long_help = "\
DATA has a text whose examples are divided by blank lines, or an object of JSON in each line: {\"prompt\": \"…\",
\"answer\": \"…\"}, of which the answer is learnt, or {\"text\": \"…\"}. The same model, data and options give the same
adapter to the last bit, here and on the device.

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
Published templates are known. Of another, -o derives the scaffold, the fixed text around what is said: the template, a
program in Jinja, is run on conversations with markers, and the scaffold is compared with it on hundreds of random
ones. It is written into a copy of the model, which then needs a signature of its own. What no scaffold can do
is refused, with a conversation that shows it.

Examples:
  llmtool chat-template -m model.gguf
  llmtool chat-template -m model.gguf -o model-chat.gguf
  A template that writes today's date shall always write this one:
    llmtool chat-template -m model.gguf -o model-chat.gguf --date 2026-01-31")]
    ChatTemplate(ChatTemplate),
    /// `chat-template -o` starts this to run a template with limited memory and time
    #[command(hide = true, name = crate::chat::apart::COMMAND)]
    DeriveScaffold(DeriveScaffold),
    /// Print the logits that follow a prompt, as JSON
    #[command(after_long_help = "\
The output is one object: \"tokens\" (the ids that were fed), \"positions\" and, for each of these,
a row of \"logits\" with one number per token of the vocabulary. Numbers are written so that they read
back to the same bits.

Examples:
  After the last token of a text:
    llmtool logits -m models/tiny-f32.gguf --kv f32 -p \"Once upon a time\"
  After every one of some token ids:
    llmtool logits -m models/tiny-f32.gguf --tokens 1,1165,336 --all")]
    Logits(Logits),
    /// Measure how well a model predicts a text
    #[command(after_long_help = "\
Perplexity is defined as by llama-perplexity of llama.cpp: chunks of the context, of which the second
halves count. With --bits-per-byte every token of the text counts, in windows of the context that
overlap by half; that figure can be compared between models with different vocabularies.

--against reads the text with a second model of the same vocabulary, say the same weights in F32, and prints the
mean Kullback-Leibler divergence of the first model's predictions from those.

Examples:
  llmtool perplexity -m models/default.gguf -f valid.txt
  llmtool perplexity -m models/default.gguf -f valid.txt --bits-per-byte
  What does quantising cost?
    llmtool perplexity -m default-q4_k.gguf -f valid.txt --against default-f32.gguf")]
    Perplexity(Perplexity),
    /// Measure which columns of a model's matrices matter, for `quantize --imatrix`
    #[command(after_long_help = "\
Reads a text in chunks of the context and adds up the squares of what each matrix is multiplied with. The file is
llama.cpp's: llama-quantize takes it, and `llmtool quantize` takes llama-imatrix's.

Examples:
  llmtool imatrix -m model-f16.gguf -f calibration.txt -o model.imatrix.gguf
  llmtool quantize -m model-f16.gguf -o model-q4_k_m.gguf --type Q4_K_M --imatrix model.imatrix.gguf")]
    Imatrix(Imatrix),
    /// Measure how fast a model runs on this machine, on one thread
    #[command(after_long_help = "\
Medians of several runs: loading with all checks and the file's SHA-256, reading a prompt of -p tokens,
generating -n, and a token at the beginning and at the end of the context.

Examples:
  llmtool bench -m models/default.gguf
  llmtool bench -m models/default.gguf -p 512 -n 128 -r 3
  llmtool bench -m models/default.gguf --cpu scalar --json")]
    Bench(Bench),
    /// Print what a token costs at each position
    #[command(after_long_help = "\
Work is a function of the model and the position alone, so the last line is the worst case.

Example:
  llmtool wcet -m models/default.gguf -c 1024")]
    Wcet(Wcet),
    /// Store a model's weights in another type
    #[command(after_long_help = "\
TYPE is one of llama-quantize's: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0,
IQ4_NL, IQ4_XS, Q3_K_L, Q3_K_M, Q3_K_S, Q2_K, TQ2_0, TQ1_0; Q3_K, Q4_K and Q5_K are the M ones. As there, a file of
a type has some matrices in others, which the summary lists; --pure has none of that. Types with blocks of 256 values
need rows of whole blocks; other matrices fall back as in llama.cpp (Q4_K to Q5_0, Q5_K to Q5_1, Q6_K to Q8_0, Q2_K and Q3_K
to Q4_0), and the summary says how many. Vectors, norms and positions become F32. The metadata is copied. To F32 and
back to where they came from, values are exact.

--fit measures what each type costs each kind of matrix in error, begins with the smallest, and steps up
where it helps most, as long as the whole model (weights, keys and values of the context, activations,
vocabulary) runs in the arena.

Examples:
  The usual choice; both lines do the same:
    llmtool quantize -m model-f16.gguf -o model-q4_k_m.gguf --type Q4_K_M
    llmtool quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M
  With an importance matrix:
    llmtool quantize -m model-f16.gguf -o model-q3_k_m.gguf --type Q3_K_M --imatrix model.imatrix.gguf
  The same weights for a program that reads only F32:
    llmtool quantize -m model-q8_0.gguf -o model-f32.gguf --type F32
  The best that runs in 6 MiB:
    llmtool quantize -m model-f32.gguf -o model-fit.gguf --fit 6MiB
  By hand:
    llmtool quantize -m model-f32.gguf -o model-mix.gguf --recipe attn_v=q6_k,ffn_down=q6_k,*=q4_k")]
    Quantize(Quantize),
    /// Pack model files into the archive that the model store holds
    #[command(after_long_help = "\
The archive is a plain tar archive: `tar tf` lists it. The same files give the same bytes. The part
of a file's name before .gguf is the model's name in the shell; the first is loaded at boot. The signature beside each
file (`llmtool sign`) is packed with it.

Examples:
  llmtool pack default=models/default.gguf models/tiny-f32.gguf -o store.tar
  Only what a policy trusts, with the name of the key:
    llmtool pack -m default=models/default.gguf -o store.tar --policy policy.toml
  tar tf store.tar")]
    Pack(Pack),
    /// Make the description, policy and store of a system for models of your own
    #[command(after_long_help = "\
Says what the models need, in bytes, and refuses what cannot run before anything is built. The description and the
policy are the repository's with what a larger model needs: sizes and addresses of the regions `arena` and
`model_store`, context, time limits, and the key of this machine, which is made once and signs the models. The
models' own files are left alone. `make run MODEL=FILE` does this and boots the system.

Examples:
  llmtool system SmolLM2-135M-Instruct.Q4_1.gguf -o build/mine
  Two models, the first of which is loaded at boot, with room for four conversations of 1024 tokens:
    llmtool system chat=SmolLM2.gguf tales=models/default.gguf --context 1024 --sessions 4 -o build/mine")]
    System(system::System),
    /// Check a policy and compile it for the audit domain
    #[command(after_long_help = "\
Without -o the policy is printed in words: which clients there are, who may do what, with which budget, and how many
bits a hostile inference could leak in an hour. What is wrong is said with its line. With --system it is checked, too,
that policy and description have the same clients.

Examples:
  llmtool policy policy.toml
  llmtool policy policy.toml --system system.xml -o policy.bin --formats formats.bin")]
    Policy(trust::Policy),
    /// Hash a passphrase for a policy
    #[command(after_long_help = "\
Asks twice on a terminal; otherwise reads one line from standard input. Prints the line for a user in the
policy, with a PHC string of Argon2id. Every run takes another salt.

Examples:
  llmtool passphrase
  pass show sel4-llm | llmtool passphrase --memory-kib 256")]
    Passphrase(trust::Passphrase),
    /// Make a pair of keys for signing models
    #[command(after_long_help = "\
Writes NAME.key.pem, the secret key, which its owner alone can read, and NAME.pub.pem, the public one. Files
that are there are not overwritten. OpenSSL reads both.

Examples:
  llmtool keygen ~/keys/models-2026
  The public key belongs in the policy, as the hexadecimal number that is printed, or as the file:
    [keys.models-2026]
    file = \"models-2026.pub.pem\"")]
    Keygen(trust::Keygen),
    /// Sign models
    #[command(after_long_help = "\
Writes MODEL.sig: 64 bytes, Ed25519 over the SHA-256 of the file. A signature that is there is replaced.

Examples:
  llmtool sign --key ~/keys/models-2026.key.pem models/default.gguf models/tiny-f32.gguf
  With OpenSSL, the same:
    openssl dgst -sha256 -binary MODEL >digest
    openssl pkeyutl -sign -rawin -inkey models-2026.key.pem -in digest -out MODEL.sig")]
    Sign(trust::Sign),
    /// Verify the signatures of models, as the audit domain does before it loads one
    #[command(after_long_help = "\
Examples:
  By the keys that a policy trusts:
    llmtool verify --policy policy.toml models/*.gguf
  By one key:
    llmtool verify --key models-2026.pub.pem models/default.gguf")]
    Verify(trust::Verify),
    /// Check or print an export of the audit log
    #[command(
        subcommand,
        after_long_help = "\
An export is what `llmctl audit --json` prints; the capture of a serial console will do, with what is printed around
it. Every entry holds the hash of the one before it, so that what was changed, left out, moved or put in is named. The
exit status is 0 only if all of it holds.

A whole log that somebody has made anew holds, too. Against that, note the head that `llmctl audit verify` prints on
the console, and give it with --head; or have the device sign it: `llmctl audit attest NONCE` prints a line that --device
checks, in the same capture or in one of its own (--attestation).

Whatever is checked, a log is not shown to be the newest that its device ever had. Nothing in the device counts what
cannot be put back, so an older disk that was put back in its place looks as it did then. Compare with what you have
noted: the number of the newest entry and of the boot never fall.

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
On the console, `llmctl adapter export NAME` prints the adapter as lines of text; the capture of a serial console will do,
with what is printed around it. The file is compared with its SHA-256, and with --key its signature is checked. What is
written is a GGUF file that llama.cpp loads with --lora, and its signature beside it.

Examples:
  llmtool adapter import console.log --key device.pub.pem -o feelings.gguf
  llmtool adapter import console.log --name moral -o moral.gguf"
    )]
    Adapter(trust::Adapter),
    /// Make and check disks, and copy files to and from them
    #[command(
        subcommand,
        after_long_help = "\
A disk has one FAT file system, so that any computer reads and writes it; nobody needs to be root for an image. Models,
adapters and training data lie where the store's archive has them (NAME.gguf, adapters/NAME.gguf, data/NAME.jsonl), with
their signatures beside them. The file AUDIT.LOG has a fixed size and lies in one piece, because the audit log is written
in place.

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
The export is verified first. Then every request that ended is run again with its model, prompt, sampler and seed,
after the earlier turns of its session, for as many tokens as it gave, and the hash of its output is compared with the
one in the log. Where the log holds only hashes of prompts, their texts come from --prompts. The exit status is 0 only
if all that could be replayed was reproduced, and something could.

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
