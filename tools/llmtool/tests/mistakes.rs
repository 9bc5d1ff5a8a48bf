//! Files given by mistake: each command that reads a model says what it got instead.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-f32.gguf");

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn failure(arguments: &[&str]) -> String {
    let assert = cargo_bin_cmd!("llmtool").args(arguments).assert();
    let output = assert.code(1);
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// A file without tensors whose keys declare it the second of three parts.
fn part() -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend(0_u64.to_le_bytes());
    file.extend(2_u64.to_le_bytes());
    for (key, value) in [("split.no", 1_u16), ("split.count", 3)] {
        file.extend((key.len() as u64).to_le_bytes());
        file.extend(key.as_bytes());
        file.extend(2_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file
}

#[test]
fn inspect_sign_and_pack_name_what_they_are_given_and_say_what_to_do() {
    let folder = folder("mistakes");
    let key = folder.join("k");
    let assert = cargo_bin_cmd!("llmtool")
        .args(["keygen", text(&key)])
        .assert();
    assert.success();
    let key = format!("{}.key.pem", key.display());
    let tiny = fs::read(TINY).unwrap();
    let version = |bytes: [u8; 4]| [b"GGUF", &bytes[..], &tiny[8..]].concat();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    for (name, content, what, todo) in [
        (
            "pointer",
            pointer.to_vec(),
            "Git LFS pointer",
            "git lfs pull",
        ),
        (
            "page",
            b"<!doctype html><html>".to_vec(),
            "web page",
            "/resolve/",
        ),
        (
            "swapped",
            version([0, 0, 0, 3]),
            "big-endian",
            "gguf-convert-endian",
        ),
        (
            "first",
            version([1, 0, 0, 0]),
            "version 1",
            "convert_hf_to_gguf.py",
        ),
        ("part", part(), "part 2 of 3", "llama-gguf-split --merge"),
        (
            "tensors",
            [&40_u64.to_le_bytes()[..], b"{\"a.weight\":{}}"].concat(),
            "safetensors",
            "convert_hf_to_gguf.py",
        ),
    ] {
        let model = folder.join(format!("{name}.gguf"));
        fs::write(&model, content).unwrap();
        let (model, store) = (text(&model), folder.join("store.tar"));
        for arguments in [
            &["inspect", model][..],
            &["sign", "--key", &key, model],
            &["pack", "--unsigned", "-o", text(&store), model],
            &["generate", "-m", model, "-p", "Once"],
            &["tokenize", "-m", model, "-p", "Once"],
        ] {
            let said = failure(arguments);
            let named = said.contains(model) && said.contains(what) && said.contains(todo);
            assert!(named && said.lines().count() == 1, "{arguments:?}: {said}");
        }
        assert!(!folder.join(format!("{name}.gguf.sig")).exists());
        assert!(!store.exists());
    }
    // A damaged file is signed only by force, to test that loading refuses it.
    let cut = folder.join("cut.gguf");
    fs::write(&cut, &tiny[..tiny.len() / 2]).unwrap();
    let assert = cargo_bin_cmd!("llmtool")
        .args(["sign", "--key", &key, text(&cut), "--force"])
        .assert();
    assert.success();
    assert!(failure(&["sign", "--key", &key, text(&cut)]).contains("cut off"));
}
