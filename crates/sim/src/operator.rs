//! An operator who reads the status page: replicas whose tallies are known and who live no more get an heir.

use crate::process::{Process, Word};
use crate::service::ServiceName;
use crate::world::World;
use lattice::ReplicaId;
use std::collections::{BTreeMap, BTreeSet};

/// The services that count anything.
const COUNTING: [ServiceName; 2] = [ServiceName::Stories, ServiceName::Comments];

/// Tells a replica of each service to adopt those that are gone and were not adopted by anybody who lives. Whether there
/// were any.
pub(crate) async fn find_heirs(world: &World) -> bool {
    let mut found = false;
    for service in COUNTING {
        let heir = world.processes().iter().find(|process| process.runs(service));
        let Some(heir) = heir else { continue };
        found |= find_heir(world, service, heir).await;
    }
    found
}

/// Tells this replica of a service to adopt those of its siblings that are gone. Whether there were any.
pub(crate) async fn find_heir(world: &World, service: ServiceName, heir: &Process) -> bool {
    let orphans = match orphans(world, service).await {
        Ok(orphans) => orphans,
        Err(error) => {
            world.fail("operator", format!("the owners of {service}'s tallies cannot be read: {error}"));
            return false;
        }
    };
    if orphans.is_empty() {
        return false;
    }
    for orphan in orphans {
        heir.tell(service, Word::Adopt(orphan));
    }
    heir.deploy().await;
    true
}

/// Whose tallies are written by nobody who lives.
async fn orphans(world: &World, service: ServiceName) -> Result<BTreeSet<ReplicaId>, store::StoreError> {
    let (mut living, mut owners) = (BTreeSet::new(), BTreeMap::new());
    for process in world.processes() {
        // Who is stopped or killed lives, and shows no page.
        living.extend(process.replica(service));
        let Some(store) = process.store(service) else { continue };
        let identity = store.identity();
        for (replica, epoch) in identity.owned.iter() {
            let newest = owners.entry(replica).or_insert(epoch);
            *newest = (*newest).max(epoch);
        }
        for (replica, owner) in store::owners(&store).await? {
            let newest = owners.entry(replica).or_insert(owner.epoch);
            *newest = (*newest).max(owner.epoch);
        }
    }
    let orphaned = owners.into_iter().filter(|(_, epoch)| !living.contains(&epoch.owner));
    Ok(orphaned.map(|(replica, _)| replica).collect())
}
