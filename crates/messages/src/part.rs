//! That a part exists, and whose it is: announced by Stories, so that Comments knows who may moderate.

use crate::fact::Fact;
use crate::id::{PartId, StoryId, UserId};
use crate::unknown::{Unknown, is_bottom};
use lattice::{Lattice, Life, Min, Stamp};
use serde::{Deserialize, Serialize};

/// Where a part belongs. Ordered by its stamp first: of two creations all keep the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartPlace {
    /// When it was created.
    pub at: Stamp,
    /// In which story.
    pub story: StoryId,
    /// By whom: the story's author.
    pub owner: UserId,
}

/// A part, as far as others need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartState {
    /// Where it belongs; empty where only its end was heard of.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub place: Min<PartPlace>,
    /// Gone when its author took it down: it takes no more comments.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub life: Life,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Lattice for PartState {
    fn join(&mut self, other: Self) -> bool {
        let place = self.place.join(other.place);
        let life = self.life.join(other.life);
        self.unknown.join(other.unknown) || place || life
    }
}

/// [`PartState`]s by part.
#[derive(Debug)]
pub struct PartFact;

impl Fact for PartFact {
    const TOPIC: &'static str = "parts";
    const TYPE: &'static str = "antiphon.stories.part.v1";
    type Key = PartId;
    type State = PartState;

    fn newest_stamp(state: &PartState) -> Option<Stamp> {
        state.place.get().map(|place| place.at)
    }
}
