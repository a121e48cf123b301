//! The handle on a tracked range.

use super::track::Track;
use super::{KeyRange, Sums};
use crate::engine::{Pair, SCAN_PAIRS_MAX, Scan};
use crate::error::StoreError;
use crate::key::Row;
use crate::shared::Shared;
use crate::store::Store;
use std::ops::Bound;
use std::sync::Arc;

/// A key range whose fingerprints are kept in memory, from [`Store::track`]. Clones are handles on the same one.
///
/// The first time every row is read, page by page, while commits go on: that is what a start costs. From then on sums move
/// with the commits, and what is asked here reads at most the rows of two chunks.
///
/// All keys are without the tag: two services keep the same facts under different ones.
#[derive(Debug, Clone)]
pub struct Tracked {
    shared: Arc<Shared>,
    index: usize,
    tag: u8,
    range: KeyRange,
}

impl Store {
    /// Keeps fingerprints of the rows `R` in `range`. A range that is tracked already is not tracked twice.
    pub fn track<R: Row>(&self, range: &KeyRange) -> Tracked {
        let (from, to) = whole(R::TAG, range);
        let mut prints = self.shared.fingerprints();
        let known = prints.tracks.iter().position(|track| track.from == from && track.to == to);
        let index = known.unwrap_or_else(|| {
            prints.tracks.push(Track::new(from, to));
            prints.tracks.len() - 1
        });
        drop(prints);
        Tracked { shared: Arc::clone(&self.shared), index, tag: R::TAG, range: range.clone() }
    }
}

/// Keys with their tag.
fn whole(tag: u8, range: &KeyRange) -> (Vec<u8>, Vec<u8>) {
    let tagged = |key: &[u8]| [&[tag], key].concat();
    let to = if range.to.is_empty() { vec![tag.saturating_add(1)] } else { tagged(&range.to) };
    (tagged(&range.from), to)
}

impl Tracked {
    /// All of it.
    pub fn range(&self) -> &KeyRange {
        &self.range
    }

    /// Whether every row was read.
    pub fn is_built(&self) -> bool {
        self.with(|track| Some(track.is_built())).unwrap_or_default()
    }

    /// Reads one more page of rows, where not all are read. True when all are.
    pub fn build(&self) -> Result<bool, StoreError> {
        let mut prints = self.shared.fingerprints();
        let prints = &mut *prints;
        let now = prints.now(&*self.shared.engine)?;
        let Some(track) = prints.tracks.get_mut(self.index) else { return Ok(true) };
        track.build(&prints.printer, &*now)
    }

    /// How many changes of rows moved the sums since it is tracked.
    pub fn changes(&self) -> u64 {
        self.with(|track| Some(track.changes)).unwrap_or_default()
    }

    /// The sums of what is committed now in a range within this one; `None` until every row was read.
    pub fn sums(&self, range: &KeyRange) -> Result<Option<Sums>, StoreError> {
        let (from, to) = whole(self.tag, &range.within(&self.range));
        let mut prints = self.shared.fingerprints();
        let now = prints.now(&*self.shared.engine)?;
        let Some(track) = prints.tracks.get(self.index).filter(|track| track.is_built()) else {
            return Ok(None);
        };
        track.sums(&prints.printer, &*now, &from, &to).map(Some)
    }

    /// Cuts a range within this one into at most `pieces` with about as many rows each; one with a single row into that row
    /// and the gaps around it. Bounds are as short as they can be.
    pub fn split(&self, range: &KeyRange, pieces: usize) -> Result<Vec<KeyRange>, StoreError> {
        let range = range.within(&self.range);
        let (from, to) = whole(self.tag, &range);
        if from >= to {
            return Ok(Vec::new());
        }
        let mut prints = self.shared.fingerprints();
        let now = prints.now(&*self.shared.engine)?;
        let bounds = match prints.tracks.get(self.index) {
            Some(track) => track.split(&*now, &from, &to, pieces)?,
            None => Vec::new(),
        };
        Ok(range.cut(bounds.into_iter().map(|bound| bound.into_iter().skip(1).collect()).collect()))
    }

    /// The first `limit` rows of a range within this one (at most [`SCAN_PAIRS_MAX`]): keys without their tag, and states as
    /// they are stored.
    pub fn rows(&self, range: &KeyRange, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let (from, to) = whole(self.tag, &range.within(&self.range));
        let scan = Scan {
            from: Bound::Included(from),
            to: Bound::Excluded(to),
            reverse: false,
            limit: limit.min(SCAN_PAIRS_MAX),
        };
        let rows = self.shared.engine.snapshot()?.scan(&scan)?;
        Ok(rows.into_iter().map(|(key, value)| (key.slice(1..), value)).collect())
    }

    /// The fingerprint that a row has, or would have.
    pub fn print(&self, key: &[u8], state: &[u8]) -> Sums {
        self.shared.fingerprints().printer.row(key, state)
    }

    fn with<T>(&self, look: impl FnOnce(&Track) -> Option<T>) -> Option<T> {
        self.shared.fingerprints().tracks.get(self.index).and_then(look)
    }
}
