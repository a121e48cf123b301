//! Stories in the end: every page of a story lists the parts that can be read, in their order, and every paragraph that was
//! acknowledged is there. That all replicas say the same follows from their rows; here it is told in words.

use super::Auditor;
use super::books::{Books, text};
use super::deed::{Field, Thing};
use super::judge::{Wrong, answered, read, sites};
use crate::address::Address;
use crate::service::ServiceName;
use crate::world::Ask;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a replica shows: the body by the id. What is gone, or was lost, is left out.
type Shown = BTreeMap<String, Value>;

/// What a part says: the ids and the texts of its paragraphs.
type Said = BTreeMap<String, Vec<(String, String)>>;

/// Every check of stories and parts.
pub(super) async fn check(auditor: &Auditor) -> Result<(), Wrong> {
    let (mut first_said, mut first_order) = (None, BTreeMap::new());
    for at in sites(auditor, ServiceName::Stories) {
        let stories = stories(auditor, at).await?;
        listed(auditor, at, stories.keys()).await?;
        let mut wanted = auditor.books().ids_of(|thing| matches!(thing, Thing::Part(_)));
        // One that nobody was told of may be there, too.
        wanted.extend(stories.values().flat_map(ids));
        let parts = shown(auditor, at, "parts", &wanted).await?;
        let said = said(&parts);
        paragraphs(&auditor.books(), &said)
            .map_err(|detail| ("paragraphs stay", format!("{at}: {detail}")))?;
        let before = first_said.get_or_insert_with(|| said.clone());
        if *before != said {
            return Err(("parts say the same everywhere", format!("{at}: {said:?}, elsewhere {before:?}")));
        }
        for (id, story) in &stories {
            let order = order(id, story, &parts)
                .map_err(|detail| ("a story lists its parts", format!("{at}: {id}: {detail}")))?;
            let before = first_order.entry(id.clone()).or_insert_with(|| order.clone());
            if *before != order {
                return Err((
                    "a story has one order",
                    format!("{at}: {id}: {order:?}, elsewhere {before:?}"),
                ));
            }
        }
    }
    Ok(())
}

/// The stories of a replica: none that was acknowledged is missing.
async fn stories(auditor: &Auditor, at: Address) -> Result<Shown, Wrong> {
    let wanted = auditor.books().ids_of(|thing| matches!(thing, Thing::Story(_)));
    let stories = shown(auditor, at, "stories", &wanted).await?;
    match wanted.iter().find(|id| !stories.contains_key(*id) && auditor.books().was_made(id)) {
        Some(missing) => Err(("stories are listed", format!("{at}: {missing} is not shown"))),
        None => Ok(stories),
    }
}

async fn shown(auditor: &Auditor, at: Address, what: &str, ids: &BTreeSet<String>) -> Result<Shown, Wrong> {
    let mut shown = Shown::new();
    for id in ids {
        let (status, body) = answered(auditor, at, &Ask::get(format!("/v1/{what}/{id}"))).await?;
        if status == 200 {
            shown.insert(id.clone(), body);
        }
    }
    Ok(shown)
}

/// The list of stories has every story that is shown, once.
async fn listed(auditor: &Auditor, at: Address, stories: impl Iterator<Item = &String>) -> Result<(), Wrong> {
    let page = read(auditor, at, "/v1/stories?limit=100".to_owned()).await?;
    let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
    let listed: Vec<_> = items.filter_map(|item| text(item, "/id")).collect();
    for story in stories {
        let times = listed.iter().filter(|listed| *listed == story).count();
        if times != 1 {
            return Err(("stories are listed", format!("{at}: {story} is listed {times} times")));
        }
    }
    Ok(())
}

/// The ids of the parts that a story lists, in their order.
fn ids(story: &Value) -> Vec<String> {
    let items = story.get("parts").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| text(item, "/id")).collect()
}

fn said(parts: &Shown) -> Said {
    let field = |item: &Value, name| text(item, name).unwrap_or_default();
    let paragraphs = |body: &Value| {
        let items = body.get("paragraphs").and_then(Value::as_array).into_iter().flatten();
        items.map(|item| (field(item, "/id"), field(item, "/text"))).collect()
    };
    parts.iter().map(|(part, body)| (part.clone(), paragraphs(body))).collect()
}

/// A paragraph that was acknowledged is there, once, and says what was said last.
fn paragraphs(books: &Books, parts: &Said) -> Result<(), String> {
    for (part, said) in parts {
        let ids: BTreeSet<_> = said.iter().map(|(id, _)| id).collect();
        if ids.len() != said.len() {
            return Err(format!("{part} lists a paragraph twice: {said:?}"));
        }
    }
    for field in books.fields.keys() {
        let Field::Paragraph { part, tag } = field else { continue };
        let Some(said) = parts.get(part) else { continue };
        let begins = format!("¶{tag} ");
        let mut found = said.iter().map(|(_, text)| text).filter(|text| text.starts_with(&begins));
        let (one, another) = (found.next().cloned(), found.next());
        let possible = books.possible(field);
        if another.is_some() || !possible.contains(&one) {
            return Err(format!("{field} is {one:?} and {another:?}, of {possible:?}"));
        }
    }
    Ok(())
}

/// The parts of a story in its order: those that can be read, with the same title, and in the order of `next`.
fn order(id: &str, story: &Value, parts: &Shown) -> Result<Vec<String>, String> {
    let order = ids(story);
    let of_story = |body: &&Value| text(body, "/story/id").as_deref() == Some(id);
    let mut readable: Vec<_> = parts.values().filter(of_story).filter_map(|body| text(body, "/id")).collect();
    let mut sorted = order.clone();
    readable.sort();
    sorted.sort();
    if sorted != readable {
        return Err(format!("{sorted:?} are listed, {readable:?} can be read"));
    }
    let items = story.get("parts").and_then(Value::as_array).into_iter().flatten();
    for (place, item) in items.enumerate() {
        let part = text(item, "/id").and_then(|id| parts.get(&id)).unwrap_or(&Value::Null);
        let next = order.get(place + 1).cloned();
        if text(part, "/next") != next || text(part, "/title") != text(item, "/title") {
            return Err(format!("{item} is listed before {next:?}, and it is {part}"));
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auditor::{Deed, Heard};
    use serde_json::json;

    fn part(id: &str, next: Option<&str>) -> (String, Value) {
        (id.to_owned(), json!({ "id": id, "title": id, "next": next, "story": { "id": "s" } }))
    }

    #[test]
    fn a_story_lists_what_can_be_read_in_its_order() {
        let story = |parts: &[&str]| {
            let items: Vec<_> = parts.iter().map(|id| json!({ "id": id, "title": id })).collect();
            json!({ "id": "s", "parts": items })
        };
        let parts = Shown::from([part("a", None), part("b", Some("a"))]);
        assert_eq!(order("s", &story(&["b", "a"]), &parts), Ok(vec!["b".to_owned(), "a".to_owned()]));
        for wrong in [&["a", "b"] as &[_], &["b"], &["b", "a", "a"], &["b", "a", "c"]] {
            assert!(order("s", &story(wrong), &parts).is_err(), "{wrong:?}");
        }
        let retitled = json!({ "parts": [{ "id": "b", "title": "b" }, { "id": "a", "title": "another" }] });
        assert!(order("s", &retitled, &parts).is_err());
    }

    #[test]
    fn a_paragraph_that_was_acknowledged_stays_once_and_as_it_was_said() {
        let mut books = Books::default();
        let field = Field::Paragraph { part: "p".to_owned(), tag: 7 };
        let deed = Deed::Set { field, value: "¶7 begun".to_owned() };
        let at = Address { service: ServiceName::Stories, site: 0 };
        let attempt = books.sends(deed, at, 1);
        let says = |texts: &[&str]| {
            let said = texts.iter().enumerate().map(|(id, text)| (id.to_string(), (*text).to_owned()));
            Said::from([("p".to_owned(), said.collect())])
        };
        assert_eq!(paragraphs(&books, &says(&["Line 0."])), Ok(()), "nobody knows yet");
        books.settles(attempt, &Heard::Done(json!({})), 200, 2);
        assert_eq!(paragraphs(&books, &says(&["Line 0.", "¶7 begun"])), Ok(()));
        for wrong in [&["Line 0."] as &[_], &["¶7 again"], &["¶7 begun", "¶7 begun"]] {
            assert!(paragraphs(&books, &says(wrong)).is_err(), "{wrong:?}");
        }
    }
}
