//! The signatures beside a disk's files.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use llm_core::hash::sha256;
use protocol::hash::SIGNATURE_BYTES;
use protocol::store::{Content, SIGNATURE_SUFFIX};

use super::is_same;
use crate::disk::Image;
use crate::error::{KeyError, ToolError};
use crate::keys;
use crate::policy;
use crate::store::TrustedKeys;

/// The keys that a policy trusts.
pub(super) fn trusted_by(policy: Option<&Path>) -> Result<Option<TrustedKeys>, ToolError> {
    let Some(path) = policy else {
        return Ok(None);
    };
    Ok(Some(TrustedKeys {
        any: policy::compile(path, policy::With::default())?.trusted_keys(),
        adapters: None,
    }))
}

/// The state of a file's signature.
#[derive(Debug)]
pub(super) enum State {
    /// There is none.
    Missing,
    /// It has another length.
    Length(u64),
    /// It is there, and there are no keys to verify it with.
    Unverified,
    /// It is by the key of this name.
    By(String),
    /// It is by none of the keys.
    Foreign,
}

impl State {
    /// Finds the signature of the file at `path`, and verifies it if there are keys.
    pub(super) fn of(
        image: &mut Image,
        files: &[(String, u64)],
        path: &str,
        content: Content,
        keys: Option<&TrustedKeys>,
    ) -> Result<Self, ToolError> {
        let beside = format!("{path}{SIGNATURE_SUFFIX}");
        let there = files.iter().find(|(name, _)| is_same(name, &beside));
        let Some((_, bytes)) = there else {
            return Ok(Self::Missing);
        };
        if *bytes != SIGNATURE_BYTES as u64 {
            return Ok(Self::Length(*bytes));
        }
        let Some(keys) = keys else {
            return Ok(Self::Unverified);
        };
        let signature = image.content(&beside)?.try_into();
        let digest = sha256(&image.content(path)?);
        let signer = signature
            .ok()
            .and_then(|signature| keys::signer(keys.of(content), &digest, &signature));
        Ok(signer.map_or(Self::Foreign, |name| Self::By(name.to_owned())))
    }

    /// What to do about it if a device would refuse the file.
    pub(super) const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Missing => {
                Some(", so audit refuses it; sign it with 'llmtool sign', and add it again")
            }
            Self::Length(_) => Some(
                "; copy it again from its source, or sign the file with 'llmtool sign' and add it again",
            ),
            // The words of the error say it.
            Self::Foreign => Some(""),
            Self::Unverified | Self::By(_) => None,
        }
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not signed"),
            Self::Length(bytes) => write!(
                f,
                "an invalid signature: it has {bytes} bytes, not {SIGNATURE_BYTES}"
            ),
            Self::Unverified => f.write_str("signed"),
            Self::By(name) => write!(f, "signed by {name}"),
            Self::Foreign => write!(f, "{}", KeyError::Bad),
        }
    }
}
