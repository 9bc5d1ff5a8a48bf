//! Checks that committed generated files are what the checker would generate now.

use isolation::documents::documents;
use isolation::policy::Policy;
use std::path::Path;
use sysdesc::System;

#[test]
fn generated_documents_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let system = System::parse(&std::fs::read_to_string(root.join("system.xml")).unwrap()).unwrap();
    let policy = Policy::parse(include_str!("../policy.toml")).unwrap();
    for document in documents(&root, &system, &policy).unwrap() {
        let path = document.path.display();
        let there = std::fs::read_to_string(root.join(&document.path)).unwrap();
        assert!(
            there == document.text,
            "{path} is not what system.xml gives: run make isolation-docs"
        );
    }
}
