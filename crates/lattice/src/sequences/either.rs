//! One of two iterators.

/// An iterator that is one of two.
pub(super) enum Either<A, B> {
    One(A),
    Two(B),
}

impl<I, A: Iterator<Item = I>, B: Iterator<Item = I>> Iterator for Either<A, B> {
    type Item = I;

    fn next(&mut self) -> Option<I> {
        match self {
            Self::One(one) => one.next(),
            Self::Two(two) => two.next(),
        }
    }
}
