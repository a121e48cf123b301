//! Healing: what a replica does that has lost data, that was replaced, or that is somebody's heir.
//!
//! It is told by notes in the store's own rows, which the writes that found out have left, so a crash anywhere is
//! continued where it was. Nothing of it is needed in normal running: then a step reads two keys.

use crate::counted::{Counted, ensure_counted};
use crate::engine::{Pair, Scan};
use crate::epochs::{OWNED_TALLIES_MAX, lost_key, meta_key, read_meta};
use crate::error::{Abort, StoreError, ViewError, WriteError};
use crate::key::{self, KeyPart, Row};
use crate::store::Store;
use crate::view::{self, View};
use lattice::{Contributes, Epoch, ReplicaId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The most groups that one step counts. One of them is counted in one write, however large it is.
pub const GROUPS_COUNTED_MAX: usize = 64;
/// The most rows that one step looks at.
const ROWS_LOOKED_MAX: usize = 2_000;
/// The pauses after steps that failed.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

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
    /// The id that it has taken, where it has.
    pub renewed: Option<ReplicaId>,
    /// Whose tallies it writes in a new epoch: they are counted again.
    pub adopted: BTreeMap<ReplicaId, Epoch>,
    /// Whose tallies it writes no more.
    pub disowned: BTreeSet<ReplicaId>,
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

/// Makes a store the heir of `old`, which is lost for good, and of those that `old` was the heir of. Their elements are
/// counted again from the rows that are here, by the steps of a [`Healer`].
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
    let inherited = view.owners()?.into_iter().filter(|(_, owner)| owner.epoch.owner == old);
    let mut lost: BTreeSet<_> = inherited.map(|(replica, _)| replica).collect();
    lost.retain(|replica| view.owned().epoch_of(*replica).is_none());
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
    for replica in alarm.replaced {
        if view.owned().epoch_of(replica).is_some() {
            view.disown(replica)?;
            healed.disowned.insert(replica);
        }
    }
    let by_me = |view: &View<'_>, owner| view.owned().epoch_of(owner).is_some_and(|epoch| epoch.owner == me);
    // Whatever this id wrote may be forgotten here, its tallies and its stamps: it must not be used further.
    lost |= alarm.ahead.iter().any(|owner| by_me(view, *owner));
    if lost || healed.disowned.contains(&me) {
        if view.owned().iter().count() < OWNED_TALLIES_MAX {
            view.renew(fresh)?;
            healed.renewed = Some(fresh);
        } else {
            tracing::error!("{OWNED_TALLIES_MAX} tallies are written here: this replica keeps its id");
        }
    }
    let again: Vec<_> = view.owned().iter().map(|(owner, _)| owner).filter(|owner| *owner != fresh).collect();
    for replica in again {
        if !lost && !alarm.ahead.contains(&replica) {
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
    Recount::add(view, healed.adopted.keys().copied())?;
    Ok(healed)
}

/// A group's bytes, and who counts it.
type Named = BTreeSet<(Vec<u8>, ReplicaId)>;

/// A kind of counted row, as a recount sees it.
trait Kind: Send + Sync {
    /// The tag of the rows of a phase.
    fn tag(&self, phase: Phase) -> u8;
    /// The groups that a row of a phase names.
    fn named(&self, phase: Phase, pair: &Pair) -> Result<Named, StoreError>;
    /// Counts a group if that was not done in its epoch yet; whether it did.
    fn count(&self, view: &mut View<'_>, group: &[u8], owner: ReplicaId) -> Result<bool, ViewError>;
}

struct Of<R>(PhantomData<fn() -> R>);

impl<R: Counted> Kind for Of<R> {
    fn tag(&self, phase: Phase) -> u8 {
        match phase {
            Phase::Tallies => R::Tallies::TAG,
            Phase::Rows => R::TAG,
        }
    }

    fn named(&self, phase: Phase, (key, bytes): &Pair) -> Result<Named, StoreError> {
        let bytes_of = |group: &R::Group| {
            let mut out = Vec::new();
            group.write(&mut out);
            out
        };
        match phase {
            Phase::Tallies => {
                let (group, owner): (R::Group, _) = key::read_index(R::Tallies::TAG, key)
                    .ok_or_else(|| view::corrupt(R::Tallies::NAME, key, "not a group and an owner"))?;
                Ok(Named::from([(bytes_of(&group), owner)]))
            }
            Phase::Rows => {
                let contributions = view::decode::<R>(key, bytes)?.contributions();
                Ok(contributions.iter().map(|one| (bytes_of(&one.group), one.owner)).collect())
            }
        }
    }

    fn count(&self, view: &mut View<'_>, group: &[u8], owner: ReplicaId) -> Result<bool, ViewError> {
        let mut rest = group;
        let group = R::Group::read(&mut rest)
            .ok_or_else(|| view::corrupt(R::NAME, group, "not a group of this kind"))?;
        let key = (group.clone(), owner).into();
        let before = view.get::<R::Tallies>(&key)?;
        let after = ensure_counted::<R>(view, &group, owner)?;
        Ok(after.is_some() && view.get::<R::Tallies>(&key)? != before)
    }
}

/// What heals a store, step by step.
pub struct Healer {
    store: Store,
    kind: Option<Arc<dyn Kind>>,
}

impl fmt::Debug for Healer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Healer").field("counts", &self.kind.is_some()).finish_non_exhaustive()
    }
}

impl Healer {
    /// Of a store that counts nothing: it may need a new id all the same.
    pub fn new(store: Store) -> Self {
        Self { store, kind: None }
    }

    /// Of a store that counts the rows `R`.
    #[must_use]
    pub fn counting<R: Counted>(mut self) -> Self {
        self.kind = Some(Arc::new(Of::<R>(PhantomData)));
        self
    }

    /// One step: becomes who it has to be, or counts at most [`GROUPS_COUNTED_MAX`] groups again.
    pub async fn step(&self) -> Result<Step, StoreError> {
        let reader = self.store.reader()?;
        let mut alarmed = false;
        for key in [meta_key(ALARM), lost_key()] {
            alarmed |= reader.bytes(&key).await?.is_some();
        }
        if alarmed {
            return self.heal().await.map(Step::Healed);
        }
        let Some(bytes) = reader.bytes(&meta_key(RECOUNT)).await? else { return Ok(Step::Idle) };
        drop(reader);
        self.recount(read_meta(RECOUNT, &bytes)?).await
    }

    async fn heal(&self) -> Result<Adopted, StoreError> {
        let (before, fresh) = (self.store.identity(), ReplicaId::from_u128(self.store.world().random()));
        let healed = self.store.write(move |view| heal(view, fresh).map_err(Abort::<Infallible>::from));
        let healed = healed.await.map_err(WriteError::into_store)?;
        let service = &before.service;
        for replica in &healed.disowned {
            metrics::counter!("antiphon_replaced_total", "service" => service.clone()).increment(1);
            tracing::error!(
                %service, %replica,
                "another replica has adopted the tallies of this one: they are written there now"
            );
        }
        if !healed.adopted.is_empty() {
            metrics::counter!("antiphon_lost_data_total", "service" => service.clone()).increment(1);
            let replicas: Vec<_> = healed.adopted.keys().map(ToString::to_string).collect();
            tracing::error!(
                %service, ?replicas,
                "this store has met its own future: it was restored from a backup or copied, and what was written since \
                 is lost unless a sibling has it; what it counted is counted again"
            );
        }
        if let Some(renewed) = healed.renewed {
            tracing::error!(%service, old = %before.replica, new = %renewed, "this replica goes on under a new id");
        }
        Ok(healed)
    }

    async fn recount(&self, recount: Recount) -> Result<Step, StoreError> {
        let (page, mut next) = self.page(&recount).await?;
        let Some(kind) = self.kind.clone() else {
            next.replicas.clear();
            return self.finish(recount, next).await;
        };
        let complete = page.complete && recount.phase == Phase::Rows;
        if page.complete {
            (next.phase, next.after) = (Phase::Rows, None);
        }
        let (groups, expected) = (page.groups, recount);
        let counted = self.store.write(move |view| {
            let (mut counted, mut missed) = (0, false);
            for (group, owner) in &groups {
                match kind.count(view, group, *owner) {
                    Ok(news) => counted += u64::from(news),
                    // On to the others, so that what all of them lack is loaded at once.
                    Err(ViewError::Miss) => missed = true,
                    Err(error) => return Err(Abort::View(error)),
                }
            }
            if missed {
                return Err(Abort::View(ViewError::Miss));
            }
            let next = Recount { counted: expected.counted + counted, ..next.clone() };
            // Somebody may have asked for more since: then it began again.
            if view.meta::<Recount>(RECOUNT)?.as_ref() != Some(&expected) {
                return Ok::<_, Abort<Infallible>>(Step::Counted(next));
            }
            if complete {
                view.remove_meta(RECOUNT);
                return Ok(Step::Complete(next));
            }
            view.set_meta(RECOUNT, &next)?;
            Ok(Step::Counted(next))
        });
        let step = counted.await.map_err(WriteError::into_store)?;
        if let Step::Complete(done) = &step {
            tracing::warn!(
                service = %self.store.identity().service, groups = done.counted, rows = done.looked,
                "what was to be counted again is counted"
            );
        }
        Ok(step)
    }

    /// Forgets a recount in a store that counts nothing.
    async fn finish(&self, expected: Recount, next: Recount) -> Result<Step, StoreError> {
        let forgotten = self.store.write(move |view| {
            if view.meta::<Recount>(RECOUNT)?.as_ref() == Some(&expected) {
                view.remove_meta(RECOUNT);
            }
            Ok::<_, Abort<Infallible>>(Step::Complete(next.clone()))
        });
        forgotten.await.map_err(WriteError::into_store)
    }

    /// What the next rows name of those that are counted again, and where the recount is then.
    async fn page(&self, recount: &Recount) -> Result<(Page, Recount), StoreError> {
        let (mut page, mut next) = (Page { groups: Named::new(), complete: true }, recount.clone());
        let Some(kind) = &self.kind else { return Ok((page, next)) };
        let mut scan = Scan::prefix(&[kind.tag(recount.phase)]).limit(ROWS_LOOKED_MAX);
        if let Some(after) = &recount.after {
            scan = scan.after(&from_hex(after)?);
        }
        let pairs = self.store.reader()?.scan(&scan).await?;
        page.complete = pairs.len() < ROWS_LOOKED_MAX;
        for pair in pairs {
            if page.groups.len() >= GROUPS_COUNTED_MAX {
                page.complete = false;
                break;
            }
            let named = kind.named(recount.phase, &pair)?;
            page.groups.extend(named.into_iter().filter(|(_, owner)| recount.replicas.contains(owner)));
            next.looked += 1;
            next.after = Some(to_hex(&pair.0));
        }
        Ok((page, next))
    }

    /// Steps until `stop`. Waits for commits while there is nothing to do.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut committed = self.store.committed();
        let mut pause = PAUSE_MIN;
        loop {
            committed.borrow_and_update();
            let goes_on = match self.step().await {
                Ok(Step::Idle) => {
                    pause = PAUSE_MIN;
                    tokio::select! {
                        biased;
                        () = &mut stop => false,
                        changed = committed.changed() => changed.is_ok(),
                    }
                }
                Ok(_) => {
                    pause = PAUSE_MIN;
                    // Healing never holds up those who write: they get their turn between two steps.
                    tokio::select! {
                        biased;
                        () = &mut stop => false,
                        () = tokio::task::yield_now() => true,
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "healing failed; it is tried again");
                    let waiting = pause;
                    pause = (pause * 2).min(PAUSE_MAX);
                    tokio::select! {
                        biased;
                        () = &mut stop => false,
                        () = tokio::time::sleep(waiting) => true,
                    }
                }
            };
            if !goes_on {
                return;
            }
        }
    }
}

struct Page {
    groups: Named,
    /// Nothing of its phase lies behind it.
    complete: bool,
}

fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write;
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
