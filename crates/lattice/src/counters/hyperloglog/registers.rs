//! The two forms of the state, and how one becomes the other.

/// The bits of a hash that choose an entry of the sparse form; the rest give its rank.
const SPARSE_BITS: u32 = 25;
/// The greatest rank in the sparse form: all of the other bits are 0.
const SPARSE_RANK_MAX: u32 = 64 - SPARSE_BITS + 1;
/// The bits that a rank takes in an entry. The index is above it, so entries sort by index.
const RANK_BITS: u32 = 6;
const RANK_MASK: u32 = (1 << RANK_BITS) - 1;
/// What an entry of the sparse form costs in bytes.
pub(super) const ENTRY_BYTES: usize = 4;

/// One hash in the sparse form: 25 bits of index, 6 bits of rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entry(u32);

impl Entry {
    pub(super) fn of(hash: u64) -> Self {
        let index = u32::try_from(hash >> (64 - SPARSE_BITS)).unwrap_or(0); // 25 bits
        let rank = ((hash << SPARSE_BITS).leading_zeros() + 1).min(SPARSE_RANK_MAX);
        Self(index << RANK_BITS | rank)
    }

    /// The entry with these bits, if there is one.
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        let rank = bits & RANK_MASK;
        let fits = bits >> RANK_BITS < 1 << SPARSE_BITS && (1..=SPARSE_RANK_MAX).contains(&rank);
        fits.then_some(Self(bits))
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    const fn index(self) -> u32 {
        self.0 >> RANK_BITS
    }

    /// The register of a dense form of this precision, and the value that it holds for this hash at least: what the
    /// hash itself would have given.
    fn register(self, precision: u8) -> (usize, u8) {
        let beyond = SPARSE_BITS - u32::from(precision);
        let register = self.index() >> beyond;
        let rest = self.index() & ((1 << beyond) - 1);
        let rank = if rest == 0 { beyond + (self.0 & RANK_MASK) } else { beyond - rest.ilog2() };
        (register as usize, u8::try_from(rank).unwrap_or(u8::MAX))
    }
}

/// Few hashes as entries in ascending order, one an index; or many, as one register a slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Registers<const P: u8> {
    Sparse(Vec<Entry>),
    Dense(Box<[u8]>),
}

impl<const P: u8> Registers<P> {
    /// How many registers the dense form has.
    pub(super) const COUNT: usize = {
        assert!(P >= 4 && P <= 16, "the precision of a HyperLogLog is from 4 to 16");
        1 << P
    };
    /// Bytes of the dense form where it is packed, at 6 bits a register.
    pub(super) const PACKED: usize = Self::COUNT / 4 * 3;
    /// The most entries that are not larger than the dense form.
    pub(super) const SPARSE_MAX: usize = Self::PACKED / ENTRY_BYTES;
    /// The greatest value of a register.
    pub(super) const RANK_MAX: u8 = 64 - P + 1;

    /// Takes one entry in, and says whether that was news.
    pub(super) fn insert(&mut self, entry: Entry) -> bool {
        match self {
            Self::Sparse(entries) => {
                match entries.binary_search_by_key(&entry.index(), |entry| entry.index()) {
                    Ok(at) => entries.get_mut(at).is_some_and(|mine| raise(mine, entry)),
                    Err(at) => {
                        entries.insert(at, entry);
                        self.settle();
                        true
                    }
                }
            }
            Self::Dense(registers) => raise_register(registers, entry, P),
        }
    }

    pub(super) fn join(&mut self, other: Self) -> bool {
        match (&mut *self, other) {
            (Self::Sparse(ours), Self::Sparse(theirs)) => {
                if let [entry] = *theirs {
                    return self.insert(entry);
                }
                let grew = !covers(ours, &theirs);
                if grew {
                    *ours = merged(ours, &theirs);
                    self.settle();
                }
                grew
            }
            (Self::Sparse(ours), Self::Dense(mut theirs)) => {
                for entry in ours {
                    raise_register(&mut theirs, *entry, P);
                }
                *self = Self::Dense(theirs);
                true
            }
            (Self::Dense(ours), Self::Sparse(theirs)) => {
                theirs.into_iter().fold(false, |grew, entry| raise_register(ours, entry, P) | grew)
            }
            (Self::Dense(ours), Self::Dense(theirs)) => {
                // Without a branch, so that the compiler compares many at a time.
                let excess = ours
                    .iter()
                    .zip(&theirs)
                    .fold(0, |excess, (mine, its)| excess | its.saturating_sub(*mine));
                let grew = excess > 0;
                if grew {
                    ours.iter_mut().zip(theirs).for_each(|(mine, its)| *mine = its.max(*mine));
                }
                grew
            }
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sparse(ours), Self::Sparse(theirs)) => covers(ours, theirs),
            (Self::Sparse(_), Self::Dense(_)) => false,
            (Self::Dense(ours), Self::Sparse(theirs)) => theirs.iter().all(|entry| {
                let (register, rank) = entry.register(P);
                ours.get(register).is_some_and(|mine| *mine >= rank)
            }),
            (Self::Dense(ours), Self::Dense(theirs)) => {
                ours.iter().zip(theirs).all(|(mine, its)| mine >= its)
            }
        }
    }

    /// Dense exactly where the sparse form would be larger. How many entries there are depends on the hashes alone, so
    /// every way to a state ends in the same form.
    fn settle(&mut self) {
        if let Self::Sparse(entries) = self
            && entries.len() > Self::SPARSE_MAX
        {
            let mut registers = vec![0; Self::COUNT].into_boxed_slice();
            for entry in entries {
                raise_register(&mut registers, *entry, P);
            }
            *self = Self::Dense(registers);
        }
    }
}

/// Two entries of one index: the greater rank.
fn raise(mine: &mut Entry, other: Entry) -> bool {
    let grew = other > *mine;
    *mine = other.max(*mine);
    grew
}

fn raise_register(registers: &mut [u8], entry: Entry, precision: u8) -> bool {
    let (register, rank) = entry.register(precision);
    registers.get_mut(register).is_some_and(|mine| {
        let grew = rank > *mine;
        *mine = rank.max(*mine);
        grew
    })
}

fn covers(ours: &[Entry], theirs: &[Entry]) -> bool {
    let mut ours = ours.iter();
    theirs
        .iter()
        .all(|its| ours.find(|mine| mine.index() >= its.index()).is_some_and(|mine| is_above(*mine, *its)))
}

fn is_above(mine: Entry, its: Entry) -> bool {
    mine.index() == its.index() && mine >= its
}

/// The entries of both in order, of one index the greater.
fn merged(ours: &[Entry], theirs: &[Entry]) -> Vec<Entry> {
    let mut all = Vec::with_capacity(ours.len() + theirs.len());
    all.extend(ours.iter().chain(theirs).copied());
    // Two runs that are sorted: the stable sort finds and merges them in one pass.
    all.sort();
    all.reverse();
    all.dedup_by_key(|entry| entry.index());
    all.reverse();
    all
}
