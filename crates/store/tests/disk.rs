//! A full disk: writes say so and leave nothing behind, reads go on, and what was acknowledged is there afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

mod common;

use antiphon_store::{Abort, FjallConfig, OpenError, Row, Scan, Setup, Store, StoreError, WriteError, key};
use common::best::Best;
use common::tell;
use lattice::Max;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::Command;

const TEXT_TAG: u8 = 0x21;

/// Bytes that no compression makes smaller.
fn text(n: u64, length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(n);
    (0..length).map(|_| rng.u8(..)).collect()
}

async fn write(store: &Store, n: u64, length: usize) -> Result<(), StoreError> {
    let text = text(n, length);
    let write = store.write(move |view| {
        view.join::<Best>(&n, Max(n))?;
        view.set(key::index(TEXT_TAG, &n), text.clone());
        view.mark::<Best>("best", &n)?;
        Ok::<_, Abort<Infallible>>(())
    });
    write.await.map_err(WriteError::into_store)
}

async fn stored(store: &Store) -> Vec<u64> {
    let reader = store.reader().unwrap();
    let rows = reader.rows::<Best>(&Scan::prefix(&[Best::TAG])).await.unwrap();
    rows.into_iter().map(|(id, _)| id).collect()
}

fn open(path: &Path, disk_free_bytes_min: u64) -> Result<Store, OpenError> {
    let config = FjallConfig { disk_free_bytes_min, ..common::config() };
    Store::open_fjall(path, config, common::world(), &Setup::of(common::SERVICE))
}

/// A file system of its own, in memory and of a size.
struct Disk {
    home: tempfile::TempDir,
}

impl Disk {
    /// None, and said so, where this process may not mount one.
    fn of_mib(mib: u32, what: &str) -> Option<Self> {
        let disk = Self { home: tempfile::tempdir().unwrap() };
        match disk.mount(&format!("size={mib}m")) {
            Ok(()) => Some(disk),
            Err(why) => {
                tell(&format!("PASSED OVER: {what}, since no small disk can be mounted: {why}"));
                None
            }
        }
    }

    fn mount(&self, options: &str) -> Result<(), String> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "antiphon-test"]).arg(self.home.path());
        let output = mount.output().map_err(|error| format!("mount does not start: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        output
            .status
            .success()
            .then_some(())
            .ok_or_else(|| said.lines().next().unwrap_or_default().to_owned())
    }

    fn grow_to_mib(&self, mib: u32) {
        self.mount(&format!("remount,size={mib}m")).expect("a mounted disk grows");
    }

    fn path(&self) -> &Path {
        self.home.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Fails where nothing was mounted.
        drop(Command::new("umount").arg("-l").arg(self.home.path()).output());
    }
}

#[tokio::test]
async fn a_disk_that_is_almost_full_takes_no_writes_and_answers_reads() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let store = open(&path, 0).unwrap();
    write(&store, 1, 100).await.unwrap();
    store.close().await;

    let minimum = u64::MAX / 2;
    let store = open(&path, minimum).unwrap();
    let sequence = *store.committed().borrow();
    let error = write(&store, 2, 100).await.unwrap_err();
    let StoreError::DiskFull { free_bytes, needed_bytes } = error else { panic!("{error:?}") };
    assert!(free_bytes < needed_bytes && needed_bytes > minimum, "{error}");
    let told = error.to_string();
    assert!(told.contains(&free_bytes.to_string()) && told.contains(&needed_bytes.to_string()), "{told}");
    assert_eq!(stored(&store).await, [1], "reads go on");
    assert_eq!(
        (store.outbox_depth(), *store.committed().borrow()),
        ((1, false), sequence),
        "and nothing moved"
    );
    store.close().await;

    let store = open(&path, 0).unwrap();
    assert_eq!(stored(&store).await, [1]);
    write(&store, 3, 100).await.unwrap();
    store.close().await;

    // There is no room for a new store's identity either, and that is what it says.
    let new = open(&home.path().join("new"), minimum).map(drop).unwrap_err();
    assert!(matches!(new, OpenError::Io { .. }), "{new:?}");
    open(&home.path().join("new"), 0).unwrap().close().await;
}

#[tokio::test]
async fn when_there_is_room_again_writes_work_again() {
    let Some(disk) = Disk::of_mib(40, "that writes work again when there is room") else { return };
    let store = open(&disk.path().join("store"), 16 << 20).unwrap();
    write(&store, 1, 1_000).await.unwrap();
    let ballast = disk.path().join("ballast");
    for turn in 0..3 {
        fs::write(&ballast, vec![1; 30 << 20]).unwrap();
        for _ in 0..3 {
            let error = write(&store, 2 + turn, 1_000).await.unwrap_err();
            let StoreError::DiskFull { free_bytes, needed_bytes } = error else { panic!("{error:?}") };
            assert!(free_bytes < 10 << 20 && needed_bytes > 16 << 20, "{error}");
        }
        assert_eq!(stored(&store).await, (1..2 + turn).collect::<Vec<_>>(), "nothing of them is stored");
        fs::remove_file(&ballast).unwrap();
        write(&store, 2 + turn, 1_000).await.expect("there is room again");
    }
    assert_eq!(stored(&store).await, [1, 2, 3, 4]);
    store.close().await;
    let store = open(&disk.path().join("store"), 16 << 20).unwrap();
    assert_eq!(stored(&store).await, [1, 2, 3, 4], "and all of it is on the disk");
    store.close().await;
}

#[tokio::test]
async fn a_disk_that_runs_out_loses_nothing_that_was_acknowledged() {
    const LENGTH: usize = 200_000;
    let Some(disk) = Disk::of_mib(24, "what happens when the disk really runs out") else { return };
    let path = disk.path().join("store");
    let store = open(&path, 0).unwrap();
    let mut acknowledged = Vec::new();
    let mut error = None;
    for n in 1..=200 {
        match write(&store, n, LENGTH).await {
            Ok(()) => acknowledged.push(n),
            Err(full) => {
                error = Some(full);
                break;
            }
        }
    }
    let error = error.expect("200 writes of 200 kB do not fit into 24 MiB");
    assert!(matches!(error, StoreError::DiskFull { .. } | StoreError::Stopped { .. }), "{error:?}");
    assert!(acknowledged.len() > 50, "{} writes fit", acknowledged.len());
    for n in 1_000..1_003 {
        let again = write(&store, n, LENGTH).await.expect_err("and it stays so");
        assert!(matches!(again, StoreError::DiskFull { .. } | StoreError::Stopped { .. }), "{again:?}");
    }
    assert_eq!(stored(&store).await, acknowledged, "reads go on, and show what was acknowledged");
    store.close().await;

    // Opening it while there is no room may be refused, but not as damage: nothing is damaged.
    match open(&path, 0) {
        Ok(store) => store.close().await,
        Err(OpenError::Io { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{source:?}");
        }
        Err(other) => panic!("{other:?}"),
    }

    disk.grow_to_mib(64);
    let store = open(&path, 0).unwrap();
    let found = stored(&store).await;
    assert!(found.starts_with(&acknowledged), "every acknowledged write is there");
    // What was refused with an unknown outcome is there whole or not at all.
    assert!(found.len() <= acknowledged.len() + 1, "{} and {}", found.len(), acknowledged.len());
    let reader = store.reader().unwrap();
    for n in &found {
        let bytes = reader.bytes(&key::index(TEXT_TAG, n)).await.unwrap().expect("with its text");
        assert!(bytes[..] == text(*n, LENGTH), "write {n}");
    }
    drop(reader);
    write(&store, 2_000, LENGTH).await.expect("and it goes on");
    tell(&format!(
        "writes until the disk was full: {}, found afterwards: {}",
        acknowledged.len(),
        found.len()
    ));
    store.close().await;
}
