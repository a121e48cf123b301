//! Edits of a part: what keeps its id, what is new, what is removed.

use crate::world::{Answer, NOTHING, World, refusal, text};
use antiphon_stories::EDITS_KEPT_MAX;
use antiphon_stories::part::Part;
use antiphon_stories::rows::PartRow;
use lattice::{Map, Min};
use messages::PartId;
use serde_json::{Value, json};
use std::convert::Infallible;
use store::Abort;

struct Draft {
    world: World,
    path: String,
    part: Value,
}

impl Draft {
    async fn new() -> Self {
        let world = World::new().await;
        let story = world.story("s").await;
        let part = world.part(&story, "1").await;
        Self { path: format!("/v1/parts/{}", text(&part["id"])), world, part }
    }

    fn id(&self, position: usize) -> String {
        text(&self.part["paragraphs"][position]["id"])
    }

    async fn edit(&self, key: &str, body: Value) -> Answer {
        self.world.ask(1, key, "PATCH", &self.path, body).await
    }

    async fn stored(&self) -> Part {
        let id = text(&self.part["id"]).parse().unwrap();
        self.world.stories.store().reader().unwrap().get::<PartRow>(&id).await.unwrap().unwrap()
    }
}

fn paragraphs((status, part): &Answer) -> Vec<(String, String)> {
    assert_eq!(*status, 200, "{part}");
    part["paragraphs"].as_array().unwrap().iter().map(|one| (text(&one["id"]), text(&one["text"]))).collect()
}

fn is(id: &str, text: &str) -> (String, String) {
    (id.to_owned(), text.to_owned())
}

#[tokio::test]
async fn ids_stay_when_text_moves_and_changes() {
    let draft = Draft::new().await;
    let [one, two, three] = [draft.id(0), draft.id(1), draft.id(2)];
    let list = json!({ "paragraphs": [
        { "id": three, "text": "three" }, { "text": "new" }, { "id": one, "text": "ONE" },
    ]});
    let shown = paragraphs(&draft.edit("", list).await);
    let new = shown[1].0.clone();
    assert_eq!(shown, [is(&three, "three"), is(&new, "new"), is(&one, "ONE")]);
    assert!(![&one, &two, &three].contains(&&new));
    // What was removed is so for good, and leaves nothing but its id.
    let back = draft
        .edit("", json!({ "paragraphs": [{ "id": one, "text": "ONE" }, { "id": two, "text": "two" }] }))
        .await;
    assert_eq!(refusal(&back), (400, Some("paragraphs[1].id")));
    assert!(!serde_json::to_string(&draft.stored().await).unwrap().contains("\"two\""));
    assert_eq!(paragraphs(&draft.world.get(&draft.path).await), shown);
    assert_eq!(paragraphs(&draft.edit("", json!({ "paragraphs": [] })).await), []);
}

#[tokio::test]
async fn the_comments_of_a_paragraph_stay_with_it() {
    let draft = Draft::new().await;
    let [one, two, three] = [draft.id(0), draft.id(1), draft.id(2)];
    let id = text(&draft.part["id"]);
    let groups = [&one, &three].map(|paragraph| format!("paragraph:{id}:{paragraph}"));
    draft.world.tell_tallies(&[(&groups[0], 1, 5, 1), (&groups[1], 1, 2, 0)]).await;
    let list = json!({ "paragraphs": [
        { "id": three, "text": "three" }, { "text": "new" }, { "id": two, "text": "two" }, { "id": one, "text": "ONE" },
    ]});
    let (_, shown) = draft.edit("e", list).await;
    let counts: Vec<_> =
        shown["paragraphs"].as_array().unwrap().iter().map(|one| &one["comments"]["count"]).collect();
    assert_eq!(counts, [2, 0, 0, 4]);
    assert_eq!(
        (&shown["paragraphs"][3]["id"], &shown["paragraphs"][3]["text"]),
        (&json!(one), &json!("ONE"))
    );
}

#[tokio::test]
async fn what_stays_as_it_is_mints_nothing() {
    let draft = Draft::new().await;
    let [one, two, three] = [draft.id(0), draft.id(1), draft.id(2)];
    let before = draft.stored().await;
    let same = json!({ "title": "Chapter 1", "paragraphs": [
        { "id": one, "text": "one" }, { "id": two, "text": "two" }, { "id": three, "text": "three" },
    ]});
    draft.edit("", same).await;
    draft.edit("", json!({})).await;
    assert_eq!(draft.stored().await, before);
    let (status, titled) = draft.edit("", json!({ "title": "First" })).await;
    assert_eq!((status, &titled["title"]), (200, &json!("First")));
    draft
        .edit("", json!({ "paragraphs": [{ "id": one, "text": "one" }, { "id": three, "text": "3" }] }))
        .await;
    let after = draft.stored().await;
    let of = |part: &Part, id: &str| part.paragraphs.get(&id.parse().unwrap()).unwrap().clone();
    assert_eq!(of(&after, &one), of(&before, &one));
    let slot = |part: &Part, id: &str| part.order.stamp(&id.parse().unwrap());
    assert_eq!(slot(&after, &three), slot(&before, &three), "it moved up because another one left");
    assert!(of(&after, &three).text.stamp() > of(&before, &three).text.stamp());
    let (_, story) = draft.world.get(&format!("/v1/stories/{}", text(&draft.part["story"]["id"]))).await;
    assert_eq!(story["parts"][0]["title"], "First", "the story's list hears of it");
    assert_eq!(story["parts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_retried_edit_makes_the_same_paragraphs() {
    let draft = Draft::new().await;
    let one = draft.id(0);
    let list = json!({ "paragraphs": [{ "text": "prologue" }, { "id": one, "text": "one" }, { "text": "prologue" }] });
    let first = draft.edit("e", list.clone()).await;
    let shown = paragraphs(&first);
    assert_ne!(shown[0].0, shown[2].0);
    let before = draft.stored().await;
    assert_eq!(draft.edit("e", list.clone()).await, first);
    assert_eq!(draft.stored().await, before);
    let other = paragraphs(&draft.edit("f", list.clone()).await);
    assert_ne!(other[0].0, shown[0].0, "another edit");
    // The first one, late: what it made was removed in between.
    assert_eq!(paragraphs(&draft.edit("e", list).await), other);
    assert_eq!(paragraphs(&draft.world.get(&draft.path).await), other);
}

#[tokio::test]
async fn a_late_retry_undoes_nothing_and_another_body_is_a_conflict() {
    let mut draft = Draft::new().await;
    let one = draft.id(0);
    let titled = |title: &str| json!({ "title": title });
    assert_eq!(
        draft.edit("same", titled("Chapter 1")).await.0,
        200,
        "changes nothing, and is an edit all the same"
    );
    assert_eq!(draft.edit("older", titled("Older")).await.1["title"], "Older");
    let newer = json!({ "title": "Newer", "paragraphs": [{ "id": one, "text": "ONE" }] });
    let (status, shown) = draft.edit("newer", newer.clone()).await;
    assert_eq!(status, 200);
    let before = draft.stored().await;
    draft.world = draft.world.restarted().await;
    for (key, body) in [("older", titled("Older")), ("same", titled("Chapter 1")), ("newer", newer)] {
        assert_eq!(draft.edit(key, body).await, (200, shown.clone()), "{key}");
    }
    for body in [
        titled("Other"),
        json!({}),
        json!({ "title": "Older", "paragraphs": [] }),
        json!({ "title": "Older", "paragraphs": [{ "id": one, "text": "ONE" }] }),
    ] {
        let answer = draft.edit("older", body).await;
        assert_eq!(refusal(&answer), (409, Some("Idempotency-Key")), "{}", answer.1);
    }
    assert_eq!(draft.stored().await, before);
    // A refused edit was not made, and its key is free.
    let wrong = json!({ "paragraphs": [{ "id": "0".repeat(32), "text": "a" }] });
    assert_eq!(refusal(&draft.edit("free", wrong).await), (400, Some("paragraphs[0].id")));
    assert_eq!(draft.edit("free", titled("Free")).await.1["title"], "Free");
    // The same key at another part is another edit.
    let other = draft.world.part(&text(&draft.part["story"]["id"]), "2").await;
    let path = format!("/v1/parts/{}", text(&other["id"]));
    assert_eq!(draft.world.ask(1, "older", "PATCH", &path, titled("Mine")).await.1["title"], "Mine");
}

#[tokio::test]
async fn without_a_key_nothing_is_remembered() {
    let draft = Draft::new().await;
    draft.edit("", json!({ "title": "a" })).await;
    draft.edit("", json!({ "title": "b" })).await;
    assert_eq!(draft.edit("", json!({ "title": "a" })).await.1["title"], "a");
    let stored = draft.stored().await;
    assert!(stored.edits.is_empty());
    assert!(!serde_json::to_string(&stored).unwrap().contains("edits"));
}

#[tokio::test]
async fn a_retry_of_an_edit_after_the_part_was_taken_down() {
    let mut draft = Draft::new().await;
    let body = json!({ "title": "Second", "paragraphs": [{ "text": "new" }] });
    let (_, shown) = draft.edit("e", body.clone()).await;
    assert_eq!(shown["gone"], false);
    draft.world.ask(1, "", "DELETE", &draft.path, NOTHING).await;
    draft.world = draft.world.restarted().await;
    let (status, gone) = draft.edit("e", body.clone()).await;
    assert_eq!((status, &gone["id"], &gone["gone"]), (200, &shown["id"], &json!(true)));
    assert_eq!((&gone["title"], &gone["paragraphs"]), (&json!(""), &json!([])));
    assert_eq!(refusal(&draft.edit("e", json!({ "title": "x" })).await), (409, Some("Idempotency-Key")));
    for key in ["f", ""] {
        assert_eq!(refusal(&draft.edit(key, body.clone()).await).0, 410);
    }
}

#[tokio::test]
async fn a_part_remembers_so_many_edits() {
    let draft = Draft::new().await;
    let body = |title: &str| json!({ "title": title });
    assert_eq!(draft.edit("first", body("first")).await.0, 200);
    let id: PartId = text(&draft.part["id"]).parse().unwrap();
    let made = |number: usize| (format!("{number:032x}"), Min::of("0".repeat(32)));
    let edits: Map<_, _> = (2..EDITS_KEPT_MAX).map(made).collect();
    let many = Part { edits, ..Part::default() };
    let fill = move |view: &mut store::View<'_>| {
        view.join::<PartRow>(&id, many.clone())?;
        Ok::<_, Abort<Infallible>>(())
    };
    draft.world.stories.store().write(fill).await.unwrap();
    assert_eq!(draft.edit("last", body("last")).await.0, 200);
    let before = draft.stored().await;
    assert_eq!(before.edits.len(), 1_000);
    let answer = draft.edit("more", body("more")).await;
    assert_eq!((refusal(&answer), &answer.1["limit"]), ((400, Some("Idempotency-Key")), &json!(1_000)));
    assert_eq!(draft.edit("first", body("first")).await.1["title"], "last", "a retry is no more");
    assert_eq!(refusal(&draft.edit("first", body("x")).await).0, 409);
    assert_eq!(draft.stored().await, before);
    assert_eq!(draft.edit("", body("more")).await.1["title"], "more");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let draft = Draft::new().await;
    let one = draft.id(0);
    let other = draft.world.part(&text(&draft.part["story"]["id"]), "2").await;
    let foreign = text(&other["paragraphs"][0]["id"]);
    let before = draft.stored().await;
    for (list, field) in [
        (
            json!([{ "id": one, "text": "a" }, { "text": "b" }, { "id": "0".repeat(32), "text": "c" }]),
            "paragraphs[2].id",
        ),
        (json!([{ "id": foreign, "text": "a" }]), "paragraphs[0].id"),
        (json!([{ "id": one, "text": "a" }, { "id": one, "text": "b" }]), "paragraphs[1].id"),
        (json!([{ "id": "x", "text": "a" }]), "paragraphs[0].id"),
        (json!([{ "id": one, "text": "a" }, { "text": "\u{1b}" }]), "paragraphs[1].text"),
        (json!([{ "id": one }]), "paragraphs[0].text"),
        (json!([{ "text": "a", "place": 1 }]), "paragraphs[0].place"),
        (json!(vec![json!({ "text": "a" }); 501]), "paragraphs"),
    ] {
        let answer = draft.edit("", json!({ "title": "x", "paragraphs": list })).await;
        assert_eq!(refusal(&answer), (400, Some(field)), "{}", answer.1);
    }
    assert_eq!(refusal(&draft.edit("", json!({ "title": "" })).await), (400, Some("title")));
    assert_eq!(refusal(&draft.edit("", json!({ "text": "a" })).await), (400, Some("text")));
    let theirs = draft.world.ask(2, "", "PATCH", &draft.path, json!({ "title": "mine" })).await;
    assert_eq!(refusal(&theirs), (403, None));
    assert_eq!(refusal(&draft.world.ask(0, "", "PATCH", &draft.path, json!({})).await).0, 401);
    assert_eq!(draft.stored().await, before);
}

#[tokio::test]
async fn a_part_has_had_so_many_paragraphs() {
    let draft = Draft::new().await;
    let list = json!({ "paragraphs": vec![json!({ "text": "a" }); 500] });
    let mut refused = None;
    for _ in 0..20 {
        let answer = draft.edit("", list.clone()).await;
        if answer.0 != 200 {
            refused = Some(answer);
            break;
        }
    }
    let answer = refused.unwrap();
    assert_eq!(refusal(&answer), (400, Some("paragraphs")));
    assert_eq!((&answer.1["limit"], draft.stored().await.paragraphs.len()), (&json!(10_000), 9_503));
    assert_eq!(draft.edit("", json!({ "title": "still" })).await.0, 200);
}
