//! Base64 without padding (RFC 4648, §4), as JavaScript's `atob` reads it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().zip([16, 8, 0]).fold(0_u32, |bits, (byte, by)| bits | u32::from(*byte) << by);
        let digits =
            [18, 12, 6, 0].map(|by| ALPHABET.get((bits >> by & 63) as usize).copied().unwrap_or(b'A'));
        text.extend(digits.iter().take(group.len() + 1).map(|digit| char::from(*digit)));
    }
    text
}

/// The bytes, or where the text stops to be base64. One value has one text: no padding, no spaces, no bits left over.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for (nth, group) in text.as_bytes().chunks(4).enumerate() {
        let mut bits = 0_u32;
        for (within, digit) in group.iter().enumerate() {
            bits |= value(*digit).ok_or(nth * 4 + within)? << (18 - 6 * within);
        }
        let [_, three @ ..] = bits.to_be_bytes();
        let whole = group.len() - 1;
        let (said, left_over) = three.split_at(whole);
        if whole == 0 || left_over.iter().any(|byte| *byte != 0) {
            return Err(nth * 4 + whole);
        }
        bytes.extend(said);
    }
    Ok(bytes)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text), Ok(bytes.as_bytes().to_vec()));
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Ok(all));
    }

    #[test]
    fn where_it_stops() {
        for (text, at) in [
            ("Z", 0),
            ("Zm9vZ", 4),
            ("Zh", 1),
            ("Zm9", 2),
            ("Zg==", 2),
            (" Zg", 0),
            ("Zm9v\nZg", 4),
            ("Zmé", 2),
        ] {
            assert_eq!(decode(text), Err(at), "{text}");
        }
    }
}
