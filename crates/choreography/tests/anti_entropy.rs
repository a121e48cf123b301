//! Anti-entropy between two stores over what loses messages.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

mod pair;

use messages::{Fact as _, TallyFact};
use pair::{Here, Pair, Rows, There, joined, key, put, rows, tally};
use proptest::prelude::*;

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

/// Bytes of all messages until the subscriber has what it lacked.
async fn cost(count: usize, lost: usize) -> usize {
    let pair = Pair::new(7, 0.0);
    let all = many(count, 1);
    put::<There>(&pair.there, &all).await;
    put::<Here>(&pair.here, &behind(&all, lost)).await;
    pair.wire.reset(0.0);
    // The digest that tells them so is in it; the one that tells that both are equal is not: it comes anyway.
    pair.round().await;
    let (spent, messages) = pair.wire.spent();
    assert_eq!(rows::<Here>(&pair.here).await, all, "{lost} lost of {count}");
    let bytes = pair.wire.bytes();
    println!("{lost} lost updates among {count} rows: {bytes} bytes in {messages} messages, {spent:?}");
    bytes
}

#[tokio::test]
async fn cost_follows_the_difference() {
    let (one, some, many) = (cost(20_000, 1).await, cost(20_000, 20).await, cost(20_000, 200).await);
    assert!(one <= 1_600, "{one}");
    assert!(some <= 20 * 900, "{some}");
    assert!(many <= 200 * 450, "{many}");
}

/// `cargo test --release -p antiphon-choreography --test anti_entropy -- --ignored --nocapture among_a_million`
#[tokio::test]
#[ignore = "a minute: the figures of the documentation"]
async fn among_a_million() {
    for (lost, bytes_max) in [(1, 2_000), (100, 130_000), (10_000, 6_000_000)] {
        let bytes = cost(1_000_000, lost).await;
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
