//! How far it is off, and that the form of a state does not depend on how it was reached.

use super::registers::Registers;
use super::{HyperLogLog, HyperLogLogError};
use crate::{Lattice, laws};

fn of<const P: u8>(elements: impl IntoIterator<Item = u64>) -> HyperLogLog<P> {
    elements.into_iter().fold(HyperLogLog::default(), |mut all, element| {
        all.insert_hash(element);
        all
    })
}

const CHECKPOINTS: [u64; 16] =
    [1, 2, 10, 100, 500, 768, 769, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 300_000, 1_000_000];

/// For each seed, other elements; every estimate on the way to a million is within three standard errors, and together
/// they are out by no more than the standard error and biased by a small part of it.
#[test]
fn error_over_seeds() {
    const SEEDS: u32 = 12;
    const STANDARD_ERROR: f64 = 0.01625; // 1.04 / √4096
    let mut out = [(0.0, 0.0); CHECKPOINTS.len()];
    for seed in 0..u64::from(SEEDS) {
        let mut readers = <HyperLogLog>::default();
        let mut next = 0;
        for (many, (bias, squares)) in CHECKPOINTS.iter().zip(&mut out) {
            while next < *many {
                readers.insert_hash(seed << 32 | next);
                next += 1;
            }
            let many = f64::from(u32::try_from(*many).unwrap());
            let estimate = f64::from(u32::try_from(readers.estimate()).unwrap());
            let error = (estimate - many) / many;
            assert!(error.abs() < 3.0 * STANDARD_ERROR, "seed {seed}: {many} elements are {estimate}");
            *bias += error / f64::from(SEEDS);
            *squares += error * error / f64::from(SEEDS);
        }
    }
    for (many, (bias, squares)) in CHECKPOINTS.iter().zip(out) {
        let root: f64 = f64::sqrt(squares);
        println!("{many}: bias {:.2} %, error {:.2} %", bias * 100.0, root * 100.0);
        assert!(root < 1.4 * STANDARD_ERROR, "{many}: {root}");
        assert!(bias.abs() < STANDARD_ERROR, "{many}: {bias}");
    }
}

/// As long as it is sparse, it is out by one at the most.
#[test]
fn all_but_exact_while_sparse() {
    for seed in 0..50_u64 {
        let mut readers = HyperLogLog::<14>::default();
        for many in 1..=HyperLogLog::<14>::EXACT_MAX as u64 {
            readers.insert_hash(seed << 32 | many);
            assert!(readers.estimate().abs_diff(many) <= 2, "seed {seed}: {many} are {}", readers.estimate());
        }
        assert!(matches!(readers.0, Registers::Sparse(_)));
    }
}

/// Every split of some elements into two, of which either may be dense already, joins to the state that saw them all.
#[test]
fn sparse_and_dense_commute_with_join() {
    let elements: Vec<u64> = (0..10).collect();
    let all: HyperLogLog<4> = of(elements.iter().copied());
    assert!(matches!(all.0, Registers::Dense(_)));
    for split in 0..1_u32 << elements.len() {
        let part =
            |side: u32| of::<4>(elements.iter().copied().filter(|element| split >> element & 1 == side));
        let (left, right) = (part(0), part(1));
        let joined = left.clone().joined(right.clone());
        assert_eq!(joined, all, "{split:b}");
        assert_eq!(joined.to_bytes(), all.to_bytes());
        assert_eq!(right.joined(left), all);
    }
}

#[test]
fn the_form_is_the_smaller_one() {
    for many in 0..1_000 {
        let state: HyperLogLog<12> = of(0..many);
        let sparse = matches!(state.0, Registers::Sparse(_));
        assert_eq!(sparse, many <= 768, "no two of these meet in 25 bits");
        assert_eq!(state.to_bytes().len() as u64, if sparse { 3 + 4 * many } else { 3_075 });
        assert_eq!(HyperLogLog::from_bytes(&state.to_bytes()), Ok(state));
    }
}

/// What an entry says of a register is what the hash says of it, at every precision.
#[test]
fn an_entry_keeps_what_a_register_needs() {
    fn check<const P: u8>(hash: u64) {
        let mut registers: Registers<P> = Registers::Dense(vec![0; Registers::<P>::COUNT].into());
        registers.insert(super::Entry::of(hash));
        let Registers::Dense(registers) = registers else { unreachable!() };
        let held: Vec<(u64, u32)> = (0..)
            .zip(&registers)
            .filter(|(_, held)| **held > 0)
            .map(|(nth, held)| (nth, (*held).into()))
            .collect();
        let rank = ((hash << P).leading_zeros() + 1).min(64 - u32::from(P) + 1);
        assert_eq!(held, [(hash >> (64 - P), rank)], "{hash:064b}");
    }
    let ones = (0..64).map(|bit| 1_u64 << bit);
    for hash in ones.clone().chain(ones.map(|one| one | 0xf << 60)).chain([0, u64::MAX]) {
        check::<4>(hash);
        check::<12>(hash);
        check::<16>(hash);
    }
}

#[test]
fn laws_between_the_forms() {
    let dense: HyperLogLog<4> = of(0..9);
    let values = [
        of([]),
        of([1]),
        of([2]),
        of([1, 2]),
        of([1, 2, 3]),
        of([3, 4, 5]),
        dense.clone(),
        of(4..20),
        of([1, 40]),
    ];
    assert_eq!(laws::check_exhaustively(&values), Ok(9 * 9 * 9));
    assert!(!of::<4>([1, 2]).covers(&dense) && dense.covers(&of([1, 2])));
}

#[test]
fn bytes_that_are_none() {
    use HyperLogLogError as E;
    let mut full = vec![1, 4, 1];
    full.extend([0xff; 12]);
    let table: [(&[u8], E); 11] = [
        (&[], E::Length { found: 0 }),
        (&[1], E::Length { found: 1 }),
        (&[1, 4], E::Length { found: 2 }),
        (&[2], E::Format { found: 2 }),
        (&[0, 4, 0], E::Format { found: 0 }),
        (&[1, 12, 0], E::Precision { expected: 4, found: 12 }),
        (&[1, 4, 7], E::Form { found: 7 }),
        (&[1, 4, 0, 0, 0, 0], E::Length { found: 6 }),
        (&[1, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0], E::Register { at: 7 }),
        (&[1, 4, 1, 0], E::Length { found: 4 }),
        (&full, E::Register { at: 3 }),
    ];
    for (bytes, error) in table {
        assert_eq!(HyperLogLog::<4>::from_bytes(bytes), Err(error), "{bytes:?}");
    }
    assert_eq!(E::Format { found: 2 }.to_string(), "a hyperloglog of format 2, this library reads 1");
    let too_high = [1, 4, 0, 0x80, 0, 0, 1];
    assert_eq!(HyperLogLog::<4>::from_bytes(&too_high), Err(E::Register { at: 3 }));
}

#[test]
fn bytes_in_disorder() {
    let state: HyperLogLog<4> = of([1, 2]);
    let mut bytes = state.to_bytes();
    bytes[3..].rotate_left(4);
    bytes.extend_from_within(3..7);
    assert_eq!(HyperLogLog::from_bytes(&bytes), Ok(state));

    let empty = [&[1, 4, 1][..], &[0; 12]].concat();
    assert_eq!(HyperLogLog::<4>::from_bytes(&empty), Ok(HyperLogLog::default()), "one way to say nothing");

    let too_many: Vec<u8> = [1, 4, 0].into_iter().chain((0..100_u8).flat_map(|nth| [nth, 0, 0, 1])).collect();
    assert!(matches!(HyperLogLog::<4>::from_bytes(&too_many).unwrap().0, Registers::Dense(_)));
}

/// Registers that no traffic fills: the estimate says so, and does not panic.
#[test]
fn absurd_registers() {
    let full = HyperLogLog::<4>(Registers::Dense(vec![Registers::<4>::RANK_MAX; 16].into()));
    assert_eq!(full.estimate(), u64::MAX);
    let half = HyperLogLog::<4>(Registers::Dense([vec![61; 8], vec![0; 8]].concat().into()));
    assert!(half.estimate() < 20);
}
