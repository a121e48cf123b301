//! What became of every message, once all is quiet: announced and merged, or put aside with its reason.

use super::Auditor;
use super::judge::{Wrong, sites};
use crate::address::Address;
use crate::service::ServiceName;
use store::Store;

/// Outboxes are empty, and what was kept is what nobody could understand.
pub(super) async fn queues(auditor: &Auditor) -> Result<(), Wrong> {
    for service in [ServiceName::Users, ServiceName::Stories, ServiceName::Comments] {
        for at in sites(auditor, service) {
            let Some(store) = auditor.world().store_at(at) else {
                return Err(("answers in the end", format!("{at} does not run")));
            };
            let depth = store.outbox_depth();
            if depth != (0, false) {
                return Err(("outboxes are empty", format!("{at}: {depth:?}")));
            }
            let kept = choreography::kept::list(&store, None, 10).await;
            let kept = kept.map_err(|error| ("answers in the end", format!("{at}: {error}")))?;
            let depth = put_aside(auditor, at, &store).await?;
            if depth > auditor.world().poisoned(at.site, at.service) {
                let reasons: Vec<_> = kept.into_iter().map(|(_, kept)| kept.reason).collect();
                return Err(("every message is merged", format!("{at}: {depth} kept: {reasons:?}")));
            }
        }
    }
    Ok(())
}

/// How many messages a replica put aside: in its own store, or at the broker where it could not.
async fn put_aside(auditor: &Auditor, at: Address, store: &Store) -> Result<u64, Wrong> {
    let kept = choreography::kept::depth(store).await;
    let kept = kept.map_err(|error| ("answers in the end", format!("{at}: {error}")))?;
    Ok(kept + auditor.world().buried(at.site, at.service))
}

/// What nobody could understand is kept with its reason, all of it, where nothing was lost.
pub(super) async fn kept(auditor: &Auditor) -> Result<(), Wrong> {
    let losses = auditor.world().losses();
    for service in [ServiceName::Users, ServiceName::Stories, ServiceName::Comments] {
        for at in sites(auditor, service).filter(|at| !losses.iter().any(|loss| loss.is_of(*at))) {
            let Some(store) = auditor.world().store_at(at) else { continue };
            let (depth, sent) =
                (put_aside(auditor, at, &store).await?, auditor.world().poisoned(at.site, service));
            if depth != sent {
                let detail = format!("{at}: {depth} kept of {sent} that nobody understands");
                return Err(("what nobody understands is kept", detail));
            }
        }
    }
    Ok(())
}
