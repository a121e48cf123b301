//! A folder that is foreign, of another service or format, in use, or raced for is refused with a clear error, and left
//! as it was, byte for byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

mod common;

use antiphon_store::{OpenError, Setup, Store};
use common::best::{Best, Outcome, WRITES, bytes_of, expected, judge, refused, written};
use lattice::Max;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

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
