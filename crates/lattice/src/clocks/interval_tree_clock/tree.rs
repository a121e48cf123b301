//! The algebra of event trees in normal form.

/// A number for each point of the interval: a leaf's holds for all of it, a node adds its own to those of its halves.
///
/// Normal form: one of a node's halves begins at 0, and a node's halves are not two equal leaves. Then equal functions
/// are equal trees, and [`Tree::base`] is the least number. No sum from the root to a leaf is above `u64::MAX`: what
/// is decoded is checked for it, and joins have no sum that neither side had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tree {
    Leaf(u64),
    Node(u64, Box<(Tree, Tree)>),
}

/// What a leaf's halves add to it.
static ZERO: Tree = Tree::Leaf(0);

impl Tree {
    /// The normal form of a node.
    pub(super) fn node(base: u64, left: Self, right: Self) -> Self {
        if let (Self::Leaf(l), Self::Leaf(r)) = (&left, &right)
            && l == r
        {
            return Self::Leaf(base.saturating_add(*l));
        }
        let least = left.base().min(right.base());
        Self::Node(base.saturating_add(least), Box::new((left.dropped(least), right.dropped(least))))
    }

    /// The number at the root, and the two halves that are relative to it.
    pub(super) fn halves(&self) -> (u64, &Self, &Self) {
        match self {
            Self::Leaf(number) => (*number, &ZERO, &ZERO),
            Self::Node(base, halves) => (*base, &halves.0, &halves.1),
        }
    }

    fn into_halves(self) -> (u64, Self, Self) {
        match self {
            Self::Leaf(number) => (number, Self::Leaf(0), Self::Leaf(0)),
            Self::Node(base, halves) => (base, halves.0, halves.1),
        }
    }

    /// The number at the root, which is the least of all.
    pub(super) const fn base(&self) -> u64 {
        match self {
            Self::Leaf(base) | Self::Node(base, _) => *base,
        }
    }

    /// The greatest number.
    pub(super) fn height(&self) -> u64 {
        match self {
            Self::Leaf(number) => *number,
            Self::Node(base, halves) => base.saturating_add(halves.0.height().max(halves.1.height())),
        }
    }

    /// How many nodes there are between the root and the furthest leaf.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Node(_, halves) => halves.0.depth().max(halves.1.depth()).saturating_add(1),
        }
    }

    /// Higher everywhere by so much.
    pub(super) fn lifted(mut self, by: u64) -> Self {
        let (Self::Leaf(base) | Self::Node(base, _)) = &mut self;
        *base = base.saturating_add(by);
        self
    }

    fn dropped(mut self, by: u64) -> Self {
        let (Self::Leaf(base) | Self::Node(base, _)) = &mut self;
        *base = base.saturating_sub(by);
        self
    }

    /// The greater number, at each point.
    pub(super) fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Leaf(a), Self::Leaf(b)) => Self::Leaf(a.max(b)),
            (a, b) => {
                let ((a, al, ar), (b, bl, br)) = (a.into_halves(), b.into_halves());
                let least = a.min(b);
                // One of the two differences is 0.
                let (a, b) = (a.saturating_sub(least), b.saturating_sub(least));
                Self::node(least, al.lifted(a).joined(bl.lifted(b)), ar.lifted(a).joined(br.lifted(b)))
            }
        }
    }

    /// Whether no point's number is greater here, after the two are lifted by `up` and `other_up`.
    pub(super) fn is_within(&self, up: u64, other: &Self, other_up: u64) -> bool {
        match (self, other) {
            // The base of the other is its least number.
            (Self::Leaf(_), _) => self.base().saturating_add(up) <= other.base().saturating_add(other_up),
            (_, Self::Leaf(_)) => self.height().saturating_add(up) <= other.base().saturating_add(other_up),
            (Self::Node(a, mine), Self::Node(b, theirs)) => {
                let (up, other_up) = (up.saturating_add(*a), other_up.saturating_add(*b));
                up <= other_up
                    && mine.0.is_within(up, &theirs.0, other_up)
                    && mine.1.is_within(up, &theirs.1, other_up)
            }
        }
    }

    /// The numbers where they are greater than in an older tree, and 0 elsewhere: joined to that one they give this.
    pub(super) fn news(&self, up: u64, older: &Self, older_up: u64) -> Self {
        if let (Self::Leaf(new), Self::Leaf(old)) = (self, older) {
            let new = new.saturating_add(up);
            return Self::Leaf(if new > old.saturating_add(older_up) { new } else { 0 });
        }
        let ((new, left, right), (old, older_left, older_right)) = (self.halves(), older.halves());
        let (up, older_up) = (up.saturating_add(new), older_up.saturating_add(old));
        Self::node(0, left.news(up, older_left, older_up), right.news(up, older_right, older_up))
    }
}
