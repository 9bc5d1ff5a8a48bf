//! `tools/train`: makes the repository's models, and runs its tests.

use crate::command::run;
use crate::error::Result;
use crate::files;
use crate::options::{environment, said, said_or};
use crate::shop::Shop;
use crate::suites::skipped;
use std::path::{Path, PathBuf};

/// The Python to use, which has the packages that tools/train needs, if set.
fn train_python() -> Option<String> {
    said(&environment, "TRAIN_PYTHON")
}

/// The tests of tools/train.
pub fn test() -> Result {
    const PROBE: &str = "import importlib.util as u, sys; \
        sys.exit(not all(map(u.find_spec, ('pytest', 'torch', 'sentencepiece', 'gguf'))))";
    let python = train_python().unwrap_or_else(|| "python3".to_owned());
    match run(&python).args(["-c", PROBE]).done() {
        Ok(()) => run(&python)
            .args([
                "-m",
                "pytest",
                "--quiet",
                "-p",
                "no:cacheprovider",
                "tools/train/tests",
            ])
            .done(),
        Err(_) => {
            skipped(
                "the tests of tools/train",
                "they need what tools/train/requirements.txt lists",
            );
            Ok(())
        }
    }
}

/// Makes a model again, from its data to a signed GGUF in build/model: TRAIN=default, tiny or triage, a config of
/// tools/train. The corpus is not part of the repository: see tools/train/README.md. Without a suitable Python, the
/// required packages are installed in a virtual environment.
pub fn train(shop: &Shop) -> Result {
    shop.build(&["llmtool"])?;
    let work = Path::new("build/model");
    let python = match train_python() {
        Some(python) => PathBuf::from(python),
        None => {
            let (venv, requirements) =
                (work.join("venv"), Path::new("tools/train/requirements.txt"));
            let python = venv.join("bin/python");
            files::made(
                &work.join("venv-installed"),
                &[requirements.to_owned()],
                "",
                |output| {
                    run("python3").args(["-m", "venv"]).arg(&venv).done()?;
                    run(&python)
                        .args(["-m", "pip", "install", "--quiet", "-r"])
                        .arg(requirements)
                        .done()?;
                    files::write(output, "")
                },
            )?;
            python
        }
    };
    let model = said_or("TRAIN", "default");
    let mut train = run(python)
        .args(["tools/train/train.py", "--work"])
        .arg(work)
        .args([
            "model",
            &format!("tools/train/configs/{model}.toml"),
            "--llmtool",
        ])
        .arg(shop.program("llmtool"))
        .args(["--key", &said_or("MODEL_KEY", "build/model/models.key.pem")]);
    if let Some(minutes) = said(&environment, "MAX_MINUTES") {
        train = train.args(["--max-minutes", &minutes]);
    }
    train
        .arg("-o")
        .arg(work.join(format!("{model}.gguf")))
        .done()
}
