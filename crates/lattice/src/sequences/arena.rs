//! A vector whose numbers are handed out and used by one module.

use std::ops::{Index, IndexMut};

/// A vector that is indexed by numbers which this folder itself stored.
///
/// Data never chooses an index here: leaves, nodes and replicas are numbered as they are pushed and are never taken
/// away, and the numbers of spans and entries come from a search of the same vector in the same call. So a number out of
/// bounds would be a bug of this folder, which the tests play for by the thousand, and not a message from elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Arena<N>(Vec<N>);

impl<N> Arena<N> {
    /// Adds one and returns its number.
    pub(super) fn add(&mut self, node: N) -> u32 {
        // Four billion leaves are beyond any memory: each is more than a hundred bytes.
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push(node);
        number
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, N> {
        self.0.iter()
    }

    /// The one with a number that may be anybody's.
    pub(super) fn at(&self, number: usize) -> Option<&N> {
        self.0.get(number)
    }

    /// Puts one in before the one with this number, which is at most the length.
    pub(super) fn insert(&mut self, number: usize, node: N) {
        self.0.insert(number, node);
    }

    pub(super) fn remove(&mut self, number: usize) -> N {
        self.0.remove(number)
    }

    pub(super) fn split_off(&mut self, number: usize) -> Self {
        Self(self.0.split_off(number))
    }
}

impl<N> From<Vec<N>> for Arena<N> {
    fn from(nodes: Vec<N>) -> Self {
        Self(nodes)
    }
}

impl<N> Default for Arena<N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<N> Index<usize> for Arena<N> {
    type Output = N;

    #[expect(clippy::indexing_slicing, reason = "see the type: the numbers are this folder's own")]
    fn index(&self, number: usize) -> &N {
        &self.0[number]
    }
}

impl<N> IndexMut<usize> for Arena<N> {
    #[expect(clippy::indexing_slicing, reason = "see the type: the numbers are this folder's own")]
    fn index_mut(&mut self, number: usize) -> &mut N {
        &mut self.0[number]
    }
}

impl<N> Index<u32> for Arena<N> {
    type Output = N;

    fn index(&self, number: u32) -> &N {
        &self[number as usize]
    }
}

impl<N> IndexMut<u32> for Arena<N> {
    fn index_mut(&mut self, number: u32) -> &mut N {
        &mut self[number as usize]
    }
}
