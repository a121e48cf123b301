//! The state of a story.

use crate::rows;
use lattice::{Lattice, Lww, Min, Stamp};
use messages::{StoryId, Unknown, UserId, is_bottom};
use serde::{Deserialize, Serialize};

/// Who began a story, and when. Ordered by its stamp first: of two creations all keep the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoryCreation {
    /// When.
    pub at: Stamp,
    /// Whose it is.
    pub author: UserId,
    /// Half a SHA-256 of the whole request under its idempotency key, in hexadecimal: tells a retry from another
    /// request.
    pub request: String,
}

/// A story as it is stored. Its parts are rows of their own.
///
/// | field | lattice | meaning |
/// |---|---|---|
/// | `created` | minimum | who began it, when |
/// | `title` | last writer wins | what it is called |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// Its beginning.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub created: Min<StoryCreation>,
    /// Its title.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub title: Lww<String>,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Story {
    /// What it is called; empty before it is known.
    pub fn title(&self) -> &str {
        self.title.get().map_or("", String::as_str)
    }

    /// The newest stamp in it: what changes it must be above.
    pub fn newest_stamp(&self) -> Option<Stamp> {
        self.created.get().map(|creation| creation.at).max(self.title.stamp())
    }

    /// Its row in the list of all stories.
    pub fn index_row(&self, id: StoryId) -> Option<Vec<u8>> {
        self.created.get().map(|creation| rows::story(creation.at, id))
    }
}

impl Lattice for Story {
    fn join(&mut self, other: Self) -> bool {
        let Self { created, title, unknown } = other;
        self.created.join(created) | self.title.join(title) | self.unknown.join(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Hlc, Lane, ReplicaId};

    fn stamp(ms: u64) -> Stamp {
        Stamp { hlc: Hlc::new(ms, 0), replica: ReplicaId::from_u128(u128::from(ms)), lane: Lane::default() }
    }

    fn values() -> Vec<Story> {
        let creation = |ms| StoryCreation {
            at: stamp(ms),
            author: UserId::from_bytes([1; 16]),
            request: "5".repeat(32),
        };
        vec![
            Story::default(),
            Story {
                created: Min::of(creation(1)),
                title: crate::first("The harbour".into()),
                ..Story::default()
            },
            Story {
                created: Min::of(creation(2)),
                title: crate::first("The harbour".into()),
                ..Story::default()
            },
            Story { title: Lww::new(stamp(3), "The pier".into()), ..Story::default() },
            Story { title: Lww::new(stamp(3), "The quay".into()), ..Story::default() },
            serde_json::from_str(r#"{"genre":"sea"}"#).unwrap(),
        ]
    }

    #[test]
    fn a_story_is_a_lattice() {
        lattice::laws::check_exhaustively(&values()).unwrap();
    }

    #[test]
    fn a_creation_that_is_repeated_late_undoes_no_edit() {
        let [_, first, again, edit, ..] = values().try_into().map(|all: [Story; 6]| all).unwrap();
        assert_eq!(first.joined(edit).joined(again).title(), "The pier");
    }

    /// The bytes that the first version wrote.
    #[test]
    fn golden_bytes() {
        let golden = include_str!("../tests/golden/stories.json");
        let read: Vec<Story> = serde_json::from_str(golden).unwrap();
        assert_eq!(read, values());
        assert_eq!(serde_json::to_string_pretty(&values()).unwrap() + "\n", golden);
    }
}
