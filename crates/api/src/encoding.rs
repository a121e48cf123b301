//! Bytes as text: the two spellings that this crate writes, each accepted in its one canonical form only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Characters of a 128-bit id or fingerprint in hexadecimal.
pub(crate) const HEX_CHARS: usize = 32;

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a `String` cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// The 128 bits of 32 lower-case hexadecimal digits; nothing else is accepted, so that a text is as unique as
/// what it stands for.
pub(crate) fn unhex(text: &str) -> Option<[u8; 16]> {
    let canonical = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != HEX_CHARS || !text.bytes().all(canonical) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// Base64url without padding (RFC 4648 §5, as in RFC 7515).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Refuses padding, foreign characters and set trailing bits.
pub(crate) fn unbase64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_each() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
        let id = [7; 16];
        assert_eq!(unhex(&hex(&id)), Some(id));
        for wrong in
            ["", "0", &"A".repeat(32), &"0".repeat(31), &"0".repeat(33), &"+".repeat(32), &"é".repeat(16)]
        {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
        assert_eq!(unbase64url(&base64url(&[1, 2, 3, 4])), Some(vec![1, 2, 3, 4]));
        for wrong in ["AQ==", "AR", "A", "+w", "/w", "A Q", "\n"] {
            assert_eq!(unbase64url(wrong), None, "{wrong}");
        }
    }
}
