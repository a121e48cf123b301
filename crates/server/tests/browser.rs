//! The page in a real browser: the exact number, the list below it, and nothing of a reader's text taken for markup.

mod common;

use common::Platform;
use common::browser::{browser, dom};
use serde_json::json;

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
