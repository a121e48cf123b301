//! The page in a real browser: the exact number, the list below it, and nothing of a reader's text taken for markup.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

mod common;

use common::{Platform, run};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Chromium on this machine, if there is one.
fn browser() -> Option<PathBuf> {
    let places = ["/usr/bin", "/usr/local/bin", "/snap/bin"];
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let candidates = places.iter().flat_map(|place| names.map(|name| Path::new(place).join(name)));
    candidates.into_iter().find(|path| path.exists())
}

/// The page as the browser has it after its scripts have run.
fn dom(browser: &Path, url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=10000",
        "--dump-dom",
    ];
    let mut command = Command::new(browser);
    command.args(flags).arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
    let (output, text) = run(&mut command);
    assert!(output.status.success(), "{text}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_page_shows_the_exact_count_and_the_list_and_runs_nobodys_markup() {
    let Some(browser) = browser() else {
        println!("passed over: there is no Chromium on this machine");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--empty"]);
    let (_, token) = platform.user("<b>Orla</b>");
    let part = platform.part(&token);
    let path = format!("/v1/parts/{part}/comments");
    let markup = "<img src=x onerror=\"document.title='taken'\">";
    let root = platform.send("POST", &path, Some(&token), "root", Some(json!({ "text": markup }))).json();
    let reply = json!({ "text": "a reply", "parent": root["comment"]["id"] });
    assert_eq!(platform.send("POST", &path, Some(&token), "reply", Some(reply)).status, 201);
    platform.wait_until_quiet();

    let dom = dom(&browser, &format!("http://{}/parts/{part}", platform.address));
    assert!(dom.contains("aria-label=\"2 Comments\""), "the exact number is in the tooltip: {dom}");
    assert!(dom.contains("&lt;img src=x onerror="), "text is text: {dom}");
    assert!(!dom.contains("<img src=\"x\"") && !dom.contains("<title>taken"), "{dom}");
    assert!(dom.contains("&lt;b&gt;Orla&lt;/b&gt;"), "and so are names: {dom}");
    assert!(dom.contains("a reply") && dom.contains("Leave a comment"), "{dom}");
    assert!(platform.stop().success());
}
