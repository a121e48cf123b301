//! The certified public keys that a service has heard of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use crate::Keys;
use crate::keys::PublicKey;
use crate::root::{Certificate, CertificateError, verify_certificate};

/// The most keys that are held: a users service has one, and a new one at each change.
pub(crate) const KEYS_MAX: usize = 1024;

/// Keys that the root key has signed, in memory, where every request looks them up.
///
/// What is learnt was verified first; a key whose certificate does not verify is refused, and whoever announced it
/// can sign nobody in.
pub struct KeyRing {
    root: PublicKey,
    now_s: Box<dyn Fn() -> u64 + Send + Sync>,
    /// `None` for a revoked one: a late announcement must not bring it back.
    keys: RwLock<BTreeMap<String, Option<PublicKey>>>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Why a key was not learnt. *Look at who announces it.*
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// It, or its certificate, is no key or signature, or it is announced under an id that is not its own.
    #[error("the announced key is malformed")]
    Malformed,
    /// The root key did not sign it.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// As many are known as are held.
    #[error("{KEYS_MAX} keys are known already")]
    Full,
}

impl KeyRing {
    /// An empty ring under a root key; `now_s` is the service's clock, in seconds since 1970.
    pub fn new(root: PublicKey, now_s: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { root, now_s: Box::new(now_s), keys: RwLock::default() }
    }

    /// Whether the root key signed an announced key.
    pub fn verify(&self, key_id: &str, public_key: &str, certificate: &str) -> Result<PublicKey, KeyRefused> {
        let key: PublicKey = public_key.parse().map_err(|_| KeyRefused::Malformed)?;
        let certificate: Certificate = certificate.parse().map_err(|_| KeyRefused::Malformed)?;
        if key.key_id() != key_id {
            return Err(KeyRefused::Malformed);
        }
        verify_certificate(&self.root, &key, &certificate)?;
        Ok(key)
    }

    /// Verifies an announced key, and believes it from now on.
    pub fn learn(&self, key_id: &str, public_key: &str, certificate: &str) -> Result<(), KeyRefused> {
        let key = self.verify(key_id, public_key, certificate)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX && !keys.contains_key(key_id) {
            return Err(KeyRefused::Full);
        }
        keys.entry(key_id.to_owned()).or_insert(Some(key));
        Ok(())
    }

    /// Believes a key no longer, for ever.
    pub fn revoke(&self, key_id: &str) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(key_id.to_owned(), None);
    }
}

impl Keys for KeyRing {
    fn public_key(&self, key_id: &str) -> Option<PublicKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(key_id).copied().flatten()
    }

    fn now_s(&self) -> u64 {
        (self.now_s)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;
    use crate::root::certify;

    #[test]
    fn only_what_the_root_signed_is_believed() {
        let (root, key, other) =
            (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]), SigningKey::from_seed([3; 32]));
        let ring = KeyRing::new(root.public(), || 7);
        let text = key.public().to_string();
        let forged = certify(&other, &key.public()).to_string();
        assert!(matches!(ring.learn(&key.key_id(), &text, &forged), Err(KeyRefused::Certificate(_))));
        let signed = certify(&root, &key.public()).to_string();
        assert_eq!(
            ring.learn(&other.key_id(), &text, &signed),
            Err(KeyRefused::Malformed),
            "another key's id"
        );
        assert_eq!(ring.learn(&key.key_id(), &text, "x"), Err(KeyRefused::Malformed));
        assert_eq!(ring.public_key(&key.key_id()), None);
        assert_eq!(ring.learn(&key.key_id(), &text, &signed), Ok(()));
        assert_eq!(ring.public_key(&key.key_id()), Some(key.public()));
        ring.revoke(&key.key_id());
        assert_eq!(ring.learn(&key.key_id(), &text, &signed), Ok(()), "a late announcement");
        assert_eq!(ring.public_key(&key.key_id()), None);
        assert_eq!(ring.now_s(), 7);
    }
}
