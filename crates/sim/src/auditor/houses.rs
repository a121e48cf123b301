//! Stories in the end: every page of a story lists the parts that can be read, in one order, and every part says the same
//! wherever it is read.

use super::Auditor;
use super::books::text;
use super::deed::{Field, Thing};
use super::judge::{Wrong, answered, read, sites};
use crate::address::Address;
use crate::service::ServiceName;
use crate::world::Ask;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a replica shows of all parts: the body by the part's id. A part that is gone, or was lost, is left out.
type Parts = BTreeMap<String, Value>;

/// Every check of stories and parts.
pub(super) async fn check(auditor: &Auditor) -> Result<(), Wrong> {
    let made = |is_wanted: fn(&Thing) -> bool| -> Vec<String> {
        let books = auditor.books();
        books.by_id.iter().filter(|(_, thing)| is_wanted(thing)).map(|(id, _)| id.clone()).collect()
    };
    let stories = made(|thing| matches!(thing, Thing::Story(_)));
    let parts = made(|thing| matches!(thing, Thing::Part(_)));
    let (mut first_parts, mut first_order) = (None, BTreeMap::new());
    for at in sites(auditor, ServiceName::Stories) {
        let shown = shown(auditor, at, &parts).await?;
        let said = said(&shown);
        paragraphs(auditor, at, &said)?;
        let before = first_parts.get_or_insert_with(|| said.clone());
        if *before != said {
            return Err(("parts say the same everywhere", format!("{at}: {said:?}, elsewhere {before:?}")));
        }
        listed(auditor, at, &stories).await?;
        for story in &stories {
            let Some(order) = order(auditor, at, story, &shown).await? else { continue };
            let before = first_order.entry(story.clone()).or_insert_with(|| order.clone());
            if *before != order {
                let detail = format!("{at}: {story}: {order:?}, elsewhere {before:?}");
                return Err(("a story has one order", detail));
            }
        }
    }
    Ok(())
}

async fn shown(auditor: &Auditor, at: Address, parts: &[String]) -> Result<Parts, Wrong> {
    let mut shown = Parts::new();
    for part in parts {
        let (status, body) = answered(auditor, at, &Ask::get(format!("/v1/parts/{part}"))).await?;
        if status == 200 {
            shown.insert(part.clone(), body);
        }
    }
    Ok(shown)
}

/// What each part says: the ids and the texts of its paragraphs.
fn said(parts: &Parts) -> BTreeMap<String, Vec<(String, String)>> {
    let field = |item: &Value, name| text(item, name).unwrap_or_default();
    let paragraphs = |body: &Value| {
        let items = body.get("paragraphs").and_then(Value::as_array).into_iter().flatten();
        items.map(|item| (field(item, "/id"), field(item, "/text"))).collect()
    };
    parts.iter().map(|(part, body)| (part.clone(), paragraphs(body))).collect()
}

/// A paragraph that was acknowledged is there, once, and says what was said last.
fn paragraphs(
    auditor: &Auditor,
    at: Address,
    parts: &BTreeMap<String, Vec<(String, String)>>,
) -> Result<(), Wrong> {
    let wrong = |detail: String| Err(("paragraphs stay", format!("{at}: {detail}")));
    for (part, said) in parts {
        let ids: BTreeSet<_> = said.iter().map(|(id, _)| id).collect();
        if ids.len() != said.len() {
            return wrong(format!("{part} lists a paragraph twice: {said:?}"));
        }
    }
    let books = auditor.books();
    for field in books.fields.keys() {
        let Field::Paragraph { part, tag } = field else { continue };
        let Some(said) = parts.get(part) else { continue };
        let begins = format!("¶{tag} ");
        let mut found = said.iter().map(|(_, text)| text).filter(|text| text.starts_with(&begins));
        let (one, another) = (found.next().cloned(), found.next());
        let possible = books.possible(field);
        if another.is_some() || !possible.contains(&one) {
            return wrong(format!("{field} is {one:?} and {another:?}, of {possible:?}"));
        }
    }
    Ok(())
}

/// The list of stories has every story once.
async fn listed(auditor: &Auditor, at: Address, stories: &[String]) -> Result<(), Wrong> {
    let page = read(auditor, at, "/v1/stories?limit=100".to_owned()).await?;
    let items = page.get("items").and_then(Value::as_array).into_iter().flatten();
    let listed: Vec<_> = items.filter_map(|item| text(item, "/id")).collect();
    for story in stories {
        let times = listed.iter().filter(|listed| *listed == story).count();
        let may_be_lost = !auditor.books().was_made(story);
        if times != 1 && !(times == 0 && may_be_lost) {
            return Err(("stories are listed", format!("{at}: {story} is listed {times} times")));
        }
    }
    Ok(())
}

/// The parts of a story in its order: those that can be read, with the same title, and in the order of `next`. Nothing
/// where the story was lost.
async fn order(
    auditor: &Auditor,
    at: Address,
    story: &str,
    shown: &Parts,
) -> Result<Option<Vec<String>>, Wrong> {
    let (status, body) = answered(auditor, at, &Ask::get(format!("/v1/stories/{story}"))).await?;
    if status == 404 && !auditor.books().was_made(story) {
        return Ok(None);
    }
    let wrong = |detail: String| Err(("a story lists its parts", format!("{at}: {story}: {detail}")));
    let Some(items) = body.get("parts").and_then(Value::as_array) else {
        return wrong(format!("{status} {body}"));
    };
    let order: Vec<_> = items.iter().filter_map(|item| text(item, "/id")).collect();
    let of_story = |body: &&Value| text(body, "/story/id").as_deref() == Some(story);
    let mut readable: Vec<_> = shown.values().filter(of_story).filter_map(|body| text(body, "/id")).collect();
    let mut sorted = order.clone();
    readable.sort();
    sorted.sort();
    if sorted != readable {
        return wrong(format!("{sorted:?} are listed, {readable:?} can be read"));
    }
    for (place, item) in items.iter().enumerate() {
        let part = text(item, "/id").and_then(|id| shown.get(&id)).unwrap_or(&Value::Null);
        let next = order.get(place + 1).cloned();
        if text(part, "/next") != next || text(part, "/title") != text(item, "/title") {
            return wrong(format!("{item} is listed before {next:?}, and it is {part}"));
        }
    }
    Ok(Some(order))
}
