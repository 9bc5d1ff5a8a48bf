//! Known keywords and types.

use super::value::Value;
use serde_json::Number;

/// Keywords that do not constrain values.
pub(super) const ANNOTATIONS: [&str; 12] = [
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
pub(super) const TYPES: [(&str, &[&str]); 7] = [
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

/// Whether it is a keyword of some type.
pub(super) fn is_keyword(key: &str) -> bool {
    TYPES.iter().any(|(_, keywords)| keywords.contains(&key))
}

pub(super) fn is_whole(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// The type of a value.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
