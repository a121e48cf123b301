//! What lives under a causal context, and what it owes.

use super::{Causal, CausalContext};

/// The living part of a causal state: things that each belong to a dot.
///
/// A [`Causal`] state is a store and a [`CausalContext`]. Seen from one dot, there are three things that a state can
/// say, and it only ever moves to the right:
///
/// | the dot is | in the context | in the store | means |
/// |---|---|---|---|
/// | unknown | no | no | nobody told us |
/// | live | yes | yes | it was written, and not yet removed |
/// | dead | yes | no | it was removed, or something replaced it |
///
/// So the join is a maximum for each dot, and it is decided without asking who came first: what is live on one side
/// stays if the other side has it live too, or does not know it. [`DotSet`](crate::DotSet), [`DotFun`](crate::DotFun)
/// and [`DotMap`](crate::DotMap) are the stores of the paper (Almeida, Shoker, Baquero 2018, §7). A tuple of two
/// stores is one too, each half with its own things, under one context.
///
/// # What an implementer owes
///
/// 1. **The rule above, dot by dot**, in [`join_causal`](DotStore::join_causal): kept is what is in both stores, what
///    is only here and not in `other_seen`, and what is only there and not in `seen`. Nothing else may decide: not the
///    order of arrival, not the sizes.
/// 2. **No store without dots but the bottom.** A store whose last dot has gone equals [`Default`]. A field beside the
///    dots would be remembered by one replica and not by another. (For something that only grows, put a
///    [`Pair`](crate::Pair) of a lattice and a `Causal` outside.)
/// 3. **Order in one dot.** If a dot can come with two contents (a copied replica), the join of contents is itself a
///    lattice's, such as the greater of the two. No panic: the fault is another's.
/// 4. **An honest answer**: `true` exactly if `self` is different afterwards.
/// 5. **No counting through ranges.** A context may hold 2⁶⁴ dots in ten bytes. Ask it with
///    [`contains`](CausalContext::contains), or take its [`ranges`](CausalContext::ranges).
///
/// # What a caller owes
///
/// 1. **The dots of a store are in its context**, on both sides of a join. `Causal` sees to it, in decoding too.
/// 2. **A new dot for a new thing**, from [`CausalContext::next`] of the *whole* state. A nested store has no context
///    of its own: two stores under one context that number their things apart would give one dot to two things.
/// 3. **Deltas with their context**: a delta holds the new dots in store and context, and the dots that it removes or
///    replaces in its context alone.
///
/// # When one of them forgets
///
/// A store that keeps a dot which the other side has removed brings back the dead, at one replica and not at the
/// other; one that drops a dot which the other side never saw loses a write. A dot outside of the context is never
/// removed by anybody, and comes back with each message; decoding refuses it.
/// [`laws::check_exhaustively`](crate::laws::check_exhaustively) on a few values of `Causal<YourStore>` finds a store
/// whose two sides decide differently. It cannot find one that breaks the first rule evenly. So test as well that a
/// state joined with its own [`clear_delta`](DotStore::clear_delta) is empty.
///
/// This store is **wrong**: it unites, so the dead come back. It obeys every law all the same.
///
/// ```
/// use antiphon_lattice::{Causal, CausalContext, Dot, DotStore, Lattice, laws};
/// use std::collections::BTreeSet;
///
/// #[derive(Clone, Debug, Default, PartialEq, Eq)]
/// struct Union(BTreeSet<Dot>);
///
/// impl DotStore for Union {
///     fn is_empty(&self) -> bool {
///         self.0.is_empty()
///     }
///     fn add_dots_to(&self, context: &mut CausalContext) {
///         for dot in &self.0 {
///             context.insert(*dot);
///         }
///     }
///     fn join_causal(&mut self, _: &CausalContext, other: Self, _: &CausalContext) -> bool {
///         let before = self.0.len();
///         self.0.extend(other.0);
///         self.0.len() > before
///     }
///     fn forget(&mut self, seen: &CausalContext) -> bool {
///         let before = self.0.len();
///         self.0.retain(|dot| !seen.contains(*dot));
///         self.0.len() < before
///     }
/// }
///
/// let dot = Dot { counter: 1, ..Dot::default() };
/// let live = Causal::new(Union([dot].into()), CausalContext::of(dot)).unwrap();
/// let removal = live.store().clear_delta();
/// assert_eq!(laws::check_exhaustively(&[live.clone(), removal.clone()]), Ok(8));
/// assert!(!live.joined(removal).store().is_empty(), "removed, and still there");
/// ```
pub trait DotStore: Default + Clone + Eq {
    /// Whether nothing is live. Then the store equals its default.
    fn is_empty(&self) -> bool;

    /// Adds every live dot to a context.
    fn add_dots_to(&self, context: &mut CausalContext);

    /// Joins the store of another state, each under what its side has seen, and says whether this store changed.
    fn join_causal(&mut self, seen: &CausalContext, other: Self, other_seen: &CausalContext) -> bool;

    /// Drops what is in a context, and says whether there was any: the join with an empty store that has seen it.
    fn forget(&mut self, seen: &CausalContext) -> bool;

    /// Whether any live dot is in a context: whether [`forget`](DotStore::forget) would drop some.
    ///
    /// The provided method clones. A store of many dots does better.
    fn meets(&self, seen: &CausalContext) -> bool {
        self.clone().forget(seen)
    }

    /// Whether joining another store would change nothing, all that it has seen being in our context.
    ///
    /// The provided method clones. A store of many dots does better.
    fn covers_causal(&self, seen: &CausalContext, other: &Self, other_seen: &CausalContext) -> bool {
        !self.clone().join_causal(seen, other.clone(), other_seen)
    }

    /// The live dots.
    fn dots(&self) -> CausalContext {
        let mut dots = CausalContext::default();
        self.add_dots_to(&mut dots);
        dots
    }

    /// The delta that removes all that is live here, and nothing that is written elsewhere at the same time.
    fn clear_delta(&self) -> Causal<Self> {
        Causal::removal(self.dots())
    }
}

/// Two stores under one context.
impl<A: DotStore, B: DotStore> DotStore for (A, B) {
    fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1.is_empty()
    }

    fn add_dots_to(&self, context: &mut CausalContext) {
        self.0.add_dots_to(context);
        self.1.add_dots_to(context);
    }

    fn join_causal(&mut self, seen: &CausalContext, other: Self, other_seen: &CausalContext) -> bool {
        self.0.join_causal(seen, other.0, other_seen) | self.1.join_causal(seen, other.1, other_seen)
    }

    fn forget(&mut self, seen: &CausalContext) -> bool {
        self.0.forget(seen) | self.1.forget(seen)
    }

    fn meets(&self, seen: &CausalContext) -> bool {
        self.0.meets(seen) || self.1.meets(seen)
    }

    fn covers_causal(&self, seen: &CausalContext, other: &Self, other_seen: &CausalContext) -> bool {
        self.0.covers_causal(seen, &other.0, other_seen) && self.1.covers_causal(seen, &other.1, other_seen)
    }
}
