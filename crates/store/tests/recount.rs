//! A recount that dies at every one of its commits, and goes on: in the end it has counted what one that was left alone
//! counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

use antiphon_store::{
    Abort, Comparison, Counted, Healer, Memory, Recount, Row, Scan, SeededWorld, Setup, Step, Store,
    StoreError, View, ViewError, adopt, hear_tally, join_counted, key,
};
use lattice::{Contributes, Contribution, Epoch, Lattice, Min, ReplicaId, Stamp, Tally};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

const LOST: ReplicaId = ReplicaId::from_u128(7);
/// More than one step looks at.
const ELEMENTS: u128 = 2_500;
const GROUPS: u128 = 200;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Element(Min<(Stamp, u64)>);

impl Lattice for Element {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }
}

impl Contributes for Element {
    type Group = u64;
    fn contributions(&self) -> BTreeSet<Contribution<u64>> {
        let one = self.0.get().map(|(at, group)| Contribution { group: *group, owner: at.replica });
        one.into_iter().collect()
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
    fn announced_on(_group: &u64) -> Option<&'static str> {
        Some("tallies")
    }
    fn count(view: &mut View<'_>, group: &u64, owner: ReplicaId) -> Result<u64, ViewError> {
        let page = view.scan(&Scan::prefix(&key::index(Self::TAG, group)))?;
        let counted = Contribution { group: *group, owner };
        let elements = view.decoded::<Self>(&page)?;
        Ok(elements.iter().filter(|(_, element)| element.contributions().contains(&counted)).count() as u64)
    }
}

fn open(disk: &Memory, seed: u64) -> Store {
    let world = Arc::new(SeededWorld::new(seed, 1_700_000_000_000));
    Store::open(disk.clone(), world, &Setup::of("suite").in_deployment("one")).unwrap()
}

fn healer(store: &Store) -> Healer {
    Healer::new(store.clone()).counting::<Elements>()
}

/// A store with elements of a replica that is lost, and a tally of a group that is empty here.
async fn bereaved(disk: &Memory) -> Store {
    let store = open(disk, 1);
    let filled = store.write(|view| {
        for id in 0..ELEMENTS {
            let at = Stamp { replica: LOST, ..Stamp::default() };
            let group = u64::try_from(id % GROUPS).unwrap();
            // The group first, so that its elements are one range.
            let key = u128::from(group) << 64 | id;
            join_counted::<Elements>(view, &key, Element(Min::of((at, group))))?;
        }
        let told = Tally { epoch: Epoch { generation: 0, owner: LOST }, added: 9, removed: 1 };
        hear_tally::<Elements>(view, &9_999, LOST, told)?;
        Ok::<_, Abort<Infallible>>(())
    });
    filled.await.unwrap();
    store
}

async fn tallies(store: &Store) -> BTreeMap<(u64, ReplicaId), Tally> {
    let rows = store.reader().unwrap().rows::<Tallies>(&Scan::prefix(&[Tallies::TAG])).await;
    rows.unwrap().into_iter().collect()
}

async fn heal(store: &Store) -> Result<u64, StoreError> {
    let (healer, mut steps) = (healer(store), 0);
    while healer.step().await? != Step::Idle {
        steps += 1;
    }
    Ok(steps)
}

#[tokio::test]
async fn a_recount_that_dies_at_any_commit_goes_on() {
    let whole = Memory::new();
    let store = bereaved(&whole).await;
    let me = store.identity().replica;
    adopt(&store, LOST).await.unwrap();
    let steps = heal(&store).await.unwrap();
    assert!(steps > 3, "only {steps} steps: it is to be cut in the middle");
    let expected = tallies(&store).await;
    let marked = store.marks("tallies", 10_000).unwrap().len();
    let epoch = Epoch { generation: 1, owner: me };
    let of = |group: u64| expected.get(&(group, LOST)).copied();
    assert_eq!(of(9_999), Some(Tally::opened(epoch)));
    assert_eq!(of(3).map(|tally| tally.value()), Some(13));
    assert_eq!(expected.len(), usize::try_from(GROUPS).unwrap() + 1);
    store.close().await;

    for survives in 0..=steps {
        let disk = Memory::new();
        let store = bereaved(&disk).await;
        adopt(&store, LOST).await.unwrap();
        let healer = healer(&store);
        for _ in 0..survives {
            healer.step().await.unwrap();
        }
        // The next commit never comes back, and the process ends.
        disk.fail_with(Some(StoreError::Stopped { reason: "power cut".into() }));
        if survives < steps {
            healer.step().await.unwrap_err();
        }
        drop(healer);
        store.close().await;
        disk.fail_with(None);
        let store = open(&disk, 2);
        assert_eq!(Recount::under_way(&store).await.unwrap().is_some(), survives < steps, "{survives}");
        heal(&store).await.unwrap();
        assert_eq!(tallies(&store).await, expected, "died after {survives} of {steps} steps");
        assert_eq!(store.marks("tallies", 10_000).unwrap().len(), marked, "all is announced");
        store.close().await;
    }
}

#[tokio::test]
async fn a_comparison_finds_what_differs_and_changes_nothing() {
    let store = bereaved(&Memory::new()).await;
    adopt(&store, LOST).await.unwrap();
    heal(&store).await.unwrap();
    let compared = async |store: &Store| {
        let (healer, mut comparison) = (healer(store), Comparison::default());
        while healer.compare(&mut comparison).await.unwrap() {}
        comparison.owners[&LOST]
    };
    let sound = compared(&store).await;
    assert_eq!((sound.groups, sound.told, sound.counted, sound.differing), (201, 2_500, 2_500, 0));
    // A damaged disk, in effect: a tally that no row stands behind.
    let before = tallies(&store).await;
    let damaged = store.write(|view| {
        let key = (3, LOST);
        let mut tally = view.get::<Tallies>(&key)?.unwrap_or_default();
        view.join::<Tallies>(&key, tally.added_one())?;
        Ok::<_, Abort<Infallible>>(())
    });
    damaged.await.unwrap();
    let found = compared(&store).await;
    assert_eq!((found.told, found.counted, found.differing), (2_501, 2_500, 1));
    assert_eq!(tallies(&store).await.len(), before.len());
    store.close().await;
}

async fn hear(store: &Store, group: u64, owner: ReplicaId, told: Tally) {
    let heard = store.write(move |view| {
        hear_tally::<Elements>(view, &group, owner, told)?;
        Ok::<_, Abort<Infallible>>(())
    });
    heard.await.unwrap();
}

fn of(generation: u32, owner: ReplicaId, added: u64) -> Tally {
    Tally { epoch: Epoch { generation, owner }, added, removed: 0 }
}

/// An heir that was lost had an heir that was lost before it heard of all that the first one had adopted. Nobody tells the
/// third of it any more: everywhere those tallies are the same.
#[tokio::test]
async fn an_heir_takes_over_the_whole_chain() {
    const FIRST_HEIR: ReplicaId = ReplicaId::from_u128(0x20);
    const SECOND_HEIR: ReplicaId = ReplicaId::from_u128(0x30);
    for first_of_chain in [LOST, FIRST_HEIR, SECOND_HEIR] {
        let disk = Memory::new();
        let store = bereaved(&disk).await;
        hear(&store, 1, LOST, of(1, FIRST_HEIR, 1)).await;
        hear(&store, 2, FIRST_HEIR, of(1, SECOND_HEIR, 4)).await;
        adopt(&store, first_of_chain).await.unwrap();
        heal(&store).await.unwrap();
        let owned = store.identity().owned.clone();
        let taken = [LOST, FIRST_HEIR, SECOND_HEIR].map(|replica| owned.epoch_of(replica).is_some());
        let expected = match first_of_chain {
            SECOND_HEIR => [true, true, true],
            FIRST_HEIR => [true, true, false],
            _ => [true, false, false],
        };
        assert_eq!(taken, expected, "{first_of_chain}");
    }
}

/// It had heard what its own lost self had adopted in turn, and of the end of that chain nobody says anything new.
#[tokio::test]
async fn a_restored_heir_takes_over_the_whole_chain() {
    const OTHER: ReplicaId = ReplicaId::from_u128(0x20);
    let disk = Memory::new();
    let store = bereaved(&disk).await;
    let me = store.identity().replica;
    // Of the days that it has forgotten: it was the heir of `OTHER`, which had been the heir of `LOST`.
    hear(&store, 1, LOST, of(1, OTHER, 1)).await;
    hear(&store, 2, OTHER, of(1, me, 4)).await;
    heal(&store).await.unwrap();
    let owned = store.identity().owned.clone();
    assert!(owned.epoch_of(OTHER).is_some() && owned.epoch_of(LOST).is_some(), "{owned:?}");
}
