//! The real binary with real brokers, on a bad day: killed, paused, cut off, out of disk, with flipped bits.
//!
//! A server and a broker run in processes of their own, a proxy between them. `antiphon replay` posts to the server as
//! many hostile clients would, while a seed decides what is killed (`SIGKILL`), stopped (`SIGSTOP`), cut or swallowed.
//! Then everything is healed, and the checks of `replay` decide: every acknowledged comment is listed, no other is, every
//! count is exact, every promise was kept.
//!
//! The long run, with its figures, for so many seconds of faults:
//! ```text
//! ANTIPHON_HAVOC_SECONDS=300 ANTIPHON_HAVOC_SEED=7 \
//!     cargo test -p antiphon --features nats --test havoc -- --ignored --nocapture
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::time::Duration;

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod faults;
mod flips;
mod rounds;
mod scene;

use rounds::{Figures, havoc};
use scene::{Kind, Scene};

/// A number from the environment of the test.
fn given(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a long run is asked for by its environment")]
    let text = std::env::var(name);
    text.map_or(default, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Plays havoc for some seconds in rounds of so many comments, and requires that nothing was lost and nothing is wrong.
async fn survives(kind: Kind, seed: u64, how_long: Duration, comments: usize) -> Option<Figures> {
    println!("havoc with {kind:?}: ANTIPHON_HAVOC_SEED={seed}, for {how_long:?}");
    let scene = Scene::start(kind).await?;
    let figures = havoc(&scene, seed, how_long, comments).await;
    println!("{figures}");
    scene.end().await;
    assert!(figures.kills > 0 && figures.acknowledged > 0, "nothing was played: {figures}");
    assert_eq!((figures.lost, figures.wrong), (0, 0), "seed {seed}: {figures}");
    Some(figures)
}

/// Seconds of faults in a usual run.
const SHORT: Duration = Duration::from_secs(15);
const SEED: u64 = 7;
/// Comments of a round. The long run has long ones: after each there is a wait for the leases of what was killed.
const COMMENTS: usize = 2_000;
const COMMENTS_LONG: usize = 8_000;

#[tokio::test(flavor = "multi_thread")]
async fn over_nats_nothing_is_lost_and_nothing_is_wrong() {
    survives(Kind::Nats, given("ANTIPHON_HAVOC_SEED", SEED), SHORT, COMMENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_embedded_queue_nothing_is_lost_and_nothing_is_wrong() {
    survives(Kind::Embedded, given("ANTIPHON_HAVOC_SEED", SEED), SHORT, COMMENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: see the top of this file"]
async fn an_hours_kills_in_minutes() {
    let (seed, seconds) = (given("ANTIPHON_HAVOC_SEED", SEED), given("ANTIPHON_HAVOC_SECONDS", 300));
    let half = Duration::from_secs(seconds / 2);
    let mut all = Figures::default();
    for kind in [Kind::Nats, Kind::Embedded] {
        let Some(figures) = survives(kind, seed, half, COMMENTS_LONG).await else { continue };
        all = all.and(&figures);
    }
    println!("altogether: {all}");
}
