//! What the order of a part's paragraphs and the order of a story's parts have in common: who stands where before
//! anybody moved them, and how much moving there may be.

use api::{Problem, derive_id};
use lattice::{Arrangement, Hlc, Lane, Lattice as _, ReplicaId, SequenceError, Stamp};
use serde::{Deserialize, Serialize};

/// What may stand in an order.
pub(crate) trait Item: Copy + Ord + Serialize + for<'a> Deserialize<'a> {}
impl<K: Copy + Ord + Serialize + for<'a> Deserialize<'a>> Item for K {}

/// Places what never had a slot, in the order given and before what stands at an index, and returns the delta.
///
/// The slots are made in the name of a replica that is none: it is derived from the order so far and from what is
/// placed. So two replicas that place the same things make the same bytes, whether they publish a part that the other one
/// published, or meet rows in which nothing has a slot yet. And their stamps are the least ones, so this undoes no
/// move, and no first place that somebody chose, however late it is done.
pub(crate) fn place_new<K: Item>(
    order: &mut Arrangement<K>,
    items: &[K],
    at: usize,
) -> Result<Arrangement<K>, Problem> {
    let mut delta = Arrangement::default();
    if items.is_empty() {
        return Ok(delta);
    }
    let known = serde_json::to_vec(&(&*order, items)).map_err(|error| Problem::internal(&error))?;
    let replica = ReplicaId::from_u128(u128::from_be_bytes(derive_id("first slots", &[&known])));
    let stamp = Stamp { hlc: Hlc::default(), replica, lane: Lane::default() };
    // From the last to the first, each before the others: where nothing has a slot yet, n log n. Each behind the one
    // before it would be n², and a story may have ten thousand parts.
    for item in items.iter().rev() {
        delta.join(order.move_to(replica, stamp, *item, at).map_err(unplaced)?);
    }
    Ok(delta)
}

/// The stamp with which something new is put where its writer wants it: above those of [`place_new`] and below every
/// one that a clock mints, for a late retry at another replica must not undo a move that it has not heard of. The replica
/// keeps the stamps of two that accept one request apart.
pub(crate) fn of_something_new(replica: ReplicaId) -> Stamp {
    Stamp { hlc: Hlc::new(0, 1), replica, lane: Lane::default() }
}

/// Refuses an order that has grown larger than it may. Every move leaves something behind: which slot is gone, and what
/// hung on it.
pub(crate) fn check_bytes<K: Item>(
    order: &Arrangement<K>,
    bytes_max: usize,
    full: impl FnOnce(String) -> Problem,
) -> Result<(), Problem> {
    let bytes = serde_json::to_vec(order).map_err(|error| Problem::internal(&error))?.len();
    if bytes <= bytes_max {
        return Ok(());
    }
    let detail = format!("too much was moved here for an order of {bytes_max} bytes");
    Err(full(detail).with_limit(u64::try_from(bytes_max).unwrap_or(u64::MAX)))
}

/// Somebody's bytes used up the numbers of a replica: it is one of a kind, so it is told as a fault of ours.
pub(crate) fn unplaced(error: SequenceError) -> Problem {
    Problem::internal(&error)
}
