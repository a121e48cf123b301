//! The clock keeps its promises under any wall clock, any rows from the future and any crash.

mod common;

use antiphon_lattice::{AHEAD_MS_MAX, Clock, Hlc, Lane, Stamp, TooFarAhead};
use common::replica;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What may happen to a clock.
#[derive(Clone, Debug)]
enum Step {
    /// A write to a row that may hold a stamp already.
    Mint { now_ms: u64, above: Option<Hlc> },
    /// A write to the row that our own last write went to.
    Edit { now_ms: u64 },
    /// A stamp arrives.
    Observe { now_ms: u64, remote: Hlc },
    /// The process is killed, and starts from the marks that its last write committed.
    Restart,
}

/// Times around one moment, often the same, sometimes a bit apart, now and then very far.
fn now_ms() -> impl Strategy<Value = u64> {
    prop_oneof![5 => 10_000_u64..10_004, 3 => 9_000_u64..11_000, 1 => 0_u64..1_000_000_000_000]
}

/// Moments around the same, with counters about to run over. The end of time has a test of its own.
fn hlc() -> impl Strategy<Value = Hlc> {
    let counter = prop_oneof![Just(0_u16), Just(u16::MAX), Just(u16::MAX - 1), any::<u16>()];
    (now_ms(), counter).prop_map(|(ms, counter)| Hlc::new(ms, counter))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (now_ms(), proptest::option::of(hlc())).prop_map(|(now_ms, above)| Step::Mint { now_ms, above }),
        2 => now_ms().prop_map(|now_ms| Step::Edit { now_ms }),
        2 => (now_ms(), hlc()).prop_map(|(now_ms, remote)| Step::Observe { now_ms, remote }),
        1 => Just(Step::Restart),
    ]
}

/// The last moment to which anything from outside may pull a clock.
fn reach(now_ms: u64) -> Hlc {
    Hlc::new(now_ms + AHEAD_MS_MAX, u16::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn unique_monotone_above_and_bounded(steps in vec(step(), 1..60)) {
        let (ours, theirs, lane) = (replica(2), replica(u8::MAX), Lane(3));
        let stamp_of = |hlc| Stamp { hlc, replica: theirs, lane: Lane(0) };
        let mut clock = Clock::new(ours, lane);
        let mut committed = (clock.high(), clock.ahead());
        let mut minted: BTreeSet<Stamp> = BTreeSet::new();
        let mut last: Option<Stamp> = None;
        for step in steps {
            let (before, before_ahead) = (clock.high(), clock.ahead());
            let (now_ms, above) = match step {
                Step::Mint { now_ms, above } => (now_ms, above.map(stamp_of)),
                Step::Edit { now_ms } => (now_ms, last),
                Step::Observe { now_ms, remote } => {
                    let heard = clock.observe(stamp_of(remote), now_ms);
                    let far = remote.ms() > now_ms + AHEAD_MS_MAX;
                    let expected = if far { Err(TooFarAhead { ahead_ms: remote.ms() - now_ms }) } else { Ok(()) };
                    prop_assert_eq!(heard, expected);
                    prop_assert_eq!(clock.high(), before.max(remote.min(reach(now_ms))));
                    prop_assert_eq!(clock.ahead(), before_ahead);
                    continue;
                }
                Step::Restart => {
                    clock = Clock::resume(ours, lane, committed.0, committed.1);
                    continue;
                }
            };
            let stamp = clock.mint(now_ms, above);
            prop_assert_eq!(stamp.replica, ours);
            prop_assert!(stamp.lane == lane || stamp.lane == lane.ahead());
            prop_assert!(Some(stamp) > above, "above");
            prop_assert!(clock.high() <= before.tick().max(reach(now_ms)), "bounded");
            if stamp.lane.is_ahead() {
                prop_assert!(stamp.hlc > reach(now_ms), "only for rows from the future");
                prop_assert_eq!(clock.high(), before, "the ordinary mark stays");
                prop_assert!(minted.last().is_none_or(|greatest| *greatest < stamp), "above all before it");
            } else {
                prop_assert_eq!(clock.ahead(), before_ahead, "the other mark stays");
                let ordinary = minted.iter().rfind(|stamp| !stamp.lane.is_ahead());
                prop_assert!(ordinary.is_none_or(|greatest| *greatest < stamp), "monotone");
            }
            prop_assert!(minted.insert(stamp), "unique");
            committed = (clock.high(), clock.ahead());
            last = Some(stamp);
        }
    }

    #[test]
    fn text_and_bytes_keep_the_order(a in common::stamp(), b in common::stamp()) {
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        prop_assert_eq!(a.to_string().parse::<Stamp>(), Ok(a));
        prop_assert_eq!(Stamp::from_bytes(a.to_bytes()), a);
    }
}

#[test]
fn the_65537th_stamp_of_a_millisecond_is_in_the_next() {
    let mut clock = Clock::new(replica(1), Lane(0));
    let stamps: Vec<Stamp> = (0..=0x1_0000).map(|_| clock.mint(1_000, None)).collect();
    assert_eq!(stamps[0xffff].hlc, Hlc::new(1_000, 0xffff));
    assert_eq!(stamps[0x1_0000].hlc, Hlc::new(1_001, 0));
}

#[test]
fn a_clock_that_ran_backwards_counts_on_until_time_catches_up() {
    let mut clock = Clock::new(replica(1), Lane(0));
    let times = [5_000, 1_000, 1_001, 5_000, 5_001].map(|now_ms| clock.mint(now_ms, None).hlc);
    let expected = [(5_000, 0), (5_000, 1), (5_000, 2), (5_000, 3), (5_001, 0)];
    assert_eq!(times, expected.map(|(ms, counter)| Hlc::new(ms, counter)));
}

/// The wall clock passes the moments that were minted ahead of it, and mints other stamps for them.
#[test]
fn time_catches_up_with_the_ahead_mark() {
    let mut clock = Clock::new(replica(1), Lane(0));
    let row = Stamp { hlc: Hlc::new(9_000, 0), replica: replica(2), lane: Lane(0) };
    let ahead = clock.mint(1_000, Some(row));
    clock.mint(9_000, None);
    let same_moment = clock.mint(9_000, None);
    assert_eq!(ahead.hlc, same_moment.hlc);
    assert_ne!(ahead, same_moment);
    let edit = clock.mint(9_001, Some(ahead));
    assert!(edit > ahead && !edit.lane.is_ahead(), "the row is an ordinary one again");
}

/// One fast clock among three replicas that gossip: the others stay near the true time.
#[test]
fn a_fast_clock_drags_nobody() {
    let mut clocks = [1, 2, 3].map(|id| Clock::new(replica(id), Lane(0)));
    let year_ms = 365 * 24 * 3_600_000;
    let mut row: Option<Stamp> = None;
    for now_ms in 1_000..2_000 {
        for id in 0..3 {
            let wall_ms = if id == 0 { now_ms + year_ms } else { now_ms };
            let stamp = clocks[id].mint(wall_ms, row);
            assert!(Some(stamp) > row, "every edit wins");
            row = Some(stamp);
            for (other, clock) in clocks.iter_mut().enumerate().filter(|(other, _)| *other != id) {
                let heard_ms = if other == 0 { now_ms + year_ms } else { now_ms };
                let far = clock.observe(stamp, heard_ms).is_err();
                assert_eq!(far, other != 0, "the honest ones are alarmed");
            }
        }
        for clock in &clocks[1..] {
            assert!(clock.high() <= reach(now_ms).tick().tick());
        }
    }
}

#[test]
fn nothing_panics_at_the_end_of_time() {
    let mut clock = Clock::new(replica(1), Lane(0));
    let last = Stamp { hlc: Hlc::MAX, replica: replica(2), lane: Lane(0) };
    assert_eq!(clock.observe(last, 1_000), Err(TooFarAhead { ahead_ms: Hlc::MS_MAX - 1_000 }));
    assert_eq!(clock.mint(1_000, Some(last)).hlc, Hlc::MAX);
    assert_eq!(clock.ahead(), Hlc::default(), "a row that nothing can pass uses up nothing");
    let merely_far = Stamp { hlc: Hlc::new(99_000, 0), ..last };
    assert_eq!(clock.mint(1_000, Some(merely_far)).hlc, Hlc::new(99_000, 1));
    assert_eq!(clock.mint(u64::MAX, None).hlc, Hlc::new(Hlc::MS_MAX, 0));
    assert_eq!(clock.observe(last, u64::MAX), Ok(()));
    assert_eq!(clock.mint(u64::MAX, Some(last)).hlc, Hlc::MAX);
}

#[test]
#[should_panic(expected = "top bit")]
fn an_ahead_lane_is_no_lane() {
    Clock::new(replica(1), Lane(Lane::AHEAD_BIT));
}

#[test]
#[should_panic(expected = "nil replica")]
fn the_nil_replica_has_no_clock() {
    Clock::new(replica(0), Lane(0));
}
