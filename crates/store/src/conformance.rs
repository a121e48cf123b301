//! The suite that every engine passes: [`run`] with a [`Home`] that opens the same storage again and again.
//!
//! There are no skips. An engine that cannot do one of these cannot hold the promises of a store.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a suite for tests: it fails by panicking, with what was wrong"
)]

use crate::{
    Abort, Counted, Engine, Joined, OpenError, Row, Scan, SeededWorld, Setup, Store, StoreError, View,
    ViewError, WriteError, join_counted, key,
};
use lattice::{Contributes, Contribution, Lattice, Life, Max, Min, ReplicaId, Stamp, Tally};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

mod epochs;

/// Storage that survives its store being closed.
pub trait Home {
    /// What is under test.
    type Engine: Engine;
    /// Opens the storage. The store before it was closed and dropped.
    fn engine(&self) -> Self::Engine;
}

struct Best;
impl Row for Best {
    const TAG: u8 = 0x20;
    const NAME: &'static str = "best";
    type Key = u64;
    type State = Max<u64>;
}

/// A counted element: who counts it, and whether it is still there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Element {
    post: Min<(Stamp, u64)>,
    life: Life,
}

impl Lattice for Element {
    fn join(&mut self, other: Self) -> bool {
        let post = self.post.join(other.post);
        self.life.join(other.life) || post
    }
}

impl Contributes for Element {
    type Group = u64;
    fn contributions(&self) -> BTreeSet<Contribution<u64>> {
        let live = self.post.get().filter(|_| !self.life.is_gone());
        live.map(|(stamp, group)| Contribution { group: *group, owner: stamp.replica }).into_iter().collect()
    }
}

struct Elements;
impl Row for Elements {
    const TAG: u8 = 0x21;
    const NAME: &'static str = "element";
    type Key = u128;
    type State = Element;
}

struct Tallies;
impl Row for Tallies {
    const TAG: u8 = 0x22;
    const NAME: &'static str = "tally";
    type Key = (u64, ReplicaId);
    type State = Tally;
}

impl Counted for Elements {
    type Group = u64;
    type Tallies = Tallies;
    fn announced_on(group: &u64) -> Option<&'static str> {
        (*group != 0).then_some("tallies")
    }
    fn count(view: &mut View<'_>, group: &u64, owner: ReplicaId) -> Result<u64, ViewError> {
        let page = view.scan(&Scan::prefix(&[Self::TAG]))?;
        let counted = Contribution { group: *group, owner };
        let elements = view.decoded::<Self>(&page)?;
        let contributing = elements.iter().filter(|(_, element)| element.contributions().contains(&counted));
        Ok(contributing.count() as u64)
    }
}

/// One that a replica accepted.
fn post(at: u64, replica: ReplicaId, group: u64) -> Element {
    let at = Stamp { hlc: lattice::Hlc::new(at, 0), replica, lane: lattice::Lane::default() };
    Element { post: Min::of((at, group)), life: Life::Live }
}

fn open(home: &impl Home) -> Store {
    open_in(home, 1)
}

/// With other entropy: what draws an id draws another one.
fn open_in(home: &impl Home, seed: u64) -> Store {
    let world = Arc::new(SeededWorld::new(seed, 1_700_000_000_000));
    Store::open(home.engine(), world, &Setup::of("suite")).expect("the storage opens")
}

type Done = Result<(), Abort<Infallible>>;

/// Runs every case on homes that `fresh` makes; panics, with what was wrong, at the first that fails.
pub async fn run<H: Home>(fresh: impl Fn() -> H) {
    identity_is_minted_once(&fresh()).await;
    a_group_is_atomic_and_a_refusal_is_alone(&fresh()).await;
    a_panic_reaches_its_caller_alone(&fresh()).await;
    many_writers_share_groups_and_lose_nothing(&fresh()).await;
    snapshots_do_not_move(&fresh()).await;
    scans_are_ordered_and_bounded(&fresh()).await;
    marks_are_cleared_only_at_their_version(&fresh()).await;
    stamps_never_repeat_over_restarts(&fresh()).await;
    relaxed_writes_are_read_and_synced_by_the_next(&fresh()).await;
    counting_follows_the_rows(&fresh()).await;
    epochs::identity_changes_with_its_commit(&fresh()).await;
    epochs::scans_inside_a_write_see_its_group(&fresh()).await;
    epochs::an_heir_counts_again(&fresh()).await;
    epochs::a_replica_meets_its_own_future(&fresh()).await;
    a_closed_store_says_so(&fresh()).await;
}

async fn identity_is_minted_once(home: &impl Home) {
    let store = open(home);
    let first = store.identity();
    assert_ne!(first.replica, ReplicaId::NIL);
    store.close().await;
    let world = Arc::new(SeededWorld::new(2, 0));
    let again = Store::open(home.engine(), world.clone(), &Setup::of("suite")).expect("opens again");
    assert_eq!(again.identity(), first, "the identity is as old as the storage");
    again.close().await;
    let other = Store::open(home.engine(), world.clone(), &Setup::of("other"));
    assert!(matches!(other, Err(OpenError::WrongService { .. })), "{other:?}");
    let elsewhere = Store::open(home.engine(), world, &Setup::of("suite").in_deployment("elsewhere"));
    assert!(matches!(elsewhere, Err(OpenError::WrongService { .. })), "{elsewhere:?}");
}

async fn a_group_is_atomic_and_a_refusal_is_alone(home: &impl Home) {
    let store = open(home);
    let good = store.write(|view| {
        view.join::<Best>(&1, Max(1))?;
        view.join::<Best>(&2, Max(2))?;
        Ok::<_, Abort<Infallible>>(())
    });
    let refused = store.write(|view| {
        view.join::<Best>(&1, Max(99))?;
        Err::<(), _>(Abort::Refused("no"))
    });
    let (good, refused) = tokio::join!(good, refused);
    good.expect("written");
    assert!(matches!(refused, Err(WriteError::Refused("no"))));
    let reader = store.reader().expect("reads");
    assert_eq!(reader.get_many::<Best>(&[1, 2, 3]).await.expect("reads"), [Some(Max(1)), Some(Max(2)), None]);
    store.close().await;
}

async fn a_panic_reaches_its_caller_alone(home: &impl Home) {
    let store = open(home);
    let panicking = store.clone();
    let task = tokio::spawn(async move {
        panicking
            .write(|view| -> Done {
                view.join::<Best>(&1, Max(1))?;
                std::panic::resume_unwind(Box::new("planted"));
            })
            .await
    });
    assert!(task.await.expect_err("it panicked").is_panic());
    store
        .write(|view| -> Done { view.join::<Best>(&2, Max(2)).map(drop).map_err(Into::into) })
        .await
        .expect("goes on");
    let reader = store.reader().expect("reads");
    assert_eq!(reader.get_many::<Best>(&[1, 2]).await.expect("reads"), [None, Some(Max(2))]);
    store.close().await;
}

async fn many_writers_share_groups_and_lose_nothing(home: &impl Home) {
    const WRITERS: u64 = 500;
    let store = open(home);
    let before = *store.committed().borrow();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            let grown = store
                .write(move |view| {
                    let Joined { before, .. } = view.join::<Best>(&0, Max(0))?;
                    view.join::<Best>(&0, Max(before.0 + 1))?;
                    view.join::<Best>(&(writer + 1), Max(writer))?;
                    Ok::<_, Abort<Infallible>>(before.0)
                })
                .await
                .expect("written");
            let own = store.reader().expect("reads").get::<Best>(&0).await.expect("reads").expect("there");
            assert!(own.0 > grown, "an answered write is visible to whoever was answered");
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no writer panicked");
    }
    let sum = store.reader().expect("reads").get::<Best>(&0).await.expect("reads");
    assert_eq!(sum, Some(Max(WRITERS)), "every function saw the one before it");
    let groups = *store.committed().borrow() - before;
    assert!((1..=WRITERS).contains(&groups), "{groups} groups");
    store.close().await;
    let reader = open(home).reader().expect("reads again");
    assert_eq!(reader.get::<Best>(&WRITERS).await.expect("reads"), Some(Max(WRITERS - 1)));
}

async fn snapshots_do_not_move(home: &impl Home) {
    let store = open(home);
    let set = |value| {
        store.write(move |view| -> Done { view.join::<Best>(&1, Max(value)).map(drop).map_err(Into::into) })
    };
    set(1).await.expect("written");
    let reader = store.reader().expect("reads");
    set(2).await.expect("written");
    assert_eq!(reader.get::<Best>(&1).await.expect("reads"), Some(Max(1)));
    assert_eq!(reader.rows::<Best>(&Scan::prefix(&[Best::TAG])).await.expect("reads"), [(1, Max(1))]);
    assert_eq!(store.reader().expect("reads").get::<Best>(&1).await.expect("reads"), Some(Max(2)));
    drop(reader);
    store.close().await;
}

async fn scans_are_ordered_and_bounded(home: &impl Home) {
    let store = open(home);
    store
        .write(|view| -> Done {
            for n in [7_u64, 300, 1, 65_536, 2] {
                view.join::<Best>(&n, Max(n))?;
            }
            view.set(key::index(0x23, &9_u64), "not a best");
            Ok(())
        })
        .await
        .expect("written");
    let reader = store.reader().expect("reads");
    let keys = async |scan: Scan| -> Vec<u64> {
        reader.rows::<Best>(&scan).await.expect("reads").into_iter().map(|(key, _)| key).collect()
    };
    let all = Scan::prefix(&[Best::TAG]);
    assert_eq!(keys(all.clone()).await, [1, 2, 7, 300, 65_536]);
    assert_eq!(keys(all.clone().reversed()).await, [65_536, 300, 7, 2, 1]);
    assert_eq!(keys(all.clone().limit(2)).await, [1, 2]);
    assert_eq!(keys(all.clone().after(&key::of::<Best>(&2)).limit(2)).await, [7, 300]);
    assert_eq!(keys(all.clone().reversed().after(&key::of::<Best>(&300)).limit(2)).await, [7, 2]);
    assert!(keys(all.after(&key::of::<Best>(&65_536))).await.is_empty());
    assert!(keys(Scan::prefix(&[0x24])).await.is_empty());
    drop(reader);
    store
        .write(|view| -> Done {
            view.remove(key::index(0x23, &9_u64));
            Ok(())
        })
        .await
        .expect("removed");
    let left = store.reader().expect("reads").scan(&Scan::prefix(&[0x23])).await.expect("reads");
    assert_eq!(left, [], "removed");
    store.close().await;
}

async fn marks_are_cleared_only_at_their_version(home: &impl Home) {
    let store = open(home);
    let mark = |value| {
        store.write(move |view: &mut View<'_>| -> Done {
            view.join::<Best>(&1, Max(value))?;
            view.mark::<Best>("best", &1).map_err(Into::into)
        })
    };
    mark(1).await.expect("marked");
    let sent = store.marks("best", 9).expect("reads").pop().expect("one mark");
    mark(2).await.expect("marked again while it was on its way");
    let clear =
        |mark: crate::Mark| store.write(move |view| -> Done { view.clear_mark(&mark).map_err(Into::into) });
    clear(sent).await.expect("nothing cleared");
    let sent = store.marks("best", 9).expect("reads").pop().expect("the row moved, so its mark stays");
    store.close().await;
    let store = open(home);
    let kept = store.marks("best", 9).expect("reads");
    assert_eq!(kept, std::slice::from_ref(&sent), "marks survive a restart");
    store.write(move |view| -> Done { view.clear_mark(&sent).map_err(Into::into) }).await.expect("cleared");
    assert_eq!(store.marks("best", 9).expect("reads"), []);
    assert_eq!(store.outbox_depth(), (0, false));
    store.close().await;
}

async fn stamps_never_repeat_over_restarts(home: &impl Home) {
    let mut last = None;
    for start in 0..3 {
        let store = open(home);
        let stamp = store
            .write(|view| {
                let stamp = view.mint(None);
                view.set(vec![0x25], stamp.to_string());
                Ok::<_, Abort<Infallible>>(stamp)
            })
            .await
            .expect("minted");
        assert!(last < Some(stamp), "start {start}: {last:?} then {stamp}, though the clock began anew");
        last = Some(stamp);
        store.close().await;
    }
}

async fn relaxed_writes_are_read_and_synced_by_the_next(home: &impl Home) {
    let store = open(home);
    store
        .write_relaxed(|view| -> Done { view.join::<Best>(&1, Max(1)).map(drop).map_err(Into::into) })
        .await
        .expect("written");
    assert_eq!(store.reader().expect("reads").get::<Best>(&1).await.expect("reads"), Some(Max(1)));
    let before = *store.committed().borrow();
    // It changes nothing, yet its answer promises what it saw.
    store
        .write(|view| -> Done { view.join::<Best>(&1, Max(1)).map(drop).map_err(Into::into) })
        .await
        .expect("ok");
    assert!(*store.committed().borrow() > before, "a synced answer over a relaxed row needs a commit");
    let after = *store.committed().borrow();
    store
        .write(|view| -> Done { view.join::<Best>(&1, Max(1)).map(drop).map_err(Into::into) })
        .await
        .expect("ok");
    assert_eq!(*store.committed().borrow(), after, "and nothing is committed where nothing changed");
    store.close().await;
}

async fn counting_follows_the_rows(home: &impl Home) {
    let store = open(home);
    let me = store.identity().replica;
    let other = ReplicaId::from_u128(u128::MAX);
    let join = async |id: u128, element: Element| {
        store
            .write(move |view| {
                join_counted::<Elements>(view, &id, element.clone()).map_err(Abort::<Infallible>::from)
            })
            .await
            .expect("joined")
    };
    let gone = Element { post: Min::default(), life: Life::Gone };
    join(1, post(5, me, 10)).await;
    join(1, post(5, me, 10)).await;
    join(2, post(6, other, 10)).await;
    join(3, gone.clone()).await;
    join(3, post(7, me, 10)).await;
    let tally =
        async |group: u64| store.reader().expect("reads").get::<Tallies>(&(group, me)).await.expect("reads");
    let numbers = |tally: Option<Tally>| tally.map(|tally| (tally.added, tally.removed));
    assert_eq!(
        numbers(tally(10).await),
        Some((1, 0)),
        "once; not another's; not what was gone before it came"
    );
    join(2, post(4, me, 10)).await;
    assert_eq!(numbers(tally(10).await), Some((2, 0)), "an older acceptance here makes it ours");
    join(1, post(3, other, 11)).await;
    assert_eq!(numbers(tally(10).await), Some((2, 1)), "and one elsewhere takes it away");
    join(2, gone.clone()).await;
    join(2, gone).await;
    assert_eq!(numbers(tally(10).await), Some((2, 2)), "a delete counts once");
    let marked = store.marks("tallies", 9).expect("reads");
    let keys: Vec<_> = marked.iter().filter_map(|mark| key::read::<Tallies>(&mark.row)).collect();
    assert_eq!(keys, [(10, me)], "only what moved is announced");
    store.close().await;
}

async fn a_closed_store_says_so(home: &impl Home) {
    let store = open(home);
    let handle = store.clone();
    store.close().await;
    let late = handle.write(|_| -> Done { Ok(()) }).await.map_err(WriteError::into_store);
    assert!(matches!(late, Err(StoreError::Stopped { .. })), "{late:?}");
}
