//! Which parts of the repository may use which: a lower layer never uses a higher one, and code that two parts share
//! has its own place.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files under `directory`.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Code lines of a file that contain `part`, each with file and line number.
fn naming(file: &Path, part: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a file");
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//") && line.contains(part))
        .map(|(at, line)| format!("{}:{}: {}", file.display(), at + 1, line.trim()))
        .collect()
}

/// Code that runs after a domain's process is locked down must not come from above the domains.
#[test]
fn the_confined_side_of_the_simulation_names_nothing_of_the_supervisor() {
    let sim = root().join("sim/src");
    let mut files = sources(&sim.join("pd"));
    files.extend(sources(&sim.join("roles")));
    // Shared code is below both.
    files.extend(["description.rs", "fault.rs", "signals.rs"].map(|file| sim.join(file)));
    assert!(files.len() > 8, "{files:?}");
    let naming: Vec<String> = files
        .iter()
        .flat_map(|file| naming(file, "supervisor::"))
        .collect();
    assert!(naming.is_empty(), "{naming:#?}");
}

/// Each package of the workspace with its folder, and the folders it depends on, for any purpose.
fn packages() -> Vec<(String, Vec<String>)> {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{output:?}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let workspace = metadata["workspace_root"].as_str().expect("a path");
    let folder = |path: &str| {
        let inside = path.strip_prefix(workspace).expect("in the workspace");
        inside.trim_start_matches('/').to_owned()
    };
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let manifest = package["manifest_path"].as_str().expect("a path");
            let dependencies = package["dependencies"].as_array().expect("a list");
            let ours = dependencies.iter().filter_map(|one| one["path"].as_str());
            (
                folder(manifest.trim_end_matches("/Cargo.toml")),
                ours.map(folder).collect(),
            )
        })
        .collect()
}

#[test]
fn no_tool_no_domain_and_no_shared_library_depends_on_a_domain() {
    let packages = packages();
    let is_below = |folder: &str| {
        ["tools/", "pds/", "clients/"]
            .iter()
            .any(|part| folder.starts_with(part))
            || [
                "protocol",
                "llm-core",
                "formats",
                "safe-text",
                "drivers",
                "storage",
                "disk-log",
                "workers",
            ]
            .contains(&folder)
    };
    let below = packages.iter().filter(|(folder, _)| is_below(folder));
    let mut seen = 0;
    for (folder, dependencies) in below {
        seen += 1;
        for dependency in dependencies {
            assert!(
                !dependency.starts_with("pds/"),
                "{folder} depends on {dependency}: move what both need to a crate of its own"
            );
            let is_tool = dependency.starts_with("tools/");
            assert!(
                !is_tool || folder.starts_with("tools/"),
                "{folder} depends on the tool {dependency}"
            );
        }
    }
    assert!(seen > 7, "{packages:?}");
}
