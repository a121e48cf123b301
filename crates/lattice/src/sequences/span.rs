//! A piece of a leaf.

use super::block::count;
use super::ids::Id;

/// Elements of one replica with consecutive counters that stand side by side, all visible or all gone.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that do not depend on each other, in four bytes"
)]
pub(super) struct Span {
    pub(super) counter: u64,
    pub(super) len: u64,
    pub(super) replica: u32,
    pub(super) gone: bool,
    /// The first element goes on a run: it is the right child of the one with the id before, with the same right
    /// origin.
    pub(super) runs_on: bool,
    /// The first element has left children. (No other has any, or they would stand in between.)
    pub(super) left: bool,
    /// The last element has right children. (Each other has the next one.)
    pub(super) right: bool,
}

impl Span {
    pub(super) fn end(&self) -> u64 {
        self.counter.saturating_add(self.len)
    }

    pub(super) fn first(&self) -> Id {
        Id { replica: self.replica, counter: self.counter }
    }

    pub(super) fn id(&self, at: u64) -> Id {
        Id { replica: self.replica, counter: self.counter.saturating_add(at) }
    }

    pub(super) fn contains(&self, id: Id) -> bool {
        self.replica == id.replica && self.counter <= id.counter && id.counter - self.counter < self.len
    }

    /// How many of its elements are shown.
    pub(super) fn shown(&self) -> usize {
        if self.gone { 0 } else { count(self.len) }
    }

    /// Whether the next span is the rest of this one.
    pub(super) fn meets(&self, next: &Self) -> bool {
        next.runs_on
            && self.replica == next.replica
            && self.gone == next.gone
            && self.end() == next.counter
            && !next.left
    }

    /// Takes what is behind the first `len`, which is something, and so is what stays.
    pub(super) fn split_off(&mut self, len: u64) -> Self {
        let rest = Self {
            counter: self.counter.saturating_add(len),
            len: self.len - len,
            runs_on: true,
            left: false,
            ..*self
        };
        self.len = len;
        self.right = true;
        rest
    }
}
