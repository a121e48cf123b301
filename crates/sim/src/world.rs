//! The world as actors and checks see it.

use crate::core::{Core, Failure, Phase, lock};
use crate::dice;
use crate::disk::Disk;
use crate::faults::{Counts, Fault};
use crate::plan::Plan;
use crate::process::{Process, site_name};
use crate::queue::Broker;
use crate::service::ServiceName;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use queue::{Message, Subscription, Topic};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long a hop between a client and a service takes.
const HOP_MS: (f64, f64) = (0.5, 200.0);
/// The largest answer that a client reads.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A handle on the running world; clones are the same one.
#[derive(Debug, Clone)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Core,
    broker: Arc<Broker>,
    processes: Vec<Arc<Process>>,
    losses: Mutex<Vec<Loss>>,
    poisoned: Mutex<BTreeMap<Subscription, u64>>,
    actors: Mutex<JoinSet<()>>,
    rng: Mutex<fastrand::Rng>,
}

/// A replica was declared lost, whole or from some moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Whose.
    pub site: usize,
    /// Which service.
    pub service: ServiceName,
    /// When it was lost.
    pub at_ms: u64,
    /// What was synced after this may be gone, unless a sibling has it; 0 if everything may be.
    pub kept_until_ms: u64,
    /// Whether the replica was told, or is gone: who is restored in silence goes on in its old name.
    pub told: bool,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    method: &'static str,
    path: String,
    bearer: Option<String>,
    key: Option<String>,
    body: Option<Vec<u8>>,
}

impl Ask {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), bearer: None, key: None, body: None }
    }

    /// Reads.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// Makes something new.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// Sets.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new("PUT", path)
    }

    /// Changes.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new("PATCH", path)
    }

    /// Deletes.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// With somebody's token.
    #[must_use]
    pub fn bearer(self, token: impl Into<String>) -> Self {
        Self { bearer: Some(token.into()), ..self }
    }

    /// With an idempotency key.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// With this body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.raw(body.to_string().into_bytes())
    }

    /// With these bytes, which claim to be JSON.
    #[must_use]
    pub fn raw(self, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Whether a success says that something is on the disk: it does of all that is written but reads, which are counted
    /// when nobody waits for it.
    fn promises(&self) -> bool {
        self.method != "GET" && !self.path.ends_with("/reads")
    }

    fn request(self) -> Result<Request<Body>, axum::http::Error> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        if let Some(token) = self.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = self.key {
            request = request.header("idempotency-key", key);
        }
        match self.body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body)),
            None => request.body(Body::empty()),
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The service said this.
    Said {
        /// The HTTP status.
        status: u16,
        /// The body; null where there is none.
        body: Value,
    },
    /// Nobody answered: it may have happened or not.
    Silence,
}

impl World {
    pub(crate) fn new(core: Core, broker: Arc<Broker>, processes: Vec<Arc<Process>>) -> Self {
        let rng = Mutex::new(core.rng("clients"));
        Self(Arc::new(Inner {
            core,
            broker,
            processes,
            losses: Mutex::default(),
            poisoned: Mutex::default(),
            actors: Mutex::default(),
            rng,
        }))
    }

    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }

    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.0.broker
    }

    pub(crate) fn processes(&self) -> &[Arc<Process>] {
        &self.0.processes
    }

    /// The plan of the run.
    pub fn plan(&self) -> &Plan {
        self.0.core.plan()
    }

    /// True time since the run began, in milliseconds: no machine's clock need agree.
    pub fn elapsed_ms(&self) -> u64 {
        self.0.core.elapsed_ms()
    }

    /// A stream of randomness of its own. Actors draw from nothing else.
    pub fn rng(&self, name: &str) -> fastrand::Rng {
        self.0.core.rng(&format!("actor {name}"))
    }

    /// Lets virtual time pass.
    pub async fn sleep(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Lets virtual time pass, but wakes when the run's duration is over.
    pub async fn idle(&self, ms: u64) {
        self.0.core.sleep_while_faulty(ms).await;
    }

    /// Runs an actor. The run waits for all of them after its duration has passed.
    pub fn spawn(&self, actor: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0.actors).spawn(actor);
    }

    /// Whether the duration has passed: actors finish what they have begun, and return.
    pub fn is_over(&self) -> bool {
        self.0.core.phase() == Phase::Healing
    }

    /// A line in the trace.
    pub fn trace(&self, who: &str, what: fmt::Arguments<'_>) {
        self.0.core.trace(who, what);
    }

    /// A check failed. The first failure ends the run.
    pub fn fail(&self, check: &'static str, detail: String) {
        self.0.core.fail(check, detail);
    }

    /// The first check that failed.
    pub fn failure(&self) -> Option<Failure> {
        self.0.core.failure()
    }

    /// How often each fault was played so far.
    pub fn counts(&self) -> Counts {
        self.0.core.counts()
    }

    /// The store of a replica; `None` while its process is down.
    pub fn store(&self, site: usize, service: ServiceName) -> Option<Store> {
        self.process(site, service)?.store(service)
    }

    /// The disk of a replica.
    pub fn disk(&self, site: usize, service: ServiceName) -> Option<&Disk> {
        self.process(site, service)?.disks.get(&service)
    }

    /// Publishes a message that nobody understands, past every fault.
    pub(crate) fn poison(&self, topic: &Topic, message: Message) {
        self.0.core.note(Fault::Poison);
        for subscription in self.0.broker.plant(topic, message) {
            *lock(&self.0.poisoned).entry(subscription).or_default() += 1;
        }
    }

    /// How many different messages that nobody understands a replica was sent.
    pub fn poisoned(&self, site: usize, service: ServiceName) -> u64 {
        let (site, poisoned) = (site_name(site), lock(&self.0.poisoned));
        let its = poisoned.iter().filter(|(name, _)| name.site() == site && name.service() == service.name());
        its.map(|(_, count)| count).sum()
    }

    /// How many messages a replica put aside at the broker.
    pub(crate) fn buried(&self, site: usize, service: ServiceName) -> u64 {
        let (site, contents) = (site_name(site), self.0.broker.contents());
        let its = contents.iter().filter(|(name, _)| name.site() == site && name.service() == service.name());
        its.map(|(_, contents)| contents.dead).sum()
    }

    /// A replica has lost what it had.
    pub(crate) fn declare(&self, loss: Loss) {
        self.0.core.trace("world", format_args!("{loss:?}"));
        lock(&self.0.losses).push(loss);
    }

    /// Which replicas were declared lost so far.
    pub fn losses(&self) -> Vec<Loss> {
        lock(&self.0.losses).clone()
    }

    fn process(&self, site: usize, service: ServiceName) -> Option<&Arc<Process>> {
        self.0.processes.iter().find(|process| process.site == site && process.runs(service))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut lock(&self.0.rng))
    }

    fn suffers(&self, fault: Fault) -> bool {
        self.draw(|rng| self.0.core.happens(rng, fault))
    }

    async fn hop(&self) {
        let ms = self.draw(|rng| dice::log_ms(rng, HOP_MS.0, HOP_MS.1));
        self.sleep(ms).await;
    }

    /// Sends a request to a replica, over a network that may lose it or its answer.
    pub async fn call(&self, site: usize, service: ServiceName, ask: Ask) -> Answer {
        let called = format!("{} {}", ask.method, ask.path);
        let answered = tokio::time::timeout(ANSWER_MAX, self.answer(site, service, ask)).await;
        let answer = answered.unwrap_or(Answer::Silence);
        match &answer {
            Answer::Said { status, body } => {
                let hash = dice::hash(0, body.to_string().as_bytes());
                self.trace("client", format_args!("{service}@{site} {called}: {status} {hash:016x}"));
            }
            Answer::Silence => self.trace("client", format_args!("{service}@{site} {called}: silence")),
        }
        answer
    }

    async fn answer(&self, site: usize, service: ServiceName, ask: Ask) -> Answer {
        self.hop().await;
        if self.suffers(Fault::RequestLost) {
            return std::future::pending().await;
        }
        let process = self.process(site, service);
        let face =
            process.and_then(|process| process.face(service).zip(process.disks.get(&service).cloned()));
        let Some(((life, router), disk)) = face else { return Answer::Silence };
        let promise = ask.promises().then(|| ask.to_string());
        let request = match ask.request() {
            Ok(request) => request,
            Err(error) => {
                self.fail("actor", format!("a request that is none: {error}"));
                return Answer::Silence;
            }
        };
        // A task of the process: the client may go away, the request goes on.
        let core = self.core().clone();
        let handling = life.spawn(async move {
            let Ok(response) = router.oneshot(request).await;
            let (parts, body) = response.into_parts();
            // Looked at before anything else can be synced, and this with it.
            let kept = promise.filter(|_| parts.status.is_success());
            if let Some((ask, key)) = kept.zip(disk.in_the_air(|key| !service.may_lose(key))) {
                let detail = format!("{service}@{site} answered {ask}, and {key:02x?} is in the air");
                core.fail("acknowledged is on the disk", detail);
            }
            (parts.status.as_u16(), to_bytes(body, ANSWER_BYTES_MAX).await)
        });
        let Ok((status, body)) = handling.await else { return Answer::Silence };
        if self.suffers(Fault::AnswerLost) {
            return std::future::pending().await;
        }
        self.hop().await;
        let body =
            body.map(|bytes| if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes) });
        match body {
            Ok(Ok(body)) => Answer::Said { status, body },
            Ok(Err(error)) => {
                self.fail("answer", format!("{service}@{site} answered {status} without JSON: {error}"));
                Answer::Silence
            }
            Err(error) => {
                self.fail("answer", format!("{service}@{site}'s answer cannot be read: {error}"));
                Answer::Silence
            }
        }
    }

    /// Waits until every actor has returned.
    pub(crate) async fn actors_are_done(&self) {
        loop {
            let next = std::future::poll_fn(|context| lock(&self.0.actors).poll_join_next(context)).await;
            match next {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => self.fail("actor", format!("an actor failed: {error}")),
            }
        }
    }
}
