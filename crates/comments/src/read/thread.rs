//! The thread around a comment, as it is shown.

use super::{CommentView, show};
use crate::comment::{Comment, Post};
use crate::rows::{self, CommentRow};
use crate::thread::{self, DEPTH_MAX, Line, Place, Reading};
use api::Problem;
use messages::CommentId;
use serde::Serialize;
use store::{Reader, Scan, StoreError};
use utoipa::ToSchema;

/// The thread around a comment: what it answers, and what answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadPage {
    /// What the comment answers, and what that answers, and so on: from the top level down, 200 at most, deleted ones
    /// as placeholders. The same with every page.
    pub ancestors: Vec<CommentView>,
    /// What the first of `ancestors` answers, where that is more than 200 answers up: ask for its thread to go on
    /// upwards. Null where the thread begins here, at the top level or at a comment whose `parent` is not known yet.
    pub above: Option<String>,
    /// The comment itself, then everything below it, depth first, siblings from the oldest on. What is deleted or
    /// hidden is a placeholder where something answers it, and left out otherwise: so a page may be short, or empty,
    /// and have a next one.
    pub items: Vec<ThreadItem>,
    /// Where the next page begins; null behind the last one.
    pub next: Option<String>,
}

/// A comment in its thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadItem {
    /// How many answers it is below the comment that was asked for, which has 0; 200 at most.
    #[schema(maximum = 200)]
    pub depth: usize,
    /// It has answers, and they are not listed, since they are more than 200 deep: ask for its thread.
    pub cut: bool,
    /// The comment.
    pub comment: CommentView,
}

/// What a cursor of a thread holds: the comment that the thread is around, and the last one listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) around: CommentId,
    pub(crate) last: CommentId,
}

impl Position {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [self.around.to_bytes(), self.last.to_bytes()].concat()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (around, last) = bytes.split_first_chunk::<16>()?;
        let last = last.try_into().ok()?;
        Some(Self { around: CommentId::from_bytes(*around), last: CommentId::from_bytes(last) })
    }
}

/// The thread around a comment, or 404; and the position behind which the next page begins.
pub(crate) async fn page(
    reader: &Reader,
    around: CommentId,
    last: Option<CommentId>,
    comments_max: usize,
) -> Result<(ThreadPage, Option<Position>), Problem> {
    let comment = reader.get::<CommentRow>(&around).await?.unwrap_or_default();
    let post = comment.post.get().ok_or_else(|| Problem::not_found("comment"))?;
    let (way, above) = climb(reader, around, post).await?;
    let listed = match last {
        Some(last) => Some(descend(reader, around, last).await?.ok_or_else(moved)?),
        None => None,
    };
    let mut reading = Reading::new(&way, listed.as_deref(), comments_max);
    while let Some(wanted) = reading.wants() {
        let mut scan = Scan::prefix(&rows::replies_prefix(wanted.replies_to)).limit(wanted.limit);
        if let Some(after) = wanted.after {
            scan = scan.after(&rows::replies(wanted.replies_to, after.at, after.id));
        }
        let entries = reader.scan(&scan).await?;
        let replies: Vec<_> = entries.iter().filter_map(|(key, _)| rows::reply(key)).collect();
        let replies: Vec<_> = replies.into_iter().map(|(at, id)| Place { at, id }).collect();
        reading.hear(&wanted, &replies);
    }
    let graph = reading.into_graph();
    let place = Place { at: post.at, id: around };
    let last = listed.as_ref().map(|listed| listed.last().unwrap_or(&place));
    let lines = thread::list(&graph, &place, last, comments_max);
    let next = lines.page.last().filter(|_| lines.more).map(|line| Position { around, last: line.id });
    let ancestors = with_rows(reader, &lines.ancestors).await?;
    let items = items(reader, around, post, &lines.page).await?;
    let above = above.map(|id| id.to_string());
    Ok((ThreadPage { ancestors: show(reader, ancestors).await?, above, items, next: None }, next))
}

fn moved() -> Problem {
    Problem::bad_request(
        "cursor",
        "start again without it: the comment where it went on is not in this thread",
    )
}

/// The comments of a page that are shown.
async fn items(
    reader: &Reader,
    around: CommentId,
    post: &Post,
    page: &[Line],
) -> Result<Vec<ThreadItem>, StoreError> {
    let ids: Vec<_> = page.iter().map(|line| line.id).collect();
    let comments = with_rows(reader, &ids).await?;
    let (mut lines, mut shown) = (Vec::new(), Vec::new());
    for (line, (id, comment)) in page.iter().zip(comments) {
        // What claims to answer a comment on another part is on that part's top level, and nowhere else.
        if comment.is_on(post.part) && (comment.is_live() || line.answered || id == around) {
            lines.push(line);
            shown.push((id, comment));
        }
    }
    let shown = show(reader, shown).await?;
    let item = |(line, comment): (&Line, CommentView)| ThreadItem {
        depth: line.depth,
        cut: line.depth == DEPTH_MAX && line.answered,
        comment,
    };
    Ok(lines.into_iter().zip(shown).map(item).collect())
}

async fn with_rows(reader: &Reader, ids: &[CommentId]) -> Result<Vec<(CommentId, Comment)>, StoreError> {
    let comments = reader.get_many::<CommentRow>(ids).await?;
    Ok(ids.iter().copied().zip(comments.into_iter().map(Option::unwrap_or_default)).collect())
}

/// The way down to a comment from the top of its thread, and what is above that where it is too far up.
///
/// The top answers nothing, or what is not known on its part: until that comes, the reply stands there alone. Of a
/// ring, whose comments all answer one another, the one posted first is the top, whichever of them is asked for.
async fn climb(
    reader: &Reader,
    id: CommentId,
    post: &Post,
) -> Result<(Vec<Place>, Option<CommentId>), StoreError> {
    let mut way = vec![Place { at: post.at, id }];
    let mut next = post.parent;
    let mut above = None;
    while let Some(parent) = next {
        if let Some(begins) = way.iter().position(|place| place.id == parent) {
            let top = (begins..way.len()).min_by_key(|at| way.get(*at));
            way.truncate(top.map_or(way.len(), |top| top + 1));
            break;
        }
        let comment = reader.get::<CommentRow>(&parent).await?.unwrap_or_default();
        let Some(found) = comment.post.get().filter(|found| found.part == post.part) else { break };
        if way.len() > DEPTH_MAX {
            above = Some(parent);
            break;
        }
        way.push(Place { at: found.at, id: parent });
        next = found.parent;
    }
    way.reverse();
    Ok((way, above))
}

/// The way from below a comment down to another one in its thread, found by climbing; empty where they are one, nothing
/// where it does not lead there.
async fn descend(
    reader: &Reader,
    around: CommentId,
    last: CommentId,
) -> Result<Option<Vec<Place>>, StoreError> {
    let (mut way, mut id) = (Vec::new(), last);
    while id != around {
        let comment = reader.get::<CommentRow>(&id).await?.unwrap_or_default();
        let Some((at, parent)) = comment.post.get().and_then(|post| Some((post.at, post.parent?))) else {
            return Ok(None);
        };
        if way.len() == DEPTH_MAX {
            return Ok(None);
        }
        way.push(Place { at, id });
        id = parent;
    }
    way.reverse();
    Ok(Some(way))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write;
    use lattice::{Hlc, Lane, Min, ReplicaId, Stamp};
    use messages::{PartId, UserId};
    use std::sync::Arc;
    use store::{Abort, Memory, SeededWorld, Setup, Store};

    fn id(n: u8) -> CommentId {
        CommentId::from_bytes([n; 16])
    }

    /// Comments as another replica may have accepted them: (number, what it answers), posted in the order of numbers.
    async fn merged(rows: &[(u8, u8)]) -> Store {
        let setup = Setup::of(crate::NAME).in_deployment("0".repeat(32));
        let store =
            Store::open(Memory::new(), Arc::new(SeededWorld::new(1, 1_700_000_000_000)), &setup).unwrap();
        for (n, parent) in rows.iter().copied() {
            let hlc = Hlc::new(u64::from(n), 0);
            let post = Post {
                at: Stamp { hlc, replica: ReplicaId::from_u128(9), lane: Lane::default() },
                author: UserId::from_bytes([1; 16]),
                part: PartId::from_bytes([2; 16]),
                paragraph: None,
                parent: (parent > 0).then(|| id(parent)),
                request: String::new(),
                text: n.to_string(),
            };
            let comment = Comment { post: Min::of(post), ..Comment::default() };
            let join = move |view: &mut store::View<'_>| {
                write::join_rows(view, id(n), comment.clone()).map_err(Abort::<Problem>::from)
            };
            store.write(join).await.unwrap();
        }
        store
    }

    /// The ancestors, and the comments listed with their depth.
    async fn around(store: &Store, n: u8) -> (Vec<String>, Vec<(usize, String)>) {
        let (page, next) = page(&store.reader().unwrap(), id(n), None, 100).await.unwrap();
        assert_eq!((page.above, next), (None, None));
        let text = |comment: CommentView| comment.text.unwrap();
        let items = page.items.into_iter().map(|item| (item.depth, text(item.comment)));
        (page.ancestors.into_iter().map(text).collect(), items.collect())
    }

    /// Two replicas that accept half of a ring each make a ring when they meet.
    #[tokio::test]
    async fn of_a_ring_the_oldest_is_the_top() {
        let line = |depth: usize, n: u8| (depth, n.to_string());
        for rows in [[(1, 3), (2, 1), (3, 2), (4, 3)], [(4, 3), (3, 2), (2, 1), (1, 3)]] {
            let store = merged(&rows).await;
            let top = vec![line(0, 1), line(1, 2), line(2, 3), line(3, 4)];
            assert_eq!(around(&store, 1).await, (vec![], top));
            let below = vec![line(0, 2), line(1, 3), line(2, 4)];
            assert_eq!(around(&store, 2).await, (vec!["1".into()], below));
            let way = vec!["1".into(), "2".into(), "3".into()];
            assert_eq!(around(&store, 4).await, (way, vec![line(0, 4)]), "it hangs on the ring");
            store.close().await;
        }
        let store = merged(&[(1, 1), (2, 1)]).await;
        assert_eq!(around(&store, 1).await, (vec![], vec![line(0, 1), line(1, 2)]));
        assert_eq!(around(&store, 2).await, (vec!["1".into()], vec![line(0, 2)]));
    }

    /// A cursor is no secret: who makes one up learns nothing and breaks nothing.
    #[tokio::test]
    async fn a_position_outside_the_thread_is_refused() {
        let store = merged(&[(1, 0), (2, 1), (3, 0), (5, 6), (6, 5)]).await;
        let reader = store.reader().unwrap();
        for last in [3, 4, 5] {
            let refused = page(&reader, id(1), Some(id(last)), 100).await.unwrap_err();
            assert_eq!(refused.field(), Some("cursor"), "{last}");
        }
        let (page, _) = page(&reader, id(1), Some(id(1)), 100).await.unwrap();
        assert_eq!(page.items.len(), 1, "from behind the comment itself");
        assert_eq!(Position::from_bytes(&[0; 31]), None);
    }
}
