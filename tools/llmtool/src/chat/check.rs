//! Checks whether a scaffold does the same as a template.

use llm_core::chat::{Role, Scaffold, Segment, SystemPlace};
use llm_core::tokenizer::VocabularyView;

use super::jinja::Jinja;
use super::random::{self, Source};
use super::{TemplateError, render};

/// Number of random conversations to compare.
const CONVERSATIONS: usize = 400;

/// Maximum number of the user's turns in one.
const TURNS: usize = 6;

/// Spellings of the template that are tried in pairs.
const MOST_SPELLINGS: usize = 60;

/// A template and the scaffold that should do the same.
#[derive(Debug)]
pub struct Pair<'p> {
    /// The template.
    pub jinja: &'p Jinja,
    /// The scaffold.
    pub scaffold: Scaffold<'p>,
    /// The model's vocabulary.
    pub vocabulary: VocabularyView<'p>,
}

impl Pair<'_> {
    /// Compares what both make of a conversation.
    ///
    /// # Errors
    /// [`TemplateError::Differs`], or the template refuses it.
    pub fn compare(&self, segments: &[Segment<'_>]) -> Result<(), TemplateError> {
        let template = self.jinja.render(segments, true)?;
        let scaffold = match render(&self.scaffold, &self.vocabulary, segments) {
            Ok(text) => text,
            Err(error) => format!("({error})"),
        };
        if template == scaffold {
            return Ok(());
        }
        Err(TemplateError::Differs {
            segments: segments.len(),
            template: excerpt(&template, &scaffold),
            scaffold: excerpt(&scaffold, &template),
        })
    }

    fn roles(&self) -> impl Iterator<Item = Role> + use<> {
        let system = (self.scaffold.system.place != SystemPlace::Nowhere).then_some(Role::System);
        [Role::User, Role::Assistant].into_iter().chain(system)
    }

    /// Whether both agree when a text of this role is `text`.
    fn agrees(&self, role: Role, text: &str) -> bool {
        let user = Segment::new(Role::User, "q");
        let odd = Segment::new(role, text);
        let both = |segments: &[Segment<'_>]| self.compare(segments).is_ok();
        match role {
            Role::System => both(&[odd, user]),
            Role::User => both(&[odd]) && both(&[odd, Segment::new(Role::Assistant, "a"), user]),
            Role::Assistant => both(&[user, odd, user]),
        }
    }

    /// Those of `spellings` that the template treats specially, alone or with another at the other end of a text.
    #[must_use]
    pub fn treated<'s>(&self, spellings: &[&'s str]) -> Vec<&'s str> {
        let mut treated: Vec<&str> = Vec::new();
        for &spelling in spellings {
            let odd = |role| {
                let texts = [
                    spelling.to_owned(),
                    format!("x {spelling} y"),
                    format!("{spelling}y"),
                    format!("x\n{spelling}"),
                ];
                let mut texts = texts.iter().filter(|text| !text.trim().is_empty());
                !texts.all(|text| self.agrees(role, text))
            };
            if self.roles().any(odd) {
                treated.push(spelling);
            }
        }
        let some: Vec<&str> = spellings.iter().copied().take(MOST_SPELLINGS).collect();
        for &first in &some {
            for &second in &some {
                if treated.contains(&first) || treated.contains(&second) {
                    continue;
                }
                let text = format!("{first}x{second}");
                if self.roles().any(|role| !self.agrees(role, &text)) {
                    treated.push(first);
                }
            }
        }
        treated
    }

    /// Compares many random conversations whose texts contain `spellings`.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare_random(&self, spellings: &[&str]) -> Result<usize, TemplateError> {
        let system = self.scaffold.system.place != SystemPlace::Nowhere;
        let mut source = Source(1);
        for _ in 0..CONVERSATIONS {
            let conversation = random::conversation(&mut source, TURNS, system, spellings);
            self.compare(&random::segments(&conversation))?;
        }
        Ok(CONVERSATIONS)
    }
}

/// The surroundings of the first difference between two texts.
fn excerpt(text: &str, other: &str) -> String {
    let differs = text
        .char_indices()
        .zip(other.chars().map(Some).chain(std::iter::repeat(None)))
        .find(|((_, one), other)| Some(*one) != *other)
        .map_or(text.len(), |((at, _), _)| at);
    let before: String = text[..differs].chars().rev().take(40).collect();
    let before: String = before.chars().rev().collect();
    let after: String = text[differs..].chars().take(60).collect();
    format!("… {:?} {:?} …", before, after)
}

/// The string literals of a template, unescaped.
#[must_use]
pub fn spellings(template: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = template.chars();
    while let Some(quote) = rest.next() {
        if quote != '\'' && quote != '"' {
            continue;
        }
        let mut text = String::new();
        let mut ahead = rest.clone();
        while let Some(character) = ahead.next() {
            match character {
                '\\' => text.push(match ahead.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some(other) => other,
                    None => break,
                }),
                other if other == quote => {
                    let parts = text.trim();
                    if (1..=64).contains(&parts.len()) && !found.iter().any(|one| one == parts) {
                        found.push(parts.to_owned());
                    }
                    rest = ahead;
                    break;
                }
                other => text.push(other),
            }
        }
    }
    found
}
