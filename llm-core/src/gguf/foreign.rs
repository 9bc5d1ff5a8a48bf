//! Recognises files that people mistake for a model file, by their first bytes.

use core::fmt;

/// Longest header of a safetensors file in bytes, according to its own reader.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;

/// A known format other than GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// An empty file.
    Empty,
    /// The placeholder text that Git has until Git LFS has fetched the file.
    LfsPointer,
    /// A web page: a login, an error, or the page about the file.
    WebPage,
    /// Weights for Python libraries, as on model hubs.
    Safetensors,
    /// A format of llama.cpp before GGUF (`ggml`, `ggmf`, `ggjt`; until August 2023).
    OldGgml,
    /// A ZIP archive, which includes PyTorch checkpoints.
    Zip,
    /// A file compressed by gzip, xz or zstd.
    Compressed,
}

impl Foreign {
    /// The format of `file`, if it is one of these.
    #[must_use]
    pub fn recognise(file: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| file.starts_with(magic);
        if file.is_empty() {
            return Some(Self::Empty);
        }
        if begins(b"version https://git-lfs.github.com/") {
            return Some(Self::LfsPointer);
        }
        if is_web_page(file) {
            return Some(Self::WebPage);
        }
        if is_safetensors(file) {
            return Some(Self::Safetensors);
        }
        // Little-endian numbers, so the letters are reversed.
        if begins(b"lmgg") || begins(b"fmgg") || begins(b"tjgg") {
            return Some(Self::OldGgml);
        }
        if begins(b"PK\x03\x04") {
            return Some(Self::Zip);
        }
        let compressed: [&[u8]; 3] = [b"\x1F\x8B", b"\xFD7zXZ\0", b"\x28\xB5\x2F\xFD"];
        compressed
            .into_iter()
            .any(begins)
            .then_some(Self::Compressed)
    }
}

/// Whether it begins like HTML, after a byte order mark and white space.
fn is_web_page(file: &[u8]) -> bool {
    let text = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    let text = text.trim_ascii_start();
    let begins = |tag: &[u8]| {
        text.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    begins(b"<!doctype html") || begins(b"<html") || begins(b"<head")
}

/// Whether it begins with the length of a header, and the header with a name.
fn is_safetensors(file: &[u8]) -> bool {
    let Some((length, header)) = file.split_first_chunk::<8>() else {
        return false;
    };
    let length = u64::from_le_bytes(*length);
    length <= MAX_SAFETENSORS_HEADER && header.starts_with(b"{\"")
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the file is empty: download or copy it again",
            Self::LfsPointer => {
                "this is a Git LFS pointer, not the model: run `git lfs pull` in its repository, \
                 or download the file itself"
            }
            Self::WebPage => {
                "this is a web page (HTML), not a model: download the file itself (on Hugging Face \
                 its address has /resolve/, not /blob/), and log in if the model asks for it"
            }
            Self::Safetensors => {
                "this is a safetensors file, not GGUF: convert the folder that it is in with \
                 llama.cpp's convert_hf_to_gguf.py, or download a GGUF of the model"
            }
            Self::OldGgml => {
                "this is a GGML file from before GGUF (August 2023): download a GGUF of the model, \
                 or convert the original again with llama.cpp's convert_hf_to_gguf.py"
            }
            Self::Zip => {
                "this is a ZIP archive or a PyTorch checkpoint, not GGUF: unpack it, or convert it \
                 with llama.cpp's convert_hf_to_gguf.py"
            }
            Self::Compressed => "this file is compressed: unpack it first",
        })
    }
}
