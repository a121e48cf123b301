//! The smallest play: one writer, and the count in the end.

use crate::run::Play;
use crate::service::ServiceName;
use crate::world::{Answer, Ask, World};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// One writer posts and deletes comments on one part.
#[derive(Debug, Clone, Default)]
pub struct Smoke {
    written: Arc<Mutex<Option<Written>>>,
}

#[derive(Debug, Clone)]
struct Written {
    part: String,
    live: u64,
}

impl Play for Smoke {
    fn enter(&self, world: &World) {
        let (written, writing) = (Arc::clone(&self.written), world.clone());
        world.spawn(async move {
            let result = write(&writing).await;
            *crate::core::lock(&written) = Some(result);
        });
    }

    async fn verdict(&self, world: &World) {
        let Some(written) = crate::core::lock(&self.written).clone() else {
            return world.fail("smoke", "the writer wrote nothing".to_owned());
        };
        let part = read(world, ServiceName::Stories, &format!("/v1/parts/{}", written.part)).await;
        let listed = read(
            world,
            ServiceName::Comments,
            &format!("/v1/parts/{}/comments?flat=true&limit=100", written.part),
        )
        .await;
        let shown = part.pointer("/counts/comments/count").and_then(Value::as_u64);
        let items = listed.get("items").and_then(Value::as_array).map_or(0, Vec::len);
        if shown != Some(written.live) || u64::try_from(items).ok() != Some(written.live) {
            world
                .fail("smoke", format!("{} are live, {shown:?} shown, {items} listed: {part}", written.live));
        }
    }
}

async fn read(world: &World, service: ServiceName, path: &str) -> Value {
    loop {
        if let Answer::Said { status: 200, body } = world.call(0, service, Ask::get(path)).await {
            return body;
        }
        world.sleep(1_000).await;
    }
}

/// Asks until it is answered with success.
async fn insist(world: &World, service: ServiceName, ask: Ask) -> Value {
    loop {
        match world.call(0, service, ask.clone()).await {
            Answer::Said { status: 200..=299, body } => return body,
            Answer::Said { status: 401, body } => {
                world.trace("writer", format_args!("is told {body}"));
                world.sleep(60_000).await;
            }
            Answer::Said { status, body } if status < 500 && status != 404 => {
                world.fail("smoke", format!("{status}: {body}"));
                return body;
            }
            Answer::Said { .. } | Answer::Silence => world.sleep(2_000).await,
        }
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn write(world: &World) -> Written {
    let mut rng = world.rng("writer");
    let me =
        Ask::post("/v1/users").key("8e03978e-40d5-43e8-bc93-6894a57f9324").json(&json!({"name": "Orla"}));
    let me = insist(world, ServiceName::Users, me).await;
    let token = text(&me, "/token");
    let story = Ask::post("/v1/stories")
        .key("story-1-of-the-smallest-play")
        .bearer(&token)
        .json(&json!({"title": "T"}));
    let story = insist(world, ServiceName::Stories, story).await;
    let path = format!("/v1/stories/{}/parts", text(&story, "/id"));
    let part = Ask::post(path)
        .key("part-1-of-the-smallest-play")
        .bearer(&token)
        .json(&json!({"title": "P", "paragraphs": ["A", "B"]}));
    let part = insist(world, ServiceName::Stories, part).await;
    let part = text(&part, "/id");
    let (mut live, pause_ms) = (0, world.plan().duration_ms / 40);
    for number in 0..40 {
        if world.is_over() {
            break;
        }
        let ask = Ask::post(format!("/v1/parts/{part}/comments"))
            .key(format!("comment-{number:04}-of-the-smallest-play"))
            .bearer(&token);
        let posted = insist(world, ServiceName::Comments, ask.json(&json!({"text": "!"}))).await;
        live += 1;
        if rng.u8(..4) == 0 {
            let path = format!("/v1/comments/{}", text(&posted, "/comment/id"));
            insist(world, ServiceName::Comments, Ask::delete(path).bearer(&token)).await;
            live -= 1;
        }
        world.idle(rng.u64(..=pause_ms * 2)).await;
    }
    Written { part, live }
}
