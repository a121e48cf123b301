//! Two writers of one part, each at a replica of their own, who hear of each other when they join.

use super::*;
use crate::part::PartCreation;
use lattice::{Hlc, Lane, Lattice, ReplicaId};
use messages::StoryId;

fn part_id() -> PartId {
    PartId::from_bytes([7; 16])
}

fn author() -> UserId {
    UserId::from_bytes([2; 16])
}

fn stamp(ms: u64, replica: u128) -> Stamp {
    Stamp { hlc: Hlc::new(ms, 0), replica: ReplicaId::from_u128(replica), lane: Lane::default() }
}

fn creation(at: Stamp) -> PartCreation {
    PartCreation { at, story: StoryId::from_bytes([1; 16]), author: author(), request: "5".repeat(32) }
}

/// A part as this version publishes it.
fn published(texts: &[&str], at: Stamp) -> Part {
    let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
    Part::published(part_id(), creation(at), "Chapter 1".to_owned(), &texts).unwrap()
}

/// The same as the version before this one published it: with a number for each place.
fn published_before(texts: &[&str]) -> Part {
    let mut part = published(texts, stamp(1, 1));
    let places: Map<_, _> = part
        .in_order()
        .into_iter()
        .zip(0..)
        .map(|((id, _), place)| (id, Paragraph { place: first(place), ..Paragraph::default() }))
        .collect();
    part.paragraphs.join(places);
    part.order = Arrangement::default();
    part
}

#[derive(Clone)]
struct Writer {
    part: Part,
    now: Stamp,
}

impl Writer {
    fn new(replica: u128, part: &Part) -> Self {
        Self { part: part.clone(), now: stamp(10, replica) }
    }

    /// What a request with this list asks for. A name is the text of a paragraph that is there; `name=text` changes
    /// it; `+text` is a new one.
    fn request(&self, list: &str) -> Edit {
        let there = self.part.in_order();
        let entry = |entry: &str| {
            if let Some(text) = entry.strip_prefix('+') {
                return (None, text.to_owned());
            }
            let (name, text) = entry.split_once('=').unwrap_or((entry, entry));
            let id = there.iter().find(|(_, text)| *text == name).map(|(id, _)| *id);
            assert!(id.is_some(), "{name}");
            (id, text.to_owned())
        };
        Edit {
            part: part_id(),
            by: author(),
            title: None,
            paragraphs: Some(list.split_whitespace().map(entry).collect()),
            request: format!("{list:-<32}"),
            remembered: None,
        }
    }

    fn make(&mut self, edit: &Edit) -> Part {
        self.now.hlc = Hlc::new(self.now.hlc.ms() + 1, 0);
        let delta = edit.delta(&self.part, self.now).unwrap();
        self.part.join(delta.clone());
        delta
    }

    fn save(&mut self, list: &str) -> Part {
        let delta = self.make(&self.request(list));
        let shown: Vec<_> = list
            .split_whitespace()
            .map(|one| one.trim_start_matches('+').rsplit('=').next().unwrap())
            .collect();
        assert_eq!(read(&self.part), shown.join(" "), "the writer sees what they asked for");
        delta
    }
}

fn read(part: &Part) -> String {
    part.in_order().into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

/// What all come to read; in whatever order they hear of it.
fn together(a: &Writer, b: &Writer) -> String {
    let (ab, ba) = (a.part.clone().joined(b.part.clone()), b.part.clone().joined(a.part.clone()));
    assert_eq!(ab, ba);
    assert_eq!(serde_json::to_string(&ab).unwrap(), serde_json::to_string(&ba).unwrap());
    read(&ab)
}

/// From new rows and from old ones.
fn two_writers(texts: &[&str]) -> Vec<(Writer, Writer)> {
    let parts = [published(texts, stamp(1, 1)), published_before(texts)];
    parts.iter().map(|part| (Writer::new(1, part), Writer::new(2, part))).collect()
}

#[test]
fn what_two_writers_do_to_different_paragraphs_holds() {
    for (mut a, mut b) in two_writers(&["one", "two", "three", "four"]) {
        a.save("four one two three");
        b.save("one two=TWO three four");
        assert_eq!(together(&a, &b), "four one TWO three", "a move and a text");
    }
    for (mut a, mut b) in two_writers(&["one", "two", "three", "four"]) {
        a.save("three one two four");
        b.save("one two three=THREE four");
        assert_eq!(together(&a, &b), "THREE one two four", "a move and a text of the same paragraph");
    }
    for (mut a, mut b) in two_writers(&["one", "two", "three", "four"]) {
        a.save("two three four one");
        b.save("four one two three");
        assert_eq!(together(&a, &b), "four two three one", "two moves");
    }
}

#[test]
fn of_two_moves_of_one_paragraph_the_later_holds_and_it_stands_there_once() {
    for (mut a, mut b) in two_writers(&["one", "two", "three", "four"]) {
        a.save("two three four one");
        b.save("one two three four");
        b.save("two three one four");
        assert_eq!(together(&a, &b), "two three one four");
        a.save("one two three four");
        a.save("two three four one");
        assert_eq!(together(&a, &b), "two three four one");
    }
}

#[test]
fn what_two_writers_insert_at_one_place_is_not_interleaved() {
    for (mut a, mut b) in two_writers(&["one", "two"]) {
        a.save("one +a1 +a2 +a3 two");
        b.save("one +b1 +b2 +b3 two");
        let read = together(&a, &b);
        assert!(
            ["one a1 a2 a3 b1 b2 b3 two", "one b1 b2 b3 a1 a2 a3 two"].contains(&read.as_str()),
            "{read}"
        );
    }
    for (mut a, mut b) in two_writers(&[]) {
        a.save("+a1 +a2");
        b.save("+b1 +b2");
        let read = together(&a, &b);
        assert!(["a1 a2 b1 b2", "b1 b2 a1 a2"].contains(&read.as_str()), "{read}");
    }
}

#[test]
fn a_removed_paragraph_is_gone_wherever_it_is_moved() {
    for (mut a, mut b) in two_writers(&["one", "two", "three"]) {
        a.save("one three");
        b.save("two one=ONE +new three");
        assert_eq!(together(&a, &b), "ONE new three");
        // What is written behind one that goes stays where it was written.
        let mut c = Writer::new(3, &b.part);
        b.save("two=TWO three");
        c.save("two ONE new +more three");
        assert_eq!(together(&b, &c), "TWO more three");
    }
}

#[test]
fn a_move_writes_one_slot_and_what_stays_writes_none() {
    let texts: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let mut a = Writer::new(1, &published(&texts, stamp(1, 1)));
    let mut moved = texts.clone();
    let last = moved.pop().unwrap();
    moved.insert(3, last);
    let delta = a.save(&moved.join(" "));
    assert_eq!((slots(&delta), delta.paragraphs.len()), (1, 0), "{delta:?}");
    let delta = a.save(&moved.join(" "));
    assert_eq!(delta, Part::default(), "nothing is left to do");
    moved.remove(50);
    let delta = a.save(&moved.join(" "));
    assert_eq!((slots(&delta), delta.paragraphs.len()), (1, 1), "the slot of the removed one");
    let text = moved.join(" ").replace("20", "20=twenty") + " +new";
    let delta = a.save(&text);
    assert_eq!((slots(&delta), delta.paragraphs.len()), (1, 2));
}

/// For how many paragraphs it says which slot is theirs.
fn slots(part: &Part) -> usize {
    let order = serde_json::to_value(&part.order).unwrap();
    order["places"].as_object().map_or(0, serde_json::Map::len)
}

#[test]
fn a_creation_that_is_repeated_elsewhere_is_the_same_and_undoes_no_move() {
    let texts = ["one", "two", "three"];
    let (here, there) = (published(&texts, stamp(1, 1)), published(&texts, stamp(9, 2)));
    assert_eq!(here.clone().joined(there.clone()), here, "the first one holds, and nothing else differs");
    let mut a = Writer::new(1, &here);
    a.save("three +new one=ONE two");
    assert_eq!(read(&a.part.clone().joined(there.clone())), "three new ONE two");
    // So is what this version makes of a row of the version before.
    let mut old = Writer::new(1, &published_before(&texts));
    old.save("one=ONE two three");
    assert_eq!(old.part.order, there.order);
}

#[test]
fn an_edit_that_is_repeated_elsewhere_makes_nothing_twice() {
    for (mut a, mut b) in two_writers(&["one", "two"]) {
        let edit = a.request("+x one +y two +z");
        a.make(&edit);
        b.make(&edit);
        assert_eq!(together(&a, &b), "x one y two z");
        // Where it comes late, it does not bring back what was changed in what it made.
        let mut late = Writer::new(3, &published(&["one", "two"], stamp(1, 1)));
        late.now = stamp(1_000, 3);
        a.save("z=Z one y two x");
        late.make(&edit);
        assert_eq!(read(&late.part), "x one y two z");
        assert_eq!(together(&a, &late), "Z one y two x");
    }
}

#[test]
fn rows_of_the_version_before_read_as_they_did() {
    let old = published_before(&["one", "two", "three", "four"]);
    assert!(old.order.is_empty());
    assert_eq!(read(&old), "one two three four");
    // Places of that version that collide are read in the order of the ids.
    let mut tied = old.clone();
    let ids: Vec<_> = old.in_order().into_iter().map(|(id, _)| id).collect();
    for id in &ids {
        tied.paragraphs
            .join_entry(*id, Paragraph { place: Lww::new(stamp(5, 1), 3), ..Paragraph::default() });
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(tied.in_order().into_iter().map(|(id, _)| id).collect::<Vec<_>>(), sorted);
    // The first edit gives all of them a slot, once.
    let mut a = Writer::new(1, &old);
    let delta = a.save("one two=TWO three four");
    assert_eq!(slots(&delta), 4);
    let delta = a.save("one=ONE TWO three four");
    assert_eq!(slots(&delta), 0);
    // What that version still adds stands first, until it gets a slot.
    let added = Paragraph { place: Lww::new(stamp(20, 9), 2), ..Paragraph::default() };
    let added = Paragraph { text: first("added".into()), ..added };
    a.part.paragraphs.join_entry(ParagraphId::from_bytes([9; 16]), added);
    assert_eq!(read(&a.part), "added ONE TWO three four");
    a.save("ONE TWO added three four");
}

#[test]
fn a_title_alone_gives_no_slots() {
    let mut a = Writer::new(1, &published_before(&["one"]));
    let edit = Edit { title: Some("Second".into()), paragraphs: None, ..a.request("") };
    assert_eq!(slots(&a.make(&edit)), 0);
    assert_eq!(read(&a.part), "one");
}

#[test]
fn moves_have_a_bound() {
    let mut a = Writer::new(1, &published(&["one", "two"], stamp(1, 1)));
    // As many that were there and are not as make the order too large, all at once.
    let crowd = |number: u128| {
        let id = ParagraphId::from_bytes(number.to_be_bytes()).to_string();
        (id, serde_json::json!({ "at": stamp(2, 9), "value": null }))
    };
    let places: serde_json::Map<_, _> = (0..20_000).map(crowd).collect();
    let mut order = serde_json::to_value(&a.part.order).unwrap();
    order["places"].as_object_mut().unwrap().extend(places);
    a.part.order = serde_json::from_value(order).unwrap();
    let problem = a.request("two one").delta(&a.part, a.now).unwrap_err();
    let limit = PARAGRAPHS_MOVED_BYTES_MAX as u64;
    assert_eq!((problem.field(), problem.limit()), (Some("paragraphs"), Some(limit)), "{problem}");
    a.save("one=ONE +new two");
}

/// What the documentation of [`PARAGRAPHS_MOVED_BYTES_MAX`] says.
#[test]
fn what_an_order_costs() {
    let names: Vec<_> = (0..500).map(|number| number.to_string()).collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut a = Writer::new(1, &published(&names, stamp(1, 1)));
    let bytes = |a: &Writer| serde_json::to_string(&a.part.order).unwrap().len();
    let whole = bytes(&a);
    assert!((200..220).contains(&(whole / 500)), "{whole}");
    for turn in 0..50 {
        let name = names.remove(turn % 2 * 100);
        names.insert((turn + 1) % 2 * 100, name);
        a.save(&names.join(" "));
    }
    let moved = bytes(&a);
    assert!(moved - whole < 50 * 60, "{whole} {moved}");
    names.truncate(100);
    a.save(&names.join(" "));
    let left = (moved - bytes(&a)) / 400;
    assert!((60..90).contains(&left), "{left}");
}
