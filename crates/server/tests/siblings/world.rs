//! Two sites, each with a replica of every service, in one process, on one queue.

use api::root::certify;
use api::{KeyRing, SigningKey};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use choreography::anti_entropy::AntiEntropy;
use choreography::kept::{self, StoreDeadLetters};
use choreography::{Link, Relay};
use comments::Comments;
use consumer::{Backoff, DefaultStack, Layer as _, Pump};
use queue::{Faults, Faulty, MemoryQueue, Queue, Receiver, Subscription, SubscriptionConfig};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use store::{Memory, Row as _, SeededWorld, Setup, Store};
use stories::Stories;
use stories::rows::{CommentTallyRow, PartFactRow, ReadersRow, ReadersSecretRow};
use tower::ServiceExt as _;
use users::Users;

const NOW_S: u64 = 1_700_000_000;
const DEPLOYMENT: &str = "00000000000000000000000000000001";
/// The bytes of a service's rows, in the order of their keys.
pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a site keeps: a disk for each service.
type Disks = [Memory; 3];

/// A replica of every service.
pub(crate) struct Site {
    name: &'static str,
    disks: Disks,
    pub(crate) users: Users,
    pub(crate) stories: Stories,
    pub(crate) comments: Comments,
    router: Router,
}

impl Site {
    /// Opens a site on its disks; one that is alone tells siblings nothing, and hears nothing from them.
    async fn open(name: &'static str, seed: u64, disks: Disks, alone: bool) -> Self {
        let root = SigningKey::from_seed([1; 32]);
        let signer = SigningKey::from_seed([name.as_bytes()[0]; 32]);
        let topics = users::siblings::TOPICS
            .into_iter()
            .chain(stories::siblings::TOPICS)
            .chain(comments::siblings::TOPICS);
        let muted: Vec<_> = topics.filter(|_| alone).collect();
        let open = |service: &str, n: usize| {
            // Clocks that run apart: the second site's is behind by some seconds.
            let start_s = if name == "a" { NOW_S } else { NOW_S - 3 };
            let own = seed * 100 + u64::from(name.as_bytes()[0]) * 10 + n as u64;
            let world = SeededWorld::new(own, start_s * 1_000);
            let setup = Setup::of(service).in_deployment(DEPLOYMENT).muting(muted.iter().copied());
            Store::open(disks[n].clone(), Arc::new(world), &setup).unwrap()
        };
        let ring = || Arc::new(KeyRing::new(root.public(), || NOW_S));
        let certificate = certify(&root, &signer.public());
        let users = Users::open(open(users::NAME, 0), ring(), signer, certificate).await.unwrap();
        let stories = Stories::open(open(stories::NAME, 1), ring()).await.unwrap();
        let comments = Comments::open(open(comments::NAME, 2), ring()).await.unwrap();
        let described = users.router().merge(stories.router()).merge(comments.router());
        let router = api::problem::problems_only(described.split_for_parts().0);
        Self { name, disks, users, stories, comments, router }
    }

    /// Stops it, and gives back what it kept.
    async fn closed(self) -> Disks {
        let Self { disks, users, stories, comments, router, .. } = self;
        drop(router);
        for store in [users.store(), stories.store(), comments.store()] {
            store.clone().close().await;
        }
        disks
    }

    fn anti_entropies(&self, queue: &dyn Queue) -> [AntiEntropy; 3] {
        [
            self.users.anti_entropy(queue.publisher()).unwrap(),
            self.stories.anti_entropy(queue.publisher()).unwrap(),
            self.comments.anti_entropy(queue.publisher()).unwrap(),
        ]
    }

    pub(crate) fn stores(&self) -> [&Store; 3] {
        [self.users.store(), self.stories.store(), self.comments.store()]
    }

    fn links(&self, queue: &dyn Queue) -> impl Iterator<Item = (&'static str, &Store, Link)> {
        let publisher = queue.publisher();
        let of = |name, store, links: Vec<Link>| links.into_iter().map(move |link| (name, store, link));
        of(users::NAME, self.users.store(), self.users.links(&publisher).unwrap())
            .chain(of(stories::NAME, self.stories.store(), self.stories.links(&publisher).unwrap()))
            .chain(of(comments::NAME, self.comments.store(), self.comments.links(&publisher).unwrap()))
    }

    fn relays(&self, queue: &dyn Queue) -> [Relay; 3] {
        [
            self.users.relay(queue.publisher()).unwrap(),
            self.stories.relay(queue.publisher()).unwrap(),
            self.comments.relay(queue.publisher()).unwrap(),
        ]
    }

    /// Asks; an empty token or key is none.
    pub(crate) async fn ask(
        &self,
        token: &str,
        key: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", format!("{:-<24}", key.replace(' ', "-")));
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() })
    }

    /// The same, where it succeeds.
    pub(crate) async fn ok(&self, token: &str, key: &str, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(token, key, method, path, body).await;
        assert!(status < 300, "{} {method} {path}: {status} {answer}", self.name);
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok("", "", "GET", path, Value::Null).await
    }

    /// The rows of every service, but for the estimate of readers and its secret, which are each site's own.
    pub(crate) async fn rows(&self) -> [Rows; 3] {
        let mut all = [Rows::new(), Rows::new(), Rows::new()];
        let own = [vec![], vec![ReadersRow::TAG, ReadersSecretRow::TAG], vec![]];
        for ((rows, store), own) in all.iter_mut().zip(self.stores()).zip(own) {
            for tag in store::key::SERVICE_TAG_MIN..=0x2f {
                if own.contains(&tag) {
                    continue;
                }
                let pairs = store.reader().unwrap().scan(&store::Scan::prefix(&[tag])).await.unwrap();
                assert!(pairs.len() < store::SCAN_PAIRS_MAX);
                rows.extend(pairs.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
            }
        }
        all
    }
}

/// Whether the services of a site have copies of one another's rows as they are.
fn has_copies([users, stories, comments]: &[Rows; 3]) -> bool {
    let of = |rows: &Rows, tag: u8, kinds: RangeInclusive<u8>| -> Rows {
        let wanted = rows.iter().filter(|(key, _)| key[0] == tag && kinds.contains(&key[1]));
        wanted.map(|(key, value)| (key[1..].to_vec(), value.clone())).collect()
    };
    let all = |rows, tag| of(rows, tag, 0..=u8::MAX);
    // The tallies of replies are not for Stories.
    let counted = of(comments, comments::rows::TallyRow::TAG, 0..=1);
    let profiles = all(users, users::rows::ProfileRow::TAG);
    let keys = all(users, users::rows::SigningKeyRow::TAG);
    counted == all(stories, CommentTallyRow::TAG)
        && all(stories, PartFactRow::TAG) == all(comments, comments::rows::PartRow::TAG)
        && profiles == all(stories, stories::rows::ProfileRow::TAG)
        && profiles == all(comments, comments::rows::ProfileRow::TAG)
        && keys == all(stories, stories::rows::SigningKeyRow::TAG)
        && keys == all(comments, comments::rows::SigningKeyRow::TAG)
}

/// Two sites and what is between them.
pub(crate) struct World {
    pub(crate) a: Site,
    pub(crate) b: Site,
    queue: Faulty<MemoryQueue>,
    seed: u64,
    pumps: Vec<Pump>,
    relays: Vec<Relay>,
    anti_entropies: Vec<AntiEntropy>,
    receivers: Vec<Arc<dyn Receiver>>,
}

impl World {
    pub(crate) async fn new(seed: u64, faults: Faults) -> Self {
        Self::on([Disks::default(), Disks::default()], seed, faults, false).await
    }

    /// Two sites of which neither names the other.
    pub(crate) async fn apart(seed: u64, faults: Faults) -> Self {
        Self::on([Disks::default(), Disks::default()], seed, faults, true).await
    }

    /// All processes end, and begin again on the same disks, each alone or as siblings, with another queue.
    pub(crate) async fn reopened(self, alone: bool, faults: Faults) -> Self {
        let Self { a, b, seed, .. } = self;
        let disks = [a.closed().await, b.closed().await];
        Self::on(disks, seed + 1_000, faults, alone).await
    }

    async fn on([a, b]: [Disks; 2], seed: u64, faults: Faults, alone: bool) -> Self {
        let (a, b) = (Site::open("a", seed, a, alone).await, Site::open("b", seed, b, alone).await);
        let queue = Faulty::new(MemoryQueue::new(), faults);
        let (mut pumps, mut relays) = (Vec::new(), Vec::new());
        let (mut receivers, mut anti_entropies) = (Vec::new(), Vec::new());
        for site in [&a, &b] {
            let links = site.links(&queue).collect::<Vec<_>>();
            let names = [users::NAME, stories::NAME, comments::NAME];
            let own = site.anti_entropies(&queue);
            let wants = own.iter().zip(names).zip(site.stores()).flat_map(|((own, name), store)| {
                own.links().unwrap().into_iter().map(move |link| (name, store, link))
            });
            for (service, store, link) in links.into_iter().chain(wants) {
                let subscription = Subscription::new(link.topic, service, site.name).unwrap();
                let receiver = queue.subscribe(&subscription, SubscriptionConfig::default()).await.unwrap();
                let handler = DefaultStack::new(seed).layer(link.handler);
                let pump = Pump::builder(Arc::clone(&receiver), handler)
                    .nack_backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(50)))
                    .dead_letters(StoreDeadLetters::new(store.clone(), subscription))
                    .seed(seed)
                    .build();
                pumps.push(pump);
                receivers.push(receiver);
            }
            relays.extend(site.relays(&queue));
            anti_entropies.extend(own);
        }
        Self { a, b, queue, seed, pumps, relays, anti_entropies, receivers }
    }

    /// Lets anti-entropy work until both have the same rows, and every service the copies that it keeps of others'.
    pub(crate) async fn heal(&mut self) {
        for _ in 0..400 {
            for one in &self.anti_entropies {
                one.step().await.unwrap();
            }
            self.settle().await;
            let (here, there) = (self.a.rows().await, self.b.rows().await);
            if here == there && has_copies(&here) {
                return;
            }
        }
        self.expect_equal().await;
        panic!("seed {}: a service lacks what another one announces", self.seed);
    }

    /// How many messages were lost for good.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.counts().dropped
    }

    /// Works until nothing is to be announced and nothing is on its way.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..5_000 {
            if self.work().await {
                return;
            }
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        panic!("seed {}: it never became quiet", self.seed);
    }

    /// One round of everything; true where nothing is left to do.
    pub(crate) async fn work(&mut self) -> bool {
        for relay in &self.relays {
            // A refused round leaves its marks: the next one is it again.
            relay.step().await.map(drop).unwrap_or_default();
        }
        let mut left = 0;
        for (pump, receiver) in self.pumps.iter_mut().zip(&self.receivers) {
            pump.step().await.unwrap();
            let depth = receiver.depth().await.unwrap();
            left += depth.ready + depth.in_flight + depth.delayed;
        }
        let stores = self.a.stores().into_iter().chain(self.b.stores());
        left == 0 && stores.into_iter().all(|store| store.outbox_depth() == (0, false))
    }

    /// What everybody who converged looks like: equal rows, byte for byte, and nothing that was not understood.
    pub(crate) async fn expect_equal(&self) {
        let (here, there) = (self.a.rows().await, self.b.rows().await);
        for ((here, there), service) in here.iter().zip(&there).zip(["users", "stories", "comments"]) {
            let differing: Vec<_> = here
                .keys()
                .chain(there.keys())
                .filter(|key| here.get(*key) != there.get(*key))
                .map(|key| {
                    let text =
                        |rows: &Rows| rows.get(key).map(|row| String::from_utf8_lossy(row).into_owned());
                    format!("{key:02x?}\n   a {:?}\n   b {:?}", text(here), text(there))
                })
                .collect();
            assert!(differing.is_empty(), "seed {}: {service} differ\n{}", self.seed, differing.join("\n"));
        }
        for store in self.a.stores().into_iter().chain(self.b.stores()) {
            assert_eq!(kept::depth(store).await.unwrap(), 0, "seed {}: something was kept", self.seed);
        }
    }
}

/// For a request without a body.
pub(crate) const NOTHING: Value = Value::Null;
