//! What the page asks, and the page itself. None of these routes is in `serve`.
//!
//! Everything that changes something is a PUT with a JSON body, which a page of another origin cannot make a browser send here.

use super::dials::{FaultDials, Habits, PRESETS};
use super::people::{Deeds, People};
use super::platform::Platform;
use super::slot::Slot;
use super::watch::{HISTORY_MAX, Look, Sample, ServiceReading, Sight, services};
use crate::face;
use crate::pages;
use api::problem::problems_only;
use api::{Json, Problem};
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::routing::{any, get, put};
use queue::FaultCounts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the page turns and looks at.
#[derive(Debug, Clone)]
pub(super) struct Game {
    pub(super) platform: Arc<Platform>,
    pub(super) people: People,
    pub(super) sight: Sight,
}

/// All routes of this process.
pub(super) fn router(game: Game) -> Router {
    let mut asked = BTreeMap::new();
    for slot in &game.platform.slots {
        for path in slot.paths() {
            asked.entry(path).or_insert_with(|| slot.clone());
        }
    }
    let pass_on = async |State(slot): State<Slot>, request: Request| slot.answer(request).await;
    let passed_on = asked
        .into_iter()
        .fold(Router::new(), |router, (path, slot)| router.route(&path, any(pass_on).with_state(slot)));
    let turned = Router::new()
        .route("/chaos/state", get(state))
        .route("/chaos/faults", put(turn))
        .route("/chaos/people", put(change))
        .route("/chaos/services/{service}", put(act))
        .route("/chaos/presets/{preset}", put(live_through))
        .route("/chaos/heal", put(heal))
        .with_state(game);
    let all = face::limited(passed_on.merge(turned)).merge(pages::routes()).merge(pages::chaos_routes());
    problems_only(all.route("/health", get(async || "ok\n")))
}

/// Everything that the page shows.
#[derive(Debug, Serialize)]
struct Shown {
    faults: FaultDials,
    habits: Habits,
    people: u16,
    deeds: Deeds,
    services: Vec<ServiceReading>,
    played: Played,
    #[serde(flatten)]
    look: Look,
    history_max: usize,
    /// What is younger than what the page has.
    history: Vec<Sample>,
    presets: Vec<PresetView>,
}

/// How often the queue did what.
#[derive(Debug, Serialize)]
struct Played {
    duplicated: u64,
    dropped: u64,
    reordered: u64,
    delayed: u64,
    acks_lost: u64,
    refused_before: u64,
    refused_after: u64,
}

impl From<FaultCounts> for Played {
    fn from(counts: FaultCounts) -> Self {
        Self {
            duplicated: counts.duplicated,
            dropped: counts.dropped,
            reordered: counts.reordered,
            delayed: counts.delayed,
            acks_lost: counts.acks_lost,
            refused_before: counts.refused_before,
            refused_after: counts.refused_after,
        }
    }
}

#[derive(Debug, Serialize)]
struct PresetView {
    id: &'static str,
    title: &'static str,
    says: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    /// The number of the last sample that the page has.
    #[serde(default)]
    after: u64,
}

async fn state(State(game): State<Game>, Query(since): Query<Since>) -> Json<Shown> {
    let (look, history) = game.sight.since(since.after);
    Json(Shown {
        faults: FaultDials::of(&game.platform.dials.faults()),
        habits: game.people.habits(),
        people: game.people.count(),
        deeds: game.people.deeds(),
        services: services(&game.platform),
        played: game.platform.dials.counts().into(),
        look,
        history_max: HISTORY_MAX,
        history,
        presets: PRESETS.iter().map(|p| PresetView { id: p.id, title: p.title, says: p.says }).collect(),
    })
}

async fn turn(State(game): State<Game>, Json(dials): Json<FaultDials>) -> Result<Json<FaultDials>, Problem> {
    dials.check()?;
    game.platform.dials.turn(dials.faults());
    Ok(Json(dials))
}

async fn change(State(game): State<Game>, Json(habits): Json<Habits>) -> Result<Json<Habits>, Problem> {
    habits.check()?;
    game.people.change(habits);
    Ok(Json(habits))
}

/// What is done to a service.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Start,
    Stop,
    Kill,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActRequest {
    action: Action,
}

#[derive(Debug, Serialize)]
struct Services {
    services: Vec<ServiceReading>,
}

async fn act(
    State(game): State<Game>,
    Path(name): Path<String>,
    Json(ActRequest { action }): Json<ActRequest>,
) -> Result<Json<Services>, Problem> {
    let slot = game.platform.slot(&name).ok_or_else(|| Problem::not_found("service"))?.clone();
    through(async move {
        match action {
            Action::Start => return slot.start().await.map_err(|error| Problem::internal(&error)),
            Action::Stop => slot.stop().await,
            Action::Kill => slot.kill().await,
        }
        Ok(())
    })
    .await?;
    Ok(Json(Services { services: services(&game.platform) }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn live_through(
    State(game): State<Game>,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Json<Services>, Problem> {
    let preset = PRESETS.iter().find(|preset| preset.id == id).ok_or_else(|| Problem::not_found("preset"))?;
    game.platform.dials.turn(preset.faults.faults());
    let habits = game.people.habits();
    game.people.change(Habits { impatience: preset.impatience, ..habits });
    let platform = Arc::clone(&game.platform);
    let away = preset.away;
    through(async move { platform.run_all_but(away).await.map_err(|error| Problem::internal(&error)) })
        .await?;
    Ok(Json(Services { services: services(&game.platform) }))
}

/// No faults, every service back, and people rest, so that one can see what remains.
async fn heal(State(game): State<Game>, Json(Nothing {}): Json<Nothing>) -> Result<Json<Services>, Problem> {
    game.platform.dials.turn(FaultDials::calm().faults());
    game.people.change(Habits { rate: 0.0, impatience: 0.0 });
    let platform = Arc::clone(&game.platform);
    through(async move { platform.run_all_but(&[]).await.map_err(|error| Problem::internal(&error)) })
        .await?;
    Ok(Json(Services { services: services(&game.platform) }))
}

/// Does it to the end, also when whoever asked has gone.
async fn through(doing: impl Future<Output = Result<(), Problem>> + Send + 'static) -> Result<(), Problem> {
    tokio::spawn(doing).await.unwrap_or_else(|error| Err(Problem::internal(&error)))
}
