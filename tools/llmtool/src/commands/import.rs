//! The commands for adapters that were made on a device.

use std::io::Write;

use llm_core::transformer::AdapterFile;
use protocol::hash::Hex;

use crate::args::trust::Import;
use crate::armour::Exported;
use crate::error::{ArmourError, ToolError};
use crate::output::text_or_stdin;
use crate::units::ByteSize;
use crate::{files, keys};

pub(super) fn import(arguments: &Import, out: &mut impl Write) -> Result<(), ToolError> {
    let Import {
        file,
        key,
        name,
        output,
    } = arguments;
    files::refuse_overwriting(output, &[file])?;
    let capture = match file.as_os_str() == "-" {
        true => text_or_stdin("-")?,
        false => files::read(file)?,
    };
    let failed = |source| ToolError::Armour {
        path: file.clone(),
        source: Box::new(source),
    };
    let exported = Exported::read(&capture, name.as_deref()).map_err(failed)?;
    if let Some(path) = key {
        exported.check(&keys::read_either(path)?).map_err(failed)?;
    }
    let wrong = |source| ToolError::Adapter {
        path: file.clone(),
        source: Box::new(source),
    };
    let adapter = AdapterFile::read(&exported.file).map_err(wrong)?;
    // The signature covers only the file, so the lines beside it must agree.
    if adapter
        .base()
        .is_some_and(|base| *base != exported.base_sha256)
    {
        return Err(failed(ArmourError::OtherBase));
    }
    let info = adapter.info();
    files::write(output, &exported.file)?;
    files::write(&keys::signature_path(output), &exported.signature)?;
    writeln!(
        out,
        "{}: the adapter '{}' for {}, rank {}, {} matrices, {}",
        output.display(),
        exported.name,
        adapter.architecture(),
        info.rank,
        info.matrices,
        ByteSize(exported.file.len() as u64)
    )?;
    writeln!(out, "SHA-256       {}", Hex(&exported.sha256))?;
    writeln!(out, "of the model  {}", Hex(&exported.base_sha256))?;
    match key {
        Some(path) => writeln!(out, "signed by the device with the key {}", path.display())?,
        None => writeln!(
            out,
            "the signature was not checked: --key FILE.pem, with the device's public key, does"
        )?,
    }
    Ok(())
}
