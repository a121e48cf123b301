//! The order of a story's parts, and where the author puts one.

use crate::world::{Answer, NOTHING, World, refusal, text};
use antiphon_stories::PARTS_MOVED_BYTES_MAX;
use antiphon_stories::parts_order::PartsOrder;
use antiphon_stories::rows::{PartFactRow, PartsOrderRow};
use lattice::{Hlc, Lane, Min, ReplicaId, Stamp};
use messages::{PartId, PartPlace, PartState, StoryId, UserId};
use serde_json::{Value, json};
use std::convert::Infallible;
use store::Abort;

/// The simulator's seed 231: its replica was restored, and only others know of the part.
#[tokio::test]
async fn a_part_that_only_others_know_has_no_place() {
    let shelf = Shelf::of(World::new().await, 2).await;
    let (lost, story) = (PartId::from_bytes([7; 16]), shelf.id());
    let at = Stamp { hlc: Hlc::new(1, 0), replica: ReplicaId::from_u128(9), lane: Lane::default() };
    let owner = UserId::from_bytes([1; 16]);
    let known = PartState { place: Min::of(PartPlace { at, story, owner }), ..PartState::default() };
    let hear = move |view: &mut store::View<'_>| {
        view.join::<PartFactRow>(&lost, known.clone())?;
        Ok::<_, Abort<Infallible>>(())
    };
    shelf.world.stories.store().write(hear).await.unwrap();
    let place = |part: String, behind: Value| {
        let (world, path) = (&shelf.world, format!("/v1/parts/{part}/place"));
        async move { world.ask(1, "", "PUT", &path, json!({ "behind": behind })).await }
    };
    assert_eq!(place(lost.to_string(), NOTHING).await.0, 404);
    let answer = place(shelf.parts[0].clone(), json!(lost.to_string())).await;
    assert_eq!(refusal(&answer), (400, Some("behind")));
    assert_eq!(shelf.order().await, None, "nothing was moved");
}

struct Shelf {
    world: World,
    story: String,
    parts: Vec<String>,
}

impl Shelf {
    async fn of(world: World, count: usize) -> Self {
        let story = world.story("s").await;
        let mut parts = Vec::new();
        for number in 1..=count {
            parts.push(text(&world.part(&story, &number.to_string()).await["id"]));
        }
        Self { world, story, parts }
    }

    /// Puts the part of a number behind another one, 0 being none.
    async fn put(&self, part: usize, behind: usize) -> Answer {
        let behind = if behind == 0 { NOTHING } else { json!(self.parts[behind - 1]) };
        let path = format!("/v1/parts/{}/place", self.parts[part - 1]);
        self.world.ask(1, "", "PUT", &path, json!({ "behind": behind })).await
    }

    fn numbers(&self, story: &Value) -> String {
        let number = |part: &Value| self.parts.iter().position(|one| json!(one) == part["id"]).unwrap() + 1;
        story["parts"].as_array().unwrap().iter().map(|part| number(part).to_string()).collect()
    }

    async fn listed(&self) -> String {
        self.numbers(&self.world.get(&format!("/v1/stories/{}", self.story)).await.1)
    }

    fn id(&self) -> StoryId {
        self.story.parse().unwrap()
    }

    async fn order(&self) -> Option<PartsOrder> {
        self.world.stories.store().reader().unwrap().get::<PartsOrderRow>(&self.id()).await.unwrap()
    }

    async fn told(&self, order: PartsOrder) {
        let id = self.id();
        let tell = move |view: &mut store::View<'_>| {
            view.join::<PartsOrderRow>(&id, order.clone())?;
            Ok::<_, Abort<Infallible>>(())
        };
        self.world.stories.store().write(tell).await.unwrap();
    }
}

#[tokio::test]
async fn a_part_is_moved_and_the_story_and_its_neighbours_show_it() {
    let shelf = Shelf::of(World::new().await, 4).await;
    assert_eq!(shelf.listed().await, "1234", "a new one comes last");
    for (part, behind, order) in
        [(4, 0, "4123"), (1, 3, "4231"), (2, 4, "4231"), (3, 4, "4321"), (4, 1, "3214")]
    {
        let (status, story) = shelf.put(part, behind).await;
        assert_eq!((status, shelf.numbers(&story)), (200, order.to_owned()), "{part} behind {behind}");
        assert_eq!(shelf.listed().await, order);
        let before = shelf.order().await;
        assert_eq!(shelf.put(part, behind).await, (200, story), "a retry");
        assert_eq!(shelf.order().await, before, "changes nothing");
    }
    let shelf = Shelf { world: shelf.world.restarted().await, ..shelf };
    for (part, previous, next) in [(3, None, Some(2)), (2, Some(3), Some(1)), (4, Some(1), None)] {
        let (_, shown) = shelf.world.get(&format!("/v1/parts/{}", shelf.parts[part - 1])).await;
        let id = |number: Option<usize>| json!(number.map(|number| &shelf.parts[number - 1]));
        assert_eq!((&shown["previous"], &shown["next"]), (&id(previous), &id(next)), "{part}");
    }
    // A part that is taken down leaves, and one that is published comes last.
    let gone = format!("/v1/parts/{}", shelf.parts[0]);
    assert_eq!(shelf.world.ask(1, "", "DELETE", &gone, NOTHING).await.0, 204);
    assert_eq!(shelf.listed().await, "324");
    let fifth = text(&shelf.world.part(&shelf.story, "5").await["id"]);
    let shelf = Shelf { parts: shelf.parts.iter().cloned().chain([fifth]).collect(), ..shelf };
    assert_eq!(shelf.listed().await, "3245");
    assert_eq!(shelf.order().await.unwrap().parts.len(), 3, "one lost its slot, the other needs none");
}

#[tokio::test]
async fn parts_stand_as_they_were_published_until_one_is_moved() {
    let shelf = Shelf::of(World::new().await, 4).await;
    assert_eq!(shelf.listed().await, "1234");
    let (_, second) = shelf.world.get(&format!("/v1/parts/{}", shelf.parts[1])).await;
    assert_eq!((&second["previous"], &second["next"]), (&json!(shelf.parts[0]), &json!(shelf.parts[2])));
    // To stay is no move; the first move gives all of them slots; what is published comes last before and after it.
    assert_eq!(shelf.put(2, 1).await.0, 200);
    assert_eq!(shelf.order().await, None);
    let fifth = text(&shelf.world.part(&shelf.story, "5").await["id"]);
    let shelf = Shelf { parts: shelf.parts.iter().cloned().chain([fifth]).collect(), ..shelf };
    assert_eq!(shelf.listed().await, "12345");
    assert_eq!(shelf.put(1, 3).await.0, 200);
    assert_eq!(shelf.listed().await, "23145");
    assert_eq!(shelf.order().await.unwrap().parts.len(), 5);
    assert_eq!(shelf.put(5, 2).await.0, 200);
    assert_eq!(shelf.listed().await, "25314");
}

#[tokio::test]
async fn a_creation_that_is_repeated_at_a_sibling_undoes_no_move() {
    let here = Shelf::of(World::new().await, 3).await;
    let there = Shelf::of(World::elsewhere().await, 3).await;
    assert_eq!(here.parts, there.parts, "they are the same parts");
    here.put(3, 0).await;
    here.put(1, 2).await;
    assert_eq!(here.listed().await, "321");
    there.told(here.order().await.unwrap()).await;
    assert_eq!(here.order().await, there.order().await);
    let read = here.listed().await;
    assert_eq!(read, there.listed().await);
    assert_eq!(read.len(), 3);
    assert!(read.starts_with('3'), "{read}");
    // Two siblings move two parts at once: both hold.
    here.put(3, 1).await;
    there.put(2, 0).await;
    here.told(there.order().await.unwrap()).await;
    assert_eq!(here.listed().await, "213");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let shelf = Shelf::of(World::new().await, 3).await;
    let world = &shelf.world;
    let other = world.story("t").await;
    let foreign = text(&world.part(&other, "9").await["id"]);
    let gone = &shelf.parts[2];
    world.ask(1, "", "DELETE", &format!("/v1/parts/{gone}"), NOTHING).await;
    let before = shelf.order().await;
    let path = format!("/v1/parts/{}/place", shelf.parts[0]);
    let put = |user, path: &str, body: Value| {
        let path = path.to_owned();
        async move { world.ask(user, "", "PUT", &path, body).await }
    };
    for (body, field) in [
        (json!({ "behind": shelf.parts[0] }), "behind"),
        (json!({ "behind": foreign }), "behind"),
        (json!({ "behind": gone }), "behind"),
        (json!({ "behind": "0".repeat(32) }), "behind"),
        (json!({ "behind": "AB" }), "behind"),
        (json!({ "behind": 1 }), "behind"),
        (json!({}), "behind"),
        (json!({ "behind": null, "before": null }), "before"),
    ] {
        let answer = put(1, &path, body.clone()).await;
        assert_eq!(refusal(&answer), (400, Some(field)), "{body}: {}", answer.1);
    }
    let first = json!({ "behind": null });
    assert_eq!(refusal(&put(2, &path, first.clone()).await), (403, None));
    assert_eq!(refusal(&put(0, &path, first.clone()).await).0, 401);
    for (part, status) in [(gone.clone(), 410), ("0".repeat(32), 404), ("AB".to_owned(), 400)] {
        assert_eq!(refusal(&put(1, &format!("/v1/parts/{part}/place"), first.clone()).await).0, status);
    }
    assert_eq!(shelf.order().await, before);
    assert_eq!(shelf.listed().await, "12");
}

/// An order with so many parts that once stood in it, made at once.
fn crowded(count: u128) -> PartsOrder {
    let at = Stamp { hlc: Hlc::new(2, 0), replica: ReplicaId::from_u128(9), lane: Lane::default() };
    let part = |number: u128| {
        (PartId::from_bytes(number.to_be_bytes()).to_string(), json!({ "at": at, "value": null }))
    };
    let places: serde_json::Map<_, _> = (0..count).map(part).collect();
    let slots = serde_json::to_value(&PartsOrder::default().parts).unwrap()["slots"].clone();
    serde_json::from_value(json!({ "parts": { "slots": slots, "places": places } })).unwrap()
}

fn bytes(order: &PartsOrder) -> usize {
    serde_json::to_string(&order.parts).unwrap().len()
}

#[tokio::test]
async fn an_order_has_a_bound_and_new_parts_take_nothing_of_it() {
    let shelf = Shelf::of(World::new().await, 2).await;
    let crowd = crowded(40_000);
    assert!(bytes(&crowd) > PARTS_MOVED_BYTES_MAX, "{}", bytes(&crowd));
    shelf.told(crowd).await;
    let before = shelf.order().await;
    let answer = shelf.put(2, 0).await;
    assert_eq!(
        (refusal(&answer).0, &answer.1["limit"]),
        (409, &json!(PARTS_MOVED_BYTES_MAX)),
        "{}",
        answer.1
    );
    assert_eq!(shelf.order().await, before);
    world_takes(&shelf, "3", 201).await;
    assert_eq!(shelf.order().await, before);
}

/// Publishing costs the same in a long story as in a short one.
#[tokio::test]
async fn there_is_no_order_before_something_is_moved() {
    let shelf = Shelf::of(World::new().await, 3).await;
    assert_eq!((shelf.order().await, shelf.listed().await), (None, "123".to_owned()));
    let neighbours = |part: Value| (part["previous"].clone(), part["next"].clone());
    let middle = shelf.world.get(&format!("/v1/parts/{}", shelf.parts[1])).await.1;
    assert_eq!(neighbours(middle), (json!(shelf.parts[0]), json!(shelf.parts[2])));
    assert_eq!(shelf.put(3, 0).await.0, 200);
    let moved = shelf.order().await;
    let published = world_takes(&shelf, "4", 201).await.1;
    assert_eq!(shelf.order().await, moved, "it stands last without a slot");
    assert_eq!(neighbours(published), (json!(shelf.parts[1]), NOTHING));
}

async fn world_takes(shelf: &Shelf, key: &str, status: u16) -> Answer {
    let path = format!("/v1/stories/{}/parts", shelf.story);
    let answer = shelf.world.ask(1, key, "POST", &path, json!({ "title": "a", "paragraphs": [] })).await;
    assert_eq!(answer.0, status, "{}", answer.1);
    answer
}
