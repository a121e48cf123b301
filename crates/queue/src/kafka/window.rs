//! Which messages of one partition are settled: what is committed for them.
//!
//! Kafka keeps one number for a partition, below which all is done. Handlers finish in any order, so what is committed
//! is the lowest offset that is still open, and beside it, in the text that Kafka keeps with a commit, which of the
//! later ones are done: whoever takes the partition over hands out only what was open.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Longest text beside a commit: Kafka's `offset.metadata.max.bytes` is 4,096 unless an operator says otherwise.
const NOTE_BYTES_MAX: usize = 4_000;
/// Begins the notes that we can read.
const NOTE_VERSION: &str = "1:";

/// What is committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// All below is settled.
    pub(super) base: i64,
    /// What above it is settled; empty if nothing is.
    pub(super) note: String,
}

/// The settled, the open, and the unread offsets of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// Everything from here on was never handed out, as far as anybody knows.
    next: i64,
    /// Everything below was read by us, or is gone.
    read: i64,
    /// What is below `next` and not settled.
    open: BTreeSet<i64>,
}

impl Window {
    /// The window that `mark` describes, of which nothing was read yet. A note that cannot be read is no note.
    pub(super) fn restored(mark: &Mark) -> Self {
        let unread = Self { next: mark.base, read: 0, open: BTreeSet::new() };
        match decoded(mark) {
            Some((next, open)) => Self { next, open, ..unread },
            None => unread,
        }
    }

    /// Whether the message at `offset` is to be handed out. It is open from now on.
    ///
    /// The log is read upwards: open offsets that a read passed are no longer there, and count as settled.
    pub(super) fn offer(&mut self, offset: i64) -> bool {
        if offset < self.read {
            return false;
        }
        let gone: Vec<i64> = self.open.range(self.read..offset).copied().collect();
        for offset in gone {
            self.open.remove(&offset);
        }
        self.read = offset + 1;
        if offset < self.next {
            return self.open.contains(&offset);
        }
        self.next = offset + 1;
        self.open.insert(offset);
        true
    }

    pub(super) fn settle(&mut self, offset: i64) {
        self.open.remove(&offset);
    }

    /// The lowest offset that is open.
    pub(super) fn base(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.next)
    }

    /// The first offset that was never handed out.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// How far handing out runs ahead of what is committed.
    pub(super) fn span(&self) -> i64 {
        self.next - self.base()
    }

    /// What is to be committed now.
    pub(super) fn mark(&self) -> Mark {
        Mark { base: self.base(), note: self.note() }
    }

    fn note(&self) -> String {
        let base = self.base();
        // Above the last that is settled there is nothing to note.
        let mut end = self.next;
        for offset in self.open.iter().rev() {
            if *offset + 1 < end {
                break;
            }
            end = *offset;
        }
        if end <= base {
            return String::new();
        }
        let bytes_max = (NOTE_BYTES_MAX - NOTE_VERSION.len()) / 4 * 3 - VARINT_BYTES_MAX;
        let mut gaps = Vec::new();
        let mut last = base;
        for offset in self.open.range(base + 1..end) {
            if gaps.len() + VARINT_BYTES_MAX > bytes_max {
                // What does not fit is forgotten: it may come again.
                end = *offset;
                break;
            }
            push(&mut gaps, offset.abs_diff(last));
            last = *offset;
        }
        let mut bytes = Vec::with_capacity(gaps.len() + VARINT_BYTES_MAX);
        push(&mut bytes, end.abs_diff(base));
        bytes.extend(gaps);
        format!("{NOTE_VERSION}{}", STANDARD_NO_PAD.encode(bytes))
    }
}

const VARINT_BYTES_MAX: usize = 10;

fn push(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}

fn pull(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..VARINT_BYTES_MAX {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f).checked_shl(u32::try_from(place).ok()? * 7)?;
        value = value.checked_add(part)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The end of what the note tells about, and what is open below it; `None` if it is no note of ours.
fn decoded(mark: &Mark) -> Option<(i64, BTreeSet<i64>)> {
    let text = mark.note.strip_prefix(NOTE_VERSION)?;
    if text.len() > NOTE_BYTES_MAX {
        return None;
    }
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let mut bytes = bytes.as_slice();
    let end = mark.base.checked_add_unsigned(pull(&mut bytes)?)?;
    let mut open = BTreeSet::from([mark.base]);
    let mut last = mark.base;
    while !bytes.is_empty() {
        last = last.checked_add_unsigned(pull(&mut bytes)?)?;
        open.insert(last);
    }
    (last < end).then_some((end, open))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fresh(base: i64) -> Window {
        Window::restored(&Mark { base, note: String::new() })
    }

    #[test]
    fn the_lowest_open_offset_is_committed() {
        let mut window = fresh(5);
        assert!(!(0..5).any(|offset| window.offer(offset)), "below the base all is settled");
        assert!((5..9).all(|offset| window.offer(offset)));
        assert!(!window.offer(6), "read before");
        assert_eq!((window.mark(), window.span()), (Mark { base: 5, note: String::new() }, 4));
        window.settle(7);
        assert_eq!(window.base(), 5);
        assert!(!window.note().is_empty());
        window.settle(5);
        window.settle(6);
        assert_eq!(window.mark(), Mark { base: 8, note: String::new() }, "contiguous");
        window.settle(8);
        assert_eq!((window.base(), window.span(), window.open()), (9, 0, 0));
    }

    #[test]
    fn what_is_gone_blocks_nothing() {
        let mut window = fresh(0);
        assert!((0..4).all(|offset| window.offer(offset)));
        window.settle(1);
        let mut window = Window::restored(&window.mark());
        assert_eq!((window.base(), window.open()), (0, 1));
        assert!(window.offer(3), "0 was deleted meanwhile; 2 and 3 were beyond the note");
        assert_eq!(window.base(), 3);
        let mut empty = fresh(0);
        assert!(empty.offer(1_000), "the log began later than was committed");
        assert_eq!(empty.base(), 1_000);
    }

    #[test]
    fn a_foreign_note_is_none() {
        for note in ["", "1:", "2:AA", "1:!!", "1:AAA", "1:AQE", "somebody's", "1:////////////////"] {
            let window = Window::restored(&Mark { base: 3, note: note.to_owned() });
            assert_eq!(window.base(), 3, "{note}");
        }
    }

    #[test]
    fn a_note_has_its_bound() {
        let mut window = fresh(0);
        for offset in 0..30_000 {
            assert!(window.offer(offset));
        }
        for offset in (1..30_000).step_by(2) {
            window.settle(offset);
        }
        let mark = window.mark();
        assert!(mark.note.len() <= NOTE_BYTES_MAX);
        let mut later = Window::restored(&mark);
        let handed: Vec<i64> = (0..30_000).filter(|offset| later.offer(*offset)).collect();
        assert!(
            (0..30_000).step_by(2).all(|open| handed.binary_search(&open).is_ok()),
            "nothing open is lost"
        );
        assert!(handed.len() < 30_000 - 2_000, "and most of what is settled is remembered: {}", handed.len());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Offer(i64),
        Settle(usize),
        TakeOver(i64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_i64..3).prop_map(Step::Offer),
            4 => any::<usize>().prop_map(Step::Settle),
            1 => (0_i64..5).prop_map(Step::TakeOver),
        ]
    }

    proptest! {
        /// Against a plain model: the log is 0, 1, 2, … with gaps, and a set says what is settled.
        #[test]
        fn what_is_open_is_handed_out_and_what_is_settled_is_not(
            steps in proptest::collection::vec(any_step(), 1..120),
        ) {
            let mut window = fresh(0);
            let mut log: Vec<i64> = Vec::new();
            let mut out: Vec<i64> = Vec::new();
            let mut settled = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Offer(gap) => {
                        let offset = log.last().map_or(gap, |last| last + 1 + gap);
                        log.push(offset);
                        prop_assert!(window.offer(offset));
                        out.push(offset);
                    }
                    Step::Settle(which) if !out.is_empty() => {
                        let offset = out.swap_remove(which % out.len());
                        window.settle(offset);
                        settled.insert(offset);
                    }
                    Step::Settle(_) => {}
                    // Another reader begins at what was committed, or a little before.
                    Step::TakeOver(rewind) => {
                        let mark = window.mark();
                        window = Window::restored(&mark);
                        prop_assert_eq!(window.base(), mark.base);
                        let from = mark.base - rewind;
                        let again: Vec<i64> =
                            log.iter().copied().filter(|at| *at >= from && window.offer(*at)).collect();
                        let open: Vec<i64> = log.iter().copied().filter(|at| !settled.contains(at)).collect();
                        prop_assert_eq!(&again, &open);
                        out = again;
                    }
                }
                let lowest = out.iter().min().copied();
                prop_assert!(window.base() <= lowest.unwrap_or(i64::MAX), "nothing open is below the base");
                prop_assert!(log.iter().all(|at| *at >= window.base() || settled.contains(at)));
                prop_assert_eq!(window.open(), out.len());
            }
        }

        #[test]
        fn any_note_is_read_or_left(base in 0_i64..i64::MAX, note in ".{0,40}") {
            let window = Window::restored(&Mark { base, note: format!("1:{note}") });
            prop_assert!(window.base() == base);
        }
    }
}
