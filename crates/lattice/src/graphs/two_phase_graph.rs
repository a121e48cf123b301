//! Vertices and edges that come once and go once.

use crate::{Lattice, TwoPhaseSet};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The 2P2P-graph: a two-phase set of vertices and one of directed edges, and an edge shows only between vertices that
/// are there.
///
/// # Promise
///
/// No edge hangs in the air, at any replica, at any time: an edge is in the graph while it, its start and its end are
/// in. What was removed never comes back. Edges may point anywhere, in rings and to themselves.
///
/// | at once | ends as |
/// |---|---|
/// | `add_edge(a, b)` and `remove_vertex(a)` | the vertex is gone, the edge does not show |
/// | `add_edge(a, b)` and `remove_edge(a, b)` of an edge that was there | the edge is gone |
/// | `remove_vertex(a)` twice | the vertex is gone |
///
/// A vertex can be removed only while no edge shows at it: the preconditions hold where an operation is made, and say
/// nothing of what others do meanwhile, which the table settles.
///
/// # Anomaly
///
/// Somebody who looked, and saw that a vertex had no edges, removes it; somebody else's new edge is lost without a word:
///
/// ```
/// use antiphon_lattice::{Lattice, TwoPhaseGraph};
/// let mut here = TwoPhaseGraph::default();
/// here.add_vertex("story")?;
/// here.add_vertex("author")?;
/// let mut there = here.clone();
/// here.add_edge("story", "author")?;
/// there.remove_vertex("author")?;
/// here.join(there);
/// assert!(!here.contains_edge(&"story", &"author"));
/// assert!(here.add_vertex("author").is_err(), "nor can the author come back");
/// # Ok::<(), antiphon_lattice::TwoPhaseGraphError<&str>>(())
/// ```
///
/// # Cost
///
/// Every vertex and every edge for ever, whether in or out: in JSON themselves, 3 bytes an edge,
/// their commas, and 64 for the whole. Adding costs
/// O(log n), removing a vertex O(e), a join O(m log n). A delta is one vertex or one edge.
///
/// # Choose another
///
/// [`OrGraph`](crate::OrGraph) if what was removed may return. [`Dag`](crate::Dag) if there must be no ring.
///
/// # Source
///
/// Shapiro et al. 2011, §3.4.1, specification 16. There an edge that does not show still keeps its other end from being
/// removed, and cannot itself be removed. Here it does not count.
///
/// # JSON
///
/// `{"vertices": {"live": […], "gone": […]}, "edges": {"live": [[from, to]], "gone": […]}}`.
///
/// ```
/// use antiphon_lattice::{TwoPhaseGraph, TwoPhaseGraphError};
/// let mut graph = TwoPhaseGraph::default();
/// graph.add_vertex(1)?;
/// graph.add_vertex(2)?;
/// graph.add_edge(1, 2)?;
/// assert_eq!(graph.remove_vertex(2), Err(TwoPhaseGraphError::HasEdges { vertex: 2, edges: 1 }));
/// graph.remove_edge(1, 2)?;
/// graph.remove_vertex(2)?;
/// let json = r#"{"vertices":{"live":[1],"gone":[2]},"edges":{"live":[],"gone":[[1,2]]}}"#;
/// assert_eq!(serde_json::to_string(&graph)?, json);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound(serialize = "V: Serialize", deserialize = "V: Ord + Deserialize<'de>"))]
pub struct TwoPhaseGraph<V> {
    vertices: TwoPhaseSet<V>,
    edges: TwoPhaseSet<(V, V)>,
}

impl<V: Ord + Clone> TwoPhaseGraph<V> {
    /// Adds a vertex, unless it was removed before, and returns the delta.
    pub fn add_vertex(&mut self, vertex: V) -> Result<Self, TwoPhaseGraphError<V>> {
        if self.vertices.is_gone(&vertex) {
            return Err(TwoPhaseGraphError::Gone(vertex));
        }
        Ok(Self { vertices: self.vertices.insert(vertex), ..Self::default() })
    }

    /// Adds an edge between two vertices that are there, unless it was removed before, and returns the delta.
    pub fn add_edge(&mut self, from: V, to: V) -> Result<Self, TwoPhaseGraphError<V>> {
        for end in [&from, &to] {
            if !self.vertices.contains(end) {
                return Err(TwoPhaseGraphError::Absent(end.clone()));
            }
        }
        let edge = (from, to);
        if self.edges.is_gone(&edge) {
            let (from, to) = edge;
            return Err(TwoPhaseGraphError::EdgeGone { from, to });
        }
        Ok(Self { edges: self.edges.insert(edge), ..Self::default() })
    }

    /// Removes a vertex at which no edge shows, for good, and returns the delta.
    pub fn remove_vertex(&mut self, vertex: V) -> Result<Self, TwoPhaseGraphError<V>> {
        let edges = self.edges().filter(|(from, to)| **from == vertex || **to == vertex).count();
        if edges > 0 {
            return Err(TwoPhaseGraphError::HasEdges { vertex, edges });
        }
        match self.vertices.remove(vertex.clone()) {
            Some(vertices) => Ok(Self { vertices, ..Self::default() }),
            None => Err(TwoPhaseGraphError::Absent(vertex)),
        }
    }

    /// Removes an edge that shows, for good, and returns the delta.
    pub fn remove_edge(&mut self, from: V, to: V) -> Result<Self, TwoPhaseGraphError<V>> {
        if !self.contains_edge(&from, &to) {
            return Err(TwoPhaseGraphError::EdgeAbsent { from, to });
        }
        Ok(Self { edges: self.edges.remove((from, to)).unwrap_or_default(), ..Self::default() })
    }

    /// Whether the vertex is in the graph.
    pub fn contains_vertex(&self, vertex: &V) -> bool {
        self.vertices.contains(vertex)
    }

    /// Whether the edge is in the graph: it was added and not removed, and so were both of its ends.
    pub fn contains_edge(&self, from: &V, to: &V) -> bool {
        self.shows(from, to) && self.edges.contains(&(from.clone(), to.clone()))
    }

    /// The vertices that are in the graph, in order.
    pub fn vertices(&self) -> impl Iterator<Item = &V> {
        self.vertices.iter()
    }

    /// The edges that are in the graph, in order of their starts, then of their ends.
    pub fn edges(&self) -> impl Iterator<Item = (&V, &V)> {
        self.edges.iter().map(|(from, to)| (from, to)).filter(|(from, to)| self.shows(from, to))
    }

    fn shows(&self, from: &V, to: &V) -> bool {
        self.vertices.contains(from) && self.vertices.contains(to)
    }
}

impl<V> Default for TwoPhaseGraph<V> {
    fn default() -> Self {
        Self { vertices: TwoPhaseSet::default(), edges: TwoPhaseSet::default() }
    }
}

impl<V: Ord + Clone> Lattice for TwoPhaseGraph<V> {
    fn join(&mut self, other: Self) -> bool {
        let Self { vertices, edges } = other;
        self.vertices.join(vertices) | self.edges.join(edges)
    }

    fn covers(&self, other: &Self) -> bool {
        self.vertices.covers(&other.vertices) && self.edges.covers(&other.edges)
    }
}

/// Why a graph was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TwoPhaseGraphError<V> {
    /// This vertex is not in the graph.
    Absent(V),
    /// This vertex was removed, for good: give the new one another identity.
    Gone(V),
    /// The vertex has edges: remove them first.
    HasEdges {
        /// What was to be removed.
        vertex: V,
        /// How many edges show at it.
        edges: usize,
    },
    /// This edge is not in the graph.
    EdgeAbsent {
        /// Where it was to start.
        from: V,
        /// Where it was to end.
        to: V,
    },
    /// This edge was removed, for good.
    EdgeGone {
        /// Where it started.
        from: V,
        /// Where it ended.
        to: V,
    },
}

impl<V: fmt::Debug> fmt::Display for TwoPhaseGraphError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(vertex) => write!(f, "{vertex:?} is not in the graph"),
            Self::Gone(vertex) => write!(f, "{vertex:?} was removed"),
            Self::HasEdges { vertex, edges } => write!(f, "{vertex:?} has edges: {edges}"),
            Self::EdgeAbsent { from, to } => write!(f, "no edge from {from:?} to {to:?} is in the graph"),
            Self::EdgeGone { from, to } => write!(f, "the edge from {from:?} to {to:?} was removed"),
        }
    }
}

impl<V: fmt::Debug> std::error::Error for TwoPhaseGraphError<V> {}

#[cfg(test)]
mod tests {
    use super::{TwoPhaseGraph, TwoPhaseGraphError as E};
    use crate::Lattice;

    type Graph = TwoPhaseGraph<u8>;
    type Step = fn(&mut Graph) -> Result<Graph, E<u8>>;

    /// Every two operations at once, from every state that two others lead to: nothing hangs in the air.
    #[test]
    fn two_at_once() {
        let steps: [Step; 9] = [
            |graph| graph.add_vertex(1),
            |graph| graph.add_vertex(2),
            |graph| graph.add_edge(1, 2),
            |graph| graph.add_edge(2, 1),
            |graph| graph.add_edge(1, 1),
            |graph| graph.remove_vertex(1),
            |graph| graph.remove_vertex(2),
            |graph| graph.remove_edge(1, 2),
            |graph| graph.remove_edge(1, 1),
        ];
        let mut shared = Graph::default();
        shared.add_vertex(1).unwrap();
        shared.add_vertex(2).unwrap();
        let mut met = 0;
        for first in steps {
            for second in steps {
                let mut before = shared.clone();
                if first(&mut before).is_err() || second(&mut before).is_err() {
                    continue;
                }
                for one in steps {
                    for other in steps {
                        let (mut here, mut there) = (before.clone(), before.clone());
                        if let (Ok(mine), Ok(its)) = (one(&mut here), other(&mut there)) {
                            met += 1;
                            here.join(its);
                            assert_eq!(here, there.joined(mine));
                            assert!(
                                here.edges().all(|(a, b)| here.contains_vertex(a) && here.contains_vertex(b))
                            );
                        }
                    }
                }
            }
        }
        assert!(met > 1_000, "{met}");
    }

    #[test]
    fn the_table_of_the_docs() {
        let mut shared = Graph::default();
        shared.add_vertex(1).unwrap();
        shared.add_vertex(2).unwrap();

        let (mut here, mut there) = (shared.clone(), shared.clone());
        here.add_edge(1, 2).unwrap();
        there.remove_vertex(1).unwrap();
        let end = here.joined(there);
        assert!(!end.contains_vertex(&1) && !end.contains_edge(&1, &2) && end.edges().count() == 0);
        assert_eq!(end.clone().remove_edge(1, 2), Err(E::EdgeAbsent { from: 1, to: 2 }));
        assert!(end.clone().remove_vertex(2).is_ok(), "what does not show keeps nothing");
        assert_eq!(end.clone().add_vertex(1), Err(E::Gone(1)));

        shared.add_edge(1, 2).unwrap();
        let (mut here, mut there) = (shared.clone(), shared);
        here.add_edge(1, 2).unwrap();
        there.remove_edge(1, 2).unwrap();
        let mut end = here.joined(there);
        assert!(!end.contains_edge(&1, &2));
        assert_eq!(end.add_edge(1, 2), Err(E::EdgeGone { from: 1, to: 2 }));
        assert_eq!(end.add_edge(1, 3), Err(E::Absent(3)));
        assert_eq!(end.remove_vertex(3), Err(E::Absent(3)));

        let (mut here, mut there) = (end.clone(), end);
        assert_eq!(here.remove_vertex(1), there.remove_vertex(1));
        assert!(!here.joined(there).contains_vertex(&1));
    }
}
