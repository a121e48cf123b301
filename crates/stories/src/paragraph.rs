//! The state of a paragraph: it stays itself when its text changes or it moves, and comments hang on it.

use lattice::{Lattice, Life, Lww};
use messages::{ParagraphId, PartId, Unknown, is_bottom};
use serde::{Deserialize, Serialize};

/// A paragraph, inside the row of its part.
///
/// | field | lattice | meaning |
/// |---|---|---|
/// | `place` | last writer wins | where it stood before there was [`Part::order`](crate::part::Part::order); read, and no longer written |
/// | `text` | last writer wins | what it says |
/// | `life` | live < gone | a removed paragraph never comes back |
///
/// Gone absorbs place and text, in whatever order they arrive; the id remains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paragraph {
    /// Its place while it has no slot: such paragraphs are read in the order of these numbers, equal ones in the order
    /// of the ids.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub place: Lww<u32>,
    /// Its text.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub text: Lww<String>,
    /// Whether it is still there.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub life: Life,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Paragraph {
    /// A removed one.
    pub fn removed() -> Self {
        Self { life: Life::Gone, ..Self::default() }
    }
}

impl Lattice for Paragraph {
    fn join(&mut self, other: Self) -> bool {
        let Self { place, text, life, unknown } = other;
        let grew = self.life.join(life) | self.unknown.join(unknown);
        if self.life.is_gone() {
            // Where there was something to erase, `life` has just grown.
            self.place = Lww::default();
            self.text = Lww::default();
            return grew;
        }
        self.place.join(place) | self.text.join(text) | grew
    }
}

/// The id of the paragraph that a request makes at a position. The request's fingerprint covers its idempotency key and
/// its whole body, so a retry makes the same paragraphs, and no other request does.
pub(crate) fn derive(part: PartId, request: &str, position: usize) -> ParagraphId {
    let position = u64::try_from(position).unwrap_or(u64::MAX).to_be_bytes();
    ParagraphId::from_bytes(api::derive_id("paragraph", &[&part.to_bytes(), request.as_bytes(), &position]))
}
