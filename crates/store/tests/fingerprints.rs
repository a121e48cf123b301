//! Fingerprints follow the writes: whatever was written while they were made, they are those of the rows.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

use antiphon_store::engine::{Batch, Snapshot};
use antiphon_store::{
    Abort, Durability, Engine, KeyRange, Memory, Printer, Row, Scan, SeededWorld, Setup, Store, StoreError,
    Sums, Tracked,
};
use proptest::prelude::*;
use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex};

/// The longest of something, by a number.
struct Longest;
impl Row for Longest {
    const TAG: u8 = 0x20;
    const NAME: &'static str = "longest";
    type Key = u64;
    type State = lattice::Max<u64>;
}

/// Rows beside it, which are not tracked.
struct Beside;
impl Row for Beside {
    const TAG: u8 = 0x21;
    const NAME: &'static str = "beside";
    type Key = u64;
    type State = lattice::Max<u64>;
}

const DEPLOYMENT: &str = "00000000000000000000000000000001";

fn open(engine: Memory) -> Store {
    let world = Arc::new(SeededWorld::new(7, 1_700_000_000_000));
    Store::open(engine, world, &Setup::of("t").in_deployment(DEPLOYMENT)).unwrap()
}

async fn write(store: &Store, rows: Vec<(u64, u64)>) {
    let written = store.write(move |view| {
        for (key, state) in &rows {
            view.join::<Longest>(key, lattice::Max(*state))?;
            view.join::<Beside>(key, lattice::Max(*state))?;
        }
        Ok::<_, Abort<Infallible>>(())
    });
    written.await.unwrap();
}

/// What the sums of a range must be.
async fn recomputed(store: &Store, range: &KeyRange) -> Sums {
    let printer = Printer::new(DEPLOYMENT);
    let rows = store.reader().unwrap().scan(&Scan::prefix(&[Longest::TAG])).await.unwrap();
    let inside = rows.iter().filter(|(key, _)| range.contains(&key[1..]));
    inside.map(|(key, value)| printer.row(&key[1..], value)).fold(Sums::default(), Sums::plus)
}

fn build(tracked: &Tracked) {
    while !tracked.build().unwrap() {}
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

async fn check(store: &Store, tracked: &Tracked, bounds: &[u64]) {
    let mut bounds: Vec<_> = bounds.iter().map(|bound| bound.to_be_bytes().to_vec()).collect();
    bounds.sort();
    let ranges = bounds.windows(2).map(|two| KeyRange::new(two[0].clone(), two[1].clone()));
    for range in ranges.chain([KeyRange::default()]) {
        assert_eq!(tracked.sums(&range).unwrap(), Some(recomputed(store, &range).await), "{range:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Groups of writes before, between the pages, and afterwards; then the power goes, and all is read again.
    #[test]
    fn sums_are_those_of_the_rows(
        groups in prop::collection::vec(prop::collection::vec((0..600_u64, 0..9_u64), 0..200), 1..12),
        pages in prop::collection::vec(0..3_usize, 12),
        spread in prop::sample::select(vec![1_u64, 0x0001_0000_0000_0001]),
        bounds: Vec<u16>,
    ) {
        runtime().block_on(async {
            let disk = Memory::new();
            let store = open(disk.clone());
            let tracked = store.track::<Longest>(&KeyRange::default());
            for (group, pages) in groups.into_iter().zip(pages) {
                write(&store, group.into_iter().map(|(key, state)| (key.wrapping_mul(spread), state)).collect()).await;
                for _ in 0..pages {
                    tracked.build().unwrap();
                }
            }
            build(&tracked);
            let bounds: Vec<_> = bounds.into_iter().map(|bound| u64::from(bound % 700).wrapping_mul(spread)).collect();
            check(&store, &tracked, &bounds).await;
            write(&store, (0..300).map(|key| (key, 10)).collect()).await;
            check(&store, &tracked, &bounds).await;
            store.clone().close().await;
            disk.crash();
            let store = open(disk);
            let again = store.track::<Longest>(&KeyRange::default());
            build(&again);
            check(&store, &again, &bounds).await;
            prop_assert_eq!(again.sums(&KeyRange::default()).unwrap(), tracked.sums(&KeyRange::default()).unwrap());
            Ok(())
        })?;
    }

    #[test]
    fn a_range_is_cut_into_pieces_that_are_all_of_it(
        keys in prop::collection::btree_set(any::<u64>(), 0..1500),
        pieces in 2..20_usize,
        from in prop::option::of(any::<u64>()),
    ) {
        runtime().block_on(async {
            let store = open(Memory::new());
            write(&store, keys.iter().map(|key| (*key, 1)).collect()).await;
            let tracked = store.track::<Longest>(&KeyRange::default());
            build(&tracked);
            let from = from.map_or_else(Vec::new, |from| from.to_be_bytes().to_vec());
            let range = KeyRange::new(from, []);
            let cut = tracked.split(&range, pieces).unwrap();
            let whole = tracked.sums(&range).unwrap().unwrap();
            let parts: Vec<_> = cut.iter().map(|piece| tracked.sums(piece).unwrap().unwrap()).collect();
            prop_assert_eq!(parts.iter().copied().fold(Sums::default(), Sums::plus), whole);
            prop_assert_eq!((&cut[0].from, &cut[cut.len() - 1].to), (&range.from, &range.to));
            prop_assert!(cut.windows(2).all(|two| two[0].to == two[1].from && !two[0].is_empty()));
            prop_assert!(cut.len() <= pieces.max(3));
            if whole.count >= 2 {
                let most = parts.iter().map(|part| part.count).max().unwrap();
                prop_assert!(most < whole.count, "{parts:?}");
                prop_assert!(most <= 1 + whole.count.div_ceil(pieces as u64) + 2 * 128, "{most} of {}", whole.count);
            }
            Ok(())
        })?;
    }
}

/// Large rows have chunks of their own, of one row each: so a chunk of many small ones may be nearly all of a range.
#[test]
fn a_range_whose_rows_are_nearly_all_at_its_end_is_cut() {
    runtime().block_on(async {
        let store = open(Memory::new());
        let written = store.write(|view| {
            for key in 0..100_u64 {
                let state = vec![b'0'; if key < 8 { 300 << 10 } else { 1 }];
                view.set(antiphon_store::key::of::<Longest>(&key), state);
            }
            Ok::<_, Abort<Infallible>>(())
        });
        written.await.unwrap();
        let tracked = store.track::<Longest>(&KeyRange::default());
        build(&tracked);
        let cut = tracked.split(&KeyRange::default(), 4).unwrap();
        let counts: Vec<_> = cut.iter().map(|piece| tracked.sums(piece).unwrap().unwrap().count).collect();
        assert!(counts.len() > 1 && counts.iter().all(|count| *count < 100), "{counts:?}");
    });
}

/// A memory whose commits wait for a gate, before they happen or right afterwards.
#[derive(Debug, Clone, Default)]
struct Gated {
    memory: Memory,
    gates: Arc<Gates>,
}

#[derive(Debug, Default)]
struct Gates {
    before: Mutex<()>,
    after: Mutex<()>,
    begun: Mutex<u64>,
    told: Condvar,
}

impl Engine for Gated {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.memory.snapshot()
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.gates.tell();
        drop(self.gates.before.lock().unwrap());
        let committed = self.memory.commit(batch, durability);
        self.gates.tell();
        drop(self.gates.after.lock().unwrap());
        committed
    }
}

impl Gates {
    fn tell(&self) {
        *self.begun.lock().unwrap() += 1;
        self.told.notify_all();
    }

    fn wait(&self, for_begun: u64) {
        let mut begun = self.begun.lock().unwrap();
        while *begun < for_begun {
            begun = self.told.wait(begun).unwrap();
        }
    }
}

/// Whoever compares runs where requests are answered: a disk that takes its time must not stop it.
#[test]
fn who_compares_does_not_wait_for_the_disk() {
    let runtime = runtime();
    let engine = Gated::default();
    let gates = Arc::clone(&engine.gates);
    let world = Arc::new(SeededWorld::new(7, 1_700_000_000_000));
    let store = Store::open(engine, world, &Setup::of("t").in_deployment(DEPLOYMENT)).unwrap();
    let all = KeyRange::default();
    let some = KeyRange::new(100_u64.to_be_bytes(), 150_u64.to_be_bytes());
    runtime.block_on(write(&store, (0..1000).map(|key| (key, 1)).collect()));
    let tracked = store.track::<Longest>(&all);
    let (whole, part) = (tracked.clone(), store.track::<Longest>(&some));
    build(&whole);
    let check = || {
        for range in [&all, &some] {
            let rows = runtime.block_on(recomputed(&store, range));
            assert_eq!(tracked.sums(range).unwrap(), Some(rows), "{range:?}");
        }
    };
    // The commit is not there yet: neither in the rows nor in the sums. What is read and tracked meanwhile misses nothing.
    let (closed_before, closed_after) = (gates.before.lock().unwrap(), gates.after.lock().unwrap());
    let begun = *gates.begun.lock().unwrap();
    let (writing, rows) = (store.clone(), (0..2000).step_by(3).map(|key| (key, 2)).collect());
    let write = runtime.spawn(async move { write(&writing, rows).await });
    gates.wait(begun + 1);
    check();
    build(&part);
    let late = store.track::<Longest>(&KeyRange::new([], 500_u64.to_be_bytes()));
    build(&late);
    // It is there, and the committer has not gone on.
    drop(closed_before);
    gates.wait(begun + 2);
    check();
    drop(closed_after);
    runtime.block_on(write).unwrap();
    check();
    build(&late);
    for one in [&part, &late] {
        let rows = runtime.block_on(recomputed(&store, one.range()));
        assert_eq!(one.sums(one.range()).unwrap(), Some(rows));
    }
}

#[test]
fn a_part_of_the_rows_is_tracked_by_itself_and_only_once() {
    runtime().block_on(async {
        let store = open(Memory::new());
        write(&store, (0..1000).map(|key| (key, 1)).collect()).await;
        let range = KeyRange::new(100_u64.to_be_bytes(), 200_u64.to_be_bytes());
        let tracked = store.track::<Longest>(&range);
        assert_eq!(tracked.sums(&range).unwrap(), None, "nothing was read yet");
        build(&tracked);
        assert_eq!(tracked.sums(&KeyRange::default()).unwrap().unwrap().count, 100, "nothing outside of it");
        assert_eq!(tracked.sums(&range).unwrap(), Some(recomputed(&store, &range).await));
        assert!(store.track::<Longest>(&range).is_built(), "the same one");
        assert!(!store.track::<Longest>(&KeyRange::default()).is_built());
        let before = tracked.changes();
        write(&store, vec![(99, 2), (100, 2), (199, 2), (200, 2)]).await;
        assert_eq!(tracked.changes() - before, 2);
        assert_eq!(tracked.rows(&range, 2).unwrap()[1].0.as_ref(), 101_u64.to_be_bytes());
    });
}
