//! The sets that the audit is made of.

use lattice::{CausalContext, Dot, GSet, Lattice, Map};
use queue::{Subscription, Topic};
use serde::{Deserialize, Serialize};

/// Dots by the name of a topic or a subscription.
type Dots = Map<String, CausalContext>;

/// What is known of all messages: a lattice, so books are joined by [`Lattice::join`] in any order, however often.
///
/// Memory: 16 bytes for each gap in a lane's numbers and 48 for each lane, not for each message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Books {
    /// By topic: the broker confirmed it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    sent: Dots,
    /// By subscription: its handler said `Ok`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    merged: Dots,
    /// By subscription: it was put aside.
    #[serde(skip_serializing_if = "Map::is_empty")]
    dead: Dots,
    /// By subscription: it was sent before the subscription was made, which therefore never gets it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    before: Dots,
    /// The subscriptions that were begun.
    #[serde(skip_serializing_if = "GSet::is_empty")]
    begun: GSet<String>,
}

impl Lattice for Books {
    fn join(&mut self, other: Self) -> bool {
        let Self { sent, merged, dead, before, begun } = other;
        self.sent.join(sent)
            | self.merged.join(merged)
            | self.dead.join(dead)
            | self.before.join(before)
            | self.begun.join(begun)
    }
}

/// The sum of one subscription: `sent = merged + in_flight + dead`, always.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Whose sum it is.
    pub subscription: Subscription,
    /// Messages to its topic that the broker confirmed, without those sent before it was made.
    pub sent: u64,
    /// Those whose handler said `Ok`, at least once.
    pub merged: u64,
    /// Those that were put aside, and not merged since.
    pub dead: u64,
    /// Those that nobody has settled.
    pub in_flight: u64,
    /// Merged or put aside here, though nobody noted that the broker had confirmed them: outside of the sum.
    pub unconfirmed: u64,
    /// Which ones are in flight. If the queue is empty, these are lost.
    pub missing: CausalContext,
}

impl Books {
    /// A message to `topic` was confirmed. Like all of these it says whether that is news.
    pub fn sent(&mut self, topic: &Topic, dot: Dot) -> bool {
        self.sent.join_entry(topic.to_string(), CausalContext::of(dot))
    }

    /// A message was merged by `subscription`.
    pub fn merged(&mut self, subscription: &Subscription, dot: Dot) -> bool {
        self.merged.join_entry(subscription.to_string(), CausalContext::of(dot))
    }

    /// A message is a dead letter of `subscription`. Also for what the broker put aside by itself: whoever reads
    /// [`Queue::dead_letters`](queue::Queue::dead_letters) adds what is found there with [`dot_of`](super::dot_of).
    pub fn dead(&mut self, subscription: &Subscription, dot: Dot) -> bool {
        self.dead.join_entry(subscription.to_string(), CausalContext::of(dot))
    }

    /// The delta which says that `subscription` is made only now: what was sent to its topic before is not for it. To be
    /// joined.
    #[must_use]
    pub fn begun(&self, subscription: &Subscription) -> Self {
        let name = subscription.to_string();
        let sent = self.sent.get(subscription.topic().as_str()).cloned().unwrap_or_default();
        Self { before: Map::of(name.clone(), sent), begun: GSet::of(name), ..Self::default() }
    }

    /// Whether anything is known of `subscription`: that it was [begun](Self::begun), or got a message.
    pub fn knows(&self, subscription: &Subscription) -> bool {
        let name = subscription.to_string();
        self.begun.contains(&name) || [&self.merged, &self.dead].iter().any(|dots| dots.get(&name).is_some())
    }

    /// The sum of `subscription`.
    pub fn account(&self, subscription: &Subscription) -> Account {
        let name = subscription.to_string();
        let of = |dots: &Dots, key: &str| dots.get(key).cloned().unwrap_or_default();
        let sent = of(&self.sent, subscription.topic().as_str());
        let merged = of(&self.merged, &name);
        let dead = of(&self.dead, &name).minus(&merged);
        // What it got all the same was for it all the same.
        let sent = sent.minus(&of(&self.before, &name).minus(&merged).minus(&dead));
        let missing = sent.minus(&merged).minus(&dead);
        Account {
            subscription: subscription.clone(),
            sent: len(&sent),
            merged: len(&sent.common(&merged)),
            dead: len(&sent.common(&dead)),
            in_flight: len(&missing),
            unconfirmed: len(&merged.minus(&sent)).saturating_add(len(&dead.minus(&sent))),
            missing,
        }
    }

    /// The sums of all subscriptions that are known, in the order of their names. One that has got nothing yet is known
    /// only if it was [begun](super::Ledger::begin).
    pub fn accounts(&self) -> Vec<Account> {
        let dots = [&self.merged, &self.dead].into_iter().flat_map(Map::keys);
        let mut names: Vec<&String> = dots.chain(self.begun.iter()).collect();
        names.sort_unstable();
        names.dedup();
        // A name that is none was not written by us; it has no account.
        names.into_iter().filter_map(|name| name.parse().ok()).map(|name| self.account(&name)).collect()
    }

    /// The topics to which anything was sent, in order, and how many messages.
    pub fn topics(&self) -> Vec<(Topic, u64)> {
        let each = self.sent.iter().filter_map(|(name, dots)| Some((Topic::new(name).ok()?, len(dots))));
        each.collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Whether anything was sent under a lane.
    pub(super) fn has_lane(&self, lane: u64) -> bool {
        let replica = super::name::dot(lane, 1).replica;
        [&self.sent, &self.merged, &self.dead]
            .iter()
            .any(|dots| dots.values().any(|dots| dots.last(replica) > 0))
    }

    /// How many ranges it has.
    pub(super) fn ranges(&self) -> usize {
        let all = [&self.sent, &self.merged, &self.dead, &self.before].into_iter().flat_map(Map::values);
        all.map(|dots| dots.ranges().count()).sum()
    }

    /// The same knowledge in pieces of at most `ranges_max` ranges each.
    pub(super) fn pieces(&self, ranges_max: usize) -> Vec<Self> {
        type Put = fn(&mut Books, Dots);
        let each: [(&Dots, Put); 4] = [
            (&self.sent, |books, dots| books.sent = dots),
            (&self.merged, |books, dots| books.merged = dots),
            (&self.dead, |books, dots| books.dead = dots),
            (&self.before, |books, dots| books.before = dots),
        ];
        let mut pieces = Vec::new();
        if !self.begun.is_empty() {
            pieces.push(Self { begun: self.begun.clone(), ..Self::default() });
        }
        for (dots, put) in each {
            for (key, context) in dots {
                let ranges: Vec<_> = context.ranges().collect();
                for chunk in ranges.chunks(ranges_max.max(1)) {
                    let mut part = CausalContext::default();
                    for (replica, first, last) in chunk {
                        part.insert_range(*replica, *first, *last);
                    }
                    let mut piece = Self::default();
                    put(&mut piece, Map::of(key.clone(), part));
                    pieces.push(piece);
                }
            }
        }
        pieces
    }
}

/// How many dots a set has.
fn len(dots: &CausalContext) -> u64 {
    dots.ranges().fold(0, |sum, (_, first, last)| sum.saturating_add(last - first).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::super::name::dot;
    use super::*;

    fn subscription() -> Subscription {
        "topic/service/site".parse().unwrap()
    }

    /// Books of small sets of four messages, by bits: sent, merged, dead, and sent before the subscription was made.
    fn books(sent: u64, merged: u64, dead: u64, before: u64) -> Books {
        let (topic, subscription) = (Topic::new("topic").unwrap(), subscription());
        let mut books = Books::default();
        let has = |bits: u64, n: u64| bits >> (n - 1) & 1 == 1;
        for n in 1..=2 {
            if has(sent & before, n) {
                books.sent(&topic, dot(7, n));
            }
        }
        if before > 0 {
            let begun = books.begun(&subscription);
            books.join(begun);
        }
        for n in 1..=2 {
            if has(sent, n) {
                books.sent(&topic, dot(7, n));
            }
            if has(merged, n) {
                books.merged(&subscription, dot(7, n));
            }
            if has(dead, n) {
                books.dead(&subscription, dot(7, n));
            }
        }
        books
    }

    fn all() -> Vec<Books> {
        (0..256).map(|bits| books(bits & 3, bits >> 2 & 3, bits >> 4 & 3, bits >> 6 & 3)).collect()
    }

    #[test]
    fn the_sum_is_right_for_every_combination() {
        for books in all() {
            let account = books.account(&subscription());
            assert_eq!(account.sent, account.merged + account.in_flight + account.dead, "{books:?}");
            assert_eq!(account.in_flight, len(&account.missing));
        }
        let account = books(0b11, 0b01, 0b10, 0).account(&subscription());
        assert_eq!((account.sent, account.merged, account.dead, account.in_flight), (2, 1, 1, 0));
        let account = books(0b01, 0b10, 0, 0).account(&subscription());
        assert_eq!((account.sent, account.in_flight, account.unconfirmed), (1, 1, 1));
        let account = books(0b11, 0b01, 0b01, 0).account(&subscription());
        assert_eq!(
            (account.merged, account.dead, account.in_flight),
            (1, 0, 1),
            "redriven, and merged since"
        );
        let account = books(0b11, 0, 0, 0b01).account(&subscription());
        assert_eq!((account.sent, account.in_flight), (1, 1), "one was sent before it was made");
    }

    #[test]
    fn books_are_a_lattice() {
        let mut values: Vec<Books> = all().into_iter().step_by(11).collect();
        values.push(Books::default());
        lattice::laws::check_exhaustively(&values).unwrap();
    }

    #[test]
    fn pieces_make_the_whole() {
        for books in all() {
            for max in [1, 2, 100] {
                let joined = books.pieces(max).into_iter().fold(Books::default(), Lattice::joined);
                assert_eq!(joined, books);
            }
            let text = serde_json::to_string(&books).unwrap();
            assert_eq!(serde_json::from_str::<Books>(&text).unwrap(), books);
        }
        let newer = serde_json::from_str::<Books>(r#"{"sent":{},"drained":{}}"#);
        assert!(newer.is_err(), "what a newer version knows is not thrown away in silence");
    }
}
