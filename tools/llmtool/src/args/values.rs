//! Values of options: how they are parsed and printed.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use llm_core::kv_cache::KvType;
use llm_core::simd::Cpu;
use llm_core::team::MAX_WORKERS;
use protocol::decimal::{self, Billionths, Millionths};
use protocol::limits::{MAX_CONTEXT_TOKENS, MAX_GENERATED_TOKENS, maxima};

use crate::destination::Destination;
use crate::store::StoreFile;

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kv {
    /// Eight bits, as on seL4
    Q8,
    /// Half precision
    F16,
    /// Single precision, for comparisons
    F32,
}

impl From<Kv> for KvType {
    fn from(kv: Kv) -> Self {
        match kv {
            Kv::Q8 => Self::Q8,
            Kv::F16 => Self::F16,
            Kv::F32 => Self::F32,
        }
    }
}

/// A decimal fraction in millionths, from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction<const MAX: u32, const MIN: u32 = 0>(pub u32);

impl<const MAX: u32, const MIN: u32> fmt::Display for Fraction<MAX, MIN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Millionths(u64::from(self.0)).fmt(f)
    }
}

impl<const MAX: u32, const MIN: u32> FromStr for Fraction<MAX, MIN> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = decimal::parse(text).map_err(|error| error.to_string())?;
        if value > MAX {
            Err(format!("more than {}", Self(MAX)))
        } else if value < MIN {
            Err(format!("less than {}", Self(MIN)))
        } else {
            Ok(Self(value))
        }
    }
}

/// A learning rate such as `0.001` or `1e-3`, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub u32);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Billionths(self.0).fmt(f)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let limit = maxima::RATE;
        let rate = decimal::parse_billionths(text);
        let rate = rate.filter(|rate| (1..=limit).contains(rate));
        rate.map(Self).ok_or_else(|| {
            let limit = Self(limit);
            format!("not a number above 0, up to {limit}, such as 0.001 or 1e-3")
        })
    }
}

pub(super) fn cpu(name: &str) -> Result<Cpu, String> {
    let names: Vec<&str> = Cpu::all().map(Cpu::name).collect();
    Cpu::all()
        .find(|cpu| cpu.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("this CPU has {}", names.join(", ")))
}

/// A context in tokens; `0`, as in llama.cpp, means the model's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context(pub usize);

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            MAX_CONTEXT_TOKENS => f.write_str("0"),
            tokens => tokens.fmt(f),
        }
    }
}

impl FromStr for Context {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Ok(Self(MAX_CONTEXT_TOKENS)),
            Ok(tokens) if tokens <= MAX_CONTEXT_TOKENS => Ok(Self(tokens)),
            _ => Err(format!(
                "not a number from 1 to {MAX_CONTEXT_TOKENS}, or 0 for the model's own"
            )),
        }
    }
}

/// A number of tokens to generate; `-1`, as in llama.cpp, means as many as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predict(pub u32);

impl fmt::Display for Predict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Predict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<i64>() {
            Ok(-1) => Ok(Self(MAX_GENERATED_TOKENS)),
            Ok(tokens) => match u32::try_from(tokens) {
                Ok(tokens) if (1..=MAX_GENERATED_TOKENS).contains(&tokens) => Ok(Self(tokens)),
                _ => Err(format!(
                    "give 1 to {MAX_GENERATED_TOKENS}, or -1 for the most"
                )),
            },
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A number of recent tokens; `-1`, as in llama.cpp, means the whole context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent(pub u32);

impl fmt::Display for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Recent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "-1" => Ok(Self(MAX_CONTEXT_TOKENS as u32)),
            _ => text
                .parse()
                .map(Self)
                .map_err(|_| "not a number of tokens, or -1 for the whole context".to_owned()),
        }
    }
}

/// The seed of the random choice; `-1`, as in llama.cpp, means a new one each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// This one.
    Fixed(u64),
    /// A random seed from the system's generator.
    Random,
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(seed) => seed.fmt(f),
            Self::Random => f.write_str("-1"),
        }
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "-1" => Ok(Self::Random),
            _ => text.parse().map(Self::Fixed).map_err(|_| {
                format!(
                    "not a number from 0 to {}, or -1 for a random one",
                    u64::MAX
                )
            }),
        }
    }
}

/// A number of threads.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=MAX_WORKERS) => Ok(threads),
        Ok(_) => Err(format!(
            "the engine runs on 1 to {MAX_WORKERS} threads: leave the option out for one on each core"
        )),
        Err(_) => Err("not a number".to_owned()),
    }
}

pub(super) fn store_file(argument: &str) -> Result<StoreFile, String> {
    StoreFile::parse(argument, Destination::Store).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_llama_cpp_gives_a_meaning_have_it() {
        assert_eq!("0".parse(), Ok(Context(MAX_CONTEXT_TOKENS)));
        assert_eq!("2048".parse(), Ok(Context(2048)));
        assert!("-1".parse::<Context>().is_err());
        assert!("131073".parse::<Context>().is_err());
        assert_eq!("-1".parse(), Ok(Predict(MAX_GENERATED_TOKENS)));
        assert!("0".parse::<Predict>().is_err());
        assert!("-2".parse::<Predict>().is_err());
        assert_eq!("-1".parse(), Ok(Seed::Random));
        assert_eq!("18446744073709551615".parse(), Ok(Seed::Fixed(u64::MAX)));
        assert!("x".parse::<Seed>().is_err());
        assert_eq!("-1".parse(), Ok(Recent(MAX_CONTEXT_TOKENS as u32)));
        assert_eq!("0".parse(), Ok(Recent(0)));
        assert_eq!(threads("2"), Ok(2));
        for wrong in ["0", "65", "1000000"] {
            assert!(threads(wrong).unwrap_err().contains("1 to 64"), "{wrong}");
        }
        for wrong in ["-1", "two", ""] {
            assert_eq!(threads(wrong), Err("not a number".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn fractions_are_whole_millionths_within_their_limit() {
        type TopP = Fraction<{ maxima::TOP_P }>;
        assert_eq!("0.95".parse::<TopP>(), Ok(Fraction(950_000)));
        assert_eq!("1.01".parse::<TopP>(), Err("more than 1".to_owned()));
        assert!("nan".parse::<TopP>().is_err());
        assert_eq!(Fraction::<{ maxima::TOP_P }>(50_000).to_string(), "0.05");
        type Penalty = Fraction<{ maxima::REPEAT_PENALTY }, { decimal::ONE }>;
        assert_eq!("1".parse::<Penalty>(), Ok(Fraction(1_000_000)));
        assert_eq!("0".parse::<Penalty>(), Err("less than 1".to_owned()));
        assert_eq!("0.999999".parse::<Penalty>(), Err("less than 1".to_owned()));
    }
}
