//! To save time, manifests tell cargo which targets have no tests, and suites are selected by name. Both are right: a
//! target that is said to have no tests has none, and no two tests have the same name.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A library, a program or a test of a package.
struct Target {
    package: String,
    name: String,
    kind: String,
    source: PathBuf,
    has_tests: bool,
    has_doctests: bool,
}

fn targets() -> Vec<Target> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline"])
        .args(["--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{output:?}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let targets = packages.iter().flat_map(|package| {
        let targets = package["targets"].as_array().expect("targets");
        targets.iter().map(move |target| Target {
            package: text(&package["name"]),
            name: text(&target["name"]),
            kind: text(&target["kind"][0]),
            source: PathBuf::from(text(&target["src_path"])),
            has_tests: target["test"] == true,
            has_doctests: target["doctest"] == true,
        })
    });
    targets.collect()
}

/// The files of a target: its source file; for a library, also all files beside it that belong to no other target; for
/// a program, also the modules that it names.
fn files(target: &Target, roots: &[PathBuf]) -> Vec<PathBuf> {
    fn add(folder: &Path, roots: &[PathBuf], found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                add(&path, roots, found);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !roots.contains(&path)
            {
                found.push(path);
            }
        }
    }
    let mut found = vec![target.source.clone()];
    let folder = target.source.parent().expect("a folder");
    if target.source.ends_with("lib.rs") {
        add(folder, roots, &mut found);
        return found;
    }
    let text = std::fs::read_to_string(&target.source).expect("a file");
    let modules = text.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    for module in modules {
        let file = folder.join(module).with_extension("rs");
        if file.exists() {
            found.push(file);
        }
        if folder.join(module).is_dir() {
            add(&folder.join(module), roots, &mut found);
        }
    }
    found
}

/// Whether documentation has an example that is compiled.
fn has_example(text: &str) -> bool {
    let mut is_inside = false;
    text.lines().any(|line| {
        let line = line.trim_start();
        let comment = line.strip_prefix("//!").or(line.strip_prefix("///"));
        let Some(language) = comment.and_then(|text| text.trim_start().strip_prefix("```")) else {
            return false;
        };
        let opens = !is_inside;
        is_inside = opens;
        let first = language.split(',').next().unwrap_or_default();
        opens && ["", "rust", "no_run", "should_panic", "compile_fail"].contains(&first)
    })
}

#[test]
fn what_is_said_to_have_no_tests_has_none() {
    let targets = targets();
    let roots: Vec<PathBuf> = targets.iter().map(|target| target.source.clone()).collect();
    let mut seen = [0; 2];
    let of_code = |target: &&Target| !["test", "bench", "example"].contains(&&*target.kind);
    for target in targets.iter().filter(of_code) {
        for file in files(target, &roots) {
            let text = std::fs::read_to_string(&file).expect("a file");
            let file = file.display();
            if !target.has_tests {
                seen[0] += 1;
                assert!(
                    !text.contains("#[test]") && !text.contains("#[cfg(test)]"),
                    "{file} has a test that is not run: remove `test = false` from the manifest of {}",
                    target.package
                );
            }
            if !target.has_doctests && target.kind != "bin" {
                seen[1] += 1;
                assert!(
                    !has_example(&text),
                    "{file} has an example that is not run: remove `doctest = false` from the manifest of {}",
                    target.package
                );
            }
        }
    }
    assert!(seen[0] > 20 && seen[1] > 300, "{seen:?}");
}

#[test]
fn a_suite_is_the_only_test_of_its_name() {
    let targets = targets();
    let tests = |of_suites: bool| {
        let tests = targets.iter().filter(|target| target.kind == "test");
        tests.filter(move |target| (target.package == "sel4-llm-tests") == of_suites)
    };
    assert!(tests(true).count() > 15);
    for suite in tests(true) {
        let same = tests(false).find(|test| test.name == suite.name);
        let other = same.map(|test| &test.package);
        assert!(
            other.is_none(),
            "{other:?} has a test '{}', so make would run it with the suite of tests/: rename one",
            suite.name
        );
    }
}
