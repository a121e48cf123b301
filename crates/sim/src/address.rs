//! Which replica: a service at a site; and the world as it is asked about one.

use crate::disk::Rows;
use crate::service::ServiceName;
use crate::world::{Answer, Ask, Loss, World};
use bytes::Bytes;
use std::fmt;
use store::Store;

/// A replica of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Which service.
    pub service: ServiceName,
    /// At which site.
    pub site: usize,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.service, self.site)
    }
}

impl Loss {
    /// Whether it was this replica's.
    pub(crate) fn is_of(&self, at: Address) -> bool {
        self.site == at.site && self.service == at.service
    }
}

impl World {
    /// How many sites there are.
    pub(crate) fn sites(&self) -> usize {
        self.plan().sites
    }

    /// True once a check failed.
    pub(crate) fn failed(&self) -> bool {
        self.failure().is_some()
    }

    pub(crate) async fn ask(&self, at: Address, ask: Ask) -> Answer {
        self.call(at.site, at.service, ask).await
    }

    pub(crate) fn store_at(&self, at: Address) -> Option<Store> {
        self.store(at.site, at.service)
    }

    /// What would survive a power cut of a replica's machine now.
    pub(crate) fn synced(&self, at: Address) -> Rows {
        self.disk(at.site, at.service).map(crate::disk::Disk::synced).unwrap_or_default()
    }

    /// The same, of one row.
    pub(crate) fn synced_row(&self, at: Address, key: &[u8]) -> Option<Bytes> {
        self.disk(at.site, at.service)?.synced_row(key)
    }
}
