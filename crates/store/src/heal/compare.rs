//! Comparing tallies with the rows, and changing nothing: what a recount would find.

use super::Phase;
use super::healer::{GROUPS_COUNTED_MAX, Healer, ROWS_LOOKED_MAX};
use super::kind::Named;
use crate::engine::Scan;
use crate::error::{Abort, StoreError, ViewError, WriteError};
use lattice::{ReplicaId, Tally};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

/// The most groups without a tally that a comparison tells apart; beyond it their rows may be counted twice.
const UNTOLD_MAX: usize = 100_000;

/// What a replica counts, over all of its groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many groups it counts.
    pub groups: u64,
    /// The sum of what its tallies say.
    pub told: u64,
    /// The sum of what its rows say.
    pub counted: u64,
    /// In how many groups the two differ.
    pub differing: u64,
}

/// How far a comparison is, and what it found.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    phase: Phase,
    after: Option<Vec<u8>>,
    untold: BTreeSet<(Vec<u8>, ReplicaId)>,
    /// Tallies and rows that were looked at.
    pub looked: u64,
    /// What was found, by who counts: those whose tallies this store writes.
    pub owners: BTreeMap<ReplicaId, Counts>,
}

impl Comparison {
    fn found(&mut self, owner: ReplicaId, stored: Option<Tally>, counted: u64) {
        let told = stored.as_ref().map_or(0, Tally::value);
        let counts = self.owners.entry(owner).or_default();
        counts.groups += 1;
        counts.told = counts.told.saturating_add(told);
        counts.counted = counts.counted.saturating_add(counted);
        counts.differing += u64::from(told != counted);
    }
}

impl Healer {
    /// Compares some more groups; false once all were compared. For a store that nobody writes to meanwhile.
    pub async fn compare(&self, comparison: &mut Comparison) -> Result<bool, StoreError> {
        let Some(kind) = self.kind.clone() else { return Ok(false) };
        let owned = self.store.identity().owned.clone();
        let phase = comparison.phase;
        let mut scan = Scan::prefix(&[kind.tag(phase)]).limit(ROWS_LOOKED_MAX);
        if let Some(after) = &comparison.after {
            scan = scan.after(after);
        }
        let reader = self.store.reader()?;
        let pairs = reader.scan(&scan).await?;
        let mut complete = pairs.len() < ROWS_LOOKED_MAX;
        let mut groups = Named::new();
        for pair in pairs {
            if groups.len() >= GROUPS_COUNTED_MAX {
                complete = false;
                break;
            }
            let named = kind.named(phase, &pair)?.into_iter();
            groups.extend(named.filter(|(_, owner)| owned.epoch_of(*owner).is_some()));
            comparison.looked += 1;
            comparison.after = Some(pair.0.to_vec());
        }
        drop(reader);
        let groups = Arc::new(groups);
        let (kind, asked) = (Arc::clone(&kind), Arc::clone(&groups));
        let compared = self.store.write(move |view| {
            let (mut found, mut missed) = (Vec::new(), false);
            for (group, owner) in asked.iter() {
                match kind.compare(view, group, *owner, phase) {
                    Ok(one) => found.push(one),
                    Err(ViewError::Miss) => missed = true,
                    Err(error) => return Err(Abort::<Infallible>::View(error)),
                }
            }
            if missed { Err(Abort::View(ViewError::Miss)) } else { Ok(found) }
        });
        let compared = compared.await.map_err(WriteError::into_store)?;
        for ((group, owner), (stored, counted)) in groups.iter().zip(compared) {
            // What has a tally was found in the first phase.
            let untold = phase == Phase::Rows && stored.is_none();
            let known = comparison.untold.len() < UNTOLD_MAX
                && untold
                && !comparison.untold.insert((group.clone(), *owner));
            if phase == Phase::Tallies || (untold && !known) {
                comparison.found(*owner, stored, counted);
            }
        }
        if complete {
            comparison.after = None;
            if phase == Phase::Rows {
                return Ok(false);
            }
            comparison.phase = Phase::Rows;
        }
        Ok(true)
    }
}
