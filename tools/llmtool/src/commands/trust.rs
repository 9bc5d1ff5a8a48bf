//! The commands for trust: policy, passphrases, keys and signatures.

use std::io::{IsTerminal as _, Write};
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use llm_core::hash::sha256;
use protocol::hash::Hex;

use crate::args::trust::{Keygen, Passphrase, Policy, Sign, Verify};
use crate::error::{KeyError, ToolError};
use crate::files;
use crate::keys;
use crate::passphrase::{self as kdf, PassphraseError};
use crate::policy::{self as compiler, Device, With};
use crate::store::Contents;

/// Default file for formats, beside the policy.
const FORMATS_FILE: &str = "formats.bin";

pub(super) fn policy(arguments: &Policy, out: &mut impl Write) -> Result<(), ToolError> {
    let device = arguments.device_key.as_deref();
    let with = With {
        system: arguments.system.as_deref(),
        device: device.map_or(Device::OfPolicy, Device::File),
    };
    let compiled = compiler::compile(&arguments.policy, with)?;
    for warning in &compiled.warnings {
        eprintln!("llmtool: warning: {warning}");
    }
    // A policy is useless without the formats whose hash it contains, so they are written together.
    let beside = arguments.output.as_ref();
    let beside = beside.map(|output| output.with_file_name(FORMATS_FILE));
    if let Some(path) = arguments.formats.as_ref().or(beside.as_ref()) {
        files::write(path, &compiled.formats_image()?)?;
    }
    match &arguments.output {
        Some(path) if compiled.device_key().is_some() => {
            files::write_secret(path, &compiled.image()?)?;
        }
        Some(path) => files::write(path, &compiled.image()?)?,
        None => write!(out, "{}", compiler::Words(&compiled))?,
    }
    Ok(())
}

pub(super) fn passphrase(arguments: &Passphrase, out: &mut impl Write) -> Result<(), ToolError> {
    let failed = |source| ToolError::Read {
        path: "the passphrase".into(),
        source,
    };
    let typed = if std::io::stdin().is_terminal() {
        let typed = rpassword::prompt_password("Passphrase: ").map_err(failed)?;
        kdf::check(&typed)?;
        let again = rpassword::prompt_password("Again: ").map_err(failed)?;
        if typed != again {
            return Err(PassphraseError::Differ.into());
        }
        typed
    } else {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(failed)?;
        let end = line.trim_end_matches(['\n', '\r']).len();
        line.truncate(end);
        line
    };
    let hash = kdf::hash(&typed, arguments.memory_kib, arguments.passes)?;
    writeln!(out, "passphrase = \"{}\"", kdf::to_phc(&hash)?)?;
    Ok(())
}

pub(super) fn keygen(arguments: &Keygen, out: &mut impl Write) -> Result<(), ToolError> {
    // A missing folder for keys is often the first obstacle.
    if let Some(folder) = arguments.name.parent() {
        std::fs::create_dir_all(folder).map_err(|source| ToolError::Write {
            path: folder.to_path_buf(),
            source,
        })?;
    }
    let (secret, public, key) = keys::generate(&arguments.name)?;
    writeln!(out, "secret key  {}", secret.display())?;
    writeln!(out, "public key  {}", public.display())?;
    if arguments.device {
        let name = secret.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "in the device's policy:  [device]")?;
        writeln!(out, "                         key = \"{name}\"")?;
        writeln!(out, "where its adapters are to be trusted:")?;
    }
    writeln!(out, "ed25519 = \"{}\"", Hex(key.as_bytes()))?;
    Ok(())
}

pub(super) fn sign(arguments: &Sign, out: &mut impl Write) -> Result<(), ToolError> {
    let key = keys::read_secret(&arguments.key)?;
    for model in arguments.models.paths() {
        let content = files::read(model)?;
        if !arguments.force {
            Contents::of(model, &content)?;
        }
        let digest = sha256(&content);
        let path = keys::signature_path(model);
        files::write(&path, &keys::sign(&key, &digest))?;
        writeln!(out, "{}  SHA-256 {}", path.display(), Hex(&digest))?;
    }
    Ok(())
}

pub(super) fn verify(arguments: &Verify, out: &mut impl Write) -> Result<(), ToolError> {
    let keys = match (&arguments.key, &arguments.policy) {
        (Some(path), _) => vec![(path.display().to_string(), keys::read_public(path)?)],
        (None, Some(path)) => compiler::compile(path, With::default())?.trusted_keys(),
        (None, None) => Vec::new(),
    };
    let (mut refused, mut models) = (0, 0);
    for model in arguments.models.paths() {
        models += 1;
        match verify_one(model, &keys) {
            Ok(signer) => writeln!(out, "{}: signed by {signer}", model.display())?,
            Err(error) => {
                refused += 1;
                writeln!(out, "{}: REFUSED: {error}", model.display())?;
            }
        }
    }
    if refused > 0 {
        return Err(ToolError::NotVerified { refused, models });
    }
    Ok(())
}

fn verify_one<'k>(
    model: &Path,
    keys: &'k [(String, VerifyingKey)],
) -> Result<&'k String, KeyError> {
    let content = files::read(model).map_err(|error| KeyError::File(Box::new(error)))?;
    let signature = keys::read_signature(model)?;
    let keys = keys.iter().map(|(name, key)| (name, key));
    keys::signer(keys, &sha256(&content), &signature).ok_or(KeyError::Bad)
}
