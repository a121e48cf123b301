//! What is shown of stories: lists of them, and one with its parts.

use crate::parts_order::PartsOrder;
use crate::rows::{
    self, CommentTallyRow, PartFactRow, PartsOrderRow, ProfileRow, ReadersRow, ReadsRow, StoryRow,
    VoteTallyRow,
};
use crate::vote::VoteGroup;
use api::Problem;
use api::views::{Author, Count};
use bytes::Bytes;
use lattice::Stamp;
use messages::{Group, PartId, StoryId};
use queue::rfc3339;
use serde::Serialize;
use std::collections::BTreeMap;
use store::engine::Pair;
use store::{Reader, Row, Scan, StoreError, key};
use utoipa::ToSchema;

/// A story in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StorySummary {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// Whose it is.
    pub author: Author,
    /// When it was begun.
    pub created_at: String,
}

/// A page of stories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StoryPage {
    /// The stories, newest first.
    pub items: Vec<StorySummary>,
    /// Where the next page begins; null behind the last one.
    pub next: Option<String>,
}

/// A story with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StoryView {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// Whose it is.
    pub author: Author,
    /// When it was begun.
    pub created_at: String,
    /// Its parts, in the order in which they are to be read: that in which they were published, but for those that the
    /// author moved.
    pub parts: Vec<PartSummary>,
}

/// A part in its story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartSummary {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// When it was published.
    pub created_at: String,
    /// How it is doing.
    pub counts: PartFigures,
}

/// What is counted of a part, with the tallies behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartFigures {
    /// How often it was read: statistics, not exact.
    pub reads: u64,
    /// How many different people read it: an estimate with a standard error of 2.3 %, all but exact up to 384, and
    /// never above `reads`. Who reads without saying who they are is in `reads` only.
    pub readers: u64,
    /// How many people vote for it.
    pub votes: Count,
    /// How many comments it has, replies and those on its paragraphs included.
    pub comments: Count,
}

/// What is counted of a part.
pub(crate) async fn figures(reader: &Reader, part: PartId) -> Result<PartFigures, StoreError> {
    let reads = reads(reader, part).await?;
    let readers = reader.get::<ReadersRow>(&part).await?.unwrap_or_default().seen.estimate();
    Ok(PartFigures {
        reads,
        // Half of all estimates are too high, and nobody reads without a read.
        readers: readers.min(reads),
        votes: votes(reader, part).await?,
        comments: comments(reader, Group::Part(part)).await?,
    })
}

/// How often a part was read.
pub(crate) async fn reads(reader: &Reader, part: PartId) -> Result<u64, StoreError> {
    let tallies = reader.rows::<ReadsRow>(&Scan::prefix(&key::index(ReadsRow::TAG, &part))).await?;
    Ok(lattice::total(tallies.iter().map(|(_, tally)| tally)))
}

/// How many votes a part has, from all tallies that this replica holds.
pub(crate) async fn votes(reader: &Reader, part: PartId) -> Result<Count, StoreError> {
    let group = VoteGroup(part);
    let tallies = reader.rows::<VoteTallyRow>(&Scan::prefix(&key::index(VoteTallyRow::TAG, &group))).await?;
    Ok(Count::of(group.to_string(), tallies.into_iter().map(|(key, tally)| (key.1, tally))))
}

/// How many comments a group has, from all tallies that this replica was told.
pub(crate) async fn comments(reader: &Reader, group: Group) -> Result<Count, StoreError> {
    let scan = Scan::prefix(&key::index(CommentTallyRow::TAG, &group));
    let tallies = reader.rows::<CommentTallyRow>(&scan).await?;
    Ok(Count::of(group, tallies.into_iter().map(|(key, tally)| (key.replica, tally))))
}

/// One story with its parts, or 404.
pub(crate) async fn story(reader: &Reader, id: StoryId) -> Result<StoryView, Problem> {
    let summary = summaries(reader, &[id]).await?.pop().ok_or_else(|| Problem::not_found("story"))?;
    let mut parts = Vec::new();
    for ListedPart { part, at, title, .. } in listed_parts(reader, id).await? {
        parts.push(PartSummary {
            id: part.to_string(),
            title: String::from_utf8_lossy(&title).into_owned(),
            created_at: rfc3339::format(at.hlc.ms()),
            counts: figures(reader, part).await?,
        });
    }
    let StorySummary { id, title, author, created_at } = summary;
    Ok(StoryView { id, title, author, created_at, parts })
}

/// A part as its story lists it.
#[derive(Debug)]
pub(crate) struct ListedPart {
    pub(crate) part: PartId,
    /// When it was created.
    pub(crate) at: Stamp,
    pub(crate) title: Bytes,
    /// Whether it never had a slot.
    pub(crate) never_placed: bool,
}

/// The parts of a story in the order in which they are read: one row and one scan, of at most [`crate::PARTS_MAX`].
async fn listed_parts(reader: &Reader, story: StoryId) -> Result<Vec<ListedPart>, StoreError> {
    let order = reader.get::<PartsOrderRow>(&story).await?.unwrap_or_default();
    listed_in(reader, story, &order).await
}

/// The same, where the order was read already.
pub(crate) async fn listed_in(
    reader: &Reader,
    story: StoryId,
    order: &PartsOrder,
) -> Result<Vec<ListedPart>, StoreError> {
    let slots: BTreeMap<_, _> = order.parts.iter().zip(0_usize..).collect();
    let listed = |(entry, title): Pair| {
        let (part, at) = rows::listed_part(&entry)?;
        Some(ListedPart { part, at, title, never_placed: order.never_placed(part) })
    };
    let entries = reader.scan(&Scan::prefix(&rows::parts_prefix(story))).await?;
    let mut parts: Vec<_> = entries.into_iter().filter_map(listed).collect();
    // What has no slot is last, and stays in the order of the entries.
    parts.sort_by_key(|listed| slots.get(&listed.part).copied().unwrap_or(usize::MAX));
    Ok(parts)
}

/// The parts of the same story as this one that never had a slot, in the order in which they are read.
pub(crate) async fn never_placed(reader: &Reader, part: PartId) -> Result<Vec<PartId>, StoreError> {
    let fact = reader.get::<PartFactRow>(&part).await?.unwrap_or_default();
    let Some(place) = fact.place.get() else { return Ok(Vec::new()) };
    let listed = listed_parts(reader, place.story).await?;
    Ok(listed.into_iter().filter(|listed| listed.never_placed).map(|listed| listed.part).collect())
}

/// A page of all stories, newest first, and the key behind which the next one begins.
pub(crate) async fn stories(
    reader: &Reader,
    after: Option<&[u8]>,
    items_max: usize,
) -> Result<(Vec<StorySummary>, Option<Vec<u8>>), StoreError> {
    let mut scan = Scan::prefix(&rows::stories_prefix()).reversed();
    if let Some(after) = after {
        scan = scan.after(after);
    }
    // One more than is shown tells whether there is a next page.
    let mut entries = reader.scan(&scan.limit(items_max + 1)).await?;
    let more = entries.len() > items_max;
    entries.truncate(items_max);
    let next = entries.last().filter(|_| more).map(|(key, _)| key.to_vec());
    let ids: Vec<_> = entries.iter().filter_map(|(key, _)| rows::listed_story(key)).collect();
    Ok((summaries(reader, &ids).await?, next))
}

async fn summaries(reader: &Reader, ids: &[StoryId]) -> Result<Vec<StorySummary>, StoreError> {
    let mut known = Vec::with_capacity(ids.len());
    for (id, story) in ids.iter().zip(reader.get_many::<StoryRow>(ids).await?) {
        let story = story.unwrap_or_default();
        if let Some(creation) = story.created.get() {
            known.push((id.to_string(), story.title().to_owned(), creation.author, creation.at.hlc.ms()));
        }
    }
    let authors: Vec<_> = known.iter().map(|(_, _, author, _)| *author).collect();
    let profiles = reader.get_many::<ProfileRow>(&authors).await?;
    let shown = known.into_iter().zip(profiles).map(|((id, title, author, at_ms), profile)| StorySummary {
        id,
        title,
        author: Author::of(author, profile.as_ref()),
        created_at: rfc3339::format(at_ms),
    });
    Ok(shown.collect())
}
