//! Runs `llmtool` for several tests.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;

pub const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-f32.gguf");
pub const DEFAULT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/default.gguf");

pub fn llmtool(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("llmtool");
    command.args(arguments);
    command
}

/// Runs what should succeed, and returns its output.
pub fn output(arguments: &[&str]) -> String {
    let assert = llmtool(arguments).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// Runs what should fail with this status, and returns its message.
pub fn failure(arguments: &[&str], status: i32) -> String {
    let assert = llmtool(arguments).assert().code(status);
    assert!(assert.get_output().stdout.is_empty());
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// A path for a file of this name that does not exist yet.
pub fn fresh(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path.into_os_string().into_string().unwrap()
}
