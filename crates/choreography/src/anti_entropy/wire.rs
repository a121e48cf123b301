//! Digests and wants as messages.
//!
//! Both are CloudEvents whose `data_base64` is packed: postcard, deflated where that is shorter, in base64. A digest
//! travels on the topic of its facts, a want on `wants.` and that. What a newer version packs otherwise gets another
//! type, and is passed over by this one: both can be lost without harm.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use lattice::ReplicaId;
use queue::{Envelope, EnvelopeData, Message, NameError, Topic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::{fmt, iter};
use store::key::KEY_BYTES_MAX;
use store::{KeyRange, Store, Sums};
use thiserror::Error;

/// The `type` of digests.
pub const DIGEST_TYPE: &str = "antiphon.digest.v1";
/// With which the types of digests of every version begin.
pub(crate) const DIGEST_TYPES: &str = "antiphon.digest.";
/// The `type` of wants.
pub const WANT_TYPE: &str = "antiphon.want.v1";
/// With which the types of wants of every version begin.
pub(super) const WANT_TYPES: &str = "antiphon.want.";
/// The attribute that says which facts are compared.
const FACT: &str = "fact";

/// The most bytes that a packed message may have once it is inflated: sixteen of the largest envelopes.
const INFLATED_BYTES_MAX: u64 = 4 << 20;

/// With which topics of wants begin.
const WANTS: &str = "wants.";

/// The topic on which those who hear `topic` say what they lack.
pub fn wants_topic(topic: &str) -> Result<Topic, NameError> {
    Topic::new(&format!("{WANTS}{topic}"))
}

/// Whether a topic is one of wants: nothing is merged from it.
pub fn is_wants_topic(topic: &Topic) -> bool {
    topic.as_str().starts_with(WANTS)
}

/// A range cut into pieces, with the sums of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    from: Vec<u8>,
    pieces: Vec<(Vec<u8>, Sums)>,
}

impl Run {
    /// Of pieces that follow each other.
    pub(crate) fn of(pieces: Vec<(KeyRange, Sums)>) -> Self {
        let from = pieces.first().map(|(range, _)| range.from.clone()).unwrap_or_default();
        Self { from, pieces: pieces.into_iter().map(|(range, sums)| (range.to, sums)).collect() }
    }

    /// All of it.
    pub(crate) fn range(&self) -> KeyRange {
        let to = self.pieces.last().map(|(to, _)| to.clone()).unwrap_or_default();
        KeyRange { from: self.from.clone(), to }
    }

    /// Its pieces.
    pub(crate) fn into_pieces(self) -> impl Iterator<Item = (KeyRange, Sums)> {
        let mut from = self.from;
        self.pieces.into_iter().map(move |(to, sums)| {
            let from = std::mem::replace(&mut from, to.clone());
            (KeyRange { from, to }, sums)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    fn bounds(&self) -> impl Iterator<Item = &Vec<u8>> {
        iter::once(&self.from).chain(self.pieces.iter().map(|(to, _)| to))
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.from.len() + self.pieces.iter().map(|(to, _)| to.len() + SUMS_BYTES).sum::<usize>()
    }
}

/// What sums take in a message, about.
const SUMS_BYTES: usize = 42;

/// What a publisher has, in some ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    /// Whose want it answers; `None`: it is for all, and of everything.
    pub(crate) answers: Option<[u8; 16]>,
    /// How many changes of rows there were: while it stays as it was, there is no traffic.
    pub(crate) changes: u64,
    /// The ranges.
    pub(crate) runs: Vec<Run>,
}

impl Digest {
    /// Whether its pieces follow each other through all of a range, which ends nowhere else.
    pub(crate) fn covers(&self, range: &KeyRange) -> bool {
        let mut at = &range.from;
        for run in &self.runs {
            if run.from != *at || run.pieces.is_empty() {
                return false;
            }
            at = run.pieces.last().map_or(at, |(to, _)| to);
        }
        !self.runs.is_empty() && *at == range.to
    }
}

/// A row as it is stored: its key without the tag, and its state as JSON.
pub(crate) type Kept = (Vec<u8>, Vec<u8>);

/// What a subscriber asks about a range in which it differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Item {
    /// Much may differ: say more. This is what it has.
    Split {
        /// The range.
        range: KeyRange,
        /// What it has there.
        here: Sums,
    },
    /// All that it has in a range that is, or is within, the one that differs: announce what is news to these.
    Values {
        /// The range that differs.
        range: KeyRange,
        /// The range whose rows these are.
        within: KeyRange,
        /// All rows in it.
        rows: Vec<Kept>,
    },
}

impl Item {
    fn bounds(&self) -> impl Iterator<Item = &Vec<u8>> {
        let (range, within) = match self {
            Self::Split { range, .. } => (range, range),
            Self::Values { range, within, .. } => (range, within),
        };
        [&range.from, &range.to, &within.from, &within.to].into_iter()
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let of = |range: &KeyRange| range.from.len() + range.to.len() + 3;
        match self {
            Self::Split { range, .. } => of(range) + SUMS_BYTES,
            Self::Values { range, within, rows } => {
                let rows: usize = rows.iter().map(|(key, state)| key.len() + state.len() + 4).sum();
                of(range) + of(within) + rows
            }
        }
    }
}

/// What a subscriber lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Want {
    /// Who is asked.
    pub(crate) publisher: [u8; 16],
    /// What about.
    pub(crate) items: Vec<Item>,
}

/// Why data is no digest and no want.
#[derive(Debug, Error)]
pub(crate) enum WireError {
    #[error("its data is not in base64")]
    Base64,
    #[error("its data takes more than {INFLATED_BYTES_MAX} bytes, or does not inflate")]
    Inflate,
    #[error("its data does not decode: {0}")]
    Decode(String),
    #[error("a range in it ends at a key of {0} bytes; there are none of more than {KEY_BYTES_MAX}")]
    Bound(usize),
}

const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

fn pack(value: &impl Serialize) -> Result<String, WireError> {
    let bytes = postcard::to_allocvec(value).map_err(|error| WireError::Decode(error.to_string()))?;
    let mut deflated = vec![DEFLATED];
    DeflateEncoder::new(bytes.as_slice(), Compression::best())
        .read_to_end(&mut deflated)
        .map_err(|_| WireError::Inflate)?;
    let packed = if deflated.len() <= bytes.len() { deflated } else { [&[PLAIN], bytes.as_slice()].concat() };
    Ok(STANDARD.encode(packed))
}

fn unpack<T: DeserializeOwned>(data: &EnvelopeData) -> Result<T, WireError> {
    let EnvelopeData::Base64(text) = data else { return Err(WireError::Base64) };
    let packed = STANDARD.decode(text).map_err(|_| WireError::Base64)?;
    let bytes = match packed.split_first() {
        Some((&DEFLATED, deflated)) => {
            let mut bytes = Vec::new();
            let inflated = DeflateDecoder::new(deflated).take(INFLATED_BYTES_MAX + 1).read_to_end(&mut bytes);
            let length = inflated.map_err(|_| WireError::Inflate)?;
            if u64::try_from(length).unwrap_or(u64::MAX) > INFLATED_BYTES_MAX {
                return Err(WireError::Inflate);
            }
            bytes
        }
        Some((&PLAIN, plain)) => plain.to_vec(),
        _ => return Err(WireError::Decode("it is packed in a way that is not known".to_owned())),
    };
    postcard::from_bytes(&bytes).map_err(|error| WireError::Decode(error.to_string()))
}

/// An envelope from a store about facts of a type.
fn message(
    store: &Store,
    event_type: &str,
    fact: &str,
    value: &impl Serialize,
) -> Result<Message, WireError> {
    let identity = store.identity();
    let mut envelope = Envelope::new(
        format!("{:032x}", store.world().random()),
        format!("/{}/{}", identity.service, identity.replica),
        event_type,
    )
    .at(store.world().now_ms());
    envelope.deployment = Some(identity.deployment.clone());
    envelope.extensions.insert(FACT.to_owned(), fact.into());
    envelope.data = EnvelopeData::Base64(pack(value)?);
    Ok(Message::new(envelope.encode()))
}

/// A digest as a message.
pub(crate) fn digest_message(store: &Store, fact: &str, digest: &Digest) -> Result<Message, WireError> {
    message(store, DIGEST_TYPE, fact, digest)
}

/// A want as a message.
pub(crate) fn want_message(store: &Store, fact: &str, want: &Want) -> Result<Message, WireError> {
    message(store, WANT_TYPE, fact, want)
}

/// The digest in an envelope, where it is about facts of this type.
pub(crate) fn read_digest(envelope: &Envelope, fact: &str) -> Result<Option<Digest>, WireError> {
    let digest: Option<Digest> = read(envelope, fact)?;
    check_bounds(digest.iter().flat_map(|digest| &digest.runs).flat_map(Run::bounds))?;
    Ok(digest)
}

/// The want in an envelope, where it is about facts of this type.
pub(crate) fn read_want(envelope: &Envelope, fact: &str) -> Result<Option<Want>, WireError> {
    let want: Option<Want> = read(envelope, fact)?;
    check_bounds(want.iter().flat_map(|want| &want.items).flat_map(Item::bounds))?;
    Ok(want)
}

/// Ranges are remembered, and sent back: their bounds must be no longer than keys are.
fn check_bounds<'a>(bounds: impl Iterator<Item = &'a Vec<u8>>) -> Result<(), WireError> {
    match bounds.map(Vec::len).find(|bytes| *bytes > KEY_BYTES_MAX) {
        Some(bytes) => Err(WireError::Bound(bytes)),
        None => Ok(()),
    }
}

fn read<T: DeserializeOwned>(envelope: &Envelope, fact: &str) -> Result<Option<T>, WireError> {
    if envelope.extensions.get(FACT).and_then(|fact| fact.as_str()) != Some(fact) {
        return Ok(None);
    }
    unpack(&envelope.data).map(Some)
}

/// Passes over a digest or a want that says nothing to us, forged, damaged or another deployment's. It is counted and not
/// kept: all that it could tell will be told again.
pub(crate) fn refuse(topic: &str, kind: &'static str, reason: &dyn fmt::Display) {
    metrics::counter!("antiphon_anti_entropy_refused_total", "topic" => topic.to_owned(), "kind" => kind)
        .increment(1);
    tracing::debug!(topic, kind, %reason, "passed over");
}

/// Who sent an envelope: the replica in its source, `/service/replica`.
pub(crate) fn sender(envelope: &Envelope) -> Option<ReplicaId> {
    envelope.source.rsplit('/').next()?.parse().ok()
}

/// A replica as bytes.
pub(crate) fn bytes_of(replica: ReplicaId) -> [u8; 16] {
    replica.to_u128().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_values_are_read_and_nothing_else() {
        let sums = Sums { count: 3, sum: 7, ..Sums::default() };
        let pieces = vec![(KeyRange::new([], [1]), sums), (KeyRange::new([1], []), sums)];
        let run = Run::of(pieces.clone());
        assert_eq!((run.range(), run.len()), (KeyRange::default(), 2));
        assert_eq!(run.clone().into_pieces().collect::<Vec<_>>(), pieces);
        let digest = Digest { answers: Some([9; 16]), changes: 5, runs: vec![run; 50] };
        let data = EnvelopeData::Base64(pack(&digest).unwrap());
        assert_eq!(unpack::<Digest>(&data).unwrap(), digest);
        let EnvelopeData::Base64(text) = &data else { unreachable!() };
        assert!(text.len() < 1000, "what repeats is short: {}", text.len());
        for wrong in ["", "AA==", "/w==", &text[..text.len() / 2]] {
            assert!(unpack::<Digest>(&EnvelopeData::Base64(wrong.to_owned())).is_err(), "{wrong}");
        }
        assert!(unpack::<Digest>(&EnvelopeData::Absent).is_err());
    }

    #[test]
    fn what_inflates_without_end_is_refused() {
        let zeros = vec![0_u8; usize::try_from(INFLATED_BYTES_MAX).unwrap() + 1];
        let mut bomb = vec![DEFLATED];
        DeflateEncoder::new(zeros.as_slice(), Compression::best()).read_to_end(&mut bomb).unwrap();
        let refused = unpack::<Vec<u8>>(&EnvelopeData::Base64(STANDARD.encode(bomb)));
        assert!(matches!(refused, Err(WireError::Inflate)), "{refused:?}");
    }
}
