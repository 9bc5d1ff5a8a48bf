//! Parses the console's output for programs.
//!
//! A *mark* is a line that is not a command. The shell itself answers it, once everything before it has been answered.
//! So the output between the answers to two marks belongs to the command between the marks.

/// Whether a line is a notice that no command asked for: from audit, about a job that ended, or from the simulation
/// about a process that died.
#[must_use]
pub fn is_notice(line: &str) -> bool {
    ["audit: ", "sim: "].iter().any(|who| line.starts_with(who)) || ended_job(line).is_some()
}

/// The job that a notice is about, and its message.
#[must_use]
pub fn ended_job(line: &str) -> Option<(u32, &str)> {
    let (job, what) = line.strip_prefix("job ")?.split_once(": ")?;
    let ended = ["finished, ", "cancelled after ", "error: "];
    let is_end = ended.iter().any(|end| what.starts_with(end));
    is_end.then_some((job.parse().ok()?, what))
}

/// `text` without notices.
#[must_use]
pub fn without_notices(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !is_notice(line)).collect()
}

/// The mark with this number.
#[must_use]
pub fn mark(number: usize) -> String {
    format!("mark-{number}\n")
}

/// The shell's answer to the mark with this number.
#[must_use]
pub fn answer_to_mark(number: usize) -> String {
    format!("error: no command 'mark-{number}'; see 'help'\n")
}

/// The text of a generation, and its closing line.
#[must_use]
pub fn text_and_closing(section: &str) -> Option<(&str, &str)> {
    let section = section.strip_suffix('\n')?;
    let (text, closing) = section.rsplit_once('\n').unwrap_or(("", section));
    let is_closing = closing.starts_with('[') && closing.contains(" tokens/s");
    (is_closing || closing.starts_with("error: ")).then_some((text, closing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_end_texts() {
        assert_eq!(
            text_and_closing("a\nb\n[2 tokens, 1.0 tokens/s, end of text]\n"),
            Some(("a\nb", "[2 tokens, 1.0 tokens/s, end of text]"))
        );
        assert_eq!(text_and_closing("error: no\n"), Some(("", "error: no")));
        assert_eq!(text_and_closing("a\nb\n"), None);
        assert_eq!(
            without_notices("a\njob 3: finished, 4 tokens; x\njob 3: 4\n"),
            "a\njob 3: 4\n"
        );
    }
}
