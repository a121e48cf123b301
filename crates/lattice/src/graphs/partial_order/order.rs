//! Paths, and a list that agrees with all of them. Rings are one thing each, as strongly connected components are.

use crate::GSet;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

/// The edges, by where they start.
pub(super) struct Edges<'a, V> {
    later: BTreeMap<&'a V, Vec<&'a V>>,
}

impl<'a, V: Ord> Edges<'a, V> {
    pub(super) fn of(edges: &'a GSet<(V, V)>) -> Self {
        let mut later: BTreeMap<&V, Vec<&V>> = BTreeMap::new();
        for (one, other) in edges {
            later.entry(one).or_default().push(other);
        }
        Self { later }
    }

    /// Whether a path leads from the one to the other, and none back.
    pub(super) fn leads_one_way(&self, one: &V, other: &V) -> bool {
        self.leads(one, other) && !self.leads(other, one)
    }

    fn leads(&self, from: &V, to: &V) -> bool {
        let mut seen: BTreeSet<&V> = BTreeSet::new();
        let mut next: Vec<&V> = self.after(from).to_vec();
        while let Some(at) = next.pop() {
            if at == to {
                return true;
            }
            if seen.insert(at) {
                next.extend(self.after(at));
            }
        }
        false
    }

    fn after(&self, at: &V) -> &[&'a V] {
        self.later.get(at).map(Vec::as_slice).unwrap_or_default()
    }

    /// All elements, and all that edges name, each ring after what leads to it, and the least first where there is a
    /// choice. A ring is as little as its least element, and its elements come in their order.
    pub(super) fn sorted(&self, elements: impl Iterator<Item = &'a V>) -> Vec<&'a V> {
        let named = self.later.iter().flat_map(|(one, others)| others.iter().copied().chain([*one]));
        let all: Vec<&V> = named.chain(elements).collect::<BTreeSet<_>>().into_iter().collect();
        let at = |element: &V| all.binary_search(&element).unwrap_or_default();
        let later: Vec<Vec<usize>> =
            all.iter().map(|one| self.after(one).iter().map(|other| at(other)).collect()).collect();
        let ring_of = rings(&later);
        let mut rings: BTreeMap<usize, Ring> = BTreeMap::new();
        for (element, ring) in ring_of.iter().enumerate() {
            rings.entry(*ring).or_default().elements.push(element);
        }
        for (element, ring) in ring_of.iter().enumerate() {
            for other in later.get(element).into_iter().flatten().filter_map(|other| ring_of.get(*other)) {
                if other != ring {
                    rings.entry(*ring).or_default().later.push(*other);
                    rings.entry(*other).or_default().waits_for += 1;
                }
            }
        }
        // Rings are named by their least element, so the least comes first.
        let mut free: BTreeSet<usize> =
            rings.iter().filter(|(_, ring)| ring.waits_for == 0).map(|(name, _)| *name).collect();
        let mut sorted = Vec::with_capacity(all.len());
        while let Some(name) = free.pop_first() {
            let ring = rings.get_mut(&name).map(mem::take).unwrap_or_default();
            sorted.extend(ring.elements.iter().filter_map(|element| all.get(*element)));
            for other in ring.later {
                if let Some(waiting) = rings.get_mut(&other) {
                    waiting.waits_for -= 1; // one for each edge that leads to it, and each is followed once
                    if waiting.waits_for == 0 {
                        free.insert(other);
                    }
                }
            }
        }
        sorted
    }
}

/// Elements from each of which a path leads to each other; nearly always just one.
#[derive(Default)]
struct Ring {
    elements: Vec<usize>,
    /// Where edges lead from here, each ring as often as edges lead there.
    later: Vec<usize>,
    /// How many edges lead here from elsewhere and were not followed yet.
    waits_for: usize,
}

/// For each element the least of its ring, by the two passes of Kosaraju and Sharir, without recursion.
fn rings(later: &[Vec<usize>]) -> Vec<usize> {
    let mut earlier: Vec<Vec<usize>> = vec![Vec::new(); later.len()];
    for (one, others) in later.iter().enumerate() {
        for other in others {
            if let Some(earlier) = earlier.get_mut(*other) {
                earlier.push(one);
            }
        }
    }
    let mut left = Vec::with_capacity(later.len());
    let mut seen = vec![false; later.len()];
    for from in 0..later.len() {
        visit(from, later, &mut seen, &mut left);
    }
    let mut ring_of = vec![0; later.len()];
    let mut seen = vec![false; later.len()];
    for from in left.into_iter().rev() {
        let mut ring = Vec::new();
        visit(from, &earlier, &mut seen, &mut ring);
        let name = ring.iter().min().copied().unwrap_or(from);
        for element in ring {
            if let Some(ring) = ring_of.get_mut(element) {
                *ring = name;
            }
        }
    }
    ring_of
}

/// Depth first, from here to all that was not seen: each is noted when it is left.
fn visit(from: usize, to: &[Vec<usize>], seen: &mut [bool], left: &mut Vec<usize>) {
    let mut enter = |at: usize| seen.get_mut(at).is_some_and(|seen| !mem::replace(seen, true));
    if !enter(from) {
        return;
    }
    let mut way = vec![(from, 0)];
    while let Some((at, nth)) = way.last_mut() {
        let next = to.get(*at).and_then(|others| others.get(*nth)).copied();
        *nth += 1;
        match next {
            Some(next) if enter(next) => way.push((next, 0)),
            Some(_) => {}
            None => {
                left.push(*at);
                way.pop();
            }
        }
    }
}
