//! The log's file on a disk: with the wrong size, with other contents, or missing.

use super::*;

#[test]
fn a_log_file_of_no_log_size_is_named() {
    let image = fat16();
    let mut fat = Fat::of(&image);
    let at = fat.entry(LOG_BYTES) + 28;
    fat.bytes[at..at + 4].copy_from_slice(&1000u32.to_le_bytes());
    fat.write(&image);
    let session = session_with(
        &image,
        format!("{ADMIN}llmctl models\nllmctl load disk/second\n{STORE}{ASK}"),
    );
    nothing_is_admitted(&session, 4, "the audit log's file has 1000 bytes");
    has(&session, &["  disk/second (4467424 bytes"]);
}

#[test]
fn a_log_file_of_another_size_than_its_log_is_named() {
    let image = fat16();
    // A new log begins.
    has(&session_with(&image, ASK), &[&text()]);
    let mut fat = Fat::of(&image);
    let at = fat.entry(LOG_BYTES) + 28;
    fat.bytes[at..at + 4].copy_from_slice(&(1u32 << 20).to_le_bytes());
    fat.write(&image);
    let session = session_with(&image, format!("{ADMIN}llmctl models\n{STORE}{ASK}"));
    let why = "the log in AUDIT.LOG was begun in a file of another size, of 4096 sectors";
    nothing_is_admitted(&session, 3, why);
}

#[test]
fn a_log_file_of_something_else_is_not_written_over() {
    let image = fat16();
    let mut fat = Fat::of(&image);
    let cluster = usize::from(fat.bytes[13]) * 512;
    let data = fat.root + 512 * 32;
    let begin = data + (usize::from(fat.first_cluster(LOG_BYTES)) - 2) * cluster;
    fat.bytes[begin..begin + LOG_BYTES as usize].fill(b'x');
    let before = fat.bytes.clone();
    fat.write(&image);
    let session = session_with(&image, format!("{ADMIN}llmctl models\n{STORE}{ASK}"));
    nothing_is_admitted(
        &session,
        3,
        "AUDIT.LOG contains something that is not a log",
    );
    assert!(
        std::fs::read(image.path()).unwrap() == before,
        "it was written"
    );
}

#[test]
fn without_the_log_file_models_are_there_and_nothing_is_admitted() {
    let image = fat16();
    let mut fat = Fat::of(&image);
    let at = fat.entry(LOG_BYTES);
    fat.bytes[at] = 0xe5;
    fat.write(&image);
    let session = session_with(
        &image,
        format!("{ADMIN}llmctl models\nllmctl load disk/second\n{STORE}{ASK}"),
    );
    nothing_is_admitted(&session, 4, "the disk has no file 'AUDIT.LOG'");
    has(&session, &["  disk/second (4467424 bytes"]);
}
