//! Interval tree clocks against the paper's example, the reference implementation's runs and bits, and causal histories.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic, in its helpers too"
)]

use antiphon_lattice::{
    EventTree, ITC_DEPTH_MAX, IntervalTreeClock, ItcDecodeFault, ItcError, ItcId, Lattice, identity_faults,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn clock(text: &str) -> IntervalTreeClock {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The run that the paper draws, state by state.
#[test]
fn the_papers_example() {
    let mut a = IntervalTreeClock::seed();
    assert_eq!(a.to_string(), "(1,0)");
    let mut b = a.fork().unwrap();
    assert_eq!([&a, &b].map(ToString::to_string), ["((1,0),0)", "((0,1),0)"]);
    a.event().unwrap();
    b.event().unwrap();
    assert_eq!([&a, &b].map(ToString::to_string), ["((1,0),(0,1,0))", "((0,1),(0,0,1))"]);
    let c = a.fork().unwrap();
    b.event().unwrap();
    assert_eq!(
        [&a, &c, &b].map(ToString::to_string),
        ["(((1,0),0),(0,1,0))", "(((0,1),0),(0,1,0))", "((0,1),(0,0,2))"]
    );
    a.event().unwrap();
    b.join(c);
    assert_eq!([&a, &b].map(ToString::to_string), ["(((1,0),0),(0,(1,1,0),0))", "(((0,1),1),(1,0,1))"]);
    let c = b.fork().unwrap();
    assert_eq!([&b, &c].map(ToString::to_string), ["(((0,1),0),(1,0,1))", "((0,1),(1,0,1))"]);
    a.join(b);
    assert_eq!(a.to_string(), "((1,0),(1,(0,1,0),1))");
    a.event().unwrap();
    assert_eq!([&a, &c].map(ToString::to_string), ["((1,0),2)", "((0,1),(1,0,1))"]);
    assert!(c.leq(&a) && !a.leq(&c));
}

/// The same operations leave the same stamps, and these have the same bits, as in the authors' own program.
#[test]
fn the_reference_implementation() {
    let (mut stamps, mut steps) = (Vec::new(), 0);
    for line in include_str!("golden/itc_reference.txt").lines().filter(|line| !line.starts_with('#')) {
        let (operation, left) = line.split_once(": ").unwrap();
        let words: Vec<&str> = operation.split(' ').collect();
        let at = |nth: usize| words[nth].parse::<usize>().unwrap();
        let touched = match words[0] {
            "seed" => {
                stamps = vec![IntervalTreeClock::seed()];
                vec![0]
            }
            "fork" => {
                let right = stamps[at(1)].fork().unwrap();
                stamps.push(right);
                vec![at(1), stamps.len() - 1]
            }
            "event" => {
                stamps[at(1)].event().unwrap();
                vec![at(1)]
            }
            "receive" => {
                let message = stamps[at(2)].peek();
                stamps[at(1)].receive(message).unwrap();
                vec![at(1)]
            }
            "join" => {
                let last = stamps.pop().unwrap();
                stamps[at(1)].join(last);
                vec![at(1)]
            }
            // A stamp by itself, for its number.
            _ => {
                stamps = vec![clock(left.split(' ').next().unwrap())];
                vec![0]
            }
        };
        for (nth, expected) in touched.into_iter().zip(left.split("; ")) {
            let (bytes, bits) = stamps[nth].to_bits();
            let hex = bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            assert_eq!(format!("{} {bits} {hex}", stamps[nth]), expected, "{line}");
            assert_eq!(IntervalTreeClock::from_bits(&bytes, bits).as_ref(), Ok(&stamps[nth]));
            assert_eq!(IntervalTreeClock::from_bytes(&bytes).as_ref(), Ok(&stamps[nth]));
            steps += 1;
        }
    }
    assert!(steps > 500, "{steps}");
}

#[derive(Clone, Debug)]
enum Step {
    Fork(prop::sample::Index),
    Event(prop::sample::Index),
    Join(prop::sample::Index, prop::sample::Index),
    Message(prop::sample::Index, prop::sample::Index),
    Sync(prop::sample::Index, prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        2 => at().prop_map(Step::Fork),
        4 => at().prop_map(Step::Event),
        1 => (at(), at()).prop_map(|(a, b)| Step::Join(a, b)),
        2 => (at(), at()).prop_map(|(a, b)| Step::Message(a, b)),
        1 => (at(), at()).prop_map(|(a, b)| Step::Sync(a, b)),
    ]
}

/// A stamp, and beside it the set of the events that it has seen.
type Traced = (IntervalTreeClock, BTreeSet<usize>);

fn carry_out(step: &Step, stamps: &mut Vec<Traced>, events: &mut usize) {
    let mut happen = |traced: &mut Traced| {
        let before = traced.0.clone();
        traced.0.event().unwrap();
        assert!(before.leq(&traced.0) && !traced.0.leq(&before), "an event is progress");
        *events += 1;
        traced.1.insert(*events);
    };
    let count = stamps.len();
    match step {
        Step::Fork(at) => {
            let (stamp, history) = &mut stamps[at.index(count)];
            let forked = (stamp.fork().unwrap(), history.clone());
            stamps.push(forked);
        }
        Step::Event(at) => happen(&mut stamps[at.index(count)]),
        Step::Join(from, to) if from.index(count) != to.index(count) => {
            let (stamp, history) = stamps[from.index(count)].clone();
            let to = &mut stamps[to.index(count)];
            to.0.join(stamp);
            to.1.extend(history);
            stamps.remove(from.index(count));
        }
        Step::Message(from, to) => {
            happen(&mut stamps[from.index(count)]);
            let (message, history) =
                (stamps[from.index(count)].0.peek(), stamps[from.index(count)].1.clone());
            let to = &mut stamps[to.index(count)];
            to.0.join(message);
            to.1.extend(history);
            happen(to);
        }
        Step::Sync(a, b) if a.index(count) != b.index(count) => {
            let (mut one, mut two) = (stamps[a.index(count)].clone(), stamps[b.index(count)].clone());
            one.0.sync(&mut two.0).unwrap();
            one.1.extend(two.1.iter());
            two.1.clone_from(&one.1);
            stamps[a.index(count)] = one;
            stamps[b.index(count)] = two;
        }
        Step::Join(..) | Step::Sync(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// At every moment of any run, each two stamps compare as the sets of events do that they have seen.
    #[test]
    fn agrees_with_causal_histories(steps in vec(step(), 1..60)) {
        let mut stamps: Vec<Traced> = vec![(IntervalTreeClock::seed(), BTreeSet::new())];
        let mut events = 0;
        for step in steps {
            carry_out(&step, &mut stamps, &mut events);
            for (a, seen_by_a) in &stamps {
                for (b, seen_by_b) in &stamps {
                    prop_assert_eq!(a.leq(b), seen_by_a.is_subset(seen_by_b), "{:?} {:?}", a, b);
                }
                let (bytes, bits) = a.to_bits();
                prop_assert_eq!(&IntervalTreeClock::from_bits(&bytes, bits).unwrap(), a);
                prop_assert_eq!(&clock(&a.to_string()), a);
            }
        }
        // All that was forked can be joined again, and is the seed's.
        let all = stamps.into_iter().map(|(stamp, _)| stamp).reduce(|mut all, stamp| { all.join(stamp); all });
        prop_assert!(all.is_some_and(|all| all.id() == &ItcId::ALL));
    }

    /// Any bits at all are an error, or a clock whose own bits give it again and whose operations do not panic.
    #[test]
    fn any_bits(bytes in vec(any::<u8>(), 0..40), cut in 0_usize..8) {
        let bits = (bytes.len() * 8).saturating_sub(cut);
        for read in [IntervalTreeClock::from_bytes(&bytes), IntervalTreeClock::from_bits(&bytes, bits)] {
            match read {
                Err(error) => prop_assert!(error.at() <= bytes.len() * 8),
                Ok(mut clock) => {
                    let (bytes, bits) = clock.to_bits();
                    prop_assert_eq!(IntervalTreeClock::from_bits(&bytes, bits), Ok(clock.clone()));
                    prop_assert_eq!(clock.to_string().parse(), Ok(clock.clone()));
                    let before = clock.peek();
                    if clock.event().is_ok() {
                        prop_assert_eq!(before.compare(&clock), Some(std::cmp::Ordering::Less));
                    }
                    let forked = clock.fork();
                    prop_assert!(forked.is_ok());
                }
            }
        }
    }
}

/// Where it stops, and why.
#[test]
fn texts_that_are_none() {
    use ItcDecodeFault::{Malformed, TooDeep, TooGreat, Trailing, Truncated};
    let deep = "(1,".repeat(ITC_DEPTH_MAX + 1);
    let table = [
        ("", Truncated, 0),
        ("5", Malformed, 0),
        ("(1,0", Truncated, 4),
        ("(1,", Truncated, 3),
        ("(1,0)x", Trailing, 5),
        ("(1,0)(1,0)", Trailing, 5),
        ("(2,0)", Malformed, 1),
        ("(1 ,0)", Malformed, 2),
        ("(1,+1)", Malformed, 3),
        ("(1,-1)", Malformed, 3),
        ("(1,00)", Malformed, 3),
        ("(1,01)", Malformed, 3),
        ("(1,(1,2))", Malformed, 7),
        ("((1),0)", Malformed, 3),
        ("(é,0)", Malformed, 1),
        ("(1,18446744073709551616)", TooGreat, 22),
        ("(1,99999999999999999999999)", TooGreat, 22),
        ("(1,(18446744073709551615,0,1))", TooGreat, 27),
        (&format!("({deep}"), TooDeep, 1 + 3 * ITC_DEPTH_MAX),
        (&format!("(1,{deep}"), TooDeep, 3 + 3 * ITC_DEPTH_MAX),
    ];
    for (text, fault, at) in table {
        let error = text.parse::<IntervalTreeClock>().unwrap_err();
        assert_eq!((error.fault(), error.at()), (fault, at), "{text}");
    }
    for greatest in ["(1,(1,(1,0,1),18446744073709551614))", "(0,(0,0,18446744073709551615))"] {
        assert_eq!(clock(greatest).events().bounds().1, u64::MAX, "the greatest sum that there may be");
    }
    let error = "(1,".parse::<IntervalTreeClock>().unwrap_err();
    assert_eq!(error.to_string(), "no interval tree clock: it ends too early, at byte 3");
}

#[test]
fn bits_that_are_none() {
    use ItcDecodeFault::{Malformed, TooDeep, TooGreat, Trailing, Truncated};
    let of = |text: &str| {
        let digits: Vec<u8> = text.bytes().filter(|digit| *digit != b' ').map(|digit| digit - b'0').collect();
        let byte =
            |eight: &[u8]| (0..8).fold(0, |byte, nth| byte << 1 | eight.get(nth).copied().unwrap_or(0));
        (digits.chunks(8).map(byte).collect::<Vec<u8>>(), digits.len())
    };
    let read = |text: &str| {
        let (bytes, bits) = of(text);
        IntervalTreeClock::from_bits(&bytes, bits).map_err(|error| (error.fault(), error.at()))
    };
    assert_eq!(read("001 1 0 00"), Ok(IntervalTreeClock::seed()));
    let table = [
        (String::new(), Truncated, 0),
        ("001 1 0 0".into(), Truncated, 6),
        ("001 1 0 00 0".into(), Trailing, 7),
        ("001 1 0 00 1".into(), Trailing, 7),
        // A node's own number that is a node.
        ("001 011 00 0 00 1000".into(), Malformed, 8),
        (format!("001 1 {} 0 {}", "1".repeat(63), "1".repeat(65)), TooGreat, 4),
        // Width 64 is the last, and not all that it holds can be added to what the narrower ones hold.
        (format!("001 1 {} 0 {}", "1".repeat(62), "1".repeat(64)), TooGreat, 4),
        ("01".repeat(ITC_DEPTH_MAX + 1), TooDeep, 2 * ITC_DEPTH_MAX + 2),
        (format!("001 {}", "000".repeat(ITC_DEPTH_MAX + 1)), TooDeep, 3 + 3 * ITC_DEPTH_MAX + 1),
        ("1".repeat(100_000), TooDeep, 2 * ITC_DEPTH_MAX + 2),
    ];
    for (text, fault, at) in table {
        assert_eq!(read(&text), Err((fault, at)), "{text}");
    }
    // Not in normal form, and understood all the same.
    for (text, same) in [
        ("11 001 001  1 0 00", "(1,0)"),
        ("11 000 000  1 0 00", "(0,0)"),
        ("01 000  1 0 00", "(0,0)"),
        ("001  0 00 1 0 00", "(1,0)"),
        ("001  0 10 1 0 01 1 0 10", "(1,(1,0,1))"),
        ("001  0 11 1  1 0 00  1 0 01 1 0 10", "(1,(1,0,1))"),
    ] {
        assert_eq!(read(text), Ok(clock(same)), "{text}");
    }
    // What does not end in the last byte, or fills it with something.
    let trailing =
        |bytes: &[u8], bits| IntervalTreeClock::from_bits(bytes, bits).unwrap_err().fault() == Trailing;
    assert!(trailing(&[0x30, 0], 7) && trailing(&[0x31], 7) && trailing(&[0x30], 8));
    assert!(IntervalTreeClock::from_bits(&[0x30], usize::MAX).is_err());
    assert_eq!(IntervalTreeClock::from_bytes(&[0x30]), Ok(IntervalTreeClock::seed()));
    assert!(
        IntervalTreeClock::from_bytes(&[0x31]).is_err() && IntervalTreeClock::from_bytes(&[0x30, 0]).is_err()
    );
}

/// The deepest trees that there are go through every operation, and a deeper one is refused.
#[test]
fn at_the_depth_limit() {
    let mut stamp = IntervalTreeClock::seed();
    let mut others: Vec<IntervalTreeClock> = (0..ITC_DEPTH_MAX).map(|_| stamp.fork().unwrap()).collect();
    let before = stamp.clone();
    assert_eq!(stamp.fork(), Err(ItcError::TooDeep));
    assert_eq!(stamp, before);
    stamp.event().unwrap();
    assert_eq!(stamp.events().depth(), ITC_DEPTH_MAX);
    for other in &mut others {
        other.receive(stamp.peek()).unwrap();
    }
    let (bytes, bits) = others[3].to_bits();
    assert_eq!(IntervalTreeClock::from_bits(&bytes, bits).as_ref(), Ok(&others[3]));
    assert_eq!(
        serde_json::from_str::<IntervalTreeClock>(&serde_json::to_string(&stamp).unwrap()).unwrap(),
        stamp
    );
    for other in others {
        stamp.join(other);
    }
    assert_eq!(stamp.id(), &ItcId::ALL);
    stamp.event().unwrap();
    assert_eq!(stamp.events().depth(), 0, "it is simple again");
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let mut anonymous = IntervalTreeClock::seed().peek();
    assert_eq!(anonymous.event(), Err(ItcError::Anonymous));
    assert_eq!(anonymous.receive(clock("(0,5)")), Err(ItcError::Anonymous));
    assert_eq!(anonymous, IntervalTreeClock::seed().peek());

    let mut full = clock("((1,0),(1,18446744073709551614,0))");
    assert_eq!(full.event(), Err(ItcError::Exhausted));
    assert_eq!(full, clock("((1,0),(1,18446744073709551614,0))"));
    // A part that is full leaves the event to one that is not, however dear.
    let mut half_full = clock("((1,(1,0)),(0,18446744073709551615,0))");
    half_full.event().unwrap();
    assert_eq!(half_full, clock("((1,(1,0)),(0,18446744073709551615,(0,1,0)))"));
}

/// Stamps that never came from one seed: a union, and the fault is counted.
#[test]
fn one_part_owned_twice() {
    let before = identity_faults();
    let mut one = clock("((1,0),3)");
    one.join(clock("(((0,1),1),(0,1,5))"));
    assert_eq!(one.id(), &ItcId::ALL);
    assert!(identity_faults() > before);
}

/// A later version's object is refused by its number.
#[test]
fn a_format_of_the_future() {
    let of = |json: &str| serde_json::from_str::<EventTree>(json).unwrap_err().to_string();
    assert!(of(r#"{"bits":"00","format":2}"#).starts_with(
        "an interval tree clock of format 2, this library reads format 1: an event tree such as (1,2,(0,1,0))"
    ));
    assert!(of("{}").starts_with("invalid type: map"));
    assert!(of("7").starts_with("invalid type: integer `7`, expected an event tree"));
}

#[test]
fn the_event_tree_is_a_lattice() {
    let tree = |text: &str| text.parse::<EventTree>().expect("a tree");
    let table = [
        ("0", "(0,0,1)", "(0,0,1)"),
        ("1", "(0,0,1)", "1"),
        ("(0,1,0)", "(0,0,1)", "1"),
        ("(1,2,(0,(1,0,2),0))", "(0,0,(3,1,0))", "(1,2,(2,1,0))"),
        ("(2,0,3)", "(0,7,0)", "(2,5,3)"),
    ];
    for (a, b, expected) in table {
        assert_eq!(tree(a).joined(tree(b)), tree(expected), "{a} {b}");
    }
}
