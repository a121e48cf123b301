//! The walk, over graphs as people make them and as nobody should.

use super::*;
use lattice::{Hlc, Lane, ReplicaId};

fn place(n: u32) -> Place {
    let at =
        Stamp { hlc: Hlc::new(u64::from(n), 0), replica: ReplicaId::from_u128(1), lane: Lane::default() };
    // Ids in the opposite order, so that it is the stamp that decides.
    Place { at, id: CommentId::from_bytes((u128::MAX - u128::from(n)).to_be_bytes()) }
}

fn number(id: CommentId) -> u32 {
    u32::try_from(u128::MAX - u128::from_be_bytes(id.to_bytes())).unwrap()
}

/// An index of replies that a test makes up: the replies of a comment behind one of them.
type Index<'i> = &'i dyn Fn(u32, Option<u32>) -> Box<dyn Iterator<Item = u32>>;

struct Read {
    lines: Lines,
    entries: usize,
    scans: usize,
}

/// `listed` leads from the end of the way down to the last comment listed; it begins with the end of the way, and is
/// empty for the first page.
fn read(index: Index<'_>, way: &[u32], listed: &[u32], comments_max: usize) -> Read {
    let places = |numbers: &[u32]| numbers.iter().map(|n| place(*n)).collect::<Vec<_>>();
    let (way, listed) = (places(way), places(listed));
    let mut reading = Reading::new(&way, listed.get(1..), comments_max);
    let (mut entries, mut scans) = (0, 0);
    while let Some(wanted) = reading.wants() {
        let after = wanted.after.map(|place| number(place.id));
        let found = index(number(wanted.replies_to), after);
        let found: Vec<_> = found.take(wanted.limit).map(place).collect();
        reading.hear(&wanted, &found);
        entries += found.len();
        scans += 1;
    }
    let graph = reading.into_graph();
    let lines = list(&graph, way.last().unwrap(), listed.last(), comments_max);
    Read { lines, entries, scans }
}

fn page(lines: &Lines) -> Vec<(usize, u32)> {
    lines.page.iter().map(|line| (line.depth, number(line.id))).collect()
}

/// An index of (reply, parent) in any order.
fn of(edges: &[(u32, u32)]) -> impl Fn(u32, Option<u32>) -> Box<dyn Iterator<Item = u32>> {
    let mut edges = edges.to_vec();
    edges.sort_unstable();
    move |parent, after| {
        let behind = move |reply: &u32| after.is_none_or(|after| *reply > after);
        let replies = edges.clone().into_iter().filter(move |edge| edge.1 == parent).map(|edge| edge.0);
        Box::new(replies.filter(behind))
    }
}

const SMALL: [(u32, u32); 7] = [(2, 1), (3, 2), (4, 1), (5, 3), (6, 2), (7, 4), (8, 1)];

#[test]
fn it_lists_depth_first_siblings_by_their_stamps_and_ancestors_from_the_top() {
    let all = read(&of(&SMALL), &[1], &[], 100).lines;
    let whole = [(0, 1), (1, 2), (2, 3), (3, 5), (2, 6), (1, 4), (2, 7), (1, 8)];
    assert_eq!((page(&all), all.more), (whole.to_vec(), false));
    let answered = all.page.iter().filter(|line| line.answered).map(|line| number(line.id));
    assert_eq!(answered.collect::<Vec<_>>(), [1, 2, 3, 4]);

    let around = read(&of(&SMALL), &[1, 2, 3], &[], 100).lines;
    assert_eq!(around.ancestors, [place(1).id, place(2).id]);
    assert_eq!(page(&around), [(0, 3), (1, 5)], "what is beside it is not its thread");
}

/// From behind any comment, with any size of page, a page goes on where the walk of the whole does.
#[test]
fn every_page_begins_where_the_one_before_ended() {
    let whole = page(&read(&of(&SMALL), &[1], &[], 100).lines);
    for size in 1..=9 {
        for from in 0..whole.len() {
            // The way up from it: each time the nearest line before that is less deep.
            let mut way = vec![whole[from]];
            for line in whole[..from].iter().rev() {
                if line.0 < way[0].0 {
                    way.insert(0, *line);
                }
            }
            let listed: Vec<_> = way.into_iter().map(|(_, n)| n).collect();
            let got = read(&of(&SMALL), &[1], &listed, size).lines;
            let rest = &whole[from + 1..];
            assert_eq!(page(&got), rest[..size.min(rest.len())], "{size} from {from}");
            assert_eq!(got.more, rest.len() > size, "{size} from {from}");
        }
    }
}

#[test]
fn rings_are_walked_once() {
    // Each answers itself; two answer each other; a ring below a comment that is answered from inside the ring.
    for (edges, whole) in [
        (&[(1, 1)][..], &[(0, 1)][..]),
        (&[(1, 2), (2, 1)], &[(0, 1), (1, 2)]),
        (&[(2, 1), (3, 2), (1, 3), (4, 3)], &[(0, 1), (1, 2), (2, 3), (3, 4)]),
        (&[(2, 1), (2, 2), (3, 2), (2, 3)], &[(0, 1), (1, 2), (2, 3)]),
    ] {
        let lines = read(&of(edges), &[1], &[], 100).lines;
        assert_eq!((page(&lines), lines.more), (whole.to_vec(), false), "{edges:?}");
    }
    let inside = read(&of(&[(1, 3), (2, 1), (3, 2)]), &[1, 2], &[], 100).lines;
    assert_eq!(
        (inside.ancestors.len(), page(&inside)),
        (1, vec![(0, 2), (1, 3)]),
        "its top is not below it again"
    );
}

/// A million replies cost no more than those that are listed.
#[test]
fn a_wide_fan_is_read_as_far_as_it_is_listed() {
    const WIDE: u32 = 1_000_000;
    let fan = |parent: u32, after: Option<u32>| -> Box<dyn Iterator<Item = u32>> {
        let replies = if parent == 1 { 2..WIDE + 2 } else { 0..0 };
        Box::new(after.map_or(replies.start, |after| after + 1)..replies.end)
    };
    let got = read(&fan, &[1], &[], COMMENTS_MAX);
    assert_eq!((got.lines.page.len(), got.lines.more), (COMMENTS_MAX, true));
    assert_eq!(got.lines.page[COMMENTS_MAX - 1].depth, 1);
    assert!(got.entries < COMMENTS_MAX + 2 * REPLIES_READ, "{} entries", got.entries);
    let end = read(&fan, &[1], &[1, WIDE - 1], COMMENTS_MAX).lines;
    assert_eq!((page(&end), end.more), (vec![(1, WIDE), (1, WIDE + 1)], false));

    // Everything has a hundred replies, down to where the numbers end: the worst that rows can do.
    let bush = |parent: u32, after: Option<u32>| -> Box<dyn Iterator<Item = u32>> {
        let replies = if parent < 10_000_000 { 100 * parent..100 * parent + 100 } else { 0..0 };
        Box::new(after.map_or(replies.start, |after| after + 1)..replies.end)
    };
    let got = read(&bush, &[1], &[], COMMENTS_MAX);
    assert_eq!((got.lines.page.len(), got.lines.more), (COMMENTS_MAX, true));
    assert!(got.entries <= (COMMENTS_MAX + 1) * REPLIES_READ, "{} entries", got.entries);
    assert!(got.scans <= 2 * COMMENTS_MAX, "{} scans", got.scans);
}

/// Ten thousand answers to answers: no recursion, and every comment is reached by going on from where it was cut.
#[test]
fn a_deep_chain_is_cut_and_goes_on_below() {
    const DEEP: u32 = 10_000;
    let chain = |parent: u32, after: Option<u32>| -> Box<dyn Iterator<Item = u32>> {
        let reply = (after.is_none() && parent < DEEP).then_some(parent + 1);
        Box::new(reply.into_iter())
    };
    let (mut from, mut seen) = (1, Vec::new());
    loop {
        let lines = read(&chain, &[from], &[], COMMENTS_MAX).lines;
        assert!(!lines.more && lines.page.len() <= DEPTH_MAX + 1);
        let last = *lines.page.last().unwrap();
        seen.extend(lines.page.iter().map(|line| number(line.id)));
        if !last.answered {
            break;
        }
        assert_eq!(last.depth, DEPTH_MAX, "cut");
        seen.pop();
        from = number(last.id);
    }
    assert_eq!(seen, (1..=DEEP).collect::<Vec<_>>());

    // The list and the graph know no depth of their own.
    let graph: Dag<Place> = (1..=DEEP).map(|n| (place(n), (n > 1).then(|| place(n - 1)))).collect();
    let lines = list(&graph, &place(DEEP), None, COMMENTS_MAX);
    assert_eq!(lines.ancestors.len(), DEEP as usize - 1);
}
