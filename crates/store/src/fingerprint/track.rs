//! The chunks of tracked key ranges: sums over neighbouring rows, moved with every commit.

use super::range::separator;
use super::{Printer, Sums};
use crate::engine::{Batch, Engine, Pair, SCAN_PAIRS_MAX, Scan, Snapshot};
use crate::error::StoreError;
use crate::identity::{Marks, marks_key};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The most rows of a chunk: what has to be read where a range ends within one. With some 130 bytes of memory a chunk
/// that is about a byte and a half a row.
pub(super) const CHUNK_ROWS_MAX: u64 = 128;
/// Rows of a new chunk, so that the next one to come does not split it at once.
const CHUNK_ROWS: usize = 96;
/// The most bytes of values in a chunk of several rows.
const CHUNK_BYTES_MAX: u64 = 512 << 10;
/// Rows that are read at a time while chunks are made: the committer waits no longer than that takes.
const PAGE_ROWS: usize = 2 * CHUNK_ROWS;

/// Neighbouring rows, up to where the next chunk begins.
#[derive(Debug, Clone, Copy, Default)]
struct Chunk {
    sums: Sums,
    bytes: u64,
}

impl Chunk {
    fn is_too_large(&self) -> bool {
        self.sums.count > CHUNK_ROWS_MAX || (self.bytes > CHUNK_BYTES_MAX && self.sums.count > 1)
    }
}

/// A tracked range of whole keys, tag included.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    /// By where they begin. The first one begins where the range does.
    chunks: BTreeMap<Vec<u8>, Chunk>,
    /// While the rows are read for the first time: those before this are in the chunks, the others will be.
    frontier: Option<Vec<u8>>,
    /// How many rows changed since the range is tracked.
    pub(super) changes: u64,
}

/// What a commit does to a chunk.
#[derive(Debug)]
struct Change {
    track: usize,
    key: Vec<u8>,
    before: Option<Bytes>,
    after: Option<Bytes>,
}

/// What can be read of a range.
fn scan(from: &[u8], to: &[u8], limit: usize) -> Scan {
    Scan { from: Bound::Included(from.to_vec()), to: Bound::Excluded(to.to_vec()), reverse: false, limit }
}

/// Every row of a range of a few chunks. A chunk is large only until it is split.
fn all_rows(snapshot: &dyn Snapshot, from: &[u8], to: &[u8]) -> Result<Vec<Pair>, StoreError> {
    let (mut rows, mut from) = (Vec::new(), from.to_vec());
    loop {
        let page = snapshot.scan(&scan(&from, to, SCAN_PAIRS_MAX))?;
        let full = page.len() >= SCAN_PAIRS_MAX;
        rows.extend(page);
        match rows.last() {
            Some((last, _)) if full => from = [last, [0].as_slice()].concat(),
            _ => return Ok(rows),
        }
    }
}

/// The row's own sums; its key without the tag.
fn print(printer: &Printer, key: &[u8], value: &[u8]) -> Sums {
    printer.row(key.get(1..).unwrap_or_default(), value)
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl Track {
    pub(super) fn new(from: Vec<u8>, to: Vec<u8>) -> Self {
        let frontier = Some(from.clone());
        Self { from, to, chunks: BTreeMap::new(), frontier, changes: 0 }
    }

    pub(super) fn is_built(&self) -> bool {
        self.frontier.is_none()
    }

    /// Everything is read again.
    fn reset(&mut self) {
        self.chunks.clear();
        self.frontier = Some(self.from.clone());
    }

    /// Whether the chunks know of a key.
    fn knows(&self, key: &[u8]) -> bool {
        let within = self.from.as_slice() <= key && key < self.to.as_slice();
        within && self.frontier.as_ref().is_none_or(|frontier| key < frontier.as_slice())
    }

    /// Where the chunk that begins at `start` ends.
    fn end_of(&self, start: &[u8]) -> Vec<u8> {
        let behind = (Bound::Excluded(start), Bound::Unbounded);
        let next = self.chunks.range::<[u8], _>(behind).next().map(|(next, _)| next.clone());
        next.or_else(|| self.frontier.clone()).unwrap_or_else(|| self.to.clone())
    }

    /// Reads the next page of rows into chunks. True when all are read.
    pub(super) fn build(&mut self, printer: &Printer, snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
        let Some(frontier) = self.frontier.clone() else { return Ok(true) };
        let rows = snapshot.scan(&scan(&frontier, &self.to, PAGE_ROWS + 1))?;
        let next = match (rows.get(PAGE_ROWS - 1), rows.get(PAGE_ROWS)) {
            (Some((last, _)), Some((next, _))) => Some(separator(last, next)),
            _ => None,
        };
        let page = rows.get(..PAGE_ROWS).unwrap_or(&rows);
        self.insert(printer, frontier, page);
        self.frontier = next;
        Ok(self.is_built())
    }

    /// Makes chunks of these rows, the first one beginning at `start`.
    fn insert(&mut self, printer: &Printer, start: Vec<u8>, rows: &[Pair]) {
        let (mut start, mut chunk, mut last): (_, _, Option<&Bytes>) = (start, Chunk::default(), None);
        for (key, value) in rows {
            let full = chunk.sums.count >= wide(CHUNK_ROWS) || chunk.bytes >= CHUNK_BYTES_MAX / 2;
            if let Some(last) = last.filter(|_| full) {
                let begins = std::mem::replace(&mut start, separator(last, key));
                self.chunks.insert(begins, std::mem::take(&mut chunk));
            }
            chunk.sums = chunk.sums.plus(print(printer, key, value));
            chunk.bytes += wide(value.len());
            last = Some(key);
        }
        self.chunks.insert(start, chunk);
    }

    /// Moves the chunk of a row, and tells where that begins if it is too large now.
    fn apply(&mut self, printer: &Printer, change: &Change) -> Option<Vec<u8>> {
        let (start, chunk) = self
            .chunks
            .range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(change.key.as_slice())))
            .next_back()?;
        if let Some(before) = &change.before {
            chunk.sums = chunk.sums.minus(print(printer, &change.key, before));
            chunk.bytes = chunk.bytes.saturating_sub(wide(before.len()));
        }
        if let Some(after) = &change.after {
            chunk.sums = chunk.sums.plus(print(printer, &change.key, after));
            chunk.bytes += wide(after.len());
        }
        self.changes += 1;
        chunk.is_too_large().then(|| start.clone())
    }

    /// Makes smaller chunks of one. The snapshot is of now.
    fn split_chunk(
        &mut self,
        printer: &Printer,
        snapshot: &dyn Snapshot,
        start: &[u8],
    ) -> Result<(), StoreError> {
        let end = self.end_of(start);
        let rows = all_rows(snapshot, start, &end)?;
        self.insert(printer, start.to_vec(), &rows);
        Ok(())
    }

    /// The sums of a range of whole keys within this one: whole chunks as they are, and what of the first and the last is
    /// in it is read.
    pub(super) fn sums(
        &self,
        printer: &Printer,
        snapshot: &dyn Snapshot,
        from: &[u8],
        to: &[u8],
    ) -> Result<Sums, StoreError> {
        let mut sums = Sums::default();
        if from >= to {
            return Ok(sums);
        }
        let first = self.chunks.range::<[u8], _>((Bound::Unbounded, Bound::Included(from))).next_back();
        let first = first.map_or(from, |(start, _)| start.as_slice());
        let mut chunks =
            self.chunks.range::<[u8], _>((Bound::Included(first), Bound::Excluded(to))).peekable();
        while let Some((start, chunk)) = chunks.next() {
            let end = chunks.peek().map_or_else(|| self.end_of(start), |(next, _)| (*next).clone());
            if from <= start.as_slice() && end.as_slice() <= to {
                sums = sums.plus(chunk.sums);
            } else {
                let (from, to) = (from.max(start.as_slice()), to.min(end.as_slice()));
                for (key, value) in all_rows(snapshot, from, to)? {
                    sums = sums.plus(print(printer, &key, &value));
                }
            }
        }
        Ok(sums)
    }

    /// Bounds within a range of whole keys that cut it into at most `pieces` of about as many rows each.
    pub(super) fn split(
        &self,
        snapshot: &dyn Snapshot,
        from: &[u8],
        to: &[u8],
        pieces: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let inside = (Bound::Excluded(from), Bound::Excluded(to));
        let chunks: Vec<_> = self
            .chunks
            .range::<[u8], _>(inside)
            .map(|(start, chunk)| (start.clone(), chunk.sums.count))
            .collect();
        if chunks.len() >= pieces * 2 {
            return Ok(evenly(0, chunks, pieces));
        }
        let rows = all_rows(snapshot, from, to)?;
        if let [(only, _)] = rows.as_slice() {
            // Cannot be cut between two rows: the row alone, and the gaps around it.
            let bounds = [only.to_vec(), [only, [0].as_slice()].concat()];
            return Ok(bounds
                .into_iter()
                .filter(|bound| from < bound.as_slice() && bound.as_slice() < to)
                .collect());
        }
        let starts = rows.windows(2).filter_map(|two| match two {
            [(before, _), (after, _)] => Some((separator(before, after), 1)),
            _ => None,
        });
        Ok(evenly(1, starts.collect(), pieces))
    }
}

/// Of places where a range may be cut, each with the rows behind it, those that make about equal pieces. `first` rows are
/// before the first place.
fn evenly(first: u64, places: Vec<(Vec<u8>, u64)>, pieces: usize) -> Vec<Vec<u8>> {
    let total = first + places.iter().map(|(_, rows)| rows).sum::<u64>();
    let pieces = wide(pieces);
    let (mut bounds, mut before, mut piece, mut last) = (Vec::new(), first, 1, None);
    for (place, rows) in places {
        if piece < pieces && before * pieces >= total * piece {
            bounds.push(place.clone());
            piece += 1;
        }
        before += rows;
        last = Some(place);
    }
    // Nearly all of the rows may be behind the last place: a range that can be cut is cut, or nobody would get on with it.
    if bounds.is_empty() {
        bounds.extend(last);
    }
    bounds
}

/// A commit under way, and what it does to the tracks.
#[derive(Debug)]
struct Pending {
    /// The group's, by which a snapshot tells whether it shows the commit.
    sequence: u64,
    /// How many tracks there were: those that came later have heard nothing of it.
    tracks: usize,
    /// Tracks of which it is not known what changes.
    unread: Vec<usize>,
    changes: Vec<Change>,
}

/// All that a store tracks. **Not** locked while the engine commits: a disk may take seconds, and whoever compares runs
/// where requests are answered. What the commit does is noted before it begins, and done to the sums by the first who
/// finds it in a snapshot; so under the lock the sums are those of what [`Fingerprints::now`] answers.
#[derive(Debug)]
pub(crate) struct Fingerprints {
    pub(crate) printer: Printer,
    pub(super) tracks: Vec<Track>,
    pending: Option<Pending>,
}

impl Fingerprints {
    pub(crate) fn new(deployment: &str) -> Self {
        Self { printer: Printer::new(deployment), tracks: Vec::new(), pending: None }
    }

    /// Notes what a batch is going to change. `snapshot` is what it changes.
    pub(crate) fn begin(&mut self, sequence: u64, batch: &Batch, snapshot: &dyn Snapshot) {
        let (mut changes, mut unread) = (Vec::new(), Vec::new());
        for (track, tracked) in self.tracks.iter().enumerate() {
            let range = (Bound::Included(tracked.from.as_slice()), Bound::Excluded(tracked.to.as_slice()));
            // Also those that are not read yet: they may be, before the batch is there.
            let written: Vec<_> = batch.range::<[u8], _>(range).collect();
            let keys: Vec<_> = written.iter().map(|(key, _)| (*key).clone()).collect();
            if keys.is_empty() {
                continue;
            }
            match snapshot.load(&keys) {
                Ok(before) => {
                    let both = keys.into_iter().zip(before).zip(written);
                    changes.extend(both.map(|((key, before), (_, after))| Change {
                        track,
                        key,
                        before,
                        after: after.clone(),
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "fingerprints are made anew: what a write changes cannot be read");
                    unread.push(track);
                }
            }
        }
        self.pending = Some(Pending { sequence, tracks: self.tracks.len(), unread, changes });
    }

    /// The batch is committed.
    pub(crate) fn committed(&mut self, engine: &dyn Engine) {
        let Some(Pending { tracks, unread, changes, .. }) = self.pending.take() else { return };
        for (index, track) in self.tracks.iter_mut().enumerate() {
            if index >= tracks || unread.contains(&index) {
                track.reset();
            }
        }
        let mut large = std::collections::BTreeSet::new();
        for change in &changes {
            let track = self.tracks.get_mut(change.track).filter(|track| track.knows(&change.key));
            if let Some(start) = track.and_then(|track| track.apply(&self.printer, change)) {
                large.insert((change.track, start));
            }
        }
        for (track, start) in large {
            let Some(track) = self.tracks.get_mut(track) else { continue };
            let split = engine.snapshot().and_then(|now| track.split_chunk(&self.printer, &*now, &start));
            if let Err(error) = split {
                // It stays as it is, and true; the next change in it tries again.
                tracing::warn!(%error, "a chunk of fingerprints could not be split");
            }
        }
    }

    /// The batch was not committed.
    pub(crate) fn failed(&mut self) {
        self.pending = None;
    }

    /// What is committed now, which is what the sums are of.
    pub(super) fn now(&mut self, engine: &dyn Engine) -> Result<Arc<dyn Snapshot>, StoreError> {
        let now = engine.snapshot()?;
        if let Some(pending) = &self.pending {
            let marks = now.load(&[marks_key()])?.pop().flatten();
            let marks: Option<Marks> = marks.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            // A snapshot shows nothing of a batch before its commit has succeeded.
            if marks.is_some_and(|marks| marks.sequence >= pending.sequence) {
                self.committed(engine);
            }
        }
        Ok(now)
    }
}
