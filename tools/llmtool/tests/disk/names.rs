//! Names of images and of files on them.

use super::small;
use super::tool::{TINY, failure, fresh, output};

#[test]
fn an_image_that_is_not_there_can_be_made() {
    let none = fresh("no such.img");
    let taken = fresh("taken");
    for arguments in [
        &["add", &none, TINY][..],
        &["list", &none],
        &["get", &none, "tiny.gguf", "-o", &taken],
        &["check", &none],
    ] {
        let said = failure(&[&["disk"], arguments].concat(), 1);
        let expected = "there is no such image; make one with 'llmtool disk create'";
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_name_on_a_disk_is_as_long_as_a_request_can_give_it() {
    let image = small("names.img", "0");
    let named = |bytes: usize| format!("{}={TINY}", "n".repeat(bytes));
    for bytes in [60, 64] {
        let said = failure(&["disk", "add", &image, &named(bytes)], 1);
        assert!(
            said.contains("for a file of a disk: it needs 1 to 59 letters"),
            "{said}"
        );
    }
    output(&["disk", "add", &image, &named(59)]);
    let said = output(&["disk", "list", &image]);
    let expected = format!("model 'disk/{}', signed", "n".repeat(59));
    assert!(said.contains(&expected), "{said}");
    // In the store, there is no prefix.
    let store = fresh("names.tar");
    output(&["pack", &named(64), "-o", &store]);
    let said = failure(&["pack", &named(65), "-o", &store], 2);
    assert!(
        said.contains("for a file of the store: it needs 1 to 64"),
        "{said}"
    );
}
