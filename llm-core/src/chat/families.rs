//! Published chat templates.
use super::Scaffold;
use super::source::template_digest;

/// A template that is known by all of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// SHA-256 of the template's text in hexadecimal digits.
    pub sha256: &'static str,
    /// What it computes.
    pub scaffold: Scaffold<'static>,
}

/// The published template that this is, if it is one.
#[must_use]
pub fn recognise(template: &str) -> Option<Published> {
    let text = template.strip_suffix('\n').unwrap_or(template);
    let digest = template_digest(text);
    PUBLISHED
        .iter()
        .find(|published| published.sha256.as_bytes() == digest)
        .copied()
}
const PUBLISHED: &[Published] = &[];
