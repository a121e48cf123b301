//! The state of a library shelf: which stories its reader keeps there.

use crate::SHELF_WRITERS_MAX;
use lattice::{DotsExhausted, Lattice, OrSet, ReplicaId};
use messages::{StoryId, Unknown, is_bottom};
use serde::{Deserialize, Serialize};

/// A library shelf: a set of stories in which adding wins.
///
/// Why an OR-set: a story is taken off and put on again, from several devices, at several replicas. A 2P-set would never
/// take back what was once taken off. A register of yes and no for each story would let the clocks of the replicas decide
/// between two devices, and would keep every story that was ever on the shelf. In an OR-set taking off removes what was
/// seen, so what somebody puts there at the same time stays, and nothing remains of what is gone.
///
/// **Cost.** In JSON 91 bytes for each story on it, 52 more where it was put there at another replica at the same time,
/// and about 50 for each writer that it ever had. So what bounds the row is the number of stories
/// ([`SHELF_MAX`](crate::SHELF_MAX)) and of writers, and not how often it was used: a writer's dots have no holes, because
/// rows are only ever joined whole.
///
/// **Writers.** At a site without siblings the replica is the only one. Where there are siblings each process that writes
/// to a shelf is one (at most [`SHELF_WRITERS_MAX`], then the replica again): a replica that was restored in silence gives
/// no dot that it gave in the days it has forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// What is on it. The dots are those of the writer who put a story there.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub stories: OrSet<StoryId>,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Shelf {
    /// Puts a story on it, at a replica, and returns the delta.
    pub fn put(&mut self, at: ReplicaId, story: StoryId) -> Result<Self, DotsExhausted> {
        Ok(Self { stories: self.stories.insert(at, story)?, ..Self::default() })
    }

    /// Whether it has written to it, or there is room for one more writer.
    pub(crate) fn may_be_written_by(&self, writer: ReplicaId) -> bool {
        let context = self.stories.context();
        context.last(writer) > 0 || context.replicas().count() < SHELF_WRITERS_MAX
    }

    /// Takes a story off it, and returns the delta: it concerns what was seen here, and nothing that is put there
    /// elsewhere meanwhile.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "a mutator's delta may be dropped, as in the lattice crate"
    )]
    pub fn take_off(&mut self, story: StoryId) -> Self {
        Self { stories: self.stories.remove(&story), ..Self::default() }
    }

    /// Whether a story is on it.
    pub fn has(&self, story: StoryId) -> bool {
        self.stories.contains(&story)
    }

    /// How many stories are on it.
    pub fn len(&self) -> usize {
        self.stories.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.stories.is_empty()
    }
}

impl Lattice for Shelf {
    fn join(&mut self, other: Self) -> bool {
        let Self { stories, unknown } = other;
        self.stories.join(stories) | self.unknown.join(unknown)
    }

    fn covers(&self, other: &Self) -> bool {
        self.stories.covers(&other.stories) && self.unknown.covers(&other.unknown)
    }
}

#[cfg(test)]
mod tests;
