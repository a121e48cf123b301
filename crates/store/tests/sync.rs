//! No answer leaves before the sync that covers it, proven by the system calls that were made.
//!
//! Killing a process proves nothing about syncs, since the page cache survives it. So a child writes under `strace`,
//! each write with a key that occurs nowhere else, and says that key when it is answered. The trace must show, in this
//! order: the write of that key into a journal returned, a sync of that journal began, it returned without an error,
//! the answer was said. The checker is tested on traces by hand, and on the same child with its syncs taken out: a net
//! that has never caught anything is not known to be a net.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy knows tests, and not their helpers"
)]

mod common;

use antiphon_store::engine::{Batch, Durability, Engine, Snapshot};
use antiphon_store::{Abort, Fjall, Setup, Store, StoreError};
use common::strace::Event;
use common::{strace, tell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const WRITERS: usize = 8;
const WRITES: usize = 40;

/// What a key begins with that is said when its write is answered.
const MARKER: &str = "marker-";
const MARKER_DIGITS: usize = 32;

/// What a trace shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// Answers that were said.
    answers: usize,
    /// Journal syncs that returned.
    syncs: usize,
    /// Answers that were said too early.
    early: Vec<String>,
}

/// Holds every answer in a trace to the sync that covers it.
fn check(trace: &str) -> Report {
    let mut report = Report::default();
    // By journal: what was written, and is not synced.
    let mut written: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut synced: BTreeSet<&str> = BTreeSet::new();
    let mut calls: BTreeMap<&str, Call<'_>> = BTreeMap::new();
    for event in strace::events(trace) {
        match event {
            Event::Began { thread, name, arguments } => {
                let Some((number, path)) = strace::descriptor(arguments) else { continue };
                let call = match name {
                    "fsync" | "fdatasync" => {
                        // What is written while it runs may have come too late for it.
                        Call::Sync(written.get(path).cloned().unwrap_or_default(), path)
                    }
                    _ if number == 1 => {
                        for marker in markers(arguments) {
                            report.answers += 1;
                            if !synced.contains(marker) {
                                report.early.push(marker.to_owned());
                            }
                        }
                        continue;
                    }
                    _ => Call::Write(arguments, path),
                };
                if is_journal(path) {
                    calls.insert(thread, call);
                }
            }
            Event::Returned { thread, result } => match calls.remove(thread) {
                Some(Call::Write(arguments, path)) if wrote_all(arguments, result) => {
                    written.entry(path).or_default().extend(markers(arguments));
                }
                Some(Call::Sync(covered, path)) if result == 0 => {
                    report.syncs += 1;
                    written.entry(path).or_default().retain(|marker| !covered.contains(marker));
                    synced.extend(covered);
                }
                _ => {}
            },
        }
    }
    report
}

enum Call<'t> {
    Write(&'t str, &'t str),
    Sync(BTreeSet<&'t str>, &'t str),
}

fn is_journal(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "jnl")
}

/// A write that took a part of its bytes wrote none of its markers, as far as we know.
fn wrote_all(arguments: &str, result: i64) -> bool {
    let asked = arguments.rsplit(", ").next().and_then(|length| length.parse::<i64>().ok());
    result >= 0 && asked == Some(result)
}

fn markers(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(MARKER).filter_map(|(at, _)| {
        let marker = text.get(at..at + MARKER.len() + MARKER_DIGITS)?;
        marker[MARKER.len()..].bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(marker)
    })
}

mod checker {
    use super::*;

    const ONE: &str = "marker-00000000000000000000000000000001";
    const TWO: &str = "marker-00000000000000000000000000000002";

    /// A trace from lines in which `ONE` and `TWO` stand for markers.
    fn report(lines: &[&str]) -> (usize, usize, Vec<String>) {
        let trace = lines.join("\n").replace("ONE", ONE).replace("TWO", TWO);
        let Report { answers, syncs, early } = check(&trace);
        let name = |marker: String| if marker == ONE { "ONE".to_owned() } else { "TWO".to_owned() };
        (answers, syncs, early.into_iter().map(name).collect())
    }

    fn in_order(lines: &[&str]) -> bool {
        let (answers, _, early) = report(lines);
        assert_eq!(answers, 1);
        early.is_empty()
    }

    const WRITE: &str = r#"7 write(5</d/0.jnl>, "\1\0ONE\3FJL\3", 99) = 99"#;
    const SYNC: &str = "7 fdatasync(5</d/0.jnl>) = 0";
    const ANSWER: &str = r#"8 write(1<pipe:[9]>, "ack ONE\n", 44) = 44"#;

    #[test]
    fn write_then_sync_then_answer_is_right() {
        assert!(in_order(&[WRITE, SYNC, ANSWER]));
        assert!(in_order(&[WRITE, "7 fsync(5</d/0.jnl>) = 0", ANSWER]));
        assert_eq!(report(&[WRITE, SYNC, ANSWER]), (1, 1, vec![]));
    }

    #[test]
    fn any_other_order_is_wrong() {
        assert!(!in_order(&[ANSWER]), "never written");
        assert!(!in_order(&[WRITE, ANSWER]), "never synced");
        assert!(!in_order(&[WRITE, ANSWER, SYNC]), "answered first");
        assert!(!in_order(&[SYNC, WRITE, ANSWER]), "synced first");
        assert!(!in_order(&[ANSWER, WRITE, SYNC]), "answered before it was written");
    }

    #[test]
    fn a_sync_that_failed_or_was_of_another_file_covers_nothing() {
        assert!(!in_order(&[WRITE, "7 fdatasync(5</d/0.jnl>) = -1 EIO (Input/output error)", ANSWER]));
        assert!(!in_order(&[WRITE, "7 fdatasync(6</d/1.jnl>) = 0", ANSWER]));
        assert!(!in_order(&[WRITE, "7 fdatasync(6</d/SYNCED>) = 0", ANSWER]));
        assert!(!in_order(&[&WRITE.replace("0.jnl", "table"), &SYNC.replace("0.jnl", "table"), ANSWER]));
    }

    #[test]
    fn a_write_that_failed_or_was_cut_short_is_not_covered() {
        assert!(!in_order(&[&WRITE.replace("= 99", "= 12"), SYNC, ANSWER]));
        assert!(!in_order(&[&WRITE.replace("= 99", "= -1 ENOSPC (No space left on device)"), SYNC, ANSWER]));
    }

    #[test]
    fn calls_of_other_threads_come_in_between() {
        let [began, done] = ["7 fdatasync(5</d/0.jnl> <unfinished ...>", "7 <... fdatasync resumed>) = 0"];
        let [answering, answered] =
            [r#"8 write(1<pipe:[9]>, "ack ONE\n", 44 <unfinished ...>"#, "8 <... write resumed>) = 44"];
        assert!(in_order(&[WRITE, began, done, answering, answered]));
        assert!(!in_order(&[WRITE, began, answering, done, answered]), "said while the sync ran");
        assert!(!in_order(&[WRITE, began, answering, answered, done]));
        assert!(!in_order(&[began, WRITE, done, ANSWER]), "written while the sync ran");
        let [writing, wrote] =
            [r#"6 write(5</d/0.jnl>, "ONE", 99 <unfinished ...>"#, "6 <... write resumed>) = 99"];
        assert!(in_order(&[writing, wrote, began, done, ANSWER]));
        assert!(
            !in_order(&[writing, began, wrote, done, ANSWER]),
            "the sync began before the write was done"
        );
        assert!(!in_order(&[WRITE, began, "7 +++ killed by SIGKILL +++", ANSWER]));
    }

    #[test]
    fn one_sync_covers_what_was_written_before_it() {
        let two = WRITE.replace("ONE", "TWO");
        let both = r#"8 write(1<pipe:[9]>, "ack ONE\nack TWO\n", 88) = 88"#;
        assert_eq!(report(&[WRITE, &two, SYNC, both]), (2, 1, vec![]));
        assert_eq!(report(&[WRITE, SYNC, &two, both]), (2, 1, vec!["TWO".to_owned()]));
    }
}

/// The engine with its syncs taken out, to see that the checker notices.
#[derive(Debug)]
struct NeverSynced(Fjall);

impl Engine for NeverSynced {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.0.snapshot()
    }

    fn commit(&self, batch: Batch, _durability: Durability) -> Result<(), StoreError> {
        self.0.commit(batch, Durability::Relaxed)
    }
}

#[test]
fn child() {
    let Some(role) = common::role() else { return };
    let engine = common::engine(Path::new(&role[0])).unwrap();
    let setup = Setup::of(common::SERVICE);
    let store = match role[1].as_str() {
        "synced" => Store::open(engine, common::world(), &setup),
        _ => Store::open(NeverSynced(engine), common::world(), &setup),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(write_and_say(store.unwrap()));
}

async fn write_and_say(store: Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            let mut rng = fastrand::Rng::with_seed(u64::try_from(writer).unwrap());
            for _ in 0..WRITES {
                let marker = format!("{MARKER}{:032x}", rng.u128(..));
                let key = [&[0x20], marker.as_bytes()].concat();
                // Now and then one that does not fit the journal's buffer.
                let value = vec![b'v'; if rng.u8(..) < 16 { 20_000 } else { rng.usize(..200) }];
                let write = move |view: &mut antiphon_store::View<'_>| {
                    view.set(key.clone(), value.clone());
                    Ok::<_, Abort<Infallible>>(())
                };
                // Relaxed writes in between are promised nothing, and must not spoil what is.
                if rng.u8(..) < 64 {
                    store.write_relaxed(write).await.unwrap();
                } else {
                    store.write(write).await.unwrap();
                    common::say(&format!("ack {marker}"));
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    store.close().await;
}

fn trace(mode: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let (path, out) = (home.path().join("store"), home.path().join("trace"));
    let mut program = Command::new("strace");
    program
        .args(["-f", "-y", "-s", "1000000"])
        .args(["-e", "trace=write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync", "-o"])
        .arg(&out);
    let output = common::child_under(program, &[path.to_str().unwrap(), mode]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Bytes that are no text are escaped.
    std::fs::read_to_string(out).unwrap()
}

#[test]
fn no_answer_leaves_before_its_sync() {
    if let Some(why) = strace::why_not() {
        tell(&format!("PASSED OVER: that no answer leaves before its sync is not proven here, since {why}"));
        return;
    }
    let report = check(&trace("synced"));
    tell(&format!(
        "answers {}, journal syncs {}, answers before their sync {}",
        report.answers,
        report.syncs,
        report.early.len()
    ));
    assert!(report.answers > WRITERS * WRITES / 2, "{report:?}");
    assert!(report.syncs > 0 && report.syncs < report.answers, "answers share syncs: {report:?}");
    assert_eq!(report.early, Vec::<String>::new());

    let without = check(&trace("relaxed"));
    tell(&format!("with the sync taken out: answers {}, too early {}", without.answers, without.early.len()));
    assert_eq!(without.answers, report.answers);
    assert!(!without.early.is_empty(), "the checker sees that the sync is missing");
}
