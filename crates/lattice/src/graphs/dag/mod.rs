//! What answers what.

#[cfg(test)]
mod tests;
mod view;

pub use view::{DagView, Walk};

use crate::Lattice;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::fmt;
use std::marker::PhantomData;

/// The add-only monotonic DAG: vertices that point at what was there before them, as replies do.
///
/// A vertex comes with its *parents*: none for a root, one for a reply, several for a merge. It never leaves and never
/// moves.
///
/// # Promise
///
/// What any replica added is in all of them, and **the graph has no cycle, at any replica, at any time, whatever bytes
/// arrived**. A vertex is *in the graph* once all of its parents are; until then it is *masked*: kept, joined and sent
/// on, but in no answer. So a reply may overtake what it answers, and nobody sees it hanging in the air. Vertices that
/// point at each other in a ring are masked for ever.
///
/// Edges cannot make a ring by concurrency either: [`add`](Dag::add) makes a vertex that nobody points at yet, and
/// [`add_edge`](Dag::add_edge) accepts an edge only in the direction of the order that exists.
///
/// The caller owes a vertex of its own to each `add`: two replicas that add one vertex with different parents make one
/// vertex that answers both.
///
/// # Anomaly
///
/// A vertex appears later than it arrived, and whoever may write bytes can hide one by giving it a parent that does not
/// exist:
///
/// ```
/// use antiphon_lattice::{Dag, Lattice};
/// let mut thread = Dag::of("reply", ["comment"]);
/// assert!(!thread.contains(&"reply"), "it overtook what it answers");
/// assert_eq!(thread.missing().collect::<Vec<_>>(), [&"comment"]);
/// thread.join(Dag::of("comment", []));
/// assert!(thread.contains(&"reply"));
///
/// thread.join(Dag::of("reply", ["no such comment"]));
/// assert!(!thread.contains(&"reply"), "masked by a parent that never comes");
/// ```
///
/// # Cost
///
/// Every vertex, and every parent once for each child. In memory, a `Vec` beside each vertex; in JSON, 6 bytes beside
/// each vertex and its parent. A delta is one vertex. [`add`](Dag::add) and [`contains`](Dag::contains) look at the ancestors of
/// one vertex. All other questions are put to a [`view`](Dag::view), which costs O((v + e) log v) once, so make one for
/// a page and not one for each question. No recursion: a thread of a million replies to replies needs no stack.
///
/// # Choose another
///
/// [`OrGraph`](crate::OrGraph) if vertices or edges must go. [`TwoPhaseGraph`](crate::TwoPhaseGraph) if they go for good
/// and edges may point anywhere. [`PartialOrder`](crate::PartialOrder) for an order into whose middle things are put.
/// To remove a comment, keep its vertex and say in its row that it is gone, or its replies would hang in the air.
///
/// # Source
///
/// Shapiro et al. 2011, §3.4.2, specification 17 (*add-only monotonic DAG*). There the queue must deliver in causal
/// order. The mask does without.
///
/// # JSON
///
/// An array of `[vertex, [parents]]`, both in order. What stands twice is joined.
///
/// ```
/// use antiphon_lattice::{Dag, Lattice};
/// let mut comments = Dag::default();
/// comments.add(1, [])?;
/// comments.add(2, [1])?;
/// comments.add(3, [])?;
/// comments.add(4, [1])?;
/// comments.add(5, [2])?;
///
/// let page = comments.view();
/// let lines: Vec<String> = page.walk().map(|(depth, id)| format!("{}{id}", "> ".repeat(depth))).collect();
/// assert_eq!(lines, ["1", "> 2", "> > 5", "> 4", "3"]);
/// assert_eq!(page.descendants(&1), 3);
///
/// // Newest first:
/// let page = comments.view_by(|a, b| b.cmp(a));
/// assert_eq!(page.roots().collect::<Vec<_>>(), [&3, &1]);
/// assert_eq!(page.children(&1).collect::<Vec<_>>(), [&4, &2]);
/// assert_eq!(serde_json::to_string(&Dag::of(2, [1]))?, "[[2,[1]]]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dag<V>(BTreeMap<V, Parents<V>>);

/// Nearly always none or one: a sorted `Vec` is a tenth of a tree of one.
type Parents<V> = Vec<V>;

impl<V: Ord + Clone> Dag<V> {
    /// One vertex and what it points at: a delta, or a row as it was stored. Nothing is checked.
    pub fn of(vertex: V, parents: impl IntoIterator<Item = V>) -> Self {
        Self::from_iter([(vertex, parents)])
    }

    /// Adds a vertex with its parents, and returns the delta: this vertex.
    ///
    /// Its parents must be in the graph here. Adding the same again changes nothing and returns the same delta.
    pub fn add(&mut self, vertex: V, parents: impl IntoIterator<Item = V>) -> Result<Self, DagError<V>> {
        let delta = Self::of(vertex.clone(), parents);
        for parent in delta.0.values().flatten() {
            if !self.contains(parent) {
                return Err(DagError::Absent(parent.clone()));
            }
        }
        match self.0.get(&vertex) {
            Some(parents) if delta.0.get(&vertex) != Some(parents) => Err(DagError::Present(vertex)),
            Some(_) => Ok(delta),
            None => {
                self.join(delta.clone());
                Ok(delta)
            }
        }
    }

    /// Adds an edge between two vertices of which one is an ancestor of the other already, and returns the delta: the
    /// child with all of its parents.
    ///
    /// It makes a shortcut: who comes after whom stays as it is. Any other edge could be half of a ring, whose other
    /// half is being added elsewhere.
    pub fn add_edge(&mut self, child: &V, parent: &V) -> Result<Self, DagError<V>> {
        for vertex in [child, parent] {
            if !self.contains(vertex) {
                return Err(DagError::Absent(vertex.clone()));
            }
        }
        if child == parent || !self.reaches(child, parent) {
            return Err(DagError::Unordered { child: child.clone(), parent: parent.clone() });
        }
        let known = self.0.get(child).into_iter().flatten().cloned();
        let delta = Self::of(child.clone(), known.chain([parent.clone()]));
        self.join(delta.clone());
        Ok(delta)
    }

    /// Whether the vertex is in the graph: it was added, and so were all of its ancestors.
    pub fn contains(&self, vertex: &V) -> bool {
        // A way up from here, each vertex with the parents that are still to be tried. It is a ring if it meets itself.
        let mut sound = BTreeSet::new();
        let mut under_way = BTreeSet::from([vertex]);
        let Some(parents) = self.0.get(vertex) else { return false };
        let mut way = vec![(vertex, parents.iter())];
        while let Some((child, parents)) = way.last_mut() {
            let child = *child;
            match parents.next() {
                Some(parent) if sound.contains(parent) => {}
                Some(parent) if !under_way.insert(parent) => return false,
                Some(parent) => match self.0.get(parent) {
                    None => return false,
                    Some(parents) => way.push((parent, parents.iter())),
                },
                None => {
                    under_way.remove(child);
                    sound.insert(child);
                    way.pop();
                }
            }
        }
        true
    }

    /// Whether edges lead from one vertex to the other, up.
    fn reaches(&self, from: &V, to: &V) -> bool {
        let mut seen = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(vertex) = next.pop() {
            if vertex == to {
                return true;
            }
            next.extend(self.0.get(vertex).into_iter().flatten().filter(|parent| seen.insert(parent)));
        }
        false
    }

    /// What vertices point at that was never added: what is to be fetched, or waited for.
    pub fn missing(&self) -> impl Iterator<Item = &V> {
        let named: BTreeSet<&V> = self.0.values().flatten().collect();
        named.into_iter().filter(|parent| !self.0.contains_key(parent))
    }

    /// The graph, ready for questions, with siblings in the order of their values.
    pub fn view(&self) -> DagView<'_, V> {
        self.view_by(Ord::cmp)
    }

    /// The graph, ready for questions, with siblings in this order: by when they were posted, say.
    ///
    /// Siblings that are equal in this order stay in the order of their values.
    pub fn view_by(&self, order: impl FnMut(&V, &V) -> std::cmp::Ordering) -> DagView<'_, V> {
        DagView::new(&self.0, order)
    }
}

impl<V> Dag<V> {
    /// Every vertex that is known, masked ones too, with its parents, in order of their values.
    pub fn iter(&self) -> impl Iterator<Item = (&V, &[V])> {
        self.0.iter().map(|(vertex, parents)| (vertex, parents.as_slice()))
    }

    /// How many vertices are known, masked ones too.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the bottom.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Takes parents in, and says whether that was news.
fn unite<V: Ord>(ours: &mut Parents<V>, theirs: Parents<V>) -> bool {
    let before = ours.len();
    for parent in theirs {
        // Among the first only: what is appended is in order, and new to them.
        if ours.get(..before).is_some_and(|known| known.binary_search(&parent).is_err()) {
            ours.push(parent);
        }
    }
    let grew = ours.len() > before;
    if grew {
        ours.sort();
    }
    grew
}

impl<V> Default for Dag<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V: Ord + Clone> Lattice for Dag<V> {
    fn join(&mut self, other: Self) -> bool {
        other.0.into_iter().fold(false, |grew, (vertex, theirs)| {
            grew | match self.0.entry(vertex) {
                btree_map::Entry::Occupied(ours) => unite(ours.into_mut(), theirs),
                btree_map::Entry::Vacant(entry) => {
                    entry.insert(theirs);
                    true
                }
            }
        })
    }

    fn covers(&self, other: &Self) -> bool {
        let is_known = |(vertex, theirs): (&V, &Parents<V>)| {
            let ours = self.0.get(vertex);
            ours.is_some_and(|ours| theirs.iter().all(|parent| ours.binary_search(parent).is_ok()))
        };
        other.0.iter().all(is_known)
    }
}

/// Rows as they were stored, each vertex with its parents (an `Option` of one, say). Nothing is checked.
impl<V: Ord, P: IntoIterator<Item = V>> FromIterator<(V, P)> for Dag<V> {
    fn from_iter<I: IntoIterator<Item = (V, P)>>(rows: I) -> Self {
        let mut dag = Self::default();
        for (vertex, parents) in rows {
            dag.0.entry(vertex).or_default().extend(parents);
        }
        // Once each: one vertex may come in many rows.
        for parents in dag.0.values_mut() {
            parents.sort_unstable();
            parents.dedup();
        }
        dag
    }
}

impl<V: Serialize> Serialize for Dag<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de, V: Ord + Deserialize<'de>> Deserialize<'de> for Dag<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Rows(PhantomData))
    }
}

struct Rows<V>(PhantomData<V>);

impl<'de, V: Ord + Deserialize<'de>> de::Visitor<'de> for Rows<V> {
    type Value = Dag<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of vertices, each with an array of its parents")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut rows: A) -> Result<Self::Value, A::Error> {
        let mut read: Vec<(V, Parents<V>)> = Vec::new();
        while let Some(row) = rows.next_element()? {
            read.push(row);
        }
        Ok(read.into_iter().collect())
    }
}

/// Why a vertex or an edge was not added. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DagError<V> {
    /// This vertex is not in the graph here: wait for it, or say that there is none.
    Absent(V),
    /// This vertex was added before, with other parents: give the new one another identity.
    Present(V),
    /// The child does not come after the parent, so the edge could close a ring.
    Unordered {
        /// What was to point.
        child: V,
        /// What it was to point at.
        parent: V,
    },
}

impl<V: fmt::Debug> fmt::Display for DagError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(vertex) => write!(f, "{vertex:?} is not in the graph"),
            Self::Present(vertex) => write!(f, "{vertex:?} is in the graph with other parents"),
            Self::Unordered { child, parent } => write!(f, "{child:?} does not come after {parent:?}"),
        }
    }
}

impl<V: fmt::Debug> std::error::Error for DagError<V> {}
