//! One value at a time.

use crate::common::history::WRITERS;
use crate::common::{last_writer, replica};
use antiphon_lattice::{Clock, Lane, Lww, Max, Min, MvRegister};
use proptest::collection::vec;
use proptest::prelude::*;

histories! {
    max: Max<u8>, by u8, any::<u8>(), |state, op, _| state.raise(op),
        answers |state| state.0, as would |log| log.iter().map(|line| line.op).max().unwrap_or(0);

    min: Min<u8>, by u8, any::<u8>(), |state, op, _| state.write(op),
        answers |state| state.get().copied(), as would |log| log.iter().map(|line| line.op).min();

    lww: Lww<u8>, by u8, any::<u8>(), |state, op, writer| state.set(writer.mint(state.stamp()), op),
        answers |state| state.get().copied(), as would |log| last_writer(log.iter().map(|line| (line.stamp, line.op)));

    // `None` clears. The values are those of the writes that no later write or clearing has seen.
    mv_register: MvRegister<u8>, by Option<u8>, prop::option::weighted(0.9, any::<u8>()),
        |state, op, writer| match op {
            Some(value) => state.set(writer.id, value),
            None => state.clear(),
        },
        answers |state| sorted(state.values().copied()),
        as would |log| sorted(log.iter().enumerate().filter_map(|(nth, line)| {
            line.op.filter(|_| log.iter().all(|later| !later.saw.contains(&nth)))
        }));
}

fn sorted(values: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut values: Vec<u8> = values.collect();
    values.sort_unstable();
    values
}

proptest! {
    /// Where everybody has read all before writing, the last writer is the one who wrote last, whatever the clocks say.
    #[test]
    fn lww_under_clocks_that_are_wrong(writes in vec((0..WRITERS, 0_u64..1_000_000, any::<u8>()), 1..30)) {
        let mut clocks = [1, 2, 3].map(|id| Clock::new(replica(id), Lane(0)));
        let mut row = Lww::default();
        for (at, now_ms, value) in writes {
            row.set(clocks[at].mint(now_ms, row.stamp()), value);
            prop_assert_eq!(row.get(), Some(&value));
        }
    }
}
