//! The root of trust: one key that every service's configuration names certifies the keys that sign tokens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encoding::{base64url, unbase64url};
use crate::keys::{PublicKey, SigningKey};

/// What precedes a certified key in the signed message. Nothing else that a root key signs starts like this, and
/// no token does; another layout takes another version.
const CERTIFICATE_DOMAIN: &[u8] = b"antiphon key certificate v1\0";

/// The root key's signature under a public key; as text 86 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Certificate([u8; 64]);

/// Why a public key does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Copy the certificate again.
    #[error("no certificate: copy its 86 base64url characters again")]
    Malformed,
    /// Ignore the key, and tell the operator: another deployment announces here, or someone forges.
    #[error("the root key did not certify this key: compare the root key in each service's configuration")]
    WrongSignature,
}

/// Certifies the public key of a service.
pub fn certify(root: &SigningKey, public: &PublicKey) -> Certificate {
    Certificate(root.sign(&certified(public)))
}

/// Whether the root key certified this public key.
pub fn verify_certificate(
    root: &PublicKey,
    public: &PublicKey,
    certificate: &Certificate,
) -> Result<(), CertificateError> {
    if root.verifies(&certified(public), &certificate.0) {
        Ok(())
    } else {
        Err(CertificateError::WrongSignature)
    }
}

fn certified(public: &PublicKey) -> Vec<u8> {
    [CERTIFICATE_DOMAIN, &public.to_bytes()].concat()
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({self})")
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl FromStr for Certificate {
    type Err = CertificateError;

    fn from_str(text: &str) -> Result<Self, CertificateError> {
        let bytes = unbase64url(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(CertificateError::Malformed)
    }
}

impl TryFrom<String> for Certificate {
    type Error = CertificateError;

    fn try_from(text: String) -> Result<Self, CertificateError> {
        text.parse()
    }
}

impl From<Certificate> for String {
    fn from(certificate: Certificate) -> Self {
        certificate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_certifies() {
        let (root, key, other) =
            (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]), SigningKey::from_seed([3; 32]));
        let certificate = certify(&root, &key.public());
        assert_eq!(verify_certificate(&root.public(), &key.public(), &certificate), Ok(()));

        let forged = certify(&other, &key.public());
        let undivided = Certificate(root.sign(&key.public().to_bytes()));
        for (root, key, certificate) in [
            (&root, &other, certificate),
            (&other, &key, certificate),
            (&root, &key, forged),
            (&root, &key, undivided),
            (&root, &key, Certificate([0; 64])),
        ] {
            let verdict = verify_certificate(&root.public(), &key.public(), &certificate);
            assert_eq!(verdict, Err(CertificateError::WrongSignature));
        }
    }

    #[test]
    fn golden_text() {
        // OpenSSL signs the same bytes with the same key in the same way.
        let certificate = certify(&SigningKey::from_seed([1; 32]), &SigningKey::from_seed([2; 32]).public());
        let text = "OYzp9PfPsghiw-QsmvG8przoSaNiZSVYPHAy7v7MQTT1udTfF-SeZcvSl2QCQsfjmBS3Q83VlZerTPbIwO7SCA";
        assert_eq!(certificate.to_string(), text);
        assert_eq!(serde_json::from_str::<Certificate>(&format!("\"{text}\"")).unwrap(), certificate);
        assert_eq!("AAAA".parse::<Certificate>(), Err(CertificateError::Malformed));
    }
}
