//! The people: they post, reply, delete, and press the button twice; through the public API, like everybody.

use super::dials::Habits;
use hyper::Method;
use serde::Serialize;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

pub(super) mod client;
mod stage;

use client::{Ask, Client};
pub(super) use stage::Part;
use stage::{Stage, text};

/// Above so many live comments of one part people delete more than they post, and above twice as many nothing else.
const LIVE_MAX: usize = 150;
/// A deed that is not answered is repeated with the same key, so often at most …
const TRIES_MAX: u32 = 4;
/// … after a pause, which doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// What they write.
const TEXTS: [&str; 8] = [
    "The light again. I knew it.",
    "Who else is still up reading this?",
    "That last line.",
    "I have read this part three times now.",
    "She should have kept the letter.",
    "Update soon, please!",
    "The tide tables are wrong on purpose, are they not?",
    "First time that I comment anywhere. Thank you.",
];

/// What they did so far.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Deeds {
    /// Comments and replies that were acknowledged.
    posted: u64,
    /// Deletions that were acknowledged.
    deleted: u64,
    /// Buttons pressed a second time.
    pressed_twice: u64,
    /// Requests that were repeated because they were not answered, or with an error.
    repeated: u64,
    /// Deeds given up after that.
    given_up: u64,
    /// Deeds not begun since everybody was still waiting for an answer.
    waited: u64,
}

/// Everybody who writes. Clones are the same people.
#[derive(Debug, Clone)]
pub(super) struct People {
    client: Arc<Client>,
    habits: Arc<watch::Sender<Habits>>,
    deeds: Arc<Mutex<Deeds>>,
    stage: watch::Sender<Option<Arc<Stage>>>,
    count: u16,
    /// One for each person; held by who waits for an answer.
    places: Arc<Semaphore>,
}

/// A comment that is thought to be there.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    author: usize,
}

/// What somebody is about to do.
#[derive(Debug)]
struct Deed {
    ask: Ask,
    part: usize,
    author: usize,
    /// The button is pressed twice.
    twice: bool,
}

/// What became of it.
#[derive(Debug)]
struct Posted {
    part: usize,
    known: Known,
}

/// The time between two deeds; none where it is longer than any time that there is, or nobody does anything.
fn between(rate: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(1.0 / rate).ok().filter(|_| rate > 0.0)
}

impl People {
    pub(super) fn new(client: Arc<Client>, count: u16, habits: Habits) -> Self {
        Self {
            client,
            habits: Arc::new(watch::Sender::new(habits)),
            deeds: Arc::default(),
            stage: watch::Sender::new(None),
            count,
            places: Arc::new(Semaphore::new(usize::from(count))),
        }
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    pub(super) fn habits(&self) -> Habits {
        *self.habits.borrow()
    }

    pub(super) fn change(&self, habits: Habits) {
        self.habits.send_replace(habits);
    }

    pub(super) fn deeds(&self) -> Deeds {
        *self.noted()
    }

    /// Whether nobody does anything, or waits for an answer.
    pub(super) fn rest(&self) -> bool {
        self.habits().rate <= 0.0 && self.places.available_permits() == usize::from(self.count)
    }

    /// The parts, once they are made.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.stage.borrow().as_ref().map(|stage| stage.parts.clone()).unwrap_or_default()
    }

    fn noted(&self) -> MutexGuard<'_, Deeds> {
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lives until the future is dropped. `run` makes the keys of this run's deeds unlike those of any other.
    pub(super) async fn live(self, seed: u64, run: u128) {
        let stage = match stage::set(&self.client, self.count, seed).await {
            Ok(stage) => Arc::new(stage),
            Err(error) => {
                tracing::error!(%error, "people could not sign up, or their story not be written: nobody will write");
                return;
            }
        };
        self.stage.send_replace(Some(Arc::clone(&stage)));
        let mut plans = Plans {
            rng: fastrand::Rng::with_seed(seed),
            known: stage.parts.iter().map(|_| VecDeque::new()).collect(),
            stage,
            run,
            next: 0,
        };
        let mut habits = self.habits.subscribe();
        let mut running: JoinSet<Option<Posted>> = JoinSet::new();
        let mut last = Instant::now();
        loop {
            // From the last one on: what others finish meanwhile puts nobody off.
            let due = between(habits.borrow_and_update().rate).and_then(|pause| last.checked_add(pause));
            let next = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(done) = running.join_next() => match done {
                    Ok(posted) => plans.learn(posted),
                    Err(error) => tracing::error!(%error, "a deed failed"),
                },
                changed = habits.changed() => if changed.is_err() { return },
                () = next => {
                    last = Instant::now();
                    match Arc::clone(&self.places).try_acquire_owned() {
                        Ok(place) => {
                            let deed = plans.next(self.habits().impatience);
                            running.spawn(self.clone().perform(deed, place));
                        }
                        Err(_) => self.noted().waited += 1,
                    }
                }
            }
        }
    }

    async fn perform(self, deed: Deed, _place: OwnedSemaphorePermit) -> Option<Posted> {
        let posts = deed.ask.method == Method::POST;
        let answer = self.insist(&deed.ask).await;
        match (&answer, posts) {
            (None, _) => self.noted().given_up += 1,
            (Some(_), true) => self.noted().posted += 1,
            (Some(_), false) => self.noted().deleted += 1,
        }
        if deed.twice && answer.is_some() {
            self.noted().pressed_twice += 1;
            if let Err(error) = self.client.ask(&deed.ask).await {
                tracing::debug!(%error, "pressed twice, and answered once");
            }
        }
        let id = text(&answer?, "/comment/id", "an id").ok()?;
        posts.then_some(Posted { part: deed.part, known: Known { id, author: deed.author } })
    }

    /// Asks until there is an answer that stays the same, or for long enough.
    async fn insist(&self, ask: &Ask) -> Option<serde_json::Value> {
        for tries in 0..TRIES_MAX {
            match self.client.ask(ask).await {
                Ok(answer) => return Some(answer),
                Err(error) if error.is_passing() => {
                    self.noted().repeated += 1;
                    sleep(PAUSE * 2_u32.saturating_pow(tries)).await;
                }
                Err(error) => {
                    tracing::debug!(%error, path = ask.path, "refused");
                    return None;
                }
            }
        }
        None
    }
}

/// Who does what next: the seed decides.
#[derive(Debug)]
struct Plans {
    rng: fastrand::Rng,
    stage: Arc<Stage>,
    /// By part, the oldest first.
    known: Vec<VecDeque<Known>>,
    run: u128,
    next: u64,
}

impl Plans {
    fn learn(&mut self, posted: Option<Posted>) {
        if let Some(Posted { part, known }) = posted
            && let Some(there) = self.known.get_mut(part)
        {
            there.push_back(known);
        }
    }

    fn next(&mut self, impatience: f64) -> Deed {
        self.next += 1;
        // The smaller of two throws: the first parts are read by more people than the last.
        let parts = self.known.len().max(1);
        let part = self.rng.usize(..parts).min(self.rng.usize(..parts));
        let kind = self.rng.u8(..100);
        let twice = self.rng.f64() < impatience;
        let there = self.known.get(part).map_or(0, VecDeque::len);
        let deletes = if there < LIVE_MAX { kind < 18 } else { kind < 70 || there >= 2 * LIVE_MAX };
        if deletes && let Some(known) = self.forget(part) {
            let ask = Ask {
                method: Method::DELETE,
                path: format!("/v1/comments/{}", known.id),
                token: self.token(known.author),
                key: None,
                body: None,
            };
            return Deed { ask, part, author: known.author, twice };
        }
        let author = self.rng.usize(..self.stage.tokens.len().max(1));
        let parent = if kind > 70 { self.any(part).map(|known| known.id) } else { None };
        let said = TEXTS.get(self.rng.usize(..TEXTS.len())).copied().unwrap_or_default();
        let id = self.stage.parts.get(part).map(|part| part.id.as_str()).unwrap_or_default();
        let ask = Ask {
            method: Method::POST,
            path: format!("/v1/parts/{id}/comments"),
            token: self.token(author),
            key: Some(format!("{:032x}-{}", self.run, self.next)),
            body: Some(json!({ "text": said, "parent": parent })),
        };
        Deed { ask, part, author, twice }
    }

    fn token(&self, person: usize) -> Option<String> {
        self.stage.tokens.get(person).cloned()
    }

    /// Any comment of a part.
    fn any(&mut self, part: usize) -> Option<Known> {
        let known = self.known.get(part)?;
        if known.is_empty() { None } else { known.get(self.rng.usize(..known.len())).cloned() }
    }

    /// The same, and nobody else thinks of it any more.
    fn forget(&mut self, part: usize) -> Option<Known> {
        let known = self.known.get_mut(part)?;
        if known.is_empty() { None } else { known.remove(self.rng.usize(..known.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(seed: u64) -> Plans {
        let part = |number: usize| Part { id: format!("part{number}"), title: "" };
        let tokens = vec!["a".to_owned(), "b".to_owned()];
        let stage = Arc::new(Stage { tokens, parts: (0..3).map(part).collect() });
        let rng = fastrand::Rng::with_seed(seed);
        Plans { rng, known: (0..3).map(|_| VecDeque::new()).collect(), stage, run: 7, next: 0 }
    }

    /// Plays so many deeds, each of which succeeds.
    fn play(plans: &mut Plans, deeds: usize) -> Vec<String> {
        let mut done = Vec::new();
        for number in 0..deeds {
            let deed = plans.next(0.1);
            if deed.ask.method == Method::POST {
                let known = Known { id: format!("c{number}"), author: deed.author };
                plans.learn(Some(Posted { part: deed.part, known }));
            }
            done.push(format!("{deed:?}"));
        }
        done
    }

    #[test]
    fn a_seed_decides_what_people_do() {
        assert_eq!(play(&mut plans(1), 500), play(&mut plans(1), 500));
        assert_ne!(play(&mut plans(1), 500), play(&mut plans(2), 500));
    }

    #[test]
    fn what_is_there_stays_bounded() {
        let mut plans = plans(3);
        play(&mut plans, 20_000);
        for known in &plans.known {
            assert!((LIVE_MAX / 2..LIVE_MAX * 2).contains(&known.len()), "{}", known.len());
        }
    }

    #[test]
    fn every_rate_that_can_be_turned_has_a_pause_or_none() {
        for (rate, pause) in [
            (0.0, None),
            (1e-300, None),
            (f64::MIN_POSITIVE, None),
            (0.5, Some(Duration::from_secs(2))),
            (100.0, Some(Duration::from_millis(10))),
        ] {
            Habits { rate, impatience: 0.0 }.check().unwrap();
            assert_eq!(between(rate), pause, "{rate}");
        }
    }

    #[test]
    fn a_post_has_a_key_of_its_own_and_a_deletion_its_authors_token() {
        let mut plans = plans(4);
        let mut keys = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let deed = plans.next(0.0);
            assert!(!deed.twice && deed.ask.token == plans.token(deed.author));
            if let Some(key) = deed.ask.key {
                assert!(keys.insert(key));
                let known = Known { id: "c".to_owned(), author: deed.author };
                plans.learn(Some(Posted { part: deed.part, known }));
            }
        }
    }
}
