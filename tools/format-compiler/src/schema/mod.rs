//! Converts a JSON schema to a regular expression whose matches are all allowed values.
//!
//! Each value is written in only one way, as far as possible: without white space, and with the members of an object in
//! the order of the schema. The supported part of JSON Schema (draft 2020-12):
//!
//! - `type`, one or a list: `null`, `boolean`, `integer`, `number`, `string`, `array`, `object`; `enum`, `const`;
//! - `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, which must be whole for `number`. Integers have at
//!   most 15 digits, numbers at most 9 before the point and 6 after it, and no exponent;
//! - `minLength`, `maxLength`, in characters. Strings may contain all of Unicode, literally or escaped;
//! - `items`, `minItems`, `maxItems`, `prefixItems` (then there are exactly those items);
//! - `properties`, `required`: members that are not required may be left out. There are no other members, whatever
//!   `additionalProperties` allows;
//! - `anyOf`; `oneOf`, if no value can match two branches: by its type, by constants, or by a constant member;
//! - `$ref` to `#/$defs/…` and `#/definitions/…`, without cycles, which would not be a regular language.
//!
//! `title`, `description` and the like do not constrain values and are ignored. Anything else is refused with its
//! location, because a format that allows more than its author thinks is worse than none.

mod containers;
mod error;
mod keywords;
mod number;
mod references;
mod value;

pub use error::{Problem, SchemaError};

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use keywords::{ANNOTATIONS, TYPES, is_keyword};
use value::Value;

/// Longest expression, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Longest chain of references.
const MAX_REFERENCES: usize = 64;

/// Maximum number of steps from the root, through references: each uses stack.
const MAX_DEPTH: usize = 256;

/// A character of a string, literal or escaped. Surrogates must come in pairs.
const CHARACTER: &str = r#"(?:[^"\\\x00-\x1F]|\\(?:["\\/bfnrt]|u(?:[0-9A-CE-Fa-ce-f][0-9A-Fa-f]{3}|[Dd][0-7][0-9A-Fa-f]{2}|[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2})))"#;

/// The expression of a schema.
pub(crate) fn to_regex(text: &str) -> Result<String, SchemaError> {
    let root: Value = serde_json::from_str(text)?;
    let known = RefCell::default();
    let place = Place {
        root: &root,
        known: &known,
        pointer: "#".to_owned(),
        open: Vec::new(),
        depth: 0,
    };
    place.schema(&root)
}

/// Position in the schema.
#[derive(Clone)]
struct Place<'v> {
    root: &'v Value,
    /// Compiled references: a schema that is referenced often is compiled once.
    known: &'v RefCell<HashMap<&'v str, String>>,
    pointer: String,
    /// References being followed.
    open: Vec<&'v str>,
    /// Steps from the root.
    depth: usize,
}

type Expression = Result<String, SchemaError>;

impl<'v> Place<'v> {
    fn wrong<T>(&self, problem: Problem) -> Result<T, SchemaError> {
        let pointer = self.pointer.clone();
        Err(SchemaError::At { pointer, problem })
    }

    /// The position of a keyword.
    fn at(&self, step: impl std::fmt::Display) -> Self {
        let step = step.to_string().replace('~', "~0").replace('/', "~1");
        Self {
            pointer: format!("{}/{step}", self.pointer),
            depth: self.depth + 1,
            ..self.clone()
        }
    }

    fn schema(&self, schema: &'v Value) -> Expression {
        if self.depth > MAX_DEPTH {
            return self.wrong(Problem::Deep);
        }
        let members = match schema {
            Value::Object(members) => members,
            Value::Bool(true) => return self.wrong(Problem::Anything),
            Value::Bool(false) => return self.wrong(Problem::Nothing),
            _ => return self.wrong(Problem::NoSchema),
        };
        // Keywords that decide on their own.
        for whole in ["$ref", "enum", "const", "anyOf", "oneOf"] {
            let Some(value) = schema.get(whole) else {
                continue;
            };
            let beside = |key: &str| {
                key == whole
                    || ANNOTATIONS.contains(&key)
                    || (key == "type" && ["enum", "const"].contains(&whole))
            };
            if let Some((key, _)) = members.iter().find(|(key, _)| !beside(key)) {
                return self.at(key).wrong(Problem::Keyword(key.clone()));
            }
            return match whole {
                "$ref" => self.reference(value),
                "enum" => match value {
                    Value::Array(values) => self.constants(schema, values),
                    _ => self.expected("enum", "a list of values"),
                },
                "const" => self.constants(schema, std::slice::from_ref(value)),
                "anyOf" => self.any_of("anyOf", value),
                _ => self.one_of(value),
            };
        }
        let types = self.types(schema)?;
        let Some(types) = types else {
            let keyed = members
                .iter()
                .find(|(key, _)| !ANNOTATIONS.contains(&key.as_str()));
            return match keyed {
                Some((key, _)) if !is_keyword(key) => {
                    self.at(key).wrong(Problem::Keyword(key.clone()))
                }
                _ => self.wrong(Problem::Anything),
            };
        };
        let known = |key: &str| {
            let mut of_types = TYPES.iter().filter(|(name, _)| types.contains(name));
            key == "type"
                || ANNOTATIONS.contains(&key)
                || of_types.any(|(_, keywords)| keywords.contains(&key))
        };
        if let Some((key, _)) = members.iter().find(|(key, _)| !known(key)) {
            return self.at(key).wrong(Problem::Keyword(key.clone()));
        }
        self.any(self.all(types.iter().map(|name| self.value(name, schema)))?)
    }

    /// The named types; `None` if there are none.
    fn types(&self, schema: &Value) -> Result<Option<Vec<&'static str>>, SchemaError> {
        let names: Vec<&Value> = match schema.get("type") {
            None => return Ok(None),
            Some(Value::Array(names)) if !names.is_empty() => names.iter().collect(),
            Some(name) => vec![name],
        };
        let mut found = Vec::new();
        for name in names {
            let Value::String(name) = name else {
                return self.expected("type", "a type's name or a list of them");
            };
            match TYPES.iter().find(|(known, _)| known == name) {
                Some((known, _)) => found.push(*known),
                None => {
                    return self.expected(
                        "type",
                        "null, boolean, integer, number, string, array or object",
                    );
                }
            }
        }
        Ok(Some(found))
    }

    fn expected<T>(&self, keyword: &'static str, expected: &'static str) -> Result<T, SchemaError> {
        self.at(keyword).wrong(Problem::Value { keyword, expected })
    }

    /// Collects these expressions, unless they are too long together.
    fn all(&self, parts: impl Iterator<Item = Expression>) -> Result<Vec<String>, SchemaError> {
        let (mut all, mut bytes) = (Vec::new(), 0);
        for part in parts {
            let part = part?;
            bytes += part.len();
            if bytes > MAX_BYTES {
                return self.wrong(Problem::Large);
            }
            all.push(part);
        }
        Ok(all)
    }

    /// An alternative of these expressions. Duplicates count once.
    fn any(&self, parts: Vec<String>) -> Expression {
        let mut different = HashSet::new();
        let first = parts.iter().map(|part| different.insert(part.as_str()));
        let first: Vec<bool> = first.collect();
        let parts = parts.into_iter().zip(first);
        let parts = parts.filter_map(|(part, is_first)| is_first.then_some(part));
        let expression = number::one_of(parts.collect());
        match expression {
            None => self.wrong(Problem::Nothing),
            Some(expression) if expression.len() > MAX_BYTES => self.wrong(Problem::Large),
            Some(expression) => Ok(expression),
        }
    }

    /// The values of one type.
    fn value(&self, name: &str, schema: &'v Value) -> Expression {
        match name {
            "null" => Ok("null".to_owned()),
            "boolean" => Ok("(?:true|false)".to_owned()),
            "integer" => self.integer(schema),
            "number" => self.number(schema),
            "string" => self.string(schema),
            "array" => self.array(schema),
            _ => self.object(schema),
        }
    }

    /// A bound of numbers, if present.
    fn bound(&self, schema: &Value, keyword: &'static str) -> Result<Option<f64>, SchemaError> {
        match schema.get(keyword) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(_) => self.expected(keyword, "a number"),
        }
    }

    fn integer(&self, schema: &Value) -> Expression {
        let most = number::MAX_INTEGER as f64;
        let mut range = (-most, most);
        if let Some(bound) = self.bound(schema, "minimum")? {
            range.0 = range.0.max(bound.ceil());
        }
        if let Some(bound) = self.bound(schema, "exclusiveMinimum")? {
            range.0 = range.0.max(bound.floor() + 1.0);
        }
        if let Some(bound) = self.bound(schema, "maximum")? {
            range.1 = range.1.min(bound.floor());
        }
        if let Some(bound) = self.bound(schema, "exclusiveMaximum")? {
            range.1 = range.1.min(bound.ceil() - 1.0);
        }
        if range.0 > range.1 {
            return self.wrong(Problem::Nothing);
        }
        // Both are whole and exact.
        self.any(
            number::integers(&(range.0 as i64..=range.1 as i64))
                .into_iter()
                .collect(),
        )
    }

    fn number(&self, schema: &Value) -> Expression {
        let limit = number::MAX_WHOLE as f64;
        let mut bounds = [(-limit, false), (limit, false)];
        let keywords = [
            ("minimum", 0, false),
            ("exclusiveMinimum", 0, true),
            ("maximum", 1, false),
            ("exclusiveMaximum", 1, true),
        ];
        for (keyword, side, exclusive) in keywords {
            let Some(bound) = self.bound(schema, keyword)? else {
                continue;
            };
            if bound.fract() != 0.0 {
                return self.expected(keyword, "a whole number: the bounds of \"number\" are");
            }
            let (known, known_exclusive) = bounds[side];
            let tighter = if side == 0 {
                bound > known
            } else {
                bound < known
            };
            if tighter || (bound == known && exclusive && !known_exclusive) {
                bounds[side] = (bound, exclusive);
            }
        }
        let [(least, above), (most, below)] = bounds;
        if least > most || least > limit || most < -limit {
            return self.wrong(Problem::Nothing);
        }
        // Both are whole and at most `MAX_WHOLE`.
        let (least, most) = (least as i64, most as i64);
        let whole = least + i64::from(above)..=most - i64::from(below);
        let mut parts = Vec::new();
        if whole.start() <= whole.end() {
            parts.extend(number::integers(&whole));
        }
        if least < most {
            parts.extend(number::fractions(least, most));
        }
        self.any(parts)
    }

    /// A count, if present.
    fn count(&self, schema: &Value, keyword: &'static str) -> Result<Option<u64>, SchemaError> {
        let expected = || self.expected(keyword, "a natural number below 65,536");
        match schema.get(keyword) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_u64() {
                Some(count) if count < 1 << 16 => Ok(Some(count)),
                _ => expected(),
            },
            Some(_) => expected(),
        }
    }

    /// Minimum and maximum count.
    fn counts(
        &self,
        schema: &Value,
        least: &'static str,
        most: &'static str,
    ) -> Result<(u64, Option<u64>), SchemaError> {
        let (least, most) = (
            self.count(schema, least)?.unwrap_or(0),
            self.count(schema, most)?,
        );
        match most {
            Some(most) if most < least => self.wrong(Problem::Nothing),
            most => Ok((least, most)),
        }
    }

    fn string(&self, schema: &Value) -> Expression {
        let (least, most) = self.counts(schema, "minLength", "maxLength")?;
        let most = most.map_or(String::new(), |most| most.to_string());
        Ok(format!("\"{CHARACTER}{{{least},{most}}}\""))
    }
}
