//! Messages in causal order, over a queue that has none.

use crate::faults::note_identity_fault;
use crate::{Dot, ReplicaId, VectorClock, VersionVector};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A message with what led to it: the stamp counts the messages that its sender had sent, this one included, and had
/// delivered from each of the others.
///
/// JSON: `{"from": replica, "stamp": vector, "payload": payload}`. Fields that it does not know are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CausalMessage<T> {
    /// Who sent it.
    pub from: ReplicaId,
    /// Which messages it comes after, and its own number.
    pub stamp: VersionVector,
    /// What it says.
    pub payload: T,
}

impl<T> CausalMessage<T> {
    /// The identity of this message: its sender, and which of the sender's messages it is. 0 is none.
    pub fn dot(&self) -> Dot {
        Dot { replica: self.from, counter: self.stamp.get(self.from) }
    }
}

/// Takes messages in any order, with repeats, and hands them out in causal order, each once.
///
/// For what is no lattice: a message handler that must see a question before its answer. (A [`Lattice`](crate::Lattice)
/// needs none of this.) Each process has one. [`send`](CausalDelivery::send) stamps what goes to **all** others, over
/// any transport; [`receive`](CausalDelivery::receive) takes what comes and returns what may be handled now.
///
/// # Promise
///
/// A message is returned once, after every message that its sender had sent or handled before it sent this one. At
/// most `capacity` messages wait. One that may be handled at once is never refused, so a full buffer is no deadlock:
/// the message that the others wait for passes.
///
/// # Anomaly
///
/// Causal order is no total order: two processes may handle two concurrent messages in different orders, and a handler
/// that lets the last one win leaves them different for ever. And **a lost message holds back all that came after
/// it**, until it is sent again or given up:
///
/// ```
/// use antiphon_lattice::{CausalDelivery, Dot, ReplicaId};
/// let [alice_id, bob_id] = [1, 2].map(ReplicaId::from_u128);
/// let (mut alice, mut bob) = (CausalDelivery::new(alice_id, 8), CausalDelivery::new(bob_id, 8));
/// let _lost = alice.send("question");
/// let answer = alice.send("never mind");
/// assert_eq!(bob.receive(answer), Ok(vec![]), "it waits");
/// assert_eq!(bob.missing().collect::<Vec<_>>(), [Dot { replica: alice_id, counter: 1 }]);
///
/// // Who learnt by other means what the lost message said gives it up.
/// let seen_elsewhere = alice.seen().clone();
/// assert_eq!(bob.give_up(seen_elsewhere), vec![], "and what it covers is not handed out any more");
/// assert_eq!(bob.missing().count(), 0);
/// ```
///
/// # Cost
///
/// A vector a message on the wire: 36 bytes of JSON for each process that ever sent anything. In memory the messages
/// that wait. With n processes and w waiting messages `receive` is O(n log n + log w) for one that waits or passes
/// alone, and at worst O(n² log n + w) more for each message that had waited for it.
///
/// # Choose another
///
/// Any [`Lattice`](crate::Lattice) type in place of order: its deltas are joined as they come, and a lost one costs
/// nothing but its own news.
///
/// # JSON
///
/// None of its own: commit [`seen`](CausalDelivery::seen) with the effects of what was handled, keep the messages that
/// wait ([`waiting`](CausalDelivery::waiting), or do not acknowledge them), and [`resume`](CausalDelivery::resume).
///
/// # Source
///
/// Birman, Schiper, Stephenson, *Lightweight causal and atomic group multicast*, 1991, §5.1; Schwarz, Mattern,
/// *Detecting causal relationships in distributed computations*, 1994.
///
/// ```
/// use antiphon_lattice::{CausalDelivery, ReplicaId};
/// let [mut alice, mut bob, mut carol] =
///     [1, 2, 3].map(|id| CausalDelivery::new(ReplicaId::from_u128(id), 100));
/// let question = alice.send("how are you?");
/// bob.receive(question.clone())?;
/// let answer = bob.send("well");
///
/// assert_eq!(carol.receive(answer.clone())?, [], "the answer is here first, and waits");
/// assert_eq!(carol.receive(question.clone())?, [question.clone(), answer]);
/// assert_eq!(carol.receive(question)?, [], "once");
/// # Ok::<(), antiphon_lattice::NotTaken<&str>>(())
/// ```
#[derive(Debug)]
pub struct CausalDelivery<T> {
    clock: VectorClock,
    capacity: usize,
    waiting: BTreeMap<Dot, CausalMessage<T>>,
}

impl<T> CausalDelivery<T> {
    /// A process that has sent and handled nothing, and lets so many messages wait.
    pub fn new(replica: ReplicaId, capacity: usize) -> Self {
        Self::resume(replica, capacity, VersionVector::default())
    }

    /// The process as it was when this vector was committed, with nothing waiting.
    pub const fn resume(replica: ReplicaId, capacity: usize, seen: VersionVector) -> Self {
        Self { clock: VectorClock::resume(replica, seen), capacity, waiting: BTreeMap::new() }
    }

    /// How many messages of each process were handled, and sent by this one.
    pub const fn seen(&self) -> &VersionVector {
        self.clock.seen()
    }

    /// The messages that wait for others, in the order of their dots.
    pub fn waiting(&self) -> impl Iterator<Item = &CausalMessage<T>> {
        self.waiting.values()
    }

    /// Which messages those that wait are waiting for: ask for these again.
    ///
    /// Lazy, for a forged stamp may claim 2⁶⁴ of them: `take` as many as you want to ask for.
    pub fn missing(&self) -> impl Iterator<Item = Dot> + '_ {
        let wanted: VersionVector = self.waiting().flat_map(|message| message.stamp.dots()).collect();
        let ranges: Vec<_> = wanted.since(self.seen()).collect();
        ranges
            .into_iter()
            .flat_map(|(replica, counters)| counters.map(move |counter| Dot { replica, counter }))
            .filter(|dot| !self.waiting.contains_key(dot))
    }

    /// Stamps a message for all others. It counts as handled here.
    ///
    /// The number of a process's messages saturates at 2⁶⁴ − 1; what is sent after that is taken for a repeat.
    pub fn send(&mut self, payload: T) -> CausalMessage<T> {
        CausalMessage { from: self.clock.replica(), stamp: self.clock.tick(), payload }
    }

    /// Takes a message, and returns those that may be handled now, in causal order: none, this one, or this one and
    /// some that waited for it.
    ///
    /// A repeat of what was handled, or waits, is no error and returns nothing. Two messages with one dot and different
    /// stamps are a fault of identity: the first that came stays, and
    /// [`identity_faults`](crate::identity_faults) counts it.
    pub fn receive(&mut self, message: CausalMessage<T>) -> Result<Vec<CausalMessage<T>>, NotTaken<T>> {
        let dot = message.dot();
        if dot.counter == 0 {
            return Err(NotTaken::Unnumbered(message));
        }
        if self.seen().contains(dot) {
            return Ok(Vec::new());
        }
        if let Some(first) = self.waiting.get(&dot) {
            if first.stamp != message.stamp {
                note_identity_fault();
            }
            return Ok(Vec::new());
        }
        if !self.is_next(&message) {
            if self.waiting.len() >= self.capacity {
                return Err(NotTaken::Full(message));
            }
            self.waiting.insert(dot, message);
            return Ok(Vec::new());
        }
        self.clock.learn(VersionVector::up_to(dot));
        let mut handled = vec![message];
        handled.extend(self.release());
        Ok(handled)
    }

    /// Gives up the messages of this vector that have not come: what they said is known by other means (a copy of
    /// another's state), or will never be. Returns those that waited for them and may be handled now; those that the
    /// vector covers are dropped.
    pub fn give_up(&mut self, seen: VersionVector) -> Vec<CausalMessage<T>> {
        self.clock.learn(seen);
        let seen = self.clock.seen();
        self.waiting.retain(|dot, _| !seen.contains(*dot));
        self.release()
    }

    /// Whether all that led to this message was handled, and it is its sender's next.
    fn is_next(&self, message: &CausalMessage<T>) -> bool {
        let (dot, seen) = (message.dot(), self.seen());
        seen.next(dot.replica) == dot
            && message.stamp.dots().all(|led| led.replica == dot.replica || seen.contains(led))
    }

    /// Takes out what waited and may be handled now, in causal order.
    fn release(&mut self) -> Vec<CausalMessage<T>> {
        let senders: BTreeSet<ReplicaId> = self.waiting.keys().map(|dot| dot.replica).collect();
        let mut released = Vec::new();
        // Each round hands out a message that waits, or is the last.
        loop {
            let before = released.len();
            for &sender in &senders {
                let next = self.seen().next(sender);
                if self.waiting.get(&next).is_some_and(|message| self.is_next(message)) {
                    released.extend(self.waiting.remove(&next));
                    self.clock.learn(VersionVector::up_to(next));
                }
            }
            if released.len() == before {
                return released;
            }
        }
    }
}

/// Why a message was not taken. It is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken<T> {
    /// As many messages wait as may. Give this one back to the queue, and ask for those that are
    /// [`missing`](CausalDelivery::missing).
    Full(CausalMessage<T>),
    /// Its stamp does not count the message itself, so it can never be in order: keep it for a human.
    Unnumbered(CausalMessage<T>),
}

impl<T> fmt::Display for NotTaken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(message) => {
                write!(f, "no room for message {} to wait for those before it", message.dot())
            }
            Self::Unnumbered(message) => {
                write!(f, "the stamp of a message from {} does not count the message itself", message.from)
            }
        }
    }
}

impl<T: fmt::Debug> std::error::Error for NotTaken<T> {}
