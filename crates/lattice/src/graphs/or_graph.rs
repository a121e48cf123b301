//! The graph whose vertices and edges come and go.

use crate::{Causal, CausalContext, DotMap, DotSet, DotStore, DotsExhausted, Lattice, ReplicaId};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

/// The observed-remove directed graph: an [`OrSet`](crate::OrSet) of vertices and one of edges, under one context.
///
/// An edge may lose a vertex at one replica while another adds it. It is then *dangling*: kept, and **masked** in every
/// answer until both its vertices are there.
///
/// ```
/// use antiphon_lattice::{Lattice, OrGraph, ReplicaId};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = OrGraph::default();
/// for part in ["dawn", "noon"] {
///     here.add_vertex(a, part).unwrap();
/// }
/// let mut there = here.clone();
/// let removal = here.remove_vertex("noon");
/// let edge = there.add_edge(b, "dawn", "noon").unwrap();
/// here.join(edge);
/// there.join(removal);
/// assert_eq!(here, there);
/// assert!(!here.contains_edge("dawn", "noon"), "one of its ends is gone");
/// assert_eq!(here.edges().count(), 0);
/// ```
///
/// # Promise
///
/// Vertices and edges are each what an [`OrSet`](crate::OrSet) promises: additions win. An edge is shown exactly while
/// it is in its set and both its vertices are in theirs; no answer ever names an edge without its ends.
///
/// Shapiro et al. offer a choice where an edge is added concurrently to the removal of a vertex: the removal wins, or
/// the edge wins and brings the vertex back, or removals wait. Masking is the first, with nothing lost.
///
/// # Anomaly
///
/// What is masked is remembered. A vertex that comes back, months later and perhaps meaning something else, has its old
/// edges again:
///
/// ```
/// use antiphon_lattice::{OrGraph, ReplicaId};
/// let me = ReplicaId::from_u128(1);
/// let mut graph = OrGraph::default();
/// for part in ["dawn", "noon"] {
///     graph.add_vertex(me, part).unwrap();
/// }
/// graph.add_edge(me, "dawn", "noon").unwrap();
/// graph.remove_vertex("noon");
/// let mut pruned = graph.clone();
/// graph.add_vertex(me, "noon").unwrap();
/// assert!(graph.contains_edge("dawn", "noon"));
///
/// pruned.prune();
/// pruned.add_vertex(me, "noon").unwrap();
/// assert!(!pruned.contains_edge("dawn", "noon"), "unless somebody pruned it in between");
/// ```
///
/// # Cost
///
/// A vertex costs as an element of an [`OrSet`](crate::OrSet), an edge as one too: its target, and 32 bytes in memory
/// or 57 in JSON; its source stands once for all of its edges. Additions and local
/// removals are O(log n), `edges` is O(edges · log vertices), and a join is one pass over both. A delta that makes dots
/// obsolete (a removal, or an addition of what is there) is O(n) to look, as in a [`DotMap`](crate::DotMap).
///
/// # Choose another
///
/// Without removals: [`GSet`](crate::GSet) of edges. If the graph must stay free of cycles, a graph that only grows in
/// order; no graph with free removals can promise it.
///
/// # JSON
///
/// `{"store": [vertices, edges], "context": …}`: vertices are `[[vertex, [dot]]]`, edges `[[source, [[target, [dot]]]]]`.
///
/// # Source
///
/// Shapiro, Preguiça, Baquero, Zawirski, *A comprehensive study of convergent and commutative replicated data types*,
/// 2011, §3.4 (the 2P2P-graph and its choices), with the sets of Bieniusa et al., 2012.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "V: Serialize", deserialize = "V: Ord + Clone + Deserialize<'de>"))]
pub struct OrGraph<V>(Causal<Parts<V>>);

/// Vertices, and edges by source and target.
type Parts<V> = (DotMap<V, DotSet>, Edges<V>);
type Edges<V> = DotMap<V, DotMap<V, DotSet>>;

impl<V> Default for OrGraph<V> {
    fn default() -> Self {
        Self(Causal::default())
    }
}

impl<V: Ord + Clone> OrGraph<V> {
    /// Adds a vertex in the name of a replica, and returns the delta. Edges that were waiting for it are shown again.
    pub fn add_vertex(&mut self, me: ReplicaId, vertex: V) -> Result<Self, DotsExhausted> {
        let delta = self.parts().0.insert_delta(self.context(), me, vertex)?;
        Ok(Self(self.0.apply(delta.nested(|vertices| (vertices, DotMap::default())))))
    }

    /// Removes a vertex as far as it was seen, and returns the delta. Its edges are masked, not removed.
    pub fn remove_vertex<Q: Ord + ?Sized>(&mut self, vertex: &Q) -> Self
    where
        V: Borrow<Q>,
    {
        Self(Causal::removal(self.0.parts_mut().0.0.take_dots(vertex)))
    }

    /// Adds an edge in the name of a replica, and returns the delta. It is masked until both vertices are there.
    pub fn add_edge(&mut self, me: ReplicaId, source: V, target: V) -> Result<Self, DotsExhausted> {
        let mutator = |targets: &DotMap<V, DotSet>, seen: &_| targets.insert_delta(seen, me, target);
        let delta = self.parts().1.update_delta(self.context(), source, mutator)?;
        Ok(Self(self.0.apply(delta.nested(|edges| (DotMap::default(), edges)))))
    }

    /// Removes an edge as far as it was seen, masked or not, and returns the delta.
    pub fn remove_edge<Q: Ord + ?Sized>(&mut self, source: &Q, target: &Q) -> Self
    where
        V: Borrow<Q>,
    {
        let dots = self.parts().1.get(source).and_then(|targets| targets.get(target));
        let removed = dots.map(DotSet::dots).unwrap_or_default();
        self.0.parts_mut().0.1.forget_at(source, &removed);
        Self(Causal::removal(removed))
    }

    /// Removes all edges that are masked, and returns the delta.
    pub fn prune(&mut self) -> Self {
        let mut removed = CausalContext::default();
        for (source, target, dots) in self.all_edges() {
            if !self.shows(source, target) {
                dots.add_dots_to(&mut removed);
            }
        }
        Self(self.0.apply(Causal::removal(removed)))
    }

    /// Whether the vertex is there.
    pub fn contains_vertex<Q: Ord + ?Sized>(&self, vertex: &Q) -> bool
    where
        V: Borrow<Q>,
    {
        self.parts().0.get(vertex).is_some()
    }

    /// Whether the edge and both its vertices are there.
    pub fn contains_edge<Q: Ord + ?Sized>(&self, source: &Q, target: &Q) -> bool
    where
        V: Borrow<Q>,
    {
        self.shows(source, target)
            && self.parts().1.get(source).is_some_and(|targets| targets.get(target).is_some())
    }

    /// The edges with both their vertices, in order of source and target.
    pub fn edges(&self) -> impl Iterator<Item = (&V, &V)> {
        self.all_edges().map(|(source, target, _)| (source, target)).filter(|(a, b)| self.shows(*a, *b))
    }

    /// The edges that are masked because a vertex is not there.
    pub fn dangling(&self) -> impl Iterator<Item = (&V, &V)> {
        self.all_edges().map(|(source, target, _)| (source, target)).filter(|(a, b)| !self.shows(*a, *b))
    }

    /// Where the edges of a vertex lead, in order. Of a vertex that is not there, nowhere.
    pub fn successors<Q: Ord + ?Sized>(&self, source: &Q) -> impl Iterator<Item = &V>
    where
        V: Borrow<Q>,
    {
        let is_there = self.contains_vertex(source);
        let targets = self.parts().1.get(source).filter(|_| is_there);
        targets.into_iter().flat_map(DotMap::keys).filter(|target| self.contains_vertex::<V>(target))
    }

    fn shows<Q: Ord + ?Sized>(&self, source: &Q, target: &Q) -> bool
    where
        V: Borrow<Q>,
    {
        self.contains_vertex(source) && self.contains_vertex(target)
    }
}

impl<V> OrGraph<V> {
    /// The vertices, in order.
    pub fn vertices(&self) -> impl Iterator<Item = &V> {
        self.parts().0.keys()
    }

    /// What was seen, removed vertices and edges included.
    pub const fn context(&self) -> &CausalContext {
        self.0.context()
    }

    const fn parts(&self) -> &Parts<V> {
        self.0.store()
    }

    fn all_edges(&self) -> impl Iterator<Item = (&V, &V, &DotSet)> {
        let by_source = self.parts().1.iter();
        by_source
            .flat_map(|(source, targets)| targets.iter().map(move |(target, dots)| (source, target, dots)))
    }
}

impl<V: Ord + Clone> Lattice for OrGraph<V> {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}
