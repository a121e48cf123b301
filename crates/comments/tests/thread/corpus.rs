//! Every thread of a corpus of real comments, against a plain recursive model.

use super::thread;
use crate::CREATED;
use crate::face::{Face, id};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use store::Memory;

#[derive(Default)]
struct Model {
    /// Posting order.
    replies: BTreeMap<String, Vec<String>>,
    top: Vec<String>,
}

impl Model {
    /// Depth, id, replies of everything from a comment on.
    fn walk(&self, depth: u64, from: &str, lines: &mut Vec<(u64, String, usize)>) {
        let replies = self.replies.get(from).map(Vec::as_slice).unwrap_or_default();
        lines.push((depth, from.to_owned(), replies.len()));
        for reply in replies {
            self.walk(depth + 1, reply, lines);
        }
    }
}

/// Posts one comment a line; answers the ids as they are here.
async fn posted(face: &Face, corpus: impl BufRead) -> Model {
    let mut model = Model::default();
    let (mut parts, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for line in corpus.lines() {
        let comment: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let field = |name: &str| comment[name].as_str().unwrap().to_owned();
        let next = parts.len() + 1;
        let part = *parts.entry(field("part")).or_insert(next);
        let parent = comment["reply_to"].as_str().map(|parent| ids.get(parent).cloned().unwrap());
        // Who answers whom is all that matters here, and some real texts are none that the API takes.
        let body = json!({ "text": field("id"), "parent": parent });
        let key = format!("{:-<24}", field("id"));
        let path = format!("/v1/parts/{part:032x}/comments");
        let (status, answer) = face.send("POST", &path, Some(1), &key, Some(body)).await;
        assert_eq!(status, CREATED, "{answer}");
        ids.insert(field("id"), id(&answer));
        match parent {
            Some(parent) => model.replies.entry(parent).or_default().push(id(&answer)),
            None => model.top.push(id(&answer)),
        }
    }
    model
}

fn lines(page: &Value) -> impl Iterator<Item = (u64, String, usize)> {
    page["items"].as_array().unwrap().iter().map(|item| {
        let comment = &item["comment"];
        let replies = usize::try_from(comment["replies"]["count"].as_u64().unwrap()).unwrap();
        (item["depth"].as_u64().unwrap(), comment["id"].as_str().unwrap().to_owned(), replies)
    })
}

/// The real corpus, where there is one.
#[tokio::test]
async fn every_thread_of_the_corpus_is_listed_as_a_plain_recursion_lists_it() {
    #[expect(clippy::disallowed_methods, reason = "a test that needs real input is told where it is")]
    let Some(corpus) = std::env::var_os("ANTIPHON_CORPUS") else {
        println!("passed over: ANTIPHON_CORPUS names no corpus of comments");
        return;
    };
    let face = Face::open(Memory::new()).await;
    let corpus = File::open(corpus).unwrap();
    let model = posted(&face, BufReader::new(MultiGzDecoder::new(corpus))).await;
    let (mut replies, mut deepest, mut largest) = (0, 0, 0);
    for (nth, top) in model.top.iter().enumerate() {
        let mut expected = Vec::new();
        model.walk(0, top, &mut expected);
        // Most threads in one page, and some in many.
        let limit = if nth % 5 == 0 { 7 } else { 500 };
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = thread(&face, top, &format!("?limit={limit}{cursor}")).await;
            listed.extend(lines(&page));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(listed, expected, "the thread of {top}");
        replies += expected.len() - 1;
        largest = largest.max(expected.len());
        deepest = deepest.max(expected.iter().map(|line| line.0).max().unwrap());

        // From its last comment up: each time the nearest line before that is one less deep.
        let (last, before) = expected.split_last().unwrap();
        let (mut above, mut depth) = (Vec::new(), last.0);
        for line in before.iter().rev() {
            if line.0 < depth {
                above.push(&line.1);
                depth = line.0;
            }
        }
        above.reverse();
        let page = thread(&face, &last.1, "").await;
        let ancestors: Vec<_> = page["ancestors"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert_eq!(ancestors, above, "above {}", last.1);
    }
    println!("{} threads, {replies} replies, {deepest} deep, of at most {largest} comments", model.top.len());
    assert!(replies > 0);
}
