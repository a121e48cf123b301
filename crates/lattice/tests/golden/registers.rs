//! One value at a time.

use crate::clocks::dotted_version_vector_sets;
use crate::{A, B, EARLY, LATE};
use antiphon_lattice::{Lattice, Lww, Max, Min, MvRegister, Stamp};

golden! {
    max: Max<u64> = vec![Max(0), Max(1), Max(u64::MAX)];
    min: Min<(Stamp, String)> = vec![Min::bottom(), Min::of((EARLY, "first".into()))];
    lww: Lww<String> = vec![Lww::default(), Lww::new(EARLY, String::new()), Lww::new(LATE, "a \"name\"".into())];
    mv_register: MvRegister<String> = mv_registers();
}

/// The states of `dotted_version_vector_sets`, made by its own operations.
fn mv_registers() -> Vec<MvRegister<String>> {
    let mut states = vec![MvRegister::default()];
    let mut first = MvRegister::default();
    first.set(A, String::new());
    let (mut one, mut two) = (first.clone(), first.clone());
    one.set(A, "a \"name\"".into());
    two.set(B, "é".into());
    let both = one.joined(two);
    let mut cleared = both.clone();
    cleared.clear();
    states.extend([first, both, cleared]);
    states
}

#[test]
fn mv_registers_have_the_bytes_of_their_sets() {
    let registers = serde_json::to_string(&mv_registers()).unwrap();
    assert_eq!(registers, serde_json::to_string(&dotted_version_vector_sets()).unwrap());
}
