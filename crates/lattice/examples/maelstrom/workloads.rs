//! What each of Maelstrom's workloads asks for, and the type that answers it.

use crate::gossip::{Gossip, Replicated, fingerprint};
use crate::json::Json;
use crate::wire::{Fault, Fields, Reply};
use antiphon_lattice::{Dot, GSet, ReplicaId};

/// One workload: its state, and its requests.
pub(crate) trait Workload: Default {
    type State: Replicated;

    /// Answers a request at once, from this node's own state. `None` is for a type that it does not know.
    fn handle(
        &mut self,
        me: ReplicaId,
        kind: &str,
        body: &Fields,
        shared: &mut Gossip<Self::State>,
    ) -> Option<Result<Reply, Fault>>;
}

impl Replicated for () {
    const SHARED: bool = false;
}

/// Sends back what it is sent.
#[derive(Debug, Default)]
pub(crate) struct Echo;

impl Workload for Echo {
    type State = ();

    fn handle(
        &mut self,
        _: ReplicaId,
        kind: &str,
        body: &Fields,
        _: &mut Gossip<()>,
    ) -> Option<Result<Reply, Fault>> {
        (kind == "echo").then(|| Reply::with("echo_ok", "echo", body.raw("echo")?))
    }
}

/// Names that are given once: the [`Dot`] of the request, which no other node has, and no other request here.
///
/// Nobody is asked, so a partition takes nothing away. The count is in memory only: a node that was restarted under the
/// same `node_id` would give its names again. Where nodes restart, the count is kept on disk before the reply, or each
/// start takes a new [`ReplicaId`]; Maelstrom starts each node once.
#[derive(Debug, Default)]
pub(crate) struct UniqueIds {
    last: u64,
}

impl Workload for UniqueIds {
    type State = ();

    fn handle(
        &mut self,
        me: ReplicaId,
        kind: &str,
        _: &Fields,
        _: &mut Gossip<()>,
    ) -> Option<Result<Reply, Fault>> {
        (kind == "generate").then(|| {
            let last = self.last.checked_add(1);
            self.last = last.ok_or_else(|| Fault::unavailable("all ids of this node are given"))?;
            Reply::with("generate_ok", "id", Dot { replica: me, counter: self.last })
        })
    }
}

/// How many parts the digest of a set has: only elements of the parts that differ are sent.
const PARTS: u64 = 64;

impl Replicated for GSet<Json> {
    fn news(&self, delta: Self) -> Self {
        delta.into_iter().filter(|element| !self.contains(element)).collect()
    }

    fn digest(&self) -> Vec<u64> {
        let mut parts: Vec<u64> = (0..PARTS).map(|_| 0).collect();
        for print in self.iter().map(fingerprint) {
            for (_, part) in (0..PARTS).zip(&mut parts).filter(|(at, _)| *at == print % PARTS) {
                *part ^= print;
            }
        }
        parts
    }

    fn differing(&self, digest: &[u64]) -> Self {
        let differs: Vec<bool> =
            self.digest().iter().enumerate().map(|(at, part)| digest.get(at) != Some(part)).collect();
        let lacks = |element: &&Json| {
            let at = usize::try_from(fingerprint(*element) % PARTS).ok();
            at.and_then(|at| differs.get(at).copied()).unwrap_or(true)
        };
        self.iter().filter(lacks).cloned().collect()
    }
}

/// Every message that anybody broadcast.
#[derive(Debug, Default)]
pub(crate) struct Broadcast;

impl Workload for Broadcast {
    type State = GSet<Json>;

    fn handle(
        &mut self,
        _: ReplicaId,
        kind: &str,
        body: &Fields,
        shared: &mut Gossip<GSet<Json>>,
    ) -> Option<Result<Reply, Fault>> {
        match kind {
            "broadcast" => Some(insert(body, "message", "broadcast_ok", shared)),
            "read" => Some(Reply::with("read_ok", "messages", shared.state())),
            _ => None,
        }
    }
}

/// The set that only grows.
#[derive(Debug, Default)]
pub(crate) struct GrowOnly;

impl Workload for GrowOnly {
    type State = GSet<Json>;

    fn handle(
        &mut self,
        _: ReplicaId,
        kind: &str,
        body: &Fields,
        shared: &mut Gossip<GSet<Json>>,
    ) -> Option<Result<Reply, Fault>> {
        match kind {
            "add" => Some(insert(body, "element", "add_ok", shared)),
            "read" => Some(Reply::with("read_ok", "value", shared.state())),
            _ => None,
        }
    }
}

fn insert(
    body: &Fields,
    key: &str,
    done: &'static str,
    shared: &mut Gossip<GSet<Json>>,
) -> Result<Reply, Fault> {
    let element: Json = body.get(key)?;
    shared.change(|set| Ok(set.insert(element)))?;
    Ok(Reply::bare(done))
}
