//! What the crash tests share: a test binary that runs itself again as a child with a role, folders as bytes, and the
//! way to tell people something that the test harness does not swallow.

#![allow(dead_code, reason = "every test file uses its own part of this")]

pub(crate) mod best;
pub(crate) mod strace;

use antiphon_store::engine::Pair;
use antiphon_store::{Fjall, FjallConfig, Reader, Row, Scan, SeededWorld, Setup, Store};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Where every test's clock begins, and begins again after each restart: stamps must not repeat all the same.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// The service of every test's store.
pub(crate) const SERVICE: &str = "crash";

const ROLE: &str = "ANTIPHON_STORE_TEST_ROLE";

/// This test binary once more, as a child: it runs its test named `child`, which asks for its [`role`].
pub(crate) fn child(role: &[&str]) -> Command {
    in_role(Command::new(std::env::current_exe().unwrap()), role)
}

/// The child's program and arguments behind another program, which runs it.
pub(crate) fn child_under(mut program: Command, role: &[&str]) -> Command {
    program.arg(std::env::current_exe().unwrap());
    in_role(program, role)
}

fn in_role(mut command: Command, role: &[&str]) -> Command {
    command
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role.join("\n"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// What the parent wants this process to be; `None` in an ordinary test run.
#[expect(clippy::disallowed_methods, reason = "a child is told its role where the harness does not parse it")]
pub(crate) fn role() -> Option<Vec<String>> {
    let role = std::env::var(ROLE).ok()?;
    // The harness has begun a line of its own.
    say("");
    Some(role.split('\n').map(str::to_owned).collect())
}

/// Writes one line to the parent, at once and in one piece.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
}

/// Tells people a figure or what was passed over: the harness shows nothing that a passing test prints.
pub(crate) fn tell(text: &str) {
    writeln!(std::io::stderr().lock(), "    {text}").unwrap_or_default();
}

/// Room enough everywhere, for tests that are not about it.
pub(crate) fn config() -> FjallConfig {
    FjallConfig { cache_bytes: 4 << 20, disk_free_bytes_min: 0 }
}

/// A folder for a test that opens stores by the hundred and does not ask whether the disk has them: in memory, where
/// the machine has such a place, since a sync may take long.
pub(crate) fn quick_home() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A clock that begins anew.
pub(crate) fn world() -> Arc<SeededWorld> {
    Arc::new(SeededWorld::new(1, START_MS))
}

/// Opens the embedded store as these tests do.
pub(crate) fn open(path: &Path) -> Result<Store, antiphon_store::OpenError> {
    Store::open_fjall(path, config(), world(), &Setup::of(SERVICE))
}

/// The engine alone.
pub(crate) fn engine(path: &Path) -> Result<Fjall, antiphon_store::OpenError> {
    Fjall::open(path, config(), SERVICE)
}

/// Every pair under a prefix, page by page.
pub(crate) async fn all(reader: &Reader, prefix: &[u8]) -> Vec<Pair> {
    let mut found: Vec<Pair> = Vec::new();
    loop {
        let mut scan = Scan::prefix(prefix);
        if let Some((last, _)) = found.last() {
            scan = scan.after(last);
        }
        let page = reader.scan(&scan).await.expect("reads");
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// Every row of a kind, page by page.
pub(crate) async fn rows<R: Row<Key: Ord>>(reader: &Reader) -> BTreeMap<R::Key, R::State> {
    let mut found = BTreeMap::new();
    let mut scan = Scan::prefix(&[R::TAG]);
    loop {
        let page = reader.rows::<R>(&scan).await.expect("reads");
        let Some((last, _)) = page.last() else { return found };
        scan = scan.after(&antiphon_store::key::of::<R>(last));
        found.extend(page);
    }
}

/// A folder's files by their names in it, with their bytes; folders as `None`.
pub(crate) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Reads a folder.
pub(crate) fn tree(path: &Path) -> Tree {
    let mut found = Tree::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap().path();
            let name = entry.strip_prefix(path).unwrap().to_owned();
            if entry.is_dir() {
                found.insert(name, None);
                waiting.push(entry);
            } else {
                found.insert(name, Some(fs::read(&entry).unwrap()));
            }
        }
    }
    found
}

/// Makes a folder what [`tree`] read.
pub(crate) fn plant(path: &Path, tree: &Tree) {
    if path.exists() {
        fs::remove_dir_all(path).unwrap();
    }
    fs::create_dir_all(path).unwrap();
    for (name, bytes) in tree {
        match bytes {
            None => fs::create_dir_all(path.join(name)).unwrap(),
            Some(bytes) => fs::write(path.join(name), bytes).unwrap(),
        }
    }
}

/// What differs between two folders, by name: bytes themselves would fill the screen.
pub(crate) fn differences(before: &Tree, after: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        match (before.get(name), after.get(name)) {
            (Some(_), None) => found.push(format!("{} is gone", name.display())),
            (None, Some(_)) => found.push(format!("{} is new", name.display())),
            (Some(old), Some(new)) if old != new => {
                let bytes = |file: &Option<Vec<u8>>| file.as_ref().map_or(0, Vec::len);
                found.push(format!("{} differs ({} and {} bytes)", name.display(), bytes(old), bytes(new)));
            }
            _ => {}
        }
    }
    found
}

/// 41234 as `41,234`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
