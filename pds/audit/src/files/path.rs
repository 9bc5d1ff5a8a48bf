//! The paths on the disk for the names that users give. [`protocol::on_disk`] has the other direction.

use heapless::Vec;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_NAME_BYTES;
use protocol::name::ModelName;
use protocol::on_disk::{self, PREFIX, named};
use protocol::store::{
    ADAPTERS_FOLDER, Content, DATA_FOLDER, DATA_SUFFIXES, MODEL_SUFFIX, SIGNATURE_SUFFIX,
};

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
    let limit = on_disk::MAX_NAME_BYTES as u64;
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
    use protocol::on_disk::OnDisk;

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
            let found = OnDisk::at(&signature).map(|it| (it.content, it.is_signature));
            assert_eq!(found, Some((content, true)), "{path}");
        }
        let longest = name(&"x".repeat(MAX_NAME_BYTES));
        let path = path_of(Content::Adapter, longest, 0, SIGNATURE_SUFFIX);
        assert!(path.ends_with(b"x.gguf.sig"));
        assert_eq!(name_off_disk(name("disk/more/a")), name("more/a"));
        assert_eq!(name_off_disk(name("a")), name("a"));
    }
}
