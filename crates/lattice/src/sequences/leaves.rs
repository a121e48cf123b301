//! In which leaf an id stands.

/// More entries than this, and a chunk is cut in two.
const CHUNK_MAX: usize = 128;

/// From which counter on the ids of one replica stand in which leaf: a list in chunks, so that a change in its middle
/// moves one chunk and no more. What it says of ids that are not in the list is of no use.
#[derive(Clone, Debug)]
pub(super) struct Leaves {
    /// Each has an entry, but for the first while it is the only one.
    chunks: Vec<Vec<(u64, u32)>>,
    /// The last entry.
    last: (u64, u32),
}

impl Leaves {
    pub(super) fn new() -> Self {
        Self { chunks: vec![Vec::new()], last: (0, u32::MAX) }
    }

    /// The leaf of an id that is in the list.
    pub(super) fn get(&self, counter: u64) -> Option<u32> {
        let chunk = self.chunks.get(self.chunk(counter))?;
        let nth = chunk.partition_point(|(start, _)| *start <= counter).checked_sub(1)?;
        chunk.get(nth).map(|(_, leaf)| *leaf)
    }

    fn chunk(&self, counter: u64) -> usize {
        let begins = |chunk: &Vec<(u64, u32)>| chunk.first().is_some_and(|(start, _)| *start <= counter);
        self.chunks.partition_point(begins).saturating_sub(1)
    }

    /// Notes in which leaf ids stand. The list has none from `known` on.
    pub(super) fn set(&mut self, start: u64, end: u64, leaf: u32, known: u64) {
        let (last, last_leaf) = self.last;
        if last_leaf == leaf && last <= start {
            return;
        }
        let behind = if end < known { self.get(end) } else { None };
        let at = self.chunk(start);
        let mut emptied = false;
        for chunk in self.chunks.iter_mut().skip(at) {
            let from = chunk.partition_point(|(inner, _)| *inner < start);
            let to = chunk.partition_point(|(inner, _)| *inner <= end);
            let more = to < chunk.len();
            chunk.drain(from..to);
            emptied |= chunk.is_empty();
            if more {
                break;
            }
        }
        if let Some(chunk) = self.chunks.get_mut(at) {
            let from = chunk.partition_point(|(inner, _)| *inner < start);
            if let Some(behind) = behind.filter(|behind| *behind != leaf) {
                chunk.insert(from, (end, behind));
            }
            let before = from.checked_sub(1).and_then(|before| chunk.get(before));
            if before.is_none_or(|(_, before)| *before != leaf) {
                chunk.insert(from, (start, leaf));
            }
            if chunk.len() > CHUNK_MAX {
                let rest = chunk.split_off(CHUNK_MAX / 2);
                self.chunks.insert(at + 1, rest);
            }
        }
        if emptied {
            self.chunks.retain(|chunk| !chunk.is_empty());
        }
        self.last = self.chunks.last().and_then(|chunk| chunk.last().copied()).unwrap_or((0, u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_set_by_range() {
        let mut leaves = Leaves::new();
        leaves.set(1, 11, 0, 11);
        leaves.set(4, 7, 1, 11);
        leaves.set(6, 9, 2, 11);
        let found: Vec<u32> = (1..11).filter_map(|counter| leaves.get(counter)).collect();
        assert_eq!(found, [0, 0, 0, 1, 1, 2, 2, 2, 0, 0]);
        leaves.set(1, 11, 0, 11);
        assert_eq!(leaves.chunks, [[(1, 0)]], "equal neighbours are one entry");
    }

    /// Many chunks, set again in ranges of all lengths, beside an array that is set element by element.
    #[test]
    fn leaves_are_what_an_array_says() {
        let (mut leaves, mut array) = (Leaves::new(), vec![u32::MAX; 5_000]);
        let mut number = 1_u64;
        for step in 0..4_000_u32 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let start = number >> 33;
            let start = start % 4_990;
            let len = if step % 100 == 0 { 1_000 } else { 1 + step % 9 };
            let end = (start + u64::from(len)).min(5_000);
            let leaf = step % 7;
            leaves.set(start, end, leaf, 5_000);
            array[super::super::block::count(start)..super::super::block::count(end)].fill(leaf);
        }
        for (counter, leaf) in (0_u64..).zip(array) {
            assert!(leaf == u32::MAX || leaves.get(counter) == Some(leaf), "{counter}");
        }
        assert!(leaves.chunks.len() > 1 && leaves.chunks.iter().all(|chunk| !chunk.is_empty()));
    }
}
