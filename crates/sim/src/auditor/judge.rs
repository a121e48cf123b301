//! What holds once all is quiet.

use super::Auditor;
use super::aside;
use super::books::{Books, text};
use super::deed::{Field, Tag, Thing};
use super::houses;
use super::rows;
use super::shown::List;
use super::threads;
use crate::address::Address;
use crate::service::ServiceName;
use crate::world::{Answer, Ask};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How often a replica that does not answer is asked again, all being well.
const TRIES_MAX: usize = 20;
/// The pause between tries, in milliseconds.
const PAUSE_MS: u64 = 1_000;
/// The most pages of a list.
pub(super) const PAGES_MAX: usize = 1_000;

pub(super) type Wrong = (&'static str, String);

/// What is true in the end: the exact count of every group, and all answers that told it.
#[derive(Debug, Clone, Default)]
pub struct Exact {
    /// By group.
    pub counts: BTreeMap<String, u64>,
    /// What was answered, for whoever joins it.
    pub answers: Vec<Value>,
}

/// The live comments of a part, as a replica lists them.
struct Listed {
    tags: BTreeSet<Tag>,
    items: Vec<Value>,
}

/// Every check of the end.
pub(super) async fn everything(auditor: &Auditor) -> Result<Exact, Wrong> {
    let mut exact = Exact::default();
    aside::queues(auditor).await?;
    let parts = auditor.books().ids_of(|thing| matches!(thing, Thing::Part(_)));
    for part in &parts {
        let listed = comments(auditor, part, &mut exact).await?;
        each(auditor, part, &listed, &mut exact).await?;
        shown(auditor, part, &listed, &mut exact).await?;
        known(auditor, part, &listed).await?;
    }
    houses::check(auditor).await?;
    people(auditor).await?;
    siblings(auditor)?;
    aside::kept(auditor).await?;
    Ok(exact)
}

pub(super) fn sites(auditor: &Auditor, service: ServiceName) -> impl Iterator<Item = Address> + use<> {
    (0..auditor.world().sites()).map(move |site| Address { service, site })
}

/// An answer, from a replica that must give one now.
pub(super) async fn answered(auditor: &Auditor, at: Address, ask: &Ask) -> Result<(u16, Value), Wrong> {
    for _ in 0..TRIES_MAX {
        if let Answer::Said { status, body } = auditor.world().ask(at, ask.clone()).await
            && status < 500
        {
            return Ok((status, body));
        }
        auditor.world().sleep(PAUSE_MS).await;
    }
    Err(("answers in the end", format!("{at} does not answer {ask}")))
}

pub(super) async fn read(auditor: &Auditor, at: Address, path: String) -> Result<Value, Wrong> {
    let (status, body) = answered(auditor, at, &Ask::get(path.clone())).await?;
    if status == 200 {
        Ok(body)
    } else {
        Err(("answers in the end", format!("{at}: {path}: {status} {body}")))
    }
}

/// Every replica of Comments lists what it counts, and that is the auditor's own set.
async fn comments(auditor: &Auditor, part: &str, exact: &mut Exact) -> Result<Listed, Wrong> {
    let mut first: Option<Listed> = None;
    for at in sites(auditor, ServiceName::Comments) {
        let listed = list(auditor, at, part, exact).await?;
        let counts = read(auditor, at, format!("/v1/parts/{part}/comment-counts")).await?;
        let expected = groups(part, &listed.items);
        compare(at, &expected, &counts)?;
        let wanted = expected.keys().filter(|group| !group.starts_with("replies:"));
        tells(at, wanted, &counts)?;
        threads::check(auditor, at, part, &listed.items).await?;
        exact.answers.push(counts);
        exact.counts.extend(expected);
        if let Some(first) = &first
            && first.tags != listed.tags
        {
            let differing: Vec<_> = first.tags.symmetric_difference(&listed.tags).collect();
            return Err(("replicas list the same", format!("{at}: {part}: {differing:?}")));
        }
        first = first.or(Some(listed));
    }
    first.ok_or_else(|| ("replicas list the same", "there is no site".to_owned()))
}

/// What a replica lists of a part, in both orders.
async fn list(auditor: &Auditor, at: Address, part: &str, exact: &mut Exact) -> Result<Listed, Wrong> {
    let (items, counted) = pages(auditor, at, (part, "oldest"), exact).await?;
    if counted != u64::try_from(items.len()).ok() {
        let detail = format!("{at}: {part}: {} listed, {counted:?} counted", items.len());
        return Err(("listed is counted", detail));
    }
    let (newest, _) = pages(auditor, at, (part, "newest"), exact).await?;
    in_order(&items, &newest)
        .map_err(|wrong| ("lists are in their order", format!("{at}: {part}: {wrong}")))?;
    let wrong = |wrong| ("listed is the set", format!("{at}: {part}: {wrong}"));
    let now_ms = auditor.world().elapsed_ms();
    let mut books = auditor.books();
    let tags = set(&books, part, &items).map_err(wrong)?;
    // What was posted or seen here, and taken away by nobody, is there still.
    books
        .saw_list(&List { at, part, asked_ms: now_ms, now_ms, items: &items, whole: true })
        .map_err(wrong)?;
    Ok(Listed { tags, items })
}

/// All pages of the flat list of a part in some order, and the count beside the last.
async fn pages(
    auditor: &Auditor,
    at: Address,
    (part, order): (&str, &str),
    exact: &mut Exact,
) -> Result<(Vec<Value>, Option<u64>), Wrong> {
    let (mut items, mut cursor, mut counted) = (Vec::new(), String::new(), None);
    for _ in 0..PAGES_MAX {
        let path = format!("/v1/parts/{part}/comments?flat=true&order={order}&limit=100{cursor}");
        let page = read(auditor, at, path).await?;
        items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        counted = page.pointer("/count/count").and_then(Value::as_u64);
        let next = text(&page, "/next");
        exact.answers.push(page);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok((items, counted))
}

/// The oldest comment is first, and the list from the newest on is the same turned round. Times are written alike, so they
/// compare as texts.
fn in_order(oldest: &[Value], newest: &[Value]) -> Result<(), String> {
    let all = |items: &[Value], field| items.iter().map(|item| text(item, field)).collect::<Vec<_>>();
    let posted = all(oldest, "/posted_at");
    if let Some(pair) = posted.windows(2).find(|pair| pair.first() > pair.last()) {
        return Err(format!("{pair:?} are listed from the oldest on"));
    }
    let (oldest, mut newest) = (all(oldest, "/id"), all(newest, "/id"));
    newest.reverse();
    if oldest == newest {
        Ok(())
    } else {
        Err(format!("{oldest:?} from the oldest on, {newest:?} up to the newest"))
    }
}

/// Compares a list with the auditor's own set.
fn set(books: &Books, part: &str, items: &[Value]) -> Result<BTreeSet<Tag>, String> {
    let mut tags = BTreeSet::new();
    for item in items {
        let tag = books.listed_tag(part, item)?;
        if !tags.insert(tag) {
            return Err(format!("#{tag} is listed twice"));
        }
        if !books.may_be_live(tag) {
            return Err(format!("#{tag} is listed, and is gone or hidden"));
        }
        let said = text(item, "/text");
        let possible = books.possible(&Field::Text(tag));
        let first =
            |said: &str| books.get(tag).is_some_and(|it| it.variants.iter().any(|one| one.text == said));
        let may_say =
            possible.contains(&said) || (possible.contains(&None) && said.as_deref().is_some_and(first));
        if !may_say {
            return Err(format!("#{tag} says {said:?}, which was overwritten: {possible:?}"));
        }
    }
    for (tag, element) in &books.elements {
        if element.part == part && !tags.contains(tag) && books.is_surely_live(*tag) {
            return Err(format!("#{tag} was acknowledged and is missing"));
        }
    }
    Ok(tags)
}

/// The counts of a part and its paragraphs, and of the replies to what is listed, by what is listed.
fn groups(part: &str, items: &[Value]) -> BTreeMap<String, u64> {
    let mut groups: BTreeMap<String, u64> = BTreeMap::new();
    groups.insert(format!("part:{part}"), 0);
    for item in items {
        *groups.entry(format!("part:{part}")).or_default() += 1;
        if let Some(paragraph) = text(item, "/paragraph") {
            *groups.entry(format!("paragraph:{part}:{paragraph}")).or_default() += 1;
        }
        if let Some(parent) = text(item, "/parent") {
            *groups.entry(format!("replies:{parent}")).or_default() += 1;
        }
    }
    groups
}

/// Every count in an answer against what is listed.
fn compare(at: Address, expected: &BTreeMap<String, u64>, answer: &Value) -> Result<(), Wrong> {
    match answer {
        Value::Array(items) => items.iter().try_for_each(|item| compare(at, expected, item)),
        Value::Object(fields) => {
            if let Some(group) = text(answer, "/group").filter(|group| !group.starts_with("votes:")) {
                let shown = fields.get("count").and_then(Value::as_u64);
                let listed = expected.get(&group).copied().unwrap_or_default();
                if shown != Some(listed) {
                    let detail = format!("{at}: {group}: {listed} listed, {shown:?} shown: {answer}");
                    return Err(("shown is listed", detail));
                }
            }
            fields.values().try_for_each(|field| compare(at, expected, field))
        }
        _ => Ok(()),
    }
}

/// Whether an answer has a count of each of these groups: what it does not show cannot be wrong, and would be missed by
/// nobody.
fn tells<'a>(at: Address, wanted: impl IntoIterator<Item = &'a String>, answer: &Value) -> Result<(), Wrong> {
    fn groups<'a>(answer: &'a Value, found: &mut BTreeSet<&'a str>) {
        match answer {
            Value::Array(items) => items.iter().for_each(|item| groups(item, found)),
            Value::Object(fields) => {
                found.extend(fields.get("group").and_then(Value::as_str));
                fields.values().for_each(|field| groups(field, found));
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    groups(answer, &mut found);
    match wanted.into_iter().find(|group| !found.contains(group.as_str())) {
        None => Ok(()),
        Some(group) => Err(("shown is listed", format!("{at}: {group} is not shown: {answer}"))),
    }
}

/// Every comment that anybody was told of is shown as it is, gone or not, with the number of its live replies.
async fn each(auditor: &Auditor, part: &str, listed: &Listed, exact: &mut Exact) -> Result<(), Wrong> {
    let expected = groups(part, &listed.items);
    let known: Vec<(Tag, String)> = {
        let books = auditor.books();
        let of_part = books.elements.iter().filter(|(_, element)| element.part == part);
        of_part.filter_map(|(tag, element)| Some((*tag, element.id.clone()?))).collect()
    };
    for (tag, id) in known {
        let group = format!("replies:{id}");
        exact.counts.insert(group.clone(), expected.get(&group).copied().unwrap_or_default());
        for at in sites(auditor, ServiceName::Comments) {
            let (status, body) = answered(auditor, at, &Ask::get(format!("/v1/comments/{id}"))).await?;
            let (was_posted, is_gone, may_be_gone) = {
                let books = auditor.books();
                let Some(element) = books.get(tag) else { continue };
                let any = |attempts: &[usize]| attempts.iter().any(|attempt| books.stands(*attempt));
                (any(&element.posts), any(&element.deletes), books.may_be_deleted(tag))
            };
            if status == 404 && !was_posted {
                continue;
            }
            let deleted = body.get("deleted").and_then(Value::as_bool);
            let may_be = deleted.is_some_and(|deleted| if deleted { may_be_gone } else { !is_gone });
            if status != 200 || !may_be {
                return Err(("listed is the set", format!("{at}: #{tag}: {status} {body}")));
            }
            compare(at, &expected, &body)?;
            tells(at, [&group], &body)?;
            exact.answers.push(body);
        }
    }
    Ok(())
}

/// Every replica of Stories shows what is listed, and the votes that people cast.
async fn shown(auditor: &Auditor, part: &str, listed: &Listed, exact: &mut Exact) -> Result<(), Wrong> {
    let expected = groups(part, &listed.items);
    for item in &listed.items {
        compare(Address { service: ServiceName::Comments, site: 0 }, &expected, item)?;
    }
    let (may_be_gone, is_gone, was_made) = {
        let books = auditor.books();
        (books.may_be_gone(part), books.is_gone(part), books.was_made(part))
    };
    for at in sites(auditor, ServiceName::Stories) {
        let (status, body) = answered(auditor, at, &Ask::get(format!("/v1/parts/{part}"))).await?;
        match status {
            410 if may_be_gone => continue,
            // All who acknowledged it were declared lost.
            404 if !was_made => continue,
            200 if !is_gone => {}
            _ => return Err(("a part is there or gone", format!("{at}: {part}: {status} {body}"))),
        }
        compare(at, &expected, &body)?;
        tells(at, expected.keys().filter(|group| !group.starts_with("replies:")), &body)?;
        let title = text(&body, "/title");
        let possible = auditor.books().possible(&Field::Title(part.to_owned()));
        if !possible.contains(&title) && !possible.contains(&None) {
            return Err(("the last title holds", format!("{at}: {part}: {title:?} of {possible:?}")));
        }
        votes(auditor, at, part, &body)?;
        stays(auditor, at, part).await?;
        if let Some(votes) = body.pointer("/counts/votes/count").and_then(Value::as_u64) {
            exact.counts.insert(format!("votes:{part}"), votes);
        }
        exact.answers.push(body);
    }
    Ok(())
}

/// Who is shown a part may vote for it: what others were told of it says that it is there, too. To take back a vote that was
/// never cast changes nothing.
async fn stays(auditor: &Auditor, at: Address, part: &str) -> Result<(), Wrong> {
    let somebody = {
        let books = auditor.books();
        let voted = |user: &String| Field::Vote { part: part.to_owned(), user: user.clone() };
        let mut users = books.secrets.keys();
        users.find(|user| books.was_made(user) && !books.fields.contains_key(&voted(user))).cloned()
    };
    let Some(somebody) = somebody else { return Ok(()) };
    let token = token(auditor, at.site, &somebody).await?;
    let ask = Ask::new("DELETE", format!("/v1/parts/{part}/vote")).bearer(token);
    let (status, body) = answered(auditor, at, &ask).await?;
    if status == 200 {
        return Ok(());
    }
    Err(("a part is there or gone", format!("{at}: {part} is shown, and a vote for it: {status} {body}")))
}

/// The votes that a part shows are those that people cast.
fn votes(auditor: &Auditor, at: Address, part: &str, body: &Value) -> Result<(), Wrong> {
    let shown = body.pointer("/counts/votes/count").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let books = auditor.books();
    let (mut least, mut most) = (0, 0);
    for field in books.fields.keys() {
        if matches!(field, Field::Vote { part: of, .. } if of == part) {
            let possible = books.possible(field);
            let yes = Some("true".to_owned());
            least += u64::from(possible.iter().all(|value| *value == yes));
            most += u64::from(possible.contains(&yes));
        }
    }
    if (least..=most).contains(&shown) {
        return Ok(());
    }
    Err(("votes are exact", format!("{at}: {part}: {shown} shown, {least} to {most} cast")))
}

/// Every replica of Comments knows whose the part is: its author's word counts there. The words change nothing. Not of a part
/// that was lost with every replica that had acknowledged it.
async fn known(auditor: &Auditor, part: &str, listed: &Listed) -> Result<(), Wrong> {
    let Some(comment) = listed.items.first().and_then(|item| text(item, "/id")) else { return Ok(()) };
    let host = {
        let books = auditor.books();
        books.hosts.get(part).filter(|_| books.was_made(part)).cloned()
    };
    let Some(host) = host else { return Ok(()) };
    for at in sites(auditor, ServiceName::Comments) {
        let token = token(auditor, at.site, &host).await?;
        let path = format!("/v1/comments/{comment}/visibility");
        let ask = Ask::new("PUT", path).bearer(token).json(&json!({ "visible": true }));
        let (status, body) = answered(auditor, at, &ask).await?;
        if status != 200 {
            return Err(("parts are known", format!("{at}: {part}: {status} {body}")));
        }
    }
    Ok(())
}

/// A fresh token of a person, by their id.
async fn token(auditor: &Auditor, site: usize, user: &str) -> Result<String, Wrong> {
    let secret = auditor.books().secrets.get(user).cloned();
    let (key, name) = secret.ok_or_else(|| ("answers in the end", format!("nobody is {user}")))?;
    let at = Address { service: ServiceName::Users, site };
    let ask = Ask::new("POST", "/v1/users").key(key).json(&json!({ "name": name }));
    let (status, body) = answered(auditor, at, &ask).await?;
    text(&body, "/token")
        .ok_or_else(|| ("answers in the end", format!("{at}: no token for {user}: {status} {body}")))
}

/// Names are the last ones given, the same at every replica of every service; shelves hold what was put there.
async fn people(auditor: &Auditor) -> Result<(), Wrong> {
    let users = auditor.books().ids_of(|thing| matches!(thing, Thing::User(_)));
    let mut names = BTreeMap::new();
    for user in &users {
        for at in sites(auditor, ServiceName::Users) {
            let (status, body) = answered(auditor, at, &Ask::get(format!("/v1/users/{user}"))).await?;
            if status == 404 && !auditor.books().was_made(user) {
                continue;
            }
            if status != 200 {
                return Err(("answers in the end", format!("{at}: {user}: {status} {body}")));
            }
            let name = text(&body, "/name");
            let possible = auditor.books().possible(&Field::Name(user.clone()));
            let first = auditor.books().secrets.get(user).map(|(_, name)| name.clone());
            let is_first = possible.contains(&None) && name == first;
            if !is_first && !possible.contains(&name) {
                return Err(("the last name holds", format!("{at}: {user}: {name:?} of {possible:?}")));
            }
            let known = names.entry(user.clone()).or_insert_with(|| name.clone());
            if *known != name {
                return Err(("profiles are equal", format!("{at}: {user}: {name:?}, elsewhere {known:?}")));
            }
            shelf(auditor, at, user).await?;
        }
    }
    stories(auditor, &names).await
}

/// What is on a shelf is what was put there and not taken off.
async fn shelf(auditor: &Auditor, at: Address, user: &str) -> Result<(), Wrong> {
    let stories: Vec<(String, BTreeSet<Option<String>>)> = {
        let books = auditor.books();
        let fields = books.fields.keys().filter_map(|field| match field {
            Field::Shelf { user: of, story } if of == user => Some((story.clone(), books.possible(field))),
            _ => None,
        });
        fields.collect()
    };
    if stories.is_empty() {
        return Ok(());
    }
    let ask = Ask::get(format!("/v1/users/{user}/shelf")).bearer(token(auditor, at.site, user).await?);
    let (status, body) = answered(auditor, at, &ask).await?;
    let items = body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let items: BTreeSet<_> = items.iter().filter_map(|item| text(item, "/story")).collect();
    for (story, possible) in stories {
        let is_on = items.contains(&story);
        let may_be = possible.contains(&Some(is_on.to_string())) || (!is_on && possible.contains(&None));
        if status != 200 || !may_be {
            let detail = format!("{at}: {user}: {story} is on it: {is_on}, of {possible:?} ({status})");
            return Err(("shelves hold what was put there", detail));
        }
    }
    Ok(())
}

/// Stories and Comments call everybody what Users calls them.
async fn stories(auditor: &Auditor, names: &BTreeMap<String, Option<String>>) -> Result<(), Wrong> {
    let told = |at: Address, author: &Value| {
        let known = text(author, "/id").and_then(|id| names.get(&id).cloned());
        let name = text(author, "/name");
        match known {
            Some(known) if known != name => {
                Err(("profiles are equal", format!("{at}: {author}, and Users says {known:?}")))
            }
            _ => Ok(()),
        }
    };
    for at in sites(auditor, ServiceName::Stories) {
        let page = read(auditor, at, "/v1/stories?limit=100".to_owned()).await?;
        for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            told(at, item.get("author").unwrap_or(&Value::Null))?;
        }
    }
    let parts: Vec<String> = auditor.books().hosts.keys().cloned().collect();
    for at in sites(auditor, ServiceName::Comments) {
        for part in &parts {
            let page = read(auditor, at, format!("/v1/parts/{part}/comments?flat=true&limit=100")).await?;
            for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
                told(at, item.get("author").unwrap_or(&Value::Null))?;
            }
        }
    }
    Ok(())
}

/// Replicas of one service have the same rows.
fn siblings(auditor: &Auditor) -> Result<(), Wrong> {
    for service in [ServiceName::Users, ServiceName::Stories, ServiceName::Comments] {
        let mut replicas = sites(auditor, service);
        let Some(first) = replicas.next() else { continue };
        let ours = auditor.world().synced(first);
        for other in replicas {
            let theirs = auditor.world().synced(other);
            if let Some(differs) = rows::difference(service, &ours, &theirs) {
                return Err(("siblings are equal", format!("{first} and {other}: {differs}")));
            }
        }
    }
    Ok(())
}

impl Books {
    /// Whether a comment must be listed.
    pub(crate) fn is_surely_live(&self, tag: Tag) -> bool {
        let Some(element) = self.elements.get(&tag) else { return false };
        let hidden = |value: &Option<String>| value.as_deref() == Some("false");
        element.posts.iter().any(|post| self.stands(*post))
            && !self.may_be_deleted(tag)
            && !self.possible(&Field::Visible(tag)).iter().any(hidden)
    }

    /// Whether a comment may be listed.
    pub(crate) fn may_be_live(&self, tag: Tag) -> bool {
        let Some(element) = self.elements.get(&tag) else { return false };
        let hidden = |value: &Option<String>| value.as_deref() == Some("false");
        element.posts.iter().any(|post| self.may_be(*post))
            && !element.deletes.iter().any(|attempt| self.stands(*attempt))
            && !self.possible(&Field::Visible(tag)).iter().all(hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_of_a_part_are_one_in_the_order_of_time() {
        let item = |id: &str, second: u8| json!({ "id": id, "posted_at": format!("2026-01-01T00:00:0{second}.000Z") });
        let [a, b, c] = [item("a", 1), item("b", 1), item("c", 2)];
        let oldest = [a.clone(), b.clone(), c.clone()];
        assert_eq!(in_order(&oldest, &[c.clone(), b.clone(), a.clone()]), Ok(()));
        assert_eq!(in_order(&[], &[]), Ok(()));
        let turned = [c.clone(), b.clone(), a.clone()];
        assert!(in_order(&turned, &oldest).is_err(), "the newest first");
        for newest in [&oldest as &[Value], &[c.clone(), a, b], &[c]] {
            assert!(in_order(&oldest, newest).is_err(), "{newest:?}");
        }
    }
}
