//! What is shown of a part: its text, its author, its counts with the tallies behind them, its neighbours.

use crate::both::Both;
use crate::part::Part;
use crate::read::{PartFigures, comments, figures, listed_in, votes};
use crate::rows::{self, CommentTallyRow, PartRow, PartsOrderRow, ProfileRow, StoryRow, VoteRow};
use crate::write::gone;
use api::Problem;
use api::views::{Author, Count};
use lattice::{ReplicaId, Stamp, Tally};
use messages::{Group, ParagraphId, PartId, StoryId, UserId};
use queue::rfc3339;
use serde::Serialize;
use std::collections::BTreeMap;
use store::engine::Pair;
use store::{Reader, Row, SCAN_PAIRS_MAX, Scan, StoreError};
use utoipa::ToSchema;

/// A part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartView {
    /// Its id.
    pub id: String,
    /// The story it belongs to.
    pub story: StoryReference,
    /// What it is called.
    pub title: String,
    /// Whose it is.
    pub author: Author,
    /// When it was published.
    pub created_at: String,
    /// What it says.
    pub paragraphs: Vec<ParagraphView>,
    /// How it is doing.
    pub counts: PartFigures,
    /// The part that is read before it; null before the first one, and where it was taken down.
    pub previous: Option<String>,
    /// The part that is read after it; null behind the last one, and where it was taken down.
    pub next: Option<String>,
    /// Whether the caller votes for it; null without a token.
    pub voted: Option<bool>,
    /// Whether it was taken down: then title and paragraphs are empty. Only the retry of a request that was made before
    /// is told so; everybody else gets 410.
    pub gone: bool,
}

/// The story of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StoryReference {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
}

/// A paragraph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ParagraphView {
    /// Its id, which it keeps when it is edited or moved.
    pub id: String,
    /// What it says.
    pub text: String,
    /// How many comments it has.
    pub comments: Count,
}

/// What the vote of somebody is now, and the count that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Voted {
    /// Whether they vote for it.
    pub voted: bool,
    /// How many people do.
    pub votes: Count,
}

/// One part, 404 or 410, as `caller` sees it.
pub(crate) async fn part(reader: &Reader, id: PartId, caller: Option<UserId>) -> Result<PartView, Problem> {
    let part = part_even_gone(reader, id, caller).await?;
    if part.gone { Err(gone()) } else { Ok(part) }
}

/// One part or 404, as `caller` sees it who has changed it; perhaps it was taken down since.
pub(crate) async fn part_even_gone(
    reader: &Reader,
    id: PartId,
    caller: Option<UserId>,
) -> Result<PartView, Problem> {
    let part = reader.get::<PartRow>(&id).await?.unwrap_or_default();
    let Some(creation) = part.created.get() else { return Err(Problem::not_found("part")) };
    let story = reader.get::<StoryRow>(&creation.story).await?.unwrap_or_default();
    let profile = reader.get::<ProfileRow>(&creation.author).await?;
    let voted = match caller {
        Some(user) => Some(reader.get::<VoteRow>(&Both(id, user)).await?.unwrap_or_default().says_yes()),
        None => None,
    };
    let (previous, next) = neighbours(reader, creation.story, creation.at, id).await?;
    Ok(PartView {
        id: id.to_string(),
        story: StoryReference { id: creation.story.to_string(), title: story.title().to_owned() },
        title: part.title().to_owned(),
        author: Author::of(creation.author, profile.as_ref()),
        created_at: rfc3339::format(creation.at.hlc.ms()),
        paragraphs: paragraphs(reader, id, &part).await?,
        counts: figures(reader, id).await?,
        previous,
        next,
        voted,
        gone: part.life.is_gone(),
    })
}

/// What somebody's vote for a part is.
pub(crate) async fn voted(reader: &Reader, part: PartId, user: UserId) -> Result<Voted, StoreError> {
    let vote = reader.get::<VoteRow>(&Both(part, user)).await?.unwrap_or_default();
    Ok(Voted { voted: vote.says_yes(), votes: votes(reader, part).await? })
}

async fn paragraphs(reader: &Reader, id: PartId, part: &Part) -> Result<Vec<ParagraphView>, StoreError> {
    let mut told = tallies_of_paragraphs(reader, id).await?;
    let mut shown = Vec::new();
    for (paragraph, text) in part.in_order() {
        let group = Group::Paragraph(id, paragraph);
        let comments = match &mut told {
            Some(told) => Count::of(group, told.remove(&paragraph).unwrap_or_default()),
            None => comments(reader, group).await?,
        };
        shown.push(ParagraphView { id: paragraph.to_string(), text: text.to_owned(), comments });
    }
    Ok(shown)
}

type Tallies = Vec<(ReplicaId, Tally)>;

/// The tallies of all paragraphs of a part in one scan; `None` where one scan does not hold them: anybody may comment
/// on paragraphs that never were.
async fn tallies_of_paragraphs(
    reader: &Reader,
    part: PartId,
) -> Result<Option<BTreeMap<ParagraphId, Tallies>>, StoreError> {
    let prefix = [&[CommentTallyRow::TAG], Group::paragraphs_prefix(part).as_slice()].concat();
    let tallies = reader.rows::<CommentTallyRow>(&Scan::prefix(&prefix)).await?;
    if tallies.len() >= SCAN_PAIRS_MAX {
        return Ok(None);
    }
    let mut by_paragraph: BTreeMap<_, Tallies> = BTreeMap::new();
    for (key, tally) in tallies {
        if let Group::Paragraph(_, paragraph) = key.group {
            by_paragraph.entry(paragraph).or_default().push((key.replica, tally));
        }
    }
    Ok(Some(by_paragraph))
}

/// The parts before and behind one in its story, which was created at a stamp.
async fn neighbours(
    reader: &Reader,
    story: StoryId,
    created: Stamp,
    id: PartId,
) -> Result<(Option<String>, Option<String>), StoreError> {
    let Some(order) = reader.get::<PartsOrderRow>(&story).await? else {
        return neighbours_by_creation(reader, story, created, id).await;
    };
    let listed = listed_in(reader, story, &order).await?;
    let Some(here) = listed.iter().position(|listed| listed.part == id) else { return Ok((None, None)) };
    let at = |place: Option<usize>| place.and_then(|place| listed.get(place)).map(|one| one.part.to_string());
    Ok((at(here.checked_sub(1)), at(here.checked_add(1))))
}

/// The same where nothing was moved, as in most stories: two entries are read, however many parts there are.
async fn neighbours_by_creation(
    reader: &Reader,
    story: StoryId,
    created: Stamp,
    id: PartId,
) -> Result<(Option<String>, Option<String>), StoreError> {
    let here = rows::part(story, created, id);
    if reader.bytes(&here).await?.is_none() {
        return Ok((None, None));
    }
    let all = || Scan::prefix(&rows::parts_prefix(story));
    let before = reader.scan(&all().reversed().after(&here).limit(1)).await?;
    let behind = reader.scan(&all().after(&here).limit(1)).await?;
    let part = |entries: &[Pair]| {
        let (entry, _) = entries.first()?;
        rows::listed_part(entry).map(|(part, _)| part.to_string())
    };
    Ok((part(&before), part(&behind)))
}
