//! A real browser, and what it makes of a page.

use super::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Chromium on this machine, if there is one.
pub(crate) fn browser() -> Option<PathBuf> {
    let places = ["/usr/bin", "/usr/local/bin", "/snap/bin"];
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let candidates = places.iter().flat_map(|place| names.map(|name| Path::new(place).join(name)));
    candidates.into_iter().find(|path| path.exists())
}

/// The page as the browser has it after its scripts have run.
pub(crate) fn dom(browser: &Path, url: &str) -> String {
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
