//! Threads in the end: what is found by walking down from the top level of a part is what the flat list has, each once, and
//! below what it answers; and so are the replies of each comment. Lists of one paragraph are not walked.

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
    let wrong = |detail| ("threads list what is listed", format!("{at}: {part}: {detail}"));
    let flat: Flat =
        items.iter().filter_map(|item| Some((text(item, "/id")?, text(item, "/parent")))).collect();
    let mut found = BTreeSet::new();
    for top in pages(auditor, at, &format!("/v1/parts/{part}/comments?limit=100")).await? {
        let top = text(&top, "/id").unwrap_or_default();
        let lines = pages(auditor, at, &format!("/v1/comments/{top}/thread?limit=500")).await?;
        walk(&flat, &mut found, &lines).map_err(wrong)?;
    }
    if let Some(missing) = flat.keys().find(|id| !found.contains(*id)) {
        return Err(wrong(format!("{missing} is in no thread")));
    }
    let answered: BTreeSet<_> = flat.values().flatten().collect();
    for id in answered {
        let listed = pages(auditor, at, &format!("/v1/comments/{id}/replies?limit=100")).await?;
        replies(&flat, id, &listed)
            .map_err(|detail| ("replies are listed", format!("{at}: {part}: {detail}")))?;
    }
    Ok(())
}

/// Takes in the lines of a thread: each stands below what it answers, nowhere else, and is listed where it is live.
fn walk(flat: &Flat, found: &mut BTreeSet<String>, lines: &[Value]) -> Result<(), String> {
    // From the top down to the comment before.
    let mut above: Vec<String> = Vec::new();
    for line in lines {
        let depth = line.get("depth").and_then(Value::as_u64).and_then(|depth| usize::try_from(depth).ok());
        let Some(depth) = depth.filter(|depth| *depth <= above.len()) else {
            return Err(format!("{line} stands nowhere below {above:?}"));
        };
        above.truncate(depth);
        let comment = line.get("comment").unwrap_or(&Value::Null);
        let (id, parent) = (text(comment, "/id").unwrap_or_default(), text(comment, "/parent"));
        if above.last().is_some_and(|above| parent.as_ref() != Some(above)) {
            return Err(format!("{comment} stands below {above:?}"));
        }
        if is_live(comment) != flat.contains_key(&id) {
            return Err(format!(
                "{comment} is in a thread, and in the flat list: {}",
                flat.contains_key(&id)
            ));
        }
        if !found.insert(id.clone()) {
            return Err(format!("{comment} is in two places"));
        }
        above.push(id);
    }
    Ok(())
}

/// The live replies of a comment are those that the flat list has, each once.
fn replies(flat: &Flat, id: &str, listed: &[Value]) -> Result<(), String> {
    let answers = flat.iter().filter(|(_, parent)| parent.as_deref() == Some(id)).map(|(answer, _)| answer);
    let expected: Vec<_> = answers.cloned().collect();
    let mut listed: Vec<_> =
        listed.iter().filter(|item| is_live(item)).filter_map(|item| text(item, "/id")).collect();
    listed.sort();
    if listed == expected {
        Ok(())
    } else {
        Err(format!("{id} is answered by {expected:?}, and lists {listed:?}"))
    }
}

fn is_live(comment: &Value) -> bool {
    [comment.get("deleted"), comment.get("hidden")] == [Some(&Value::Bool(false)); 2]
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn comment(id: &str, parent: Option<&str>, deleted: bool) -> Value {
        json!({ "id": id, "parent": parent, "deleted": deleted, "hidden": false })
    }

    fn line(depth: usize, id: &str, parent: Option<&str>, deleted: bool) -> Value {
        json!({ "depth": depth, "comment": comment(id, parent, deleted) })
    }

    #[test]
    fn a_thread_has_each_once_below_what_it_answers() {
        let answer = |parent: &str| Some(parent.to_owned());
        let flat: Flat = [("b", answer("a")), ("c", answer("b")), ("d", answer("a"))]
            .map(|(id, to)| (id.to_owned(), to))
            .into();
        let walked = |lines: &[Value]| walk(&flat, &mut BTreeSet::new(), lines);
        let top = || line(0, "a", None, true);
        let (b, c, d) =
            (line(1, "b", Some("a"), false), line(2, "c", Some("b"), false), line(1, "d", Some("a"), false));
        assert_eq!(walked(&[top(), b.clone(), c, d]), Ok(()));
        for (wrong, says) in [
            (line(2, "d", Some("a"), false), "stands below"),
            (line(3, "d", Some("a"), false), "stands nowhere"),
            (line(1, "b", Some("a"), false), "in two places"),
            (line(1, "d", Some("a"), true), "in the flat list: true"),
            (line(1, "e", Some("a"), false), "in the flat list: false"),
            (json!({ "comment": comment("d", Some("a"), false) }), "stands nowhere"),
        ] {
            let error = walked(&[top(), b.clone(), wrong]).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn replies_are_those_that_are_listed() {
        let flat: Flat = [("b".to_owned(), Some("a".to_owned())), ("c".to_owned(), None)].into();
        let (live, gone) = (comment("b", Some("a"), false), comment("x", Some("a"), true));
        assert_eq!(replies(&flat, "a", &[gone, live.clone()]), Ok(()));
        for wrong in [&[] as &[Value], &[live.clone(), live.clone()], &[live, comment("c", None, false)]] {
            assert!(replies(&flat, "a", wrong).is_err(), "{wrong:?}");
        }
    }
}
