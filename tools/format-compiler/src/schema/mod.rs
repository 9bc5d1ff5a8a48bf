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

mod number;
mod value;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde_json::Number;
use value::{Value, write_text};

/// Why a schema cannot be a format.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file is not JSON.
    #[error("the schema is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Part of it is wrong or cannot be expressed.
    #[error("the schema at {pointer}: {problem}")]
    At {
        /// Its location, as a JSON pointer.
        pointer: String,
        /// The problem.
        problem: Problem,
    },
}

/// What is wrong with a part of a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A keyword is not supported.
    #[error("\"{0}\" is not supported here")]
    Keyword(String),
    /// A keyword has an invalid value.
    #[error("\"{keyword}\" has to be {expected}")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The value is not a schema.
    #[error("a schema must be an object, true or false")]
    NoSchema,
    /// The schema allows any value.
    #[error("any value is allowed, which no automaton can describe: give its \"type\"")]
    Anything,
    /// The schema allows no value.
    #[error("no value is allowed")]
    Nothing,
    /// The branches of `oneOf` may overlap.
    #[error(
        "values of two branches of \"oneOf\" could be the same: let them differ in type, or by a constant member, or use \
         \"anyOf\""
    )]
    Overlap,
    /// A reference has no target.
    #[error("there is no {0}")]
    NoReference(String),
    /// A reference is cyclic.
    #[error("{0} refers to itself: values of any depth are not a regular language")]
    Circle(String),
    /// There is a chain of too many references.
    #[error("{0} is reached through a chain of more than {MAX_REFERENCES} references: use fewer")]
    Chain(String),
    /// Schemas are nested too deeply.
    #[error("this is nested more than {MAX_DEPTH} steps deep: nest schemas less deeply")]
    Deep,
    /// A required member is not described.
    #[error("the required \"{0}\" is not among the properties")]
    NoProperty(String),
    /// The expression is too long.
    #[error("the schema is too large")]
    Large,
}

/// Longest expression, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Longest chain of references.
const MAX_REFERENCES: usize = 64;

/// Maximum number of steps from the root, through references: each uses stack.
const MAX_DEPTH: usize = 256;

/// Keywords that do not constrain values.
const ANNOTATIONS: [&str; 12] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// The types of values, with the keywords of each.
const TYPES: [(&str, &[&str]); 7] = [
    ("null", &[]),
    ("boolean", &[]),
    ("integer", &BOUNDS),
    ("number", &BOUNDS),
    ("string", &["minLength", "maxLength"]),
    ("array", &["items", "prefixItems", "minItems", "maxItems"]),
    (
        "object",
        &["properties", "required", "additionalProperties"],
    ),
];

const BOUNDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

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

    /// The target of a reference, unless it is already being followed.
    fn target(&self, reference: &'v Value) -> Result<(Self, &'v Value), SchemaError> {
        let Value::String(name) = reference else {
            return self.expected("$ref", "a text such as \"#/$defs/name\"");
        };
        if self.open.contains(&name.as_str()) {
            return self.wrong(Problem::Circle(name.clone()));
        }
        if self.open.len() >= MAX_REFERENCES {
            return self.wrong(Problem::Chain(name.clone()));
        }
        let missing = || self.wrong(Problem::NoReference(name.clone()));
        let Some(path) = name.strip_prefix('#') else {
            return missing();
        };
        let mut value = self.root;
        for step in path.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            match value.get(&step) {
                Some(next) => value = next,
                None => return missing(),
            }
        }
        let mut open = self.open.clone();
        open.push(name);
        let place = Self {
            pointer: name.clone(),
            open,
            depth: self.depth + 1,
            ..*self
        };
        Ok((place, value))
    }

    fn reference(&self, reference: &'v Value) -> Expression {
        if let Value::String(name) = reference
            && let Some(expression) = self.known.borrow().get(name.as_str())
        {
            return Ok(expression.clone());
        }
        let (place, schema) = self.target(reference)?;
        let expression = place.schema(schema)?;
        if let Value::String(name) = reference {
            self.known.borrow_mut().insert(name, expression.clone());
        }
        Ok(expression)
    }

    /// The given values, except those of other types.
    fn constants(&self, schema: &Value, values: &[Value]) -> Expression {
        let types = self.types(schema)?;
        let fits = |value: &&Value| {
            types.as_ref().is_none_or(|types| {
                types.iter().any(|name| match value {
                    Value::Null => *name == "null",
                    Value::Bool(_) => *name == "boolean",
                    Value::Number(number) => {
                        *name == "number" || (*name == "integer" && is_whole(number))
                    }
                    Value::String(_) => *name == "string",
                    Value::Array(_) => *name == "array",
                    Value::Object(_) => *name == "object",
                })
            })
        };
        let texts = values
            .iter()
            .filter(fits)
            .map(|value| regex_syntax::escape(&value.write()));
        self.any(texts.collect())
    }

    fn branches(
        &self,
        keyword: &'static str,
        branches: &'v Value,
    ) -> Result<&'v [Value], SchemaError> {
        match branches {
            Value::Array(branches) if !branches.is_empty() => Ok(branches),
            _ => self.expected(keyword, "a list of schemas"),
        }
    }

    fn any_of(&self, keyword: &'static str, branches: &'v Value) -> Expression {
        let branches = self.branches(keyword, branches)?;
        let place = self.at(keyword);
        let parts = branches.iter().enumerate();
        self.any(self.all(parts.map(|(n, branch)| place.at(n).schema(branch)))?)
    }

    fn one_of(&self, branches: &'v Value) -> Expression {
        let list = self.branches("oneOf", branches)?;
        let place = self.at("oneOf");
        for (n, a) in list.iter().enumerate() {
            for b in &list[..n] {
                if !self.apart(a, b)? {
                    return place.at(n).wrong(Problem::Overlap);
                }
            }
        }
        self.any_of("oneOf", branches)
    }

    /// Whether no value can match both schemas, as far as that is easy to see.
    fn apart(&self, a: &'v Value, b: &'v Value) -> Result<bool, SchemaError> {
        for (one, other) in [(a, b), (b, a)] {
            if let Some(reference) = one.get("$ref") {
                let (place, target) = self.target(reference)?;
                return place.apart(target, other);
            }
        }
        if let (Some(a), Some(b)) = (constants_of(a), constants_of(b)) {
            return Ok(!a.iter().any(|a| b.iter().any(|b| a.same(b))));
        }
        let of = |schema: &Value| -> Result<Option<Vec<&'static str>>, SchemaError> {
            match constants_of(schema) {
                None => self.types(schema),
                Some(values) => Ok(Some(values.iter().map(type_of).collect())),
            }
        };
        let (Some(of_a), Some(of_b)) = (of(a)?, of(b)?) else {
            return Ok(false);
        };
        // Every integer is a number.
        let kind = |name: &&'static str| if *name == "integer" { "number" } else { *name };
        let of_b: Vec<&str> = of_b.iter().map(kind).collect();
        if !of_a.iter().map(kind).any(|name| of_b.contains(&name)) {
            return Ok(true);
        }
        if [of_a.as_slice(), of_b.as_slice()] != [["object"], ["object"]] {
            return Ok(false);
        }
        let Some(Value::Object(properties)) = a.get("properties") else {
            return Ok(false);
        };
        let tells_apart = |(name, of_a): &(String, Value)| {
            let of_b = b
                .get("properties")
                .and_then(|properties| properties.get(name));
            let needed = |schema: &Value| match schema.get("required") {
                Some(Value::Array(names)) => names.contains(&Value::String(name.clone())),
                _ => false,
            };
            match (constants_of(of_a), of_b.and_then(constants_of)) {
                (Some(x), Some(y)) if needed(a) && needed(b) => {
                    !x.iter().any(|x| y.iter().any(|y| x.same(y)))
                }
                _ => false,
            }
        };
        Ok(properties.iter().any(tells_apart))
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

    fn array(&self, schema: &'v Value) -> Expression {
        let (least, most) = self.counts(schema, "minItems", "maxItems")?;
        if let Some(prefix) = schema.get("prefixItems") {
            let Value::Array(items) = prefix else {
                return self.expected("prefixItems", "a list of schemas");
            };
            if !matches!(schema.get("items"), None | Some(Value::Bool(_))) {
                let keyword = Problem::Keyword("items".to_owned());
                return self.at("items").wrong(keyword);
            }
            let count = items.len() as u64;
            if count < least || most.is_some_and(|most| count > most) {
                return self.wrong(Problem::Nothing);
            }
            let place = self.at("prefixItems");
            let items = items.iter().enumerate();
            let items = self.all(items.map(|(n, item)| place.at(n).schema(item)))?;
            return Ok(format!(r"\[{}\]", items.join(",")));
        }
        if most == Some(0) {
            return Ok(r"\[\]".to_owned());
        }
        let item = match schema.get("items") {
            Some(items) => self.at("items").schema(items)?,
            None => return self.at("items").wrong(Problem::Anything),
        };
        let (first, last) = (
            least.saturating_sub(1),
            most.map_or(String::new(), |most| (most - 1).to_string()),
        );
        let some = format!("{item}(?:,{item}){{{first},{last}}}");
        let some = if least == 0 {
            format!("(?:{some})?")
        } else {
            some
        };
        self.any(vec![format!(r"\[{some}\]")])
    }

    fn object(&self, schema: &'v Value) -> Expression {
        let properties: &[(String, Value)] = match schema.get("properties") {
            None => &[],
            Some(Value::Object(properties)) => properties,
            Some(_) => return self.expected("properties", "an object of schemas"),
        };
        if let Some(value) = schema.get("additionalProperties")
            && !matches!(value, Value::Bool(_))
        {
            return self.expected("additionalProperties", "true or false");
        }
        let required = self.required(schema, properties)?;
        let place = self.at("properties");
        let members = self.all(properties.iter().map(|(name, schema)| {
            let value = place.at(name).schema(schema)?;
            let key = regex_syntax::escape(&write_text(name));
            Ok(format!("{key}:{value}"))
        }))?;
        let needed = properties
            .iter()
            .map(|(name, _)| required.contains(&name.as_str()));
        let members: Vec<(String, bool)> = members.into_iter().zip(needed).collect();
        // For each member: what may follow after another member, and what if it is the first.
        let (mut rest, mut first) = (String::new(), String::new());
        for (member, required) in members.iter().rev() {
            (first, rest) = match required {
                true => (format!("{member}{rest}"), format!(",{member}{rest}")),
                false => (
                    format!("(?:{member}{rest}|{first})"),
                    format!("(?:,{member})?{rest}"),
                ),
            };
            if first.len() > MAX_BYTES {
                return self.wrong(Problem::Large);
            }
        }
        Ok(format!(r"\{{{first}\}}"))
    }

    fn required(
        &self,
        schema: &'v Value,
        properties: &[(String, Value)],
    ) -> Result<Vec<&'v str>, SchemaError> {
        let names = match schema.get("required") {
            None => return Ok(Vec::new()),
            Some(Value::Array(names)) => names,
            Some(_) => return self.expected("required", "a list of names"),
        };
        let mut required = Vec::new();
        for name in names {
            let Value::String(name) = name else {
                return self.expected("required", "a list of names");
            };
            if !properties.iter().any(|(known, _)| known == name) {
                return self.at("required").wrong(Problem::NoProperty(name.clone()));
            }
            required.push(name.as_str());
        }
        Ok(required)
    }
}

/// Whether it is a keyword of some type.
fn is_keyword(key: &str) -> bool {
    TYPES.iter().any(|(_, keywords)| keywords.contains(&key))
}

fn is_whole(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// The type of a value.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values of a schema that has only constants.
fn constants_of(schema: &Value) -> Option<&[Value]> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(std::slice::from_ref(value)),
        (None, Some(Value::Array(values))) => Some(values),
        _ => None,
    }
}
