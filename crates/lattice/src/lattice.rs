//! The trait, and what both of its sides owe.

/// A state that only grows: replicas which joined the same states are equal, in whatever order and however often.
///
/// In the words of the algebra a `Lattice` is a bounded join-semilattice, and its values are *state-based CRDTs*
/// (Shapiro, Preguiça, Baquero, Zawirski, 2011). `a ⊑ b` ("b covers a") means that joining `a` into `b` changes
/// nothing. [`join`](Lattice::join) is the least upper bound, [`Default`] is the bottom, below everything.
///
/// **A delta has the type of the state.** A mutator changes the state here and returns a small lattice value to be
/// joined elsewhere. There are no operations on the wire, so whoever handles a message has one thing to do: join it.
/// That is why a queue may repeat, reorder and delay.
///
/// | the queue may | so the join must be | which the law checks as |
/// |---|---|---|
/// | deliver twice | idempotent | `a ∨ a = a` |
/// | deliver in any order | commutative | `a ∨ b = b ∨ a` |
/// | batch, or relay a merge of merges | associative | `(a ∨ b) ∨ c = a ∨ (b ∨ c)` |
/// | start us from nothing | neutral at the bottom | `⊥ ∨ a = a` |
///
/// # What an implementer owes
///
/// 1. **The four laws** of the table, for *every* pair of values that the type can hold, those that no honest program
///    makes included: they arrive over a network. Two writes with one stamp are the usual hole. Decide the tie by the
///    data, never by who came first.
/// 2. **An honest answer.** `join` returns true exactly if `self` is different afterwards.
/// 3. **An honest `Eq`.** Two states that answer every question alike are equal, and equal states encode to equal
///    bytes. If a type has two ways to say "nothing" it must pick one ([`Map`](crate::Map) stores no bottoms).
/// 4. **`Default` is the bottom**, and not merely some value. `i64::default()` is not the least `i64`.
/// 5. **Purity.** No clock, no randomness, no I/O, no panic, whatever the values are. Times and ids are parameters.
///
/// Nobody has to prove this on paper: [`laws::check_exhaustively`](crate::laws::check_exhaustively) tries all triples
/// of a handful of values, and finds nearly every mistake if the handful has the bottom, two equal values, two
/// incomparable ones and a tie.
///
/// ## When the implementer forgets
///
/// Nothing fails at once, which is what makes it bad. A join that is not idempotent drifts with each redelivery. One
/// that is not commutative leaves two replicas different for ever, and anti-entropy sends the same rows round and
/// round. `false` where something grew loses the change: the store writes and announces only what grew. `true` where
/// nothing did is announced, joined, announced again, and never comes to rest.
///
/// This program is **wrong**, though each line of it looks right:
///
/// ```
/// use antiphon_lattice::{GSet, Lattice, Max, laws};
///
/// #[derive(Clone, Debug, Default, PartialEq, Eq)]
/// struct Shelf { stories: GSet<u32>, seen_ms: Max<u64> }
///
/// impl Lattice for Shelf {
///     fn join(&mut self, other: Self) -> bool {
///         // `||` stops at the first field that grew, so the second is not joined at all.
///         self.stories.join(other.stories) || self.seen_ms.join(other.seen_ms)
///     }
/// }
///
/// let values = [Shelf::default(), Shelf { stories: GSet::of(1), seen_ms: Max(5) }];
/// assert!(laws::check_exhaustively(&values).is_err());
/// ```
///
/// This one is right. It takes `other` apart, so that a field added next year does not compile until it is joined,
/// and it combines the answers with `|`, which evaluates both sides:
///
/// ```
/// use antiphon_lattice::{GSet, Lattice, Max, laws};
///
/// #[derive(Clone, Debug, Default, PartialEq, Eq)]
/// struct Shelf { stories: GSet<u32>, seen_ms: Max<u64> }
///
/// impl Lattice for Shelf {
///     fn join(&mut self, other: Self) -> bool {
///         let Self { stories, seen_ms } = other;
///         self.stories.join(stories) | self.seen_ms.join(seen_ms)
///     }
/// }
///
/// let values = [Shelf::default(), Shelf { stories: GSet::of(1), seen_ms: Max(5) }];
/// assert_eq!(laws::check_exhaustively(&values), Ok(8));
/// ```
///
/// # What a caller owes
///
/// 1. **To change a state only through joins and mutators.** Assigning a field back to an earlier value is not a
///    state of the lattice that the other replicas know of, and the next join undoes it.
/// 2. **To deliver every delta, or a later state, in the end.** The join forgives any disorder, but not silence: what
///    never arrives is not there. (Whoever may lose messages needs anti-entropy.)
/// 3. **Unique stamps.** A [`Stamp`](crate::Stamp) is given to one write only. When two writes share one, the
///    replicas still agree, but on a value that one of the writers did not expect.
/// 4. **One writer for each tally.** See [`Tally`](crate::Tally).
/// 5. **To act on `true`**, by persisting and announcing, and to be at ease on `false`: it was all known already.
///
/// # What is not here
///
/// No `meet`, no difference, no way down: forgetting is not a join. No `Option<L>` either: every lattice already has
/// its "nothing", and `Some(bottom)` beside `None` would make two of them, which JSON cannot even tell apart.
///
/// ```compile_fail
/// use antiphon_lattice::{Lattice, Max};
/// None::<Max<u64>>.join(Some(Max(1)));
/// ```
pub trait Lattice: Default + Clone + Eq {
    /// Raises `self` to the least state that covers both, and says whether `self` grew.
    ///
    /// ```
    /// use antiphon_lattice::{Lattice, Max};
    /// let mut reads = Max(3_u64);
    /// assert!(reads.join(Max(7)));
    /// assert!(!reads.join(Max(7)), "again is no news");
    /// assert!(!reads.join(Max(5)), "nor is an old state that arrives late");
    /// ```
    fn join(&mut self, other: Self) -> bool;

    /// The join as a value, for folds and for tests.
    ///
    /// ```
    /// use antiphon_lattice::{Lattice, Max};
    /// assert_eq!(Max(3_u64).joined(Max(7)), Max(7));
    /// ```
    #[must_use]
    fn joined(mut self, other: Self) -> Self {
        self.join(other);
        self
    }

    /// Whether `other ⊑ self`: everything in `other` is known here.
    ///
    /// Two states may each fail to cover the other. They are then *concurrent*, and neither is newer.
    ///
    /// The provided method clones both sides. A large type may do better.
    ///
    /// ```
    /// use antiphon_lattice::{GSet, Lattice};
    /// let (one, two) = (GSet::of(1), GSet::of(2));
    /// assert!(!one.covers(&two) && !two.covers(&one));
    /// assert!(one.clone().joined(two.clone()).covers(&one));
    /// ```
    fn covers(&self, other: &Self) -> bool {
        !self.clone().join(other.clone())
    }
}

/// The lattice of one state: nothing to know, nothing to learn.
///
/// It fills the second half of a [`Pair`](crate::Pair), or stands for a row whose key is all there is to say.
impl Lattice for () {
    fn join(&mut self, (): Self) -> bool {
        false
    }
}
