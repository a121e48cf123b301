//! A graph with its masked vertices left out, indexed for reading.

use super::Parents;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;

/// What is in a [`Dag`](crate::Dag), ready for questions. [`Dag::view`](crate::Dag::view) makes it.
///
/// Questions about a vertex that is masked or unknown are answered with nothing.
#[derive(Clone, Debug)]
pub struct DagView<'a, V> {
    /// All vertices in order of their values, so that one is found by its value; masked ones too.
    nodes: Vec<Node<'a, V>>,
    /// Those without parents, in the order that was asked for.
    roots: Vec<usize>,
    visible: usize,
}

#[derive(Clone, Debug)]
struct Node<'a, V> {
    vertex: &'a V,
    /// In order of their values.
    parents: Vec<usize>,
    /// Those that are in the graph, in the order that was asked for.
    children: Vec<usize>,
    /// How many parents are not known to be in the graph. One that was never added is counted for ever.
    waits_for: usize,
}

impl<'a, V: Ord> DagView<'a, V> {
    pub(super) fn new(
        vertices: &'a BTreeMap<V, Parents<V>>,
        mut order: impl FnMut(&V, &V) -> Ordering,
    ) -> Self {
        let known: Vec<&V> = vertices.keys().collect();
        let mut nodes: Vec<Node<'a, V>> = vertices
            .iter()
            .map(|(vertex, named)| {
                let parents = named.iter().filter_map(|parent| known.binary_search(&parent).ok()).collect();
                Node { vertex, parents, children: Vec::new(), waits_for: named.len() }
            })
            .collect();
        // In the order of the siblings, so that each list of children is filled in this order.
        let mut ranked: Vec<usize> = (0..nodes.len()).collect();
        ranked.sort_by(|a, b| match (known.get(*a), known.get(*b)) {
            (Some(a), Some(b)) => order(a, b),
            _ => Ordering::Equal,
        });
        for child in &ranked {
            let parents = nodes.get_mut(*child).map(|node| mem::take(&mut node.parents)).unwrap_or_default();
            for parent in &parents {
                if let Some(parent) = nodes.get_mut(*parent) {
                    parent.children.push(*child);
                }
            }
            if let Some(child) = nodes.get_mut(*child) {
                child.parents = parents;
            }
        }
        let is_root = |at: &usize| nodes.get(*at).is_some_and(|node| node.waits_for == 0);
        let roots: Vec<usize> = ranked.into_iter().filter(is_root).collect();
        let mut view = Self { nodes, roots, visible: 0 };
        view.unmask();
        view
    }

    /// From the roots down, each vertex once all of its parents were reached. What is not reached is masked.
    fn unmask(&mut self) {
        let mut next = self.roots.clone();
        while let Some(at) = next.pop() {
            self.visible += 1;
            let children =
                self.nodes.get_mut(at).map(|node| mem::take(&mut node.children)).unwrap_or_default();
            for child in &children {
                if let Some(node) = self.nodes.get_mut(*child) {
                    node.waits_for -= 1; // it has one for each of its parents, and each is reached once
                    if node.waits_for == 0 {
                        next.push(*child);
                    }
                }
            }
            if let Some(node) = self.nodes.get_mut(at) {
                node.children = children;
            }
        }
        let masked: Vec<bool> = self.nodes.iter().map(|node| node.waits_for > 0).collect();
        for node in &mut self.nodes {
            node.children.retain(|child| masked.get(*child) == Some(&false));
        }
    }

    fn at(&self, vertex: &V) -> Option<usize> {
        let at = self.nodes.binary_search_by(|node| node.vertex.cmp(vertex)).ok()?;
        self.nodes.get(at).is_some_and(|node| node.waits_for == 0).then_some(at)
    }

    /// Whether the vertex is in the graph.
    pub fn contains(&self, vertex: &V) -> bool {
        self.at(vertex).is_some()
    }

    /// What answers this vertex, in the order of the view.
    pub fn children(&self, vertex: &V) -> impl Iterator<Item = &'a V> {
        let node = self.at(vertex).and_then(|at| self.nodes.get(at));
        node.into_iter().flat_map(|node| &node.children).filter_map(|child| self.vertex(*child))
    }

    /// What this vertex answers, in order of their values.
    pub fn parents(&self, vertex: &V) -> impl Iterator<Item = &'a V> {
        let node = self.at(vertex).and_then(|at| self.nodes.get(at));
        node.into_iter().flat_map(|node| &node.parents).filter_map(|parent| self.vertex(*parent))
    }

    /// All that this vertex answers, the nearest first, each once: for a reply, the way up to its root.
    pub fn ancestors(&self, vertex: &V) -> impl Iterator<Item = &'a V> {
        let mut seen = BTreeSet::new();
        let mut next: VecDeque<usize> = self.at(vertex).into_iter().collect();
        let mut found = Vec::new();
        while let Some(at) = next.pop_front() {
            for parent in self.nodes.get(at).map(|node| node.parents.as_slice()).unwrap_or_default() {
                if seen.insert(*parent) {
                    next.push_back(*parent);
                    found.extend(self.vertex(*parent));
                }
            }
        }
        found.into_iter()
    }

    /// How many vertices answer this one, or an answer to it, and so on.
    pub fn descendants(&self, vertex: &V) -> usize {
        self.walk_from(vertex).skip(1).count()
    }

    /// All that is in the graph, as threads: each root with the depth 0, then what answers it, depth first.
    ///
    /// Each vertex comes once. One with several parents comes under the first that is met.
    pub fn walk(&self) -> Walk<'_, 'a, V> {
        Walk::new(self, self.roots.iter().rev().copied())
    }

    /// The thread of one vertex: itself with the depth 0, then what answers it, depth first.
    pub fn walk_from(&self, vertex: &V) -> Walk<'_, 'a, V> {
        Walk::new(self, self.at(vertex))
    }

    /// The vertices that are known and not in the graph, in order of their values.
    pub fn masked(&self) -> impl Iterator<Item = &'a V> {
        self.nodes.iter().filter(|node| node.waits_for > 0).map(|node| node.vertex)
    }
}

impl<'a, V> DagView<'a, V> {
    /// The vertices that answer nothing, in the order of the view.
    pub fn roots(&self) -> impl Iterator<Item = &'a V> {
        self.roots.iter().filter_map(|at| self.vertex(*at))
    }

    /// How many vertices are in the graph.
    pub fn len(&self) -> usize {
        self.visible
    }

    /// Whether no vertex is in the graph.
    pub fn is_empty(&self) -> bool {
        self.visible == 0
    }

    fn vertex(&self, at: usize) -> Option<&'a V> {
        self.nodes.get(at).map(|node| node.vertex)
    }
}

/// The vertices of a thread, depth first, each with its depth. [`DagView::walk`] makes it.
#[derive(Clone, Debug)]
pub struct Walk<'v, 'a, V> {
    view: &'v DagView<'a, V>,
    /// What is still to be shown, the next one last.
    next: Vec<(usize, usize)>,
    /// Those with several parents that were shown. What has one parent is met once.
    seen: BTreeSet<usize>,
}

impl<'v, 'a, V> Walk<'v, 'a, V> {
    fn new(view: &'v DagView<'a, V>, from: impl IntoIterator<Item = usize>) -> Self {
        Self { view, next: from.into_iter().map(|at| (0, at)).collect(), seen: BTreeSet::new() }
    }
}

impl<'a, V> Iterator for Walk<'_, 'a, V> {
    type Item = (usize, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (depth, at) = self.next.pop()?;
            let node = self.view.nodes.get(at)?;
            if node.parents.len() < 2 || self.seen.insert(at) {
                self.next.extend(node.children.iter().rev().map(|child| (depth + 1, *child)));
                return Some((depth, node.vertex));
            }
        }
    }
}
