//! Finds an adapter in a console capture: see [`protocol::armour`].
//!
//! The capture has other output around it, and possibly in between: prompts, audit's notices, colours, either kind of
//! line break. The hash reveals anything lost or changed, and with a key the signature shows who made it.

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::VerifyingKey;
use llm_core::hash::sha256;
use protocol::armour::{BEGIN, COLUMNS, END, LINE_BYTES, member};
use protocol::hash::{Hash, Hex, SIGNATURE_BYTES};
use protocol::name::ModelName;

use crate::error::ArmourError;
use crate::keys::{self, parse_hex};

/// An exported adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its name on the device.
    pub name: ModelName,
    /// Its file.
    pub file: Vec<u8>,
    /// SHA-256 of the file, which matches the export's.
    pub sha256: Hash,
    /// SHA-256 of the model file that it was made for.
    pub base_sha256: Hash,
    /// Signature over the file's SHA-256 by the device's key. Not checked yet.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Exported {
    /// The last complete export in a capture, or the last of this name.
    ///
    /// # Errors
    /// There is no such export, or it is damaged.
    pub fn read(capture: &[u8], wanted: Option<&str>) -> Result<Self, ArmourError> {
        let lines = capture.split(|byte| *byte == b'\n').map(clean);
        let lines: Vec<String> = lines.collect();
        let mut begun = None;
        let mut whole = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            // The text before it is the console's prompt.
            if line.ends_with(BEGIN) {
                begun = Some(index);
            } else if line == END
                && let Some(begin) = begun.take()
            {
                whole.push((begin, index));
            }
        }
        let name = |&(begin, end): &(usize, usize)| {
            let text = value(&lines[begin..end], member::NAME)?;
            ModelName::new(text).filter(|name| !name.is_empty())
        };
        let found = whole.iter().rfind(|part| {
            wanted.is_none_or(|wanted| name(part).is_some_and(|n| n.as_str() == wanted))
        });
        let Some(&(begin, end)) = found else {
            return Err(match (whole.is_empty(), begun, wanted) {
                (false, _, Some(wanted)) => {
                    let there = whole.iter().filter_map(name);
                    let there: Vec<String> = there.map(|name| format!("'{name}'")).collect();
                    ArmourError::NoSuchName {
                        wanted: wanted.to_owned(),
                        there: there.join(", "),
                    }
                }
                (_, Some(begin), _) => ArmourError::NoEnd { line: begin + 1 },
                _ => ArmourError::NoBegin,
            });
        };
        Self::of_lines(&lines, begin, end)
    }

    /// The export between these two lines.
    fn of_lines(lines: &[String], begin: usize, end: usize) -> Result<Self, ArmourError> {
        let inside = &lines[begin..end];
        let missing = |member| ArmourError::Member {
            line: begin + 1,
            member,
        };
        let text = |member| value(inside, member).ok_or(missing(member));
        let name = ModelName::new(text(member::NAME)?).filter(|name| !name.is_empty());
        let name = name.ok_or(missing(member::NAME))?;
        let bytes: u64 = text(member::BYTES)?
            .parse()
            .map_err(|_| missing(member::BYTES))?;
        let expected: Hash = parse_hex(text(member::SHA256)?).ok_or(missing(member::SHA256))?;
        let base_sha256 =
            parse_hex(text(member::BASE_SHA256)?).ok_or(missing(member::BASE_SHA256))?;
        let signature = parse_hex(text(member::SIGNATURE)?).ok_or(missing(member::SIGNATURE))?;
        let file = body(inside, begin, name, bytes)?;
        let found = sha256(&file);
        if found != expected {
            return Err(ArmourError::Hash {
                name,
                found: Hex(&found).to_string(),
                expected: Hex(&expected).to_string(),
            });
        }
        Ok(Self {
            name,
            file,
            sha256: expected,
            base_sha256,
            signature,
        })
    }

    /// Checks who made it.
    ///
    /// # Errors
    /// The device with this key did not.
    pub fn check(&self, device: &VerifyingKey) -> Result<(), ArmourError> {
        let by = keys::signer([((), device)], &self.sha256, &self.signature);
        by.ok_or(ArmourError::Signature { name: self.name })
    }
}

/// The file: `bytes` bytes in lines of Base64, among other lines that cannot be mistaken for it. Full lines are
/// recognised by their length; the last one is the line nearest to the end that has the missing length.
fn body(
    inside: &[String],
    begin: usize,
    name: ModelName,
    bytes: u64,
) -> Result<Vec<u8>, ArmourError> {
    let (full, rest) = (bytes / LINE_BYTES as u64, bytes % LINE_BYTES as u64);
    let last = 4 * rest.div_ceil(3) as usize;
    let is_base64 = |line: &&(usize, &String)| {
        let mut bytes = line.1.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    };
    let numbered: Vec<(usize, &String)> = inside.iter().enumerate().collect();
    let candidates = numbered.iter().filter(is_base64);
    let mut lines: Vec<&(usize, &String)> = candidates
        .clone()
        .filter(|(_, line)| line.len() == COLUMNS)
        .collect();
    let expected = full + u64::from(rest > 0);
    if rest > 0 && last < COLUMNS {
        let mut of_length = candidates.filter(|(_, line)| line.len() == last);
        let after = lines.last().map_or(0, |line| line.0);
        lines.extend(of_length.rfind(|line| line.0 > after));
    }
    let found = lines.len() as u64;
    if found != expected {
        return Err(ArmourError::Lines {
            name,
            found,
            expected,
            bytes,
        });
    }
    let mut file = Vec::new();
    for (index, line) in lines {
        let mut buffer = [0; LINE_BYTES];
        let part = Base64::decode(line, &mut buffer).map_err(|_| ArmourError::Base64 {
            line: begin + index + 1,
        })?;
        file.extend_from_slice(part);
    }
    Ok(file)
}

/// The rest of the last line with this prefix.
fn value<'l>(lines: &'l [String], member: &str) -> Option<&'l str> {
    let mut lines = lines.iter().rev();
    lines.find_map(|line| line.strip_prefix(member))
}

/// A line without its line break, escape sequences (ECMA-48: ESC [ … and a letter), and trailing spaces.
fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut cleaned = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            cleaned.push(character);
        } else if characters.next() == Some('[') {
            // Skip up to and including its letter.
            characters.by_ref().find(|c| c.is_ascii_alphabetic());
        }
    }
    cleaned.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use protocol::armour::Closing;
    use protocol::wire::client;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// What the shell prints for a file.
    fn armour(name: &str, file: &[u8]) -> String {
        let digest = sha256(file);
        let exported = client::Exported {
            name: ModelName::new(name).unwrap(),
            file_bytes: file.len() as u64,
            sha256: digest,
            base_sha256: [7; 32],
            signature: keys::sign(&key(1), &digest),
        };
        let mut text = format!("{BEGIN}\n");
        for line in file.chunks(LINE_BYTES) {
            let mut buffer = [0; COLUMNS];
            text.push_str(Base64::encode(line, &mut buffer).unwrap());
            text.push('\n');
        }
        format!("{text}{}\n{END}\n", Closing(&exported))
    }

    fn file(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn a_file_of_any_length_comes_back_as_it_was() {
        for bytes in [1, 2, 3, 54, 55, 56, 57, 58, 113, 114, 115, 5000] {
            let exported = Exported::read(armour("moral", &file(bytes)).as_bytes(), None).unwrap();
            assert_eq!(exported.file, file(bytes), "{bytes}");
            assert_eq!(exported.name.as_str(), "moral");
            assert_eq!(exported.base_sha256, [7; 32]);
            assert_eq!(exported.check(&key(1).verifying_key()), Ok(()));
            let other = exported.check(&key(2).verifying_key());
            assert!(matches!(other, Err(ArmourError::Signature { .. })));
        }
    }

    #[test]
    fn what_a_console_prints_around_and_in_between_is_passed_over() {
        let plain = armour("moral", &file(300));
        let mut lines: Vec<&str> = plain.lines().collect();
        lines.insert(4, "audit: inference serves again after 0.01 s (restart 1)");
        lines.insert(3, "llmstats");
        lines.insert(2, "");
        let text = format!(
            "boot\n\x1b[1mllm> \x1b[0mllmctl adapter export moral\r\nllm> {}\r\n\x1b[1mllm> \x1b[0m",
            lines.join("  \x1b[0m\r\n")
        );
        let exported = Exported::read(text.as_bytes(), None).unwrap();
        assert_eq!(exported.file, file(300));
    }

    #[test]
    fn the_last_one_counts_or_the_last_of_a_name() {
        let text = [
            armour("first", &file(10)),
            armour("second", &file(20)),
            armour("first", &file(30)),
            format!("{BEGIN}\nAAAA\n"),
        ]
        .concat();
        let bytes = |wanted| Exported::read(text.as_bytes(), wanted).map(|e| e.file.len());
        assert_eq!(bytes(None), Ok(30));
        assert_eq!(bytes(Some("first")), Ok(30));
        assert_eq!(bytes(Some("second")), Ok(20));
        let missing = bytes(Some("third")).unwrap_err().to_string();
        assert!(
            missing.contains("found: 'first', 'second', 'first'"),
            "{missing}"
        );
    }

    #[test]
    fn what_was_lost_or_changed_is_named() {
        let whole = armour("moral", &file(300));
        let error = |text: &str| Exported::read(text.as_bytes(), None).unwrap_err();
        assert_eq!(error("llm> "), ArmourError::NoBegin);
        let cut = whole.replace(END, "");
        assert_eq!(error(&cut), ArmourError::NoEnd { line: 1 });
        let lines: Vec<&str> = whole.lines().collect();
        for lost in 1..=6 {
            let mut fewer = lines.clone();
            fewer.remove(lost);
            let error = error(&fewer.join("\n"));
            assert!(
                matches!(error, ArmourError::Lines { .. }),
                "{lost}: {error}"
            );
        }
        for lost in 7..=11 {
            let mut fewer = lines.clone();
            fewer.remove(lost);
            let error = error(&fewer.join("\n"));
            assert!(
                matches!(error, ArmourError::Member { .. }),
                "{lost}: {error}"
            );
        }
        let other = if lines[2].starts_with('A') { "B" } else { "A" };
        let changed = whole.replacen(lines[2], &format!("{other}{}", &lines[2][1..]), 1);
        assert!(matches!(error(&changed), ArmourError::Hash { .. }));
        let changed = whole.replacen(lines[2], &format!("=={}", &lines[2][2..]), 1);
        assert_eq!(error(&changed), ArmourError::Base64 { line: 3 });
        let huge = whole.replace("Bytes: 300", &format!("Bytes: {}", u64::MAX));
        assert!(matches!(error(&huge), ArmourError::Lines { .. }));
    }
}
