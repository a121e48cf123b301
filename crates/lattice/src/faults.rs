//! What should never have happened, counted.

use std::sync::atomic::{AtomicU64, Ordering};

static IDENTITY: AtomicU64 = AtomicU64::new(0);

/// How often, since this process began, a join met one identity (a [`Stamp`](crate::Stamp), a [`Dot`](crate::Dot))
/// with two contents.
///
/// It says that some replica was copied, or lost its high-water mark: two writers use one name. The join settles it by
/// the contents' order, so all replicas agree and none panics; one of the two writes is lost. Show this number to an
/// operator: when it is not 0, find the copied replica and give it another [`ReplicaId`](crate::ReplicaId). The
/// number counts meetings, so one fault that is redelivered, or announced again, counts more than once.
///
/// The only global of this crate: the fault is the deployment's, and a join has nowhere else to say it. Nothing here
/// reads it.
///
/// ```
/// use antiphon_lattice::{Lattice, Lww, Stamp, identity_faults};
/// let before = identity_faults();
/// let mut name = Lww::new(Stamp::default(), "Anna");
/// name.join(Lww::new(Stamp::default(), "Anne"));
/// assert_eq!(name.get(), Some(&"Anne"), "the greater value, in whatever order the two come");
/// assert!(identity_faults() > before);
/// ```
pub fn identity_faults() -> u64 {
    IDENTITY.load(Ordering::Relaxed)
}

/// Notes that one identity came with two contents.
pub(crate) fn note_identity_fault() {
    IDENTITY.fetch_add(1, Ordering::Relaxed);
}
