//! Ids and fingerprints: the first 128 bits of SHA-256 over unambiguously framed parts.

use sha2::{Digest, Sha256};

/// The id that these parts have for ever: whoever repeats a create derives the same one, and nobody who does not
/// know its secret part can.
///
/// `domain` keeps kinds of id apart, such as `antiphon comment v1`; it and every part are preceded by their length
/// in eight little-endian bytes, so no two lists of parts are framed alike. These bytes are stored and sent:
/// they never change.
///
/// ```
/// use antiphon_api::derive_id;
///
/// assert_ne!(derive_id("a", &[b"bc"]), derive_id("ab", &[b"c"]));
/// assert_ne!(derive_id("a", &[b"b", b"c"]), derive_id("a", &[b"bc"]));
/// ```
pub fn derive_id(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    first_16(framed(domain, parts))
}

/// Tells whether two bodies under one idempotency key are the same: 128 bits of their SHA-256.
pub fn fingerprint(bytes: &[u8]) -> [u8; 16] {
    first_16(framed("antiphon fingerprint v1", &[bytes]))
}

/// The whole digest of parts that are framed as in [`derive_id`].
pub(crate) fn framed(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(&domain.as_bytes()).chain(parts) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn first_16(digest: [u8; 32]) -> [u8; 16] {
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::hex;

    #[test]
    fn golden() {
        // The same by hand: printf '\6\0\0\0\0\0\0\0domain\1\0\0\0\0\0\0\0a\0\0\0\0\0\0\0\0' | sha256sum
        assert_eq!(hex(&derive_id("domain", &[b"a", b""])), "7825e20ae71ab6f181b29089fe215317");
        assert_eq!(hex(&fingerprint(b"{}")), "ad1bded42e954929214becf5afee1b1d");
    }

    #[test]
    fn framing_is_unambiguous() {
        let lists: [&[&[u8]]; 7] = [&[], &[b""], &[b"", b""], &[b"a"], &[b"a", b""], &[b"", b"a"], &[b"a\0"]];
        for (i, one) in lists.iter().enumerate() {
            for (j, other) in lists.iter().enumerate() {
                assert_eq!(derive_id("d", one) == derive_id("d", other), i == j, "{one:?} {other:?}");
            }
        }
    }
}
