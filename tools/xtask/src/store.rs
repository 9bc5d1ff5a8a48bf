//! Stores: the archive of models, adapters and data that fills the region `model_store`.

use crate::command::run;
use crate::error::{Error, Result};
use crate::files::{self, copy, made, pad};
use crate::options::Options;
use crate::shop::Shop;
use crate::system::{MAIN, Models, Scale, System, describe};
use std::path::{Path, PathBuf};

/// Valid models, and some that must be refused. `llmtool pack` would refuse the latter, so tar makes this store.
const TEST_MODELS: [&str; 6] = ["default", "small", "chat", "truncated", "corrupt", "large"];
/// Training data: a valid file, and one whose second line is broken.
const TEST_DATA: [&str; 2] = ["data/feelings.jsonl", "data/broken.jsonl"];
/// The program that makes the tests' models.
const TEST_SOURCES: [&str; 4] = [
    "tests/src/bin/test-models.rs",
    "llm-core/src/testing.rs",
    "llm-core/src/testing/models.rs",
    "llm-core/src/testing/writer.rs",
];

/// A store.
#[derive(Clone, Debug)]
pub enum Store {
    /// The published models, with their signatures.
    Packed {
        /// `NAME=FILE` or `FILE`, in the order of the store; the first is loaded at boot.
        models: Vec<String>,
        /// The policy with the keys that sign them.
        policy: PathBuf,
        /// The folder to write to.
        folder: PathBuf,
    },
    /// The user's models, with a system that fits them.
    Own(Models),
    /// The tests' store.
    Test,
    /// A larger one.
    Large(Scale),
}

impl Store {
    /// The store of a system as shipped.
    pub fn of(system: &System, options: &Options) -> Self {
        let main = || options.models.split_whitespace().map(str::to_owned);
        match system {
            System::Own(models) => Self::Own(models.clone()),
            System::Large(scale) => Self::Large(*scale),
            System::Example(example, _) => Self::Packed {
                models: example.models.iter().cloned().chain(main()).collect(),
                policy: example.folder().join("policy.toml"),
                folder: system.folder().join("store"),
            },
            System::Main | System::Named(_) | System::Attacked(_) | System::HostileClient => {
                Self::Packed {
                    models: main().collect(),
                    policy: PathBuf::from("policy.toml"),
                    folder: PathBuf::from("build/store"),
                }
            }
        }
    }

    /// The folder with `store.tar`.
    pub fn folder(&self) -> PathBuf {
        match self {
            Self::Packed { folder, .. } => folder.clone(),
            Self::Own(models) => System::Own(models.clone()).folder(),
            Self::Test => PathBuf::from("build/store-test"),
            Self::Large(scale) => System::Large(*scale).folder(),
        }
    }

    /// Makes the store. Returns the folder with `store.tar`.
    pub fn make(&self, shop: &Shop, options: &Options) -> Result<PathBuf> {
        let folder = self.folder();
        let output = folder.join("store.tar");
        match self {
            Self::Packed { models, policy, .. } => pack(shop, models, policy, &output)?,
            Self::Own(models) => own(shop, models, options)?,
            Self::Test => test(shop, &folder, &output)?,
            Self::Large(scale) => large(shop, *scale, &folder, &output)?,
        }
        Ok(folder)
    }
}

/// Bytes of a region of a description.
fn bytes_of(description: &Path, region: &str) -> Result<u64> {
    let described = describe(description, &sysdesc::Board::usual())?;
    let region_of = described.region(region).ok_or_else(|| Error::File {
        path: description.to_owned(),
        reason: format!("there is no region '{region}'"),
    })?;
    Ok(region_of.size)
}

/// A description's text with other sizes of some regions.
pub fn with_regions(description: &str, sizes: &[(&str, u64)]) -> Result<String> {
    let path = Path::new(description);
    let mut text = files::text(path)?;
    for (region, size) in sizes {
        let old = bytes_of(path, region)?;
        let old = format!("name=\"{region}\" size=\"{old:#x}\"");
        if !text.contains(&old) {
            return Err(Error::Wrong(format!("{description} has no text {old:?}")));
        }
        text = text.replace(&old, &format!("name=\"{region}\" size=\"{size:#x}\""));
    }
    Ok(text)
}

/// The paths of `NAME=FILE` or `FILE`, and of the signatures beside them.
fn files_of(models: &[String]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for model in models {
        let file = model
            .split_once('=')
            .map_or(model.as_str(), |(_, file)| file);
        files.push(PathBuf::from(file));
        let signature = PathBuf::from(format!("{file}.sig"));
        if signature.exists() {
            files.push(signature);
        }
    }
    files
}

fn pack(shop: &Shop, models: &[String], policy: &Path, output: &Path) -> Result {
    let device = shop.device_key()?;
    let size = bytes_of(Path::new(MAIN), "model_store")?;
    let mut inputs = files_of(models);
    inputs.extend([policy.to_owned(), device.clone(), shop.program("llmtool")]);
    let words = format!("{} {size}", models.join(" "));
    made(output, &inputs, &words, |output| {
        shop.llmtool()
            .arg("pack")
            .args(models)
            .arg("-o")
            .arg(output)
            .arg("--policy")
            .arg(policy)
            .arg("--device-key")
            .arg(&device)
            .args(["--store-size", &size.to_string()])
            .aside()?;
        pad(output, size)
    })
}

/// Always runs, because a model, the context or a template may have changed.
fn own(shop: &Shop, models: &Models, options: &Options) -> Result {
    let mut tool = shop.llmtool().arg("system").args(&models.files).arg("-o");
    tool = tool.arg(System::Own(models.clone()).folder());
    if let Some(memory) = &options.board.emulation.memory {
        tool = tool.args(["--memory", memory]);
    }
    for (option, value) in [
        ("--context", &models.context),
        ("--sessions", &models.sessions),
    ] {
        if let Some(value) = value {
            tool = tool.args([option, value]);
        }
    }
    tool.aside()
}

/// The tests' models, signed with a generated key that the tests' policy trusts. One has no signature, one is signed
/// with another key, and one was altered after signing.
fn test(shop: &Shop, folder: &Path, output: &Path) -> Result {
    let (key, other) = (shop.key("test")?, shop.key("other")?);
    let size = bytes_of(Path::new(MAIN), "model_store")?;
    let mut inputs: Vec<_> = TEST_SOURCES.iter().map(PathBuf::from).collect();
    inputs.extend(TEST_DATA.iter().map(|data| Path::new("tests").join(data)));
    inputs.extend([
        PathBuf::from("models/tiny-f32.gguf"),
        PathBuf::from("tools/llmtool/tests/templates/chatml.jinja"),
        key.clone(),
        other.clone(),
    ]);
    made(output, &inputs, "", |output| {
        shop.test_program("test-models")?.arg(folder).aside()?;
        copy(
            Path::new("models/tiny-f32.gguf"),
            &folder.join("default.gguf"),
        )?;
        files::folder(&folder.join("data"))?;
        for data in TEST_DATA {
            copy(&Path::new("tests").join(data), &folder.join(data))?;
        }
        let models = TEST_MODELS.map(|model| format!("{model}.gguf"));
        let signed: Vec<_> = models.iter().map(String::as_str).chain(TEST_DATA).collect();
        shop.llmtool()
            .args(["sign", "--force", "--key"])
            .arg(&key)
            .args(signed.iter().map(|file| folder.join(file)))
            .silent()?;
        shop.llmtool()
            .args(["sign", "--force", "--key"])
            .arg(&other)
            .arg(folder.join("wrong-key.gguf"))
            .silent()?;
        copy(
            &folder.join("small.gguf.sig"),
            &folder.join("altered.gguf.sig"),
        )?;
        let with_signature = |file: &&str| [(*file).to_owned(), format!("{file}.sig")];
        let models = signed[..TEST_MODELS.len()].iter();
        let members = models
            .chain(&["wrong-key.gguf", "altered.gguf"])
            .flat_map(with_signature)
            .chain(["unsigned.gguf".to_owned()])
            .chain(TEST_DATA.iter().flat_map(with_signature));
        archive(output, folder, members)?;
        pad(output, size)
    })
}

/// A description with larger regions, and a synthetic model that fills them.
fn large(shop: &Shop, scale: Scale, folder: &Path, output: &Path) -> Result {
    const ARENA: u64 = 0x900_0000;
    const STORE: u64 = 0x400_0000;
    let key = shop.key("test")?;
    let text = with_regions(MAIN, &[("arena", ARENA), ("model_store", STORE)])?;
    files::write(&folder.join("system.xml"), text)?;
    let mut inputs: Vec<_> = TEST_SOURCES.iter().map(PathBuf::from).collect();
    inputs.push(key.clone());
    made(output, &inputs, "", |output| {
        let option = if scale == Scale::Bench {
            "--bench"
        } else {
            "--large"
        };
        shop.test_program("test-models")?
            .arg(option)
            .arg(folder)
            .aside()?;
        let model = folder.join("default.gguf");
        if scale == Scale::Bench {
            let path = folder.join("bench-q4_0.gguf");
            std::fs::rename(&path, &model).map_err(crate::error::at(path))?;
        }
        shop.llmtool()
            .args(["sign", "--force", "--key"])
            .arg(&key)
            .arg(&model)
            .silent()?;
        archive(output, folder, ["default.gguf", "default.gguf.sig"])?;
        pad(output, STORE)
    })
}

/// A tar archive of files of a folder.
fn archive(
    output: &Path,
    folder: &Path,
    members: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
) -> Result {
    run("tar")
        .args(["--format=ustar", "-cf"])
        .arg(output)
        .arg("-C")
        .arg(folder)
        .args(members)
        .done()
}

/// Models for measurements, made from the tests' sources by an option of the program that makes them.
pub fn models_for(shop: &Shop, option: &str, folder: &Path, names: &[&str]) -> Result {
    let inputs: Vec<_> = TEST_SOURCES.iter().map(PathBuf::from).collect();
    let list = folder.join(format!("models{option}"));
    if list.exists() && !names.iter().all(|name| folder.join(name).exists()) {
        std::fs::remove_file(&list).map_err(crate::error::at(&list))?;
    }
    made(&list, &inputs, "", |output| {
        shop.test_program("test-models")?
            .arg(option)
            .arg(folder)
            .aside()?;
        files::write(output, names.join("\n"))
    })
}
