//! What changes a story, a part, a vote: each a pure function of the rows it reads. Repeating one changes nothing.

use crate::both::Both;
use crate::edit::Edit;
use crate::part::{Part, PartCreation};
use crate::place;
use crate::readers::{Reader, Readers, ReadersSecret};
use crate::rows::{self, PartFactRow, PartRow, ReadersRow, ReadersSecretRow, ReadsRow, StoryRow, VoteRow};
use crate::siblings::{ReadsFact, StoryFact, StoryPartFact, VoteFact};
use crate::story::{Story, StoryCreation};
use crate::vote::{Ballot, Vote};
use crate::{PARTS_MAX, first};
use api::Problem;
use api::idempotency::IDEMPOTENCY_HEADER;
use lattice::{Epoch, Life, Lww, Min, Tally};
use messages::{Fact, PartFact, PartId, StoryId, UserId};
use store::{Abort, Joined, View, ViewError, join_counted};

/// A story to be begun, checked already.
#[derive(Debug, Clone)]
pub(crate) struct NewStory {
    pub(crate) id: StoryId,
    pub(crate) author: UserId,
    pub(crate) title: String,
    /// See [`StoryCreation::request`].
    pub(crate) request: String,
}

/// A part to be published, checked already.
#[derive(Debug, Clone)]
pub(crate) struct NewPart {
    pub(crate) id: PartId,
    pub(crate) story: StoryId,
    pub(crate) author: UserId,
    pub(crate) title: String,
    pub(crate) paragraphs: Vec<String>,
    /// See [`PartCreation::request`].
    pub(crate) request: String,
}

pub(crate) type Written = Result<(), Abort<Problem>>;

pub(crate) fn refuse<T>(problem: Problem) -> Result<T, Abort<Problem>> {
    Err(Abort::Refused(problem))
}

fn used_for_another<T>(what: &str) -> Result<T, Abort<Problem>> {
    refuse(key_used_for_another(what))
}

/// A known idempotency key came with another request.
pub(crate) fn key_used_for_another(what: &str) -> Problem {
    Problem::conflict(format!("this Idempotency-Key was used for another {what}"))
        .with_field(IDEMPOTENCY_HEADER)
}

pub(crate) fn gone() -> Problem {
    Problem::gone("the part was taken down by its author")
}

/// Joins what was accepted here into a story, to be told to siblings.
fn join_story(view: &mut View<'_>, id: StoryId, delta: Story) -> Result<(), ViewError> {
    if join_story_rows(view, id, delta)?.grew {
        view.mark::<StoryRow>(StoryFact::TOPIC, &id)?;
    }
    Ok(())
}

/// Joins a delta into a story, with its index row.
pub(crate) fn join_story_rows(
    view: &mut View<'_>,
    id: StoryId,
    delta: Story,
) -> Result<Joined<Story>, ViewError> {
    let joined = view.join::<StoryRow>(&id, delta)?;
    let (before, after) = (joined.before.index_row(id), joined.after.index_row(id));
    if before != after {
        if let Some(key) = before {
            view.remove(key);
        }
        if let Some(key) = after {
            view.set(key, Vec::new());
        }
    }
    Ok(joined)
}

/// Joins what was accepted here into a part, to be told to siblings, and as far as they need it to others.
fn join_part(view: &mut View<'_>, id: PartId, delta: Part) -> Result<(), ViewError> {
    let joined = join_part_rows(view, id, delta)?;
    if joined.grew {
        view.mark::<PartRow>(StoryPartFact::TOPIC, &id)?;
    }
    if joined.before.fact() != joined.after.fact() {
        view.mark::<PartFactRow>(PartFact::TOPIC, &id)?;
    }
    Ok(())
}

/// Takes a part down, as somebody who knows tells.
pub(crate) fn end_part(view: &mut View<'_>, id: PartId) -> Result<(), ViewError> {
    join_part(view, id, Part { life: Life::Gone, ..Part::default() })
}

/// Joins a delta into a part, with its index row and with what others are told of it.
pub(crate) fn join_part_rows(
    view: &mut View<'_>,
    id: PartId,
    delta: Part,
) -> Result<Joined<Part>, ViewError> {
    let joined = view.join::<PartRow>(&id, delta)?;
    let (before, after) = (joined.before.index_row(id), joined.after.index_row(id));
    if before != after {
        if let Some((story, key, _)) = before {
            view.remove(key);
            let count = parts_count(view, story)?;
            set_parts_count(view, story, count.saturating_sub(1));
        }
        if let Some((story, key, title)) = after {
            view.set(key, title);
            let count = parts_count(view, story)?;
            set_parts_count(view, story, count.saturating_add(1));
        }
    }
    view.join::<PartFactRow>(&id, joined.after.fact())?;
    Ok(joined)
}

fn parts_count(view: &mut View<'_>, story: StoryId) -> Result<u64, ViewError> {
    let bytes = view.bytes(&rows::parts_count(story))?;
    Ok(bytes.and_then(|bytes| bytes.first_chunk().copied()).map_or(0, u64::from_be_bytes))
}

/// None is no row: a replica that hears of a part only when it is gone has never counted it, and keeps the same rows.
fn set_parts_count(view: &mut View<'_>, story: StoryId, count: u64) {
    match count {
        0 => view.remove(rows::parts_count(story)),
        _ => view.set(rows::parts_count(story), count.to_be_bytes().to_vec()),
    }
}

/// Begins a story, once.
pub(crate) fn create_story(view: &mut View<'_>, new: &NewStory) -> Written {
    let stored = view.get::<StoryRow>(&new.id)?.unwrap_or_default();
    if let Some(creation) = stored.created.get() {
        return if creation.request == new.request { Ok(()) } else { used_for_another("story") };
    }
    let creation = StoryCreation {
        at: view.mint(stored.title.stamp()),
        author: new.author,
        request: new.request.clone(),
    };
    let story = Story { created: Min::of(creation), title: first(new.title.clone()), ..Story::default() };
    Ok(join_story(view, new.id, story)?)
}

/// Publishes a part, once. A retry passes although the part was taken down since: it was published.
pub(crate) fn create_part(view: &mut View<'_>, new: &NewPart) -> Written {
    let story = view.get::<StoryRow>(&new.story)?.unwrap_or_default();
    let Some(begun) = story.created.get() else { return refuse(Problem::not_found("story")) };
    if begun.author != new.author {
        return refuse(Problem::forbidden("only its author may add parts to a story"));
    }
    let stored = view.get::<PartRow>(&new.id)?.unwrap_or_default();
    if let Some(creation) = stored.created.get() {
        return if creation.request == new.request { Ok(()) } else { used_for_another("part") };
    }
    if stored.life.is_gone() {
        return refuse(gone());
    }
    if parts_count(view, new.story)? >= PARTS_MAX as u64 {
        let full = format!("a story has at most {PARTS_MAX} parts: begin another one");
        return refuse(Problem::conflict(full).with_limit(PARTS_MAX as u64));
    }
    let creation = PartCreation {
        at: view.mint(stored.newest_stamp()),
        story: new.story,
        author: new.author,
        request: new.request.clone(),
    };
    let part =
        Part::published(new.id, creation, new.title.clone(), &new.paragraphs).map_err(Abort::Refused)?;
    Ok(join_part(view, new.id, part)?)
}

/// A part that was published, if it is this user's, or 403 or 404. It may be gone.
fn owned(view: &mut View<'_>, id: PartId, by: UserId) -> Result<Part, Abort<Problem>> {
    let stored = view.get::<PartRow>(&id)?.unwrap_or_default();
    match stored.created.get() {
        None => refuse(Problem::not_found("part")),
        Some(creation) if creation.author != by => {
            refuse(Problem::forbidden("only its author may change a part"))
        }
        Some(_) => Ok(stored),
    }
}

/// Makes a part as it is to be, once where the edit has an idempotency key. A retry passes although the part was taken
/// down since.
pub(crate) fn edit_part(view: &mut View<'_>, edit: &Edit) -> Written {
    let stored = owned(view, edit.part, edit.by)?;
    if edit.was_made(&stored).map_err(Abort::Refused)? {
        return Ok(());
    }
    if stored.life.is_gone() {
        return refuse(gone());
    }
    let at = view.mint(stored.newest_stamp());
    let delta = edit.delta(&stored, at).map_err(Abort::Refused)?;
    Ok(join_part(view, edit.part, delta)?)
}

/// Takes a part down, for good.
pub(crate) fn delete_part(view: &mut View<'_>, id: PartId, by: UserId) -> Written {
    let stored = owned(view, id, by)?;
    join_part(view, id, Part { life: Life::Gone, ..Part::default() })?;
    if let Some(creation) = stored.created.get() {
        place::take_out(view, creation.story, id)?;
    }
    Ok(())
}

/// Passes where a part is there; 404 or 410 otherwise. Does not read its text.
fn there(view: &mut View<'_>, id: PartId) -> Written {
    let fact = view.get::<PartFactRow>(&id)?.unwrap_or_default();
    match fact.place.get() {
        None => refuse(Problem::not_found("part")),
        Some(_) if fact.life.is_gone() => refuse(gone()),
        Some(_) => Ok(()),
    }
}

/// Votes for a part, or takes the vote back.
pub(crate) fn set_vote(view: &mut View<'_>, part: PartId, user: UserId, yes: bool) -> Written {
    there(view, part)?;
    let key = Both(part, user);
    let stored = view.get::<VoteRow>(&key)?.unwrap_or_default();
    if stored.says_yes() == yes {
        return Ok(());
    }
    let at = view.mint(stored.ballot.stamp());
    let ballot = Vote { ballot: Lww::new(at, Ballot { part, yes }), ..Vote::default() };
    if join_counted::<VoteRow>(view, &key, ballot)?.grew {
        view.mark::<VoteRow>(VoteFact::TOPIC, &key)?;
    }
    Ok(())
}

/// Counts one more read, and its reader where they say who they are. A read has no identity: a retry is another one, and
/// a power cut may forget some. A reader is counted once. `random` becomes the secret where there is none yet.
pub(crate) fn count_read(
    view: &mut View<'_>,
    part: PartId,
    reader: Option<&Reader>,
    random: u128,
) -> Written {
    there(view, part)?;
    let replica = view.replica();
    let opened = Tally::opened(Epoch { generation: 0, owner: replica });
    let key = Both(part, replica);
    let mut tally = view.get::<ReadsRow>(&key)?.unwrap_or(opened);
    view.join::<ReadsRow>(&key, tally.added_one())?;
    view.mark::<ReadsRow>(ReadsFact::TOPIC, &key)?;
    if let Some(reader) = reader {
        let secret = match view.get::<ReadersSecretRow>(&())? {
            Some(secret) => secret,
            None => view.join::<ReadersSecretRow>(&(), ReadersSecret::of(random))?.after,
        };
        // Mostly they are known, or fall where a greater rank is: then nothing is written.
        view.join::<ReadersRow>(&part, Readers::of(&secret, part, reader))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Hlc, Lane, ReplicaId, Stamp};
    use messages::PartState;
    use std::convert::Infallible;
    use std::sync::Arc;
    use store::{Memory, Row, Scan, SeededWorld, Setup, Store};

    fn part() -> Part {
        let at = Stamp { hlc: Hlc::new(7, 0), replica: ReplicaId::from_u128(9), lane: Lane::default() };
        let creation = PartCreation {
            at,
            story: StoryId::from_bytes([1; 16]),
            author: UserId::from_bytes([2; 16]),
            request: "5".repeat(32),
        };
        Part { created: Min::of(creation), title: first("Part 1".to_owned()), ..Part::default() }
    }

    /// All rows of a replica that heard these states of one part.
    async fn rows_after(states: Vec<Part>) -> Vec<store::engine::Pair> {
        let world = Arc::new(SeededWorld::new(1, 1_700_000_000_000));
        let store = Store::open(Memory::new(), world, &Setup::of(crate::NAME)).unwrap();
        for state in states {
            let heard = store.write(move |view| {
                join_part_rows(view, PartId::from_bytes([3; 16]), state.clone())?;
                Ok::<_, Abort<Infallible>>(())
            });
            heard.await.unwrap();
        }
        let reader = store.reader().unwrap();
        let mut rows = Vec::new();
        for tag in PartRow::TAG..0x30 {
            rows.extend(reader.scan(&Scan::prefix(&[tag])).await.unwrap());
        }
        rows
    }

    /// It was taken down, its replica was restored to before that, and Comments tells.
    #[tokio::test]
    async fn a_part_that_others_know_to_be_gone_is_gone() {
        let world = Arc::new(SeededWorld::new(1, 1_700_000_000_000));
        let store = Store::open(Memory::new(), world, &Setup::of(crate::NAME)).unwrap();
        let id = PartId::from_bytes([3; 16]);
        let gone = PartState { life: Life::Gone, ..PartState::default() };
        let heard = store.write(move |view| {
            join_part(view, id, part())?;
            crate::siblings::hear_part_fact(view, &id, gone.clone())?;
            Ok::<_, Abort<Infallible>>(())
        });
        heard.await.unwrap();
        let stored = store.reader().unwrap().get::<PartRow>(&id).await.unwrap().unwrap();
        assert!(stored.life.is_gone() && stored.index_row(id).is_none(), "{stored:?}");
        assert_eq!(store.marks(StoryPartFact::TOPIC, 10).unwrap().len(), 1, "and siblings hear of it");
    }

    /// The simulator's seed 55: a lost replica came back, and heard of a part only when it was gone.
    #[tokio::test]
    async fn a_part_that_is_gone_leaves_the_same_rows_to_whoever_never_saw_it() {
        let there = part();
        let gone = Part { life: Life::Gone, title: Lww::default(), ..there.clone() };
        let seen = rows_after(vec![there, gone.clone()]).await;
        assert_eq!(seen, rows_after(vec![gone]).await);
    }
}
