//! The counters: each node counts for itself, and the value is the sum.

use crate::gossip::{Gossip, Replicated};
use crate::wire::{Fault, Fields, Reply};
use crate::workloads::Workload;
use antiphon_lattice::{GCounter, PnCounter, ReplicaId};

impl Replicated for GCounter {}

impl Replicated for PnCounter {}

/// The counter that only goes up.
#[derive(Debug, Default)]
pub(crate) struct Up;

impl Workload for Up {
    type State = GCounter;

    fn handle(
        &mut self,
        me: ReplicaId,
        kind: &str,
        body: &Fields,
        shared: &mut Gossip<GCounter>,
    ) -> Option<Result<Reply, Fault>> {
        match kind {
            "add" => Some(shared.change(|counter| up(counter, me, body)).map(|()| Reply::bare("add_ok"))),
            "read" => Some(Reply::with("read_ok", "value", shared.state().value())),
            _ => None,
        }
    }
}

fn up(counter: &mut GCounter, me: ReplicaId, body: &Fields) -> Result<GCounter, Fault> {
    let delta: i128 = body.get("delta")?;
    if delta < 0 {
        return Err(Fault::malformed(format!("the delta {delta} is negative: this counter only goes up")));
    }
    let many = fitting(counter.of(me), delta)?;
    Ok(counter.increment(me, many))
}

/// The counter that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct UpAndDown;

impl Workload for UpAndDown {
    type State = PnCounter;

    fn handle(
        &mut self,
        me: ReplicaId,
        kind: &str,
        body: &Fields,
        shared: &mut Gossip<PnCounter>,
    ) -> Option<Result<Reply, Fault>> {
        match kind {
            "add" => {
                Some(shared.change(|counter| up_or_down(counter, me, body)).map(|()| Reply::bare("add_ok")))
            }
            "read" => Some(Reply::with("read_ok", "value", shared.state().value())),
            _ => None,
        }
    }
}

fn up_or_down(counter: &mut PnCounter, me: ReplicaId, body: &Fields) -> Result<PnCounter, Fault> {
    let delta: i128 = body.get("delta")?;
    let (added, taken) = counter.of(me);
    if delta < 0 {
        let many = fitting(taken, delta)?;
        return Ok(counter.decrement(me, many));
    }
    let many = fitting(added, delta)?;
    Ok(counter.increment(me, many))
}

/// The counters saturate at 2⁶⁴ − 1 for each node: what they would not count in full is refused instead.
fn fitting(counted: u64, delta: i128) -> Result<u64, Fault> {
    let many = u64::try_from(delta.unsigned_abs()).ok().filter(|many| counted.checked_add(*many).is_some());
    many.ok_or_else(|| {
        Fault::precondition_failed(format!("the delta {delta} does not fit beside what was counted here"))
    })
}
