//! Bytes and text: `format, precision, form`, then the entries or the packed registers.

use super::HyperLogLog;
use super::base64;
use super::registers::{ENTRY_BYTES, Entry, Registers};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The format that this library writes, and the latest that it reads.
const FORMAT: u8 = 1;
const SPARSE: u8 = 0;
const DENSE: u8 = 1;
const HEADER_BYTES: usize = 3;

/// Why bytes or a text are no [`HyperLogLog`] of this precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HyperLogLogError {
    /// A later version of this library wrote it: update this one.
    Format {
        /// The format that it is in.
        found: u8,
    },
    /// It counts with another precision, and the two cannot be joined.
    Precision {
        /// The precision that was to be read.
        expected: u8,
        /// The precision that it has.
        found: u8,
    },
    /// It is in neither of the two forms.
    Form {
        /// The number of its form.
        found: u8,
    },
    /// It was cut, or something follows it.
    Length {
        /// How many bytes there are.
        found: usize,
    },
    /// An entry or a register that no hash leads to.
    Register {
        /// Where, in bytes from the start.
        at: usize,
    },
    /// The text is no base64 without padding.
    Text {
        /// Where, in bytes from the start.
        at: usize,
    },
}

impl fmt::Display for HyperLogLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format { found } => {
                write!(f, "a hyperloglog of format {found}, this library reads {FORMAT}")
            }
            Self::Precision { expected, found } => {
                write!(f, "a hyperloglog of precision {found}, this one has {expected}")
            }
            Self::Form { found } => {
                write!(f, "a hyperloglog is sparse (0) or dense (1), this one says {found}")
            }
            Self::Length { found } => write!(f, "a hyperloglog ends elsewhere, this one has {found} bytes"),
            Self::Register { at } => write!(f, "no hash gives the register of a hyperloglog at byte {at}"),
            Self::Text { at } => write!(f, "a hyperloglog is base64 without padding, not so at byte {at}"),
        }
    }
}

impl std::error::Error for HyperLogLogError {}

impl<const P: u8> HyperLogLog<P> {
    /// The state in bytes: 3, and 4 an entry or 6 bits a register, whichever is less.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Registers::Sparse(entries) => {
                let mut bytes = Vec::with_capacity(HEADER_BYTES + entries.len() * ENTRY_BYTES);
                bytes.extend([FORMAT, P, SPARSE]);
                bytes.extend(entries.iter().flat_map(|entry| entry.bits().to_be_bytes()));
                bytes
            }
            Registers::Dense(registers) => {
                let mut bytes = Vec::with_capacity(HEADER_BYTES + Registers::<P>::PACKED);
                bytes.extend([FORMAT, P, DENSE]);
                for four in registers.as_chunks::<4>().0 {
                    let packed = four.iter().fold(0_u32, |bits, register| bits << 6 | u32::from(*register));
                    bytes.extend(packed.to_be_bytes().iter().skip(1));
                }
                bytes
            }
        }
    }

    /// The state with these bytes. Entries in disorder, or twice, are put into order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HyperLogLogError> {
        let length = HyperLogLogError::Length { found: bytes.len() };
        // The format comes first and alone: what a later one means by the rest is not for us to judge.
        match bytes.first() {
            None => return Err(length),
            Some(&found) if found != FORMAT => return Err(HyperLogLogError::Format { found }),
            Some(_) => {}
        }
        let Some((&[_, found, form], payload)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(length);
        };
        if found != P {
            return Err(HyperLogLogError::Precision { expected: P, found });
        }
        match form {
            SPARSE => sparse(payload).ok_or(length)?,
            DENSE if payload.len() == Registers::<P>::PACKED => dense(payload),
            DENSE => Err(length),
            found => Err(HyperLogLogError::Form { found }),
        }
    }
}

/// Nothing if the last entry was cut.
fn sparse<const P: u8>(payload: &[u8]) -> Option<Result<HyperLogLog<P>, HyperLogLogError>> {
    let (entries, []) = payload.as_chunks::<ENTRY_BYTES>() else { return None };
    let mut registers = Registers::Sparse(Vec::with_capacity(entries.len().min(Registers::<P>::SPARSE_MAX)));
    for (nth, bits) in entries.iter().enumerate() {
        let Some(entry) = Entry::from_bits(u32::from_be_bytes(*bits)) else {
            return Some(Err(HyperLogLogError::Register { at: HEADER_BYTES + nth * ENTRY_BYTES }));
        };
        registers.insert(entry);
    }
    Some(Ok(HyperLogLog(registers)))
}

fn dense<const P: u8>(payload: &[u8]) -> Result<HyperLogLog<P>, HyperLogLogError> {
    let mut registers = Vec::with_capacity(Registers::<P>::COUNT);
    for (nth, &[a, b, c]) in payload.as_chunks::<3>().0.iter().enumerate() {
        let four = [a >> 2, (a & 0x03) << 4 | b >> 4, (b & 0x0f) << 2 | c >> 6, c & 0x3f];
        if four.iter().any(|register| *register > Registers::<P>::RANK_MAX) {
            return Err(HyperLogLogError::Register { at: HEADER_BYTES + nth * 3 });
        }
        registers.extend(four);
    }
    // Dense and empty would be a second way to say nothing.
    let is_bottom = registers.iter().all(|register| *register == 0);
    Ok(if is_bottom { HyperLogLog::default() } else { HyperLogLog(Registers::Dense(registers.into())) })
}

impl<const P: u8> Serialize for HyperLogLog<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode(&self.to_bytes()))
    }
}

impl<'de, const P: u8> Deserialize<'de> for HyperLogLog<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

struct Text<const P: u8>;

impl<const P: u8> de::Visitor<'_> for Text<P> {
    type Value = HyperLogLog<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a hyperloglog of precision {P} in base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let read = base64::decode(text).map_err(|at| HyperLogLogError::Text { at });
        read.and_then(|bytes| HyperLogLog::from_bytes(&bytes)).map_err(E::custom)
    }
}
