//! What comes before what.

mod order;

use crate::{GSet, Lattice, TwoPhaseSet};
use order::Edges;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The add–remove partial order: an element is put between two others, may be removed, and the order of the rest stays.
///
/// # Promise
///
/// If `a` came before `b` at any replica, it does at all, for ever, also when everything between them was removed.
/// Elements that were put into one place at once, at two replicas, are in no order; [`iter`](PartialOrder::iter) makes a
/// list of all that agrees with the order and is the same at every replica that has the same state.
///
/// The caller owes an identity of its own to each element. If two replicas put one element into different places, it
/// comes after all and before all that either said; should that make a ring, those in the ring are in no order among
/// themselves.
///
/// # Anomaly
///
/// Two runs that are written into one place at once may be mixed in the list, element by element:
///
/// ```
/// use antiphon_lattice::{Lattice, PartialOrder};
/// let (mut here, mut there) = (PartialOrder::default(), PartialOrder::default());
/// here.add_between(None, 1, None)?;
/// here.add_between(Some(&1), 3, None)?;
/// there.add_between(None, 2, None)?;
/// there.add_between(Some(&2), 4, None)?;
/// here.join(there);
/// assert_eq!(here.iter().collect::<Vec<_>>(), [&1, &2, &3, &4]);
/// assert!(!here.is_before(&1, &2) && !here.is_before(&2, &1), "that is no order, only a list");
/// # Ok::<(), antiphon_lattice::PartialOrderError<u8>>(())
/// ```
///
/// # Cost
///
/// Every element for ever, in or out, and up to two edges for each: in JSON about six times the element and 45 bytes for
/// the whole. Putting one between two, and [`is_before`](PartialOrder::is_before), cost O(n log n), the list the same. A
/// delta is an element and its edges.
///
/// # Choose another
///
/// [`Sequence`](crate::Sequence) or [`Text`](crate::Text) for a list that people edit: they keep runs together.
/// [`Arrangement`](crate::Arrangement) for things that are moved about. [`Dag`](crate::Dag) for what answers what.
///
/// # Source
///
/// Shapiro et al. 2011, §3.4.2, specification 18. Its two sentinels, the beginning and the end, are `None` here.
///
/// # JSON
///
/// `{"elements": {"live": […], "gone": […]}, "edges": [[earlier, later]]}`, all in order.
///
/// ```
/// use antiphon_lattice::PartialOrder;
/// let mut tasks = PartialOrder::default();
/// tasks.add_between(None, "boil", None)?;
/// tasks.add_between(Some(&"boil"), "drink", None)?;
/// tasks.add_between(Some(&"boil"), "brew", Some(&"drink"))?;
/// tasks.remove("brew").expect("it is there");
/// assert!(tasks.is_before(&"boil", &"drink"));
/// let json = concat!(
///     r#"{"elements":{"live":["boil","drink"],"gone":["brew"]},"#,
///     r#""edges":[["boil","brew"],["boil","drink"],["brew","drink"]]}"#
/// );
/// assert_eq!(serde_json::to_string(&tasks)?, json);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound(serialize = "V: Serialize", deserialize = "V: Ord + Deserialize<'de>"))]
pub struct PartialOrder<V> {
    elements: TwoPhaseSet<V>,
    /// Those of removed elements too: the order goes through them.
    edges: GSet<(V, V)>,
}

impl<V: Ord + Clone> PartialOrder<V> {
    /// Puts a new element after one and before another, `None` being the beginning or the end. Returns the delta.
    ///
    /// Both must be there, and the one before the other, so that no ring is made, now or by concurrency.
    pub fn add_between(
        &mut self,
        after: Option<&V>,
        element: V,
        before: Option<&V>,
    ) -> Result<Self, PartialOrderError<V>> {
        if self.elements.contains(&element) || self.elements.is_gone(&element) {
            return Err(PartialOrderError::Present(element));
        }
        if let Some(absent) = after.into_iter().chain(before).find(|end| !self.elements.contains(end)) {
            return Err(PartialOrderError::Absent(absent.clone()));
        }
        if let (Some(after), Some(before)) = (after, before)
            && !self.is_before(after, before)
        {
            return Err(PartialOrderError::Unordered { after: after.clone(), before: before.clone() });
        }
        let edges = after.map(|after| (after.clone(), element.clone())).into_iter();
        let edges = edges.chain(before.map(|before| (element.clone(), before.clone()))).collect();
        let delta = Self { elements: TwoPhaseSet::of(element), edges };
        self.join(delta.clone());
        Ok(delta)
    }

    /// Removes an element for good, and returns the delta; or nothing if it is not there. The order stays.
    pub fn remove(&mut self, element: V) -> Option<Self> {
        Some(Self { elements: self.elements.remove(element)?, edges: GSet::default() })
    }

    /// Whether the element is there.
    pub fn contains(&self, element: &V) -> bool {
        self.elements.contains(element)
    }

    /// Whether both are there, and the one comes before the other. If neither does, they are in no order.
    pub fn is_before(&self, one: &V, other: &V) -> bool {
        self.contains(one) && self.contains(other) && Edges::of(&self.edges).leads_one_way(one, other)
    }

    /// All elements that are there, each after all that come before it. Where there is no order, the least comes first.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        let elements = self.elements.iter().chain(self.elements.gone());
        let sorted = Edges::of(&self.edges).sorted(elements);
        sorted.into_iter().filter(|element| self.contains(element))
    }

    /// How many elements are there.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether no element is there. That is so of more than the bottom.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }
}

impl<V> Default for PartialOrder<V> {
    fn default() -> Self {
        Self { elements: TwoPhaseSet::default(), edges: GSet::default() }
    }
}

impl<V: Ord + Clone> Lattice for PartialOrder<V> {
    fn join(&mut self, other: Self) -> bool {
        let Self { elements, edges } = other;
        self.elements.join(elements) | self.edges.join(edges)
    }

    fn covers(&self, other: &Self) -> bool {
        self.elements.covers(&other.elements) && self.edges.covers(&other.edges)
    }
}

/// Why an element was not put into the order. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartialOrderError<V> {
    /// This element is not there.
    Absent(V),
    /// This element is there, or was: give the new one another identity.
    Present(V),
    /// The one does not come before the other, so nothing is between them.
    Unordered {
        /// What the new one was to come after.
        after: V,
        /// What it was to come before.
        before: V,
    },
}

impl<V: fmt::Debug> fmt::Display for PartialOrderError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(element) => write!(f, "{element:?} is not in the order"),
            Self::Present(element) => write!(f, "{element:?} is in the order, or was"),
            Self::Unordered { after, before } => write!(f, "{after:?} does not come before {before:?}"),
        }
    }
}

impl<V: fmt::Debug> std::error::Error for PartialOrderError<V> {}

#[cfg(test)]
mod tests {
    use super::{PartialOrder, PartialOrderError as E};
    use crate::Lattice;

    fn listed(order: &PartialOrder<u8>) -> Vec<u8> {
        order.iter().copied().collect()
    }

    #[test]
    fn what_is_refused() {
        let mut order = PartialOrder::default();
        order.add_between(None, 1, None).unwrap();
        order.add_between(Some(&1), 2, None).unwrap();
        order.add_between(None, 3, None).unwrap();
        order.remove(3).unwrap();
        let before = order.clone();
        assert_eq!(order.add_between(None, 1, None), Err(E::Present(1)));
        assert_eq!(order.add_between(None, 3, None), Err(E::Present(3)));
        assert_eq!(order.add_between(Some(&3), 4, None), Err(E::Absent(3)));
        assert_eq!(order.add_between(None, 4, Some(&9)), Err(E::Absent(9)));
        for (after, before) in [(2, 1), (1, 1)] {
            assert_eq!(
                order.add_between(Some(&after), 4, Some(&before)),
                Err(E::Unordered { after, before })
            );
        }
        assert_eq!((order.remove(3), order.remove(9)), (None, None));
        assert_eq!(order, before);
    }

    /// Removing what is between two, or all of it, leaves their order.
    #[test]
    fn the_order_goes_through_what_is_gone() {
        let mut order = PartialOrder::default();
        for element in 1..=9_u8 {
            let after = element - 1;
            order.add_between((after > 0).then_some(&after), element, None).unwrap();
        }
        for gone in 2..=8 {
            order.remove(gone).unwrap();
            assert!(order.is_before(&1, &9) && !order.is_before(&9, &1));
        }
        assert_eq!(listed(&order), [1, 9]);
    }

    /// A ring of forged edges: it ends, those in it are in no order, and what comes before and after it is.
    #[test]
    fn forged_rings() {
        let elements = r#"{"live":[1,2,3,4,5],"gone":[]}"#;
        let forged = format!(r#"{{"elements":{elements},"edges":[[5,3],[3,4],[4,3],[4,1],[2,2]]}}"#);
        let order: PartialOrder<u8> = serde_json::from_str(&forged).unwrap();
        assert_eq!(listed(&order), [2, 5, 3, 4, 1]);
        assert!(order.is_before(&5, &1) && order.is_before(&3, &1));
        assert!(!order.is_before(&3, &4) && !order.is_before(&4, &3) && !order.is_before(&2, &2));
    }

    /// Every graph of four vertices: the list has each once, and agrees with every path that leads one way.
    #[test]
    fn every_small_graph() {
        const MANY: u8 = 4;
        for bits in 0..1_u32 << (MANY * MANY) {
            let leads = |from: u8, to: u8| bits >> (from * MANY + to) & 1 == 1;
            let mut paths = [[false; MANY as usize]; MANY as usize];
            for from in 0..MANY {
                for to in 0..MANY {
                    paths[usize::from(from)][usize::from(to)] = leads(from, to);
                }
            }
            for through in 0..usize::from(MANY) {
                for from in 0..usize::from(MANY) {
                    for to in 0..usize::from(MANY) {
                        paths[from][to] |= paths[from][through] && paths[through][to];
                    }
                }
            }
            let order = PartialOrder {
                elements: (0..MANY).collect(),
                edges: (0..MANY * MANY)
                    .map(|nth| (nth / MANY, nth % MANY))
                    .filter(|(a, b)| leads(*a, *b))
                    .collect(),
            };
            let list = listed(&order);
            assert_eq!(list.len(), usize::from(MANY));
            for (nth, later) in list.iter().enumerate() {
                for earlier in &list[..nth] {
                    let back = paths[usize::from(*later)][usize::from(*earlier)];
                    let forth = paths[usize::from(*earlier)][usize::from(*later)];
                    assert!(forth || !back, "{earlier} before {later} in {order:?}");
                    if bits % 97 == 0 {
                        assert_eq!(order.is_before(earlier, later), forth && !back, "{order:?}");
                    }
                }
            }
        }
    }

    /// No recursion, and no more than a pass: a long chain, and a ring as long.
    #[test]
    fn long_and_round() {
        let many = 50_000_u32;
        let chain: Vec<(u32, u32)> = (1..many).map(|nth| (nth, nth - 1)).collect();
        let mut order = PartialOrder { elements: (0..many).collect(), edges: chain.into_iter().collect() };
        assert!(order.iter().copied().eq((0..many).rev()));
        assert!(order.is_before(&(many - 1), &0));
        order.join(PartialOrder { edges: [(0, many - 1)].into_iter().collect(), ..PartialOrder::default() });
        assert!(order.iter().copied().eq(0..many));
        assert!(!order.is_before(&(many - 1), &0));
    }
}
