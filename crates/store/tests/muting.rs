//! Topics that nobody listens to: nothing is marked for them, and what was marked before waits.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

use antiphon_store::{Abort, Memory, Row, SeededWorld, Setup, Store};
use std::convert::Infallible;
use std::sync::Arc;

struct Longest;
impl Row for Longest {
    const TAG: u8 = 0x20;
    const NAME: &'static str = "longest";
    type Key = u64;
    type State = lattice::Max<u64>;
}

const LOUD: &str = "loud";
const QUIET: &str = "quiet";

fn open(disk: &Memory, muted: &[&'static str]) -> Store {
    let world = Arc::new(SeededWorld::new(7, 1_700_000_000_000));
    Store::open(disk.clone(), world, &Setup::of("comments").muting(muted.iter().copied())).unwrap()
}

async fn mark_both(store: &Store, key: u64) {
    let marked = store.write(move |view| {
        view.join::<Longest>(&key, lattice::Max(key))?;
        view.mark::<Longest>(LOUD, &key)?;
        view.mark::<Longest>(QUIET, &key)?;
        Ok::<_, Abort<Infallible>>(())
    });
    marked.await.unwrap();
}

fn waiting(store: &Store) -> (usize, usize, usize) {
    let of = |topic| store.marks(topic, 10).unwrap().len();
    (of(LOUD), of(QUIET), store.outbox_depth().0)
}

#[tokio::test]
async fn a_muted_topic_is_not_marked_and_its_old_marks_wait_for_a_start_that_does_not_mute_it() {
    let disk = Memory::new();
    let store = open(&disk, &[]);
    assert!(!store.mutes(QUIET));
    mark_both(&store, 1).await;
    assert_eq!(waiting(&store), (1, 1, 2));
    store.close().await;

    let store = open(&disk, &[QUIET]);
    assert!(store.mutes(QUIET) && !store.mutes(LOUD));
    assert_eq!(waiting(&store), (1, 0, 1), "they are neither counted nor handed out");
    mark_both(&store, 2).await;
    assert_eq!(waiting(&store), (2, 0, 2));
    let kept = store.reader().unwrap().get::<Longest>(&2).await.unwrap();
    assert_eq!(kept, Some(lattice::Max(2)), "the row itself is written all the same");
    store.close().await;

    let store = open(&disk, &[]);
    assert_eq!(waiting(&store), (2, 1, 3), "the old mark is there, and none was made since");
}
