//! The `Idempotency-Key` of everything that a replay makes: decided by its seed and names, so that a second run
//! with the same seed on the same server repeats the first instead of making everything twice.
//!
//! A user's key is the secret that gives a token. These can be computed by anyone who knows seed and name: they
//! are for users that exist to be replayed.

use std::fmt;

use api::derive_id;

/// A key in the shape of a UUID.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    fn new(domain: &str, parts: &[&[u8]]) -> Self {
        let id = u128::from_be_bytes(derive_id(domain, parts));
        let mut text = format!("{id:032x}");
        for dash in [20, 16, 12, 8] {
            text.insert(dash, '-');
        }
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Keys are secrets of their users.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The keys of one run.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    seed: [u8; 8],
    /// The story: its title, and what the file holds.
    story: [u8; 16],
}

impl Keys {
    /// `digest` tells one content of the file from another, so a file that grew is another story.
    pub(super) fn new(seed: u64, file_name: &str, digest: [u8; 16]) -> Self {
        let seed = seed.to_be_bytes();
        Self { seed, story: derive_id("antiphon replay story v1", &[&seed, file_name.as_bytes(), &digest]) }
    }

    /// Of the user with this name, in whatever file.
    pub(super) fn user(&self, name: &str) -> Key {
        Key::new("antiphon replay user v1", &[&self.seed, name.as_bytes()])
    }

    /// Of the user who tells the story.
    pub(super) fn storyteller(&self) -> Key {
        Key::new("antiphon replay storyteller v1", &[&self.seed])
    }

    /// Of the story.
    pub(super) fn story(&self) -> Key {
        Key::new("antiphon replay story key v1", &[&self.story])
    }

    /// Of the part with this name.
    pub(super) fn part(&self, name: &str) -> Key {
        Key::new("antiphon replay part v1", &[&self.story, name.as_bytes()])
    }

    /// Of the comment with this id in the file.
    pub(super) fn comment(&self, id: &str) -> Key {
        Key::new("antiphon replay comment v1", &[&self.story, id.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use api::IdempotencyKey;

    use super::*;

    #[test]
    fn keys_repeat_and_differ() {
        let keys = Keys::new(7, "a.ndjson", [1; 16]);
        let golden = keys.user("Felicia");
        assert_eq!(golden.as_str(), Keys::new(7, "b.ndjson", [2; 16]).user("Felicia").as_str());
        assert_eq!(IdempotencyKey::parse(golden.as_str().as_bytes()).unwrap().as_str(), golden.as_str());
        assert_eq!(golden.as_str().split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        let all = |keys: &Keys| {
            [keys.user("a"), keys.storyteller(), keys.story(), keys.part("a"), keys.comment("a")]
                .map(|key| key.as_str().to_owned())
        };
        let others = [
            all(&keys),
            all(&Keys::new(8, "a.ndjson", [1; 16])),
            all(&Keys::new(7, "b.ndjson", [1; 16])),
            all(&Keys::new(7, "a.ndjson", [2; 16])),
        ];
        let distinct: std::collections::BTreeSet<_> = others.iter().flatten().collect();
        assert_eq!(distinct.len(), 20 - 4, "people and the storyteller do not depend on the file");
    }
}
