//! `antiphon pbs`: what it tells of models, of files, and of a server that runs.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, where a panic is the verdict"
)]

mod common;

use common::{Platform, antiphon};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Runs it; gives the exit status, standard output, standard error.
fn pbs(args: &[&str]) -> (Option<i32>, String, String) {
    let output = antiphon().arg("pbs").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn told(args: &[&str]) -> String {
    let (code, out, error) = pbs(args);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{args:?}");
    out
}

fn told_json(args: &[&str]) -> Value {
    serde_json::from_str(&told(&[args, &["--json"]].concat())).unwrap()
}

const FAST: [&str; 6] = ["--dist-w", "exp:mean=10ms", "--dist-a", "exp:1", "--trials", "20000"];

fn fast<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&FAST[..], more].concat()
}

#[test]
fn a_model_is_told_to_people_and_to_programs() {
    let text = told(&fast(&["--at", "0,1s", "--probability", "0.999"]));
    for line in [
        "W exp:mean=10ms, N=3 R=1 W=1: 20,000 trials from seed 1 in",
        "  W exp(mean=10)",
        "a read begun after  is consistent",
        "1.00 s                      100 %",
        "versions back at most  probability",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    let told = told_json(&fast(&["--at", "0,1s", "--probability", "0.999", "--versions", "2"]));
    let run = &told["runs"][0];
    let consistent = run["at"][0]["consistent"].as_f64().unwrap();
    assert!((0.40..0.44).contains(&consistent), "{consistent}");
    assert_eq!(
        run["at"][1],
        json!({"after_ms": 1000.0, "consistent": 1.0, "low": run["at"][1]["low"], "high": 1.0})
    );
    assert!((50.0..80.0).contains(&run["until"][0]["after_ms"].as_f64().unwrap()));
    assert!((run["versions"][0]["probability"].as_f64().unwrap() - 5.0 / 9.0).abs() < 1e-9);
    let mut again =
        told_json(&fast(&["--at", "0,1s", "--probability", "0.999", "--versions", "2", "--threads", "1"]));
    again["runs"][0]["seconds"] = run["seconds"].clone();
    assert_eq!(again, told, "the seed decides, not the threads");
}

#[test]
fn several_models_are_one_table_and_one_picture() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("curves.svg");
    let text = told(&fast(&["--r", "1,2", "--w", "1,2", "--svg", picture.to_str().unwrap()]));
    assert_eq!(text.lines().filter(|line| line.starts_with("N=3 R=")).count(), 4, "{text}");
    assert!(text.contains("N=3 R=2 W=2    100 %     0 ms"), "{text}");
    let svg = std::fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("N=3 R=2 W=1: 99.9 % after"), "{svg}");
    assert!(svg.contains("prefers-color-scheme: dark"));
}

#[test]
fn refusals_name_the_option_and_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("letters");
    std::fs::write(&letters, "1.5\ntwo\n").unwrap();
    let samples = format!("samples:{}", letters.display());
    for (args, says) in [
        (fast(&["--r", "4"]), "--n, --r, --w: r: a read cannot wait for 4 of 3 replicas; it takes 1 to 3"),
        (fast(&["--n", "129"]), "n: 129 replicas; it takes 1 to 128"),
        (fast(&["--at=-1"]), "--at: -1 ms is before the write"),
        (fast(&["--at", "soon"]), "--at: \"soon\" is no time"),
        (fast(&["--probability", "1"]), "--probability: 1; it takes a number above 0 and below 1"),
        (fast(&["--versions", "0"]), "--versions: 0"),
        (fast(&["--writes-per-read=-1"]), "--writes-per-read: -1; it takes 0 or more"),
        (fast(&["--remote", "1 mile"]), "--remote: \"1 mile\" is no time"),
        (fast(&["--n", "1,2,3,4,5", "--w", "0,1", "--r", "1,1,1"]), "at most 24 models"),
        (
            vec!["--dist-w", "exp:1", "--dist-a", "exp:1", "--trials", "0"],
            "--trials: trials: 0; it takes 1 to 20000000",
        ),
        (
            vec!["--preset", "lnkd-ssd", "--n", "3,4,5,6", "--trials", "20000000"],
            "--trials: 80000000 in all models; at most 60000000 together",
        ),
        (
            vec!["--dist-w", "exp:0", "--dist-a", "exp:1"],
            "--dist-w: exp:0: rate: 0; it takes a number above 0",
        ),
        (vec!["--dist-w", &samples, "--dist-a", "exp:1"], "line 2: \"two\" is no number"),
        (vec!["--dist-w", "exp:1"], "--dist-a: give it"),
        (vec![], "--dist-a: give it"),
        (vec!["--from", "amqp://h"], "--from: amqp://h: it takes http://host:port, or a file"),
        (vec!["--from", letters.to_str().unwrap()], "it is no status of a server"),
        (
            vec!["--dist-w", "0.5*exp(1)+", "--dist-a", "exp:1"],
            "--dist-w: 0.5*exp(1)+: a part is missing beside a plus sign",
        ),
        (fast(&["--link", "tallies"]), "--link <LINK>'"),
        (fast(&["--last-hour"]), "--last-hour'"),
        (vec!["--preset", "wan", "--link", "tallies"], "--link <LINK>'"),
        (vec!["--paper", "--link", "tallies"], "--link <LINK>'"),
        (vec!["--link", "tallies"], "--from <URL|FILE>"),
    ] {
        let (code, out, error) = pbs(&args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {error}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
    let (code, _, error) = pbs(&["--from", "/nowhere/status.json"]);
    assert!(code == Some(1) && error.contains("cannot use /nowhere/status.json"), "{error}");
    for gone in ["samples:/nowhere/times", "0.5*samples(/nowhere/times)+0.5*exp(1)"] {
        let (code, _, error) = pbs(&["--dist-w", gone, "--dist-a", "exp:1"]);
        assert!(code == Some(1) && error.contains("cannot use /nowhere/times"), "{error}");
    }
    let (code, _, error) = pbs(&["--from", "http://127.0.0.1:1"]);
    assert!(code == Some(1) && error.contains("http://127.0.0.1:1: "), "{error}");
}

/// The longest of a hundred measurements is below the 99.9th percentile nine times in ten.
#[test]
fn what_few_measurements_leave_open_is_a_question_mark() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = folder.path().join("numbers");
    let lines: Vec<_> = (1..=100).map(|ms: u8| ms.to_string()).collect();
    std::fs::write(&numbers, lines.join("\n")).unwrap();
    let samples = format!("samples:{}", numbers.display());
    let model =
        ["--dist-w", &samples, "--dist-a", "constant:0", "--n", "1", "--w", "0", "--trials", "100000"];
    let model = [&model[..], &["--probability", "0.5,0.999"]].concat();
    let until = told_json(&model)["runs"][0]["until"].clone();
    assert_eq!(
        until,
        json!([
            {"probability": 0.5, "after_ms": until[0]["after_ms"], "low_ms": 40.0, "high_ms": 61.0},
            {"probability": 0.999, "after_ms": 100.0, "low_ms": 99.0, "high_ms": null},
        ])
    );
    let text = told(&model);
    let line = text.lines().find(|line| line.starts_with("99.9 %  ")).unwrap();
    assert!(line.ends_with(" ?") && text.contains("\n?: too few trials, or too few measurements"), "{text}");
    let table = told(&[&model[..], &["--dist-w", "exp:1"]].concat());
    assert!(table.contains("100 ms ?") && table.contains("\n?: too few trials"), "{table}");
}

fn status_file(folder: &Path) -> String {
    let bucket =
        |from_ms: u64, to_ms: u64, count: u64| json!({"from_ms": from_ms, "to_ms": to_ms, "count": count});
    let since_start =
        json!({"count": 1000, "buckets": [bucket(4, 5, 900), bucket(100, 104, 99), bucket(8000, 8192, 1)]});
    let idle = json!({"since_start": {"count": 0}, "last_hour": {"count": 0}});
    let status = json!({"version": "1", "links": {
        "tallies/stories/main": {"rows": 7, "lag": {"since_start": since_start, "last_hour": {"count": 0}}},
        "parts/comments/main": {"lag": idle},
    }});
    let file = folder.join("status.json");
    std::fs::write(&file, status.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// One site that is read, and a write that waits for none: the curve is the histogram.
#[test]
fn what_a_server_measured_is_its_curve() {
    let folder = tempfile::tempdir().unwrap();
    let file = status_file(folder.path());
    let told = told_json(&["--from", &file, "--at", "3,5,104,9000", "--trials", "200000"]);
    let run = &told["runs"][0];
    assert_eq!((&run["name"], &run["n"], &run["w"]), (&json!("tallies/stories/main"), &json!(1), &json!(0)));
    for (at, share) in [(0, 0.0), (1, 0.9), (2, 0.999), (3, 1.0)] {
        let found = run["at"][at]["consistent"].as_f64().unwrap();
        assert!((found - share).abs() < 0.005, "{at}: {found}");
    }
    assert_eq!(run["monotonic_reads"], Value::Null);
    // With three sites and a reader who asks all of them, the best one counts.
    let three = told_json(&["--from", &file, "--link", "tallies", "--n", "3", "--r", "3", "--at", "5"]);
    let found = three["runs"][0]["at"][0]["consistent"].as_f64().unwrap();
    assert!((found - 0.999).abs() < 0.001, "{found}");
    for args in [["--link", "parts"], ["--link", "votes"]] {
        let (code, _, error) = pbs(&[&["--from", &file], &args[..]].concat());
        assert_eq!(code, Some(2));
        assert!(
            error.contains("has counted anything yet; there are parts/comments/main, tallies"),
            "{error}"
        );
    }
    let (code, _, error) = pbs(&["--from", &file, "--last-hour"]);
    assert!(code == Some(2) && error.contains("no link has counted"), "{error}");
}

/// The status, when anti-entropy has found that Stories has all tallies of Comments.
fn compared(platform: &Platform) -> Value {
    for _ in 0..600 {
        let status = platform.get("/status");
        let replica = status["services"]["comments"]["replica"].as_str().unwrap();
        if status["links"]["tallies/stories/main"]["publishers"][replica]["exact_as_of_ms"].is_u64() {
            return status;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("tallies were never found to be equal: {}", platform.get("/status"))
}

/// Every link of a server tells how long its news took, and it is read from there.
#[test]
fn a_running_server_tells_how_stale_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(folder.path(), &["--anti-entropy", "1"]);
    platform.wait_until_quiet();
    let status = compared(&platform);
    let links = status["links"].as_object().unwrap();
    let heard = status["queue"]["subscriptions"].as_object().unwrap().keys();
    let facts: Vec<_> = heard.filter(|name| !name.starts_with("wants.")).collect();
    assert_eq!(links.keys().collect::<Vec<_>>(), facts);
    // The starter story has comments: their counts were announced, and its part.
    for link in ["tallies/stories/main", "parts/comments/main", "profiles/stories/main"] {
        for window in ["since_start", "last_hour"] {
            let told = &links[link]["lag"][window];
            let count = told["count"].as_u64().unwrap();
            assert!(count > 0, "{link}: {told}");
            let counted = told["buckets"].as_array().unwrap().iter();
            assert_eq!(counted.map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), count);
            assert!(told["p50_ms"].as_u64() <= told["p999_ms"].as_u64());
            let fresh: Vec<_> =
                told["fresh"].as_array().unwrap().iter().map(|fresh| fresh["probability"].as_f64()).collect();
            assert!(fresh.len() == 10 && fresh.is_sorted(), "{told}");
        }
    }
    let url = format!("http://{}", platform.address);
    let text = told(&["--from", &url, "--trials", "10000"]);
    assert!(text.contains("tallies/stories/main") && text.contains("99.9 %"), "{text}");
    let one = told(&["--from", &format!("{url}/status"), "--link", "tallies", "--trials", "10000"]);
    assert!(one.starts_with("tallies/stories/main, N=1 R=1 W=0: "), "{one}");
    // And all of it at a glance.
    let output = antiphon().args(["status", &url]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    let replica = status["services"]["comments"]["replica"].as_str().unwrap();
    let line = shown.lines().find(|line| line.starts_with("tallies/stories/main") && line.contains(replica));
    assert!(line.is_some_and(|line| line.ends_with('Z')), "exact as of a time:\n{shown}");
    assert!(shown.contains("fresh, in the last hour"), "{shown}");
    assert!(platform.stop().success());
}
