//! Bits that flip in stored files while nothing runs: noticed, with the place; then healed from a backup.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{Platform, antiphon, run};
use crate::scene::try_start;

/// Comments before and after the backup.
const COMMENTS: [usize; 2] = [60, 40];
/// Who tells a story of one part each.
const NAMES: [&str; 3] = ["Orla", "Bran", "Cass"];
/// Damaged copies of the folder.
const ROUNDS: u64 = 24;
/// Bits that flip in each.
const FLIPS_MAX: usize = 6;
const SEED: u64 = 20_160_728;

/// What was written: parts, each with the token of its author.
struct Book {
    parts: Vec<(String, String)>,
}

impl Book {
    fn begin(platform: &Platform) -> Self {
        let part = |name: &&str| {
            let (_, token) = platform.user(name);
            (platform.part(&token), token)
        };
        Self { parts: NAMES.iter().map(part).collect() }
    }

    /// Posts from key to key, and deletes every tenth.
    fn write(&self, platform: &Platform, keys: std::ops::Range<usize>) {
        for key in keys {
            let (part, token) = &self.parts[key % self.parts.len()];
            let path = format!("/v1/parts/{part}/comments");
            let body = Some(json!({ "text": format!("comment {key}") }));
            let answer = platform.send("POST", &path, Some(token), &format!("k{key}"), body);
            assert_eq!(answer.status, 201, "{}", answer.body);
            if key % 10 == 9 {
                let id = answer.json()["comment"]["id"].as_str().unwrap().to_owned();
                let path = format!("/v1/comments/{id}");
                let gone = platform.send("DELETE", &path, Some(token), &format!("d{key}"), None);
                assert_eq!(gone.status, 200, "{}", gone.body);
            }
        }
    }

    /// Of each part the comments, and the count that Stories shows; or what was answered instead.
    fn seen(&self, platform: &Platform) -> Result<Vec<(Vec<String>, Value)>, String> {
        let get = |path: &str| {
            let answer = platform.send("GET", path, None, "", None);
            if answer.status == 200 { Ok(answer.json()) } else { Err(answer.body) }
        };
        let one = |(part, _): &(String, String)| {
            // All of them fit into a page.
            let page = get(&format!("/v1/parts/{part}/comments?flat=true&limit=100"))?;
            assert_eq!(page["next"], Value::Null);
            let ids = page["items"].as_array().unwrap().iter();
            let ids = ids.map(|comment| comment["id"].as_str().unwrap().to_owned()).collect();
            let shown = get(&format!("/v1/parts/{part}"))?;
            Ok((ids, shown["counts"]["comments"]["count"].clone()))
        };
        self.parts.iter().map(one).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// Every stored file of the services, in the order of their names.
fn stored(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["comments", "stories", "users"].map(|service| folder.join(service).join("db")).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.len() > 0 {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Flips bits where there is something: an engine reserves room that holds nothing. Which service it was in.
fn flip(folder: &Path, rng: &mut fastrand::Rng) -> String {
    let files = stored(folder);
    let file = &files[rng.usize(..files.len())];
    let mut bytes = fs::read(file).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    for _ in 0..rng.usize(1..=FLIPS_MAX) {
        bytes[rng.usize(..used)] ^= 1 << rng.u8(..8);
    }
    fs::write(file, bytes).unwrap();
    let inside = file.strip_prefix(folder).unwrap();
    println!("bits flip in {}", inside.display());
    inside.components().next().unwrap().as_os_str().to_str().unwrap().to_owned()
}

#[test]
fn flipped_bits_are_noticed_where_they_are_and_healed() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, backup) = (scratch.path().join("data"), scratch.path().join("backup"));
    let platform = Platform::start(&data, &["--empty"]);
    let book = Book::begin(&platform);
    book.write(&platform, 0..COMMENTS[0]);
    platform.wait_until_quiet();
    assert!(platform.stop().success());
    copy(&data, &backup);
    let platform = Platform::start(&data, &["--empty"]);
    book.write(&platform, COMMENTS[0]..COMMENTS.iter().sum());
    platform.wait_until_quiet();
    let right = book.seen(&platform).unwrap();
    // Killed: its journals are as a crash leaves them.
    drop(platform);

    let mut rng = fastrand::Rng::with_seed(SEED);
    let (mut noticed, mut unharmed) = (0, 0);
    for round in 0..ROUNDS {
        let damaged = scratch.path().join(format!("damaged-{round}"));
        copy(&data, &damaged);
        let service = flip(&damaged, &mut rng);
        match try_start(&damaged) {
            Err(said) => {
                assert!(said.contains(damaged.join(&service).to_str().unwrap()), "it says where: {said}");
                noticed += 1;
            }
            Ok(platform) => match book.seen(&platform) {
                Ok(seen) => {
                    assert_eq!(seen, right, "round {round}: wrong, and nobody noticed");
                    unharmed += 1;
                    drop(platform);
                    fs::remove_dir_all(&damaged).unwrap();
                    continue;
                }
                Err(said) => {
                    println!("noticed by a reader: {said}");
                    noticed += 1;
                }
            },
        }
        heals(&book, &damaged, &backup, &service, &mut rng);
        fs::remove_dir_all(&damaged).unwrap();
    }
    println!("{ROUNDS} damaged folders: {noticed} noticed and healed, {unharmed} unharmed, 0 wrong");
    assert!(noticed > 0, "nothing was played");
}

/// The service's folder comes from the backup, and counts again; then lists and counts agree, also for what is posted now.
fn heals(book: &Book, data: &Path, backup: &Path, service: &str, rng: &mut fastrand::Rng) {
    fs::remove_dir_all(data.join(service)).unwrap();
    copy(&backup.join(service), &data.join(service));
    let (output, text) = run(antiphon().args(["recount", service, "--data"]).arg(data));
    assert!(output.status.success(), "{text}");
    let platform = Platform::start(data, &["--empty"]);
    let from = 1_000 + rng.usize(..1_000_000);
    book.write(&platform, from..from + 20);
    for _ in 0..600 {
        let seen = book.seen(&platform).unwrap();
        if seen.iter().all(|(listed, shown)| *shown == listed.len()) {
            assert!(platform.stop().success());
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    panic!("{service} was restored, and the counts are not what is listed: {:?}", book.seen(&platform));
}
