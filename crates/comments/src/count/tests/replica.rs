//! A replica of Comments, on a disk that can be copied, and a committer that commits when it is asked.

use crate::comment::{Comment, Deletion, Post, Right};
use crate::merge::hear_tally;
use crate::rows::{CommentRow, TallyRow};
use crate::siblings::{CommentFact, ReplyTallyFact, hear_comment};
use crate::write::join_rows;
use lattice::{Contributes, Lattice, Lww, Min, ReplicaId, Tally};
use messages::{CommentId, Fact, Group, ParagraphId, PartId, TallyFact, TallyKey, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use store::engine::{Batch, Engine};
use store::{
    Abort, Committer, Durability, Identity, Memory, Reader, Row, SCAN_PAIRS_MAX, Scan, Setup, Step, Store,
    View, ViewError, World, key,
};

/// What is told.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are few at a time, and most are comments")]
pub(super) enum News {
    Comment(CommentId, Comment),
    Tally(TallyKey, Tally),
}

/// Where a comment is put.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) part: PartId,
    pub(super) paragraph: Option<ParagraphId>,
    pub(super) parent: Option<CommentId>,
}

pub(super) struct Replica {
    pub(super) disk: Memory,
    world: Arc<dyn World>,
    committer: Committer,
    pub(super) store: Store,
}

impl Replica {
    pub(super) fn on(disk: Memory, world: Arc<dyn World>) -> Self {
        let opened = Store::open_stepwise(
            disk.clone(),
            Arc::clone(&world),
            &Setup::of(crate::NAME).in_deployment("model"),
        );
        let (store, committer) = opened.unwrap();
        Self { disk, world, committer, store }
    }

    /// The process dies and starts again; what was committed stays.
    pub(super) fn restart(&mut self) {
        *self = Self::on(self.disk.clone(), Arc::clone(&self.world));
    }

    pub(super) fn identity(&self) -> Arc<Identity> {
        self.store.identity()
    }

    /// Runs what needs nothing but commits.
    pub(super) fn now<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
            assert!(self.committer.step(), "it waits for something that no commit brings");
        }
    }

    pub(super) fn write<T: Send + 'static>(
        &mut self,
        mut function: impl FnMut(&mut View<'_>) -> Result<T, ViewError> + Send + 'static,
    ) -> T {
        let store = self.store.clone();
        let written = store.write(move |view| function(view).map_err(Abort::<Infallible>::from));
        self.now(written).unwrap()
    }

    pub(super) fn post(&mut self, id: CommentId, place: Place) -> bool {
        self.write(move |view| {
            let stored = view.get::<CommentRow>(&id)?.unwrap_or_default();
            if stored.post.get().is_some() {
                return Ok(false);
            }
            let post = Post {
                at: view.mint(stored.newest_stamp()),
                author: UserId::from_bytes([1; 16]),
                part: place.part,
                paragraph: place.paragraph,
                parent: place.parent,
                request: "0".repeat(32),
                text: "text".to_owned(),
            };
            accept(view, id, Comment { post: Min::of(post), ..Comment::default() })?;
            Ok(true)
        })
    }

    pub(super) fn delete(&mut self, id: CommentId) -> bool {
        self.write(move |view| {
            let stored = view.get::<CommentRow>(&id)?.unwrap_or_default();
            let at = view.mint(stored.newest_stamp());
            let gone = Deletion { at, by: UserId::from_bytes([1; 16]), right: Right::CommentAuthor };
            accept(view, id, Comment { gone: Min::of(gone), ..Comment::default() })?;
            Ok(stored.is_live())
        })
    }

    pub(super) fn set_visible(&mut self, id: CommentId, visible: bool) {
        self.write(move |view| {
            let stored = view.get::<CommentRow>(&id)?.unwrap_or_default();
            let at = view.mint(stored.newest_stamp());
            accept(view, id, Comment { visible: Lww::new(at, visible), ..Comment::default() })
        });
    }

    pub(super) fn hear(&mut self, news: News) {
        self.write(move |view| match news.clone() {
            News::Comment(id, state) => {
                if let Some(stamp) = CommentFact::newest_stamp(&state) {
                    view.observe(stamp);
                }
                hear_comment(view, &id, state).map(drop)
            }
            News::Tally(key, tally) => hear_tally(view, &key, tally).map(drop),
        });
    }

    /// One step of healing; false where there was nothing to do.
    pub(super) fn heal(&mut self) -> bool {
        let healer = crate::healer(&self.store);
        self.now(healer.step()).unwrap() != Step::Idle
    }

    pub(super) fn adopt(&mut self, old: ReplicaId) {
        let store = self.store.clone();
        // It may be its own, or adopted already: then it says so.
        match self.now(store::adopt(&store, old)) {
            Ok(_) | Err(store::WriteError::Refused(_)) => {}
            Err(store::WriteError::Store(error)) => panic!("{error}"),
        }
    }

    pub(super) fn tell_it_was_restored(&mut self) {
        let store = self.store.clone();
        self.now(store::renew_restored(&store)).unwrap();
    }

    fn reader(&self) -> Reader {
        self.store.reader().unwrap()
    }

    fn read<R: Row>(&mut self) -> Vec<(R::Key, R::State)> {
        let reader = self.reader();
        let rows = self.now(reader.rows::<R>(&Scan::prefix(&[R::TAG]))).unwrap();
        assert!(rows.len() < SCAN_PAIRS_MAX);
        rows
    }

    pub(super) fn comments(&mut self) -> Vec<(CommentId, Comment)> {
        self.read::<CommentRow>()
    }

    pub(super) fn tallies(&mut self) -> Vec<(TallyKey, Tally)> {
        self.read::<TallyRow>()
    }

    /// What is marked, as it is now; the marks are cleared, as after publishing.
    pub(super) fn announce(&mut self) -> Vec<News> {
        let mut told = Vec::new();
        for topic in [CommentFact::TOPIC, TallyFact::TOPIC, ReplyTallyFact::TOPIC] {
            let marks = self.store.marks(topic, 10_000).unwrap();
            let reader = self.reader();
            for mark in &marks {
                told.push(if topic == CommentFact::TOPIC {
                    let id = key::read::<CommentRow>(&mark.row).unwrap();
                    News::Comment(id, self.now(reader.get::<CommentRow>(&id)).unwrap().unwrap())
                } else {
                    let id = key::read::<TallyRow>(&mark.row).unwrap();
                    News::Tally(id, self.now(reader.get::<TallyRow>(&id)).unwrap().unwrap())
                });
            }
            if !marks.is_empty() {
                self.write(move |view| marks.iter().try_for_each(|mark| view.clear_mark(mark)));
            }
        }
        told
    }

    /// How many live comments each group has, by plain counting.
    pub(super) fn live(&mut self) -> BTreeMap<Group, u64> {
        let mut live = BTreeMap::new();
        for (_, comment) in self.comments() {
            let groups: BTreeSet<_> = comment.contributions().into_iter().map(|one| one.group).collect();
            for group in groups {
                *live.entry(group).or_default() += 1;
            }
        }
        live
    }

    /// A copy of what is on the disk.
    pub(super) fn backup(&self) -> Memory {
        let (copy, snapshot) = (Memory::new(), Engine::snapshot(&self.disk).unwrap());
        let pairs = snapshot.scan(&Scan::prefix(&[])).unwrap();
        assert!(pairs.len() < SCAN_PAIRS_MAX);
        let batch: Batch = pairs.into_iter().map(|(key, value)| (key.to_vec(), Some(value))).collect();
        copy.commit(batch, Durability::Synced).unwrap();
        copy
    }

    /// The planted rule: a delete is counted where it is accepted, by whoever accepts it.
    pub(super) fn count_here(&mut self, group: Group, came: bool) {
        self.write(move |view| {
            let owner = view.replica();
            let key = TallyKey { group, replica: owner };
            let epoch = view.owned().epoch_of(owner).unwrap();
            let mut tally = view.get::<TallyRow>(&key)?.unwrap_or(Tally::opened(epoch));
            let delta = if came { tally.added_one() } else { tally.removed_one() };
            view.join::<TallyRow>(&key, delta)?;
            view.mark::<TallyRow>(TallyFact::TOPIC, &key)
        });
    }

    /// The planted rule: an heir takes over the numbers as it was told them, and counts on.
    pub(super) fn count_on_from_before(&mut self, old: ReplicaId) {
        let told: Vec<_> = self.tallies().into_iter().filter(|(key, _)| key.replica == old).collect();
        self.write(move |view| {
            let Some(epoch) = view.owned().epoch_of(old) else { return Ok(()) };
            for (key, tally) in &told {
                view.join::<TallyRow>(key, Tally { epoch, ..*tally })?;
                view.mark::<TallyRow>(TallyFact::TOPIC, key)?;
            }
            Ok(())
        });
    }

    /// The planted rule: the row changes, and no tally with it.
    pub(super) fn join_uncounted(&mut self, id: CommentId, delta: Comment) {
        self.write(move |view| {
            if view.join::<CommentRow>(&id, delta.clone())?.grew {
                view.mark::<CommentRow>(CommentFact::TOPIC, &id)?;
            }
            Ok(())
        });
    }
}

/// As the service's own writes do: joined with index rows and tallies, and announced to siblings.
fn accept(view: &mut View<'_>, id: CommentId, delta: Comment) -> Result<(), ViewError> {
    if join_rows(view, id, delta)?.grew {
        view.mark::<CommentRow>(CommentFact::TOPIC, &id)?;
    }
    Ok(())
}

/// The tallies as Stories keeps them: joined, blindly.
#[derive(Debug, Default)]
pub(super) struct Stories(pub(super) BTreeMap<TallyKey, Tally>);

impl Stories {
    pub(super) fn hear(&mut self, key: TallyKey, tally: Tally) {
        self.0.entry(key).or_default().join(tally);
    }

    pub(super) fn shown(&self, group: Group) -> u64 {
        let of_group = self.0.iter().filter(|(key, _)| key.group == group);
        lattice::total(of_group.map(|(_, tally)| tally))
    }
}
