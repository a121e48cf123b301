//! A process that runs out of file handles, while its ledger wants to make itself smaller.

#![allow(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

use std::fs::File;
use std::process::Command;

use antiphon_consumer::audit::{AUDIT_ATTRIBUTE, Ledger, dot_of};
use lattice::Dot;
use queue::{Message, Topic};

const NOTES: u64 = 25;
const DOTS: u64 = 4_000;

/// Every second number of a lane, so that the note is large.
fn note(lane: u64, nth: u64) -> Vec<Dot> {
    let name = |n: u64| format!("{lane:016x}-{}", 2 * (nth * DOTS + n) + 1);
    let dot = |n| dot_of(&Message::new("").with_attribute(AUDIT_ATTRIBUTE, name(n))).unwrap();
    (0..DOTS).map(dot).collect()
}

/// The process with few handles: it takes all but some of them, and notes more than a ledger keeps without rewriting.
#[test]
#[ignore = "it is run, with few handles, by the test below"]
fn child() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let topic = Topic::new("topic").unwrap();
    for free in 0..5 {
        let folder = free.to_string();
        let ledger = Ledger::open(&folder, "a", 7).unwrap();
        let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        taken.truncate(taken.len() - usize::try_from(free).unwrap());
        for nth in 0..NOTES {
            runtime.block_on(ledger.sent(&topic, &note(7, nth))).unwrap();
        }
        drop(taken);
        let noted = Ledger::read_folder(&folder).unwrap().topics();
        assert_eq!(noted, [(topic.clone(), NOTES * DOTS)], "{free} handles were free");
    }
}

#[test]
fn what_is_noted_without_handles_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", r#"ulimit -n 48; exec "$0" --exact child --ignored --nocapture"#])
        .arg(std::env::current_exe().unwrap())
        .current_dir(folder.path())
        .status();
    assert!(status.unwrap().success());
}
