//! The header is up to date, and agrees with the protocol.

use protocol::error::ErrorCode;
use std::path::{Path, PathBuf};

fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// In the order of the header.
const SOURCES: [&str; 10] = [
    "limits.rs",
    "types.rs",
    "signature.rs",
    "adapter_types.rs",
    "error.rs",
    "codes.rs",
    "facts.rs",
    "api.rs",
    "texts.rs",
    "adapters.rs",
];

fn made() -> String {
    let config = cbindgen::Config::from_file(own("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(own("src").join(source));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

#[test]
fn the_header_is_what_cbindgen_makes() {
    let path = own("include/sel4_llm.h");
    let made = made();
    if std::env::var_os("WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "include/sel4_llm.h is out of date: `make client-c-header` writes it"
    );
}

#[test]
fn the_codes_of_the_header_are_those_of_the_protocol() {
    let header = made();
    let listed = header.matches("SEL4_LLM_CODE_").count();
    assert_eq!(listed, ErrorCode::ALL.len());
    for code in ErrorCode::ALL {
        let mut name = String::new();
        for letter in format!("{code:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        let line = format!("SEL4_LLM_CODE_{name} = {},", *code as u32);
        assert!(header.contains(&line), "{line}");
    }
}
