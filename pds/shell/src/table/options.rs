//! Every option of every command.

use super::{Kind, OptionSpec, Source, TARGETS};
use protocol::decimal::ONE;
use protocol::limits::{
    MAX_ADAPTERS, MAX_BUDGET_TOKENS, MAX_CONTEXT_TOKENS, MAX_GENERATED_TOKENS, MAX_PROMPT_TOKENS,
    MAX_STOPS, maxima,
};
use protocol::wire::{InferParams, Sampling, TrainParams};

/// What a request means without these options.
const SAMPLING: Sampling = Sampling::DEFAULT;
/// What a fine-tuning job means without these options.
const TRAINING: TrainParams = TrainParams::DEFAULT;

/// Declares a list of options, and an enum of them in the same order.
macro_rules! options {
    ($(#[$meta:meta])* $name:ident as $all:ident {
        $($variant:ident = $text:literal $aliases:tt $kind:expr, $value:literal, $help:literal $(, times $times:expr)?;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant,)* }

        $(#[$meta])*
        pub(crate) const $all: &[OptionSpec] = &[$(OptionSpec {
            name: $text,
            aliases: &$aliases,
            kind: $kind,
            times: options!(@times $($times)?),
            value: $value,
            help: $help,
        }),*];

        impl $name {
            /// The variant at this index of the list.
            pub(crate) fn at(place: usize) -> Option<Self> {
                [$(Self::$variant),*].get(place).copied()
            }
        }
    };
    (@times) => { 1 };
    (@times $times:expr) => { $times };
}

const fn whole(min: u64, max: u64, default: Option<u64>) -> Kind {
    Kind::Whole {
        min,
        max,
        all: None,
        default,
    }
}

const fn whole_or_all(min: u32, max: u32, all: u32, default: u32) -> Kind {
    Kind::Whole {
        min: min as u64,
        max: max as u64,
        all: Some(all as u64),
        default: Some(default as u64),
    }
}

const fn fraction(min: u32, max: u32, default: u32) -> Kind {
    Kind::Fraction { min, max, default }
}

const SEED: Kind = whole(0, u64::MAX, Some(SAMPLING.seed));
const GENERATED: Kind = whole_or_all(
    1,
    MAX_GENERATED_TOKENS,
    MAX_GENERATED_TOKENS,
    InferParams::DEFAULT.max_tokens,
);
const LOOKS_BACK: Kind = whole_or_all(
    0,
    MAX_PROMPT_TOKENS as u32,
    MAX_CONTEXT_TOKENS as u32,
    SAMPLING.repeat_last_n,
);

options! {
    /// Options of `llminfer`. The last ones are not available in `llmchat`.
    InferOption as INFER {
        System = "--system" ["-sys", "--system-prompt"] Kind::Text, "TEXT", "instructions for the model; only at the start of a session";
        Session = "--session" [] Kind::Name(Source::Sessions), "NAME", "continue this conversation, or start it";
        Format = "--format" [] Kind::Name(Source::Formats), "NAME", "the answer has this format of the policy; see 'llmctl formats'";
        Choices = "--choices" [] Kind::Text, "\"A,B\"", "the answer is one of these; spaces count";
        Stop = "--stop" ["-r", "--reverse-prompt"] Kind::Text, "TEXT", "end the answer before TEXT", times MAX_STOPS;
        MaxTokens = "--max-tokens" ["-n", "--predict", "--n-predict"] GENERATED, "N", "tokens to generate";
        Temperature = "--temperature" ["--temp"] fraction(0, maxima::TEMPERATURE, SAMPLING.temperature), "T", "0 takes the likeliest token every time";
        TopK = "--top-k" [] whole(0, maxima::TOP_K as u64, Some(SAMPLING.top_k as u64)), "K", "keep the K likeliest tokens; 0 keeps all";
        TopP = "--top-p" [] fraction(0, maxima::TOP_P, SAMPLING.top_p), "P", "keep the likeliest tokens that sum to P";
        MinP = "--min-p" [] fraction(0, maxima::MIN_P, SAMPLING.min_p), "P", "drop tokens below P times the likeliest";
        RepeatPenalty = "--repeat-penalty" [] fraction(ONE, maxima::REPEAT_PENALTY, SAMPLING.repeat_penalty), "R", "divide the logits of recent tokens by R; 1 does nothing";
        RepeatLastN = "--repeat-last-n" [] LOOKS_BACK, "N", "recent tokens that the penalty applies to";
        Seed = "--seed" ["-s"] SEED, "S", "the same seed gives the same text";
        Adapter = "--adapter" ["--lora"] Kind::Name(Source::Adapters), "NAME", "use this adapter, which must be loaded; see 'help adapters'";
        Raw = "--raw" ["-no-cnv", "--no-conversation"] Kind::Flag, "", "continue PROMPT as it is, without a chat template";
        Background = "--background" [] Kind::Flag, "", "do not wait; see 'help jobs'";
        Prompt = "--prompt" ["-p"] Kind::Text, "TEXT", "PROMPT, even if it begins with a dash";
    }
}

/// Options of `llmchat`: those of `llminfer` that suit a conversation. An [`InferOption`] has the same index in both.
pub(crate) const CHAT: &[OptionSpec] = INFER.split_at(InferOption::Raw as usize).0;

options! {
    /// Options of `llmfinetune`.
    FineTuneOption as FINE_TUNE {
        Adapter = "--adapter" [] Kind::Name(Source::Nowhere), "NAME", "name of the adapter [that of the data]";
        Rank = "--rank" [] whole(1, maxima::RANK as u64, Some(TRAINING.rank as u64)), "R", "a larger one can learn more, and needs more memory";
        Alpha = "--alpha" [] fraction(1, maxima::ALPHA, TRAINING.alpha), "A", "its effect is multiplied by A / R";
        Epochs = "--epochs" ["-epochs"] whole(1, maxima::EPOCHS as u64, Some(TRAINING.epochs as u64)), "N", "passes over all examples";
        Rate = "--rate" ["-lr", "--learning-rate"] Kind::Rate { max: maxima::RATE, default: TRAINING.rate }, "L", "the peak learning rate";
        Targets = "--targets" [] Kind::OneOf(TARGETS), "T", "'attention', or 'all' for the feed-forward layers, too [attention]";
        Seed = "--seed" ["-s"] SEED, "S", "the same seed and data give the same adapter";
        Example = "--example" [] Kind::Text, "TEXT", "add an example, which is forgotten at the next boot";
        Answer = "--answer" [] Kind::Text, "TEXT", "the answer to the example's text, with its leading space; only the answer is learnt";
        DropExamples = "--drop-examples" [] Kind::Flag, "", "forget the examples that were typed";
    }
}

options! {
    /// Options of `llmctl load`.
    LoadOption as LOAD {
        Adapter = "--adapter" ["--lora"] Kind::Name(Source::Adapters), "NAME", "then load this adapter beside it", times MAX_ADAPTERS;
    }
}

options! {
    /// Options of `llmctl budget`.
    BudgetOption as BUDGET {
        Tokens = "--tokens" ["-n"] whole(0, MAX_BUDGET_TOKENS, None), "N", "tokens per period, of prompts and generated";
        Period = "--period" [] Kind::Period, "P", "a number with a unit: 3600s, 60m, 1h, 1d";
    }
}

options! {
    /// Options of `llmctl audit`.
    AuditOption as AUDIT {
        Last = "--last" ["-n"] whole(0, u64::MAX, None), "N", "the newest N entries";
        User = "--user" ["-u"] Kind::Name(Source::Users), "U", "entries of this user";
        Json = "--json" [] Kind::Flag, "", "an export that 'llmtool audit verify' checks";
        Follow = "--follow" ["-f"] Kind::Flag, "", "also show new entries, until Ctrl-C";
    }
}

options! {
    /// Options of `llmstats`.
    StatsOption as STATS {
        Json = "--json" [] Kind::Flag, "", "one JSON object";
        Watch = "--watch" ["-w"] Kind::Flag, "", "repeat every second, until Ctrl-C";
    }
}
