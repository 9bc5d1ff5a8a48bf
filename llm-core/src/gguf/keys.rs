//! Which metadata keys are known, and which values are accepted for those that are not read.
//!
//! A key that affects a model's result is either honoured, or the file is refused by the key's name. It is never
//! ignored. So each part of the engine with a namespace of keys (an architecture, the tokenizer) lists all keys that it
//! knows there, and [`check_keys`] refuses the others.

use super::{Gguf, Name, Value, name};

/// Effect of a known key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The engine reads it.
    Read,
    /// It has no effect on the result.
    Nothing,
    /// It has no effect if it is this number, or an array of it. Other values are refused.
    OnlyInteger(u32),
    /// It has no effect if it is this number. Other values are refused.
    OnlyFloat(f32),
    /// It has no effect if it is this boolean. The other is refused.
    OnlyBool(bool),
}

/// A metadata key and what it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownKey {
    /// The key after the namespace's prefix. A final `*` matches all keys with that beginning.
    pub key: &'static str,
    /// Its effect.
    pub effect: Effect,
}

impl KnownKey {
    /// A key that the engine reads.
    #[must_use]
    pub const fn read(key: &'static str) -> Self {
        let effect = Effect::Read;
        Self { key, effect }
    }

    /// A key without effect.
    #[must_use]
    pub const fn nothing(key: &'static str) -> Self {
        let effect = Effect::Nothing;
        Self { key, effect }
    }

    /// A key without effect as long as it has this value.
    #[must_use]
    pub const fn only(key: &'static str, effect: Effect) -> Self {
        Self { key, effect }
    }

    fn is(&self, key: &str) -> bool {
        match self.key.strip_suffix('*') {
            Some(beginning) => key.starts_with(beginning),
            None => key == self.key,
        }
    }
}

/// Why a key causes a file to be refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key is unknown.
    #[error("the metadata key {0} is not known to the engine, and could change the result")]
    Unknown(Name),
    /// The key is known, but its value is not supported.
    #[error("{key} = {found} is not supported, only {only} is")]
    Unsupported {
        /// The key.
        key: Name,
        /// Its value.
        found: Name,
        /// The supported value.
        only: Name,
    },
}

/// Checks every key of `gguf` that begins with `prefix` against the lists of known keys.
///
/// # Errors
/// The first key that is unknown, or has an unsupported value.
pub fn check_keys(gguf: &Gguf<'_>, prefix: &str, known: &[&[KnownKey]]) -> Result<(), KeyError> {
    for (key, value) in gguf.keys() {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        let mut lists = known.iter().flat_map(|list| list.iter());
        let entry = lists.find(|entry| entry.is(rest));
        let effect = entry.ok_or_else(|| KeyError::Unknown(name(key)))?.effect;
        if !is_allowed(effect, &value) {
            return Err(KeyError::Unsupported {
                key: name(key),
                found: shown(&value),
                only: only(effect),
            });
        }
    }
    Ok(())
}

fn is_allowed(effect: Effect, value: &Value<'_>) -> bool {
    match (effect, value) {
        (Effect::Read | Effect::Nothing, _) => true,
        (Effect::OnlyInteger(_), Value::Array(array)) => {
            array.values().all(|item| is_allowed(effect, &item))
        }
        (Effect::OnlyInteger(only), value) => value.integer() == Some(only.into()),
        (Effect::OnlyFloat(only), Value::F32(number)) => *number == only,
        (Effect::OnlyBool(only), Value::Bool(truth)) => *truth == only,
        (Effect::OnlyFloat(_) | Effect::OnlyBool(_), _) => false,
    }
}

fn only(effect: Effect) -> Name {
    match effect {
        Effect::Read | Effect::Nothing => Name::new(),
        Effect::OnlyInteger(number) => write(format_args!("{number}")),
        Effect::OnlyFloat(number) => write(format_args!("{number}")),
        Effect::OnlyBool(truth) => write(format_args!("{truth}")),
    }
}

fn shown(value: &Value<'_>) -> Name {
    match value {
        Value::Bool(truth) => write(format_args!("{truth}")),
        Value::F32(number) => write(format_args!("{number}")),
        Value::F64(number) => write(format_args!("{number}")),
        Value::String(text) => name(core::str::from_utf8(text).unwrap_or("bytes")),
        Value::Array(array) => write(format_args!("an array of {} items", array.len())),
        value => write(format_args!("{}", value.integer().unwrap_or(0))),
    }
}

fn write(text: core::fmt::Arguments<'_>) -> Name {
    let mut shown = Name::new();
    // The longest number of these types has 40 digits.
    let _ = core::fmt::Write::write_fmt(&mut shown, text);
    shown
}
