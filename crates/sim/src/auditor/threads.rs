//! The other ways to list comments, in the end: what is found by walking down from the top level is what the flat list has,
//! each once, and below what it answers.

use super::Auditor;
use super::books::text;
use super::judge::{PAGES_MAX, Wrong, read};
use crate::address::Address;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Every comment that the flat list of a part has, by its id, with what it answers.
type Flat = BTreeMap<String, Option<String>>;

/// Walks the threads of a part at a replica of Comments, where the flat list has these items.
pub(super) async fn check(auditor: &Auditor, at: Address, part: &str, items: &[Value]) -> Result<(), Wrong> {
    let wrong = |detail: String| ("threads list what is listed", format!("{at}: {part}: {detail}"));
    let flat: Flat =
        items.iter().filter_map(|item| Some((text(item, "/id")?, text(item, "/parent")))).collect();
    let mut found = BTreeSet::new();
    for top in pages(auditor, at, &format!("/v1/parts/{part}/comments?limit=100")).await? {
        let top = text(&top, "/id").unwrap_or_default();
        // From the top down to the comment before.
        let mut above: Vec<String> = Vec::new();
        for item in pages(auditor, at, &format!("/v1/comments/{top}/thread?limit=500")).await? {
            let depth =
                item.get("depth").and_then(Value::as_u64).and_then(|depth| usize::try_from(depth).ok());
            let comment = item.get("comment").unwrap_or(&Value::Null);
            let (id, parent) = (text(comment, "/id").unwrap_or_default(), text(comment, "/parent"));
            above.truncate(depth.unwrap_or(usize::MAX));
            if above.last().is_some_and(|above| parent.as_ref() != Some(above)) {
                return Err(wrong(format!("{comment} stands below {above:?}")));
            }
            let is_live = [comment.get("deleted"), comment.get("hidden")] == [Some(&Value::Bool(false)); 2];
            if is_live != flat.contains_key(&id) {
                return Err(wrong(format!("{comment} is in a thread, and in the flat list: {}", !is_live)));
            }
            if !found.insert(id.clone()) {
                return Err(wrong(format!("{comment} is in two places")));
            }
            above.push(id);
        }
    }
    if let Some(missing) = flat.keys().find(|id| !found.contains(*id)) {
        return Err(wrong(format!("{missing} is in no thread")));
    }
    replies(auditor, at, &flat).await.map_err(|(check, detail)| (check, format!("{part}: {detail}")))
}

/// The replies of each comment are those that the flat list has.
async fn replies(auditor: &Auditor, at: Address, flat: &Flat) -> Result<(), Wrong> {
    let mut answers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (id, parent) in flat {
        if let Some(parent) = parent {
            answers.entry(parent).or_default().insert(id.clone());
        }
    }
    for (id, expected) in answers {
        let listed = pages(auditor, at, &format!("/v1/comments/{id}/replies?limit=100")).await?;
        let listed: BTreeSet<_> = listed
            .iter()
            .filter(|item| item.get("deleted") == Some(&Value::Bool(false)))
            .filter(|item| item.get("hidden") == Some(&Value::Bool(false)))
            .filter_map(|item| text(item, "/id"))
            .collect();
        if listed != expected {
            let detail = format!("{at}: {id} is answered by {expected:?}, and lists {listed:?}");
            return Err(("replies are listed", detail));
        }
    }
    Ok(())
}

/// The items of all pages of a list.
async fn pages(auditor: &Auditor, at: Address, path: &str) -> Result<Vec<Value>, Wrong> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let page = read(auditor, at, format!("{path}{cursor}")).await?;
        items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        match text(&page, "/next") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(items),
        }
    }
    Err(("answers in the end", format!("{at}: {path} has no end")))
}
