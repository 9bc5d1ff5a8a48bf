//! The device's key. It signs what was made on this device, and adapters that it has signed are trusted.
//!
//! The key is in the policy's region, which only audit can read. Nothing here gives it out.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use protocol::hash::{Hash, SIGNATURE_BYTES};
use protocol::policy::{DeviceKey, Policy};
use sha2::{Digest as _, Sha256};

/// The device's key and name; see the module.
pub(crate) struct Device {
    key: Option<SigningKey>,
}

impl Device {
    pub(crate) fn new(policy: &Policy) -> Self {
        let is_one = policy.device_key != DeviceKey::NONE;
        Self {
            key: is_one.then(|| SigningKey::from_bytes(&policy.device_key.0)),
        }
    }

    /// Whether the device has a key.
    pub(crate) const fn can_sign(&self) -> bool {
        self.key.is_some()
    }

    /// The device's identity in a log on a disk; `None` without a key.
    pub(crate) fn id(&self) -> Option<disk_log::Device> {
        let public = self.key.as_ref()?.verifying_key();
        let digest: Hash = Sha256::digest(public.as_bytes()).into();
        let mut id = disk_log::Device::default();
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        Some(id)
    }

    /// Signs the SHA-256 of a file, as models are signed; `None` without a key.
    pub(crate) fn sign(&self, sha256: &Hash) -> Option<[u8; SIGNATURE_BYTES]> {
        // Ed25519 signing never fails, but the trait allows for it.
        let signature = self.key.as_ref()?.try_sign(sha256).ok()?;
        Some(signature.to_bytes())
    }

    /// Whether the device has signed the SHA-256 of a file.
    pub(crate) fn has_signed(&self, sha256: &Hash, signature: &Signature) -> bool {
        let key: Option<VerifyingKey> = self.key.as_ref().map(SigningKey::verifying_key);
        key.is_some_and(|key| key.verify_strict(sha256, signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_device_signs_is_good_by_its_public_key_and_without_a_key_nothing_is() {
        let policy = protocol::testing::policy();
        let device = Device::new(&policy);
        let hash = [5; 32];
        let signature = device.sign(&hash).unwrap();
        let public = SigningKey::from_bytes(&policy.device_key.0).verifying_key();
        let signature = Signature::from_bytes(&signature);
        assert!(public.verify_strict(&hash, &signature).is_ok());
        assert!(device.can_sign() && device.has_signed(&hash, &signature));
        assert!(!device.has_signed(&[6; 32], &signature));
        let none = Device::new(&Policy {
            device_key: DeviceKey::NONE,
            ..policy
        });
        assert!(!none.can_sign() && none.sign(&hash).is_none());
        assert!(!none.has_signed(&hash, &signature));
    }
}
