//! A store of [`Best`] rows whose every row is known, so that a folder can be held to what it was told.

use super::Tree;
use crate::common;
use antiphon_store::{Abort, OpenError, Row, Store, StoreError, key};
use lattice::Max;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;

/// How many groups [`written`] has acknowledged.
pub(crate) const WRITES: u64 = 60;

pub(crate) struct Best;
impl Row for Best {
    const TAG: u8 = 0x20;
    const NAME: &'static str = "best";
    type Key = u64;
    type State = Max<u64>;
}

pub(crate) type Rows = BTreeMap<u64, Max<u64>>;

/// One write: a row of its own, and one that others wrote before.
pub(crate) async fn write(store: &Store, n: u64) -> Result<(), StoreError> {
    let write = store.write(move |view| {
        view.join::<Best>(&n, Max(n))?;
        view.join::<Best>(&shared(n), Max(n))?;
        Ok::<_, Abort<Infallible>>(())
    });
    write.await.map_err(antiphon_store::WriteError::into_store)
}

pub(crate) const fn shared(n: u64) -> u64 {
    1_000 + n % 7
}

pub(crate) fn expected(writes: u64) -> Rows {
    (1..=writes).flat_map(|n| [(n, Max(n)), (shared(n), Max(n))]).collect()
}

/// A store in which [`WRITES`] groups were acknowledged, closed; and where each group ends in its journal.
pub(crate) async fn written(path: &Path) -> Vec<usize> {
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

pub(crate) fn journal_bytes(path: &Path) -> usize {
    usize::try_from(fs::metadata(path.join(JOURNAL)).unwrap().len()).unwrap()
}

pub(crate) const JOURNAL: &str = "db/0.jnl";

pub(crate) fn bytes_of<'t>(tree: &'t mut Tree, name: &str) -> &'t mut Vec<u8> {
    tree.get_mut(Path::new(name)).and_then(Option::as_mut).expect("a file of this name")
}

/// Bytes beside the rows, so that a table has many blocks.
pub(crate) fn filler(n: u64) -> (Vec<u8>, Vec<u8>) {
    let mut rng = fastrand::Rng::with_seed(n);
    (key::index(0x21, &n), (0..1_000).map(|_| rng.u8(..)).collect())
}

pub(crate) const FILLER: u64 = 200;

/// A file that says that a folder has filler.
pub(crate) const FILLED: &str = "filled";

/// What came of a damaged folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Everything is there, and one more write too.
    Whole,
    /// It is open, and some reads say that they cannot.
    Unreadable,
    /// It is not opened, and as it was.
    Refused,
}

/// Opens what is in the folder and holds it to the promise.
pub(crate) async fn judge(path: &Path, before: &Tree, expected: &Rows, what: &str) -> Outcome {
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

/// Opens the folder, which must be refused and left as it was.
pub(crate) fn refused(path: &Path, before: &Tree) -> OpenError {
    let error = common::open(path).map(drop).expect_err("refused");
    assert_eq!(common::differences(before, &common::tree(path)), Vec::<String>::new(), "{error}");
    error
}
