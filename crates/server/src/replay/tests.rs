//! Whole replays against a server that keeps its promises, and against one that breaks one of them at a time: a
//! verdict that has never been "not exact" is not known to be a verdict.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use super::args::ReplayArgs;
use super::error::ReplayError;

mod fake;

use fake::{Fake, Flaw};

const PARTS: usize = 3;
const COMMENTS: usize = 120;

/// Conversations of four on three parts by five people.
fn corpus(folder: &Path) -> PathBuf {
    let line = |n: usize| {
        let reply = if n.is_multiple_of(4) { String::new() } else { format!(r#","reply_to":"{}""#, n - 1) };
        let (part, author) = (n / (COMMENTS / PARTS), n % 5);
        format!(r#"{{"id":"{n}","part":"p{part}","author":"a{author}","text":"t{n}"{reply}}}"#)
    };
    let path = folder.join("corpus.ndjson");
    std::fs::write(&path, (0..COMMENTS).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    path
}

async fn replay(fake: &Fake, hostile: Option<u64>) -> (Result<u8, ReplayError>, serde_json::Value) {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let args = ReplayArgs {
        file: corpus(folder.path()),
        queue: None,
        url: Some(fake.url().parse().unwrap()),
        hostile,
        lossy: None,
        kill: false,
        skip_bad: false,
        seed: None,
        data: None,
        connections: 8,
        patience: 1,
        json: Some(json.clone()),
        all: false,
    };
    let code = super::replay(&args, &mut std::io::sink()).await;
    (code, serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn a_server_that_keeps_its_promises_is_exact() {
    let fake = Fake::start(None).await;
    let (code, report) = replay(&fake, None).await;
    assert_eq!((code.unwrap(), fake.comments()), (0, COMMENTS), "{report}");
    assert_eq!(report["totals"]["plain"], serde_json::Value::Null);
    for _ in 0..2 {
        // The second time everything is a repetition, and makes nothing more.
        let (code, report) = replay(&fake, Some(7)).await;
        assert_eq!((code.unwrap(), fake.comments()), (0, 2 * COMMENTS), "{report}");
        assert_eq!(report["totals"]["deleted"], COMMENTS / 20);
        assert!(report["sent_again"].as_u64().unwrap() > 5, "{report}");
    }
}

#[tokio::test]
async fn passing_failures_pass() {
    let fake = Fake::start(Some(Flaw::Unavailable)).await;
    let (code, report) = replay(&fake, None).await;
    assert_eq!((code.unwrap(), fake.comments()), (0, COMMENTS), "{report}");
    assert!(report["retries"][2][1].as_u64().unwrap() > 10, "{report}");
}

#[tokio::test]
async fn a_token_that_expires_is_renewed() {
    let fake = Fake::start(Some(Flaw::TokensExpire)).await;
    let (code, report) = replay(&fake, None).await;
    assert_eq!((code.unwrap(), fake.comments()), (0, COMMENTS), "{report}");
}

#[tokio::test]
async fn every_flaw_is_found() {
    let flaws = [
        Flaw::StoriesShowsOneMore,
        Flaw::CommentsCountsOneLess,
        Flaw::OneIsNotListed,
        Flaw::OneIsListedTwice,
        Flaw::DeletedAreListed,
        Flaw::RepeatedPostsAreNew,
        Flaw::DeletesAreForgotten,
    ];
    join_all(flaws.map(async |flaw| {
        let fake = Fake::start(Some(flaw)).await;
        let (code, report) = replay(&fake, Some(7)).await;
        assert_eq!(code.unwrap(), 1, "{flaw:?}: {report}");
        assert_eq!(report["exact"], false, "{flaw:?}");
    }))
    .await;
}

#[tokio::test]
async fn what_stops_a_replay_is_named() {
    for (flaw, error) in [
        (Flaw::NeverQuiet, "5 outbox of comments"),
        (
            Flaw::RefusesAText,
            "posting the comment \"7\": the server answered 400 Bad Request: text: not that one",
        ),
    ] {
        let fake = Fake::start(Some(flaw)).await;
        let (code, _) = replay(&fake, None).await;
        let found = code.unwrap_err();
        assert!(found.chain().contains(error), "{flaw:?}: {}", found.chain());
        assert_eq!(found.exit_code(), 1);
    }
}
