//! Runs what the documents tell people to type: every fenced block of commands in the pages at the root of the
//! repository and in `docs/`.
//!
//! The language of a block says what it is. `console` blocks have shell commands after a prompt, which are typed into
//! the simulation. `sh` blocks have host commands, which run one after the other in a folder with the repository's
//! files. If a command cannot run here, its comment begins with the reason: `# [minutes] ...`. [`REASONS`] lists the
//! possible reasons, and [`NOT_RUN`] is the number of commands with one, so a new one must be counted.
//!
//! Another test keeps out phrases that read like a translation: those of `tests/prose/phrases.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sel4_llm_tests::session;

/// Reasons why a command is not run.
const REASONS: &[&str] = &[
    "[interactive]", // it runs until somebody ends it
    "[minutes]",     // it takes longer than a test should
    "[yours]",       // it needs a file, a key or a policy of the reader's own
    "[device]",      // it needs something that a device made
];

/// Number of commands that are not run.
const NOT_RUN: usize = 33;

/// Beginnings of host commands and of console lines: a block with such a line must be marked as one.
const COMMANDS: &[&str] = &[
    "make ",
    "llmtool ",
    "cargo ",
    "python3 ",
    "openssl ",
    "git ",
    "docker ",
    "llm> ",
    "llmctl ",
    "llminfer ",
    "llmchat",
    "llmfinetune ",
    "llmstats",
    "login admin",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).expect("a folder");
    let docs = docs.map(|entry| entry.expect("an entry").path());
    let mut docs: Vec<_> = docs
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    docs.sort();
    let at_the_root = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    docs.extend(at_the_root.map(|name| root().join(name)));
    docs
}

/// A fenced block: its place, its language, its lines.
struct Block {
    place: String,
    language: String,
    lines: Vec<String>,
}

fn blocks(path: &Path) -> Vec<Block> {
    let text = fs::read_to_string(path).expect("a document");
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let inside = lines.by_ref().take_while(|(_, line)| *line != "```");
        blocks.push(Block {
            place: format!("{}:{}", path.display(), number + 1),
            language: language.to_owned(),
            lines: inside.map(|(_, line)| line.to_owned()).collect(),
        });
    }
    blocks
}

/// A line without its comment, and the reason at the beginning of the comment.
fn split(line: &str) -> (&str, Option<&str>) {
    let Some((command, comment)) = line.split_once(" # ") else {
        return (line, None);
    };
    let comment = comment.trim_start();
    let end = comment.find(']').filter(|_| comment.starts_with('['));
    (command.trim_end(), end.map(|end| &comment[..=end]))
}

/// The host commands of a block. An open quote continues on the next line.
fn host_commands(block: &Block) -> Vec<(String, Option<String>)> {
    let mut commands: Vec<(String, Option<String>)> = Vec::new();
    let mut open = false;
    for line in &block.lines {
        let (command, reason) = split(line);
        match commands.last_mut().filter(|_| open) {
            Some((before, of_command)) => {
                *before += &format!("\n{command}");
                *of_command = of_command.take().or(reason.map(str::to_owned));
            }
            None => commands.push((command.to_owned(), reason.map(str::to_owned))),
        }
        open ^= command.matches('\'').count() % 2 == 1;
    }
    let is_command = |text: &str| !text.is_empty() && !text.starts_with('#');
    commands.retain(|(command, _)| is_command(command.trim()));
    commands
}

/// What is typed at a console: commands after the prompt, and passphrases.
fn typed(line: &str) -> Option<&str> {
    if let Some(passphrase) = line.strip_prefix("passphrase: ") {
        return Some(passphrase);
    }
    let (before, typed) = line.split_once("> ")?;
    (before == "llm" || before.ends_with("@llm")).then_some(typed)
}

/// A folder with the files that the host commands use, which they may write to.
fn workplace() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sel4-llm-documents-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("models")).expect("a folder");
    for entry in fs::read_dir(root().join("models")).expect("models") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, folder.join("models").join(path.file_name().unwrap())).expect("a copy");
    }
    for name in ["policy.toml", "system.xml"] {
        fs::copy(root().join(name), folder.join(name)).expect("a copy");
    }
    let tools = fs::canonicalize(root().join("tools")).expect("tools");
    std::os::unix::fs::symlink(tools, folder.join("tools")).expect("a link");
    // An export of a log, as a user would capture it.
    let log =
        session("login admin\nsel4\nllminfer \"One day\" -n 4 --temp 0\nllmctl audit --json\n");
    assert_eq!(log.status, Some(0));
    fs::write(folder.join("console.log"), &log.output).expect("a log");
    folder
}

#[test]
fn every_command_of_the_documents_runs_or_says_why_not() {
    let folder = workplace();
    let mut not_run = Vec::new();
    let mut ran = 0;
    let mut note = |place: &str, command: &str, reason: &str| {
        assert!(REASONS.contains(&reason), "{place}: no reason {reason:?}");
        not_run.push(format!("{reason} {command}"));
    };
    for block in documents().iter().flat_map(|path| blocks(path)) {
        let place = &block.place;
        match block.language.as_str() {
            "sh" => {
                for (command, reason) in host_commands(&block) {
                    if let Some(reason) = reason {
                        note(place, &command, &reason);
                        continue;
                    }
                    let tool = std::env::var("SEL4_LLM_LLMTOOL").expect("run this through make");
                    let tool = fs::canonicalize(root().join(tool)).expect("llmtool");
                    let tools = tool.parent().expect("a folder").display().to_string();
                    let path = std::env::var("PATH").unwrap_or_default();
                    let done = Command::new("sh")
                        .args(["-c", &command])
                        .current_dir(&folder)
                        .env("PATH", format!("{tools}:{path}"))
                        .output()
                        .expect("sh starts");
                    let said = String::from_utf8_lossy(&done.stderr);
                    assert!(done.status.success(), "{place}: {command}: {said}");
                    ran += 1;
                }
            }
            "console" => {
                let mut script = String::new();
                for line in block.lines.iter().filter_map(|line| typed(line)) {
                    match split(line) {
                        (command, Some(reason)) => note(place, command, reason),
                        (command, None) => {
                            script += &format!("{command}\n");
                            ran += 1;
                        }
                    }
                }
                assert!(!script.is_empty(), "{place}: nothing behind a prompt");
                let session = session(&script);
                let wrong = session
                    .output
                    .lines()
                    .find(|line| line.starts_with("error: "));
                assert_eq!(
                    (wrong, session.status),
                    (None, Some(0)),
                    "{place}: {script}"
                );
            }
            _ => {
                let is_command =
                    |line: &&String| COMMANDS.iter().any(|command| line.starts_with(command));
                let hidden = block.lines.iter().find(is_command);
                assert_eq!(hidden, None, "{place}: is it `sh` or `console`?");
            }
        }
    }
    let _ = fs::remove_dir_all(&folder);
    assert!(ran > 30, "{ran} commands ran");
    assert_eq!(not_run.len(), NOT_RUN, "{not_run:#?}");
}

const PHRASES: &str = "tests/prose/phrases.txt";

/// The phrases before the section `[later]`, without their comments.
fn phrases(list: &str) -> Vec<&str> {
    let now = list.lines().take_while(|line| *line != "[later]");
    now.filter_map(|line| line.split('#').next())
        .map(str::trim)
        .filter(|phrase| !phrase.is_empty())
        .collect()
}

/// The number of each line of `text` that has the beginning of a phrase, and the phrase. A phrase may continue on the
/// next line, after the marker of a comment, a list or a quotation.
fn found<'p>(text: &str, phrases: &[&'p str]) -> Vec<(usize, &'p str)> {
    let mut joined = String::new();
    let mut starts = Vec::new();
    for line in text.lines() {
        starts.push(joined.len());
        let words = line.trim_start_matches([' ', '\t', '/', '!', '#', '>', '*', '-']);
        joined += words.trim_end();
        joined.push(' ');
    }
    let line = |at: usize| starts.partition_point(|&start| start <= at);
    let places = |phrase: &&'p str| {
        let phrase = *phrase;
        let places: Vec<_> = joined.match_indices(phrase).collect();
        places.into_iter().map(move |(at, _)| (at, phrase))
    };
    let mut found: Vec<_> = phrases.iter().flat_map(places).collect();
    found.sort_unstable();
    found
        .into_iter()
        .map(|(at, phrase)| (line(at), phrase))
        .collect()
}

/// Tracked texts that people read, apart from the list of phrases.
fn tracked() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--"])
        .args(["*.rs", "*.md", "*.toml", "*.py", "*Makefile"])
        .current_dir(root())
        .output()
        .expect("git starts");
    let error = String::from_utf8_lossy(&listed.stderr);
    assert!(listed.status.success(), "git ls-files: {error}");
    let names = String::from_utf8(listed.stdout).expect("names in UTF-8");
    let exists = |name: &&str| !name.is_empty() && root().join(name).is_file();
    names
        .split('\0')
        .filter(exists)
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_file_has_a_phrase_that_reads_like_a_translation() {
    let list = fs::read_to_string(root().join(PHRASES)).expect("the list of phrases");
    let phrases = phrases(&list);
    assert!(phrases.len() >= 30, "{PHRASES} has {}", phrases.len());
    let files = tracked();
    assert!(files.iter().any(|name| name == "tests/documents.rs"));
    let mut wrong = Vec::new();
    for name in files {
        let bytes = fs::read(root().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (line, phrase) in found(&String::from_utf8_lossy(&bytes), &phrases) {
            wrong.push(format!("{name}:{line}: {phrase:?}"));
        }
    }
    let wrong = wrong.join("\n");
    assert!(
        wrong.is_empty(),
        "reword these; {PHRASES} says how:\n{wrong}"
    );
}

#[test]
fn a_phrase_is_found_with_its_line_even_if_it_wraps() {
    let list = "# a comment\none two  # why\n\nthree  # why\n[later]\nfour  # why\n";
    let phrases = phrases(list);
    assert_eq!(phrases, ["one two", "three"]);
    let text = "x\n    /// first one\n    /// two four\n\n- three one  two\n> one\n> two";
    assert_eq!(
        found(text, &phrases),
        [(2, "one two"), (5, "three"), (6, "one two")]
    );
}
