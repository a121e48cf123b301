//! `antiphon chaos`: whatever is turned, the counts meet the lists again, and "+1" does not.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, where a panic is the verdict"
)]

mod common;

use common::browser::browser;
use common::{Platform, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How often a state is asked for before the test gives up on it, and how long apart: a bound, never a measure.
const ASKS_MAX: usize = 1200;
const ASK_EVERY: Duration = Duration::from_millis(100);

fn put(game: &Platform, path: &str, body: Value) -> Value {
    let answer = game.send("PUT", path, None, "", Some(body));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// The state, once it is as it should be.
fn wait_until(game: &Platform, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
    for _ in 0..ASKS_MAX {
        let state = game.get("/chaos/state?after=1000000");
        if is_so(&state) {
            return state;
        }
        std::thread::park_timeout(ASK_EVERY);
    }
    panic!("not so: {what}: {}", game.get("/chaos/state?after=1000000"));
}

/// All faults, each with this share.
fn faults(share: f64, others: &[(&str, f64)]) -> Value {
    let names = ["duplicate", "drop", "reorder", "delay", "ack_lost"];
    let names = names.iter().chain(&["publish_fails_before", "publish_fails_after_accept"]);
    let mut faults = json!({ "delay_max_ms": 300 });
    for name in names {
        faults[*name] = json!(share);
    }
    for (name, share) in others {
        faults[*name] = json!(share);
    }
    faults
}

/// Comments that people know of, once the watch has looked at the parts of the story.
fn posted(state: &Value) -> u64 {
    let seen = state["parts"].as_array().is_some_and(|parts| !parts.is_empty());
    if seen { state["deeds"]["posted"].as_u64().unwrap() } else { 0 }
}

fn off_by(state: &Value, whose: &str) -> u64 {
    state[whose].as_u64().unwrap_or_default()
}

/// Heals everything, waits until nothing moves, and looks at every part as a reader would.
fn heal(game: &Platform) -> Value {
    put(game, "/chaos/heal", json!({}));
    let healed =
        wait_until(game, "quiet and exact", |state| state["quiet"] == true && state["exact_off"] == 0);
    for part in healed["parts"].as_array().unwrap() {
        let id = part["id"].as_str().unwrap();
        let listed = game.list(&format!("/v1/parts/{id}/comments?flat=true&limit=100")).len();
        let shown = &game.get(&format!("/v1/parts/{id}"))["counts"]["comments"]["count"];
        assert_eq!(*shown, listed, "{part}");
        assert_eq!((&part["listed"], &part["shown"]), (&json!(listed), shown), "the page says the same");
    }
    healed
}

#[test]
fn whatever_is_turned_the_counts_meet_the_lists_again_and_plus_one_does_not() {
    let scratch = tempfile::tempdir().unwrap();
    let game = Platform::chaos(scratch.path(), &["--rate", "60", "--people", "8", "--seed", "5"]);
    let state = wait_until(&game, "people write", |state| posted(state) > 20);
    assert_eq!(state["trouble"], false, "nothing is broken at first: {state}");

    put(&game, "/chaos/faults", faults(0.25, &[]));
    put(&game, "/chaos/people", json!({ "rate": 60, "impatience": 0.2 }));
    wait_until(&game, "plus one drifts", |state| off_by(state, "plain_off") > 10);
    for (service, action) in [("stories", "kill"), ("comments", "kill"), ("users", "stop")] {
        put(&game, &format!("/chaos/services/{service}"), json!({ "action": action }));
        wait_until(&game, "it is away", |state| {
            let away = state["services"].as_array().unwrap().iter().find(|one| one["name"] == service);
            away.unwrap()["condition"] != "running"
        });
    }
    let part = state["parts"][0]["id"].as_str().unwrap();
    assert_eq!(game.send("GET", &format!("/v1/parts/{part}"), None, "", None).status, 503, "Stories is away");
    for service in ["stories", "comments", "users"] {
        put(&game, &format!("/chaos/services/{service}"), json!({ "action": "start" }));
    }
    let counted = posted(&game.get("/chaos/state"));
    wait_until(&game, "people write again", |state| posted(state) > counted + 50);

    let healed = heal(&game);
    assert!(off_by(&healed, "plain_off") > 0, "plus one stays wrong: {healed}");
    let played = &healed["played"];
    for what in
        ["duplicated", "dropped", "reordered", "delayed", "acks_lost", "refused_before", "refused_after"]
    {
        assert!(played[what].as_u64().unwrap() > 0, "{what}: {played}");
    }
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1, "it plays in a folder of its own");
    assert!(game.stop().success());
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "and removes it");
}

#[test]
fn a_folder_that_is_named_is_kept_and_gone_on_with() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("kept");
    let args = ["--rate", "60", "--data", folder.to_str().unwrap()];
    let game = Platform::chaos(scratch.path(), &args);
    wait_until(&game, "people write", |state| posted(state) > 20);
    let before = heal(&game);
    assert!(game.stop().success());
    let game = Platform::chaos(scratch.path(), &args);
    wait_until(&game, "people write again", |state| posted(state) > 20);
    let after = heal(&game);
    let number = |state: &Value| state["listed"].as_u64().unwrap();
    assert!(number(&after) > number(&before), "{before} {after}");
    assert!(game.stop().success());
    assert!(folder.join("antiphon.json").exists());
}

#[test]
fn bad_input_is_named_and_serve_has_none_of_it() {
    let scratch = tempfile::tempdir().unwrap();
    let game = Platform::chaos(scratch.path(), &["--rate", "0"]);
    for (path, body, field) in [
        ("/chaos/faults", faults(0.0, &[("drop", 1.5)]), "drop"),
        ("/chaos/faults", faults(0.0, &[("delay_max_ms", 1e6)]), "delay_max_ms"),
        ("/chaos/people", json!({ "rate": 1000, "impatience": 0 }), "rate"),
        ("/chaos/services/stories", json!({ "action": "explode" }), "action"),
        ("/chaos/heal", json!({ "please": true }), "please"),
    ] {
        let answer = game.send("PUT", path, None, "", Some(body));
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{path}: {}", answer.body);
    }
    for path in ["/chaos/services/nobody", "/chaos/presets/never"] {
        let answer = game.send("PUT", path, None, "", Some(json!({ "action": "stop" })));
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.body);
    }
    // What another site's page could make a browser send: no JSON, or no PUT.
    let plain = b"PUT /chaos/heal HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-type: text/plain\r\n\
                  content-length: 2\r\n\r\n{}";
    assert_eq!(game.raw(plain).unwrap().status, 415);
    assert_eq!(game.send("POST", "/chaos/heal", None, "", Some(json!({}))).status, 405);
    assert!(game.stop().success());

    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--empty"]);
    for (method, path) in [
        ("GET", "/chaos"),
        ("GET", "/chaos/state"),
        ("PUT", "/chaos/faults"),
        ("PUT", "/chaos/heal"),
        ("GET", "/web/chaos.js"),
        ("GET", "/web/chaos.html"),
    ] {
        let answer = platform.send(method, path, None, "", None);
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    }
    assert!(platform.stop().success());
}

/// Where Node is, if it is on this machine.
fn node() -> Option<PathBuf> {
    let places = ["/usr/bin", "/usr/local/bin"];
    places.iter().map(|place| Path::new(place).join("node")).find(|path| path.exists())
}

/// Does the steps of `common/press.mjs` on the page of the game.
fn press(game: &Platform, browser: &Path, node: &Path, steps: &[String]) {
    let profile = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/press.mjs");
    let mut command = Command::new(node);
    command.arg(script).arg(browser).arg(profile.path()).arg(format!("http://{}/chaos", game.address));
    let (output, text) = run(command.args(steps));
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_reader_breaks_it_on_the_page_and_heals_it() {
    let Some((browser, node)) = browser().zip(node()) else {
        println!("passed over: there is no Chromium or no Node on this machine");
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let game = Platform::chaos(scratch.path(), &["--rate", "30", "--seed", "2"]);
    wait_until(&game, "people write", |state| posted(state) > 20);
    let steps = [
        "wait\t#verdict\tNothing is broken yet",
        "click\t.day:nth-child(1)",
        "wait\t#verdict\tDuplicates 20 %, Reordering 50 %",
        "keys\t.dial-drop .toggle\tSpace",
        "wait\t#verdict\tLoss 30 %",
        "keys\t#dial-drop\tArrowRight,ArrowRight",
        "wait\t#verdict\tLoss 40 %",
        "wait\t.score-plain .score-number\toff by",
        "click\t[aria-label='Stop Stories']",
        "wait\t.score-exact\tStories is away",
        "click\t[aria-label='Kill Comments without warning']",
        "wait\t#verdict\tComments is away",
        "click\t[aria-label='Start Comments']",
        "click\t.heal",
        "wait\t#verdict\tEvery count is exact",
        "wait\t.score-exact .score-number\texact",
        "wait\t.score-plain .score-number\toff by",
    ];
    let mut steps: Vec<String> = steps.map(str::to_owned).into();
    #[expect(clippy::disallowed_methods, reason = "a test that is to draw is told where")]
    if let Some(folder) = std::env::var_os("ANTIPHON_PICTURES") {
        let to = Path::new(&folder).join("chaos.png");
        steps.push(format!("picture\t{}\t1100\t900", to.display()));
    }
    press(&game, &browser, &node, &steps);
    let healed = heal(&game);
    assert!(off_by(&healed, "plain_off") > 0, "plus one stays wrong: {healed}");
    assert!(game.stop().success());
}
