//! Which.

use crate::{A, B, EARLY, LATE};
use antiphon_lattice::{Dot, GSet, Lattice, Life, LwwBias, LwwSet, PnSet, RemoveWins, TwoPhaseSet, USet};

golden! {
    life: Life = vec![Life::Live, Life::Gone];
    gset: GSet<String> = vec![GSet::default(), ["b", "a", "é"].map(String::from).into_iter().collect()];
    two_phase_set: TwoPhaseSet<u8> = vec![
        TwoPhaseSet::default(),
        TwoPhaseSet::of(1),
        [2, 1].into_iter().collect::<TwoPhaseSet<u8>>().joined(TwoPhaseSet::without(1)),
    ];
    uset: USet<String> = {
        let dot = |counter| Dot { replica: A, counter };
        let mut set = USet::of(Dot { replica: B, counter: 1 }, "one".to_owned());
        for counter in [1, 2, 3, 5] {
            set.insert(dot(counter), "é".to_owned()).unwrap();
        }
        for counter in [1, 2, 5] {
            set.remove(dot(counter)).unwrap();
        }
        vec![USet::default(), set]
    };
    lww_set: LwwSet<u8> = vec![LwwSet::default(), two_words()];
    lww_set_remove_wins: LwwSet<u8, RemoveWins> = vec![LwwSet::default(), two_words()];
    pn_set: PnSet<String> = {
        let mut set = PnSet::default();
        set.insert(A, "a".to_owned());
        set.insert(B, "a".to_owned());
        set.remove(B, "a".to_owned()).unwrap();
        vec![PnSet::default(), set]
    };
}

fn two_words<B: LwwBias>() -> LwwSet<u8, B> {
    let mut set = LwwSet::default();
    set.insert(EARLY, 1);
    set.insert(EARLY, 2);
    set.remove(LATE, 2);
    set
}

/// The sizes that the pages of the types give.
#[test]
fn costs() {
    fn json<T: serde::Serialize>(state: &T) -> usize {
        serde_json::to_vec(state).unwrap().len()
    }
    assert_eq!(json(&GSet::<u8>::default()), 2);
    assert_eq!(json(&[1, 2, 3].into_iter().collect::<GSet<u8>>()), 2 + 3 + 2);
    assert_eq!(json(&TwoPhaseSet::<u8>::default()), 21);
    assert_eq!(json(&[1, 2, 3].into_iter().collect::<TwoPhaseSet<u8>>()), 21 + 3 + 2);

    let dot = |counter| Dot { replica: A, counter };
    let (one, mut set) = (USet::of(dot(1), 7), USet::of(dot(1), 7));
    set.insert(dot(2), 7).unwrap();
    assert_eq!((size_of::<Dot>(), json(&set) - json(&one)), (32, 55 + 1));
    (3..1_000).for_each(|counter| drop(set.insert(dot(counter), 7).unwrap()));
    (1..1_000).for_each(|counter| drop(set.remove(dot(counter)).unwrap()));
    assert_eq!(json(&set) - json(&USet::<u8>::default()), 44, "a thousand that are gone");

    let words: LwwSet<u8> = two_words();
    let mut one = LwwSet::<u8>::default();
    one.insert(EARLY, 1);
    assert_eq!(json(&words) - json(&one), 66 + 1);
}
