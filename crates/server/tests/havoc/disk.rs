//! A disk that is full to the last byte.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::common::Platform;
use crate::scene::try_start;

/// Large enough for four stores, small enough to be filled in a moment.
const SIZE: &str = "size=256m";
/// Most posts until the disk is noticed to be full: what the engine has already reserved fits several.
const POSTS_MAX: usize = 20_000;
/// What is left free at first.
const FREE_BYTES: u64 = 512 << 10;
/// As long as a comment may be: 10,000 characters.
const TEXT_CHARS: usize = 10_000;

/// A small file system in memory, which goes away with this.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None` where this process may not mount one.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => {
                println!("no tmpfs: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("no tmpfs: {error}");
                None
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    /// Until only so many bytes are free.
    fn fill_but(&self, free_bytes: u64) {
        let mut filler = File::create(self.filler()).unwrap();
        let mut piece = vec![7_u8; 1 << 20];
        while !piece.is_empty() {
            match filler.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => piece.truncate(piece.len() / 2),
                Err(error) => panic!("{error}"),
            }
        }
        let length = filler.metadata().unwrap().len();
        filler.set_len(length - free_bytes).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.folder.path().display());
        }
    }
}

fn start(data: &Path) -> Platform {
    // The guard of the free bytes is off: the system itself says that nothing fits any more.
    Platform::start(data, &["--empty"])
}

/// Acknowledged comments of a part, oldest first.
struct Part {
    path: String,
    token: String,
    posted: usize,
}

impl Part {
    /// Posts with a key of its own; the status.
    fn post(&mut self, platform: &Platform, key: usize) -> u16 {
        let text = format!("{key}: {}", "x".repeat(TEXT_CHARS - 20));
        let body = Some(json!({ "text": text }));
        let answer = platform.send("POST", &self.path, Some(&self.token), &format!("key-{key}"), body);
        self.posted += usize::from(answer.status == 201);
        answer.status
    }

    fn listed(&self, platform: &Platform) -> usize {
        platform.list(&format!("{}?flat=true&limit=100", self.path)).len()
    }
}

#[test]
fn a_full_disk_refuses_writes_answers_reads_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        println!("passed over: the guard of the free bytes is tested in serve.rs instead");
        return;
    };
    let platform = start(&disk.data());
    let (_, token) = platform.user("Orla");
    let id = platform.part(&token);
    let mut part = Part { path: format!("/v1/parts/{id}/comments"), token, posted: 0 };
    for key in 0..20 {
        assert_eq!(part.post(&platform, key), 201);
    }
    platform.wait_until_quiet();
    // What is checked before a write is not enough for all that it causes: some of it fails in the engine.
    disk.fill_but(FREE_BYTES);
    let refused = (20..POSTS_MAX).find(|key| part.post(&platform, *key) != 201).unwrap();
    let status = part.post(&platform, refused);
    println!("full after {} comments more: {status}", part.posted - 20);
    assert!((500..=599).contains(&status), "{status}");
    assert_eq!(part.listed(&platform), part.posted, "it answers, and what was refused is not shown");
    assert_eq!(platform.get(&format!("/v1/parts/{id}"))["id"], *id);
    // Dropped: killed with SIGKILL, on a full disk.
    drop(platform);
    match try_start(&disk.data()) {
        Ok(platform) => {
            println!("it starts on the full disk");
            assert_eq!(part.listed(&platform), part.posted, "and answers");
        }
        Err(said) => {
            println!("it does not start on the full disk: {said}");
            assert!(said.contains("No space left") || said.contains("disk is full"), "{said}");
        }
    }
    disk.free();
    let platform = start(&disk.data());
    assert_eq!(part.listed(&platform), part.posted, "what was acknowledged is there");
    assert_eq!(part.post(&platform, refused), 201, "what was refused is taken when it is sent again");
    platform.wait_until_quiet();
    assert_eq!(part.listed(&platform), part.posted);
    let shown = platform.get(&format!("/v1/parts/{id}"))["counts"]["comments"]["count"].clone();
    assert_eq!(shown, part.posted, "and the count is exact");
    assert!(platform.stop().success());
}
