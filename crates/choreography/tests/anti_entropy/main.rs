//! Anti-entropy between two stores over what loses messages.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

mod forged;
mod pair;

use antiphon_choreography::Cover;
use consumer::{Context, Handler as _};
use lattice::{Hlc, Lww, Stamp};
use messages::{Fact as _, Profile, ProfileFact, TallyFact, UserId};
use pair::{Here, Pair, Rows, There, joined, key, put, rows, tally};
use proptest::prelude::*;
use queue::{Envelope, EnvelopeData, Message, Subscription};
use std::convert::Infallible;
use store::engine::remote::Remote;
use store::{Abort, Memory, Row, Store, StoreError};
use tokio::time::Instant;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// As many tallies, of parts with ids from a seed.
fn many(count: usize, seed: u64) -> Rows {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| (key(rng.u128(..)), tally(rng.u64(1..1000)))).collect()
}

/// Every so many of them is one comment behind.
fn behind(rows: &Rows, lost: usize) -> Rows {
    let every = rows.len() / lost;
    let behind = |(n, (key, state)): (usize, (&_, &lattice::Tally))| {
        let is_behind = n % every == every / 2 && n / every < lost;
        (*key, if is_behind { tally(state.added - 1) } else { *state })
    };
    rows.iter().enumerate().map(behind).collect()
}

/// Two stores with the same tallies.
async fn equal_pair(count: usize) -> (Pair, Rows) {
    let (pair, all) = (Pair::new(7, 0.0), many(count, 1));
    put::<There>(&pair.there, &all).await;
    put::<Here>(&pair.here, &all).await;
    let began = Instant::now();
    pair.heal_quietly(1).await;
    println!("{count} rows: all of both stores read in {:?}", began.elapsed());
    (pair, all)
}

/// One comment more on so many of the parts, of which the subscriber does not hear: bytes of all messages until it has them.
async fn cost(pair: &Pair, all: &mut Rows, lost: usize) -> usize {
    let every = all.len() / lost;
    let lost_rows: Rows = (all.iter().skip(every / 2).step_by(every).take(lost))
        .map(|(key, state)| (*key, tally(state.added + 1)))
        .collect();
    put::<There>(&pair.there, &lost_rows).await;
    all.extend(&lost_rows);
    pair.wire.reset(0.0);
    // The digest that tells of the difference is counted, the next one comes anyway.
    let rounds = pair.heal_quietly(20).await;
    let (spent, messages) = pair.wire.spent();
    let bytes = pair.wire.bytes();
    println!(
        "{lost} lost updates among {}: {bytes} bytes, {messages} messages, {rounds} rounds, {spent:?}",
        all.len()
    );
    assert!(rows::<Here>(&pair.here).await == *all, "{lost} lost");
    bytes
}

#[tokio::test]
async fn cost_follows_the_difference() {
    let (pair, mut all) = equal_pair(20_000).await;
    for (lost, bytes_max) in [(1, 2_000), (20, 20 * 900), (200, 200 * 450)] {
        let bytes = cost(&pair, &mut all, lost).await;
        assert!(bytes <= bytes_max, "{lost}: {bytes}");
    }
}

/// What cannot be answered now is asked again, so it does not come back by itself: where a disk is broken for long, wants
/// would pile up without end.
#[tokio::test]
async fn a_want_that_cannot_be_answered_is_settled_and_asked_again() {
    let pair = Pair::new(3, 0.0);
    let all = many(100, 3);
    put::<There>(&pair.there, &all).await;
    pair.disk.fail_with(Some(StoreError::DiskFull { free_bytes: 1, needed_bytes: 2 }));
    pair.round().await;
    assert!(rows::<Here>(&pair.here).await.is_empty());
    pair.disk.fail_with(None);
    pair.heal(4).await;
    assert_eq!(rows::<Here>(&pair.here).await, all);
}

/// An engine across a network knows no row before it was asked for: what many rows need is loaded at once.
#[tokio::test]
async fn a_publisher_across_a_network_announces_many_rows_again() {
    let pair = Pair::on::<TallyFact, There, Here>(Remote::new(), Memory::new(), 3, 0.0, Cover::new());
    let all = many(100, 3);
    for (key, state) in &all {
        put::<There>(&pair.there, &Rows::from([(*key, *state)])).await;
    }
    pair.heal(4).await;
    assert_eq!(rows::<Here>(&pair.here).await, all);
}

/// A row that somebody else sent and nobody here understands says nothing of what the publisher has.
#[tokio::test]
async fn what_somebody_else_sent_and_was_refused_differs_from_nobody() {
    let pair = Pair::new(3, 0.0);
    let all = many(100, 3);
    put::<There>(&pair.there, &all).await;
    let stray = [(key(1).to_string(), serde_json::json!("no tally"))].into_iter().collect();
    let mut envelope = Envelope::new("1", format!("/comments/{}", pair::COUNTER), TallyFact::TYPE);
    envelope.deployment = Some(pair.here.identity().deployment.clone());
    envelope.data = EnvelopeData::Json(serde_json::Value::Object(stray));
    let subscription = Subscription::new(pair.link.topic.clone(), "s", "main").unwrap();
    let heard = pair.link.handler.handle(&Message::new(envelope.encode()), &Context::new(subscription)).await;
    heard.unwrap_err();
    pair.heal(4).await;
}

/// `cargo test --release -p antiphon-choreography --test anti_entropy -- --ignored --nocapture among_a_million`
#[tokio::test]
#[ignore = "minutes: the figures of the documentation"]
async fn among_a_million() {
    let (pair, mut all) = equal_pair(1_000_000).await;
    for (lost, bytes_max) in [(1, 2_000), (100, 130_000), (10_000, 6_000_000)] {
        let bytes = cost(&pair, &mut all, lost).await;
        assert!(bytes <= bytes_max, "{lost}: {bytes}");
    }
}

#[tokio::test]
async fn equal_sets_are_silent() {
    let pair = Pair::new(7, 0.0);
    let all = many(3_000, 1);
    put::<There>(&pair.there, &all).await;
    put::<Here>(&pair.here, &all).await;
    for _ in 0..5 {
        pair.round().await;
    }
    let (spent, messages) = pair.wire.spent();
    assert_eq!(spent.keys().collect::<Vec<_>>(), [TallyFact::TOPIC], "nothing is wanted");
    assert_eq!(messages, 5, "a digest a step, and nothing else");
    assert!(pair.is_equal());
    let status = pair.link.heard.all().into_values().next().unwrap();
    assert_eq!((status.rows_here, status.rows_there, status.differing_ranges), (3_000, 3_000, 0));
    assert_eq!(status.exact_as_of_ms, Some(status.told_ms));
}

#[tokio::test]
async fn an_empty_subscriber_gets_everything_and_an_empty_publisher_too() {
    let all = many(5_000, 3);
    for (there, here) in [(all.clone(), Rows::new()), (Rows::new(), all.clone())] {
        let pair = Pair::new(1, 0.0);
        put::<There>(&pair.there, &there).await;
        put::<Here>(&pair.here, &here).await;
        let rounds = pair.heal(20).await;
        println!("{rounds} rounds, {:?}", pair.wire.spent());
        assert_eq!(rows::<Here>(&pair.here).await, all);
        assert_eq!(rows::<There>(&pair.there).await, all);
    }
}

/// Half of all messages are lost for ever, the announcements among them.
#[tokio::test]
async fn half_of_all_messages_may_be_lost() {
    for seed in 0..3 {
        let pair = Pair::new(seed, 0.5);
        let all = many(10_000, seed);
        put::<There>(&pair.there, &all).await;
        put::<Here>(&pair.here, &behind(&all, 300)).await;
        let rounds = pair.heal(200).await;
        println!("seed {seed}: {rounds} rounds, {} bytes", pair.wire.bytes());
        assert!(pair.wire.bytes() < 300 * 4_000, "no search began anew: {}", pair.wire.bytes());
    }
}

/// How many digests it takes when half of all is lost. A digest, a want and an announcement arrive one after the other once in
/// eight times, so luck alone leaves (7/8)^n of the runs waiting after n digests: half of them after 5, 1 % after 34, two in
/// ten thousand after 64. What a subscriber passes over on purpose (`PATIENCE_MAX`) would stand out.
#[tokio::test]
async fn with_half_of_all_lost_nothing_but_luck_is_waited_for() {
    const RUNS: usize = 1_000;
    let mut rounds = Vec::new();
    for seed in 0..RUNS as u64 {
        let (pair, all) = (Pair::new(seed, 0.5), many(5, seed));
        put::<Here>(&pair.here, &behind(&all, 5)).await;
        put::<There>(&pair.there, &all).await;
        rounds.push(pair.heal_quietly(200).await);
    }
    rounds.sort_unstable();
    let (half, most, long) =
        (rounds[RUNS / 2], rounds[RUNS * 99 / 100], rounds.iter().filter(|n| **n > 64).count());
    println!(
        "digests until five rows are healed: {half} in half of {RUNS} runs, {most} in 99 %, {long} above 64"
    );
    assert!(half <= 8 && most <= 45 && long <= 3, "{rounds:?}");
}

/// What only the subscriber has, and the publisher will never take: asked about more and more rarely.
#[tokio::test]
async fn what_cannot_be_healed_is_asked_about_more_and_more_rarely() {
    let refusing = Cover::new().believing(|_, _| Err("not signed".to_owned()));
    let pair = Pair::of::<TallyFact, There, Here>(5, 0.0, refusing);
    let all = many(1_000, 3);
    put::<There>(&pair.there, &all).await;
    put::<Here>(&pair.here, &joined(&all, &many(1, 4))).await;
    let mut messages = Vec::new();
    for _ in 0..4 {
        pair.wire.reset(0.0);
        for _ in 0..100 {
            pair.round().await;
        }
        messages.push(pair.wire.spent().1 - 100);
    }
    assert!(messages[0] <= 3 * 100, "a question and an answer a digest: {messages:?}");
    assert!(messages[3] < messages[0], "{messages:?}");
    // And it holds up nothing else.
    let late = many(1_001, 3);
    put::<There>(&pair.there, &late).await;
    for _ in 0..130 {
        pair.round().await;
    }
    assert_eq!(rows::<Here>(&pair.here).await, joined(&late, &many(1, 4)));
}

struct ProfilesThere;
impl Row for ProfilesThere {
    const TAG: u8 = 0x11;
    const NAME: &'static str = "profile";
    type Key = UserId;
    type State = Profile;
}

struct ProfilesHere;
impl Row for ProfilesHere {
    const TAG: u8 = 0x12;
    const NAME: &'static str = "copy of a profile";
    type Key = UserId;
    type State = Profile;
}

async fn put_profiles<R: Row<Key = UserId, State = Profile>>(store: &Store, profiles: [Profile; 2]) {
    let written = store.write(move |view| {
        for (id, state) in [1, 2].into_iter().zip(&profiles) {
            view.join::<R>(&UserId::from_bytes([id; 16]), state.clone())?;
        }
        Ok::<_, Abort<Infallible>>(())
    });
    written.await.unwrap();
}

/// A row that is too large for a want is announced without its value being told.
#[tokio::test]
async fn large_rows_are_healed_too() {
    let pair = Pair::of::<ProfileFact, ProfilesThere, ProfilesHere>(5, 0.0, Cover::new());
    let profile = |name: String| {
        let at = Stamp { hlc: Hlc::new(u64::try_from(name.len()).unwrap(), 0), ..Stamp::default() };
        Profile { name: Lww::new(at, name), ..Profile::default() }
    };
    let (small, large) = (profile("old".to_owned()), profile("x".repeat(100_000)));
    let old = profile("x".repeat(90_000));
    put_profiles::<ProfilesThere>(&pair.there, [large.clone(), large]).await;
    put_profiles::<ProfilesHere>(&pair.here, [small, old]).await;
    for _ in 0..10 {
        pair.round().await;
    }
    assert!(pair.is_equal(), "{:?}", pair.link.heard.all());
}

fn some_rows() -> impl Strategy<Value = Rows> {
    // Keys that crowd together, and keys far apart.
    let id = prop_oneof![0..400_u128, any::<u128>(), any::<u8>().prop_map(|n| u128::from(n) << 100)];
    prop::collection::btree_map(id.prop_map(key), (0..5_u64).prop_map(tally), 0..500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever either of them lacks, and however much is lost on the way (though not everything): both end with the join.
    #[test]
    fn both_get_what_they_lack(there in some_rows(), here in some_rows(), loss in 0.0..0.7_f64, seed: u64) {
        runtime().block_on(async {
            let pair = Pair::new(seed % 1000, loss);
            put::<There>(&pair.there, &there).await;
            put::<Here>(&pair.here, &here).await;
            pair.heal(400).await;
            prop_assert_eq!(rows::<Here>(&pair.here).await, joined(&there, &here));
            Ok(())
        })?;
    }
}
