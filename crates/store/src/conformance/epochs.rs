//! Cases of a replica that becomes somebody else, and counts again.

use super::{Done, Element, Elements, Home, Tallies, open, open_in, post};
use crate::{
    Abort, Healer, Heard, Recount, Scan, Step, Store, WriteError, adopt, ensure_counted, hear_tally,
    join_counted, key, owners, renew_restored,
};
use lattice::{Epoch, Life, Min, ReplicaId, Tally};
use std::convert::Infallible;

const LOST: ReplicaId = ReplicaId::from_u128(7);

async fn join(store: &Store, id: u128, element: Element) {
    let joined = store.write(move |view| -> Done {
        join_counted::<Elements>(view, &id, element.clone()).map(drop).map_err(Into::into)
    });
    joined.await.expect("joined");
}

async fn tally(store: &Store, group: u64, owner: ReplicaId) -> Option<Tally> {
    store.reader().expect("reads").get::<Tallies>(&(group, owner)).await.expect("reads")
}

async fn hear(store: &Store, group: u64, owner: ReplicaId, told: Tally) -> Heard {
    let heard = store.write(move |view| {
        hear_tally::<Elements>(view, &group, owner, told).map_err(Abort::<Infallible>::from)
    });
    heard.await.expect("heard")
}

async fn heal(store: &Store) -> Vec<Step> {
    let healer = Healer::new(store.clone()).counting::<Elements>();
    let mut steps = Vec::new();
    loop {
        match healer.step().await.expect("heals") {
            Step::Idle => return steps,
            step => steps.push(step),
        }
        assert!(steps.len() < 1_000, "it ends");
    }
}

const fn told(generation: u32, owner: ReplicaId, added: u64, removed: u64) -> Tally {
    Tally { epoch: Epoch { generation, owner }, added, removed }
}

pub(super) async fn identity_changes_with_its_commit(home: &impl Home) {
    let store = open(home);
    let (old, fresh, refused) = (store.identity(), ReplicaId::from_u128(70), ReplicaId::from_u128(71));
    let renewing = store.write(move |view| {
        let before = view.mint(None);
        view.renew(fresh)?;
        view.adopt(LOST, 3)?;
        let after = view.mint(None);
        Ok::<_, Abort<Infallible>>((before, after, view.replica()))
    });
    let refusing = store.write(move |view| {
        let found = view.replica();
        view.renew(refused)?;
        view.disown(LOST)?;
        view.mint(None);
        Err::<(), _>(Abort::Refused((found, view.replica())))
    });
    let behind = store.write(|view| Ok::<_, Abort<Infallible>>((view.replica(), view.mint(None))));
    let (renewing, refusing, behind) = tokio::join!(renewing, refusing, behind);
    let (before, after, replica) = renewing.expect("renewed");
    assert_eq!((before.replica, after.replica, replica), (old.replica, fresh, fresh));
    assert!(before < after, "the clock goes on");
    assert!(matches!(refusing, Err(WriteError::Refused(seen)) if seen == (fresh, refused)), "{refusing:?}");
    let (found, last) = behind.expect("written");
    assert_eq!((found, last.replica), (fresh, fresh), "what was refused is rolled back alone");
    assert!(after < last);
    store.close().await;
    let store = open(home);
    let again = store.identity();
    assert_eq!((again.replica, &again.deployment), (fresh, &old.deployment));
    let owned: Vec<_> = again.owned.iter().collect();
    let epoch = |generation, owner| Epoch { generation, owner };
    let mut expected =
        vec![(LOST, epoch(3, fresh)), (fresh, epoch(0, fresh)), (old.replica, epoch(0, old.replica))];
    expected.sort_unstable();
    assert_eq!(owned, expected, "the old tallies are written on until they are adopted");
    let stamp = store.write(|view| Ok::<_, Abort<Infallible>>(view.mint(None))).await.expect("minted");
    assert!(last < stamp && stamp.replica == fresh);
    store.close().await;
}

pub(super) async fn scans_inside_a_write_see_its_group(home: &impl Home) {
    let store = open(home);
    let set = |numbers: std::ops::Range<u64>| {
        store.write(move |view| -> Done {
            numbers.clone().for_each(|n| view.set(key::index(0x26, &n), vec![1]));
            Ok(())
        })
    };
    set(0..20).await.expect("written");
    let neighbour = store.write(|view| -> Done {
        view.remove(key::index(0x26, &3_u64));
        view.set(key::index(0x26, &30_u64), vec![2]);
        Ok(())
    });
    let scanning = store.write(|view| {
        view.remove(key::index(0x26, &4_u64));
        view.remove(key::index(0x26, &30_u64));
        view.set(key::index(0x26, &25_u64), vec![3]);
        let all = Scan::prefix(&[0x26]);
        let mut keys = Vec::new();
        for scan in
            [all.clone().limit(6), all.clone().reversed().limit(3), all.after(&key::index(0x26, &17_u64))]
        {
            let found = view.scan(&scan)?;
            keys.push(
                found.iter().filter_map(|(key, _)| key::read_index::<u64>(0x26, key)).collect::<Vec<_>>(),
            );
        }
        Ok::<_, Abort<Infallible>>(keys)
    });
    let (neighbour, found) = tokio::join!(neighbour, scanning);
    neighbour.expect("written");
    assert_eq!(
        found.expect("scanned"),
        [vec![0, 1, 2, 5, 6, 7], vec![25, 19, 18], vec![18, 19, 25]],
        "what it and its neighbour wrote and removed"
    );
    store.close().await;
}

pub(super) async fn an_heir_counts_again(home: &impl Home) {
    let store = open(home);
    let me = store.identity().replica;
    for id in 0..300 {
        // Group 0 is not announced; the lost one's elements are in groups 1 to 100.
        join(&store, id, post(5, LOST, u64::try_from(id % 100).expect("small") + 1)).await;
    }
    join(&store, 0, Element { post: Min::default(), life: Life::Gone }).await;
    assert_eq!(tally(&store, 1, LOST).await, None, "not ours to count");
    // Told by somebody who knew it: one group is empty by now.
    assert_eq!(hear(&store, 555, LOST, told(4, LOST, 9, 1)).await, Heard::News);
    assert_eq!(owners(&store).await.expect("reads")[&LOST].epoch, Epoch { generation: 4, owner: LOST });
    let adopted = adopt(&store, LOST).await.expect("adopted");
    assert_eq!(adopted.adopted[&LOST], Epoch { generation: 5, owner: me }, "above all that was heard");
    assert!(matches!(adopt(&store, LOST).await, Err(WriteError::Refused(_))), "once");
    // A write that comes before the recount counts its group first, and moves it then.
    join(&store, 400, post(6, LOST, 42)).await;
    assert_eq!(tally(&store, 42, LOST).await, Some(told(5, me, 4, 0)));
    // So does somebody who asks, and an own state of before is not joined.
    assert_eq!(hear(&store, 43, LOST, told(4, LOST, 900, 0)).await, Heard::Behind);
    assert_eq!(tally(&store, 43, LOST).await, Some(told(5, me, 3, 0)));
    let healer = Healer::new(store.clone()).counting::<Elements>();
    assert!(matches!(healer.step().await.expect("counts"), Step::Counted(_)));
    drop(healer);
    store.close().await;
    let store = open(home);
    assert!(Recount::under_way(&store).await.expect("reads").is_some(), "a start goes on with it");
    let steps = heal(&store).await;
    assert!(matches!(steps.last(), Some(Step::Complete(_))), "{steps:?}");
    assert_eq!(Recount::under_way(&store).await.expect("reads"), None);
    for group in 1..=100 {
        let expected = match group {
            1 => told(5, me, 2, 0),
            42 => told(5, me, 4, 0),
            _ => told(5, me, 3, 0),
        };
        assert_eq!(tally(&store, group, LOST).await, Some(expected), "group {group}");
    }
    assert_eq!(tally(&store, 555, LOST).await, Some(told(5, me, 0, 0)), "the empty one too");
    assert_eq!(store.marks("tallies", 1_000).expect("reads").len(), 101, "and all are announced");
    // What the lost one was itself the heir of, of which nobody had told yet when it was adopted.
    let before = ReplicaId::from_u128(6);
    assert_eq!(hear(&store, 888, before, told(2, LOST, 5, 1)).await, Heard::News);
    heal(&store).await;
    assert_eq!(tally(&store, 888, before).await, Some(told(3, me, 0, 0)), "inherited, and counted again");
    // A rival was made an heir too, and won, and was lost: what it took over has no other heir than its own.
    let rival = ReplicaId::from_u128(u128::MAX);
    adopt(&store, rival).await.expect("adopted");
    heal(&store).await;
    assert_eq!(hear(&store, 1, LOST, told(5, rival, 1, 0)).await, Heard::Replaced);
    heal(&store).await;
    assert_eq!(tally(&store, 1, LOST).await, Some(told(6, me, 2, 0)), "not left to nobody");
    // One whose elements arrived, and no tally: lost, it is known all the same.
    let silent = ReplicaId::from_u128(0x51);
    join(&store, 500, post(8, silent, 999)).await;
    let known = owners(&store).await.expect("reads");
    assert_eq!(known[&silent].epoch, Epoch { generation: 0, owner: silent });
    let stranger = ReplicaId::from_u128(5);
    assert_eq!(hear(&store, 888, stranger, told(0, stranger, 5, 1)).await, Heard::News);
    assert_eq!(heal(&store).await, [], "a stranger's are not");
    // A group that only somebody else remembered.
    assert_eq!(hear(&store, 777, LOST, told(3, LOST, 5, 0)).await, Heard::Behind);
    assert_eq!(tally(&store, 777, LOST).await, Some(told(6, me, 0, 0)));
    store.close().await;
}

pub(super) async fn a_replica_meets_its_own_future(home: &impl Home) {
    let store = open(home);
    let me = store.identity().replica;
    join(&store, 1, post(5, me, 10)).await;
    assert_eq!(hear(&store, 10, me, told(0, me, 1, 0)).await, Heard::Known);
    assert_eq!(hear(&store, 10, me, told(0, me, 0, 0)).await, Heard::Behind);
    assert_eq!(heal(&store).await, [], "nothing is wrong");
    assert_eq!(hear(&store, 10, me, told(0, me, 3, 1)).await, Heard::Ahead);
    assert_eq!(tally(&store, 10, me).await, Some(told(0, me, 1, 0)), "never joined");
    store.close().await;

    let store = open(home);
    let healer = Healer::new(store.clone()).counting::<Elements>();
    healer.step().await.expect_err("entropy that repeats itself gives no new id");
    drop(healer);
    store.close().await;
    let store = open_in(home, 2);
    let steps = heal(&store).await;
    let fresh = store.identity().replica;
    assert_ne!(fresh, me, "{steps:?}");
    assert_eq!(tally(&store, 10, me).await, Some(told(1, fresh, 1, 0)), "what is here, one generation on");
    join(&store, 2, post(6, fresh, 10)).await;
    assert_eq!(tally(&store, 10, fresh).await, Some(told(0, fresh, 1, 0)));

    // An heir took us for lost; its id is greater, or its generation.
    let rival = ReplicaId::from_u128(u128::MAX);
    assert_eq!(hear(&store, 10, fresh, told(1, rival, 1, 0)).await, Heard::Replaced);
    assert_eq!(tally(&store, 10, fresh).await, Some(told(1, rival, 1, 0)));
    let owned_still = store
        .write(move |view| ensure_counted::<Elements>(view, &10, fresh).map_err(Abort::<Infallible>::from));
    assert_eq!(owned_still.await.expect("read"), None, "not moved any more, healed or not");
    heal(&store).await;
    let identity = store.identity();
    assert_ne!(identity.replica, fresh, "it goes on under another id");
    assert_eq!(identity.owned.epoch_of(fresh), None);
    join(&store, 3, post(7, fresh, 10)).await;
    assert_eq!(tally(&store, 10, fresh).await, Some(told(1, rival, 1, 0)), "the heir counts it");

    // A stamp in our name that was never minted tells the same as a tally.
    let me = store.identity().replica;
    let future =
        lattice::Stamp { hlc: lattice::Hlc::new(1 << 45, 0), replica: me, lane: lattice::Lane::default() };
    store
        .write(move |view| -> Done {
            let ours = view.mint(None);
            view.observe(ours);
            Ok(())
        })
        .await
        .expect("observed");
    assert_eq!(heal(&store).await, [], "one that was minted is no reason");
    store
        .write(move |view| -> Done {
            view.observe(future);
            Ok(())
        })
        .await
        .expect("observed");
    heal(&store).await;
    assert_ne!(store.identity().replica, me);

    let before = store.identity();
    let renewed = renew_restored(&store).await.expect("renewed");
    assert_eq!(renewed.renewed, Some(store.identity().replica));
    assert_eq!(renewed.adopted.len(), before.owned.iter().count(), "all that it wrote is counted again");
    heal(&store).await;
    store.close().await;
}
