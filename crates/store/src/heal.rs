//! Healing: what a replica does that has lost data, that was replaced, or that is somebody's heir.
//!
//! It is told by notes in the store's own rows, which the writes that found out have left, so a crash anywhere is
//! continued where it was. Nothing of it is needed in normal running: then a step reads two keys.

use crate::epochs::{OWNED_TALLIES_MAX, meta_key, read_meta};
use crate::error::{Abort, StoreError, ViewError, WriteError};
use crate::store::Store;
use crate::view::{self, View};
use lattice::{Epoch, ReplicaId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use thiserror::Error;

mod compare;
mod healer;
mod kind;

pub use compare::{Comparison, Counts};
pub use healer::{GROUPS_COUNTED_MAX, Healer};

const ALARM: &str = "alarm";
const RECOUNT: &str = "recount";

/// Tallies of ours that were met from the future.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    /// They say more than we do.
    #[serde(default)]
    pub(crate) ahead: BTreeSet<ReplicaId>,
    /// Somebody else writes them in a greater epoch.
    #[serde(default)]
    pub(crate) replaced: BTreeSet<ReplicaId>,
    /// Nobody else writes them: their writer is one whose heir this replica is.
    #[serde(default)]
    pub(crate) inherited: BTreeSet<ReplicaId>,
}

impl Alarm {
    /// Changes the alarm that is noted; written where that is news.
    pub(crate) fn raise(
        view: &mut View<'_>,
        change: impl FnOnce(&mut Self) -> bool,
    ) -> Result<(), ViewError> {
        let mut alarm: Self = view.meta(ALARM)?.unwrap_or_default();
        if change(&mut alarm) { view.set_meta(ALARM, &alarm) } else { Ok(()) }
    }
}

/// Where a recount looks for groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// In the tallies that were told before: also of groups that are empty now.
    #[default]
    Tallies,
    /// In the rows that are counted.
    Rows,
}

/// A recount that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recount {
    /// Whose elements are counted again.
    pub replicas: BTreeSet<ReplicaId>,
    phase: Phase,
    /// The last key that was looked at, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Rows and tallies that were looked at.
    pub looked: u64,
    /// Groups that were counted.
    pub counted: u64,
}

impl Recount {
    /// Begins, or begins again with one more: what was counted already is passed over.
    fn add(view: &mut View<'_>, replicas: impl IntoIterator<Item = ReplicaId>) -> Result<(), ViewError> {
        let mut recount: Self = view.meta(RECOUNT)?.unwrap_or_default();
        recount.replicas.extend(replicas);
        if recount.replicas.is_empty() {
            return Ok(());
        }
        (recount.phase, recount.after) = (Phase::default(), None);
        view.set_meta(RECOUNT, &recount)
    }

    /// About how much of the rows was looked at, of 1: keys are spread evenly, since they are hashes.
    pub fn done(&self) -> f64 {
        let place = self.after.as_ref().filter(|_| self.phase == Phase::Rows);
        let place = place.and_then(|hex| u16::from_str_radix(hex.get(2..6)?, 16).ok());
        place.map_or(0.0, |place| f64::from(place) / f64::from(u16::MAX))
    }

    /// The recount that is under way in a store, if one is.
    pub async fn under_way(store: &Store) -> Result<Option<Self>, StoreError> {
        let bytes = store.reader()?.bytes(&meta_key(RECOUNT)).await?;
        bytes.map(|bytes| read_meta(RECOUNT, &bytes)).transpose()
    }
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to do.
    Idle,
    /// The replica is somebody else now, or writes other tallies.
    Healed(Adopted),
    /// Groups were counted again, and there are more.
    Counted(Recount),
    /// The recount is complete.
    Complete(Recount),
}

/// Who a replica has become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adopted {
    /// It has met its own future, or was told that it was restored.
    pub lost_data: bool,
    /// The id that it has taken, where it has.
    pub renewed: Option<ReplicaId>,
    /// Whose tallies it writes in a new epoch: they are counted again.
    pub adopted: BTreeMap<ReplicaId, Epoch>,
    /// Whose tallies it writes no more, and who does.
    pub disowned: BTreeMap<ReplicaId, ReplicaId>,
}

/// Why nobody's tallies were adopted. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AdoptRefused {
    /// Nobody has this id. *Copy it from the status page.*
    #[error("no replica has the id of zeros")]
    Nobody,
    /// A replica that lost data goes on under another id instead. *Recount.*
    #[error("it is this replica itself; after it was restored from a backup it has to recount")]
    Itself,
    /// It is counted here already. *There is nothing to do.*
    #[error("this replica counts it already, in generation {}", .0.generation)]
    Ours(Epoch),
    /// *Somebody has to look at how that came.*
    #[error("this replica writes the tallies of {OWNED_TALLIES_MAX} replicas already")]
    TooMany,
    /// *Its tallies say what is not true: find out who wrote them.*
    #[error("its tallies are of the last generation that there is")]
    Exhausted,
}

/// Makes a store the heir of `old`, which is lost for good, and of those that `old` was the heir of, and they of others.
/// Their elements are counted again from the rows that are here, by the steps of a [`Healer`].
///
/// Of two heirs at once the one with the greater id stays it, and the other gives up when it hears of it.
pub async fn adopt(store: &Store, old: ReplicaId) -> Result<Adopted, WriteError<AdoptRefused>> {
    store.write(move |view| adopt_in(view, old)).await
}

fn adopt_in(view: &mut View<'_>, old: ReplicaId) -> Result<Adopted, Abort<AdoptRefused>> {
    let refuse = |refusal| Err(Abort::Refused(refusal));
    if old == ReplicaId::NIL {
        return refuse(AdoptRefused::Nobody);
    }
    if old == view.replica() {
        return refuse(AdoptRefused::Itself);
    }
    if let Some(epoch) = view.owned().epoch_of(old) {
        return refuse(AdoptRefused::Ours(epoch));
    }
    let mut lost = bereft(view, BTreeSet::from([old]))?;
    lost.insert(old);
    if view.owned().iter().count() + lost.len() > OWNED_TALLIES_MAX {
        return refuse(AdoptRefused::TooMany);
    }
    let mut adopted = Adopted::default();
    for replica in lost {
        let Some(generation) = view.next_generation(replica)? else {
            return refuse(AdoptRefused::Exhausted);
        };
        view.adopt(replica, generation)?;
        adopted.adopted.insert(replica, Epoch { generation, owner: view.replica() });
    }
    Recount::add(view, adopted.adopted.keys().copied())?;
    Ok(adopted)
}

/// Tells a store that it was restored from a backup: it goes on under a new id, and counts again what it counted, by
/// the steps of a [`Healer`]. A store that is not told finds out when it meets its own future.
pub async fn renew_restored(store: &Store) -> Result<Adopted, StoreError> {
    let fresh = ReplicaId::from_u128(store.world().random());
    let healed = store.write(move |view| {
        view.note_lost();
        heal(view, fresh).map_err(Abort::<Infallible>::from)
    });
    healed.await.map_err(WriteError::into_store)
}

/// Does what the notes ask for: gives up what others write, takes a new id, and adopts what has to be counted again.
fn heal(view: &mut View<'_>, fresh: ReplicaId) -> Result<Adopted, ViewError> {
    let alarm: Alarm = view.meta(ALARM)?.unwrap_or_default();
    view.remove_meta(ALARM);
    let (me, mut lost, mut healed) = (view.replica(), view.take_lost()?, Adopted::default());
    let writers = view.owners()?;
    for replica in alarm.replaced {
        if view.owned().epoch_of(replica).is_some() {
            view.disown(replica)?;
            let heir = writers.get(&replica).map_or(ReplicaId::NIL, |owner| owner.epoch.owner);
            healed.disowned.insert(replica, heir);
        }
    }
    let by_me = |view: &View<'_>, owner| view.owned().epoch_of(owner).is_some_and(|epoch| epoch.owner == me);
    // Whatever this id wrote may be forgotten here, its tallies and its stamps: it must not be used further.
    lost |= alarm.ahead.iter().any(|owner| by_me(view, *owner));
    let becomes_another = lost || healed.disowned.contains_key(&me);
    if becomes_another {
        if view.owned().iter().count() < OWNED_TALLIES_MAX {
            view.renew(fresh)?;
            healed.renewed = Some(fresh);
        } else {
            tracing::error!("{OWNED_TALLIES_MAX} tallies are written here: this replica keeps its id");
        }
    }
    // All that it writes is written in its new name, so whoever asks for the writer of a tally finds one that lives.
    let again: Vec<_> = view.owned().iter().map(|(owner, _)| owner).filter(|owner| *owner != fresh).collect();
    for replica in again {
        if !becomes_another && !alarm.ahead.contains(&replica) {
            continue;
        }
        match view.next_generation(replica)? {
            Some(generation) => {
                view.adopt(replica, generation)?;
                healed.adopted.insert(replica, Epoch { generation, owner: view.replica() });
            }
            None => {
                tracing::error!(%replica, "its tallies are of the last generation: they are not counted again");
            }
        }
    }
    inherit(view, &mut healed)?;
    healed.lost_data = lost || alarm.ahead.iter().any(|owner| healed.adopted.contains_key(owner));
    Recount::add(view, healed.adopted.keys().copied())?;
    Ok(healed)
}

/// Adopts what the replicas had adopted whose heir this one is.
fn inherit(view: &mut View<'_>, healed: &mut Adopted) -> Result<(), ViewError> {
    for replica in bereft(view, BTreeSet::new())? {
        let generation = view.next_generation(replica)?;
        let has_room = view.owned().iter().count() < OWNED_TALLIES_MAX;
        if let Some(generation) = generation.filter(|_| has_room) {
            view.adopt(replica, generation)?;
            healed.adopted.insert(replica, Epoch { generation, owner: view.replica() });
        } else {
            tracing::error!(%replica, "its tallies are written by nobody, and cannot be adopted");
        }
    }
    Ok(())
}

/// Whose tallies nobody writes once the `lost` are lost: their writer is one of these, or one whose heir this replica is, or
/// one of whom the same is true. What an heir did not live to hear of, or to tell, nobody else finds: such tallies are equal
/// everywhere.
fn bereft(view: &mut View<'_>, lost: BTreeSet<ReplicaId>) -> Result<BTreeSet<ReplicaId>, ViewError> {
    let (mut writers, mut gone, mut bereft) = (view.owners()?, lost, BTreeSet::new());
    let is_ours = |id| view.owned().epoch_of(id).is_some();
    writers.retain(|replica, _| !is_ours(*replica));
    loop {
        let found: Vec<_> = (writers.iter())
            .filter(|(_, owner)| gone.contains(&owner.epoch.owner) || is_ours(owner.epoch.owner))
            .map(|(replica, _)| *replica)
            .collect();
        if found.is_empty() {
            return Ok(bereft);
        }
        for replica in found {
            writers.remove(&replica);
            gone.insert(replica);
            bereft.insert(replica);
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
        hex
    })
}

fn from_hex(hex: &str) -> Result<Vec<u8>, StoreError> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    digits.map(byte).collect::<Option<_>>().ok_or_else(|| {
        let detail = format!("{hex:?} is not hexadecimal");
        view::corrupt(RECOUNT, &meta_key(RECOUNT), &detail)
    })
}
