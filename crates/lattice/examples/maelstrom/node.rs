//! One node: who it is, and what it does with a line.

use crate::gossip::Gossip;
use crate::wire::{Fault, Incoming, Outbox, Reply};
use crate::workloads::Workload;
use crate::{gossip::Replicated, log, wire::Fields};
use antiphon_lattice::ReplicaId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A node, before and after `init`.
#[derive(Debug, Default)]
pub(crate) struct Node<W: Workload> {
    workload: W,
    running: Option<Running<W::State>>,
}

#[derive(Debug)]
struct Running<S> {
    id: String,
    ids: BTreeSet<String>,
    /// The node's place in the sorted list of all, from 1: every node is given the same list, so no two have one.
    replica: ReplicaId,
    gossip: Gossip<S>,
}

impl<W: Workload> Node<W> {
    /// Takes one line. Whatever is in it, the node lives on.
    pub(crate) fn receive(&mut self, line: &[u8], now: Duration, out: &mut Outbox) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Incoming { src, dest, body } = match serde_json::from_slice(line) {
            Ok(incoming) => incoming,
            Err(error) => return log(format_args!("passed over a line that is no message: {error}")),
        };
        let id: Option<i128> = match body.has("msg_id").then(|| body.get("msg_id")).transpose() {
            Ok(id) => id,
            Err(fault) => return log(format_args!("passed over a message of {src}: {}", fault.text)),
        };
        let kind: Result<String, Fault> = body.get("type");
        // What answers something is never answered: two nodes that do not understand each other would not stop.
        let answers = kind.as_ref().is_ok_and(|kind| kind == "error" || kind.ends_with("_ok"));
        if answers || body.has("in_reply_to") {
            return log(format_args!("passed over an answer of {src} to what was not asked"));
        }
        let outcome = match kind {
            Ok(kind) => match self.between_nodes(&kind, &src, &body, out) {
                Some(Ok(())) => return,
                Some(Err(fault)) => Err(fault),
                None => self.request(&kind, &body, now),
            },
            Err(fault) => Err(fault),
        };
        let me = self.running.as_ref().map_or(dest.as_str(), |running| &running.id);
        match (id, outcome) {
            (Some(id), outcome) => out.reply(me, &src, id, outcome),
            (None, Ok(_)) => log(format_args!("did what {src} asked; no msg_id, so no reply")),
            (None, Err(fault)) => {
                log(format_args!("cannot do what {src} asked: {}; no msg_id, so no reply", fault.text));
            }
        }
    }

    /// Sends what is due.
    pub(crate) fn tick(&mut self, now: Duration, out: &mut Outbox) {
        if let Some(running) = &mut self.running {
            running.gossip.tick(now, out);
        }
    }

    /// Sends what was never sent.
    pub(crate) fn close(&mut self, out: &mut Outbox) {
        if let Some(running) = &mut self.running {
            running.gossip.close(out);
        }
    }

    /// The messages of other nodes. From anybody else they are requests of an unknown type.
    fn between_nodes(
        &mut self,
        kind: &str,
        from: &str,
        body: &Fields,
        out: &mut Outbox,
    ) -> Option<Result<(), Fault>> {
        let running = self.running.as_mut()?;
        let ours = W::State::SHARED && matches!(kind, "gossip" | "digest") && running.gossip.knows(from);
        ours.then(|| running.gossip.receive(kind, from, body, out))
    }

    fn request(&mut self, kind: &str, body: &Fields, now: Duration) -> Result<Reply, Fault> {
        if kind == "init" {
            return self.init(body, now);
        }
        let Some(running) = &mut self.running else {
            return Err(Fault::unavailable("this node was not initialised yet"));
        };
        if kind == "topology" && W::State::SHARED {
            return running.topology(body);
        }
        let answer = self.workload.handle(running.replica, kind, body, &mut running.gossip);
        answer.unwrap_or_else(|| {
            Err(Fault::not_supported(format!("no request of type {kind} in this workload")))
        })
    }

    fn init(&mut self, body: &Fields, now: Duration) -> Result<Reply, Fault> {
        let id: String = body.get("node_id")?;
        let ids: BTreeSet<String> = body.get("node_ids")?;
        let Some(place) = (1..).zip(&ids).find_map(|(place, other)| (*other == id).then_some(place)) else {
            return Err(Fault::malformed(format!("node_ids does not name {id}")));
        };
        match &self.running {
            // The init itself may be delivered twice.
            Some(running) if running.id == id && running.ids == ids => {}
            Some(running) => {
                return Err(Fault::precondition_failed(format!("this node is {} already", running.id)));
            }
            None => {
                let gossip = Gossip::new(&id, &ids, now);
                self.running = Some(Running { id, ids, replica: ReplicaId::from_u128(place), gossip });
            }
        }
        Ok(Reply::bare("init_ok"))
    }
}

impl<S: Replicated> Running<S> {
    fn topology(&mut self, body: &Fields) -> Result<Reply, Fault> {
        let mut topology: BTreeMap<String, BTreeSet<String>> = body.get("topology")?;
        // A topology that does not speak of this node leaves it with all others as neighbours.
        if let Some(neighbours) = topology.remove(&self.id) {
            self.gossip.set_neighbours(&neighbours);
        }
        Ok(Reply::bare("topology_ok"))
    }
}
