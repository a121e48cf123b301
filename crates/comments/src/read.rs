//! What is shown: comments with their authors and counts, in pages.

use crate::comment::{Comment, Post};
use crate::rows::{self, CommentRow, ProfileRow, TallyRow};
use api::Problem;
use api::views::{Author, Count};
use messages::{CommentId, Group, PartId};
use queue::rfc3339;
use serde::Serialize;
use store::{Reader, Row, Scan, StoreError, key};
use utoipa::ToSchema;

pub mod thread;

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CommentView {
    /// Its id.
    pub id: String,
    /// The part it is on.
    pub part: String,
    /// The paragraph it is on, if on one.
    pub paragraph: Option<String>,
    /// The comment it answers, if it does.
    pub parent: Option<String>,
    /// Whose it is.
    pub author: Author,
    /// What it says; null once it is deleted, and while it is hidden.
    pub text: Option<String>,
    /// When it was posted.
    pub posted_at: String,
    /// When it was edited last; null if never.
    pub edited_at: Option<String>,
    /// It was deleted.
    pub deleted: bool,
    /// A moderator hides it.
    pub hidden: bool,
    /// How many live replies it has.
    pub replies: Count,
}

/// A page of comments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CommentPage {
    /// The comments, in the order asked for.
    pub items: Vec<CommentView>,
    /// Where the next page begins; null behind the last one.
    pub next: Option<String>,
    /// The count of the whole part; absent in lists of replies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Count>,
}

/// How many entries are looked at for one page, at most: entries that are not shown (a reply that found its parent, a
/// deleted comment without replies) make a page short, never long.
const ENTRIES_PER_ITEM_MAX: usize = 4;

/// Which comments of a list are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    /// What is counted.
    Flat,
    /// The top level: placeholders for what is gone, where something answers it; orphans until their parent comes.
    TopLevel {
        /// Of a paragraph only.
        paragraph: bool,
    },
    /// What answers a comment: placeholders as above.
    Replies,
}

/// A list in the order of its index.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) prefix: Vec<u8>,
    pub(crate) listing: Listing,
    pub(crate) newest_first: bool,
    pub(crate) items_max: usize,
    pub(crate) after: Option<Vec<u8>>,
}

/// The count of a group, from all tallies of it that this replica holds.
pub(crate) async fn count(reader: &Reader, group: Group) -> Result<Count, StoreError> {
    let scan = Scan::prefix(&key::index(TallyRow::TAG, &group));
    let tallies = reader.rows::<TallyRow>(&scan).await?;
    Ok(Count::of(group, tallies.into_iter().map(|(key, tally)| (key.replica, tally))))
}

/// The counts of every paragraph of a part that has any.
pub(crate) async fn paragraph_counts(reader: &Reader, part: PartId) -> Result<Vec<Count>, StoreError> {
    let prefix = [&[TallyRow::TAG], Group::paragraphs_prefix(part).as_slice()].concat();
    let mut counts: Vec<(Group, Vec<_>)> = Vec::new();
    for (key, tally) in reader.rows::<TallyRow>(&Scan::prefix(&prefix)).await? {
        match counts.last_mut() {
            Some((group, tallies)) if *group == key.group => tallies.push((key.replica, tally)),
            _ => counts.push((key.group, vec![(key.replica, tally)])),
        }
    }
    Ok(counts.into_iter().map(|(group, tallies)| Count::of(group, tallies)).collect())
}

/// The counts that a change of a comment may have moved.
pub(crate) async fn counts_around(reader: &Reader, comment: &Comment) -> Result<Vec<Count>, StoreError> {
    let Some(post) = comment.post.get() else { return Ok(Vec::new()) };
    let groups = [
        Some(Group::Part(post.part)),
        post.paragraph.map(|paragraph| Group::Paragraph(post.part, paragraph)),
        post.parent.map(Group::Replies),
    ];
    let mut counts = Vec::new();
    for group in groups.into_iter().flatten() {
        counts.push(count(reader, group).await?);
    }
    Ok(counts)
}

/// One comment, or 404.
pub(crate) async fn one(reader: &Reader, id: CommentId) -> Result<CommentView, Problem> {
    let comment = reader.get::<CommentRow>(&id).await?.unwrap_or_default();
    let mut shown = show(reader, vec![(id, comment)]).await?;
    shown.pop().ok_or_else(|| Problem::not_found("comment"))
}

/// A page of a list, and the key behind which the next one begins.
pub(crate) async fn page(
    reader: &Reader,
    list: &List,
) -> Result<(Vec<CommentView>, Option<Vec<u8>>), StoreError> {
    let mut scan = Scan::prefix(&list.prefix);
    if list.newest_first {
        scan = scan.reversed();
    }
    if let Some(after) = &list.after {
        scan = scan.after(after);
    }
    // One more than is shown tells whether there is a next page.
    let wanted = list.items_max.saturating_mul(ENTRIES_PER_ITEM_MAX) + 1;
    let entries = reader.scan(&scan.limit(wanted)).await?;
    let ids: Vec<_> = entries.iter().filter_map(|(key, _)| rows::indexed(key)).collect();
    let comments = reader.get_many::<CommentRow>(&ids).await?;
    let (mut shown, mut end, mut looked_at) = (Vec::new(), None, 0);
    for ((id, comment), (entry, _)) in ids.into_iter().zip(comments).zip(&entries) {
        if shown.len() == list.items_max || looked_at + 1 == wanted {
            break;
        }
        looked_at += 1;
        end = Some(entry.to_vec());
        let comment = comment.unwrap_or_default();
        if belongs(reader, list.listing, id, &comment).await? {
            shown.push((id, comment));
        }
    }
    let next = end.filter(|_| looked_at < entries.len());
    Ok((show(reader, shown).await?, next))
}

/// Whether an entry is shown in a list.
async fn belongs(
    reader: &Reader,
    listing: Listing,
    id: CommentId,
    comment: &Comment,
) -> Result<bool, StoreError> {
    let Some(post) = comment.post.get() else { return Ok(false) };
    if listing == Listing::Flat {
        return Ok(comment.is_live());
    }
    if let (Listing::TopLevel { paragraph }, Some(parent)) = (listing, post.parent) {
        let parent = reader.get::<CommentRow>(&parent).await?.unwrap_or_default();
        // In a paragraph's list a reply is below its parent only where that is listed too.
        let below =
            |parent: &Post| parent.part == post.part && (!paragraph || parent.paragraph == post.paragraph);
        if parent.post.get().is_some_and(below) {
            return Ok(false);
        }
    }
    let answers = Scan::prefix(&rows::replies_prefix(id)).limit(1);
    Ok(comment.is_live() || !reader.scan(&answers).await?.is_empty())
}

pub(crate) async fn show(
    reader: &Reader,
    comments: Vec<(CommentId, Comment)>,
) -> Result<Vec<CommentView>, StoreError> {
    let authors: Vec<_> =
        comments.iter().filter_map(|(_, comment)| comment.post.get()).map(|post| post.author).collect();
    let mut profiles = reader.get_many::<ProfileRow>(&authors).await?.into_iter();
    let mut shown = Vec::with_capacity(comments.len());
    for (id, comment) in comments {
        let Some(post) = comment.post.get() else { continue };
        let profile = profiles.next().flatten();
        let text = comment.text().filter(|_| !comment.is_hidden()).map(str::to_owned);
        shown.push(CommentView {
            id: id.to_string(),
            part: post.part.to_string(),
            paragraph: post.paragraph.map(|paragraph| paragraph.to_string()),
            parent: post.parent.map(|parent| parent.to_string()),
            author: Author::of(post.author, profile.as_ref()),
            text,
            posted_at: rfc3339::format(post.at.hlc.ms()),
            edited_at: comment.text.stamp().map(|at| rfc3339::format(at.hlc.ms())),
            deleted: comment.is_gone(),
            hidden: comment.is_hidden(),
            replies: count(reader, Group::Replies(id)).await?,
        });
    }
    Ok(shown)
}
