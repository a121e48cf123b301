//! A commit that fails, fails its whole group; an unknown outcome stops the store for good.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

mod common;

use antiphon_store::{
    Abort, Committer, Memory, OpenError, Row, SeededWorld, Setup, Store, StoreError, WriteError,
};
use common::best::Best;
use lattice::Max;
use std::sync::Arc;

fn open(memory: &Memory) -> Result<(Store, Committer), OpenError> {
    Store::open_stepwise(memory.clone(), common::world(), &Setup::of("failure"))
}

fn full() -> StoreError {
    StoreError::DiskFull { free_bytes: 1, needed_bytes: 2 }
}

fn unknown() -> StoreError {
    StoreError::Stopped { reason: "the disk went away".into() }
}

/// Writes a row, marks it and answers with the stamp it minted.
async fn put(store: &Store, id: u64) -> Result<lattice::Stamp, WriteError<&'static str>> {
    let write = store.write(move |view| {
        view.join::<Best>(&id, Max(id))?;
        view.mark::<Best>("best", &id)?;
        Ok(view.mint(None))
    });
    write.await
}

async fn refuse(store: &Store) -> Result<(), WriteError<&'static str>> {
    store.write(|_| Err(Abort::Refused("no"))).await
}

/// Reads a row and changes nothing.
async fn look(store: &Store, id: u64) -> Result<bool, WriteError<&'static str>> {
    store.write(move |view| Ok(view.get::<Best>(&id)?.is_some())).await
}

async fn stored(store: &Store) -> usize {
    store.reader().unwrap().rows::<Best>(&antiphon_store::Scan::prefix(&[Best::TAG])).await.unwrap().len()
}

#[tokio::test]
async fn a_full_disk_fails_the_group_and_the_next_one_works() {
    let memory = Memory::new();
    let (store, mut committer) = open(&memory).unwrap();
    let commits = memory.commits();
    memory.fail_with(Some(full()));
    // The refusal too: it may rest on what a neighbour in the group wrote.
    let (one, two, refusal, looked, _) =
        tokio::join!(put(&store, 1), put(&store, 2), refuse(&store), look(&store, 1), async {
            committer.step()
        });
    for failed in [one.map(drop), two.map(drop), refusal, looked.map(drop)] {
        let expected =
            matches!(failed, Err(WriteError::Store(StoreError::DiskFull { free_bytes: 1, needed_bytes: 2 })));
        assert!(expected, "{failed:?}");
    }
    assert_eq!((stored(&store).await, store.outbox_depth(), memory.commits()), (0, (0, false), commits));

    memory.fail_with(None);
    let before = *store.committed().borrow();
    let (one, looked, refusal, _) =
        tokio::join!(put(&store, 1), look(&store, 1), refuse(&store), async { committer.step() });
    assert!(one.is_ok() && looked.is_ok_and(|found| found), "there is room again");
    assert!(matches!(refusal, Err(WriteError::Refused("no"))), "{refusal:?}");
    assert_eq!((stored(&store).await, store.outbox_depth(), memory.commits()), (1, (1, false), commits + 1));
    assert_eq!(*store.committed().borrow(), before + 1, "the failed group had no number");
}

#[tokio::test]
async fn an_unknown_outcome_stops_the_store_until_it_is_opened_again() {
    let memory = Memory::new();
    let (store, mut committer) = open(&memory).unwrap();
    let (first, _) = tokio::join!(put(&store, 1), async { committer.step() });
    let first = first.unwrap();
    memory.fail_with(Some(unknown()));
    let (one, two, _) = tokio::join!(put(&store, 2), put(&store, 3), async { committer.step() });
    // The disk is back, and it does not matter: nobody knows what it kept.
    memory.fail_with(None);
    let (three, _) = tokio::join!(put(&store, 4), async { committer.step() });
    for failed in [one, two, three] {
        let text = failed.unwrap_err().to_string();
        assert_eq!(text, "the store stopped taking writes: the disk went away; restart to recover");
    }
    assert_eq!((stored(&store).await, store.outbox_depth()), (1, (1, false)), "reads go on");
    drop((store, committer));

    let (store, mut committer) = open(&memory).unwrap();
    let (again, _) = tokio::join!(put(&store, 4), async { committer.step() });
    assert!(again.unwrap() > first, "stamps go on where they were committed");
    assert_eq!(stored(&store).await, 2);
}

#[tokio::test]
async fn a_stamp_is_answered_once_even_where_nothing_is_written() {
    let memory = Memory::new();
    let world = Arc::new(SeededWorld::new(1, 0));
    let (store, mut committer) = Store::open_stepwise(memory, world.clone(), &Setup::of("failure")).unwrap();
    let mut last = None;
    for _ in 0..3 {
        world.set_ms(1_700_000_000_000);
        let mint = store.write(|view| Ok::<_, Abort<()>>(view.mint(None)));
        let (stamp, _) = tokio::join!(mint, async { committer.step() });
        let stamp = stamp.unwrap();
        assert!(last < Some(stamp), "{last:?} and then {stamp}");
        last = Some(stamp);
    }
}

#[tokio::test]
async fn a_store_without_its_identity_is_damaged_and_not_a_new_one() {
    use antiphon_store::Engine;
    use antiphon_store::engine::Durability;
    let memory = Memory::new();
    let (store, mut committer) = open(&memory).unwrap();
    let (written, _) = tokio::join!(put(&store, 1), async { committer.step() });
    written.unwrap();
    drop((store, committer));
    memory.commit([(b"\0identity".to_vec(), None)].into(), Durability::Synced).unwrap();
    let opened = open(&memory);
    assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{opened:?}");
}
