//! The compact encoding of interval tree clocks. The first byte splits the rest in two clocks, one after the other.

#![no_main]

use lattice::IntervalTreeClock;
use libfuzzer_sys::fuzz_target;
use std::cmp::Ordering;

/// Decoded from bytes, or from that many bits of them; it survives all of its encodings, and operations keep its order.
fn clock(data: &[u8], cut: usize) -> Option<IntervalTreeClock> {
    let whole = IntervalTreeClock::from_bytes(data);
    let exact = IntervalTreeClock::from_bits(data, (data.len() * 8).saturating_sub(cut));
    if let (Ok(whole), Ok(exact)) = (&whole, &exact) {
        assert_eq!(whole, exact, "the encoding tells where it ends");
    }
    let clock = exact.or(whole).ok()?;
    let (bytes, bits) = clock.to_bits();
    assert_eq!(IntervalTreeClock::from_bits(&bytes, bits).as_ref(), Ok(&clock));
    assert_eq!(IntervalTreeClock::from_bytes(&bytes).as_ref(), Ok(&clock));
    assert_eq!(clock.to_string().parse().as_ref(), Ok(&clock));
    Some(clock)
}

fuzz_target!(|data: &[u8]| {
    let Some((&split, rest)) = data.split_first() else { return };
    let (one, two) = rest.split_at(usize::from(split >> 3).min(rest.len()));
    let (one, two) = (clock(one, usize::from(split & 7)), clock(two, usize::from(split & 7)));
    for clock in one.iter().chain(&two) {
        let mut left = clock.clone();
        if left.event().is_ok() {
            assert_eq!(clock.compare(&left), Some(Ordering::Less), "an event is progress");
        }
        if let Ok(right) = left.fork() {
            left.join(right);
            assert!(clock.leq(&left));
            assert_eq!(left.id(), clock.id(), "a fork is undone by a join");
        }
    }
    if let (Some(mut one), Some(mut two)) = (one, two) {
        let before = [one.clone(), two.clone()];
        if one.sync(&mut two).is_ok() {
            assert_eq!(one.compare(&two), Some(Ordering::Equal));
        }
        one.join(two.clone());
        assert!(before.iter().all(|clock| clock.leq(&one)));
        if two.receive(one.peek()).is_ok() {
            assert!(one.leq(&two));
        }
    }
});
