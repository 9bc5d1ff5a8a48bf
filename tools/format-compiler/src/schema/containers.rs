//! Arrays and objects.

use super::error::{Problem, SchemaError};
use super::value::{Value, write_text};
use super::{Expression, MAX_BYTES, Place};

impl<'v> Place<'v> {
    pub(super) fn array(&self, schema: &'v Value) -> Expression {
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

    pub(super) fn object(&self, schema: &'v Value) -> Expression {
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
