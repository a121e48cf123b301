//! How what one node learned comes to all: deltas until they are confirmed, and digests now and then.
//!
//! A message may be lost, late, repeated or out of order. Joining forgives all of this but the loss, so a delta is sent
//! again, under its number, until the neighbour has named that number in an acknowledgement. What is learned meanwhile
//! is joined into one next delta: however long a neighbour is cut off, no more than `WINDOW + 1` deltas wait for it.
//!
//! The deltas travel along the topology. It may have one-way streets, or fall apart into islands; so each node also
//! shows a digest to all others in turn, and who sees that they differ sends what the other may lack.
//!
//! These messages have no `msg_id`: their numbers are in fields of their own and cannot be taken for a client's. A node
//! that was restarted would number anew, and take an old acknowledgement for a new one: Maelstrom restarts none in these
//! workloads, and none of their states is kept on disk.

use crate::wire::{Fault, Fields, Outbox};
use antiphon_lattice::Lattice;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many unconfirmed deltas are under way to one neighbour.
const WINDOW: usize = 8;
/// When a delta is sent again; the wait doubles each time.
const RESEND: Duration = Duration::from_millis(400);
const RESEND_MAX: Duration = Duration::from_secs(2);
/// How often a digest is shown, to one node at a time.
const DIGEST: Duration = Duration::from_secs(1);

/// A state that nodes share.
pub(crate) trait Replicated: Lattice + Serialize + DeserializeOwned {
    /// Whether there is anything to share.
    const SHARED: bool = true;

    /// What of the delta is not known here.
    fn news(&self, delta: Self) -> Self {
        if self.covers(&delta) { Self::default() } else { delta }
    }

    /// Fingerprints of the parts of the state: equal states have equal digests.
    fn digest(&self) -> Vec<u64> {
        vec![fingerprint(self)]
    }

    /// The parts that have another fingerprint in this digest.
    fn differing(&self, digest: &[u64]) -> Self {
        if self.digest() == digest { Self::default() } else { self.clone() }
    }
}

/// FNV-1a of the JSON, its bits mixed once more, cut to the 53 that every reader of JSON keeps.
pub(crate) fn fingerprint(value: &impl Serialize) -> u64 {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11
}

/// A message between nodes.
#[derive(Debug, Serialize, Deserialize)]
struct Message<S> {
    r#type: String,
    /// The delta and its number, if there is one to send.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    delta: Option<S>,
    /// The numbers of the deltas that arrived.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    acks: BTreeSet<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Digest {
    r#type: String,
    parts: Vec<u64>,
    /// Whether this answers a digest: it is not answered again.
    answer: bool,
}

/// A delta that is under way.
#[derive(Debug)]
struct Flight<S> {
    delta: S,
    due: Duration,
    wait: Duration,
}

/// What is going on with one other node.
#[derive(Debug)]
struct Link<S> {
    neighbour: bool,
    unsent: S,
    last: u64,
    in_flight: BTreeMap<u64, Flight<S>>,
    acks: BTreeSet<u64>,
}

impl<S: Replicated> Link<S> {
    fn new() -> Self {
        let (unsent, in_flight, acks) = (S::default(), BTreeMap::new(), BTreeSet::new());
        Self { neighbour: true, unsent, last: 0, in_flight, acks }
    }

    /// What the other node sent it need not be sent: in a dense topology, most news comes from several sides.
    fn known(&mut self, delta: &S) {
        self.in_flight.retain(|_, flight| !delta.covers(&flight.delta));
        self.unsent = delta.news(std::mem::take(&mut self.unsent));
    }

    fn send(&mut self, me: &str, peer: &str, delta: Option<(u64, S)>, out: &mut Outbox) {
        let acks = std::mem::take(&mut self.acks);
        let (seq, delta) = delta.unzip();
        out.send(me, peer, &Message { r#type: "gossip".to_owned(), seq, delta, acks });
    }

    /// Sends what is due: again what was not confirmed, then what is new, then the acknowledgements left over.
    fn tick(&mut self, me: &str, peer: &str, now: Duration, out: &mut Outbox) {
        let mut due = Vec::new();
        for (&seq, flight) in self.in_flight.iter_mut().filter(|(_, flight)| flight.due <= now) {
            flight.wait = (flight.wait * 2).min(RESEND_MAX);
            flight.due = now + flight.wait;
            due.push((seq, flight.delta.clone()));
        }
        if self.in_flight.len() < WINDOW && self.unsent != S::default() {
            self.last += 1;
            let delta = std::mem::take(&mut self.unsent);
            let flight = Flight { delta: delta.clone(), due: now + RESEND, wait: RESEND };
            self.in_flight.insert(self.last, flight);
            due.push((self.last, delta));
        }
        for delta in due {
            self.send(me, peer, Some(delta), out);
        }
        if !self.acks.is_empty() {
            self.send(me, peer, None, out);
        }
    }
}

/// The state of this node, and what it owes the others.
#[derive(Debug)]
pub(crate) struct Gossip<S> {
    me: String,
    state: S,
    links: BTreeMap<String, Link<S>>,
    digest_due: Duration,
    digest_turn: usize,
}

impl<S: Replicated> Gossip<S> {
    /// The bottom, in the company of these nodes: all of them are neighbours until a topology says otherwise.
    pub(crate) fn new(me: &str, nodes: &BTreeSet<String>, now: Duration) -> Self {
        let peers = nodes.iter().filter(|node| node.as_str() != me);
        let links = peers.map(|node| (node.clone(), Link::new())).collect();
        Self { me: me.to_owned(), state: S::default(), links, digest_due: now + DIGEST, digest_turn: 0 }
    }

    pub(crate) fn state(&self) -> &S {
        &self.state
    }

    pub(crate) fn knows(&self, node: &str) -> bool {
        self.links.contains_key(node)
    }

    /// Lets the deltas go to these nodes from now on. One that was no neighbour before is sent the whole state.
    pub(crate) fn set_neighbours(&mut self, neighbours: &BTreeSet<String>) {
        for (node, link) in &mut self.links {
            let neighbour = neighbours.contains(node);
            if neighbour && !link.neighbour {
                link.unsent.join(self.state.clone());
            }
            link.neighbour = neighbour;
        }
    }

    /// Changes the state, and sends the delta on its way with the next tick.
    pub(crate) fn change(&mut self, mutate: impl FnOnce(&mut S) -> Result<S, Fault>) -> Result<(), Fault> {
        let delta = mutate(&mut self.state)?;
        self.spread(&delta, &self.me.clone());
        Ok(())
    }

    fn spread(&mut self, delta: &S, from: &str) {
        for (node, link) in &mut self.links {
            if link.neighbour && node != from {
                link.unsent.join(delta.clone());
            }
        }
    }

    /// Takes a message of another node.
    pub(crate) fn receive(
        &mut self,
        kind: &str,
        from: &str,
        body: &Fields,
        out: &mut Outbox,
    ) -> Result<(), Fault> {
        if kind == "digest" {
            let (parts, answer): (Vec<u64>, bool) = (body.get("parts")?, body.get("answer")?);
            self.compare(from, &parts, answer, out);
            return Ok(());
        }
        let delta: Option<(u64, S)> =
            if body.has("delta") { Some((body.get("seq")?, body.get("delta")?)) } else { None };
        let confirmed: Vec<u64> = if body.has("acks") { body.get("acks")? } else { Vec::new() };
        if let Some(link) = self.links.get_mut(from) {
            for seq in confirmed {
                link.in_flight.remove(&seq);
            }
            if let Some((seq, delta)) = &delta {
                link.acks.insert(*seq);
                link.known(delta);
            }
        }
        if let Some((_, delta)) = delta {
            let news = self.state.news(delta);
            if self.state.join(news.clone()) {
                self.spread(&news, from);
            }
        }
        Ok(())
    }

    fn compare(&mut self, from: &str, theirs: &[u64], answer: bool, out: &mut Outbox) {
        let ours = self.state.digest();
        if ours == theirs {
            return;
        }
        if let Some(link) = self.links.get_mut(from) {
            link.unsent.join(self.state.differing(theirs));
        }
        if !answer {
            out.send(&self.me, from, &Digest { r#type: "digest".to_owned(), parts: ours, answer: true });
        }
    }

    /// Sends what is due.
    pub(crate) fn tick(&mut self, now: Duration, out: &mut Outbox) {
        for (node, link) in &mut self.links {
            link.tick(&self.me, node, now, out);
        }
        if S::SHARED && now >= self.digest_due && !self.links.is_empty() {
            self.digest_due = now + DIGEST;
            self.digest_turn = (self.digest_turn + 1) % self.links.len();
            if let Some(node) = self.links.keys().nth(self.digest_turn) {
                let parts = self.state.digest();
                out.send(&self.me, node, &Digest { r#type: "digest".to_owned(), parts, answer: false });
            }
        }
    }

    /// Sends what was never sent: the last words of a node whose input ended.
    pub(crate) fn close(&mut self, out: &mut Outbox) {
        for (node, link) in &mut self.links {
            if link.unsent != S::default() {
                link.last += 1;
                let delta = std::mem::take(&mut link.unsent);
                link.send(&self.me, node, Some((link.last, delta)), out);
            } else if !link.acks.is_empty() {
                link.send(&self.me, node, None, out);
            }
        }
    }
}
