//! Random writes at both sites, of few things, so that they meet; what was written is told in any order, or not yet.

use crate::play::{Person, expect_exact, person, story};
use crate::world::{NOTHING, Site, World};
use fastrand::Rng;
use queue::Faults;
use serde_json::{Value, json};

/// How many seeds are played.
const SEEDS: u64 = 20;
/// How many writes a play has.
const WRITES: usize = 60;
/// So many different parts and comments there are to meet at.
const PARTS: usize = 3;
const COMMENTS: usize = 12;

/// What exists, by the number of the key that it was made with: the same at both sites.
struct Stage {
    people: Vec<Person>,
    story: String,
    parts: Vec<Option<String>>,
    comments: Vec<Option<(usize, String)>>,
}

/// A refusal is an answer like another: what is gone here may be unknown there. A failure is none.
fn answered(seed: u64, (status, answer): (u16, Value)) -> Option<Value> {
    assert!(status < 500, "seed {seed}: {status} {answer}");
    (status < 300).then_some(answer)
}

impl Stage {
    fn part(&self, rng: &mut Rng) -> Option<&String> {
        self.parts[rng.usize(..PARTS)].as_ref()
    }

    fn comment(&self, rng: &mut Rng) -> Option<&(usize, String)> {
        self.comments[rng.usize(..COMMENTS)].as_ref()
    }

    /// Publishes a part, perhaps one that was published already, here or there.
    async fn publish(&mut self, seed: u64, rng: &mut Rng, site: &Site) {
        let n = rng.usize(..PARTS);
        let body = json!({ "title": format!("Chapter {n}"), "paragraphs": ["one", "two", "three"] });
        let path = format!("/v1/stories/{}/parts", self.story);
        let answer = site.ask(&self.people[0].token, &format!("part-{n}"), "POST", &path, body).await;
        if let Some(part) = answered(seed, answer) {
            self.parts[n] = Some(part["id"].as_str().unwrap().to_owned());
        }
    }

    /// Posts a comment, perhaps one that was posted already, here or there.
    async fn post(&mut self, seed: u64, rng: &mut Rng, site: &Site) {
        let n = rng.usize(..COMMENTS);
        let Some(part) = self.parts[n % PARTS].clone() else { return };
        let parent = self.comment(rng).filter(|(of, _)| of % PARTS == n % PARTS).map(|(_, id)| id.clone());
        // Of one comment there are two wordings: the second is a conflict where the first is known.
        let wording = rng.usize(..8) / 7;
        let body = json!({ "text": format!("comment {n}.{wording}"), "parent": parent });
        let by = &self.people[n % self.people.len()].token;
        let path = format!("/v1/parts/{part}/comments");
        if let Some(posted) = answered(seed, site.ask(by, &format!("post-{n}"), "POST", &path, body).await) {
            self.comments[n] = Some((n, posted["comment"]["id"].as_str().unwrap().to_owned()));
        }
    }

    /// Changes a comment in one of the ways that there are.
    async fn change_comment(&self, seed: u64, rng: &mut Rng, site: &Site) {
        let Some((n, id)) = self.comment(rng) else { return };
        let (author, owner) = (&self.people[n % self.people.len()].token, &self.people[0].token);
        let path = format!("/v1/comments/{id}");
        let answer = match rng.u8(..4) {
            0 => site.ask(author, "", "DELETE", &path, NOTHING).await,
            1 => site.ask(owner, "", "DELETE", &path, NOTHING).await,
            2 => {
                let text = format!("edited {}", rng.u8(..));
                site.ask(author, "", "PATCH", &path, json!({ "text": text })).await
            }
            _ => {
                let body = json!({ "visible": rng.bool() });
                site.ask(owner, "", "PUT", &format!("{path}/visibility"), body).await
            }
        };
        answered(seed, answer);
    }

    /// Edits a part as its author sees it at this site.
    async fn edit(&self, seed: u64, rng: &mut Rng, site: &Site) {
        let Some(part) = self.part(rng) else { return };
        let path = format!("/v1/parts/{part}");
        let Some(shown) = answered(seed, site.ask("", "", "GET", &path, NOTHING).await) else { return };
        let paragraph = |one: &Value| json!({ "id": one["id"], "text": one["text"] });
        let mut list: Vec<_> = shown["paragraphs"].as_array().unwrap().iter().map(paragraph).collect();
        rng.shuffle(&mut list);
        if list.len() > 2 {
            list.truncate(rng.usize(2..=list.len()));
        }
        list[0]["text"] = json!(format!("edited {}", rng.u8(..)));
        if rng.bool() {
            list.push(json!({ "text": format!("new {}", rng.u8(..)) }));
        }
        let body = json!({ "title": format!("Title {}", rng.u8(..)), "paragraphs": list });
        let key = if rng.bool() { String::new() } else { format!("edit-{}", rng.u8(..4)) };
        answered(seed, site.ask(&self.people[0].token, &key, "PATCH", &path, body).await);
    }

    /// Votes, reads, moves, takes down.
    async fn touch(&self, seed: u64, rng: &mut Rng, site: &Site) {
        let Some(part) = self.part(rng) else { return };
        let anybody = &self.people[rng.usize(..self.people.len())].token;
        let path = format!("/v1/parts/{part}");
        let answer = match rng.u8(..16) {
            0 => site.ask(&self.people[0].token, "", "DELETE", &path, NOTHING).await,
            1..=3 => site.ask("", "", "POST", &format!("{path}/reads"), NOTHING).await,
            4..=6 => {
                let body = json!({ "behind": self.part(rng).filter(|other| *other != part) });
                site.ask(&self.people[0].token, "", "PUT", &format!("{path}/place"), body).await
            }
            way => {
                let method = if way % 3 == 0 { "DELETE" } else { "PUT" };
                site.ask(anybody, "", method, &format!("{path}/vote"), NOTHING).await
            }
        };
        answered(seed, answer);
    }

    /// Somebody changes their name or their shelf.
    async fn live(&self, seed: u64, rng: &mut Rng, site: &Site) {
        let somebody = &self.people[rng.usize(..self.people.len())];
        let path = format!("/v1/users/{}", somebody.id);
        let kept = format!("{path}/shelf/{:032x}", rng.u8(..3));
        let answer = match rng.u8(..3) {
            0 => {
                let body = json!({ "name": format!("Name {}", rng.u8(..)) });
                site.ask(&somebody.token, "", "PATCH", &path, body).await
            }
            1 => site.ask(&somebody.token, "", "PUT", &kept, NOTHING).await,
            _ => site.ask(&somebody.token, "", "DELETE", &kept, NOTHING).await,
        };
        answered(seed, answer);
    }
}

async fn play(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(seed, Faults::hostile(seed)).await;
    world.settle().await;
    let mut people = Vec::new();
    for key in ["orla", "finn", "maeve"] {
        people.push(person(if rng.bool() { &world.a } else { &world.b }, key).await);
    }
    let begun = story(&world.a, &people[0], "The harbour").await;
    world.settle().await;
    let parts = vec![None; PARTS];
    let mut stage = Stage { people, story: begun, parts, comments: vec![None; COMMENTS] };
    for _ in 0..WRITES {
        let site = if rng.bool() { &world.a } else { &world.b };
        match rng.u8(..14) {
            0..=1 => stage.publish(seed, &mut rng, site).await,
            2..=5 => stage.post(seed, &mut rng, site).await,
            6..=8 => stage.change_comment(seed, &mut rng, site).await,
            9 => stage.edit(seed, &mut rng, site).await,
            10..=11 => stage.touch(seed, &mut rng, site).await,
            12 => stage.live(seed, &mut rng, site).await,
            _ => {
                world.work().await;
            }
        }
    }
    world.settle().await;
    world.expect_equal().await;
    let people: Vec<_> = stage.people.iter().collect();
    for part in stage.parts.iter().flatten() {
        expect_exact(&world, part, &people).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_two_sites_wrote_they_agree_and_every_count_is_exact() {
    for seed in 0..SEEDS {
        play(seed).await;
    }
}
