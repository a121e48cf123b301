//! The public keys that verify tokens: announced by Users, believed only under the root key's signature.

use crate::fact::Fact;
use crate::id::KeyId;
use crate::unknown::{Unknown, is_bottom};
use lattice::{Lattice, Life, Min, Stamp};
use serde::{Deserialize, Serialize};

/// A public key and the root key's signature over it. As it came over a queue: nothing here is verified yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CertifiedKey {
    /// The Ed25519 public key, base64url.
    pub public_key: String,
    /// The root key's signature over it, base64url.
    pub certificate: String,
}

/// A key, and whether it is still to be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyState {
    /// Its id is made from it, so there is only one; of two claims with different signatures all keep the same.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub key: Min<CertifiedKey>,
    /// Gone when it was revoked.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub life: Life,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Lattice for SigningKeyState {
    fn join(&mut self, other: Self) -> bool {
        let key = self.key.join(other.key);
        let life = self.life.join(other.life);
        self.unknown.join(other.unknown) || key || life
    }
}

/// [`SigningKeyState`]s by key id.
#[derive(Debug)]
pub struct SigningKeyFact;

impl Fact for SigningKeyFact {
    const TOPIC: &'static str = "signing-keys";
    const TYPE: &'static str = "antiphon.users.signing-key.v1";
    type Key = KeyId;
    type State = SigningKeyState;

    fn newest_stamp(_state: &SigningKeyState) -> Option<Stamp> {
        None
    }
}
