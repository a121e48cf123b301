//! What changes a comment: each a pure function of the rows it reads.
//!
//! Every one of them is answered in the same way: the comment as it is then. Repeating one changes nothing.

use crate::comment::{Comment, Deletion, Post, Right};
use crate::rows::{self, CommentRow, PartRow};
use crate::siblings::CommentFact;
use api::Problem;
use lattice::{Lww, Min};
use messages::{CommentId, Fact, ParagraphId, PartId, UserId};
use store::{Abort, Joined, Scan, View, ViewError, join_counted};

/// A comment to be posted, checked already.
#[derive(Debug, Clone)]
pub(crate) struct NewComment {
    pub(crate) id: CommentId,
    pub(crate) author: UserId,
    pub(crate) part: PartId,
    pub(crate) paragraph: Option<ParagraphId>,
    pub(crate) parent: Option<CommentId>,
    pub(crate) text: String,
    /// See [`Post::request`].
    pub(crate) request: String,
}

type Written = Result<Comment, Abort<Problem>>;

fn refuse<T>(problem: Problem) -> Result<T, Abort<Problem>> {
    Err(Abort::Refused(problem))
}

/// Joins what was accepted here into a comment, to be told to siblings.
fn join(view: &mut View<'_>, id: CommentId, delta: Comment) -> Result<Comment, ViewError> {
    let joined = join_rows(view, id, delta)?;
    if joined.grew {
        view.mark::<CommentRow>(CommentFact::TOPIC, &id)?;
    }
    Ok(joined.after)
}

/// Joins a delta into a comment, with its tallies and its index rows.
pub(crate) fn join_rows(
    view: &mut View<'_>,
    id: CommentId,
    delta: Comment,
) -> Result<Joined<Comment>, ViewError> {
    let joined = join_counted::<CommentRow>(view, &id, delta)?;
    if joined.grew {
        // Whether it was an orphan is not stored: what it may have had as one is removed in any case.
        let before = joined.before.index_rows(id, true);
        let after = joined.after.index_rows(id, is_orphan(view, &joined.after)?);
        before.difference(&after).for_each(|key| view.remove(key.clone()));
        after.difference(&before).for_each(|key| view.set(key.clone(), Vec::new()));
        if joined.before.post.get().is_none()
            && let Some(post) = joined.after.post.get()
        {
            take_in_orphans(view, id, post.part)?;
        }
    }
    Ok(joined)
}

/// Takes what answered a comment before it came off the top level, so that the index says the same in whatever order they
/// came. Of more orphans than one scan tells the rest stays there, and who reads the top level passes over it.
fn take_in_orphans(view: &mut View<'_>, id: CommentId, part: PartId) -> Result<(), ViewError> {
    for (entry, _) in view.scan(&Scan::prefix(&rows::replies_prefix(id)))? {
        if let Some((at, reply)) = rows::reply(&entry) {
            view.remove(rows::thread(part, at, reply));
        }
    }
    Ok(())
}

/// True while the comment that it answers is not known on its part.
fn is_orphan(view: &mut View<'_>, comment: &Comment) -> Result<bool, ViewError> {
    let Some(post) = comment.post.get() else { return Ok(false) };
    let Some(parent) = post.parent else { return Ok(false) };
    let parent = view.get::<CommentRow>(&parent)?.unwrap_or_default();
    Ok(!parent.is_on(post.part))
}

/// Posts a comment, once: who repeats the request gets the comment as it is now.
pub(crate) fn post(view: &mut View<'_>, new: &NewComment) -> Written {
    let stored = view.get::<CommentRow>(&new.id)?.unwrap_or_default();
    if let Some(post) = stored.post.get() {
        return if post.request == new.request {
            Ok(stored)
        } else {
            refuse(
                Problem::conflict("this Idempotency-Key was used for another comment")
                    .with_field(api::idempotency::IDEMPOTENCY_HEADER),
            )
        };
    }
    // A part that was not heard of yet takes comments: its news may only be late.
    if view.get::<PartRow>(&new.part)?.is_some_and(|part| part.life.is_gone()) {
        return refuse(Problem::gone("the part was taken down by its author"));
    }
    if new.parent == Some(new.id) {
        return refuse(Problem::bad_request("parent", "a comment does not answer itself"));
    }
    let mut paragraph = new.paragraph;
    if let Some(parent) = new.parent
        && let Some(parent) = view.get::<CommentRow>(&parent)?.unwrap_or_default().post.get()
    {
        // An unknown parent is no reason to refuse, as an unknown part is none.
        if parent.part != new.part {
            return refuse(Problem::bad_request("parent", "the comment it answers is on another part"));
        }
        if is_awaited(view, new.id)? {
            leads_elsewhere(view, new.id, parent)?;
        }
        if paragraph.is_some() && paragraph != parent.paragraph {
            return refuse(Problem::bad_request(
                "paragraph",
                "the comment it answers is not on this paragraph",
            ));
        }
        paragraph = parent.paragraph;
    }
    let post = Post {
        at: view.mint(stored.newest_stamp()),
        author: new.author,
        part: new.part,
        paragraph,
        parent: new.parent,
        request: new.request.clone(),
        text: new.text.clone(),
    };
    Ok(join(view, new.id, Comment { post: Min::of(post), ..Comment::default() })?)
}

/// How far up a comment that is answered already may find the top level: each step waits for the one before, and a
/// write has [`store::ROUNDS_MAX`] steps for all that it does.
const CLIMB_MAX: usize = 4;

/// Whether somebody answered a comment here before it came.
fn is_awaited(view: &mut View<'_>, id: CommentId) -> Result<bool, ViewError> {
    Ok(!view.scan(&Scan::prefix(&rows::replies_prefix(id)).limit(1))?.is_empty())
}

/// Keeps the rule of an add-only graph that is acyclic for ever: a new vertex is one that nothing points at. A comment
/// that something points at already may come late all the same, and then has to be seen not to answer its own answers.
fn leads_elsewhere(view: &mut View<'_>, id: CommentId, parent: &Post) -> Result<(), Abort<Problem>> {
    let mut next = parent.parent;
    for _ in 0..CLIMB_MAX {
        let Some(above) = next else { return Ok(()) };
        if above == id {
            return refuse(Problem::bad_request("parent", "the comment it answers is an answer to it"));
        }
        let above = view.get::<CommentRow>(&above)?.unwrap_or_default();
        next = above.post.get().and_then(|post| post.parent);
    }
    if next.is_none() {
        return Ok(());
    }
    let limit = format!("answered before it came, it may answer nothing more than {CLIMB_MAX} answers deep");
    refuse(Problem::bad_request("parent", limit).with_limit(CLIMB_MAX as u64))
}

/// A comment that was posted, or 404.
fn posted(view: &mut View<'_>, id: CommentId) -> Result<(Comment, Post), Abort<Problem>> {
    let stored = view.get::<CommentRow>(&id)?.unwrap_or_default();
    match stored.post.get().cloned() {
        Some(post) => Ok((stored, post)),
        None => refuse(Problem::not_found("comment")),
    }
}

/// Whether somebody is known to be the author of the story that a part is of.
fn is_story_author(view: &mut View<'_>, part: PartId, user: UserId) -> Result<bool, ViewError> {
    let part = view.get::<PartRow>(&part)?.unwrap_or_default();
    Ok(part.place.get().is_some_and(|place| place.owner == user))
}

/// Changes what a comment says.
pub(crate) fn edit(view: &mut View<'_>, id: CommentId, by: UserId, text: &str) -> Written {
    let (stored, post) = posted(view, id)?;
    if post.author != by {
        return refuse(Problem::forbidden("only its author may edit a comment"));
    }
    if stored.is_gone() {
        return refuse(Problem::gone("the comment was deleted"));
    }
    if stored.text() == Some(text) {
        return Ok(stored);
    }
    let at = view.mint(stored.newest_stamp());
    Ok(join(view, id, Comment { text: Lww::new(at, text.to_owned()), ..Comment::default() })?)
}

/// Deletes a comment, for good.
pub(crate) fn delete(view: &mut View<'_>, id: CommentId, by: UserId) -> Written {
    let (stored, post) = posted(view, id)?;
    let right = if post.author == by {
        Right::CommentAuthor
    } else if is_story_author(view, post.part, by)? {
        Right::StoryAuthor
    } else {
        return refuse(Problem::forbidden(
            "only its author, or the author of the story, may delete a comment",
        ));
    };
    if stored.is_gone() {
        return Ok(stored);
    }
    let at = view.mint(stored.newest_stamp());
    Ok(join(view, id, Comment { gone: Min::of(Deletion { at, by, right }), ..Comment::default() })?)
}

/// Hides a comment, or shows it again.
pub(crate) fn set_visible(view: &mut View<'_>, id: CommentId, by: UserId, visible: bool) -> Written {
    let (stored, post) = posted(view, id)?;
    if !is_story_author(view, post.part, by)? {
        return refuse(Problem::forbidden("only the author of the story may hide comments on it"));
    }
    if stored.is_hidden() != visible {
        return Ok(stored);
    }
    let at = view.mint(stored.newest_stamp());
    Ok(join(view, id, Comment { visible: Lww::new(at, visible), ..Comment::default() })?)
}
