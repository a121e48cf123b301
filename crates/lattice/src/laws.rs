//! The laws of [`Lattice`], checked on a handful of values.

use crate::Lattice;
use std::fmt::Debug;

/// Tries the laws of [`Lattice`] on every triple of the given values, and returns how many triples there were.
///
/// A handful finds what random values miss, if it is picked well: the bottom, two equal values, two that are
/// incomparable, one above both, and a tie (one stamp, two values). The error names the broken law and the values.
///
/// Call it from a test of every row state, as this crate does for its own types:
///
/// ```
/// use antiphon_lattice::{Life, Max, Pair, laws};
/// let row = |count, life| Pair(Max(count), life);
/// let values = [row(0_u8, Life::Live), row(1, Life::Live), row(0, Life::Gone), row(2, Life::Gone)];
/// assert_eq!(laws::check_exhaustively(&values), Ok(64));
/// ```
///
/// and it answers to what is no lattice:
///
/// ```
/// use antiphon_lattice::{Lattice, laws};
/// #[derive(Clone, Debug, Default, PartialEq, Eq)]
/// struct Sum(u32);
/// impl Lattice for Sum {
///     fn join(&mut self, other: Self) -> bool {
///         self.0 += other.0;
///         other.0 > 0
///     }
/// }
/// let broken = laws::check_exhaustively(&[Sum(0), Sum(1)]).unwrap_err();
/// assert_eq!(broken, "not idempotent: Sum(1) joined with itself is Sum(2)");
/// ```
pub fn check_exhaustively<L: Lattice + Debug>(values: &[L]) -> Result<usize, String> {
    // From the simplest law to the hardest, so that the error names the one that is easiest to understand.
    values.iter().try_for_each(check_one)?;
    for a in values {
        values.iter().try_for_each(|b| check_two(a, b))?;
    }
    for a in values {
        for b in values {
            values.iter().try_for_each(|c| check_three(a, b, c))?;
        }
    }
    Ok(values.len().pow(3))
}

fn check_one<L: Lattice + Debug>(a: &L) -> Result<(), String> {
    let twice = join(a, a);
    if twice != *a {
        return Err(format!("not idempotent: {a:?} joined with itself is {twice:?}"));
    }
    let bottom = L::default();
    for (left, right) in [(a, &bottom), (&bottom, a)] {
        let joined = join(left, right);
        if joined != *a {
            return Err(format!("default is not the bottom: {left:?} joined with {right:?} is {joined:?}"));
        }
    }
    Ok(())
}

fn check_two<L: Lattice + Debug>(a: &L, b: &L) -> Result<(), String> {
    let (mut ab, ba) = (a.clone(), join(b, a));
    let grew = ab.join(b.clone());
    if ab != ba {
        return Err(format!("not commutative: {a:?} and {b:?} make {ab:?} or {ba:?}"));
    }
    if grew != (ab != *a) {
        return Err(format!("dishonest answer: {a:?} joined with {b:?} is {ab:?}, and it said {grew}"));
    }
    for part in [a, b] {
        let again = join(&ab, part);
        if again != ab {
            return Err(format!(
                "not an upper bound: {ab:?}, of {a:?} and {b:?}, grows by {part:?} to {again:?}"
            ));
        }
        if !ab.covers(part) {
            return Err(format!("wrong covers: {ab:?}, of {a:?} and {b:?}, does not cover {part:?}"));
        }
    }
    if a.covers(b) != (ab == *a) {
        return Err(format!("wrong covers: whether {a:?} covers {b:?}, their join being {ab:?}"));
    }
    Ok(())
}

fn check_three<L: Lattice + Debug>(a: &L, b: &L, c: &L) -> Result<(), String> {
    let (left, right) = (join(&join(a, b), c), join(a, &join(b, c)));
    if left != right {
        return Err(format!("not associative: {a:?}, {b:?} and {c:?} make {left:?} or {right:?}"));
    }
    Ok(())
}

fn join<L: Lattice>(a: &L, b: &L) -> L {
    a.clone().joined(b.clone())
}
