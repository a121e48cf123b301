//! Keys: the one place that says how a key becomes bytes, and which first bytes are whose.
//!
//! Every row's key starts with a one-byte tag. The store owns the tags below [`SERVICE_TAG_MIN`]; a service lists its
//! own in *its* catalogue (`rows.rs`), and the engine sorts by the bytes that follow, so a key's layout is the order
//! in which a scan returns it. Changing a layout is a migration.
//!
//! | tag | row | key after the tag | value | lives |
//! |---|---|---|---|---|
//! | `0x00` | identity | `identity` | JSON [`crate::Identity`] | as long as the replica |
//! | `0x00` | high-water marks | `marks` | JSON clock and sequence | as long as the replica |
//! | `0x00` | who writes tallies | `owners` | JSON, replica to [`crate::Owner`] | as long as the replica |
//! | `0x00` | that data was lost | `lost` | the id, in text, that must not be used further | until healed |
//! | `0x00` | tallies met from the future | `alarm` | JSON, see `heal` | until healed |
//! | `0x00` | what is counted again | `recount` | JSON [`crate::Recount`] | until counted |
//! | `0x01` | outbox mark | topic, `0x00`, the marked row's whole key | version and since when, two `u64` big-endian | until announced |
//! | `0x02` | kept message | half a SHA-256 of where from and what | JSON, see `choreography::kept` | until it is understood |
//! | `0x10`… | a service's rows | its catalogue says | its catalogue says | its catalogue says |

use lattice::{ReplicaId, Stamp};
use serde::{Serialize, de::DeserializeOwned};

/// Tag of the store's own facts.
pub const META_TAG: u8 = 0x00;
/// Tag of the outbox.
pub const OUTBOX_TAG: u8 = 0x01;
/// Tag of messages that were received and not understood.
pub const KEPT_TAG: u8 = 0x02;
/// The first tag that a service may use.
pub const SERVICE_TAG_MIN: u8 = 0x10;

/// The longest key, in bytes: what every engine accepts.
pub const KEY_BYTES_MAX: usize = 1024;

/// A part of a key that knows its bytes.
///
/// The implementer owes two things. `read(write(k)) == k`, consuming exactly what was written, so that parts can be
/// put one behind the other; and *order*: `a < b` exactly when the bytes of `a` sort before those of `b`. A part of
/// variable length that is not the last one must therefore end itself.
pub trait KeyPart: Sized {
    /// Appends this part's bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Takes this part's bytes off the front; `None` where they are not such a part.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}

impl KeyPart for () {
    fn write(&self, _out: &mut Vec<u8>) {}
    fn read(_bytes: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl KeyPart for u8 {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        take::<1>(bytes).map(|[b]| b)
    }
}

impl KeyPart for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes).map(u64::from_be_bytes)
    }
}

impl KeyPart for u128 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes).map(u128::from_be_bytes)
    }
}

impl KeyPart for ReplicaId {
    fn write(&self, out: &mut Vec<u8>) {
        self.to_u128().write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        u128::read(bytes).map(Self::from_u128)
    }
}

impl KeyPart for Stamp {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes).map(Self::from_bytes)
    }
}

impl<A: KeyPart, B: KeyPart> KeyPart for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?))
    }
}

impl<A: KeyPart, B: KeyPart, C: KeyPart> KeyPart for (A, B, C) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?, C::read(bytes)?))
    }
}

/// One kind of row: its tag, its key and the lattice that its values live in.
///
/// ```
/// use antiphon_store::{Row, key};
///
/// /// How often each page was seen, at most.
/// struct Seen;
/// impl Row for Seen {
///     const TAG: u8 = 0x20;
///     const NAME: &'static str = "seen";
///     type Key = u64;
///     type State = lattice::Max<u64>;
/// }
/// assert_eq!(key::of::<Seen>(&7), [0x20, 0, 0, 0, 0, 0, 0, 0, 7]);
/// assert_eq!(key::read::<Seen>(&key::of::<Seen>(&7)), Some(7));
/// ```
pub trait Row: 'static {
    /// The first byte of every key of this kind; [`SERVICE_TAG_MIN`] or above, and nobody else's in this store.
    const TAG: u8;
    /// What people call it, in errors.
    const NAME: &'static str;
    /// The rest of the key.
    type Key: KeyPart;
    /// The value, stored as JSON: an old reader keeps the fields that it does not know if the state says so.
    type State: lattice::Lattice + Serialize + DeserializeOwned + Send + 'static;
}

/// The whole key of a row, tag included.
pub fn of<R: Row>(key: &R::Key) -> Vec<u8> {
    let mut out = vec![R::TAG];
    key.write(&mut out);
    out
}

/// A key under `tag`, for index rows, whose values are plain bytes.
pub fn index<K: KeyPart>(tag: u8, key: &K) -> Vec<u8> {
    let mut out = vec![tag];
    key.write(&mut out);
    out
}

/// Reads a whole key of kind `R` back; `None` where it is of another kind or has bytes left over.
pub fn read<R: Row>(bytes: &[u8]) -> Option<R::Key> {
    read_index(R::TAG, bytes)
}

/// Reads what [`index`] wrote.
pub fn read_index<K: KeyPart>(tag: u8, bytes: &[u8]) -> Option<K> {
    let (first, mut rest) = bytes.split_first()?;
    let key = K::read(&mut rest)?;
    (*first == tag && rest.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip<K: KeyPart + PartialEq + std::fmt::Debug>(key: &K) {
        let bytes = index(0x20, key);
        assert_eq!(read_index::<K>(0x20, &bytes).as_ref(), Some(key));
        assert!(read_index::<K>(0x21, &bytes).is_none(), "another tag is another kind");
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(read_index::<K>(0x20, &longer).is_none(), "bytes left over");
        for cut in 0..bytes.len() {
            assert!(read_index::<K>(0x20, &bytes[..cut]).is_none(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_keep_order(a: (u128, u64, u8), b: (u128, u64, u8)) {
            round_trip(&a);
            prop_assert_eq!(a.cmp(&b), index(0x20, &a).cmp(&index(0x20, &b)));
        }
    }
}
