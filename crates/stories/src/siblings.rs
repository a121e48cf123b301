//! What replicas of Stories tell each other, beside what they tell everybody.
//!
//! A sibling keeps the same rows, so what it hears it joins as if it had been written here: with index rows, and with
//! the tallies that *this* replica owns. The tallies of others it hears from their owners.
//!
//! How many different people read a part is **not** among it. That estimate is made of hashes with a secret that no row
//! of a message may show, so each site has a secret and an estimate of its own: somebody who reads at two sites is a
//! reader at both. The reads, which need no secret, are told.

use crate::both::Both;
use crate::part::Part;
use crate::parts_order::PartsOrder;
use crate::rows::{PartFactRow, VoteRow};
use crate::story::Story;
use crate::vote::{Vote, VoteGroup};
use crate::write;
use lattice::{ReplicaId, Stamp, Tally};
use messages::{Fact, PartId, PartState, StoryId, UserId};
use store::{Heard, View, ViewError, join_counted};

/// What only siblings hear: [`store::Setup::muting`] is given these at a site that has none.
pub const TOPICS: [&str; 6] = [
    StoryFact::TOPIC,
    StoryPartFact::TOPIC,
    VoteFact::TOPIC,
    VoteTallyFact::TOPIC,
    ReadsFact::TOPIC,
    PartsOrderFact::TOPIC,
];

/// About so many bytes of paragraphs go into a piece of a part that is too large for a message: one paragraph more may
/// go in, which is at most another 80 KB.
const PIECE_BYTES_MAX: usize = queue::ENVELOPE_BYTES_MAX / 2;

/// [`Story`]s by id.
#[derive(Debug)]
pub struct StoryFact;

impl Fact for StoryFact {
    const TOPIC: &'static str = "stories";
    const TYPE: &'static str = "antiphon.stories.story.v1";
    type Key = StoryId;
    type State = Story;

    fn newest_stamp(state: &Story) -> Option<Stamp> {
        state.newest_stamp()
    }
}

/// [`Part`]s by id, text and all. What others need of them is a [`messages::PartFact`].
#[derive(Debug)]
pub struct StoryPartFact;

impl Fact for StoryPartFact {
    const TOPIC: &'static str = "story-parts";
    const TYPE: &'static str = "antiphon.stories.story-part.v1";
    type Key = PartId;
    type State = Part;

    fn newest_stamp(state: &Part) -> Option<Stamp> {
        state.newest_stamp()
    }

    fn pieces(state: Part) -> Vec<Part> {
        state.pieces(PIECE_BYTES_MAX)
    }
}

/// [`Vote`]s by part and user.
#[derive(Debug)]
pub struct VoteFact;

impl Fact for VoteFact {
    const TOPIC: &'static str = "votes";
    const TYPE: &'static str = "antiphon.stories.vote.v1";
    type Key = Both<PartId, UserId>;
    type State = Vote;

    fn newest_stamp(state: &Vote) -> Option<Stamp> {
        state.ballot.stamp()
    }
}

/// [`Tally`]s of votes by part and replica.
#[derive(Debug)]
pub struct VoteTallyFact;

impl Fact for VoteTallyFact {
    const TOPIC: &'static str = "vote-tallies";
    const TYPE: &'static str = "antiphon.stories.vote-tally.v1";
    type Key = Both<VoteGroup, ReplicaId>;
    type State = Tally;

    fn newest_stamp(_state: &Tally) -> Option<Stamp> {
        None
    }
}

/// How often parts were read, by part and replica: statistics.
#[derive(Debug)]
pub struct ReadsFact;

impl Fact for ReadsFact {
    const TOPIC: &'static str = "reads";
    const TYPE: &'static str = "antiphon.stories.reads.v1";
    type Key = Both<PartId, ReplicaId>;
    type State = Tally;

    fn newest_stamp(_state: &Tally) -> Option<Stamp> {
        None
    }
}

/// [`PartsOrder`]s by story.
#[derive(Debug)]
pub struct PartsOrderFact;

impl Fact for PartsOrderFact {
    const TOPIC: &'static str = "parts-orders";
    const TYPE: &'static str = "antiphon.stories.parts-order.v1";
    type Key = StoryId;
    type State = PartsOrder;

    fn newest_stamp(state: &PartsOrder) -> Option<Stamp> {
        state.parts.newest_stamp()
    }

    fn pieces(state: PartsOrder) -> Vec<PartsOrder> {
        state.pieces()
    }
}

/// Joins a sibling's story.
pub(crate) fn hear_story(view: &mut View<'_>, id: &StoryId, state: Story) -> Result<bool, ViewError> {
    Ok(write::join_story_rows(view, *id, state)?.grew)
}

/// Joins a sibling's part.
pub(crate) fn hear_part(view: &mut View<'_>, id: &PartId, state: Part) -> Result<bool, ViewError> {
    Ok(write::join_part_rows(view, *id, state)?.grew)
}

/// Joins what others know of a part. That it was taken down they may know better: a replica that was restored has forgotten
/// it, and who comments has heard of it.
pub(crate) fn hear_part_fact(view: &mut View<'_>, id: &PartId, state: PartState) -> Result<bool, ViewError> {
    let is_gone = state.life.is_gone();
    let joined = view.join::<PartFactRow>(id, state)?;
    if joined.grew && is_gone {
        write::end_part(view, *id)?;
    }
    Ok(joined.grew)
}

/// Joins a vote that a sibling took.
pub(crate) fn hear_vote(
    view: &mut View<'_>,
    key: &Both<PartId, UserId>,
    state: Vote,
) -> Result<bool, ViewError> {
    Ok(join_counted::<VoteRow>(view, key, state)?.grew)
}

/// Hears a tally of votes: one that a sibling writes is joined, one that this replica writes never is. A replica that has
/// lost data, or was adopted, learns it from here.
pub(crate) fn hear_tally(
    view: &mut View<'_>,
    key: &Both<VoteGroup, ReplicaId>,
    tally: Tally,
) -> Result<bool, ViewError> {
    let heard = store::hear_tally::<VoteRow>(view, &key.0, key.1, tally)?;
    Ok(matches!(heard, Heard::News | Heard::Replaced))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::Epoch;
    use messages::{DeltaGroup, delta_group};
    use serde_json::{Value, json};

    fn announced<F: Fact>(states: Vec<F::State>, key: impl Fn(u8) -> F::Key) -> Value {
        let group: DeltaGroup<F> = (1..).zip(states).map(|(n, state)| (key(n), state)).collect();
        let data = delta_group::encode::<F>(&group).unwrap();
        let read = delta_group::decode::<F>(&data).unwrap();
        assert!(read.refused.is_empty() && read.group == group, "{data}");
        json!({ "topic": F::TOPIC, "type": F::TYPE, "data": data })
    }

    fn states<S: serde::de::DeserializeOwned>(golden: &str) -> Vec<S> {
        serde_json::from_str(golden).unwrap()
    }

    /// The bytes that the first version with siblings sent. The states are those of the rows' own golden files.
    #[test]
    fn golden_bytes() {
        let part = |n| PartId::from_bytes([n; 16]);
        let story = |n| StoryId::from_bytes([n; 16]);
        let replica = ReplicaId::from_u128(7);
        let tally = Tally { epoch: Epoch { generation: 0, owner: replica }, added: 3, removed: 1 };
        let vote = |n| Both(part(n), UserId::from_bytes([0xee; 16]));
        let all = [
            announced::<StoryFact>(states(include_str!("../tests/golden/stories.json")), story),
            announced::<StoryPartFact>(states(include_str!("../tests/golden/parts.json")), part),
            announced::<VoteFact>(states(include_str!("../tests/golden/votes.json")), vote),
            announced::<VoteTallyFact>(vec![tally], |n| Both(VoteGroup(part(n)), replica)),
            announced::<ReadsFact>(vec![tally], |n| Both(part(n), replica)),
            announced::<PartsOrderFact>(states(include_str!("../tests/golden/parts_orders.json")), story),
        ];
        let written = serde_json::to_string_pretty(&all).unwrap() + "\n";
        assert_eq!(written, include_str!("../tests/golden/siblings.json"));
    }
}
