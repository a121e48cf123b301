//! Keys that come and go, and bytes that say what cannot be.

use super::*;
use crate::OrSet;

type Sets = Causal<DotMap<u8, DotSet>>;
type Join = fn(&mut DotMap<u8, DotSet>, &CausalContext, DotMap<u8, DotSet>, &CausalContext) -> bool;

/// One dot under two keys, at two replicas that share an id, one of which knows many more keys than the other.
#[test]
fn one_dot_under_two_keys_is_lost_alike() {
    let copied = ReplicaId::from_u128(1);
    let (mut here, mut there) = (OrSet::default(), OrSet::default());
    for element in 0..20 {
        here.insert(copied, element).unwrap();
    }
    there.insert(copied, 100).unwrap();
    let joined = here.clone().joined(there.clone());
    assert_eq!(joined, there.clone().joined(here.clone()));
    assert!(!joined.contains(&0) && !joined.contains(&100) && joined.len() == 19);
    assert!(!here.covers(&there) && here.join(there));
}

#[test]
fn keys_and_dots_that_stand_twice() {
    let me = ReplicaId::from_u128(1);
    let read = |store: &str| {
        let store = store.replace('@', &format!("{me}-000000000000000"));
        serde_json::from_str::<Causal<DotMap<u8, DotMap<u8, DotSet>>>>(&format!(
            r#"{{"store":{store},"context":{{"{me}":[[1,9]]}}}}"#
        ))
    };
    let plain = read(r#"[[2,[[1,["@1"]],[2,["@2","@3"]]]]]"#).unwrap();
    assert_eq!(read(r#"[[2,[[2,["@3"]]]],[2,[[1,["@1"]]]],[2,[[2,["@2"]]]],[2,[]]]"#).unwrap(), plain);
    for twice in [r#"[[1,[[1,["@1"]]]],[2,[[1,["@1"]]]]]"#, r#"[[1,[[1,["@1"]],[2,["@1"]]]]]"#] {
        let error = read(twice).unwrap_err().to_string();
        assert!(error.starts_with("one dot under two keys"), "{error}");
    }
    // Each row is sound, and what is left of both is nothing: no key stays for it.
    assert!(read(r#"[[2,[[1,["@1"]]]],[2,[[2,["@1"]]]]]"#).unwrap().store().is_empty());
}

/// Replicas that drift apart: states and deltas of many keys, from a row of numbers that looks random.
fn states() -> (Vec<Sets>, Vec<Sets>) {
    let (mut replicas, mut deltas) = (vec![Sets::default(); 3], Vec::<Sets>::new());
    let mut number = 1_u64;
    let mut draw = |below: u64| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % below
    };
    for _ in 0..400 {
        let (at, key) = (usize::try_from(draw(3)).unwrap(), u8::try_from(draw(64)).unwrap());
        let me = ReplicaId::from_u128(at as u128 + 1);
        let here = &mut replicas[at];
        deltas.push(match draw(9) {
            0..5 => here.update_key(key, |dots, seen| dots.renew_delta(seen, me)).unwrap(),
            5..7 => here.remove_key(&key),
            _ => {
                let other = if deltas.is_empty() { continue } else { draw(deltas.len() as u64) };
                let other: Sets = deltas[usize::try_from(other).unwrap()].clone();
                here.apply(other)
            }
        });
    }
    (replicas, deltas)
}

/// The two ways to join do the same, whichever is the quicker.
#[test]
fn few_or_in_step() {
    let (replicas, deltas) = states();
    assert!(replicas.iter().all(|state| state.store().len() > 2 * FEWER), "large enough to be worth it");
    for ours in replicas.iter().chain(&deltas[..20]) {
        for theirs in deltas.iter().chain(&replicas) {
            let join = |join: Join| {
                let mut store = ours.store().clone();
                let changed = join(&mut store, ours.context(), theirs.store().clone(), theirs.context());
                assert_eq!(changed, store != *ours.store(), "an honest answer");
                store
            };
            assert_eq!(join(DotMap::join_few), join(DotMap::join_in_step));
            let joined = ours.clone().joined(theirs.clone());
            assert_eq!(*joined.store(), join(DotMap::join_in_step));
            assert_eq!(ours.covers(theirs), joined == *ours);
            assert_eq!(theirs.clone().joined(ours.clone()), joined);
        }
    }
}

/// A local change that was made directly is the one that its delta makes.
#[test]
fn direct_changes_do_what_their_deltas_say() {
    let (me, mut set) = (ReplicaId::from_u128(1), OrSet::default());
    for element in (0..100_u8).chain(50..60) {
        let before = set.clone();
        let delta = set.insert(me, element).unwrap();
        assert_eq!(before.joined(delta), set);
    }
    for element in [0, 99, 7, 7, 200] {
        let before = set.clone();
        let delta = set.remove(&element);
        assert_eq!(before.joined(delta), set);
    }
    let before = set.clone();
    let delta = set.clear();
    assert!(set.is_empty() && !before.is_empty());
    assert_eq!(before.joined(delta), set);
}

/// A mutator that reaches beyond its key: the state is what the delta says, all the same.
#[test]
fn a_delta_that_concerns_other_keys() {
    let me = ReplicaId::from_u128(1);
    let mut state = Sets::default();
    let other = state.update_key(1, |dots, seen| dots.renew_delta(seen, me)).unwrap();
    let before = state.clone();
    let removal: Result<_, DotsExhausted> =
        state.update_key(2, |_, _| Ok(Causal::removal(other.context().clone())));
    assert!(state.store().is_empty());
    assert_eq!(before.joined(removal.unwrap()), state);
}
