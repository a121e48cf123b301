//! Scenes in which two sites take what concerns the same things.

use crate::play::{Person, comment, expect_exact, listed, part, person, story, text};
use crate::world::{NOTHING, World};
use queue::Faults;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Two people who came at different sites, and a part that both sites know.
async fn begun(seed: u64) -> (World, Person, Person, String, String) {
    let mut world = World::new(seed, Faults::hostile(seed)).await;
    world.settle().await;
    let (orla, finn) = (person(&world.a, "orla").await, person(&world.b, "finn").await);
    let story = story(&world.a, &orla, "The harbour").await;
    let part = part(&world.a, &orla, &story, "Chapter 1").await;
    world.settle().await;
    (world, orla, finn, story, part)
}

#[tokio::test(start_paused = true)]
async fn a_comment_is_posted_here_and_deleted_there_and_counted_nowhere() {
    for seed in 0..4 {
        let (mut world, orla, finn, _, part) = begun(seed).await;
        let kept = comment(&world.a, &finn, &part, "kept", json!({ "text": "kept" })).await;
        let gone = comment(&world.a, &finn, &part, "gone", json!({ "text": "gone" })).await;
        let hidden = comment(&world.b, &finn, &part, "hidden", json!({ "text": "hidden" })).await;
        world.settle().await;
        // Its author deletes it at one site, the story's author at the other: one deletion too many to count.
        world.b.ok(&finn.token, "", "DELETE", &format!("/v1/comments/{gone}"), NOTHING).await;
        world.a.ok(&orla.token, "", "DELETE", &format!("/v1/comments/{gone}"), NOTHING).await;
        let hide = json!({ "visible": false });
        world.a.ok(&orla.token, "", "PUT", &format!("/v1/comments/{hidden}/visibility"), hide).await;
        world.settle().await;
        world.expect_equal().await;
        expect_exact(&world, &part, &[&orla, &finn]).await;
        let flat = format!("/v1/parts/{part}/comments?flat=true");
        assert_eq!(listed(&world.b, &flat).await, BTreeSet::from([kept]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_two_sites_accepted_is_one_comment_counted_once() {
    for seed in 0..4 {
        let (mut world, orla, finn, _, part) = begun(seed).await;
        let body = json!({ "text": "I see it." });
        let here = comment(&world.a, &finn, &part, "same", body.clone()).await;
        let there = comment(&world.b, &finn, &part, "same", body).await;
        assert_eq!(here, there, "one id, wherever it is sent");
        let reply = |text: &str| json!({ "text": text, "parent": here });
        comment(&world.a, &orla, &part, "from a", reply("So do I.")).await;
        comment(&world.b, &finn, &part, "from b", reply("Where?")).await;
        let count = |answer: &Value| answer["counts"]["comments"]["count"].as_u64().unwrap();
        world.settle().await;
        world.expect_equal().await;
        expect_exact(&world, &part, &[&orla, &finn]).await;
        let shown = world.b.get(&format!("/v1/parts/{part}")).await;
        assert_eq!(count(&shown), 3, "{shown}");
        let conflict = json!({ "text": "something else" });
        let path = format!("/v1/parts/{part}/comments");
        let (status, answer) = world.b.ask(&finn.token, "same", "POST", &path, conflict).await;
        assert_eq!(status, 409, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn votes_edits_and_moves_at_both_sites_become_one() {
    for seed in 0..4 {
        let (mut world, orla, finn, story, first) = begun(seed).await;
        let second = part(&world.b, &orla, &story, "Chapter 2").await;
        let third = part(&world.a, &orla, &story, "Chapter 3").await;
        world.settle().await;
        let vote = format!("/v1/parts/{first}/vote");
        for (site, who) in [(&world.a, &orla), (&world.b, &finn), (&world.a, &finn), (&world.b, &finn)] {
            site.ok(&who.token, "", "PUT", &vote, NOTHING).await;
        }
        world.b.ok(&orla.token, "", "DELETE", &vote, NOTHING).await;
        let path = format!("/v1/parts/{first}");
        let ids: Vec<_> = world.a.get(&path).await["paragraphs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|paragraph| paragraph["id"].clone())
            .collect();
        let list = |texts: [(usize, &str); 3]| {
            let list: Vec<_> = texts.iter().map(|(n, text)| json!({ "id": ids[*n], "text": text })).collect();
            json!({ "paragraphs": list })
        };
        // One rewrites the first paragraph and moves it to the end, the other adds behind the last one.
        let here = list([(1, "two"), (2, "three"), (0, "ONE")]);
        world.a.ok(&orla.token, "edit a", "PATCH", &path, here).await;
        let mut there = list([(0, "one"), (1, "TWO"), (2, "three")]);
        there["paragraphs"].as_array_mut().unwrap().push(json!({ "text": "four" }));
        there["title"] = json!("Chapter the first");
        world.b.ok(&orla.token, "edit b", "PATCH", &path, there).await;
        let to_front = json!({ "behind": null });
        world.a.ok(&orla.token, "", "PUT", &format!("/v1/parts/{third}/place"), to_front.clone()).await;
        world.b.ok(&orla.token, "", "PUT", &format!("/v1/parts/{second}/place"), to_front).await;
        for site in [&world.a, &world.b, &world.b] {
            site.ok("", "", "POST", &format!("{path}/reads"), NOTHING).await;
        }
        world.settle().await;
        world.expect_equal().await;
        expect_exact(&world, &first, &[&orla, &finn]).await;
        for site in [&world.a, &world.b] {
            let part = site.get(&path).await;
            let texts: BTreeSet<_> =
                part["paragraphs"].as_array().unwrap().iter().map(|one| text(&one["text"])).collect();
            let all = ["ONE", "TWO", "three", "four"].map(str::to_owned);
            assert_eq!(texts, BTreeSet::from(all), "both edits hold");
            assert_eq!((&part["title"], &part["counts"]["reads"]), (&json!("Chapter the first"), &json!(3)));
            let parts = site.get(&format!("/v1/stories/{story}")).await["parts"].clone();
            assert_eq!(parts.as_array().unwrap().len(), 3, "{parts}");
            assert_eq!(parts[2]["id"], json!(first), "both moves hold: {parts}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_published_at_both_sites_is_one_and_stays_taken_down() {
    for seed in 0..4 {
        let (mut world, orla, finn, story, _) = begun(seed).await;
        let here = part(&world.a, &orla, &story, "Chapter 2").await;
        let there = part(&world.b, &orla, &story, "Chapter 2").await;
        assert_eq!(here, there);
        comment(&world.b, &finn, &here, "early", json!({ "text": "already?" })).await;
        world.a.ok(&orla.token, "", "DELETE", &format!("/v1/parts/{here}"), NOTHING).await;
        world.settle().await;
        world.expect_equal().await;
        expect_exact(&world, &here, &[&orla, &finn]).await;
        for site in [&world.a, &world.b] {
            assert_eq!(site.ask("", "", "GET", &format!("/v1/parts/{here}"), NOTHING).await.0, 410);
            let parts = site.get(&format!("/v1/stories/{story}")).await["parts"].clone();
            assert_eq!(parts.as_array().unwrap().len(), 1, "{parts}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn people_and_their_shelves_are_the_same_everywhere() {
    for seed in 0..4 {
        let (mut world, orla, _, story, _) = begun(seed).await;
        // The creation is repeated where it was not sent first, after a change that this site has not heard of.
        let path = format!("/v1/users/{}", orla.id);
        let shelf = format!("{path}/shelf/{story}");
        world.a.ok(&orla.token, "", "PATCH", &path, json!({ "name": "Órla" })).await;
        world.a.ok(&orla.token, "", "PUT", &shelf, NOTHING).await;
        let again = person(&world.b, "orla").await;
        assert_eq!(again.id, orla.id);
        world.settle().await;
        world.expect_equal().await;
        for site in [&world.a, &world.b] {
            assert_eq!(site.get(&path).await["name"], json!("Órla"), "a late retry undoes no change");
            for token in [&orla.token, &again.token] {
                let on = site.ok(token, "", "GET", &shelf, NOTHING).await;
                assert_eq!(on["on_shelf"], json!(true), "a token of either site counts at both: {on}");
            }
        }
        // Taken off here while it is put there again: who puts it wins only where that was news.
        let other = format!("{path}/shelf/{}", "b".repeat(32));
        world.b.ok(&again.token, "", "DELETE", &shelf, NOTHING).await;
        world.a.ok(&orla.token, "", "PUT", &other, NOTHING).await;
        world.settle().await;
        world.expect_equal().await;
        let kept = world.b.ok(&orla.token, "", "GET", &format!("{path}/shelf"), NOTHING).await;
        assert_eq!(kept["items"], json!([{ "story": "b".repeat(32) }]));
    }
}

#[tokio::test(start_paused = true)]
async fn answers_before_what_they_answer_and_back() {
    for seed in 0..4 {
        let (mut world, orla, finn, _, part) = begun(seed).await;
        let top = comment(&world.a, &orla, &part, "top", json!({ "text": "top" })).await;
        // The other site has not heard of what is answered: its answer is an orphan there until it has.
        let body = json!({ "text": "answer", "parent": top });
        let answer = comment(&world.b, &finn, &part, "answer", body).await;
        let level = format!("/v1/parts/{part}/comments?limit=100");
        assert_eq!(listed(&world.b, &level).await, BTreeSet::from([answer.clone()]));
        world.settle().await;
        world.expect_equal().await;
        expect_exact(&world, &part, &[&orla, &finn]).await;
        for site in [&world.a, &world.b] {
            assert_eq!(listed(site, &level).await, BTreeSet::from([top.clone()]));
            let replies = format!("/v1/comments/{top}/replies?limit=100");
            assert_eq!(listed(site, &replies).await, BTreeSet::from([answer.clone()]));
        }
    }
}

/// A part may be larger than a message: then it travels in pieces.
#[tokio::test(start_paused = true)]
async fn a_part_larger_than_a_message_arrives_whole() {
    for seed in 0..2 {
        let (mut world, orla, finn, story, _) = begun(seed).await;
        let paragraphs: Vec<_> = (0..45).map(|n| format!("{n} {}", "It rained. ".repeat(1_700))).collect();
        let body = json!({ "title": "Rain", "paragraphs": paragraphs });
        assert!(body.to_string().len() > 3 * queue::ENVELOPE_BYTES_MAX);
        let path = format!("/v1/stories/{story}/parts");
        let part = text(&world.a.ok(&orla.token, "rain", "POST", &path, body).await["id"]);
        world.settle().await;
        world.expect_equal().await;
        expect_exact(&world, &part, &[&orla, &finn]).await;
        let shown = world.b.get(&format!("/v1/parts/{part}")).await;
        let texts: Vec<_> =
            shown["paragraphs"].as_array().unwrap().iter().map(|one| text(&one["text"])).collect();
        assert_eq!(texts, paragraphs);
    }
}
