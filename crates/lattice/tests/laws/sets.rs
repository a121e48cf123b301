//! Which.

use crate::any_three;
use crate::common::{picked_stamps, random_gset, random_life, replica, stamp};
use antiphon_lattice::{
    AddWins, Dot, GSet, Lattice, Life, LwwBias, LwwSet, PnSet, RemoveWins, Stamp, TwoPhaseSet, USet,
};
use proptest::collection::vec;
use proptest::prelude::*;

every_type! {
    life: Life, vec![Life::Live, Life::Gone], any_three(random_life());
    gset: GSet<u8>, vec![GSet::of(1), GSet::of(2), [1, 2].into_iter().collect()], any_three(random_gset());
    two_phase_set: TwoPhaseSet<u8>, picked_two_phase(), any_three(vec((0_u8..4, any::<bool>()), 0..6).prop_map(|steps| {
        steps.into_iter().fold(TwoPhaseSet::default(), |all, (value, comes)| {
            all.joined(if comes { TwoPhaseSet::of(value) } else { TwoPhaseSet::without(value) })
        })
    }));
    uset: USet<u8>, picked_usets(), any_three(vec((1_u8..4, 1_u64..5, 0_u8..3, any::<bool>()), 0..6).prop_map(|steps| {
        steps.into_iter().fold(USet::default(), |all, (id, counter, value, goes)| all.joined(unique(id, counter, value, goes)))
    }));
    lww_set_add_wins: LwwSet<u8, AddWins>, picked_lww_sets(), any_three(random_lww_set());
    lww_set_remove_wins: LwwSet<u8, RemoveWins>, picked_lww_sets(), any_three(random_lww_set());
    pn_set: PnSet<u8>, picked_pn_sets(), any_three(vec((1_u8..4, 0_u8..4, any::<bool>()), 0..6).prop_map(|steps| counted(&steps)));
}

fn picked_two_phase() -> Vec<TwoPhaseSet<u8>> {
    let both = TwoPhaseSet::of(1).joined(TwoPhaseSet::of(2));
    vec![
        TwoPhaseSet::of(1),
        TwoPhaseSet::of(2),
        TwoPhaseSet::without(1),
        both.joined(TwoPhaseSet::without(2)),
    ]
}

fn unique(id: u8, counter: u64, value: u8, goes: bool) -> USet<u8> {
    let dot = Dot { replica: replica(id), counter };
    let mut state = USet::of(dot, value);
    if goes { state.remove(dot).unwrap_or_default() } else { state }
}

/// One dot with two contents, one that is gone, a run of them, and a hole.
fn picked_usets() -> Vec<USet<u8>> {
    let gone = |counter| unique(1, counter, 0, true);
    vec![
        unique(1, 1, 0, false),
        unique(1, 1, 1, false),
        unique(2, 1, 0, false),
        gone(1),
        gone(1).joined(gone(2)).joined(unique(1, 3, 0, false)),
        gone(1).joined(gone(3)),
    ]
}

fn picked_lww_sets<B: LwwBias>() -> Vec<LwwSet<u8, B>> {
    picked_stamps()
        .into_iter()
        .flat_map(|at| [word(at, 1, true), word(at, 1, false)])
        .chain([word(Stamp::default(), 2, true)])
        .collect()
}

fn random_lww_set<B: LwwBias>() -> impl Strategy<Value = LwwSet<u8, B>> {
    vec((stamp(), 0_u8..3, any::<bool>()), 0..4).prop_map(|words| {
        words
            .into_iter()
            .fold(LwwSet::default(), |all, (at, value, comes)| all.joined(word(at, value, comes)))
    })
}

fn word<B: LwwBias>(at: Stamp, value: u8, comes: bool) -> LwwSet<u8, B> {
    let mut state = LwwSet::default();
    if comes { state.insert(at, value) } else { state.remove(at, value) }
}

fn counted(steps: &[(u8, u8, bool)]) -> PnSet<u8> {
    let mut state = PnSet::default();
    for &(by, value, comes) in steps {
        if comes {
            state.insert(replica(by), value);
        } else {
            state.remove(replica(by), value);
        }
    }
    state
}

fn picked_pn_sets() -> Vec<PnSet<u8>> {
    [&[(1, 7, true)][..], &[(2, 7, true)], &[(1, 7, true), (1, 7, false)], &[(1, 8, true)]]
        .map(counted)
        .to_vec()
}
