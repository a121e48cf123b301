//! A folder that is damaged, foreign or in use is refused with a clear error, and left as it was, byte for byte.
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

use antiphon_store::{Abort, OpenError, Row, Setup, Store, StoreError, key};
use common::{Tree, tell};
use lattice::Max;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const SEED: u64 = 11;
const WRITES: u64 = 60;

struct Best;
impl Row for Best {
    const TAG: u8 = 0x20;
    const NAME: &'static str = "best";
    type Key = u64;
    type State = Max<u64>;
}

type Rows = BTreeMap<u64, Max<u64>>;

/// One write: a row of its own, and one that others wrote before.
async fn write(store: &Store, n: u64) -> Result<(), StoreError> {
    let write = store.write(move |view| {
        view.join::<Best>(&n, Max(n))?;
        view.join::<Best>(&shared(n), Max(n))?;
        Ok::<_, Abort<Infallible>>(())
    });
    write.await.map_err(antiphon_store::WriteError::into_store)
}

const fn shared(n: u64) -> u64 {
    1_000 + n % 7
}

fn expected(writes: u64) -> Rows {
    (1..=writes).flat_map(|n| [(n, Max(n)), (shared(n), Max(n))]).collect()
}

/// A store in which [`WRITES`] groups were acknowledged, closed; and where each group ends in its journal.
async fn written(path: &Path) -> Vec<usize> {
    let store = common::open(path).unwrap();
    store.close().await;
    // Opened again, the journal is as long as what is in it.
    let store = common::open(path).unwrap();
    let mut ends = vec![journal_bytes(path)];
    for n in 1..=WRITES {
        write(&store, n).await.unwrap();
        ends.push(journal_bytes(path));
    }
    store.close().await;
    ends
}

fn journal_bytes(path: &Path) -> usize {
    usize::try_from(fs::metadata(path.join(JOURNAL)).unwrap().len()).unwrap()
}

const JOURNAL: &str = "db/0.jnl";

fn bytes_of<'t>(tree: &'t mut Tree, name: &str) -> &'t mut Vec<u8> {
    tree.get_mut(Path::new(name)).and_then(Option::as_mut).expect("a file of this name")
}

/// Bytes beside the rows, so that a table has many blocks.
fn filler(n: u64) -> (Vec<u8>, Vec<u8>) {
    let mut rng = fastrand::Rng::with_seed(n);
    (key::index(0x21, &n), (0..1_000).map(|_| rng.u8(..)).collect())
}

const FILLER: u64 = 200;

/// What came of a damaged folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Everything is there, and one more write too.
    Whole,
    /// It is open, and some reads say that they cannot.
    Unreadable,
    /// It is not opened, and as it was.
    Refused,
}

/// Opens what is in the folder and holds it to the promise.
async fn judge(path: &Path, before: &Tree, expected: &Rows, what: &str) -> Outcome {
    let store = match common::open(path) {
        Ok(store) => store,
        Err(OpenError::Corrupt { path: named, detail }) => {
            assert_eq!(named, path, "{what}: people want to know which folder");
            assert!(!detail.is_empty() && !detail.contains('{'), "{what}: {detail:?} is no sentence");
            assert_eq!(
                common::differences(before, &common::tree(path)),
                Vec::<String>::new(),
                "{what}: {detail}"
            );
            return Outcome::Refused;
        }
        Err(error) => panic!("{what}: {error}: {error:?}"),
    };
    let mut outcome = Outcome::Whole;
    let reader = store.reader().unwrap();
    for (id, state) in expected {
        match reader.get::<Best>(id).await {
            Ok(found) => assert_eq!(found, Some(*state), "{what}: row {id}"),
            Err(StoreError::Engine(_)) => outcome = Outcome::Unreadable,
            Err(error) => panic!("{what}: row {id}: {error}"),
        }
    }
    match reader.rows::<Best>(&antiphon_store::Scan::prefix(&[Best::TAG])).await {
        Ok(found) => assert_eq!(found, expected.clone().into_iter().collect::<Vec<_>>(), "{what}: the scan"),
        Err(StoreError::Engine(_)) => outcome = Outcome::Unreadable,
        Err(error) => panic!("{what}: the scan: {error}"),
    }
    let filled = before.contains_key(Path::new(FILLED));
    for n in (0..FILLER).filter(|_| filled) {
        let (key, value) = filler(n);
        match reader.bytes(&key).await {
            Ok(found) => assert!(found.is_some_and(|found| found[..] == value), "{what}: filler {n}"),
            Err(StoreError::Engine(_)) => outcome = Outcome::Unreadable,
            Err(error) => panic!("{what}: filler {n}: {error}"),
        }
    }
    match reader.scan(&antiphon_store::Scan::prefix(&[0x21])).await {
        Ok(found) if filled => {
            assert_eq!(found.len() as u64, FILLER, "{what}: the scan of the filler");
            let right =
                (0..FILLER).zip(found).all(|(n, (key, value))| filler(n) == (key.into(), value.into()));
            assert!(right, "{what}: the scan of the filler");
        }
        Ok(found) => assert!(found.is_empty(), "{what}: nothing was put there"),
        Err(StoreError::Engine(_)) => outcome = Outcome::Unreadable,
        Err(error) => panic!("{what}: the scan of the filler: {error}"),
    }
    drop(reader);
    if outcome == Outcome::Whole {
        let new = 5_000;
        write(&store, new).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        store.close().await;
        let store = common::open(path).unwrap_or_else(|error| panic!("{what}, opened again: {error}"));
        let found = common::rows::<Best>(&store.reader().unwrap()).await;
        let with_new: Rows =
            expected.clone().into_iter().chain([(new, Max(new)), (shared(new), Max(new))]).collect();
        assert!(found == with_new, "{what}: after another write: {found:?}");
        store.close().await;
    } else {
        store.close().await;
    }
    outcome
}

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

/// A file that says that a folder has filler.
const FILLED: &str = "filled";

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

fn refused(path: &Path, before: &Tree) -> OpenError {
    let error = common::open(path).map(drop).expect_err("refused");
    assert_eq!(common::differences(before, &common::tree(path)), Vec::<String>::new(), "{error}");
    error
}

#[tokio::test]
async fn a_folder_that_is_not_ours_is_left_alone() {
    let home = common::quick_home();
    let path = home.path().join("photos");
    fs::create_dir_all(path.join("2024")).unwrap();
    fs::write(path.join("2024/cat.jpg"), "meow").unwrap();
    let before = common::tree(&path);
    let error = refused(&path, &before);
    assert!(matches!(&error, OpenError::Foreign { found, .. } if found == "2024"), "{error:?}");

    // Files that look like ours do not make it ours.
    for name in ["LOCK", "db", "SYNCED"] {
        let path = home.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(name), "somebody else's").unwrap();
        let before = common::tree(&path);
        let error = refused(&path, &before);
        assert!(matches!(&error, OpenError::Foreign { found, .. } if found == name), "{error:?}");
    }

    // What a crash in the middle of making one leaves behind does.
    let path = home.path().join("begun");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("LOCK"), "").unwrap();
    fs::write(path.join("STORE.new"), "{\"antiphon").unwrap();
    common::open(&path).unwrap().close().await;

    let path = home.path().join("file");
    fs::write(&path, "not a folder").unwrap();
    let error = common::open(&path).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), b"not a folder");
}

#[tokio::test]
async fn another_service_and_another_format_are_refused() {
    let home = common::quick_home();
    let path = home.path().join("store");
    written(&path).await;
    let whole = common::tree(&path);
    let other = Store::open_fjall(&path, common::config(), common::world(), &Setup::of("stories"));
    let error = other.map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} is the store of \"crash\", not of \"stories\"", path.display())
    );
    let elsewhere = Setup::of(common::SERVICE).in_deployment("elsewhere");
    let error =
        Store::open_fjall(&path, common::config(), common::world(), &elsewhere).map(drop).unwrap_err();
    assert!(matches!(&error, OpenError::WrongService { path: named, .. } if *named == path), "{error:?}");
    assert_eq!(common::differences(&whole, &common::tree(&path)), Vec::<String>::new());

    for (marker, newer) in [
        ("{\"antiphon_store\":2,\"service\":\"crash\"}\n", true),
        ("{\"antiphon_store\":2,\"service\":\"crash\",\"encrypted\":true}\n", true),
        ("", false),
        ("{\"antiphon_store\":1,\"serv", false),
        ("a shop", false),
    ] {
        let mut changed = whole.clone();
        *bytes_of(&mut changed, "STORE") = marker.into();
        common::plant(&path, &changed);
        let error = refused(&path, &changed);
        let right = match error {
            OpenError::Newer { found: 2, known: 1, .. } => newer,
            OpenError::Corrupt { .. } => !newer,
            _ => false,
        };
        assert!(right, "{marker:?}: {error:?}");
    }
    common::plant(&path, &whole);
    assert_eq!(judge(&path, &whole, &expected(WRITES), "left alone").await, Outcome::Whole);
}

#[test]
fn child() {
    let Some(role) = common::role() else { return };
    let store = common::open(Path::new(&role[0])).unwrap();
    common::say("open");
    // Until the parent lets go.
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    drop(store);
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let home = common::quick_home();
    let path = home.path().join("store");
    written(&path).await;
    for killed in [false, true] {
        let mut child = common::child(&[path.to_str().unwrap()]).stdin(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "open"), "the other process opens it");
        let before = common::tree(&path);
        let error = refused(&path, &before);
        assert_eq!(error.to_string(), format!("{} is in use by another process", path.display()));
        if killed {
            child.kill().unwrap();
        } else {
            child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        }
        child.wait().unwrap();
        let store = common::open(&path).unwrap();
        assert_eq!(common::rows::<Best>(&store.reader().unwrap()).await, expected(WRITES));

        let before = common::tree(&path);
        assert!(matches!(refused(&path, &before), OpenError::Locked { .. }), "in this process too");
        // A reader outlives its store, and the folder is not free before it has gone.
        let reader = store.reader().unwrap();
        store.close().await;
        let before = common::tree(&path);
        let error = refused(&path, &before);
        assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
        assert_eq!(reader.get::<Best>(&1).await.unwrap(), Some(Max(1)));
        drop(reader);
        common::open(&path).unwrap().close().await;
    }
}

#[tokio::test]
async fn of_two_that_make_a_folder_one_gets_it() {
    for _ in 0..20 {
        let home = common::quick_home();
        let path = home.path().join("store");
        let barrier = std::sync::Barrier::new(2);
        let open = |service: &'static str| {
            barrier.wait();
            Store::open_fjall(&path, common::config(), common::world(), &Setup::of(service))
        };
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(|| open("one"));
            let two = scope.spawn(|| open("two"));
            (one.join().unwrap(), two.join().unwrap())
        });
        let (winner, loser) = match (one, two) {
            (Ok(store), Err(error)) | (Err(error), Ok(store)) => (store, error),
            (one, two) => panic!("{one:?} and {two:?}"),
        };
        assert!(matches!(loser, OpenError::Locked { .. } | OpenError::WrongService { .. }), "{loser:?}");
        let service = winner.identity().service.clone();
        winner.close().await;
        let again = Store::open_fjall(&path, common::config(), common::world(), &Setup::of(service.clone()));
        again.unwrap_or_else(|error| panic!("the folder is {service:?}'s: {error}")).close().await;
    }
}
