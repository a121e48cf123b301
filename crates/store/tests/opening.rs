//! A process is killed at each system call of its start, and the next start finds everything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

mod common;

use antiphon_store::{Abort, OpenError, Store};
use common::best::Best;
use common::{Tree, strace, tell};
use lattice::Max;
use std::convert::Infallible;
use std::path::Path;
use std::process::Command;

/// The calls that change a folder, or open what is in it.
const CALLS: &str = "openat,mkdir,write,pwrite64,rename,renameat2,ftruncate,fsync,fdatasync,unlink,unlinkat,rmdir,\
                     link,linkat,flock";

async fn write(store: &Store, n: u64) {
    let write = store.write(move |view| {
        view.join::<Best>(&n, Max(n))?;
        Ok::<_, Abort<Infallible>>(())
    });
    write.await.expect("written");
}

async fn found(store: &Store) -> Vec<u64> {
    common::rows::<Best>(&store.reader().unwrap()).await.into_keys().collect()
}

#[test]
fn child() {
    let Some(role) = common::role() else { return };
    drop(common::open(Path::new(&role[0])));
}

/// Starts on the folder, and is killed at its `call`th system call; false when it came to its end before that.
fn killed_at(path: &Path, call: usize) -> bool {
    let mut program = Command::new("strace");
    program
        .args(["-f", "-o", "/dev/null", "-e", &format!("trace={CALLS}")])
        .args(["-e", &format!("inject={CALLS}:signal=KILL:when={call}")]);
    let output = common::child_under(program, &[path.to_str().unwrap()]).output().unwrap();
    !output.status.success()
}

/// Kills a start on `before` at every `step`th call, and hands what it left to `then`. How many were killed.
async fn kill_everywhere(path: &Path, before: &Tree, step: usize, mut then: impl AsyncFnMut(usize)) -> usize {
    let mut kills = 0;
    for call in (1..).step_by(step) {
        assert!(call < 2_000, "it opens in fewer calls");
        common::plant(path, before);
        if !killed_at(path, call) {
            break;
        }
        kills += 1;
        then(call).await;
    }
    kills
}

#[tokio::test]
async fn a_start_that_is_killed_anywhere_is_made_good_by_the_next() {
    if let Some(why) = strace::why_not() {
        tell(&format!("PASSED OVER: starts are not killed at each of their system calls here, since {why}"));
        return;
    }
    let home = common::quick_home();
    let path = home.path().join("store");

    let new = kill_everywhere(&path, &Tree::new(), 1, async |call| {
        let store =
            common::open(&path).unwrap_or_else(|error| panic!("a first start killed at {call}: {error}"));
        write(&store, 1).await;
        assert_eq!(found(&store).await, [1]);
        store.close().await;
    })
    .await;

    common::plant(&path, &Tree::new());
    let store = common::open(&path).unwrap();
    for n in 1..=20 {
        write(&store, n).await;
    }
    store.close().await;
    common::open(&path).unwrap().close().await;
    let whole = common::tree(&path);
    let old = kill_everywhere(&path, &whole, 3, async |call| {
        let store =
            common::open(&path).unwrap_or_else(|error| panic!("a later start killed at {call}: {error}"));
        assert_eq!(found(&store).await, (1..=20).collect::<Vec<_>>(), "killed at {call}");
        store.close().await;
    })
    .await;

    // The rows are in a table, and the table is gone: the engine itself would take the rest away too.
    {
        let database = fjall::Database::builder(path.join("db")).open().unwrap();
        let rows = database.keyspace("rows", fjall::KeyspaceCreateOptions::default).unwrap();
        rows.rotate_memtable_and_wait().unwrap();
    }
    let mut damaged = common::tree(&path);
    damaged.remove(Path::new("db/keyspaces/1/current")).expect("the engine's list of tables");
    let damaged_kills = kill_everywhere(&path, &damaged, 3, async |call| {
        let error = common::open(&path).map(drop).expect_err("damaged as before");
        assert!(matches!(error, OpenError::Corrupt { .. }), "killed at {call}: {error:?}");
        let changed = common::differences(&damaged, &common::tree(&path));
        assert_eq!(changed, Vec::<String>::new(), "killed at {call}: what can be saved is left");
    })
    .await;
    tell(&format!(
        "starts killed: {new} on a new folder, {old} on an old one, {damaged_kills} on a damaged one"
    ));
    assert!(new > 50 && old > 10 && damaged_kills > 10);
}
