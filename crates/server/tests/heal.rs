//! Restored backups and lost replicas, with real processes: what the operator's commands do, and what a server does when
//! nobody told it.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where a panic is the verdict"
)]

mod common;

use common::{Platform, antiphon};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.unwrap(), to);
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn command(args: &[&str], data: &Path) -> Output {
    antiphon().args(args).arg("--data").arg(data).output().unwrap()
}

fn recounted(args: &[&str], data: &Path) -> Value {
    let output = command(args, data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A platform with a part; comments are posted on it and deleted from it under names.
struct Scene {
    platform: Platform,
    part: String,
    token: String,
}

impl Scene {
    fn begin(data: &Path) -> Self {
        let platform = Platform::start(data, &["--empty", "--anti-entropy", "1"]);
        let (_, token) = platform.user("Orla");
        let part = platform.part(&token);
        Self { platform, part, token }
    }

    fn post(&self, name: &str) -> String {
        let path = format!("/v1/parts/{}/comments", self.part);
        let body = json!({ "text": name });
        for _ in 0..200 {
            let answer = self.platform.send("POST", &path, Some(&self.token), name, Some(body.clone()));
            // Until Comments has heard of the key that signs tokens.
            if answer.status != 503 {
                assert_eq!(answer.status, 201, "{}", answer.body);
                return answer.json()["comment"]["id"].as_str().unwrap().to_owned();
            }
            std::thread::park_timeout(Duration::from_millis(25));
        }
        panic!("comments stay unavailable");
    }

    fn delete(&self, id: &str) {
        let answer = self.platform.send("DELETE", &format!("/v1/comments/{id}"), Some(&self.token), "", None);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    fn listed(&self) -> usize {
        self.platform.list(&format!("/v1/parts/{}/comments?flat=true", self.part)).len()
    }

    /// What Stories shows.
    fn shown(&self) -> u64 {
        let part = self.platform.get(&format!("/v1/parts/{}", self.part));
        part["counts"]["comments"]["count"].as_u64().unwrap()
    }

    /// Waits until Stories shows so many. Bounded: what heals, heals within seconds.
    fn wait_until_shown(&self, count: u64) {
        for _ in 0..1_200 {
            if self.shown() == count {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        panic!("Stories goes on showing {} for {count}: {}", self.shown(), self.platform.get("/status"));
    }

    fn replica(&self) -> String {
        self.platform.get("/status")["services"]["comments"]["replica"].as_str().unwrap().to_owned()
    }

    fn proof(&self, of: &str) -> Value {
        self.platform.get(&format!("/v1/parts/{}/{of}/proof", self.part))
    }
}

/// Three comments, a backup of Comments, and then days that it does not know: four more, and one of the three deleted.
fn set_back(data: &Path) -> Scene {
    let scene = Scene::begin(data);
    let first = scene.post("first");
    scene.post("second");
    scene.post("third");
    scene.platform.wait_until_quiet();
    let Scene { platform, part, token } = scene;
    assert!(platform.stop().success());
    copy(&data.join("comments"), &data.join("../backup"));
    let platform = Platform::start(data, &["--empty", "--anti-entropy", "1"]);
    let scene = Scene { platform, part, token };
    for name in ["fourth", "fifth", "sixth", "seventh"] {
        scene.post(name);
    }
    scene.delete(&first);
    scene.platform.wait_until_quiet();
    assert_eq!((scene.listed(), scene.shown()), (6, 6));
    scene
}

fn restore(data: &Path) {
    fs::remove_dir_all(data.join("comments")).unwrap();
    copy(&data.join("../backup"), &data.join("comments"));
}

#[test]
fn a_restored_folder_is_recounted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let scene = set_back(&data);
    let in_use = command(&["recount"], &data);
    let told = String::from_utf8_lossy(&in_use.stderr);
    assert!(!in_use.status.success() && told.contains("stop the server"), "{told}");
    let old = scene.replica();
    let Scene { platform, part, token } = scene;
    assert!(platform.stop().success());
    restore(&data);
    let dry = recounted(&["recount", "comments", "--dry-run", "--json"], &data);
    assert_eq!(dry[0]["lines"][0]["differing"], 0, "a backup agrees with itself: {dry}");
    let report = recounted(&["recount", "comments", "--json"], &data);
    assert_eq!((&report[0]["renewed_from"], &report[0]["lines"][0]["after"]), (&json!(old), &json!(3)));
    let platform = Platform::start(&data, &["--empty", "--anti-entropy", "1"]);
    let scene = Scene { platform, part, token };
    scene.wait_until_shown(3);
    assert_eq!(scene.listed(), 3);
    // Who repeats a request gets the comment again, under its old id, counted once.
    scene.post("fourth");
    scene.post("fourth");
    scene.wait_until_shown(4);
    assert_eq!((scene.listed(), scene.replica() == old), (4, false));
    let (told, counted) = (scene.proof("comment-count"), scene.proof("comment-counts"));
    assert_eq!(told["count"], counted["count"]);
    assert_eq!(told["digest"], counted["digest"], "the same tallies at both");
    assert_eq!(told["count"]["tallies"][&old]["epoch"]["generation"], 1, "{told}");
}

#[test]
fn a_restored_folder_of_which_nobody_told_meets_its_future() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let scene = set_back(&data);
    let old = scene.replica();
    let Scene { platform, part, token } = scene;
    assert!(platform.stop().success());
    restore(&data);
    let platform = Platform::start(&data, &["--empty", "--anti-entropy", "1"]);
    let scene = Scene { platform, part, token };
    scene.post("eighth");
    scene.wait_until_shown(4);
    assert_eq!(scene.listed(), 4, "three of the backup, and the new one");
    assert_ne!(scene.replica(), old, "it goes on under another name");
    let metrics = scene.platform.send("GET", "/metrics", None, "", None).body;
    assert!(metrics.contains("antiphon_lost_data_total{service=\"comments\"} 1"), "it is told loudly");
}

#[test]
fn a_lost_store_has_an_heir() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let scene = Scene::begin(&data);
    for name in ["first", "second"] {
        scene.post(name);
    }
    scene.wait_until_shown(2);
    let lost = scene.replica();
    let Scene { platform, part, token } = scene;
    assert!(platform.stop().success());
    // The disk is gone; a new store is begun, and nothing is left of the comments but what Stories was told.
    let none = command(&["adopt", &lost], &folder.path().join("nowhere"));
    assert_eq!(none.status.code(), Some(2), "{}", String::from_utf8_lossy(&none.stderr));
    fs::remove_dir_all(data.join("comments")).unwrap();
    let site = data.join("antiphon.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&site).unwrap()).unwrap();
    json["stores"].as_array_mut().unwrap().retain(|name| name != "comments");
    fs::write(&site, json.to_string()).unwrap();
    let scene = Scene { platform: Platform::start(&data, &["--empty", "--anti-entropy", "1"]), part, token };
    scene.post("third");
    scene.wait_until_shown(3);
    assert_eq!(scene.listed(), 1, "the lost ones are counted, and by nobody");
    let Scene { platform, part, token } = scene;
    assert!(platform.stop().success());
    let unheard = command(&["adopt", &"9".repeat(32)], &data);
    let told = String::from_utf8_lossy(&unheard.stderr);
    assert!(unheard.status.success() && told.contains("is here yet"), "perhaps mistyped: {told}");
    let report = recounted(&["adopt", &lost, "--json"], &data);
    assert_eq!(report[0]["service"], "comments", "{report}");
    let again = command(&["adopt", &lost], &data);
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && told.contains("counts it already"), "{told}");
    let scene = Scene { platform: Platform::start(&data, &["--empty", "--anti-entropy", "1"]), part, token };
    scene.wait_until_shown(1);
    let writers = &scene.platform.get("/status")["services"]["comments"]["writers"];
    assert_eq!(writers[&lost]["here"], true, "{writers}");
}
