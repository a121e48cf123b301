//! A sibling that was not there, and a queue that loses messages: anti-entropy brings the rest.

use crate::play::{comment, expect_exact, part, person, story, text};
use crate::world::{NOTHING, World};
use queue::Faults;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn what_was_written_before_there_was_a_sibling_arrives_when_there_is_one() {
    for seed in 0..2 {
        let mut world = World::apart(seed, Faults::none()).await;
        world.settle().await;
        let orla = person(&world.a, "orla").await;
        let story = story(&world.a, &orla, "The harbour").await;
        let first = part(&world.a, &orla, &story, "Chapter 1").await;
        let second = part(&world.a, &orla, &story, "Chapter 2").await;
        for n in 0..20 {
            comment(&world.a, &orla, &first, &format!("c{n}"), json!({ "text": format!("comment {n}") }))
                .await;
        }
        world.a.ok(&orla.token, "", "PUT", &format!("/v1/parts/{first}/vote"), NOTHING).await;
        let to_front = json!({ "behind": null });
        world.a.ok(&orla.token, "", "PUT", &format!("/v1/parts/{second}/place"), to_front).await;
        let shelf = format!("/v1/users/{}/shelf/{story}", orla.id);
        world.a.ok(&orla.token, "", "PUT", &shelf, NOTHING).await;
        world.settle().await;
        let unknown = world.b.ask("", "", "GET", &format!("/v1/parts/{first}"), NOTHING).await;
        assert_eq!(unknown.0, 404, "sites that do not name each other tell each other no stories");

        let mut world = world.reopened(false, Faults::hostile(seed)).await;
        world.heal().await;
        world.expect_equal().await;
        expect_exact(&world, &first, &[&orla]).await;
        let shown = world.b.get(&format!("/v1/parts/{first}")).await;
        assert_eq!(shown["counts"]["comments"]["count"], json!(20), "{shown}");
        assert_eq!(shown["counts"]["votes"]["count"], json!(1), "{shown}");
        let kept = world.b.ok(&orla.token, "", "GET", &shelf, NOTHING).await;
        assert_eq!(kept["on_shelf"], json!(true));
    }
}

/// What differs is larger than a message, at both: neither can show the other what it has.
#[tokio::test(start_paused = true)]
async fn an_edit_of_a_large_part_that_was_lost_arrives() {
    let mut world = World::new(0, Faults::none()).await;
    world.settle().await;
    let orla = person(&world.a, "orla").await;
    let story = story(&world.a, &orla, "The harbour").await;
    let paragraphs: Vec<_> = (0..40).map(|n| format!("{n} {}", "It rained. ".repeat(1_500))).collect();
    let body = json!({ "title": "Rain", "paragraphs": paragraphs });
    let part = world.a.ok(&orla.token, "rain", "POST", &format!("/v1/stories/{story}/parts"), body).await;
    let path = format!("/v1/parts/{}", text(&part["id"]));
    world.settle().await;
    world.expect_equal().await;

    let mut world = world.reopened(true, Faults::none()).await;
    world.settle().await;
    world.a.ok(&orla.token, "edit", "PATCH", &path, json!({ "title": "More rain" })).await;
    world.settle().await;
    assert_eq!(world.b.get(&path).await["title"], json!("Rain"));

    let mut world = world.reopened(false, Faults::none()).await;
    world.heal().await;
    world.expect_equal().await;
    assert_eq!(world.b.get(&path).await["title"], json!("More rain"));
}

#[tokio::test(start_paused = true)]
async fn half_of_what_siblings_tell_each_other_is_lost_for_ever_and_they_agree() {
    for seed in 0..2 {
        let faults = Faults { drop: 0.5, ..Faults::hostile(seed) };
        let mut world = World::new(seed, faults).await;
        // Until every service has heard of both keys.
        world.heal().await;
        let orla = person(&world.a, "orla").await;
        world.heal().await;
        let story = story(&world.a, &orla, "The harbour").await;
        world.heal().await;
        let part = part(&world.b, &orla, &story, "Chapter 1").await;
        world.heal().await;
        for n in 0..20 {
            let site = if n % 2 == 0 { &world.a } else { &world.b };
            comment(site, &orla, &part, &format!("c{n}"), json!({ "text": format!("comment {n}") })).await;
            world.work().await;
        }
        world.heal().await;
        world.expect_equal().await;
        assert!(world.lost() > 0, "something was lost");
        // Counts at Stories come from Comments: they are healed as rows are.
        expect_exact(&world, &part, &[&orla]).await;
    }
}
