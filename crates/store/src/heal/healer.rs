//! What takes the steps.

use super::kind::{Kind, Named, Of};
use super::{ALARM, Adopted, Phase, RECOUNT, Recount, Step, from_hex, heal, to_hex};
use crate::counted::Counted;
use crate::engine::Scan;
use crate::epochs::{lost_key, meta_key, read_meta};
use crate::error::{Abort, StoreError, ViewError, WriteError};
use crate::store::Store;
use lattice::ReplicaId;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// The most groups that one step counts. One of them is counted in one write, however large it is.
pub const GROUPS_COUNTED_MAX: usize = 64;
/// The most rows that one step looks at.
pub(super) const ROWS_LOOKED_MAX: usize = 2_000;
/// The pauses after steps that failed.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What heals a store, step by step.
pub struct Healer {
    pub(super) store: Store,
    pub(super) kind: Option<Arc<dyn Kind>>,
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
        self.kind = Some(Arc::new(Of::<R>::rows()));
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
        for (replica, heir) in &healed.disowned {
            metrics::counter!("antiphon_replaced_total", "service" => service.clone()).increment(1);
            tracing::error!(
                %service, %replica, %heir,
                "another replica has adopted the tallies of this one: they are written there now; if that replica is gone, \
                 as the life between two restores is, adopt it, or counts stay wrong"
            );
        }
        if healed.lost_data {
            metrics::counter!("antiphon_lost_data_total", "service" => service.clone()).increment(1);
            let replicas: Vec<_> = healed.adopted.keys().map(ToString::to_string).collect();
            tracing::error!(
                %service, ?replicas,
                "this store has met its own future: it was restored from a backup or copied, and what was written since \
                 is lost unless a sibling has it; what it counted is counted again"
            );
        }
        if !healed.lost_data && !healed.adopted.is_empty() {
            let replicas: Vec<_> = healed.adopted.keys().map(ToString::to_string).collect();
            tracing::warn!(%service, ?replicas, "their tallies are written by this replica now");
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
            tracing::info!(
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
