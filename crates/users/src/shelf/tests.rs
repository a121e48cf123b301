use super::*;

const HERE: ReplicaId = ReplicaId::from_u128(0xa);
const THERE: ReplicaId = ReplicaId::from_u128(0xb);

fn story(n: u8) -> StoryId {
    StoryId::from_bytes([n; 16])
}

fn shown(shelf: &Shelf) -> Vec<StoryId> {
    shelf.stories.iter().copied().collect()
}

/// States of one history: what a replica had, then what two made of it apart, and all of it.
fn values() -> Vec<Shelf> {
    let mut one = Shelf::default();
    one.put(HERE, story(1)).unwrap();
    let begun = one.clone();
    one.put(HERE, story(2)).unwrap();
    let mut two = one.clone();
    one.take_off(story(1));
    let again = two.put(THERE, story(1)).unwrap();
    two.take_off(story(2));
    let both = one.clone().joined(two.clone());
    let newer: Shelf = serde_json::from_str(r#"{"finished":["a"]}"#).unwrap();
    let mut emptied = both.clone().joined(newer.clone());
    emptied.take_off(story(1));
    vec![Shelf::default(), begun, one, two, again, both, newer, emptied]
}

#[test]
fn a_shelf_is_a_lattice() {
    lattice::laws::check_exhaustively(&values()).unwrap();
    for (a, b) in values().iter().flat_map(|a| values().into_iter().map(move |b| (a.clone(), b))) {
        assert_eq!(a.covers(&b), !a.clone().join(b.clone()), "{a:?} and {b:?}");
    }
}

#[test]
fn taken_off_and_put_on_again_elsewhere_it_stays() {
    let mut here = Shelf::default();
    here.put(HERE, story(1)).unwrap();
    let mut there = here.clone();
    let gone = here.take_off(story(1));
    there.take_off(story(1));
    let again = there.put(THERE, story(1)).unwrap();
    for (mut shelf, delta) in [(here, again), (there, gone)] {
        shelf.join(delta);
        assert_eq!(shown(&shelf), [story(1)]);
        shelf.take_off(story(1));
        assert!(shelf.is_empty(), "and who has seen both takes off both");
    }
}

#[test]
fn what_everybody_took_off_stays_off() {
    let mut here = Shelf::default();
    let first = here.put(HERE, story(1)).unwrap();
    let mut there = here.clone().joined(Shelf::default());
    let second = there.put(THERE, story(1)).unwrap();
    here.join(second.clone());
    let gone = here.take_off(story(1));
    for late in [first, second] {
        assert!(!here.join(late), "a late message brings nothing back");
    }
    there.join(gone);
    assert_eq!((shown(&here), shown(&there)), (vec![], vec![]));
}

/// One replica's week, as deltas: in every order, each twice, they end in what it has.
#[test]
fn deltas_in_any_order_end_in_the_same_shelf() {
    let mut shelf = Shelf::default();
    let deltas = [
        shelf.put(HERE, story(1)).unwrap(),
        shelf.put(HERE, story(2)).unwrap(),
        shelf.take_off(story(1)),
        shelf.put(THERE, story(1)).unwrap(),
        shelf.take_off(story(2)),
    ];
    assert_eq!(shown(&shelf), [story(1)]);
    let mut orders = 0;
    permute(&mut deltas.each_ref(), 0, &mut |order| {
        let mut elsewhere = Shelf::default();
        for delta in order.iter().chain(order.iter().rev()) {
            elsewhere.join((*delta).clone());
        }
        assert_eq!(elsewhere, shelf, "{order:?}");
        orders += 1;
    });
    assert_eq!(orders, 120);
}

fn permute<T>(items: &mut [T], from: usize, each: &mut impl FnMut(&[T])) {
    if from == items.len() {
        return each(items);
    }
    for at in from..items.len() {
        items.swap(from, at);
        permute(items, from + 1, each);
        items.swap(from, at);
    }
}

#[test]
fn the_row_costs_what_its_page_says() {
    let size = |shelf: &Shelf| serde_json::to_string(shelf).unwrap().len();
    let filled = |at: &[ReplicaId], stories: u16| {
        let mut shelf = Shelf::default();
        for n in 0..stories {
            let [high, low] = n.to_be_bytes();
            let id = StoryId::from_bytes([high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let deltas: Vec<_> = at.iter().map(|at| shelf.clone().put(*at, id).unwrap()).collect();
            shelf = deltas.into_iter().fold(shelf, Shelf::joined);
        }
        shelf
    };
    let (ten, hundred) = (filled(&[HERE], 10), filled(&[HERE], 110));
    // One digit more in the range of the context.
    assert_eq!(size(&hundred) - size(&ten), 100 * 91 + 1);
    let (ten, hundred) = (filled(&[HERE, THERE], 10), filled(&[HERE, THERE], 110));
    assert_eq!(size(&hundred) - size(&ten), 100 * (91 + 52) + 2);

    let mut used = Shelf::default();
    for _ in 0..1_000 {
        used.put(HERE, story(1)).unwrap();
        used.take_off(story(1));
    }
    assert!(used.is_empty() && size(&used) < 100, "{}", size(&used));
}

/// The bytes that the first version with shelves wrote.
#[test]
fn golden_bytes() {
    let golden = include_str!("../../tests/golden/shelves.json");
    let read: Vec<Shelf> = serde_json::from_str(golden).unwrap();
    assert_eq!(read, values());
    assert_eq!(serde_json::to_string_pretty(&values()).unwrap() + "\n", golden);
}
