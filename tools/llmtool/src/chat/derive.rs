//! Derives the scaffold of a template from what its Jinja makes of conversations with markers.
//!
//! The text between markers is compared in units: a special token, or a character. How it is divided between the end of
//! one turn and the beginning of the next does not change the output, but a session that continues needs only the
//! former. What the template writes if no answer is requested distinguishes them.

use llm_core::chat::{MAX_REFUSED, Role, Scaffold, Segment, System, SystemPlace, Trim, Turn};
use llm_core::tokenizer::{TokenType, VocabularyView};

use super::TemplateError;
use super::check::{Pair, spellings};
use super::jinja::{Date, Jinja};

// Markers that no template contains.
const SYSTEM: &str = "Qzs0";
const USER_1: &str = "Qzu1";
const ANSWER_1: &str = "Qza1";
const USER_2: &str = "Qzu2";
const ANSWER_2: &str = "Qza2";
const USER_3: &str = "Qzu3";

/// White space placed around a marker.
const SPACE: &str = " \n\u{a0}\t\n ";

/// The name of scaffolds that were derived.
const NAME: &str = "derived";

/// Derives the strings of the scaffold that does the same as a template ([`Scaffold::strings`]), and returns how many
/// conversations confirm it.
///
/// # Errors
/// There is no such scaffold.
pub fn derive(
    template: &str,
    vocabulary: &VocabularyView<'_>,
    date: Option<Date>,
) -> Result<(Vec<String>, usize), TemplateError> {
    let jinja = Jinja::new(template, vocabulary, date)?;
    let parts = Parts::of(&jinja, vocabulary)?;
    if date.is_none() && jinja.is_dated() {
        return Err(TemplateError::Date);
    }
    let mut scaffold = parts.scaffold();
    if scaffold
        .strings()
        .any(|text| text.contains("{bos}") || text.contains("{eos}"))
    {
        return Err(TemplateError::Names);
    }
    let mut pair = Pair {
        jinja: &jinja,
        scaffold,
        vocabulary: *vocabulary,
    };
    for answers in 0..4 {
        for system in [false, true] {
            if system && scaffold.system.place == SystemPlace::Nowhere {
                continue;
            }
            let mut segments = Vec::new();
            segments.extend(system.then_some(Segment::new(Role::System, "s")));
            for _ in 0..answers {
                segments.push(Segment::new(Role::User, "u"));
                segments.push(Segment::new(Role::Assistant, "a"));
            }
            segments.push(Segment::new(Role::User, "u"));
            pair.compare(&segments)?;
        }
    }
    let special = special(vocabulary);
    let mut said = spellings(template);
    said.extend(
        special
            .iter()
            .filter(|token| template.contains(*token))
            .cloned(),
    );
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let treated = pair.treated(&said);
    if treated.len() > MAX_REFUSED {
        return Err(TemplateError::Content(treated.join(", ")));
    }
    for (place, spelling) in scaffold.refused.iter_mut().zip(&treated) {
        *place = spelling;
    }
    pair.scaffold = scaffold;
    let harmless: Vec<&str> = special
        .iter()
        .map(String::as_str)
        .take(200)
        .chain(said)
        .collect();
    let allowed = |spelling: &&str| {
        !treated
            .iter()
            .any(|odd| spelling.contains(odd) || odd.contains(spelling))
    };
    let harmless: Vec<&str> = harmless.into_iter().filter(allowed).collect();
    let compared = pair.compare_random(&harmless)?;
    Ok((scaffold.strings().map(str::to_owned).collect(), compared))
}

/// The special tokens of a vocabulary, longest first.
fn special(vocabulary: &VocabularyView<'_>) -> Vec<String> {
    let ids = 0..vocabulary.len() as u32;
    let mut special: Vec<String> = ids
        .filter(|&id| {
            matches!(
                vocabulary.token_type(id),
                TokenType::Control | TokenType::UserDefined | TokenType::Unknown
            )
        })
        .filter_map(|id| String::from_utf8(vocabulary.piece(id).to_vec()).ok())
        .filter(|piece| !piece.trim().is_empty())
        .collect();
    special.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    special
}

/// The parts of a scaffold.
#[derive(Debug, Default)]
struct Parts {
    begin: String,
    place: SystemPlace,
    system: [String; 2],
    default: String,
    user: [String; 2],
    assistant: [String; 2],
    generation: String,
    system_trim: Trim,
    user_trim: Trim,
    /// For the user's text after a system text.
    behind_trim: Trim,
    assistant_trim: Trim,
}

impl Parts {
    fn scaffold(&self) -> Scaffold<'_> {
        fn turn(parts: &[String; 2], trim: Trim) -> Turn<'_> {
            let [before, after] = parts;
            Turn {
                before,
                trim,
                after,
            }
        }
        Scaffold {
            name: NAME,
            begin: &self.begin,
            system: System {
                place: self.place,
                turn: turn(&self.system, self.system_trim),
                default: &self.default,
                user_trim: self.behind_trim,
            },
            user: turn(&self.user, self.user_trim),
            assistant: turn(&self.assistant, self.assistant_trim),
            generation: &self.generation,
            refused: [""; MAX_REFUSED],
        }
    }

    fn of(jinja: &Jinja, vocabulary: &VocabularyView<'_>) -> Result<Self, TemplateError> {
        let special = special(vocabulary);
        let common =
            |one: &str, other: &str| shared(&units(one, &special), &units(other, &special));
        let user = |text| Segment::new(Role::User, text);
        let assistant = |text| Segment::new(Role::Assistant, text);
        let system = Segment::new(Role::System, SYSTEM);
        let between = |segments: &[Segment<'_>], generation| between(jinja, segments, generation);

        let one = between(&[user(USER_1)], true)?;
        let three = between(&[user(USER_1), assistant(ANSWER_1), user(USER_2)], true)?;
        let five = [
            user(USER_1),
            assistant(ANSWER_1),
            user(USER_2),
            assistant(ANSWER_2),
            user(USER_3),
        ];
        let five = between(&five, true)?;
        if one[0] != three[0] || three[0] != five[0] {
            return Err(TemplateError::Uneven("before the first text"));
        }
        if three[3] != one[1] || five[5] != one[1] {
            return Err(TemplateError::Uneven("behind the last text"));
        }
        if three[1] != five[1] || five[1] != five[3] {
            return Err(TemplateError::Uneven(
                "between a user's text and the answer",
            ));
        }
        if three[2] != five[2] || five[2] != five[4] {
            return Err(TemplateError::Uneven("between an answer and the next text"));
        }
        let (head, to_answer, to_user, tail) = (&one[0], &three[1], &three[2], &one[1]);

        // The ends of an answer and of a user's turn.
        let unasked = between(&[user(USER_1), assistant(ANSWER_1)], false);
        let after_answer = unasked.map_or(String::new(), |parts| common(&parts[2], to_user));
        let shared_back = shared_back(&units(head, &special), &units(to_user, &special));
        let by_back = to_user.strip_suffix(shared_back.as_str()).unwrap_or("");
        let has_special = |text: &str| special.iter().any(|token| text.contains(token.as_str()));
        let ends = if has_special(by_back) || !has_special(&after_answer) {
            by_back.to_owned()
        } else {
            after_answer
        };
        let mut before_user = to_user.strip_prefix(ends.as_str()).unwrap_or("").to_owned();
        let mut ends = ends;
        if !head.ends_with(&before_user) {
            ends = by_back.to_owned();
            before_user = shared_back;
        }
        let unasked = between(&[user(USER_1)], false);
        let after_user = match unasked {
            Ok(parts) => common(&parts[1], to_answer),
            Err(_) => common(tail, to_answer),
        };
        let after_user = if tail.starts_with(&after_user) {
            after_user
        } else {
            common(tail, to_answer)
        };
        let cut = |text: &str, start: &str| text.strip_prefix(start).unwrap_or("").to_owned();
        let mut parts = Self {
            user: [before_user.clone(), after_user.clone()],
            assistant: [cut(to_answer, &after_user), ends],
            generation: cut(tail, &after_user),
            ..Self::default()
        };

        // The system text.
        let start = head.strip_suffix(before_user.as_str()).unwrap_or(head);
        parts.begin = start.to_owned();
        let short = between(&[system, user(USER_1)], true);
        match short {
            Ok(short) => {
                let long = [system, user(USER_1), assistant(ANSWER_1), user(USER_2)];
                let whole = jinja.render(&long, true)?;
                let late = whole.find(SYSTEM) > whole.find(USER_1);
                parts.take_system(start, &before_user, &short, late, vocabulary);
            }
            // It refuses or drops a system text.
            Err(_) => parts.place = SystemPlace::Nowhere,
        }
        parts.take_trims(jinja)?;
        Ok(parts)
    }

    /// Divides the text around a system text. `start` is what is written before the first turn without one; `late` if
    /// the system text is after the first user's turn in a longer conversation.
    fn take_system(
        &mut self,
        start: &str,
        before_user: &str,
        short: &[String],
        late: bool,
        vocabulary: &VocabularyView<'_>,
    ) {
        let (before, after) = (&short[0], &short[1]);
        if let Some(after) = after
            .strip_suffix(before_user)
            .filter(|_| !before_user.is_empty())
        {
            self.place = SystemPlace::First;
            let bos = vocabulary.bos().map_or(&[][..], |id| vocabulary.piece(id));
            let bos = std::str::from_utf8(bos).unwrap_or("");
            let begin = if before.starts_with(start) {
                start
            } else if start.starts_with(bos) && before.starts_with(bos) {
                bos
            } else {
                ""
            };
            let cut = |text: &str| text.strip_prefix(begin).unwrap_or("").to_owned();
            self.system = [cut(before), after.to_owned()];
            self.default = cut(start);
            self.begin = begin.to_owned();
            return;
        }
        let inside = format!("{start}{before_user}");
        let Some(before) = before.strip_prefix(inside.as_str()) else {
            // The comparison will reveal it.
            return;
        };
        self.place = if late {
            SystemPlace::LastUser
        } else {
            SystemPlace::FirstUser
        };
        self.system = [before.to_owned(), after.clone()];
    }

    /// Determines which texts are trimmed.
    fn take_trims(&mut self, jinja: &Jinja) -> Result<(), TemplateError> {
        let plain = [
            Segment::new(Role::User, USER_1),
            Segment::new(Role::Assistant, ANSWER_1),
            Segment::new(Role::User, USER_2),
        ];
        let whole = jinja.render(&plain, true)?;
        let spaced = |marker: &str| format!("{SPACE}{marker}{SPACE}");
        let with = |place: usize, text: &str, plain: &[Segment<'_>]| {
            let mut segments: Vec<Segment<'_>> = Vec::new();
            for (at, segment) in plain.iter().enumerate() {
                segments.push(if at == place {
                    Segment::new(segment.role, text)
                } else {
                    *segment
                });
            }
            jinja.render(&segments, true)
        };
        let first = trim(
            &whole,
            &with(0, &spaced(USER_1), &plain)?,
            USER_1,
            "a user's text",
        )?;
        let last = trim(
            &whole,
            &with(2, &spaced(USER_2), &plain)?,
            USER_2,
            "a user's text",
        )?;
        if first != last {
            return Err(TemplateError::WhiteSpace(
                "the first text of a user, but not around others",
            ));
        }
        self.user_trim = last;
        let answer = with(1, &spaced(ANSWER_1), &plain)?;
        self.assistant_trim = trim(&whole, &answer, ANSWER_1, "an answer")?;
        if self.place == SystemPlace::Nowhere {
            return Ok(());
        }
        let plain = [
            Segment::new(Role::System, SYSTEM),
            Segment::new(Role::User, USER_1),
        ];
        let whole = jinja.render(&plain, true)?;
        let said = with(0, &spaced(SYSTEM), &plain)?;
        self.system_trim = trim(&whole, &said, SYSTEM, "the system's text")?;
        let behind = with(1, &spaced(USER_1), &plain)?;
        self.behind_trim = trim(&whole, &behind, USER_1, "a user's text")?;
        Ok(())
    }
}

/// The ends at which a marker was trimmed, given the output without and with white space.
fn trim(
    plain: &str,
    spaced: &str,
    marker: &str,
    whose: &'static str,
) -> Result<Trim, TemplateError> {
    for front in [false, true] {
        for back in [false, true] {
            let kept = |lost: bool| if lost { "" } else { SPACE };
            let text = format!("{}{marker}{}", kept(front), kept(back));
            if spaced == plain.replacen(marker, &text, 1) {
                return Ok(Trim { front, back });
            }
        }
    }
    Err(TemplateError::WhiteSpace(whose))
}

/// The texts before, between and after the markers of a conversation.
fn between(
    jinja: &Jinja,
    segments: &[Segment<'_>],
    generation: bool,
) -> Result<Vec<String>, TemplateError> {
    let text = jinja.render(segments, generation)?;
    let mut markers: Vec<&str> = segments.iter().map(|segment| segment.text).collect();
    // It may be in the last turn.
    if markers.first() == Some(&SYSTEM) {
        let place = |marker: &str| text.find(marker).unwrap_or(usize::MAX);
        markers.sort_by_key(|marker| place(marker));
    }
    split(&text, &markers)
}

fn split(text: &str, markers: &[&str]) -> Result<Vec<String>, TemplateError> {
    let mut rest = text;
    let mut parts = Vec::new();
    for marker in markers {
        if text.matches(marker).count() != 1 {
            return Err(TemplateError::Order("a text is left out or repeated"));
        }
        let (part, behind) = rest
            .split_once(marker)
            .ok_or(TemplateError::Order("texts change places"))?;
        parts.push(part.to_owned());
        rest = behind;
    }
    parts.push(rest.to_owned());
    Ok(parts)
}

/// A text as special tokens and characters.
fn units<'t>(text: &'t str, special: &[String]) -> Vec<&'t str> {
    let mut units = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let token = special
            .iter()
            .find(|token| rest.starts_with(token.as_str()));
        let len = token.map_or(first.len_utf8(), String::len);
        let (unit, behind) = rest.split_at(len);
        units.push(unit);
        rest = behind;
    }
    units
}

/// The longest common prefix of two texts.
fn shared(one: &[&str], other: &[&str]) -> String {
    let pairs = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other);
    pairs.map(|(unit, _)| *unit).collect()
}

/// The longest common suffix of two texts.
fn shared_back(one: &[&str], other: &[&str]) -> String {
    let pairs = one.iter().rev().zip(other.iter().rev());
    let mut units: Vec<&str> = pairs
        .take_while(|(one, other)| one == other)
        .map(|(unit, _)| *unit)
        .collect();
    units.reverse();
    units.concat()
}
