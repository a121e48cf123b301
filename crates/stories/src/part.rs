//! The state of a part.

use crate::paragraph::{self, Paragraph};
use crate::parts_order::PIECE_ITEMS_MAX;
use crate::{first, order, rows};
use api::Problem;
use lattice::{Arrangement, Lattice, Life, Lww, Map, Min, Stamp};
use messages::{ParagraphId, PartId, PartPlace, PartState, StoryId, Unknown, UserId, is_bottom};
use serde::{Deserialize, Serialize};

/// Who published a part, when and in which story. Ordered by its stamp first: of two creations all keep the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartCreation {
    /// When.
    pub at: Stamp,
    /// In which story.
    pub story: StoryId,
    /// By whom: the story's author.
    pub author: UserId,
    /// Half a SHA-256 of the whole request under its idempotency key, in hexadecimal: tells a retry from another
    /// request.
    pub request: String,
}

/// A part as it is stored: one row, text and all. Whoever only asks whether it is there reads
/// [`rows::PartFactRow`], which is small.
///
/// | field | lattice | meaning |
/// |---|---|---|
/// | `created` | minimum | who published it, when, where |
/// | `title` | last writer wins | what it is called |
/// | `paragraphs` | a [`Paragraph`] an id | what it says |
/// | `order` | a sequence of slots, and for each paragraph a last writer wins of which is its | in which order |
/// | `edits` | a minimum an id | which edits with an idempotency key were made: none is made again |
/// | `life` | live < gone | a part that was taken down never comes back |
///
/// Text and order are apart, so of two writers one may change a paragraph while the other moves it, and both hold.
///
/// Gone absorbs title, paragraphs and order, in whatever order they arrive. `created` and `edits` remain, so that a late retry
/// is known for what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its beginning; empty where only its end was heard of.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub created: Min<PartCreation>,
    /// Its title.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub title: Lww<String>,
    /// Its paragraphs, removed ones too.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub paragraphs: Map<ParagraphId, Paragraph>,
    /// In which order they are read. A paragraph without a slot was written by the first version, which gave it a
    /// number instead ([`Paragraph::place`]): such stand before all others, in the order of these numbers, until an edit
    /// gives them slots.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub order: Arrangement<ParagraphId>,
    /// The edits that were made under an idempotency key, at most [`crate::EDITS_KEPT_MAX`]: from an id made of part,
    /// author and key to the fingerprint of the whole request. Of two requests under one key that two replicas
    /// accepted, all come to keep the lesser; a retry of the other is then a conflict.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub edits: Map<String, Min<String>>,
    /// Whether it is still there.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub life: Life,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Part {
    /// A part as it is published with these texts. Whoever publishes it again, and wherever, makes the same but for
    /// `creation`, of which all keep the first.
    pub(crate) fn published(
        id: PartId,
        creation: PartCreation,
        title: String,
        texts: &[String],
    ) -> Result<Self, Problem> {
        let paragraph = |(position, text): (usize, &String)| {
            let state = Paragraph { text: first(text.clone()), ..Paragraph::default() };
            (paragraph::derive(id, &creation.request, position), state)
        };
        let paragraphs: Vec<_> = texts.iter().enumerate().map(paragraph).collect();
        let ids: Vec<_> = paragraphs.iter().map(|(id, _)| *id).collect();
        Ok(Self {
            title: first(title),
            paragraphs: paragraphs.into_iter().collect(),
            order: order::place_new(&mut Arrangement::default(), &ids, 0)?,
            created: Min::of(creation),
            ..Self::default()
        })
    }

    /// What it is called; empty before it is known, and once it is gone.
    pub fn title(&self) -> &str {
        self.title.get().map_or("", String::as_str)
    }

    /// Its paragraphs as they are read, each with its text.
    pub fn in_order(&self) -> Vec<(ParagraphId, &str)> {
        let unplaced = self.unplaced();
        let ids = unplaced.iter().chain(self.order.iter());
        let live = |id| self.paragraphs.get(id).filter(|paragraph| !paragraph.life.is_gone());
        ids.filter_map(|id| Some((*id, live(id)?.text.get()?.as_str()))).collect()
    }

    /// Its paragraphs that never had a slot, in the order of their numbers.
    pub(crate) fn unplaced(&self) -> Vec<ParagraphId> {
        let unplaced = |(id, paragraph): &(&ParagraphId, &Paragraph)| {
            !paragraph.life.is_gone() && self.order.stamp(id).is_none()
        };
        let mut ids: Vec<_> = self
            .paragraphs
            .iter()
            .filter(unplaced)
            .map(|(id, paragraph)| (paragraph.place.get().copied(), *id))
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// The newest stamp in it: what changes it must be above.
    pub fn newest_stamp(&self) -> Option<Stamp> {
        let created = self.created.get().map(|creation| creation.at);
        let of = |(id, paragraph): (&ParagraphId, &Paragraph)| {
            paragraph.place.stamp().max(paragraph.text.stamp()).max(self.order.stamp(id))
        };
        let paragraphs = self.paragraphs.iter().map(of).max().flatten();
        created.max(self.title.stamp()).max(paragraphs)
    }

    /// Smaller states whose join this one is: the paragraphs by the bytes of their JSON, the order by its items, and the
    /// rest in one.
    pub(crate) fn pieces(self, bytes_max: usize) -> Vec<Self> {
        let Self { created, title, paragraphs, order, edits, life, unknown } = self;
        let mut pieces = vec![Self { created, title, edits, life, unknown, ..Self::default() }];
        let (mut some, mut bytes) = (Map::default(), 0);
        for (id, paragraph) in paragraphs {
            // What cannot be written as JSON cannot be sent at all, in pieces or whole: the sender tells it.
            bytes += serde_json::to_vec(&paragraph).map_or(bytes_max, |json| json.len());
            some.join_entry(id, paragraph);
            if bytes >= bytes_max {
                pieces.push(Self { paragraphs: std::mem::take(&mut some), ..Self::default() });
                bytes = 0;
            }
        }
        pieces.push(Self { paragraphs: some, ..Self::default() });
        let orders = order.pieces(PIECE_ITEMS_MAX).into_iter();
        pieces.extend(orders.map(|order| Self { order, ..Self::default() }));
        pieces
    }

    /// What others are told of it.
    pub fn fact(&self) -> PartState {
        let place = self.created.get().map_or_else(Min::default, |creation| {
            Min::of(PartPlace { at: creation.at, story: creation.story, owner: creation.author })
        });
        PartState { place, life: self.life, ..PartState::default() }
    }

    /// The story that lists it, and its row in that list: the title, so that a story is shown without its text.
    pub fn index_row(&self, id: PartId) -> Option<(StoryId, Vec<u8>, Vec<u8>)> {
        let creation = self.created.get().filter(|_| !self.life.is_gone())?;
        Some((creation.story, rows::part(creation.story, creation.at, id), self.title().as_bytes().to_vec()))
    }
}

impl Lattice for Part {
    fn join(&mut self, other: Self) -> bool {
        let Self { created, title, paragraphs, order, edits, life, unknown } = other;
        let kept = self.created.join(created) | self.edits.join(edits);
        let grew = self.life.join(life) | self.unknown.join(unknown) | kept;
        if self.life.is_gone() {
            self.title = Lww::default();
            self.paragraphs = Map::default();
            self.order = Arrangement::default();
            return grew;
        }
        self.title.join(title) | self.paragraphs.join(paragraphs) | self.order.join(order) | grew
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Hlc, Lane, ReplicaId};

    fn stamp(ms: u64) -> Stamp {
        Stamp { hlc: Hlc::new(ms, 0), replica: ReplicaId::from_u128(u128::from(ms)), lane: Lane::default() }
    }

    fn id(number: u8) -> ParagraphId {
        ParagraphId::from_bytes([number; 16])
    }

    fn created(ms: u64) -> Part {
        let creation = PartCreation {
            at: stamp(ms),
            story: StoryId::from_bytes([1; 16]),
            author: UserId::from_bytes([2; 16]),
            request: "5".repeat(32),
        };
        let paragraph = |place, text: &str| Paragraph {
            place: first(place),
            text: first(text.into()),
            ..Paragraph::default()
        };
        Part {
            created: Min::of(creation),
            title: first("Chapter 1".into()),
            paragraphs: Map::from_iter([
                (id(1), paragraph(0, "It rained.")),
                (id(2), paragraph(1, "It stopped.")),
            ]),
            ..Part::default()
        }
    }

    /// The same as this version publishes it.
    fn published() -> Part {
        let Some(creation) = created(1).created.get().cloned() else { unreachable!("it was created") };
        let texts = ["It rained.".to_owned(), "It stopped.".to_owned()];
        Part::published(PartId::from_bytes([3; 16]), creation, "Chapter 1".to_owned(), &texts).unwrap()
    }

    fn moved() -> Part {
        let mut part = published();
        let last = part.in_order().last().unwrap().0;
        let order = part.order.move_to(ReplicaId::from_u128(6), stamp(6), last, 0).unwrap();
        Part { order, ..Part::default() }
    }

    fn with(number: u8, paragraph: Paragraph) -> Part {
        Part { paragraphs: Map::of(id(number), paragraph), ..Part::default() }
    }

    fn values() -> Vec<Part> {
        vec![
            Part::default(),
            created(1),
            created(2),
            Part { title: Lww::new(stamp(3), "Chapter One".into()), ..Part::default() },
            with(1, Paragraph { text: Lww::new(stamp(4), "It poured.".into()), ..Paragraph::default() }),
            with(1, Paragraph { place: Lww::new(stamp(5), 2), ..Paragraph::default() }),
            with(1, Paragraph::removed()),
            with(3, serde_json::from_str(r#"{"mood":"grey"}"#).unwrap()),
            Part { life: Life::Gone, ..Part::default() },
            Part { edits: Map::of("6".repeat(32), Min::of("7".repeat(32))), ..Part::default() },
            published(),
            moved(),
        ]
    }

    /// Every state that joins of the values can reach, so that the laws hold for erased parts too.
    #[test]
    fn a_part_is_a_lattice() {
        let mut states = values();
        for value in values() {
            let grown: Vec<_> = states.iter().map(|state| state.clone().joined(value.clone())).collect();
            for state in grown {
                if !states.contains(&state) && states.len() < 36 {
                    states.push(state);
                }
            }
        }
        lattice::laws::check_exhaustively(&states).unwrap();
    }

    #[test]
    fn a_part_with_an_order_is_a_lattice() {
        let first = published().in_order()[0].0;
        let removed = Part { paragraphs: Map::of(first, Paragraph::removed()), ..Part::default() };
        let gone = Part { life: Life::Gone, ..Part::default() };
        let values = [created(1), published(), moved(), removed, gone];
        let mut states = vec![Part::default()];
        for value in values {
            let grown: Vec<_> = states.iter().map(|state| state.clone().joined(value.clone())).collect();
            for state in grown {
                if !states.contains(&state) {
                    states.push(state);
                }
            }
        }
        assert!(states.len() > 15, "{}", states.len());
        lattice::laws::check_exhaustively(&states).unwrap();
    }

    #[test]
    fn paragraphs_are_read_by_place_and_a_late_creation_undoes_no_edit() {
        let [_, first, again, _, edit, moved, ..] = values().try_into().map(|all: [Part; 12]| all).unwrap();
        assert_eq!(first.in_order(), [(id(1), "It rained."), (id(2), "It stopped.")]);
        let edited = first.joined(moved).joined(edit).joined(again);
        assert_eq!(edited.in_order(), [(id(2), "It stopped."), (id(1), "It poured.")]);
        assert_eq!(edited.newest_stamp(), Some(stamp(5)));
    }

    #[test]
    fn gone_absorbs_the_text_in_every_order_and_keeps_what_knows_a_retry() {
        let [_, created, _, _, edit, _, removed, _, gone, made, published, moved] =
            values().try_into().map(|all: [Part; 12]| all).unwrap();
        let early = removed.clone().joined(created.clone()).joined(edit.clone());
        let late = edit.clone().joined(created.clone()).joined(removed);
        assert_eq!(early, late);
        assert_eq!(early.in_order(), [(id(2), "It stopped.")]);
        assert!(!serde_json::to_string(&late).unwrap().contains("It poured"));
        let early = gone.clone().joined(created.clone()).joined(edit.clone()).joined(made.clone());
        let late = made.clone().joined(created).joined(edit).joined(gone.clone());
        assert_eq!(early, late);
        let early_of_all = early;
        let (mut early, mut late) = (gone.clone(), published.joined(moved.clone()));
        early.join(moved);
        late.join(gone);
        assert!(early.order.is_empty() && late.order.is_empty(), "{late:?}");
        assert!(!serde_json::to_string(&late).unwrap().contains("order"));
        let late = early_of_all;
        assert_eq!((late.in_order(), late.index_row(PartId::default())), (vec![], None));
        assert!(late.fact().life.is_gone());
        assert_eq!((&late.edits, late.created.get().is_some()), (&made.edits, true));
        assert!(!serde_json::to_string(&late).unwrap().contains("It stopped"));
    }

    #[test]
    fn the_order_is_that_of_the_slots() {
        let part = published().joined(moved());
        assert_eq!(
            part.in_order().into_iter().map(|(_, text)| text).collect::<Vec<_>>(),
            ["It stopped.", "It rained."]
        );
        assert_eq!(part.newest_stamp(), Some(stamp(6)), "what is minted next is above the move");
    }

    #[test]
    fn the_join_of_the_pieces_is_the_part_in_any_order() {
        let long = |n: u8| "It rained. ".repeat(usize::from(n) * 40);
        let mut whole = published().joined(moved());
        for n in 1..60 {
            let text = Lww::new(stamp(9), long(n));
            whole.join(with(n, Paragraph { text, ..Paragraph::default() }));
        }
        whole.join(with(7, Paragraph::removed()));
        whole.join(Part { edits: Map::of("6".repeat(32), Min::of("7".repeat(32))), ..Part::default() });
        for state in values().into_iter().chain([whole.clone()]) {
            for bytes_max in [0, 5_000, 1_000_000] {
                let mut pieces = state.clone().pieces(bytes_max);
                assert_eq!(pieces.iter().cloned().fold(Part::default(), Lattice::joined), state);
                pieces.reverse();
                assert_eq!(pieces.into_iter().fold(Part::default(), Lattice::joined), state);
            }
        }
        let largest =
            whole.clone().pieces(50_000).iter().map(|one| serde_json::to_vec(one).unwrap().len()).max();
        assert!(largest.unwrap() < 50_000 + 30_000, "{largest:?}");
        assert!(serde_json::to_vec(&whole).unwrap().len() > 500_000);
    }

    /// The bytes that the first version wrote, then `edits` and `order`, which came later.
    #[test]
    fn golden_bytes() {
        let golden = include_str!("../tests/golden/parts.json");
        let read: Vec<Part> = serde_json::from_str(golden).unwrap();
        assert_eq!(read, values());
        assert_eq!(serde_json::to_string_pretty(&values()).unwrap() + "\n", golden);
    }
}
