//! The list.

use super::block::{Block, Content};
use super::either::Either;
use super::error::SequenceError;
use super::indexed::{COUNTER_END, Indexed};
use super::merge::{merge, merge_all};
use crate::faults::note_identity_fault;
use crate::{Dot, Lattice, ReplicaId};
use std::fmt;
use std::ops::Range;

/// More blocks than this, and a state gets tables.
const SMALL_BLOCKS_MAX: usize = 16;
/// More values than this, and a state gets tables.
const SMALL_VALUES_MAX: usize = 64;

/// The list that many edit at once: each element has a name for ever, and where it stands follows from where it was put.
///
/// It is *Fugue* in its maximally non-interleaving form. The state is a set: to each element's id, a [`Dot`], belongs
/// where it was put (behind which element, before which) and its value, or that it is gone. The join is the union, and
/// gone stays gone. The order of the list is a function of that set. For characters, see [`Text`](crate::Text).
///
/// ```
/// use antiphon_lattice::{Lattice, ReplicaId, Sequence};
/// let (anna, boris) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = Sequence::default();
/// here.insert(anna, 0, ["prologue", "end"])?;
/// let mut there = here.clone();
///
/// let chapters = here.insert(anna, 1, ["one", "two"])?;
/// let others = there.insert(boris, 1, ["eins", "zwei"])?;
/// here.join(others);
/// there.join(chapters);
/// assert_eq!(here, there);
/// assert!(here.iter().eq(&["prologue", "one", "two", "eins", "zwei", "end"]), "side by side, and not mixed");
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
///
/// # Promise
///
/// Replicas that know the same insertions and removals show the same list, whatever they heard first. What was inserted
/// stands behind what stood before it, and before what stood behind it, as its writer saw them. Two that insert at one
/// place at once stand side by side and are never mixed, forwards or backwards: the order is *maximally
/// non-interleaving*, in the paper's sense. An element that was removed does not come back.
///
/// An insertion may arrive before what it hangs on. It waits then, as a part of the state that is not shown, see
/// [`waiting`](Sequence::waiting); so does a removal of what has not arrived. No bytes from elsewhere make two
/// replicas differ: runs that hang on each other in a circle wait for ever, and of two elements with one id the greater
/// (place, value) wins everywhere; [`identity_faults`](crate::identity_faults) counts those.
///
/// # Anomaly
///
/// An insertion into what another removes at once stays, between what is left. And there is no *moving*: who cuts and
/// pastes removes and inserts, and two who do that at once with one element have two of it.
///
/// ```
/// use antiphon_lattice::{Lattice, ReplicaId, Sequence};
/// let (anna, boris) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = Sequence::default();
/// here.insert(anna, 0, ["a", "b", "c"])?;
/// let mut there = here.clone();
/// let mut cut = here.remove(0..1)?;
/// cut.join(here.insert(anna, 2, ["a"])?);
/// there.remove(0..1)?;
/// there.insert(boris, 1, ["a"])?;
/// there.join(cut);
/// assert!(there.iter().eq(&["b", "a", "c", "a"]), "each moved it, and now there are two");
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
///
/// # Cost
///
/// What is removed keeps its id and place for ever, and gives up its value. Elements that were typed one behind the
/// other are one *run*, and cost their values and some 30 bytes for the run, in JSON as in memory. The editing trace
/// of a paper of 104,852 characters (259,778 edits, of which 77,463 removed something) ends as 272,659 bytes of JSON.
///
/// | operation | time |
/// |---|---|
/// | `insert`, `remove`, and the join of their deltas | O(log n), where the last edit was O(1), and the values |
/// | the same, of k who insert at one place at once | and O(k + d), d elements hanging one on the other there |
/// | `len` | O(1) |
/// | `get`, `id_at`, `position`, `cursor`, `index_of` | O(log n) |
/// | any of these of a delta of m runs, which has no tables | O(m log m): join it first |
/// | `iter`, the join of two whole states, `covers`, `Eq`, JSON | O(n log n) |
/// | the join of one id with two contents, a fault | O(n log n) |
///
/// A delta of one element has 128 bytes in memory for a small `T`, and needs no allocation.
///
/// # Choose another
///
/// For characters: [`Text`](crate::Text). If elements are moved: [`Arrangement`](crate::Arrangement). If the order is
/// that of the values themselves: [`GSet`](crate::GSet). If one replica writes it all: [`Lww`](crate::Lww) of a list.
///
/// # Source
///
/// Weidner and Kleppmann, *The Art of the Fugue: Minimizing Interleaving in Collaborative Text Editing*, 2023
/// (arXiv 2305.00583): the tree and the writer's rule are Fugue's, the order of siblings that of `FugueMax`. The runs and
/// the tree that counts what is shown are as in most text CRDTs since Yjs.
///
/// # JSON
///
/// `{"sequence": 1, "replicas": [id, …], "runs": [run, …]}`: the format, the replicas in order, and the runs in the
/// order of ids. A run is `[replica, start, place, piece, …]`: its replica's number in the list, its first counter, where
/// the first element hangs, and then lists of values, or numbers of elements that are gone. A place is
/// `[[replica, counter], [replica, counter]]` for a right child, of this parent and with this right origin, where the
/// counter 0 is the start or the end; and `[replica, counter]` for a left child. Each element but the first is the
/// right child of the one before. A run without a place, `[replica, start, length]`, is gone before it came.
///
/// ```
/// use antiphon_lattice::{ReplicaId, Sequence};
/// let me = ReplicaId::from_u128(1);
/// let mut list = Sequence::default();
/// list.insert(me, 0, ["a", "b"])?;
/// list.insert(me, 1, ["c"])?;
/// list.remove(0..1)?;
/// assert_eq!(
///     serde_json::to_string(&list).unwrap(),
///     r#"{"sequence":1,"replicas":["00000000000000000000000000000001"],"runs":[[0,1,[[0,0],[0,0]],1,["b"]],[0,3,[0,2],["c"]]]}"#,
/// );
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
///
/// Another format is refused by name. Runs that overlap, as no version of ours writes them, are joined. In
/// formats that are not read by people (bincode, postcard, CBOR) it is `[format, replicas, runs]`, and nothing is told by
/// what it looks like.
#[derive(Clone)]
pub struct Sequence<T>(Repr<T>);

/// A delta is a value of the same type, and must be cheap: so there is a form without tables. What a state says, its
/// equality and its bytes do not depend on the form.
#[derive(Clone)]
enum Repr<T> {
    /// The usual delta.
    One(Block<T>),
    /// In the order of ids, without overlaps, as long as they can be.
    Few(Vec<Block<T>>),
    Indexed(Box<Indexed<T>>),
}

impl<T> Sequence<T> {
    pub(super) fn of_blocks(mut blocks: Vec<Block<T>>) -> Self {
        match blocks.pop() {
            Some(block) if blocks.is_empty() => Self(Repr::One(block)),
            last => {
                blocks.extend(last);
                Self(Repr::Few(blocks))
            }
        }
    }

    /// How many elements are known that cannot be shown yet, because the element on which they hang has not arrived.
    ///
    /// They are a part of the state. Not 0 for long means that a delta was lost: send the whole state.
    pub fn waiting(&self) -> u64
    where
        T: Ord,
    {
        match &self.0 {
            Repr::Indexed(state) => state.waiting_len(),
            _ => self.small().waiting_len(),
        }
    }

    /// How many elements are shown.
    pub fn len(&self) -> usize
    where
        T: Ord,
    {
        self.read(|state| state.tree.len(), |small| small.tree.len())
    }

    /// Whether no element is shown. That need not be the bottom: deletions, and what waits, are known too.
    pub fn is_empty(&self) -> bool
    where
        T: Ord,
    {
        self.len() == 0
    }

    /// The element at an index.
    pub fn get(&self, index: usize) -> Option<&T>
    where
        T: Ord,
    {
        match &self.0 {
            Repr::Indexed(state) => state.get(index),
            _ => self.small().get(index).copied(),
        }
    }

    /// The id of the element at an index: its name for ever.
    pub fn id_at(&self, index: usize) -> Option<Dot>
    where
        T: Ord,
    {
        self.read(|state| state.id_at(index), |small| small.id_at(index))
    }

    /// The index of the element with an id, if it is shown.
    pub fn position(&self, id: Dot) -> Option<usize>
    where
        T: Ord,
    {
        self.place(id).and_then(|(index, shown)| shown.then_some(index))
    }

    /// How many elements are shown before the one with an id, and whether it is itself. `None` if it has not arrived.
    pub(super) fn place(&self, id: Dot) -> Option<(usize, bool)>
    where
        T: Ord,
    {
        self.read(|state| state.index_of(state.known(id)?), |small| small.index_of(small.known(id)?))
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = &T>
    where
        T: Ord,
    {
        if let Repr::Indexed(state) = &self.0 {
            return Either::One(state.tree.leaves().flat_map(|leaf| leaf.values.iter()));
        }
        let small: Vec<&T> = self.small().tree.leaves().flat_map(|leaf| leaf.values.clone()).collect();
        Either::Two(small.into_iter())
    }

    /// The elements with their ids, in their order.
    pub fn iter_ids(&self) -> impl Iterator<Item = (Dot, &T)>
    where
        T: Ord,
    {
        if let Repr::Indexed(state) = &self.0 {
            return Either::One(state.shown());
        }
        let small: Vec<(Dot, &T)> = self.small().shown().map(|(id, value)| (id, *value)).collect();
        Either::Two(small.into_iter())
    }

    /// Answers a question with the tables, which a small form gets for the moment.
    fn read<A>(
        &self,
        of_indexed: impl FnOnce(&Indexed<T>) -> A,
        of_small: impl FnOnce(&Indexed<&T>) -> A,
    ) -> A
    where
        T: Ord,
    {
        match &self.0 {
            Repr::Indexed(state) => of_indexed(state),
            _ => of_small(&self.small()),
        }
    }

    fn small(&self) -> Indexed<&T>
    where
        T: Ord,
    {
        Indexed::from_blocks(self.flat()).0
    }

    /// The state in its flat form, which is the same for equal states.
    pub(super) fn flat(&self) -> Vec<Block<&T>> {
        match &self.0 {
            Repr::One(block) => vec![block.by_ref()],
            Repr::Few(blocks) => blocks.iter().map(Block::by_ref).collect(),
            Repr::Indexed(state) => state.flat(),
        }
    }
}

impl<T: Clone + Ord> Sequence<T> {
    /// Inserts values before the element at an index, or at the end, and returns the delta: these elements.
    ///
    /// `me` is the replica in whose name they are numbered. Two writers must not share one.
    pub fn insert(
        &mut self,
        me: ReplicaId,
        at: usize,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Self, SequenceError> {
        let mut values = values.into_iter();
        let content = match (values.next(), values.next()) {
            (None, _) => Content::Gone(0),
            (Some(one), None) => Content::One(one),
            (Some(one), Some(two)) => Content::Many([one, two].into_iter().chain(values).collect()),
        };
        let block = self.indexed(|state| state.insert(me, at, content))?;
        Ok(block.map_or_else(Self::default, |block| Self(Repr::One(block))))
    }

    /// Removes the elements at these indices and returns the delta: that their ids are gone.
    pub fn remove(&mut self, range: Range<usize>) -> Result<Self, SequenceError> {
        let Range { start, end } = range;
        if start > end {
            return Err(SequenceError::Backwards { start, end });
        }
        self.indexed(|state| {
            let len = state.tree.len();
            if end > len {
                return Err(SequenceError::BeyondTheEnd { at: end, len });
            }
            if end - start == 1 {
                return Ok(Self(Repr::One(state.remove_one(start))));
            }
            Ok(Self::of_blocks(state.remove(start..end)))
        })
    }

    /// Removes the element with this id, wherever it is, or will be when it arrives, and returns the delta.
    pub fn remove_id(&mut self, id: Dot) -> Self {
        if id.counter == 0 || id.counter == COUNTER_END {
            return Self::default(); // nobody's
        }
        let content = Content::Gone(1);
        let delta = Self(Repr::One(Block { replica: id.replica, start: id.counter, place: None, content }));
        self.join(delta.clone());
        delta
    }

    /// Runs on the form with tables, which the state has from now on.
    fn indexed<A>(&mut self, run: impl FnOnce(&mut Indexed<T>) -> A) -> A {
        if let Repr::Indexed(state) = &mut self.0 {
            return run(state);
        }
        let mut state = Box::new(Indexed::from_blocks(self.take_blocks()).0);
        let answer = run(&mut state);
        self.0 = Repr::Indexed(state);
        answer
    }

    fn take_blocks(&mut self) -> Vec<Block<T>> {
        match std::mem::take(self).0 {
            Repr::One(block) => vec![block],
            Repr::Few(blocks) => blocks,
            Repr::Indexed(state) => state.flat().into_iter().map(Block::cloned).collect(),
        }
    }

    /// The state of blocks in the order of ids, without overlaps and as long as they can be, in the form for its size.
    fn fit(blocks: Vec<Block<T>>) -> Self {
        let values: usize = blocks.iter().map(|block| block.content.values().len()).sum();
        if blocks.len() <= SMALL_BLOCKS_MAX && values <= SMALL_VALUES_MAX {
            return Self::of_blocks(blocks);
        }
        Self(Repr::Indexed(Box::new(Indexed::from_blocks(blocks).0)))
    }

    /// The state of any blocks at all, in the form for its size.
    pub(super) fn of_any_blocks(blocks: Vec<Block<T>>) -> Self {
        let (state, fault) = Indexed::from_blocks(blocks);
        if fault {
            note_identity_fault();
        }
        let mut sequence = Self(Repr::Indexed(Box::new(state)));
        if let Repr::Indexed(state) = &sequence.0
            && state.is_small()
        {
            sequence = Self::fit(sequence.take_blocks());
        }
        sequence
    }

    /// The slow way, by the flat forms: for one id with two contents, and for small states.
    fn join_flat(&mut self, theirs: Vec<Block<T>>) -> bool {
        let merged = merge(self.take_blocks(), theirs);
        if merged.fault {
            note_identity_fault();
        }
        *self = Self::fit(merged.blocks);
        merged.grew
    }
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self(Repr::Few(Vec::new()))
    }
}

impl<T: PartialEq> PartialEq for Sequence<T> {
    fn eq(&self, other: &Self) -> bool {
        self.flat() == other.flat()
    }
}

impl<T: Eq> Eq for Sequence<T> {}

impl<T: Clone + Ord> Lattice for Sequence<T> {
    fn join(&mut self, other: Self) -> bool {
        let Repr::Indexed(state) = &mut self.0 else {
            if matches!(other.0, Repr::Indexed(_)) {
                // Rather few blocks into many than many into few.
                let grew = !self.covers(&other);
                let ours = std::mem::replace(self, other);
                self.join(ours);
                return grew;
            }
            let mut other = other;
            return self.join_flat(other.take_blocks());
        };
        let mut fault = match other.0 {
            Repr::One(block) => match state.join_block(block) {
                Ok(news) => return news,
                Err(fault) => fault,
            },
            theirs => match state.join_blocks(Self(theirs).take_blocks()) {
                Ok(news) => return news,
                Err(fault) => fault,
            },
        };
        fault.left = merge_all(fault.left).blocks;
        self.join_flat(fault.left) | fault.grew
    }

    fn covers(&self, other: &Self) -> bool {
        let blocks = other.flat();
        if let Repr::Indexed(state) = &self.0 {
            let known =
                blocks.iter().try_fold(true, |all, block| state.covers(block).map(|known| known && all));
            if let Some(known) = known {
                return known;
            }
        }
        !merge(self.flat(), blocks).grew
    }
}

/// The blocks: an id, the place, and what is there or how many are gone.
impl<T: fmt::Debug> fmt::Debug for Sequence<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sequence ")?;
        f.debug_list().entries(self.flat()).finish()
    }
}
