//! The main job: a corpus through the public API, under faults and kills, and the audit of every count.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

mod common;

use common::{antiphon, run};
use std::fmt::Write;
use std::path::Path;

/// A corpus of our own: threads of replies on a few parts.
fn corpus(path: &Path, comments: usize) {
    let mut lines = String::new();
    for n in 0..comments {
        let (part, author) = (n % 7, n % 31);
        let reply =
            if n >= 14 && n % 3 != 0 { format!(r#", "reply_to": "c{}""#, n - 7) } else { String::new() };
        writeln!(lines, r#"{{"id": "c{n}", "part": "part-{part}", "author": "author {author}", "text": "comment {n}"{reply}}}"#).unwrap();
    }
    std::fs::write(path, lines).unwrap();
}

#[test]
fn a_hostile_replay_with_kills_is_exact_where_a_plain_counter_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corpus.ndjson");
    corpus(&file, 3_000);
    let data = folder.path().join("data");
    let (output, text) =
        run(antiphon().arg("replay").arg(&file).args(["--hostile", "7", "--kill", "--data"]).arg(&data));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("exact: 7 parts, 3,000 posted"), "{text}");
    // And so are the books, though the process that kept them was killed.
    let (output, audit) = run(antiphon().args(["queue", "audit", "--data"]).arg(&data));
    assert!(output.status.success(), "{audit}");
    assert!(audit.contains("balanced: sent = merged + dead + in flight, and nothing is lost"), "{audit}");
    assert!(audit.contains("tallies/stories/main"), "{audit}");
    // In how many parts its errors do not cancel is chance; that they do in all is not.
    assert!(!text.contains("(off in 0 parts)"), "the faults were played: {text}");
}

#[test]
fn broken_lines_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corpus.ndjson");
    corpus(&file, 20);
    let mut lines = std::fs::read_to_string(&file).unwrap();
    lines.push_str("{\"id\": \"broken\", \n");
    std::fs::write(&file, &lines).unwrap();
    let (output, text) = run(antiphon().arg("replay").arg(&file));
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("21"), "the line's number: {text}");
    let (output, text) = run(antiphon().arg("replay").arg(&file).arg("--skip-bad"));
    assert!(output.status.success() && text.contains("20 posted"), "{text}");
    let (output, _) = run(antiphon().arg("replay").arg(folder.path().join("missing")));
    assert_eq!(output.status.code(), Some(2));
}

/// The real corpus, where there is one.
#[test]
fn the_corpus_is_exact_under_faults_and_kills() {
    #[expect(clippy::disallowed_methods, reason = "a test that needs real input is told where it is")]
    let Some(corpus) = std::env::var_os("ANTIPHON_CORPUS") else {
        println!("passed over: ANTIPHON_CORPUS names no corpus of comments");
        return;
    };
    let (output, text) = run(antiphon().arg("replay").arg(corpus).args(["--hostile", "7", "--kill"]));
    println!("{text}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("exact: 178 parts, 71,765 posted"), "{text}");
    assert!(!text.contains("(off in 0 parts)"), "{text}");
}
