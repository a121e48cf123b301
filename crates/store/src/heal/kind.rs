//! A kind of counted row, as a recount sees it: groups are bytes here, so that one healer serves every service.

use super::Phase;
use crate::counted::{Counted, ensure_counted};
use crate::engine::Pair;
use crate::error::{StoreError, ViewError};
use crate::key::{self, KeyPart, Row};
use crate::view::{self, View};
use lattice::{Contributes, ReplicaId, Tally};
use std::collections::BTreeSet;
use std::marker::PhantomData;

/// A group's bytes, and who counts it.
pub(super) type Named = BTreeSet<(Vec<u8>, ReplicaId)>;

/// A kind of counted row, as a recount sees it.
pub(super) trait Kind: Send + Sync {
    /// The tag of the rows of a phase.
    fn tag(&self, phase: Phase) -> u8;
    /// The groups that a row of a phase names.
    fn named(&self, phase: Phase, pair: &Pair) -> Result<Named, StoreError>;
    /// Counts a group if that was not done in its epoch yet; whether it did.
    fn count(&self, view: &mut View<'_>, group: &[u8], owner: ReplicaId) -> Result<bool, ViewError>;
    /// The tally that is stored for a group, and what its rows say; changes nothing. In the phase of the rows only the
    /// rows of groups without a tally are counted.
    fn compare(
        &self,
        view: &mut View<'_>,
        group: &[u8],
        owner: ReplicaId,
        phase: Phase,
    ) -> Result<(Option<Tally>, u64), ViewError>;
}

pub(super) struct Of<R>(PhantomData<fn() -> R>);

impl<R> Of<R> {
    pub(super) const fn rows() -> Self {
        Self(PhantomData)
    }
}

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
        let group = group_of::<R>(group)?;
        let key = (group.clone(), owner).into();
        let before = view.get::<R::Tallies>(&key)?;
        let after = ensure_counted::<R>(view, &group, owner)?;
        Ok(after.is_some() && view.get::<R::Tallies>(&key)? != before)
    }

    fn compare(
        &self,
        view: &mut View<'_>,
        group: &[u8],
        owner: ReplicaId,
        phase: Phase,
    ) -> Result<(Option<Tally>, u64), ViewError> {
        let group = group_of::<R>(group)?;
        let stored = view.get::<R::Tallies>(&(group.clone(), owner).into())?;
        if phase == Phase::Rows && stored.is_some() {
            return Ok((stored, 0));
        }
        Ok((stored, R::count(view, &group, owner)?))
    }
}

fn group_of<R: Counted>(bytes: &[u8]) -> Result<R::Group, StoreError> {
    let mut rest = bytes;
    R::Group::read(&mut rest).ok_or_else(|| view::corrupt(R::NAME, bytes, "not a group of this kind"))
}
