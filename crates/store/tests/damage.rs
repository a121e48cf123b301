//! A folder that is damaged is refused with a clear error, and left as it was, byte for byte.
//!
//! Damage is made here by flipping bits, cutting files and removing them. What comes of each: either every
//! acknowledged row is there, or the store says that it is damaged. Never fewer rows, never other ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

mod common;

use antiphon_store::{Abort, key};
use common::best::{
    FILLED, FILLER, JOURNAL, Outcome, WRITES, bytes_of, expected, filler, journal_bytes, judge, written,
};
use common::{Tree, tell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

const SEED: u64 = 11;

type Tally = BTreeMap<Outcome, usize>;

fn count(outcomes: &Tally, outcome: Outcome) -> usize {
    outcomes.get(&outcome).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_flipped_bit_in_the_journal_is_noticed() {
    let home = common::quick_home();
    let path = home.path().join("store");
    let ends = written(&path).await;
    let whole = common::tree(&path);
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut places: Vec<(usize, u8)> = (0..250).map(|_| (rng.usize(..ends[60]), rng.u8(..8))).collect();
    // Every byte of a group in the middle, and every bit of the number by which the engine orders it.
    places.extend((ends[30]..ends[31]).map(|place| (place, rng.u8(..8))));
    places.extend((0..64).map(|bit: u8| (ends[40] + 5 + usize::from(bit / 8), bit % 8)));
    let mut outcomes = Tally::new();
    for (place, bit) in &places {
        let mut damaged = whole.clone();
        bytes_of(&mut damaged, JOURNAL)[*place] ^= 1 << bit;
        common::plant(&path, &damaged);
        let what = format!("bit {bit} of byte {place}");
        *outcomes.entry(judge(&path, &damaged, &expected(WRITES), &what).await).or_default() += 1;
    }
    tell(&format!("bits flipped in the journal: {}, {outcomes:?}", places.len()));
    assert_eq!(count(&outcomes, Outcome::Unreadable), 0);
}

#[tokio::test]
async fn a_flipped_bit_in_a_sealed_journal_is_noticed() {
    let home = common::quick_home();
    let path = home.path().join("store");
    let ends = written(&path).await;
    // The engine begins a new journal now and then; the older ones stay until their rows are in tables.
    let mut whole = common::tree(&path);
    let rest = bytes_of(&mut whole, JOURNAL).split_off(ends[45]);
    whole.insert("db/1.jnl".into(), Some(rest));
    common::plant(&path, &whole);
    assert_eq!(judge(&path, &whole, &expected(WRITES), "two journals").await, Outcome::Whole);

    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut outcomes = Tally::new();
    for _ in 0..80 {
        let (place, bit) = (rng.usize(..ends[45]), rng.u8(..8));
        let mut damaged = whole.clone();
        bytes_of(&mut damaged, JOURNAL)[place] ^= 1 << bit;
        common::plant(&path, &damaged);
        let what = format!("bit {bit} of byte {place} of the older journal");
        *outcomes.entry(judge(&path, &damaged, &expected(WRITES), &what).await).or_default() += 1;
    }
    for cut in [0, ends[0], ends[20], ends[45] - 1] {
        let mut damaged = whole.clone();
        bytes_of(&mut damaged, JOURNAL).truncate(cut);
        common::plant(&path, &damaged);
        let what = format!("the older journal cut at {cut}");
        assert_eq!(judge(&path, &damaged, &expected(WRITES), &what).await, Outcome::Refused, "{what}");
    }
    tell(&format!("bits flipped in an older journal: 80, {outcomes:?}"));
    assert_eq!(count(&outcomes, Outcome::Unreadable), 0);
}

#[tokio::test]
async fn a_cut_journal_is_noticed() {
    let home = common::quick_home();
    let path = home.path().join("store");
    let ends = written(&path).await;
    let whole = common::tree(&path);
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut cuts: Vec<usize> = (0..30).map(|_| rng.usize(..ends[60])).collect();
    // At the ends of groups too, where nothing looks torn.
    cuts.extend([0, ends[0], ends[1], ends[59], ends[60] - 1]);
    for cut in cuts {
        let mut damaged = whole.clone();
        bytes_of(&mut damaged, JOURNAL).truncate(cut);
        common::plant(&path, &damaged);
        let outcome = judge(&path, &damaged, &expected(WRITES), &format!("cut at {cut}")).await;
        assert_eq!(outcome, Outcome::Refused, "cut at {cut}");
    }
    let mut damaged = whole.clone();
    damaged.remove(Path::new(JOURNAL));
    common::plant(&path, &damaged);
    assert_eq!(judge(&path, &damaged, &expected(WRITES), "no journal").await, Outcome::Refused);
}

/// The power went in the middle of a group that nobody was told of: the journal ends in a part of it.
#[tokio::test]
async fn a_torn_tail_that_was_not_acknowledged_is_dropped() {
    let home = common::quick_home();
    let path = home.path().join("store");
    let ends = written(&path).await;
    let store = common::open(&path).unwrap();
    let relaxed = store.write_relaxed(|view| {
        view.set(key::index(0x21, &1_u64), vec![b'x'; 12_000]);
        Ok::<_, Abort<Infallible>>(())
    });
    relaxed.await.unwrap();
    store.close().await;
    let (start, end) = (ends[60], journal_bytes(&path));
    let whole = common::tree(&path);
    assert!(end > start + 12_000);

    let mut tails: Vec<(String, Vec<u8>)> = Vec::new();
    let journal = common::tree(&path).remove(Path::new(JOURNAL)).flatten().unwrap();
    for cut in
        [start, start + 1, start + 12, start + 13, start + 20, start + 6_000, end - 13, end - 5, end - 1]
    {
        tails.push((format!("cut at {cut}"), journal[..cut].to_vec()));
        // What was not written is zeros, in a file that was made long beforehand.
        let mut zeros = journal[..cut].to_vec();
        zeros.resize(end + 10_000, 0);
        tails.push((format!("zeros from {cut}"), zeros));
    }
    // The disk took the last blocks and not the ones before.
    for hole in [start..start + 4_096, start + 4_000..start + 8_000] {
        let mut lost = journal.clone();
        lost[hole.clone()].fill(0);
        tails.push((format!("zeros in {hole:?}"), lost));
    }
    for (what, tail) in tails {
        let mut torn = whole.clone();
        *bytes_of(&mut torn, JOURNAL) = tail;
        common::plant(&path, &torn);
        assert_eq!(judge(&path, &torn, &expected(WRITES), &what).await, Outcome::Whole, "{what}");
        let store = common::open(&path).unwrap();
        let found = store.reader().unwrap().bytes(&key::index(0x21, &1_u64)).await.unwrap();
        assert_eq!(found, None, "{what}: none of the torn group");
        store.close().await;
    }
}

/// Rows in tables: the engine moves them there when its journal has grown.
async fn flushed(path: &Path) -> Tree {
    written(path).await;
    let store = common::open(path).unwrap();
    let filling = store.write(|view| {
        (0..FILLER).map(filler).for_each(|(key, value)| view.set(key, value));
        Ok::<_, Abort<Infallible>>(())
    });
    filling.await.unwrap();
    store.close().await;
    fs::write(path.join(FILLED), "").unwrap();
    {
        let database = fjall::Database::builder(path.join("db")).open().unwrap();
        let rows = database.keyspace("rows", fjall::KeyspaceCreateOptions::default).unwrap();
        rows.rotate_memtable_and_wait().unwrap();
    }
    let found = common::tree(path);
    assert!(
        tables(&found).iter().any(|name| name.starts_with("db/keyspaces/1/tables")),
        "rows are in a table"
    );
    found
}

/// The engine's files but for its journals and its lock.
fn tables(tree: &Tree) -> Vec<PathBuf> {
    let files = tree.iter().filter(|(_, bytes)| bytes.as_ref().is_some_and(|bytes| !bytes.is_empty()));
    files.map(|(name, _)| name.clone()).filter(|name| name.starts_with("db/keyspaces")).collect()
}

#[tokio::test]
async fn a_flipped_bit_in_a_table_is_noticed() {
    let home = common::quick_home();
    let path = home.path().join("store");
    let whole = flushed(&path).await;
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut outcomes = Tally::new();
    let mut flips = 0;
    for file in tables(&whole) {
        let flips_here = if file.starts_with("db/keyspaces/1/tables") { 200 } else { 30 };
        for _ in 0..flips_here {
            let mut damaged = whole.clone();
            let bytes = bytes_of(&mut damaged, file.to_str().unwrap());
            let (place, bit) = (rng.usize(..bytes.len()), rng.u8(..8));
            bytes[place] ^= 1 << bit;
            common::plant(&path, &damaged);
            let what = format!("bit {bit} of byte {place} of {}", file.display());
            *outcomes.entry(judge(&path, &damaged, &expected(WRITES), &what).await).or_default() += 1;
            flips += 1;
        }
    }
    tell(&format!("bits flipped in tables: {flips}, {outcomes:?}"));
}

#[tokio::test]
async fn a_missing_file_is_noticed_and_the_others_are_kept() {
    let home = common::quick_home();
    let path = home.path().join("store");
    let whole = flushed(&path).await;
    let mut outcomes = Tally::new();
    let engine = whole.iter().filter(|(name, bytes)| name.starts_with("db") && bytes.is_some());
    for (file, _) in engine {
        let mut damaged = whole.clone();
        damaged.remove(file);
        common::plant(&path, &damaged);
        let what = format!("{} is missing", file.display());
        *outcomes.entry(judge(&path, &damaged, &expected(WRITES), &what).await).or_default() += 1;
    }
    tell(&format!("files removed: {outcomes:?}"));

    let without_folder = |folder: &str| -> Tree {
        whole
            .iter()
            .filter(|(name, _)| !name.starts_with(folder))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    for folder in ["db", "db/keyspaces/0", "db/keyspaces/1", "db/keyspaces"] {
        let damaged = without_folder(folder);
        common::plant(&path, &damaged);
        let outcome = judge(&path, &damaged, &expected(WRITES), &format!("{folder} is missing")).await;
        assert_eq!(outcome, Outcome::Refused, "{folder} is missing");
    }
}
