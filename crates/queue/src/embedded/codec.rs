//! How messages and dead letters become bytes: one byte of version, the length of a JSON header (`u32` big-endian), the
//! header, and then the body as it came, which is so read without being copied. Fields may be added to the header; an
//! old reader skips them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Message;
use crate::rows::{Buried, Stored};

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    published_at_ms: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    /// Of a dead letter; that of a living message is a row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receive_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn encode(stored: &Stored) -> Result<Bytes, String> {
    write(stored, None, None)
}

pub(super) fn encode_dead(buried: &Buried) -> Result<Bytes, String> {
    write(&buried.stored, Some(buried.stored.receive_count), Some(buried.reason.clone()))
}

fn write(stored: &Stored, receive_count: Option<u32>, reason: Option<String>) -> Result<Bytes, String> {
    let header = Header {
        published_at_ms: stored.published_at_ms,
        attributes: stored.message.attributes.clone(),
        receive_count,
        reason,
    };
    let header = serde_json::to_vec(&header).map_err(|error| error.to_string())?;
    let header_len = u32::try_from(header.len()).map_err(|error| error.to_string())?;
    Ok([&[VERSION], &header_len.to_be_bytes()[..], &header, &stored.message.body].concat().into())
}

/// Reads both kinds; a living message has no reason.
pub(super) fn decode(bytes: &Bytes) -> Result<Buried, String> {
    let short = || "it is too short".to_owned();
    let (version, rest) = bytes.split_first().ok_or_else(short)?;
    if *version != VERSION {
        return Err(format!("its version is {version}, and {VERSION} is known"));
    }
    let (header_len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let header_len = usize::try_from(u32::from_be_bytes(*header_len)).map_err(|error| error.to_string())?;
    let header = rest.get(..header_len).ok_or_else(short)?;
    let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let message = Message { body: bytes.slice(5 + header_len..), attributes: header.attributes };
    let receive_count = header.receive_count.unwrap_or(0);
    let stored = Stored { message, receive_count, published_at_ms: header.published_at_ms };
    Ok(Buried { stored, reason: header.reason.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        let message = Message::new(&b"\x00body"[..]).with_attribute("type", "t");
        Stored { message, receive_count: 0, published_at_ms: 1_469_727_000_000 }
    }

    #[test]
    fn reads_what_it_writes() {
        let living = decode(&encode(&stored()).unwrap()).unwrap();
        assert_eq!((living.stored.message, living.reason.as_str()), (stored().message, ""));
        let dead = Buried { stored: Stored { receive_count: 7, ..stored() }, reason: "why".into() };
        let read = decode(&encode_dead(&dead).unwrap()).unwrap();
        assert_eq!((read.stored.receive_count, read.reason.as_str()), (7, "why"));
        assert_eq!(read.stored.published_at_ms, 1_469_727_000_000);
    }

    /// The bytes that the first version wrote, and what a later one may add to them.
    #[test]
    fn old_and_newer_bytes_are_read() {
        let old = b"\x01\x00\x00\x00\x3b{\"published_at_ms\":1469727000000,\"attributes\":{\"type\":\"t\"}}";
        let old = Bytes::from([&old[..], b"\x00body"].concat());
        assert_eq!(encode(&stored()).unwrap(), old);
        assert_eq!(decode(&old).unwrap().stored.message, stored().message);
        let newer = Bytes::from_static(b"\x01\x00\x00\x00\x21{\"published_at_ms\":1,\"unknown\":2}!");
        assert_eq!(decode(&newer).unwrap().stored.message.body, "!");
    }

    #[test]
    fn damage_is_an_error() {
        let whole = encode(&stored()).unwrap();
        for cut in 0..whole.len() - stored().message.body.len() {
            assert!(decode(&whole.slice(..cut)).is_err(), "cut at {cut}");
        }
        assert!(decode(&Bytes::from_static(b"\x02\x00\x00\x00\x00")).unwrap_err().contains("version"));
    }
}
