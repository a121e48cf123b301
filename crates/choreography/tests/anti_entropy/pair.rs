//! A publisher and a subscriber, and between them what loses messages and counts their bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a panic is the verdict")]

use antiphon_choreography::anti_entropy::{AntiEntropy, wants_topic};
use antiphon_choreography::{Cover, Link, Relay};
use consumer::{Context, Handler as _};
use lattice::{Epoch, Lattice as _, ReplicaId, Tally};
use messages::{Fact, Group, PartId, TallyFact, TallyKey};
use queue::{BoxFuture, Message, PublishError, Publisher, Subscription, Topic};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use store::{Abort, Engine, KeyRange, Memory, Row, Scan, SeededWorld, Setup, Store};

/// Where the publisher keeps them.
pub(crate) struct There;
impl Row for There {
    const TAG: u8 = 0x11;
    const NAME: &'static str = "tally";
    type Key = TallyKey;
    type State = Tally;
}

/// The same rows under another tag: where the subscriber keeps them.
pub(crate) struct Here;
impl Row for Here {
    const TAG: u8 = 0x15;
    const NAME: &'static str = "copy of a tally";
    type Key = TallyKey;
    type State = Tally;
}

pub(crate) type Rows = BTreeMap<TallyKey, Tally>;

const DEPLOYMENT: &str = "00000000000000000000000000000001";
pub(crate) const COUNTER: ReplicaId = ReplicaId::from_u128(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);

/// A part's tally, counted by the one replica that counts here.
pub(crate) fn key(id: u128) -> TallyKey {
    TallyKey { group: Group::Part(PartId::from_bytes(id.to_be_bytes())), replica: COUNTER }
}

pub(crate) fn tally(added: u64) -> Tally {
    Tally { epoch: Epoch { generation: 0, owner: COUNTER }, added, removed: 0 }
}

/// Loses some messages, and keeps the others until they are asked for.
#[derive(Debug)]
pub(crate) struct Lossy {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<(Topic, Message)>,
    rng: fastrand::Rng,
    loss: f64,
    bytes: BTreeMap<String, usize>,
    messages: usize,
}

impl Publisher for Lossy {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            let mut state = self.state.lock().unwrap();
            let mut answers = Vec::new();
            for message in batch {
                message.check_size().unwrap();
                *state.bytes.entry(topic.to_string()).or_default() += message.size_bytes();
                state.messages += 1;
                let lost = state.rng.f64() < state.loss;
                if !lost {
                    state.waiting.push_back((topic.clone(), message));
                }
                answers.push(Ok(()));
            }
            answers
        })
    }
}

impl Lossy {
    fn next(&self) -> Option<(Topic, Message)> {
        let mut state = self.state.lock().unwrap();
        let at = if state.waiting.is_empty() { return None } else { 0 };
        state.waiting.remove(at)
    }

    /// Bytes of all messages so far, by topic, and how many messages they were.
    pub(crate) fn spent(&self) -> (BTreeMap<String, usize>, usize) {
        let state = self.state.lock().unwrap();
        (state.bytes.clone(), state.messages)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.spent().0.values().sum()
    }

    pub(crate) fn reset(&self, loss: f64) {
        let mut state = self.state.lock().unwrap();
        (state.loss, state.messages) = (loss, 0);
        state.bytes.clear();
    }
}

pub(crate) struct Pair {
    pub(crate) there: Store,
    pub(crate) here: Store,
    pub(crate) wire: Arc<Lossy>,
    pub(crate) publisher: AntiEntropy,
    pub(crate) link: Link,
    /// What the publisher's rows are on.
    pub(crate) disk: Memory,
    relay: Relay,
    pub(crate) wants: Link,
}

fn store(disk: impl Engine, service: &str, seed: u64) -> Store {
    let world = Arc::new(SeededWorld::new(seed, 1_700_000_000_000));
    Store::open(disk, world, &Setup::of(service).in_deployment(DEPLOYMENT)).unwrap()
}

/// Rows that one write stores.
const WRITE_ROWS: usize = 5_000;

pub(crate) async fn put<R: Row<Key = TallyKey, State = Tally>>(store: &Store, rows: &Rows) {
    let all: Vec<_> = rows.iter().map(|(key, state)| (*key, *state)).collect();
    for rows in all.chunks(WRITE_ROWS) {
        let rows = rows.to_vec();
        let written = store.write(move |view| {
            for (key, state) in &rows {
                view.join::<R>(key, *state)?;
            }
            Ok::<_, Abort<Infallible>>(())
        });
        written.await.unwrap();
    }
}

pub(crate) async fn rows<R: Row<Key = TallyKey, State = Tally>>(store: &Store) -> Rows {
    let (reader, mut scan, mut all) = (store.reader().unwrap(), Scan::prefix(&[R::TAG]), Rows::new());
    loop {
        let page = reader.rows::<R>(&scan).await.unwrap();
        let Some((last, _)) = page.last() else { return all };
        scan = scan.after(&store::key::of::<R>(last));
        all.extend(page);
    }
}

impl Pair {
    pub(crate) fn new(seed: u64, loss: f64) -> Self {
        Self::of::<TallyFact, There, Here>(seed, loss, Cover::new())
    }

    /// Facts `F` from rows `T` into rows `H`; the publisher hears of what the subscriber has as `cover` says.
    pub(crate) fn of<F, T, H>(seed: u64, loss: f64, cover: Cover<F, T>) -> Self
    where
        F: Fact,
        T: Row<Key = F::Key, State = F::State>,
        H: Row<Key = F::Key, State = F::State>,
    {
        let disk = Memory::new();
        Self::on::<F, T, H>(disk.clone(), disk, seed, loss, cover)
    }

    /// The same, its publisher on an engine over `disk`.
    pub(crate) fn on<F, T, H>(
        engine: impl Engine,
        disk: Memory,
        seed: u64,
        loss: f64,
        cover: Cover<F, T>,
    ) -> Self
    where
        F: Fact,
        T: Row<Key = F::Key, State = F::State>,
        H: Row<Key = F::Key, State = F::State>,
    {
        let state = State {
            waiting: VecDeque::new(),
            rng: fastrand::Rng::with_seed(seed),
            loss,
            bytes: BTreeMap::new(),
            messages: 0,
        };
        let wire = Arc::new(Lossy { state: Mutex::new(state) });
        let (there, here) = (store(engine, "comments", seed), store(Memory::new(), "stories", seed + 1));
        let publisher: Arc<dyn Publisher> = Arc::clone(&wire) as Arc<dyn Publisher>;
        let anti_entropy =
            AntiEntropy::new(there.clone(), Arc::clone(&publisher)).covering_by(cover).unwrap();
        let wants = anti_entropy.links().unwrap().remove(0);
        assert_eq!(wants.topic, wants_topic(F::TOPIC).unwrap());
        let relay = Relay::new(there.clone(), Arc::clone(&publisher)).announcing::<F, T>().unwrap();
        let link = Link::merging::<F, H>(&here, &publisher).unwrap();
        Self { there, here, wire, publisher: anti_entropy, link, disk, relay, wants }
    }

    /// Delivers what waits, and what that leads to, until nothing does.
    pub(crate) async fn settle(&self) {
        loop {
            self.relay.step().await.unwrap();
            let Some((topic, message)) = self.wire.next() else {
                if self.there.outbox_depth().0 == 0 {
                    return;
                }
                continue;
            };
            let link = if topic == self.link.topic { &self.link } else { &self.wants };
            assert_eq!(topic, link.topic);
            let subscription = Subscription::new(topic, "s", "main").unwrap();
            link.handler.handle(&message, &Context::new(subscription)).await.unwrap();
        }
    }

    /// One step of the publisher, and all that follows.
    pub(crate) async fn round(&self) {
        while self.publisher.step().await.unwrap() == antiphon_choreography::anti_entropy::Next::AtOnce {}
        self.settle().await;
    }

    pub(crate) fn is_equal(&self) -> bool {
        self.link.heard.all().values().all(|status| status.equal) && !self.link.heard.all().is_empty()
    }

    /// Rounds until both have the same rows, by their sums; the subscriber may not know yet.
    pub(crate) async fn heal_quietly(&self, rounds_max: usize) -> usize {
        for round in 1..=rounds_max {
            self.round().await;
            let range = KeyRange::new(TallyFact::KEYS_FROM, TallyFact::KEYS_TO);
            let there = self.there.track::<There>(&range).sums(&range).unwrap();
            if there.is_some() && there == self.here.track::<Here>(&range).sums(&range).unwrap() {
                return round;
            }
        }
        panic!("not equal after {rounds_max} rounds: {:?}", self.link.heard.all());
    }

    /// Rounds until the subscriber knows that it has what the publisher has.
    pub(crate) async fn heal(&self, rounds_max: usize) -> usize {
        for round in 1..=rounds_max {
            self.round().await;
            if self.is_equal() && rows::<There>(&self.there).await == rows::<Here>(&self.here).await {
                return round;
            }
        }
        panic!("not equal after {rounds_max} rounds: {:?}", self.link.heard.all());
    }
}

/// What both have once they are healed.
pub(crate) fn joined(left: &Rows, right: &Rows) -> Rows {
    let mut all = left.clone();
    for (key, state) in right {
        all.entry(*key).or_default().join(*state);
    }
    all
}
