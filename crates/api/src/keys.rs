//! Ed25519 keys, private and public.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signer, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::encoding::{base64url, hex, unbase64url};

/// Characters of a key id: 16 bytes in hexadecimal.
pub const KEY_ID_CHARS: usize = crate::encoding::HEX_CHARS;

/// Why some text or bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Restore the file from a backup.
    #[error("no ed25519 private key in PKCS#8 PEM is in there: restore the key file from a backup")]
    Private,
    /// Copy the key again.
    #[error("no ed25519 public key: copy its 43 base64url characters again")]
    Public,
}

/// A private key. It signs; it is shown nowhere, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of 32 secret random bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The content of a key file: PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` also writes it.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim()).map(Self).map_err(|_| KeyError::Private)
    }

    /// What [`SigningKey::from_pem`] reads, for a file that only its owner may read.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_pkcs8_pem(LineEnding::LF).map(|pem| pem.to_string()).map_err(|_| KeyError::Private)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The id of the public half, which tokens name.
    pub fn key_id(&self) -> String {
        self.public().key_id()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret)", self.key_id())
    }
}

/// A public key; as text 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key of these bytes. Weak keys, under which one signature fits many messages, are refused.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        match VerifyingKey::from_bytes(bytes) {
            // A second spelling of the same point would be a second key id of one key.
            Ok(key) if !key.is_weak() && key.to_edwards().compress().to_bytes() == *bytes => Ok(Self(key)),
            _ => Err(KeyError::Public),
        }
    }

    /// Its 32 bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The first 16 bytes of its SHA-256, in hexadecimal.
    pub fn key_id(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        let mut text = hex(&digest);
        text.truncate(KEY_ID_CHARS);
        text
    }

    /// Strict verification: no weak key, no second signature made from a first one.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(self.0.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = unbase64url(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Self::from_bytes(&bytes.ok_or(KeyError::Public)?)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::unbase64url;

    /// RFC 8037, appendix A: a private key, its public half, and the signature of A.4.
    #[test]
    fn rfc_8037() {
        let seed = unbase64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_seed(seed.try_into().unwrap());
        assert_eq!(key.public().to_string(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");

        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature =
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let signature = unbase64url(signature).unwrap().try_into().unwrap();
        assert!(key.public().verifies(message, &signature));
        assert_eq!(key.sign(message), signature);
        assert!(!key.public().verifies(b"another message", &signature));
    }

    #[test]
    fn key_files() {
        let key = SigningKey::from_seed([7; 32]);
        let pem = key.to_pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert_eq!(SigningKey::from_pem(&pem).unwrap().public(), key.public());
        for broken in ["", "secret", &pem[..60], &pem.replace("PRIVATE", "PUBLIC")] {
            assert_eq!(SigningKey::from_pem(broken).unwrap_err(), KeyError::Private);
        }
        // What `openssl genpkey -algorithm ed25519` writes has no public half.
        let openssl = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        assert!(SigningKey::from_pem(openssl).is_ok());
        assert!(!format!("{key:?}").contains("07"), "secrets are not shown");
    }

    #[test]
    fn public_keys_have_one_spelling() {
        let key = SigningKey::from_seed([7; 32]).public();
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        assert_eq!(serde_json::to_string(&key).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<PublicKey>(&format!("\"{text}\"")).unwrap(), key);
        for wrong in ["", &text[1..], &format!("{text}="), &format!("{text}A")] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(KeyError::Public));
        }
        let (mut weak, mut beyond) = ([0; 32], [0xff; 32]);
        weak[0] = 1;
        beyond[31] = 0x7f; // p + 18: the point of y = 18, if it is one, in a second spelling
        assert_eq!(PublicKey::from_bytes(&weak), Err(KeyError::Public));
        assert_eq!(PublicKey::from_bytes(&beyond), Err(KeyError::Public));
    }
}
