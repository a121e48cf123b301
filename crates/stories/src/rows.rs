//! The catalogue: every kind of row that Stories stores, with its key.
//!
//! | tag | row | key after the tag | value | lives |
//! |---|---|---|---|---|
//! | `0x10` | [`StoryRow`] | story | [`Story`] | for ever |
//! | `0x11` | [`PartRow`] | part | [`Part`], text and all | for ever; one that is gone without its text |
//! | `0x12` | [`PartFactRow`] | part | what others are told of it | for ever |
//! | `0x13` | [`VoteRow`] | part, user | [`Vote`] | for ever |
//! | `0x14` | [`VoteTallyRow`] | part, replica | [`Tally`] | for ever |
//! | `0x15` | [`CommentTallyRow`] | group, replica | copy of Comments' [`Tally`] | for ever |
//! | `0x16` | [`ProfileRow`] | user | copy of Users' profile | for ever |
//! | `0x17` | [`SigningKeyRow`] | key id | copy of Users' key | for ever |
//! | `0x18` | [`ReadsRow`] | part, replica | [`Tally`] that only grows: statistics, not exact | for ever |
//! | `0x19` | [`ReadersRow`] | part | [`Readers`], an estimate | for ever |
//! | `0x1a` | [`PartsOrderRow`] | story | [`PartsOrder`]: in which order its parts are read, once one was moved | for ever |
//! | `0x1b` | [`ReadersSecretRow`] | | [`ReadersSecret`], never shown or announced | for ever |
//! | `0x20` | [`story()`] | stamp, story | empty | for ever |
//! | `0x21` | [`part()`] | story, stamp, part | the part's title | while the part is there |
//! | `0x22` | [`parts_count`] | story | how many entries `0x21` has for it, `u64` big-endian | while it has any |
//!
//! Index rows are derived in the transaction that changes their story or part. Their order is that of the creation
//! stamps, never of a client's clock. The parts of a story are listed by one scan of `0x21`, and then shown in the order
//! of the row `0x1a`.

use crate::both::Both;
use crate::part::Part;
use crate::parts_order::PartsOrder;
use crate::readers::{Readers, ReadersSecret};
use crate::siblings::VoteTallyFact;
use crate::story::Story;
use crate::vote::{Vote, VoteGroup};
use lattice::{Contributes, Contribution, ReplicaId, Stamp, Tally};
use messages::{Fact, KeyId, PartId, PartState, Profile, SigningKeyState, StoryId, TallyKey, UserId};
use store::{Counted, Row, SCAN_PAIRS_MAX, Scan, View, ViewError, key};

/// Stories.
#[derive(Debug)]
pub struct StoryRow;
impl Row for StoryRow {
    const TAG: u8 = 0x10;
    const NAME: &'static str = "story";
    type Key = StoryId;
    type State = Story;
}

/// Parts, with their text.
#[derive(Debug)]
pub struct PartRow;
impl Row for PartRow {
    const TAG: u8 = 0x11;
    const NAME: &'static str = "part";
    type Key = PartId;
    type State = Part;
}

/// That parts are there, and whose: announced as it is.
#[derive(Debug)]
pub struct PartFactRow;
impl Row for PartFactRow {
    const TAG: u8 = 0x12;
    const NAME: &'static str = "part fact";
    type Key = PartId;
    type State = PartState;
}

/// Who votes for which part.
#[derive(Debug)]
pub struct VoteRow;
impl Row for VoteRow {
    const TAG: u8 = 0x13;
    const NAME: &'static str = "vote";
    type Key = Both<PartId, UserId>;
    type State = Vote;
}

/// How many votes a part has, by who counts them.
#[derive(Debug)]
pub struct VoteTallyRow;
impl Row for VoteTallyRow {
    const TAG: u8 = 0x14;
    const NAME: &'static str = "vote tally";
    type Key = Both<VoteGroup, ReplicaId>;
    type State = Tally;
}

impl Counted for VoteRow {
    type Group = VoteGroup;
    type Tallies = VoteTallyRow;
    /// Nobody else shows votes, but siblings do.
    fn announced_on(_group: &VoteGroup) -> Option<&'static str> {
        Some(VoteTallyFact::TOPIC)
    }

    fn count(view: &mut View<'_>, group: &VoteGroup, owner: ReplicaId) -> Result<u64, ViewError> {
        let (mut scan, mut count) = (Scan::prefix(&key::index(Self::TAG, group)), 0_u64);
        let counted = Contribution { group: *group, owner };
        loop {
            let page = view.scan(&scan)?;
            for (key, vote) in view.decoded::<Self>(&page)? {
                debug_assert_eq!(VoteGroup(key.0), *group, "the scan is of one part");
                count += u64::from(vote.contributions().contains(&counted));
            }
            match page.last() {
                Some((last, _)) if page.len() >= SCAN_PAIRS_MAX => scan = scan.after(last),
                _ => return Ok(count),
            }
        }
    }
}

/// How many comments a part or a paragraph has, by who counts them at Comments.
#[derive(Debug)]
pub struct CommentTallyRow;
impl Row for CommentTallyRow {
    const TAG: u8 = 0x15;
    const NAME: &'static str = "comment tally";
    type Key = TallyKey;
    type State = Tally;
}

/// Who people are.
#[derive(Debug)]
pub struct ProfileRow;
impl Row for ProfileRow {
    const TAG: u8 = 0x16;
    const NAME: &'static str = "profile";
    type Key = UserId;
    type State = Profile;
}

/// What verifies tokens.
#[derive(Debug)]
pub struct SigningKeyRow;
impl Row for SigningKeyRow {
    const TAG: u8 = 0x17;
    const NAME: &'static str = "signing key";
    type Key = KeyId;
    type State = SigningKeyState;
}

/// How often a part was read, by the replica that was asked.
#[derive(Debug)]
pub struct ReadsRow;
impl Row for ReadsRow {
    const TAG: u8 = 0x18;
    const NAME: &'static str = "reads";
    type Key = Both<PartId, ReplicaId>;
    type State = Tally;
}

/// How many different people read a part.
#[derive(Debug)]
pub struct ReadersRow;
impl Row for ReadersRow {
    const TAG: u8 = 0x19;
    const NAME: &'static str = "readers";
    type Key = PartId;
    type State = Readers;
}

/// In which order the parts of a story are read.
#[derive(Debug)]
pub struct PartsOrderRow;
impl Row for PartsOrderRow {
    const TAG: u8 = 0x1a;
    const NAME: &'static str = "parts order";
    type Key = StoryId;
    type State = PartsOrder;
}

/// What is hashed with every reader.
#[derive(Debug)]
pub struct ReadersSecretRow;
impl Row for ReadersSecretRow {
    const TAG: u8 = 0x1b;
    const NAME: &'static str = "readers secret";
    type Key = ();
    type State = ReadersSecret;
}

const STORIES: u8 = 0x20;
const PARTS: u8 = 0x21;
const PARTS_COUNT: u8 = 0x22;

/// An entry of the list of all stories.
pub fn story(at: Stamp, id: StoryId) -> Vec<u8> {
    key::index(STORIES, &(at, id))
}

/// What the entries of [`story()`] begin with.
pub fn stories_prefix() -> Vec<u8> {
    vec![STORIES]
}

/// The story that an entry of [`story()`] is about.
pub fn listed_story(entry: &[u8]) -> Option<StoryId> {
    key::read_index::<(Stamp, StoryId)>(STORIES, entry).map(|(_, id)| id)
}

/// An entry of a story's parts.
pub fn part(story: StoryId, at: Stamp, id: PartId) -> Vec<u8> {
    key::index(PARTS, &(story, at, id))
}

/// What the entries of [`part()`] for a story begin with.
pub fn parts_prefix(story: StoryId) -> Vec<u8> {
    key::index(PARTS, &story)
}

/// The part that an entry of [`part()`] is about, and when it was created.
pub fn listed_part(entry: &[u8]) -> Option<(PartId, Stamp)> {
    key::read_index::<(StoryId, Stamp, PartId)>(PARTS, entry).map(|(_, at, id)| (id, at))
}

/// Where it is kept how many parts a story has: a write cannot scan.
pub fn parts_count(story: StoryId) -> Vec<u8> {
    key::index(PARTS_COUNT, &story)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Hlc, Lane};

    #[test]
    fn entries_sort_by_stamp_and_name_what_they_are_about() {
        let at = |ms| Stamp { hlc: Hlc::new(ms, 0), replica: ReplicaId::from_u128(9), lane: Lane::default() };
        let (old, new) = (StoryId::from_bytes([9; 16]), StoryId::from_bytes([2; 16]));
        assert!(story(at(1), old) < story(at(2), new));
        assert!(story(at(1), old).starts_with(&stories_prefix()));
        assert_eq!(listed_story(&story(at(1), old)), Some(old));
        let (first, second) = (PartId::from_bytes([9; 16]), PartId::from_bytes([2; 16]));
        assert!(part(old, at(1), first) < part(old, at(2), second));
        assert!(part(old, at(1), first).starts_with(&parts_prefix(old)));
        assert_eq!(listed_part(&part(old, at(1), first)), Some((first, at(1))));
        assert_eq!(listed_part(&story(at(1), old)), None);
    }
}
