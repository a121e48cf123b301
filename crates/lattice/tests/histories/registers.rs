//! One value at a time.

use crate::common::history::WRITERS;
use crate::common::{last_writer, replica};
use antiphon_lattice::{Clock, Lane, Lww, Max, Min};
use proptest::collection::vec;
use proptest::prelude::*;

histories! {
    max: Max<u8>, by u8, any::<u8>(), |state, op, _| state.raise(op),
        answers |state| state.0, as would |log| log.iter().map(|line| line.op).max().unwrap_or(0);

    min: Min<u8>, by u8, any::<u8>(), |state, op, _| state.write(op),
        answers |state| state.get().copied(), as would |log| log.iter().map(|line| line.op).min();

    lww: Lww<u8>, by u8, any::<u8>(), |state, op, writer| state.set(writer.mint(state.stamp()), op),
        answers |state| state.get().copied(), as would |log| last_writer(log.iter().map(|line| (line.stamp, line.op)));
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
