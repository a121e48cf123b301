//! Somebody: signs in, and sends until something is said.

use super::Cast;
use super::board::Board;
use super::browser::Browser;
use super::habits::Habits;
use crate::address::Address;
use crate::auditor::{Auditor, Deed, Heard, Thing};
use crate::faults::Fault;
use crate::service::ServiceName;
use crate::world::{Answer, Ask, World};
use fastrand::Rng;
use serde_json::{Value, json};
use std::sync::Arc;

/// How often something is sent before one gives up, after which the auditor counts it as never answered.
const TRIES_MAX: usize = 2_000;
/// How often something may be sent in vain once nothing goes wrong any more.
const TRIES_AFTER_MAX: usize = 300;
/// The first pause before something is sent again, in milliseconds; doubled up to the longest.
const AGAIN_MS: (u64, u64) = (100, 60_000);
/// The longest pause once nothing goes wrong any more.
const AGAIN_AFTER_MS: u64 = 5_000;

/// How something that was sent ended.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It is done, as that replica said.
    Done(Value, Address),
    /// A replica refused it with this status.
    Refused(u16),
    /// Nobody ever answered.
    Unknown,
}

/// Somebody who plays.
pub(crate) struct Person {
    pub(crate) world: World,
    pub(crate) auditor: Auditor,
    pub(crate) board: Arc<Board>,
    pub(crate) habits: Arc<Habits>,
    pub(crate) rng: Rng,
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) browser: Browser,
    /// Their id, once they have one.
    pub(crate) id: String,
    /// The site that they mostly ask.
    pub(crate) home: usize,
    /// How much longer their pauses are.
    stretch: u64,
    secret: String,
    token: String,
}

impl Person {
    pub(crate) fn new(cast: &Cast, world: World, number: u32, name: String, stretch: u64) -> Self {
        let mut rng = world.rng(&name);
        let home = rng.usize(0..world.sites());
        let secret = key(&mut rng);
        let browser = Browser::of(world.plan().rate(Fault::RestoreUntold) > 0.0);
        Self {
            auditor: cast.auditor.clone(),
            board: Arc::clone(&cast.board),
            habits: Arc::clone(&cast.habits),
            world,
            rng,
            number,
            name,
            browser,
            id: String::new(),
            home,
            stretch,
            secret,
            token: String::new(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.world.is_over() || self.world.failed()
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    pub(crate) fn key(&mut self) -> String {
        key(&mut self.rng)
    }

    /// Waits as long as people do between two things.
    pub(crate) async fn pause(&mut self, (least_ms, most_ms): (u64, u64)) {
        let pause_ms = self.rng.u64(least_ms..=most_ms);
        self.world.sleep(pause_ms * self.stretch).await;
    }

    /// A replica of a service: mostly the one at home.
    pub(crate) fn somewhere(&mut self, service: ServiceName) -> Address {
        let site = if self.chance(80) { self.home } else { self.rng.usize(0..self.world.sites()) };
        Address { service, site }
    }

    /// Becomes somebody.
    pub(crate) async fn sign_up(&mut self) -> bool {
        let at = Address { service: ServiceName::Users, site: self.home };
        let ask = self.signing_up();
        let Fate::Done(body, _) = self.insist_at(&Deed::Make(Thing::User(self.number)), at, &ask).await
        else {
            return false;
        };
        self.signed_in(&body);
        self.auditor.books().secrets.insert(self.id.clone(), (self.secret.clone(), self.name.clone()));
        true
    }

    fn signing_up(&self) -> Ask {
        Ask::new("POST", "/v1/users").key(self.secret.clone()).json(&json!({ "name": self.name }))
    }

    fn signed_in(&mut self, body: &Value) {
        if let (Some(id), Some(token)) = (body.pointer("/user/id"), body.get("token")) {
            id.as_str().unwrap_or_default().clone_into(&mut self.id);
            token.as_str().unwrap_or_default().clone_into(&mut self.token);
        }
    }

    /// Another token: the one there is does not count here and now.
    pub(crate) async fn sign_in_again(&mut self, site: usize) {
        let at = Address { service: ServiceName::Users, site };
        if let Answer::Said { status: 200..=299, body } = self.world.ask(at, self.signing_up()).await {
            self.signed_in(&body);
        }
    }

    /// Sends until something is said, mostly to one replica, at times to another one.
    pub(crate) async fn insist(&mut self, deed: &Deed, service: ServiceName, ask: &Ask) -> Fate {
        let at = self.somewhere(service);
        self.insist_at(deed, at, ask).await
    }

    /// Sends until something is said, first to this replica.
    pub(crate) async fn insist_at(&mut self, deed: &Deed, first: Address, ask: &Ask) -> Fate {
        let (mut at, mut pause_ms, mut in_vain) = (first, AGAIN_MS.0, 0);
        for _ in 0..TRIES_MAX {
            if self.world.failed() {
                return Fate::Unknown;
            }
            match self.try_once(deed, at, ask).await {
                Heard::Done(body) => return Fate::Done(body, at),
                Heard::Refused(status) => return Fate::Refused(status),
                Heard::SignIn => self.sign_in_again(at.site).await,
                Heard::Again => {}
            }
            let was_over = self.world.is_over();
            let longest_ms = if was_over { AGAIN_AFTER_MS } else { AGAIN_MS.1 };
            self.world.sleep(self.rng.u64(pause_ms / 2..=pause_ms)).await;
            pause_ms = (pause_ms * 2).min(longest_ms);
            in_vain += usize::from(was_over);
            if in_vain > TRIES_AFTER_MAX {
                self.world
                    .fail("answers in the end", format!("{}: {deed} at {at}: nobody answers", self.name));
                return Fate::Unknown;
            }
            if self.chance(25) {
                at.site = self.rng.usize(0..self.world.sites());
            }
        }
        Fate::Unknown
    }

    /// Sends something once.
    pub(crate) async fn try_once(&mut self, deed: &Deed, at: Address, ask: &Ask) -> Heard {
        let ask = if self.token.is_empty() { ask.clone() } else { ask.clone().bearer(self.token.clone()) };
        let attempt = self.auditor.sends(deed, at);
        let asked_ms = self.world.elapsed_ms();
        let answer = self.world.ask(at, ask).await;
        if let Answer::Said { body, .. } = &answer {
            self.saw(at, asked_ms, body);
        }
        self.auditor.hears(&self.name, attempt, &answer)
    }

    /// Reads something about a part once.
    pub(crate) async fn read(&mut self, at: Address, part: &str, path: String) -> Option<Value> {
        let asked_ms = self.world.elapsed_ms();
        match self.world.ask(at, Ask::get(path.clone())).await {
            Answer::Said { status: 200, body } => {
                self.saw(at, asked_ms, &body);
                Some(body)
            }
            Answer::Said { status, body } => {
                self.world.trace(&self.name, format_args!("{path} at {at}: {status}"));
                if !self.auditor.may_show_nothing(at, part, asked_ms, status) {
                    self.world.fail("answers", format!("{}: {path} at {at}: {status}: {body}", self.name));
                }
                None
            }
            Answer::Silence => None,
        }
    }

    /// An answer came: the auditor looks at its counts, the browser joins them.
    fn saw(&mut self, at: Address, asked_ms: u64, body: &Value) {
        self.auditor.saw_counts(at, asked_ms, body);
        if let Err(wrong) = self.browser.join(body) {
            self.world.fail("one writer a tally", format!("{}: {at}: {wrong}", self.name));
        }
    }

    /// Closes the browser, to be looked at in the end.
    pub(crate) fn leave(self) {
        self.board.leave(&self.name, self.browser);
    }
}

/// As a browser makes one.
fn key(rng: &mut Rng) -> String {
    format!("{:032x}", rng.u128(..))
}
