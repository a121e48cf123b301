//! How many.

use crate::{A, B, FIRST, HEIR};
use antiphon_lattice::contributions::{Contribution, OwnedTallies};
use antiphon_lattice::{BoundedCounter, Epoch, GCounter, HyperLogLog, Lattice, PnCounter, ReplicaId, Tally};

golden! {
    gcounter: GCounter = {
        let mut counter = GCounter::default();
        counter.increment(B, u64::MAX);
        vec![GCounter::default(), GCounter::default().increment(A, 3), { counter.increment(A, 1); counter }]
    };
    pncounter: PnCounter = {
        let mut counter = PnCounter::default();
        counter.increment(A, 3);
        counter.decrement(A, 1);
        vec![PnCounter::default(), counter.clone(), counter.joined(PnCounter::default().decrement(B, u64::MAX))]
    };
    bounded_counter: BoundedCounter = {
        let mut counter = BoundedCounter::default();
        let made = counter.increment(A, 5).unwrap();
        let given = counter.transfer(A, B, 2).unwrap();
        counter.decrement(B, 1).unwrap();
        vec![BoundedCounter::default(), made, given, counter]
    };
    tally: Tally = vec![
        Tally::default(),
        Tally { epoch: FIRST, added: 3, removed: 1 },
        Tally { epoch: HEIR, added: u64::MAX, removed: u64::MAX },
    ];
    epoch: Epoch = vec![Epoch::default(), FIRST, HEIR];
    hyperloglog: HyperLogLog<4> = {
        let of = |elements: &str| elements.split_terminator(' ').fold(HyperLogLog::default(), |all, element| {
            all.joined(HyperLogLog::of_bytes(element.as_bytes()))
        });
        vec![of(""), of("a"), of("a b c"), of("a b c d"), of("a b c d e f g h i j k l m n o p q r s t u v w x y z")]
    };
    contribution: Contribution<String> = vec![Contribution { group: "part".into(), owner: A }];
    owned_tallies: OwnedTallies = {
        let mut adopted = OwnedTallies::of(A);
        adopted.adopt(B, HEIR);
        vec![OwnedTallies::of(A), adopted]
    };
}

/// The sizes that the pages of the types give.
#[test]
fn costs() {
    fn json<T: serde::Serialize>(state: &T) -> usize {
        serde_json::to_vec(state).unwrap().len()
    }
    fn dense<const P: u8>() -> HyperLogLog<P> {
        (0..1 << P).fold(HyperLogLog::default(), |mut all, element| {
            all.insert_hash(element);
            all
        })
    }
    // One entry more, less what the digits take.
    let one = GCounter::default().increment(A, 1);
    assert_eq!(json(&one.clone().joined(GCounter::default().increment(B, 1))) - json(&one), 36 + 1);
    let one = PnCounter::default().increment(A, 1);
    assert_eq!(json(&one.clone().joined(PnCounter::default().increment(B, 1))) - json(&one), 39 + 2);
    assert_eq!((size_of::<GCounter>(), size_of::<PnCounter>()), (144, 144));

    let mut counter = BoundedCounter::default();
    counter.increment(A, 9).unwrap();
    let row = json(&counter);
    counter.increment(B, 9).unwrap();
    assert_eq!(json(&counter) - row, 64 + 2);
    let rows = json(&counter);
    counter.transfer(A, B, 2).unwrap();
    let one = json(&counter);
    counter.transfer(A, ReplicaId::from_u128(3), 2).unwrap();
    assert_eq!((one - rows, json(&counter) - one), (35 + 1, 36 + 1), "the first without a comma");

    let (small, usual, large) = (dense::<10>(), dense::<12>(), dense::<14>());
    assert_eq!(
        [small.to_bytes().len(), usual.to_bytes().len(), large.to_bytes().len()],
        [771, 3_075, 12_291]
    );
    assert_eq!([json(&small), json(&usual), json(&large)], [1_030, 4_102, 16_390]);
    let exact = [HyperLogLog::<10>::EXACT_MAX, HyperLogLog::<12>::EXACT_MAX, HyperLogLog::<14>::EXACT_MAX];
    assert_eq!(exact, [192, 768, 3_072]);
    let delta = HyperLogLog::<12>::of_bytes(b"anna");
    assert_eq!((size_of_val(&delta), delta.to_bytes().len(), json(&delta)), (24, 7, 12));
}
