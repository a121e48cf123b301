//! Which part of the interval a stamp owns.

use super::notation::{in_notation, read_id};
use super::{ITC_DEPTH_MAX, ItcError};
use std::fmt;

/// The part of the interval [0, 1) in which a stamp may register events: all, nothing, or a part of each half.
///
/// In the paper's notation, `1`, `0` and `(left,right)`, which is also the text form and the JSON. It is always in
/// normal form: `(0,0)` is `0` and `(1,1)` is `1`, when read too.
///
/// ```
/// use antiphon_lattice::ItcId;
/// let id: ItcId = "(0,((1,1),0))".parse()?;
/// assert_eq!(id.to_string(), "(0,(1,0))");
/// # Ok::<(), antiphon_lattice::ItcDecodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ItcId(pub(super) Id);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Id {
    None,
    All,
    Parts(Box<(Id, Id)>),
}

impl ItcId {
    /// All of the interval: the seed's.
    pub const ALL: Self = Self(Id::All);

    /// Nothing: an anonymous stamp's.
    pub const NONE: Self = Self(Id::None);

    /// Whether it owns nothing.
    pub const fn is_anonymous(&self) -> bool {
        matches!(self.0, Id::None)
    }

    /// Two parts that make up the whole. Of nothing, both are nothing.
    pub(super) fn split(&self) -> Result<(Self, Self), ItcError> {
        let (left, right) = self.0.split();
        // Both are as deep as the deeper one.
        if left.depth().max(right.depth()) > ITC_DEPTH_MAX {
            return Err(ItcError::TooDeep);
        }
        Ok((Self(left), Self(right)))
    }

    /// What either owns, and whether both own some of it, which no two stamps of one seed do.
    pub(super) fn sum(self, other: Self) -> (Self, bool) {
        let mut overlap = false;
        let sum = self.0.sum(other.0, &mut overlap);
        (Self(sum), overlap)
    }
}

impl Id {
    /// The normal form of a node.
    pub(super) fn parts(left: Self, right: Self) -> Self {
        match (left, right) {
            (Self::None, Self::None) => Self::None,
            (Self::All, Self::All) => Self::All,
            parts => Self::Parts(Box::new(parts)),
        }
    }

    fn split(&self) -> (Self, Self) {
        let parts = |left, right| Self::Parts(Box::new((left, right)));
        match self {
            Self::None => (Self::None, Self::None),
            Self::All => (parts(Self::All, Self::None), parts(Self::None, Self::All)),
            Self::Parts(halves) => match &**halves {
                (Self::None, right) => {
                    let (one, two) = right.split();
                    (parts(Self::None, one), parts(Self::None, two))
                }
                (left, Self::None) => {
                    let (one, two) = left.split();
                    (parts(one, Self::None), parts(two, Self::None))
                }
                (left, right) => (parts(left.clone(), Self::None), parts(Self::None, right.clone())),
            },
        }
    }

    fn sum(self, other: Self, overlap: &mut bool) -> Self {
        match (self, other) {
            (Self::None, id) | (id, Self::None) => id,
            (Self::All, _) | (_, Self::All) => {
                *overlap = true;
                Self::All
            }
            (Self::Parts(a), Self::Parts(b)) => Self::parts(a.0.sum(b.0, overlap), a.1.sum(b.1, overlap)),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::None | Self::All => 0,
            Self::Parts(halves) => halves.0.depth().max(halves.1.depth()).saturating_add(1),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("0"),
            Self::All => f.write_str("1"),
            Self::Parts(halves) => write!(f, "({},{})", halves.0, halves.1),
        }
    }
}

in_notation!(ItcId, "ItcId", "an id such as (0,(1,0))", read_id);
