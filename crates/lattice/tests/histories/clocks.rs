//! Who wrote, when, and after what.

use crate::common::history::WRITERS;
use crate::common::replica;
use antiphon_lattice::{
    AHEAD_MS_MAX, Clock, Dot, DottedVersionVectorSet, EventTree, Hlc, ItcId, Lamport, Lane, ReplicaId,
    VectorClock, VersionVector,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

histories! {
    // Joined clocks stand at the length of the longest chain of events, each of which saw the one before.
    lamport: Lamport, by (), Just(()), |state, (), _| state.tick(),
        answers |state| state.time(), as would |log| {
            let mut chains: Vec<u64> = Vec::new();
            for line in log {
                chains.push(1 + line.saw.iter().map(|&nth| chains[nth]).max().unwrap_or(0));
            }
            chains.into_iter().max().unwrap_or(0)
        };

    version_vector: VersionVector, by (), Just(()), |state, (), writer| state.increment(writer.id),
        answers |state| state.dots().map(|dot| (dot.replica, dot.counter)).collect(),
        as would |log| -> BTreeMap<ReplicaId, u64> {
            log.iter().fold(BTreeMap::new(), |mut counts, line| {
                *counts.entry(line.by).or_default() += 1;
                counts
            })
        };

    // A client writes back with the context that it had read a while ago: here, all but the last event of each replica.
    dotted_version_vector_set: DottedVersionVectorSet<u8>, by (u8, bool), any::<(u8, bool)>(),
        |state, (value, stale), writer| state.put(writer.id, &read(&state.context(), stale), value),
        answers |state| { let mut values: Vec<u8> = state.values().copied().collect(); values.sort_unstable(); values },
        as would |log| {
            let dots: Vec<Dot> = log.iter().enumerate().map(|(nth, line)| {
                let earlier = log[..nth].iter().filter(|other| other.by == line.by).count() as u64;
                Dot { replica: line.by, counter: earlier + 1 }
            }).collect();
            let replaced: BTreeSet<Dot> = log.iter().flat_map(|line| {
                let saw: VersionVector = line.saw.iter().map(|&nth| dots[nth]).collect();
                let context = read(&saw, line.op.1);
                dots.clone().into_iter().filter(move |dot| context.contains(*dot))
            }).collect();
            let mut values: Vec<u8> =
                log.iter().zip(&dots).filter(|(_, dot)| !replaced.contains(dot)).map(|(line, _)| line.op.0).collect();
            values.sort_unstable();
            values
        };

    // Three parts that are never forked nor joined: an event raises its owner's number to the least of the
    // neighbouring part's, or if that is no more, by one.
    event_tree: EventTree, by (), Just(()), |state, (), writer| {
        let owned: ItcId = part(writer.id).parse().expect("an id");
        state.event(&owned).expect("an event")
    },
        answers EventTree::clone, as would |log| {
            let mut raised: Vec<[u64; WRITERS]> = Vec::new();
            for line in log {
                let mut seen = greatest(line.saw.iter().map(|&nth| raised[nth]));
                let (own, neighbours) = match line.by.to_u128() {
                    1 => (0, seen[1]),
                    2 => (1, seen[0]),
                    _ => (2, seen[0].min(seen[1])),
                };
                let raised_to = if neighbours > seen[own] { neighbours } else { seen[own] + 1 };
                seen = [0; WRITERS];
                seen[own] = raised_to;
                raised.push(seen);
            }
            let [a, b, c] = greatest(raised.into_iter());
            format!("(0,(0,{a},{b}),{c})").parse().expect("a tree")
        };
}

/// What a client has read: all, or a while ago all but each replica's last event.
fn read(context: &VersionVector, stale: bool) -> VersionVector {
    let back = u64::from(stale);
    context.dots().map(|dot| Dot { counter: dot.counter - back, ..dot }).collect()
}

fn part(writer: ReplicaId) -> &'static str {
    match writer.to_u128() {
        1 => "((1,0),0)",
        2 => "((0,1),0)",
        _ => "(0,1)",
    }
}

fn greatest(numbers: impl Iterator<Item = [u64; WRITERS]>) -> [u64; WRITERS] {
    numbers.fold([0; WRITERS], |a, b| [0, 1, 2].map(|nth| a[nth].max(b[nth])))
}

/// The algorithm of Kulkarni et al. 2014, figure 5, as they print it: l and c are two numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Printed {
    l: u64,
    c: u64,
}

impl Printed {
    fn send(&mut self, pt: u64) {
        let before = self.l;
        self.l = before.max(pt);
        self.c = if self.l == before { self.c + 1 } else { 0 };
    }

    fn receive(&mut self, m: Self, pt: u64) {
        let before = self.l;
        self.l = before.max(m.l).max(pt);
        self.c = if self.l == before && self.l == m.l {
            self.c.max(m.c) + 1
        } else if self.l == before {
            self.c + 1
        } else if self.l == m.l {
            m.c + 1
        } else {
            0
        };
    }
}

#[derive(Clone, Debug)]
enum Happening {
    /// A local event, or a message is sent.
    Send { at: usize, pt: u64 },
    /// One of the messages that were sent is received.
    Receive { at: usize, pt: u64, nth: prop::sample::Index },
}

fn happening() -> impl Strategy<Value = Happening> {
    // As close as the clocks of one deployment: nothing is from the future.
    let pt = || 10_000..10_000 + AHEAD_MS_MAX;
    prop_oneof![
        (0..WRITERS, pt()).prop_map(|(at, pt)| Happening::Send { at, pt }),
        (0..WRITERS, pt(), any::<prop::sample::Index>()).prop_map(|(at, pt, nth)| Happening::Receive {
            at,
            pt,
            nth
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Sending is `mint`; receiving is `observe`, and `mint` for the event of the receipt.
    #[test]
    fn hlc_is_the_printed_algorithm(happenings in vec(happening(), 1..60)) {
        let mut clocks = [1, 2, 3].map(|id| Clock::new(replica(id), Lane(0)));
        let mut printed = [Printed::default(); WRITERS];
        let mut sent = Vec::new();
        for happening in happenings {
            let at = match happening {
                Happening::Send { at, pt } => {
                    printed[at].send(pt);
                    sent.push((clocks[at].mint(pt, None), printed[at]));
                    at
                }
                Happening::Receive { at, pt, nth } if !sent.is_empty() => {
                    let (stamp, message) = sent[nth.index(sent.len())];
                    printed[at].receive(message, pt);
                    prop_assert_eq!(clocks[at].observe(stamp, pt), Ok(()));
                    let receipt = clocks[at].mint(pt, None);
                    prop_assert!(receipt > stamp);
                    at
                }
                Happening::Receive { .. } => continue,
            };
            let Hlc(packed) = clocks[at].high();
            prop_assert_eq!((packed >> 16, packed & 0xffff), (printed[at].l, printed[at].c), "48 and 16 bits");
        }
    }

    /// One event led to another exactly if its stamp is less: of a vector clock, and of Lamport's only if.
    #[test]
    fn stamps_are_ordered_as_their_histories(happenings in vec(happening(), 1..40)) {
        let mut vectors = [1, 2, 3].map(|id| VectorClock::new(replica(id)));
        let mut lamports = [Lamport::default(); WRITERS];
        let mut histories = vec![BTreeSet::new(); WRITERS];
        let mut events: Vec<(VersionVector, Lamport, BTreeSet<usize>)> = Vec::new();
        for happening in happenings {
            let (at, vector, lamport) = match happening {
                Happening::Receive { at, nth, .. } if !events.is_empty() => {
                    let (vector, lamport, history) = events[nth.index(events.len())].clone();
                    histories[at].extend(history);
                    (at, vectors[at].observe(&vector), lamports[at].observe(lamport))
                }
                Happening::Send { at, .. } | Happening::Receive { at, .. } => {
                    (at, vectors[at].tick(), lamports[at].tick())
                }
            };
            histories[at].insert(events.len());
            prop_assert_eq!(vectors[at].seen(), &vector);
            prop_assert!(vector.contains(vectors[at].dot()) && vector.next(vectors[at].replica()) > vectors[at].dot());
            events.push((vector, lamport, histories[at].clone()));
        }
        for (a, a_time, led_to_a) in &events {
            for (b, b_time, led_to_b) in &events {
                let before = led_to_a != led_to_b && led_to_a.is_subset(led_to_b);
                prop_assert_eq!(a < b, before);
                prop_assert!(!before || a_time < b_time);
            }
        }
    }
}
