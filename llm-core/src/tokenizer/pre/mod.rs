//! Pre-tokenizers: they cut a text into words before byte-level BPE, which never merges across word boundaries.
//!
//! Each is a list of patterns, as in llama.cpp's `llm_tokenizer_bpe`: the first cuts the text into matches and the gaps
//! between them, the next cuts those pieces, and so on.

mod classes;
mod letters;
mod patterns;
#[cfg(test)]
mod tests;
mod words;

use patterns::Pattern;

/// The patterns that cut a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Default,
    Gpt2,
    Llama3,
    Qwen2,
    Smollm,
    DeepseekLlm,
    DeepseekCoder,
    Deepseek3,
    Falcon,
    Gpt4o,
    Tekken,
    Granite,
    Qwen35,
    SeedCoder,
    Ufakzeka,
    Minicpm5,
    Laguna,
    Poro,
    Viking,
}

/// How a text is cut into words, and other properties implied by the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PreTokenizer {
    cut: Cut,
    /// A word that is a token is used whole, whatever the merges say.
    pub(super) ignores_merges: bool,
    /// Text begins with the begin token unless the file says otherwise.
    pub(super) adds_bos: bool,
    /// If the file names no begin token, llama.cpp's default is used.
    pub(super) has_bos: bool,
}

/// Maximum number of patterns in a pre-tokenizer.
const MAX_PATTERNS: usize = 6;

impl PreTokenizer {
    const fn plain(cut: Cut) -> Self {
        Self {
            cut,
            ignores_merges: false,
            adds_bos: false,
            has_bos: true,
        }
    }

    const fn whole_words(cut: Cut) -> Self {
        Self {
            ignores_merges: true,
            ..Self::plain(cut)
        }
    }

    /// Looks up `tokenizer.ggml.pre`. llama.cpp does not distinguish the names on one line.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "default" => Self::plain(Cut::Default),
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "roberta-bpe" | "exaone4" | "jina-es"
            | "jina-de" | "jina-v1-en" | "jina-v2-es" | "jina-v2-de" | "jina-v2-code"
            | "gigachat" | "a.x-4.0" | "mellum" | "modern-bert" | "trillion"
            | "granite-docling" => Self::plain(Cut::Gpt2),
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral"
            | "midm-2.0" | "lfm2" | "jina-v5-nano" => Self {
                adds_bos: true,
                ..Self::whole_words(Cut::Llama3)
            },
            "dbrx" | "smaug-bpe" => Self::plain(Cut::Llama3),
            "chatglm-bpe" => Self {
                has_bos: false,
                ..Self::plain(Cut::Llama3)
            },
            "glm4" | "glm5" => Self {
                has_bos: false,
                ..Self::whole_words(Cut::Llama3)
            },
            // The last three of these have `\s*[\r\n]` instead of `\s*[\r\n]+`, which matches the same.
            "qwen2" | "deepseek-r1-qwen" | "megrez" | "stablelm2" | "kormo" | "f2llmv2"
            | "hunyuan" | "solar-open" | "grok-2" | "bailingmoe" | "bailingmoe2" | "llada-moe" => {
                Self::plain(Cut::Qwen2)
            }
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone"
            | "minerva-7b" | "mellum2" => Self::plain(Cut::Smollm),
            "deepseek-llm" => Self::plain(Cut::DeepseekLlm),
            "deepseek-coder" => Self::plain(Cut::DeepseekCoder),
            "deepseek-v3" | "hunyuan-dense" | "joyai-llm" | "hy_v4" => Self::plain(Cut::Deepseek3),
            "falcon" => Self::plain(Cut::Falcon),
            "gpt-4o" | "llama4" | "kanana2" | "talkie" | "minimax-m2" => Self::plain(Cut::Gpt4o),
            "tekken" => Self {
                adds_bos: true,
                ..Self::whole_words(Cut::Tekken)
            },
            "granite-embed-multi-97m" => Self::whole_words(Cut::Granite),
            "qwen35" => Self::plain(Cut::Qwen35),
            "seed-coder" => Self::plain(Cut::SeedCoder),
            "ufakzeka" => Self::plain(Cut::Ufakzeka),
            "minicpm5" => Self::whole_words(Cut::Minicpm5),
            "laguna" => Self::plain(Cut::Laguna),
            "poro-chat" | "bloom" | "gpt3-finnish" => Self::plain(Cut::Poro),
            "viking" => Self::plain(Cut::Viking),
            _ => return None,
        })
    }

    const fn patterns(self) -> &'static [Pattern] {
        use {patterns::*, words::*};
        match self.cut {
            Cut::Default => &[punctuation_run, gpt2, number_run, three_digits],
            Cut::Gpt2 => &[gpt2],
            Cut::Llama3 => &[llama3],
            Cut::Qwen2 => &[qwen2],
            Cut::Smollm => &[single_number, gpt2],
            Cut::DeepseekLlm => &[
                line_end,
                cased_letters,
                signs_of_deepseek,
                trailing_spaces,
                ideographs,
                number_run,
            ],
            Cut::DeepseekCoder => &[
                line_end,
                spaced_letters,
                spaced_punctuation,
                ideographs,
                single_number,
            ],
            Cut::Deepseek3 => &[three_numbers, ideographs_and_kana, words_of_deepseek3],
            Cut::Falcon => &[punctuation_run_of_falcon, gpt2, three_digits],
            Cut::Gpt4o => &[gpt4o],
            Cut::Tekken => &[tekken],
            Cut::Granite => &[granite],
            Cut::Qwen35 => &[qwen35],
            Cut::SeedCoder => &[seed_coder],
            Cut::Ufakzeka => &[ufakzeka],
            Cut::Minicpm5 => &[three_numbers, minicpm5],
            Cut::Laguna => &[lines, qwen2],
            Cut::Poro => &[words_of_poro],
            Cut::Viking => &[words_of_poro, single_number],
        }
    }
}

/// The words of a text.
#[derive(Clone, Debug)]
pub(super) struct Words<'t> {
    text: &'t str,
    at: usize,
    patterns: &'static [Pattern],
    /// For each pattern, the end of the piece that it found.
    ends: [usize; MAX_PATTERNS],
}

impl<'t> Words<'t> {
    pub(super) const fn new(pre: PreTokenizer, text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            patterns: pre.patterns(),
            ends: [0; MAX_PATTERNS],
        }
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.at >= self.text.len() {
            return None;
        }
        // The piece found by the previous pattern, or the whole text.
        let mut outer = self.text.len();
        for (pattern, end) in self.patterns.iter().zip(&mut self.ends) {
            if *end <= self.at {
                let rest = self.text.get(self.at..outer).unwrap_or("");
                *end = self.at.saturating_add(pattern(rest).max(1));
            }
            outer = (*end).min(outer);
        }
        let word = self.text.get(self.at..outer);
        self.at = outer;
        word
    }
}
