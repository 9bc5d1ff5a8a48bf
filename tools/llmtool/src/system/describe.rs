//! Writes the description and the policy of a system for a model.

use super::layout::Layout;
use crate::error::ToolError;
use crate::files;
use std::path::Path;
use sysdesc::System;
use toml_edit::{DocumentMut, TomlError, value};

/// The template with regions of the layout's sizes, at addresses where they do not overlap.
pub(super) fn describe(layout: &Layout, template: &Path) -> Result<String, ToolError> {
    let wrong = |reason: String| ToolError::Template {
        path: template.to_path_buf(),
        reason,
    };
    let bytes = files::read(template)?;
    let mut text =
        String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8; save it as UTF-8".into()))?;
    let before = System::parse(&text).map_err(|error| wrong(error.to_string()))?;
    let place = |region: &str| {
        let maps = before.domains.iter().flat_map(|domain| &domain.maps);
        let mut maps = maps.filter(|map| before.regions[map.region].name == region);
        let first = maps.next();
        first
            .map(|map| map.vaddr)
            .ok_or_else(|| wrong(format!("nobody maps a region '{region}'")))
    };
    let arena_at = place("arena")?.next_multiple_of(layout.page);
    let store_at = place("model_store")?
        .max(arena_at + layout.arena)
        .next_multiple_of(layout.page);
    for (region, bytes, at) in [
        ("arena", layout.arena, arena_at),
        ("model_store", layout.store, store_at),
    ] {
        let tag = format!("<memory_region name=\"{region}\"");
        let values = [("size", bytes), ("page_size", layout.page)];
        change(&mut text, &tag, &values).ok_or_else(|| wrong(format!("{tag} has no size")))?;
        let tag = format!("<map mr=\"{region}\"");
        change(&mut text, &tag, &[("vaddr", at)])
            .ok_or_else(|| wrong(format!("{tag} has no vaddr")))?;
    }
    // Parses what was meant, or fails if the template has an unforeseen form.
    let after = System::parse(&text).map_err(|error| wrong(error.to_string()))?;
    for (name, bytes) in [("arena", layout.arena), ("model_store", layout.store)] {
        let mut regions = after.regions.iter().filter(|region| region.name == name);
        if regions.next().map(|region| region.size) != Some(bytes) {
            return Err(wrong(format!(
                "the size of '{name}' cannot be changed in it"
            )));
        }
    }
    Ok(text)
}

/// Sets attributes of all elements that begin with `tag`; `None` if there is no such element or attribute.
fn change(text: &mut String, tag: &str, values: &[(&str, u64)]) -> Option<()> {
    let mut from = 0;
    let mut found = None;
    while let Some(at) = text.get(from..)?.find(tag) {
        let start = from + at;
        let end = start + text.get(start..)?.find('>')?;
        let mut element = text.get(start..end)?.to_owned();
        for (name, value) in values {
            let attribute = format!(" {name}=\"");
            let begin = element.find(&attribute)? + attribute.len();
            let length = element.get(begin..)?.find('"')?;
            element.replace_range(begin..begin + length, &format!("{value:#x}"));
        }
        text.replace_range(start..end, &element);
        from = start + element.len();
        found = Some(());
    }
    found
}

/// Files of JSON schemas: names and contents.
type Schemas = Vec<(String, Vec<u8>)>;

/// The template with this machine's key, the context, and the time limits that a larger model needs.
pub(super) fn adapt_policy(
    layout: &Layout,
    template: &Path,
) -> Result<(String, Schemas), ToolError> {
    let wrong = |reason: String| ToolError::Template {
        path: template.to_path_buf(),
        reason,
    };
    let bytes = files::read(template)?;
    let text =
        String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8; save it as UTF-8".into()))?;
    let mut document: DocumentMut = text.parse().map_err(|error: TomlError| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.as_bytes().get(..start).unwrap_or_default();
        ToolError::Policy {
            path: template.to_path_buf(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            // Some messages have several lines; an error is one.
            reason: error.message().lines().collect::<Vec<_>>().join(", "),
        }
    })?;
    let inference = document
        .get_mut("inference")
        .and_then(|item| item.as_table_mut())
        .ok_or_else(|| wrong("it has no [inference]".into()))?;
    inference.insert("context", value(layout.context as i64));
    for (name, least_ms) in [
        ("deadline", layout.deadline_s * 1000),
        ("stop-grace", layout.grace_ms),
    ] {
        let now = inference.get(name).and_then(|item| item.as_str());
        let now = now.and_then(|text| humantime::parse_duration(text).ok());
        if now.is_none_or(|now| now.as_millis() < u128::from(least_ms)) {
            // The key keeps its comment.
            inference[name] = value(format!("{least_ms}ms"));
        }
    }
    let keys = document.entry("keys").or_insert_with(toml_edit::table);
    let keys = keys
        .as_table_mut()
        .ok_or_else(|| wrong("its [keys] is not a table".into()))?;
    let mut key = toml_edit::Table::new();
    key.insert("file", value("this-machine.pub.pem"));
    keys.insert("this-machine", toml_edit::Item::Table(key));
    let schemas = take_schemas(&mut document, template.parent().unwrap_or(Path::new("")))?;
    Ok((document.to_string(), schemas))
}

/// Moves the policy's JSON schemas next to the policy: returns name and contents of each.
fn take_schemas(document: &mut DocumentMut, beside: &Path) -> Result<Schemas, ToolError> {
    let mut schemas = Vec::new();
    let formats = document.get_mut("formats");
    let formats = formats.and_then(|item| item.as_table_like_mut());
    for (_, format) in formats.into_iter().flat_map(|formats| formats.iter_mut()) {
        let file = format.get("json-schema").and_then(|file| file.as_str());
        if let Some(file) = file {
            let content = files::read(&beside.join(file))?;
            // Names of formats may not be valid file names.
            let own = format!("format-{}.schema.json", schemas.len());
            format["json-schema"] = value(&own);
            schemas.push((own, content));
        }
    }
    Ok(schemas)
}
