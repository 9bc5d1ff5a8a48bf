//! Options of llama.cpp's programs that have no counterpart here, and what to use instead. Those that have one are
//! aliases in the [table](super::options).

use super::{CHAT, OptionSpec};

const MODEL: &str = "the model is the one that is loaded ('llmctl status'); 'llmctl models' lists those in the store, \
    'llmctl load NAME' loads one";
const STORE: &str = "nothing is fetched from a network; 'make run MODEL=FILE.gguf' builds a system with your own model";
const CONTEXT: &str = "the context is fixed when the system is built ('make run MODEL=FILE.gguf CONTEXT=N'), not by a client; \
    'llmctl status' says how long it is";
const PROCESSORS: &str = "the system, not a client, chooses the processors";
const BATCH: &str =
    "clients cannot choose how many tokens are processed at once, and it does not affect the text";
const MEMORY: &str =
    "where weights and cache are kept, and in which types, is fixed when the system is built";
const FORMAT: &str = "restrict the answer with --format NAME, a format of the policy ('llmctl formats'), or with --choices \"A,B\"";
const CONVERSATION: &str = "'llmchat' starts a conversation";
const ONE_TURN: &str =
    "llminfer ends after one answer; with --session NAME, the next one can continue from it";
const FILE: &str = "there are no files; type or paste the text in quotes: --prompt \"TEXT\"";
const ESCAPES: &str = "\\n is an escape in \"...\", but not in '...'";
const SAMPLER: &str = "there is no such sampler; there are --temperature, --top-k, --top-p, --min-p and --repeat-penalty";
const SHIFT: &str = "the context is never shifted: when it is full, the answer ends";
const SCALE: &str = "an adapter always has the strength it was made with: --adapter NAME";
const CACHE: &str = "--session NAME keeps the conversation, as long as there is room";
const TEMPLATE: &str =
    "the chat template comes with the model ('llmctl status' names it); --raw does without it";
const DISPLAY: &str = "only colours can be chosen, with 'color on' and 'color off'";

/// Names, and what to use instead.
const OPTIONS: &[(&[&str], &str)] = &[
    (&["-m", "--model"], MODEL),
    (
        &[
            "-hf",
            "-hfr",
            "--hf-repo",
            "-hff",
            "--hf-file",
            "-mu",
            "--model-url",
            "-dr",
            "--docker-repo",
        ],
        STORE,
    ),
    (&["-c", "--ctx-size"], CONTEXT),
    (
        &[
            "-t",
            "--threads",
            "-tb",
            "--threads-batch",
            "-C",
            "--cpu-mask",
            "--prio",
            "--poll",
            "-ngl",
            "--gpu-layers",
            "--n-gpu-layers",
            "-dev",
            "--device",
            "-sm",
            "--split-mode",
            "-ts",
            "--tensor-split",
            "-mg",
            "--main-gpu",
            "--numa",
            "-md",
            "--model-draft",
        ],
        PROCESSORS,
    ),
    (
        &[
            "-b",
            "--batch-size",
            "-ub",
            "--ubatch-size",
            "-np",
            "--parallel",
        ],
        BATCH,
    ),
    (
        &[
            "-fa",
            "--flash-attn",
            "-ctk",
            "--cache-type-k",
            "-ctv",
            "--cache-type-v",
            "--mlock",
            "--no-mmap",
            "--mmap",
            "-nkvo",
            "--no-kv-offload",
            "-ot",
            "--override-tensor",
            "-cmoe",
            "--cpu-moe",
        ],
        MEMORY,
    ),
    (
        &[
            "--grammar",
            "--grammar-file",
            "-j",
            "--json-schema",
            "-jf",
            "--json-schema-file",
        ],
        FORMAT,
    ),
    (
        &[
            "-cnv",
            "--conversation",
            "-i",
            "--interactive",
            "-if",
            "--interactive-first",
        ],
        CONVERSATION,
    ),
    (&["-st", "--single-turn"], ONE_TURN),
    (
        &[
            "-f",
            "--file",
            "-bf",
            "--binary-file",
            "-sysf",
            "--system-prompt-file",
        ],
        FILE,
    ),
    (&["-e", "--escape", "--no-escape"], ESCAPES),
    (
        &[
            "--samplers",
            "--sampling-seq",
            "--sampler-seq",
            "--typical",
            "--top-nsigma",
            "--dynatemp-range",
            "--dynatemp-exp",
            "--mirostat",
            "--mirostat-lr",
            "--mirostat-ent",
            "--xtc-probability",
            "--xtc-threshold",
            "--dry-multiplier",
            "--dry-base",
            "--presence-penalty",
            "--frequency-penalty",
            "-l",
            "--logit-bias",
            "--ignore-eos",
        ],
        SAMPLER,
    ),
    (&["--keep", "--context-shift", "--no-context-shift"], SHIFT),
    (&["--lora-scaled"], SCALE),
    (
        &["--prompt-cache", "--prompt-cache-all", "--prompt-cache-ro"],
        CACHE,
    ),
    (
        &[
            "--chat-template",
            "--chat-template-file",
            "--jinja",
            "--no-jinja",
            "--reasoning-format",
        ],
        TEMPLATE,
    ),
    (
        &[
            "-co",
            "--color",
            "-v",
            "--verbose",
            "-lv",
            "--verbosity",
            "--log-disable",
            "--log-file",
            "--no-display-prompt",
            "--display-prompt",
            "--no-perf",
            "-sp",
            "--special",
            "--simple-io",
        ],
        DISPLAY,
    ),
];

/// What to use instead of `option`, if it is llama.cpp's and the command generates text.
pub(crate) fn instead_of(options: &[OptionSpec], option: &[u8]) -> Option<&'static str> {
    let answers = options.first() == CHAT.first();
    let has = |names: &&[&str]| names.iter().any(|name| name.as_bytes() == option);
    let mut found = OPTIONS.iter().filter(|(names, _)| has(names));
    found
        .next()
        .filter(|_| answers)
        .map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::super::{CONTROLS, INFER, STATS, is_option};
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_takes_the_place_of_an_option_of_llama_cpp_is_there() {
        let mut seen = Vec::new();
        for (names, instead) in OPTIONS {
            for name in *names {
                assert!(is_option(name.as_bytes()), "{name}");
                let is_ours = INFER.iter().any(|option| option.is_called(name.as_bytes()));
                assert!(!is_ours && !seen.contains(name), "{name}");
                seen.push(*name);
                assert_eq!(instead_of(INFER, name.as_bytes()), Some(*instead));
                assert_eq!(instead_of(CHAT, name.as_bytes()), Some(*instead));
                assert_eq!(instead_of(STATS, name.as_bytes()), None);
            }
            let words = instead.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            for option in words.filter(|word| word.len() > 2 && word.starts_with("--")) {
                assert!(INFER.iter().any(|own| own.name == option), "{option}");
            }
            for command in instead.split("'llmctl ").skip(1) {
                let control = command.split([' ', '\'']).next().unwrap();
                assert!(CONTROLS.contains(&control), "{control}");
            }
        }
    }
}
