//! A store and what was seen.

use super::{CausalContext, DotStore};
use crate::Lattice;
use serde::{Deserialize, Deserializer, Serialize, de};

/// A [`DotStore`] and the [`CausalContext`] of all that was ever in it: a state that can forget.
///
/// ```
/// use antiphon_lattice::{Causal, DotFun, DotStore, Lattice, ReplicaId};
/// let mut here: Causal<DotFun<&str>> = Causal::default();
/// let mut there = here.clone();
/// let delta = here.apply(here.store().write_delta(here.context(), ReplicaId::from_u128(1), "red").unwrap());
/// there.join(delta);
/// let removal = there.apply(there.store().clear_delta());
/// assert!(here.join(removal.clone()) && !here.join(removal));
/// assert!(here.store().values().next().is_none());
/// ```
///
/// # Promise
///
/// What is live anywhere and was removed nowhere is live after the join; what was removed by someone who had seen it
/// never comes back, however late and however often it arrives. What was written concurrently to a removal stays.
///
/// # Anomaly
///
/// What was removed elsewhere is gone even if somebody *wrote* here at the same time, unless the write has a dot of its
/// own. A mutator that changes a value without a new dot loses its change:
///
/// ```
/// use antiphon_lattice::{Causal, CausalContext, Dot, DotFun, DotStore, Lattice};
/// let dot = Dot { counter: 1, ..Dot::default() };
/// let held = |value| Causal::new(DotFun::of(dot, value), CausalContext::of(dot)).unwrap();
/// let removed = held(1).store().clear_delta();
/// assert!(held(2).joined(removed).store().is_empty(), "2 was written without a new dot");
/// ```
///
/// # Cost
///
/// The store's and the context's, and nothing for what was removed. The join of a delta with no dot in common with
/// what is known here does not look at the rest of the store (see [`DotMap`](crate::DotMap)).
///
/// # Choose another
///
/// The ready-made types are built on this one: [`OrSet`](crate::OrSet), [`OrMap`](crate::OrMap),
/// [`EnableWinsFlag`](crate::EnableWinsFlag), [`ResetCounter`](crate::ResetCounter) and others. For what is never
/// removed, a type without dots is cheaper.
///
/// # JSON
///
/// `{"store": store, "context": context}`. A store with a dot outside of its context is refused, because nothing could
/// ever remove it. Fields that it does not know are skipped.
///
/// # Source
///
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Causal<S> {
    store: S,
    context: CausalContext,
}

impl<S> Causal<S> {
    /// What is live.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// What was seen.
    pub const fn context(&self) -> &CausalContext {
        &self.context
    }
}

impl<S: DotStore> Causal<S> {
    /// A store under a context. `None` if the store has a dot that the context has not.
    pub fn new(store: S, context: CausalContext) -> Option<Self> {
        context.covers(&store.dots()).then_some(Self { store, context })
    }

    /// The delta that removes what has these dots.
    pub fn removal(context: CausalContext) -> Self {
        Self { store: S::default(), context }
    }

    /// Joins a delta that a mutator of the store made, and gives it back to be sent.
    pub fn apply(&mut self, delta: Self) -> Self {
        self.join(delta.clone());
        delta
    }

    /// The same state with another store around the same dots: what was nested, in its place.
    pub(crate) fn nested<T>(self, place: impl FnOnce(S) -> T) -> Causal<T> {
        Causal { store: place(self.store), context: self.context }
    }

    /// For what changes a store by less than a join: the dots stay within the context.
    pub(crate) const fn parts_mut(&mut self) -> (&mut S, &mut CausalContext) {
        (&mut self.store, &mut self.context)
    }

    /// Removes all that is live, and returns the delta.
    pub(crate) fn clear(&mut self) -> Self {
        Self::removal(std::mem::take(&mut self.store).dots())
    }

    /// For stores that have put their dots into the context.
    pub(crate) const fn held(store: S, context: CausalContext) -> Self {
        Self { store, context }
    }
}

impl<S: DotStore> Lattice for Causal<S> {
    fn join(&mut self, other: Self) -> bool {
        let Self { store, context } = other;
        if context.is_empty() {
            return false;
        }
        if self.context.is_empty() {
            *self = Self { store, context };
            return true;
        }
        self.store.join_causal(&self.context, store, &context) | self.context.join(context)
    }

    fn covers(&self, other: &Self) -> bool {
        self.context.covers(&other.context)
            && self.store.covers_causal(&self.context, &other.store, &other.context)
    }
}

impl<'de, S: DotStore + Deserialize<'de>> Deserialize<'de> for Causal<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Causal")]
        struct Fields<S> {
            store: S,
            context: CausalContext,
        }
        let Fields { store, context }: Fields<S> = Fields::deserialize(deserializer)?;
        let outside = store.dots().minus(&context);
        if outside.is_empty() {
            Ok(Self { store, context })
        } else {
            Err(de::Error::custom(format_args!("dots outside of their context: {outside}")))
        }
    }
}
