//! Names on the disk: what users call a file, and its path.
//!
//! Files have the same paths as in the store's archive: `NAME.gguf`, `adapters/NAME.gguf`, `data/NAME.jsonl`. A user
//! calls each of them `disk/NAME`; the kind of request says which one is meant.

use heapless::Vec;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_NAME_BYTES;
use protocol::name::ModelName;
use protocol::store::{
    ADAPTERS_FOLDER, Content, DATA_FOLDER, DATA_SUFFIXES, MODEL_SUFFIX, SIGNATURE_SUFFIX,
};

/// Prefix of the names of files on the disk; no name in the store has it.
pub(crate) const PREFIX: &str = "disk/";

/// Room for the longest folder, name, and ending.
const PATH_BYTES: usize = MAX_NAME_BYTES + 32;

const _: () = assert!(
    ADAPTERS_FOLDER.len() + 1 + MODEL_SUFFIX.len() + SIGNATURE_SUFFIX.len() <= 32
        && DATA_FOLDER.len() + 1 + DATA_SUFFIXES[0].len() + SIGNATURE_SUFFIX.len() <= 32
);

/// Path of a file on the disk.
pub(crate) type Path = Vec<u8, PATH_BYTES>;

/// The endings that files with this content may have; a name is looked up with each in turn.
pub(crate) const fn suffixes(content: Content) -> &'static [&'static str] {
    match content {
        Content::Model | Content::Adapter => &[MODEL_SUFFIX],
        Content::Data => &DATA_SUFFIXES,
    }
}

/// The path of the file with this name, with or without the prefix, and the ending at this place of [`suffixes`].
pub(crate) fn path_of(content: Content, name: ModelName, ending: usize, more: &str) -> Path {
    let folder = match content {
        Content::Model => "",
        Content::Adapter => ADAPTERS_FOLDER,
        Content::Data => DATA_FOLDER,
    };
    let parts = [
        folder,
        if folder.is_empty() { "" } else { "/" },
        without_prefix(name.as_str()),
        suffixes(content).get(ending).copied().unwrap_or_default(),
        more,
    ];
    let mut path = Path::new();
    // Copied byte by byte, because the compiler can remove every panic from that. The longest path fits.
    for byte in parts.iter().flat_map(|part| part.bytes()) {
        let _ = path.push(byte);
    }
    path
}

/// The target of a path, if lists show it: a model, an adapter, or the signature of one.
pub(crate) struct Listable<'p> {
    pub(crate) content: Content,
    /// The path without folder and ending. It may not be a valid name.
    pub(crate) name: &'p [u8],
    /// Whether it is the signature.
    pub(crate) is_signature: bool,
}

/// Classifies a path; `None` for anything but a [`Listable`].
pub(crate) fn listable(path: &[u8]) -> Option<Listable<'_>> {
    let unsigned = path.strip_suffix(SIGNATURE_SUFFIX.as_bytes());
    let (path, is_signature) = (unsigned.unwrap_or(path), unsigned.is_some());
    let path = path.strip_suffix(MODEL_SUFFIX.as_bytes())?;
    let (content, name) = match (within(path, ADAPTERS_FOLDER), within(path, DATA_FOLDER)) {
        (Some(name), _) => (Content::Adapter, name),
        (None, Some(_)) => return None,
        (None, None) => (Content::Model, path),
    };
    Some(Listable {
        content,
        name,
        is_signature,
    })
}

/// The path relative to this folder, if it lies there. FAT ignores case, so the comparison does, too.
fn within<'p>(path: &'p [u8], folder: &str) -> Option<&'p [u8]> {
    let (first, rest) = path.split_at_checked(folder.len())?;
    let rest = rest.strip_prefix(b"/")?;
    first
        .eq_ignore_ascii_case(folder.as_bytes())
        .then_some(rest)
}

/// The name by which users ask for the file with this path, without folder and ending; `None` if it cannot have one.
pub(crate) fn named(path: &[u8]) -> Option<ModelName> {
    let path = core::str::from_utf8(path).ok()?;
    ModelName::new(PREFIX)?.followed_by(path.as_bytes())
}

/// Whether this name can only be that of a file on the disk.
pub(crate) fn is_on_disk(name: ModelName) -> bool {
    name.as_str().starts_with(PREFIX)
}

/// Adds the prefix to the name of a model on the disk, if it is missing.
///
/// # Errors
/// The name would be too long.
pub(crate) fn name_on_disk(name: ModelName) -> Result<ModelName, Failure> {
    let path = without_prefix(name.as_str());
    let path = path.strip_suffix(MODEL_SUFFIX).unwrap_or(path);
    let limit = MAX_NAME_BYTES.saturating_sub(PREFIX.len()) as u64;
    let too_long = Failure::over(ErrorCode::NameLength, path.len() as u64, limit);
    named(path.as_bytes()).ok_or(too_long)
}

/// Removes the prefix from a name, if it has one.
pub(crate) fn name_off_disk(name: ModelName) -> ModelName {
    // Part of a name is a name.
    ModelName::new(without_prefix(name.as_str())).unwrap_or(name)
}

fn without_prefix(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ModelName {
        ModelName::new(text).unwrap()
    }

    #[test]
    fn a_name_lies_where_the_store_has_it_and_a_path_is_listed_by_its_name() {
        for (content, of, ending, path) in [
            (Content::Model, "disk/tales", 0, "tales.gguf"),
            (Content::Adapter, "disk/moods", 0, "adapters/moods.gguf"),
            (
                Content::Adapter,
                "more/moods",
                0,
                "adapters/more/moods.gguf",
            ),
            (Content::Data, "disk/feelings", 0, "data/feelings.jsonl"),
            (Content::Data, "disk/feelings", 1, "data/feelings.txt"),
        ] {
            assert_eq!(path_of(content, name(of), ending, ""), path.as_bytes());
            let signature = path_of(content, name(of), ending, SIGNATURE_SUFFIX);
            assert_eq!(signature, std::format!("{path}.sig").as_bytes());
            let is_listed = listable(&signature).map(|it| (it.content, it.is_signature));
            let expected = (content != Content::Data).then_some((content, true));
            assert_eq!(is_listed, expected, "{path}");
        }
        let longest = name(&"x".repeat(MAX_NAME_BYTES));
        let path = path_of(Content::Adapter, longest, 0, SIGNATURE_SUFFIX);
        assert!(path.ends_with(b"x.gguf.sig"));
        for (path, expected) in [
            ("adapters/a.gguf", Some((Content::Adapter, "a"))),
            ("ADAPTERS/a.gguf", Some((Content::Adapter, "a"))),
            ("adapters.gguf", Some((Content::Model, "adapters"))),
            (
                "more/adapters/a.gguf",
                Some((Content::Model, "more/adapters/a")),
            ),
            ("data/a.gguf", None),
            ("data/a.jsonl", None),
            ("notes.txt", None),
        ] {
            let found = listable(path.as_bytes()).map(|it| (it.content, it.name));
            let expected = expected.map(|(content, name)| (content, name.as_bytes()));
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(name_off_disk(name("disk/more/a")), name("more/a"));
        assert_eq!(name_off_disk(name("a")), name("a"));
    }
}
