//! Two flags, which differ in who wins.

use super::{Causal, DotSet, DotsExhausted};
use crate::{Lattice, ReplicaId};
use serde::{Deserialize, Serialize};

/// A flag that is off until somebody enables it; of concurrent changes, enabling wins.
///
/// ```
/// use antiphon_lattice::{EnableWinsFlag, Lattice, ReplicaId};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = EnableWinsFlag::default();
/// here.enable(a).unwrap();
/// let mut there = here.clone();
/// let (off, on) = (here.disable(), there.enable(b).unwrap());
/// there.join(off);
/// here.join(on);
/// assert!(here.is_enabled());
/// assert_eq!(here, there);
/// ```
///
/// # Promise
///
/// It is on exactly if some enabling was seen by no later enabling and no disabling.
///
/// # Anomaly
///
/// Disabling does not reach what it has not seen. Nobody can be sure to have switched it off:
///
/// ```
/// use antiphon_lattice::{EnableWinsFlag, Lattice, ReplicaId};
/// let mut there = EnableWinsFlag::default();
/// let late = there.enable(ReplicaId::from_u128(2)).unwrap();
/// let mut here = EnableWinsFlag::default();
/// here.enable(ReplicaId::from_u128(1)).unwrap();
/// here.disable();
/// here.join(late);
/// assert!(here.is_enabled(), "enabled by one who had not seen it disabled");
/// ```
///
/// # Cost
///
/// 64 bytes in memory, and 48 for each replica that ever enabled it; in JSON 25 bytes when nobody did, then 51 while it
/// is on and 42 or more for each such replica. All operations are O(log replicas).
///
/// # Choose another
///
/// If off must win, [`DisableWinsFlag`]; if off is for ever, [`Life`](crate::Life); if the last one in time is right,
/// [`Lww`](crate::Lww) of `bool`.
///
/// # JSON
///
/// `{"store": [dot], "context": {replica: [[first, last]]}}`
///
/// # Source
///
/// Almeida, Shoker, Baquero, *Delta state replicated data types*, 2018, §7 (the flags of `delta-enabled-crdts`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnableWinsFlag(Causal<DotSet>);

impl EnableWinsFlag {
    /// Switches on in the name of a replica, and returns the delta.
    pub fn enable(&mut self, me: ReplicaId) -> Result<Self, DotsExhausted> {
        let delta = self.0.store().renew_delta(self.0.context(), me)?;
        Ok(Self(self.0.apply(delta)))
    }

    /// Switches off as far as is seen, and returns the delta. If it is off, that is the bottom.
    pub fn disable(&mut self) -> Self {
        Self(self.0.clear())
    }

    /// Whether it is on.
    pub const fn is_enabled(&self) -> bool {
        !self.0.store().is_empty()
    }
}

impl Lattice for EnableWinsFlag {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

/// A flag that is **on** until somebody disables it; of concurrent changes, disabling wins.
///
/// It is [`EnableWinsFlag`] upside down, and so is its bottom.
///
/// ```
/// use antiphon_lattice::{DisableWinsFlag, Lattice, ReplicaId};
/// let (a, b) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = DisableWinsFlag::default();
/// assert!(here.is_enabled());
/// here.disable(a).unwrap();
/// let mut there = here.clone();
/// let (on, off) = (here.enable(), there.disable(b).unwrap());
/// there.join(on);
/// here.join(off);
/// assert!(!here.is_enabled());
/// assert_eq!(here, there);
/// ```
///
/// # Promise
///
/// It is off exactly if some disabling was seen by no later disabling and no enabling.
///
/// # Anomaly
///
/// Enabling does not reach what it has not seen, and a replica that has heard of nothing says that it is on:
///
/// ```
/// use antiphon_lattice::{DisableWinsFlag, Lattice, ReplicaId};
/// let mut here = DisableWinsFlag::default();
/// here.disable(ReplicaId::from_u128(1)).unwrap();
/// let mut there = DisableWinsFlag::default();
/// assert!(there.is_enabled(), "as long as the delta is under way");
/// there.enable();
/// there.join(here);
/// assert!(!there.is_enabled(), "it was disabled by one whom the enabling had not seen");
/// ```
///
/// # Cost
///
/// As [`EnableWinsFlag`], with the dots of those who disabled it.
///
/// # Choose another
///
/// If on must win, or the bottom must be off: [`EnableWinsFlag`].
///
/// # JSON
///
/// `{"store": [dot], "context": {replica: [[first, last]]}}`, where a dot means off.
///
/// # Source
///
/// The dual of [`EnableWinsFlag`]'s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DisableWinsFlag(Causal<DotSet>);

impl DisableWinsFlag {
    /// Switches on as far as is seen, and returns the delta. If it is on, that is the bottom.
    pub fn enable(&mut self) -> Self {
        Self(self.0.clear())
    }

    /// Switches off in the name of a replica, and returns the delta.
    pub fn disable(&mut self, me: ReplicaId) -> Result<Self, DotsExhausted> {
        let delta = self.0.store().renew_delta(self.0.context(), me)?;
        Ok(Self(self.0.apply(delta)))
    }

    /// Whether it is on.
    pub const fn is_enabled(&self) -> bool {
        self.0.store().is_empty()
    }
}

impl Lattice for DisableWinsFlag {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}
