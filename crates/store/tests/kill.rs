//! A writing process is killed again and again, and nothing that it had acknowledged is missing.
//!
//! Each write of the child joins two rows that must stay equal, counts itself in two more, keeps its stamp, and marks
//! itself in the outbox, from which a relay clears it and notes that in the same write. So a group that was half
//! written, a stamp that was minted twice and a mark that was lost each break an equation here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

mod common;

use antiphon_store::{Abort, Mark, Row, Store, key};
use common::{say, tell, thousands};
use lattice::Max;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const KILLS: u64 = 30;
const WRITERS: usize = 64;
const SEED: u64 = 7;

/// The rows of one write, which are equal or both absent.
struct Left;
impl Row for Left {
    const TAG: u8 = 0x20;
    const NAME: &'static str = "left";
    type Key = u64;
    type State = Max<u64>;
}

struct Right;
impl Row for Right {
    const TAG: u8 = 0x21;
    const NAME: &'static str = "right";
    type Key = u64;
    type State = Max<u64>;
}

/// Two counts of all writes, read and written by each.
struct Count;
impl Row for Count {
    const TAG: u8 = 0x22;
    const NAME: &'static str = "count";
    type Key = u8;
    type State = Max<u64>;
}

const STAMP_TAG: u8 = 0x23;
const TEXT_TAG: u8 = 0x24;
const TOLD_TAG: u8 = 0x25;
const TOPIC: &str = "left";

fn value(id: u64) -> u64 {
    fastrand::Rng::with_seed(id).u64(1..)
}

/// From none to more than the journal's buffer holds, half of it compressible.
fn text(id: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(!id);
    let length = if rng.u8(..) == 0 { 20_000 } else { rng.usize(..300) };
    if rng.bool() { vec![b'a'; length] } else { (0..length).map(|_| rng.u8(..)).collect() }
}

#[test]
fn child() {
    let Some(role) = common::role() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(write_until_killed(Path::new(&role[0]), role[1].parse().unwrap()));
}

async fn write_until_killed(path: &Path, round: u64) {
    say("opening");
    let store = common::open(path).expect("a killed store opens");
    let reader = store.reader().unwrap();
    let counts = reader.get_many::<Count>(&[0, 1]).await.unwrap();
    drop(reader);
    assert_eq!(counts[0], counts[1], "half a group");
    say(&format!("open {}", counts[0].map_or(0, |count| count.0)));
    let next = Arc::new(AtomicU64::new(round << 32));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (store, next) = (store.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed);
                let stamp = write(&store, id).await;
                say(&format!("ack {id} {stamp}"));
            }
        });
    }
    tasks.spawn(relay(store));
    let ended = tasks.join_next().await;
    panic!("no task ends: {ended:?}");
}

async fn write(store: &Store, id: u64) -> lattice::Stamp {
    let text = text(id);
    store
        .write(move |view| {
            let stamp = view.mint(None);
            let stamp_key = key::index(STAMP_TAG, &stamp);
            if view.bytes(&stamp_key)?.is_some() {
                return Err(Abort::Refused(format!("{stamp} was minted twice")));
            }
            view.set(stamp_key, id.to_be_bytes().to_vec());
            view.join::<Left>(&id, Max(value(id)))?;
            for side in [0, 1] {
                let Max(count) = view.get::<Count>(&side)?.unwrap_or_default();
                view.join::<Count>(&side, Max(count + 1))?;
            }
            view.set(key::index(TEXT_TAG, &id), text.clone());
            view.join::<Right>(&id, Max(value(id)))?;
            view.mark::<Left>(TOPIC, &id)?;
            Ok(stamp)
        })
        .await
        .expect("written")
}

/// Tells of what is marked: clears the mark, and notes it in the same write.
async fn relay(store: Store) {
    let mut news = store.committed();
    loop {
        let marks = store.marks(TOPIC, 100).unwrap();
        if marks.is_empty() {
            news.changed().await.unwrap();
            continue;
        }
        store
            .write(move |view| {
                for mark in &marks {
                    view.clear_mark(mark)?;
                    view.set(key::index(TOLD_TAG, &row_of(mark)), mark.version.to_be_bytes().to_vec());
                }
                Ok::<_, Abort<Infallible>>(())
            })
            .await
            .expect("told");
    }
}

fn row_of(mark: &Mark) -> u64 {
    key::read::<Left>(&mark.row).expect("a row of this kind")
}

/// When to kill.
enum Moment {
    /// While it opens, after so many turns of a loop.
    Opening(u32),
    /// After so many acknowledged writes.
    Acknowledged(usize),
}

/// Runs one child until its moment; what it acknowledged goes to `acknowledged`.
fn run_and_kill(path: &Path, round: u64, moment: &Moment, acknowledged: &mut BTreeMap<u64, String>) {
    let before = acknowledged.len();
    let mut child = common::child(&[path.to_str().unwrap(), &round.to_string()]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut line, mut alive) = (Vec::new(), true);
    while lines.read_until(b'\n', &mut line).unwrap() > 0 {
        // A line without an end was not yet said.
        let said = String::from_utf8_lossy(&line).strip_suffix('\n').unwrap_or_default().to_owned();
        line.clear();
        let words: Vec<_> = said.split(' ').collect();
        let now = match (words.as_slice(), moment) {
            (["ack", id, stamp], moment) => {
                let double = acknowledged.insert(id.parse().unwrap(), (*stamp).to_owned());
                assert_eq!(double, None, "write {id} was acknowledged twice");
                matches!(moment, Moment::Acknowledged(writes) if acknowledged.len() - before >= *writes)
            }
            (["open", count], _) => {
                let count: usize = count.parse().unwrap();
                assert!(
                    count >= acknowledged.len(),
                    "{count} writes found, {} acknowledged",
                    acknowledged.len()
                );
                false
            }
            (["opening"], Moment::Opening(turns)) => {
                (0..*turns).for_each(|_| std::hint::spin_loop());
                true
            }
            _ => false,
        };
        if now && alive {
            child.kill().unwrap();
            alive = false;
        }
    }
    let status = child.wait().unwrap();
    assert!(!alive && status.code().is_none(), "round {round}: the child ended by itself: {status}");
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut acknowledged = BTreeMap::new();
    for round in 0..KILLS {
        let moment = match round % 6 {
            5 => Moment::Opening(rng.u32(..2_000_000)),
            _ => Moment::Acknowledged(rng.usize(1..2_500)),
        };
        run_and_kill(&path, round, &moment, &mut acknowledged);
    }
    let lost = verify(&path, &acknowledged).await;
    let checked = thousands(acknowledged.len());
    tell(&format!("kills {KILLS}, acknowledged writes {checked}, lost {}", lost.len()));
    assert_eq!(lost, Vec::<u64>::new());
}

/// Checks every equation; the acknowledged writes that are missing.
async fn verify(path: &Path, acknowledged: &BTreeMap<u64, String>) -> Vec<u64> {
    let store = common::open(path).expect("a killed store opens");
    let reader = store.reader().unwrap();
    let left = common::rows::<Left>(&reader).await;
    assert_eq!(left, common::rows::<Right>(&reader).await, "no pair is half written");
    let stored = u64::try_from(left.len()).unwrap();
    let counts = reader.get_many::<Count>(&[0, 1]).await.unwrap();
    assert_eq!(
        counts,
        [Some(Max(stored)), Some(Max(stored))],
        "each write counted itself once, in both counts"
    );

    let stamps: BTreeMap<u64, lattice::Stamp> = common::all(&reader, &[STAMP_TAG])
        .await
        .iter()
        .map(|(stamp, id)| {
            let id = u64::from_be_bytes(id[..].try_into().unwrap());
            (id, key::read_index(STAMP_TAG, stamp).expect("a stamp"))
        })
        .collect();
    assert!(stamps.keys().eq(left.keys()), "each write has a stamp of its own");
    let answered: BTreeSet<_> = acknowledged.values().collect();
    assert_eq!(answered.len(), acknowledged.len(), "no two answers have one stamp");

    let texts = common::all(&reader, &[TEXT_TAG]).await;
    assert_eq!(texts.len(), left.len(), "each write has its text");
    for (id, found) in &texts {
        assert!(text(key::read_index(TEXT_TAG, id).unwrap()) == found[..], "a text is another one");
    }

    let told = common::all(&reader, &[TOLD_TAG]).await;
    let told: BTreeSet<u64> = told.iter().map(|(id, _)| key::read_index(TOLD_TAG, id).unwrap()).collect();
    // Kept marks are keyed by topic, a zero byte, and the row.
    let prefix = [&[key::OUTBOX_TAG], TOPIC.as_bytes(), &[0]].concat();
    let marks = common::all(&reader, &prefix).await;
    let marked: BTreeSet<u64> = marks
        .iter()
        .map(|(mark, _)| key::read::<Left>(&mark[prefix.len()..]).expect("a marked row"))
        .collect();
    assert!(told.is_disjoint(&marked), "what was told is not marked any more");
    assert!(told.union(&marked).eq(left.keys()), "each write was told, or is still marked");
    let mirrored: BTreeSet<u64> = store.marks(TOPIC, usize::MAX).unwrap().iter().map(row_of).collect();
    assert_eq!(mirrored, marked, "the mirror is the outbox");

    let lost = acknowledged.iter().filter(|(id, stamp)| {
        left.get(*id) != Some(&Max(value(**id)))
            || stamps.get(*id).map(ToString::to_string).as_ref() != Some(*stamp)
    });
    lost.map(|(id, _)| *id).collect()
}
