//! References, constants and alternatives.

use super::error::{Problem, SchemaError};
use super::keywords::{is_whole, type_of};
use super::value::Value;
use super::{Expression, MAX_REFERENCES, Place};

impl<'v> Place<'v> {
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

    pub(super) fn reference(&self, reference: &'v Value) -> Expression {
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
    pub(super) fn constants(&self, schema: &Value, values: &[Value]) -> Expression {
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

    pub(super) fn any_of(&self, keyword: &'static str, branches: &'v Value) -> Expression {
        let branches = self.branches(keyword, branches)?;
        let place = self.at(keyword);
        let parts = branches.iter().enumerate();
        self.any(self.all(parts.map(|(n, branch)| place.at(n).schema(branch)))?)
    }

    pub(super) fn one_of(&self, branches: &'v Value) -> Expression {
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
}

/// The values of a schema that has only constants.
fn constants_of(schema: &Value) -> Option<&[Value]> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(std::slice::from_ref(value)),
        (None, Some(Value::Array(values))) => Some(values),
        _ => None,
    }
}
