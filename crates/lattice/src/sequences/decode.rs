//! How a state is read, whoever wrote it.

use super::block::{Block, Content, Place, push};
use super::codec::{FORMAT, Form, Read};
use super::indexed::COUNTER_END;
use super::sequence::Sequence;
use crate::{Dot, ReplicaId};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, value};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// Reads a state. Runs may come in any order and overlap: they are joined.
pub(super) fn deserialize<'de, F: Read<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Sequence<F::Value>, D::Error>
where
    F::Value: Clone + Ord,
{
    deserializer.deserialize_map(ReadState::<F>(PhantomData))
}

struct ReadState<F>(PhantomData<F>);

impl<'de, F: Read<'de>> de::Visitor<'de> for ReadState<F>
where
    F::Value: Clone + Ord,
{
    type Value = Sequence<F::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} of format {FORMAT}", F::NAME)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (mut format, mut replicas, mut runs) = (None, None, None);
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "replicas" => replicas = Some(fields.next_value::<Vec<ReplicaId>>()?),
                "runs" => runs = Some(fields.next_value_seed(ReadRuns::<F>(PhantomData))?),
                name if name == F::NAME => format = Some(check_format::<F, _>(fields.next_value()?)?),
                _ => drop(fields.next_value::<de::IgnoredAny>()?),
            }
        }
        format.ok_or_else(|| de::Error::missing_field(F::NAME))?;
        let replicas = replicas.ok_or_else(|| de::Error::missing_field("replicas"))?;
        let runs = runs.ok_or_else(|| de::Error::missing_field("runs"))?;
        state_of::<F, _>(&replicas, runs)
    }
}

/// The state that runs say, in whatever order.
pub(super) fn state_of<'de, F: Read<'de>, E: de::Error>(
    replicas: &[ReplicaId],
    runs: impl IntoIterator<Item = Run<F::Piece>>,
) -> Result<Sequence<F::Value>, E>
where
    F::Value: Clone + Ord,
{
    let mut blocks = Vec::new();
    for (nth, run) in runs.into_iter().enumerate() {
        run.blocks::<F>(replicas, &mut blocks)
            .map_err(|error| E::custom(format_args!("run {nth}: {error}")))?;
    }
    Ok(Sequence::of_any_blocks(blocks))
}

pub(super) fn check_format<F: Form, E: de::Error>(format: u64) -> Result<(), E> {
    if format == FORMAT {
        return Ok(());
    }
    Err(E::custom(format_args!("a {} of format {format}, this library reads {FORMAT}", F::NAME)))
}

struct ReadRuns<F>(PhantomData<F>);

impl<'de, F: Read<'de>> DeserializeSeed<'de> for ReadRuns<F> {
    type Value = Vec<Run<F::Piece>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: Read<'de>> de::Visitor<'de> for ReadRuns<F> {
    type Value = Vec<Run<F::Piece>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of runs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut runs = Vec::new();
        loop {
            match list.next_element() {
                Ok(Some(run)) => runs.push(run),
                Ok(None) => return Ok(runs),
                Err(error) => return Err(de::Error::custom(format_args!("run {}: {error}", runs.len()))),
            }
        }
    }
}

/// A run as it stands in the bytes, its numbers not yet looked at.
pub(super) struct Run<L> {
    pub(super) replica: u64,
    pub(super) start: u64,
    pub(super) place: Option<RawPlace>,
    pub(super) pieces: Vec<Piece<L>>,
}

pub(super) enum RawPlace {
    Left([u64; 2]),
    Right([u64; 2], [u64; 2]),
}

pub(super) enum Piece<L> {
    Gone(u64),
    There(L),
}

impl<L> Run<L> {
    fn blocks<'de, F: Read<'de, Piece = L>>(
        self,
        replicas: &[ReplicaId],
        blocks: &mut Vec<Block<F::Value>>,
    ) -> Result<(), String> {
        let name = |number: u64| {
            let name = usize::try_from(number).ok().and_then(|number| replicas.get(number)).copied();
            name.ok_or_else(|| format!("there is no replica {number} of {}", replicas.len()))
        };
        let dot = |[replica, counter]: [u64; 2]| match counter {
            0 => Ok(Dot::default()),
            _ => name(replica).map(|replica| Dot { replica, counter }),
        };
        let mut place = match self.place {
            None => None,
            Some(RawPlace::Left([_, 0])) => return Err("nothing hangs on the left of the start".to_owned()),
            Some(RawPlace::Left(parent)) => Some(Place::left_of(dot(parent)?)),
            Some(RawPlace::Right(parent, right)) => Some(Place::right_of(dot(parent)?, dot(right)?)),
        };
        let (replica, mut start) = (name(self.replica)?, self.start);
        if start == 0 {
            return Err("it starts at 0, and ids at 1".to_owned());
        }
        for piece in self.pieces {
            let content = match piece {
                Piece::Gone(len) => Content::Gone(len),
                Piece::There(_) if place.is_none() => {
                    return Err("it has values and hangs nowhere".to_owned());
                }
                Piece::There(values) => Content::Many(F::values(values)),
            };
            let len = content.len();
            if len > COUNTER_END - start {
                return Err("its ids end beyond 2^64".to_owned());
            }
            if len > 0 {
                push(blocks, Block { replica, start, place, content });
                start += len;
                let last = Dot { replica, counter: start - 1 };
                place = place.map(|place| Place::right_of(last, place.right));
            }
        }
        Ok(())
    }
}

impl<'de, L: Deserialize<'de>> Deserialize<'de> for Run<L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ReadRun(PhantomData))
    }
}

struct ReadRun<L>(PhantomData<L>);

impl<'de, L: Deserialize<'de>> de::Visitor<'de> for ReadRun<L> {
    type Value = Run<L>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run: replica, start, place, and pieces")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Run<L>, A::Error> {
        let replica = list.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let start = list.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        let mut run = Run { replica, start, place: None, pieces: Vec::new() };
        match list.next_element()?.ok_or_else(|| de::Error::invalid_length(2, &self))? {
            Third::Place(place) => run.place = Some(place),
            Third::Gone(len) => run.pieces.push(Piece::Gone(len)),
        }
        while let Some(piece) = list.next_element()? {
            run.pieces.push(piece);
        }
        Ok(run)
    }
}

/// What stands third in a run: its place, or how many are gone where it has none.
enum Third {
    Place(RawPlace),
    Gone(u64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    Gone(u64),
    Left([u64; 2]),
    Right([u64; 2], [u64; 2]),
}

impl<'de> Deserialize<'de> for Third {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Numbers::deserialize(deserializer)? {
            Numbers::Gone(len) => Self::Gone(len),
            Numbers::Left(parent) => Self::Place(RawPlace::Left(parent)),
            Numbers::Right(parent, right) => Self::Place(RawPlace::Right(parent, right)),
        })
    }
}

impl<'de, L: Deserialize<'de>> Deserialize<'de> for Piece<L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadPiece(PhantomData))
    }
}

struct ReadPiece<L>(PhantomData<L>);

impl<'de, L: Deserialize<'de>> de::Visitor<'de> for ReadPiece<L> {
    type Value = Piece<L>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values, or how many are gone")
    }

    fn visit_u64<E: de::Error>(self, len: u64) -> Result<Piece<L>, E> {
        Ok(Piece::Gone(len))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Piece<L>, E> {
        L::deserialize(value::StrDeserializer::new(text)).map(Piece::There)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Piece<L>, A::Error> {
        L::deserialize(value::SeqAccessDeserializer::new(list)).map(Piece::There)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Lattice, ReplicaId, Sequence, Text, identity_faults};
    use std::fmt::Write;

    fn of_runs(runs: &str) -> Result<Sequence<u8>, String> {
        let ids = [1, 2].map(|id| ReplicaId::from_u128(id).to_string());
        let bytes = format!("{{\"sequence\":1,\"replicas\":{ids:?},\"runs\":[{runs}]}}");
        serde_json::from_str(&bytes).map_err(|error| error.to_string())
    }

    fn list(runs: &str) -> Vec<u8> {
        of_runs(runs).unwrap().iter().copied().collect()
    }

    #[test]
    fn errors_say_where() {
        let table = [
            ("[0,1,[[0,0],[0,0]],[1]],[2,1,[0,1],[1]]", "run 1: there is no replica 2 of 2"),
            ("[0,1,[[0,0],[7,3]],[1]]", "run 0: there is no replica 7 of 2"),
            ("[0,0,[[0,0],[0,0]],[1]]", "run 0: it starts at 0, and ids at 1"),
            ("[0,1,[0,0],[1]]", "run 0: nothing hangs on the left of the start"),
            ("[0,1,1,[1]]", "run 0: it has values and hangs nowhere"),
            ("[0,18446744073709551614,[[0,0],[0,0]],[1,2]]", "run 0: its ids end beyond 2^64"),
            ("[0,5,18446744073709551611]", "run 0: its ids end beyond 2^64"),
            ("[0,1]", "run 0: invalid length 2, expected a run: replica, start, place, and pieces"),
            ("[0,1,[[0,0],[0,0]],[256]]", "run 0: invalid value: integer `256`, expected u8"),
            (
                "[0,1,[[0,0],[0,0]],-1]",
                "run 0: invalid type: integer `-1`, expected values, or how many are gone",
            ),
        ];
        for (runs, expected) in table {
            let error = of_runs(runs).unwrap_err();
            assert!(error.starts_with(expected), "{runs}: {error}");
        }
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let error = |bytes| serde_json::from_str::<Sequence<u8>>(bytes).unwrap_err().to_string();
        let future = r#"{"sequence":2,"replicas":[],"runs":{}}"#;
        assert!(
            error(future).starts_with("a sequence of format 2, this library reads 1"),
            "{}",
            error(future)
        );
        assert!(error(r#"{"replicas":[],"runs":[]}"#).starts_with("missing field `sequence`"));
        let text = serde_json::from_str::<Text>(future.replace("sequence", "text").as_str()).unwrap_err();
        assert!(text.to_string().starts_with("a text of format 2, this library reads 1"), "{text}");
        assert!(serde_json::from_str::<Text>(r#"{"sequence":1,"replicas":[],"runs":[]}"#).is_err());
        assert!(
            serde_json::from_str::<Text>(r#"{"text":1,"since":{"x":[]},"replicas":[],"runs":[]}"#).is_ok()
        );
    }

    #[test]
    fn ten_bytes_cost_ten_bytes() {
        let long = 1_u64 << 60;
        let mut state = of_runs(&format!("[0,1,[[0,0],[0,0]],{long},[7]],[1,5,{long}]")).unwrap();
        assert_eq!((state.len(), state.iter().next()), (1, Some(&7)));
        let me = ReplicaId::from_u128(2);
        state.insert(me, 1, [8]).unwrap();
        assert!(state.join(of_runs(&format!("[1,5,[0,{}],[1],{}]", long / 2, long - 1)).unwrap()));
        assert_eq!(state.iter().copied().collect::<Vec<u8>>(), [7, 8], "its first is gone before it came");
        assert!(state.join(of_runs("[0,1,18446744073709551614],[1,1,18446744073709551614]").unwrap()));
        assert!(state.is_empty());
        let exhausted = state.insert(me, 0, [9]).unwrap_err();
        assert_eq!(exhausted.to_string(), format!("replica {me} has no ids left"));
        assert_eq!(state.remove_id(crate::Dot { replica: me, counter: u64::MAX }), Sequence::default());
    }

    /// A long run that waits, every other element of which is removed: no removal moves all that is behind it.
    #[test]
    fn holes_in_what_waits() {
        let many = 200_000;
        let values = format!("[{}0]", "0,".repeat(many - 1));
        let mut here = of_runs(&format!("[0,1,[[1,7],[0,0]],{values}]")).unwrap();
        let holes: Vec<String> = (1..many).step_by(2).map(|start| format!("[0,{start},1]")).collect();
        let there = of_runs(&holes.join(",")).unwrap();
        let joined = there.clone().joined(here.clone());
        assert!(here.join(there.clone()) && !here.join(there));
        assert_eq!((&here, here.waiting(), here.len()), (&joined, many as u64, 0));
        assert!(here.join(of_runs("[1,7,[[0,0],[0,0]],[9]]").unwrap()));
        assert_eq!((here.waiting(), here.len()), (0, many / 2 + 1));
    }

    #[test]
    fn what_hangs_in_a_circle_waits() {
        let state =
            of_runs("[0,1,[0,1],[1]],[0,2,[1,1],[2]],[1,1,[[0,2],[0,0]],[3,4]],[0,9,[[0,0],[0,10]],[5,6]]")
                .unwrap();
        assert_eq!((state.len(), state.waiting()), (0, 6));
        assert_eq!(state.clone().joined(state.clone()), state);
    }

    /// No recursion, and nothing quadratic, in chains of any length.
    #[test]
    fn deep_chains() {
        let len = 50_000_u64;
        let (mut left, mut right) =
            ("[0,1,[[0,0],[0,0]],[0]]".to_owned(), "[0,1,[[0,0],[0,0]],[0]]".to_owned());
        for counter in 2..=len {
            write!(left, ",[0,{counter},[0,{}],[1]]", counter - 1).unwrap();
            write!(right, ",[0,{counter},[[0,{}],[0,{}]],[1]]", counter - 1, counter % 2).unwrap();
        }
        for chain in [left, right] {
            // Another child of the start, so that the whole chain is walked once.
            let mut state = of_runs(&chain).unwrap();
            assert!(state.join(of_runs("[1,1,[[0,0],[0,0]],[9]]").unwrap()));
            assert_eq!((state.len() as u64, state.waiting()), (len + 1, 0));
            assert_eq!(state.iter().last(), Some(&9));
        }
    }

    #[test]
    fn runs_that_overlap_are_joined() {
        assert_eq!(list("[0,1,[[0,0],[0,0]],[1,2]],[0,2,[[0,1],[0,0]],[2,3]],[0,1,1]"), [2, 3]);
        let before = identity_faults();
        assert_eq!(
            list("[0,1,[[0,0],[0,0]],[1,2]],[0,1,[[0,0],[0,0]],[2,1]]"),
            [2, 2],
            "the greater value of each"
        );
        assert!(identity_faults() > before);
    }
}
