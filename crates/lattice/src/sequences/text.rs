//! A text that many write.

use super::codec::{Form, Read, Write, deserialize, serialize};
use super::cursor::{Bias, Cursor};
use super::error::SequenceError;
use super::sequence::Sequence;
use crate::{Lattice, ReplicaId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Range;

/// The text that many write at once: a [`Sequence`] of characters.
///
/// Indices count `char`s, which are Unicode scalar values: not bytes, not what a reader takes for one letter (é may be
/// two of them), and not the UTF-16 code units of a browser, for which there are [`to_utf16`](Text::to_utf16) and
/// [`from_utf16`](Text::from_utf16).
///
/// ```
/// use antiphon_lattice::{Lattice, ReplicaId, Text};
/// let (anna, boris) = (ReplicaId::from_u128(1), ReplicaId::from_u128(2));
/// let mut here = Text::default();
/// let mut there = Text::default();
/// there.join(here.insert(anna, 0, "The cat")?);
///
/// let cat = here.splice(anna, 4..7, "dog")?;
/// let sat = there.insert(boris, 7, " sat")?;
/// there.join(cat);
/// here.join(sat);
/// assert_eq!((here.to_string(), &here), ("The dog sat".to_owned(), &there));
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
///
/// # Promise
///
/// That of [`Sequence`]. Above all, words that two type at one place at once, letter by letter, forwards or backwards,
/// and that arrive in any order, stand side by side.
///
/// ```
/// use antiphon_lattice::{Lattice, ReplicaId, Text};
/// let (mut here, mut there) = (Text::default(), Text::default());
/// for (at, letter) in ["a", "b", "c"].into_iter().enumerate() {
///     here.insert(ReplicaId::from_u128(1), at, letter)?;
/// }
/// for letter in ["z", "y", "x"] {
///     there.insert(ReplicaId::from_u128(2), 0, letter)?;
/// }
/// assert_eq!(here.joined(there).to_string(), "abcxyz");
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
///
/// # Anomaly
///
/// It knows characters and not meanings. Who removes a sentence does not remove the word that another puts into it at
/// the same time, and two who correct one mistake at once correct it twice.
///
/// ```
/// use antiphon_lattice::{Lattice, ReplicaId, Text};
/// let mut here = Text::default();
/// here.insert(ReplicaId::from_u128(1), 0, "Teh end. Delete me.")?;
/// let mut there = here.clone();
/// here.splice(ReplicaId::from_u128(1), 1..3, "he")?;
/// here.remove(8..19)?;
/// there.splice(ReplicaId::from_u128(2), 1..3, "he")?;
/// there.insert(ReplicaId::from_u128(2), 15, " not")?;
/// assert_eq!(here.joined(there).to_string(), "Thehe end. not");
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
///
/// # Cost
///
/// That of [`Sequence`], with 4 bytes a character in memory, and in JSON its own. A delta has 128 bytes in memory, and
/// one of a typed letter some 80 in JSON. The conversions to and from UTF-16 walk the text: O(n).
///
/// # Choose another
///
/// If whoever writes last shall win, as for a title: [`Lww`](crate::Lww) of a string. If the paragraphs are moved:
/// an [`Arrangement`](crate::Arrangement) of them, with a text for each in a [`Map`](crate::Map).
///
/// # Source
///
/// Weidner and Kleppmann, *The Art of the Fugue*, 2023 (arXiv 2305.00583), see [`Sequence`].
///
/// # JSON
///
/// As of [`Sequence`], under the name `text`, each list of values being one string.
///
/// ```
/// use antiphon_lattice::{ReplicaId, Text};
/// let mut text = Text::default();
/// text.insert(ReplicaId::from_u128(1), 0, "one two")?;
/// text.remove(3..7)?;
/// assert_eq!(
///     serde_json::to_string(&text).unwrap(),
///     r#"{"text":1,"replicas":["00000000000000000000000000000001"],"runs":[[0,1,[[0,0],[0,0]],"one",4]]}"#,
/// );
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Sequence<char>);

impl Text {
    /// Inserts before the character at an index, or at the end, and returns the delta: what was inserted.
    pub fn insert(&mut self, me: ReplicaId, at: usize, text: &str) -> Result<Self, SequenceError> {
        self.0.insert(me, at, text.chars()).map(Self)
    }

    /// Removes the characters at these indices, and returns the delta: that they are gone.
    pub fn remove(&mut self, range: Range<usize>) -> Result<Self, SequenceError> {
        self.0.remove(range).map(Self)
    }

    /// Removes the characters at these indices, inserts others in their place, and returns the delta of both.
    pub fn splice(&mut self, me: ReplicaId, range: Range<usize>, text: &str) -> Result<Self, SequenceError> {
        let (Range { start, end }, len) = (range, self.len());
        if start > end {
            return Err(SequenceError::Backwards { start, end });
        }
        if end > len {
            return Err(SequenceError::BeyondTheEnd { at: end, len });
        }
        // In this order nothing has changed when it fails: the one error that is left is that there are no more ids.
        let inserted = self.insert(me, start, text)?;
        let behind = self.len() - len;
        Ok(inserted.joined(self.remove(start + behind..end + behind)?))
    }

    /// How many characters are shown.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no character is shown.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many characters wait for others that have not arrived, see [`Sequence::waiting`].
    pub fn waiting(&self) -> u64 {
        self.0.waiting()
    }

    /// The characters in their order.
    pub fn chars(&self) -> impl Iterator<Item = char> {
        self.0.iter().copied()
    }

    /// The cursor before the character at an index, or at the end, see [`Sequence::cursor`].
    pub fn cursor(&self, at: usize, bias: Bias) -> Result<Cursor, SequenceError> {
        self.0.cursor(at, bias)
    }

    /// The index at which a cursor stands now, see [`Sequence::index_of`].
    pub fn index_of(&self, cursor: &Cursor) -> Option<usize> {
        self.0.index_of(cursor)
    }

    /// The characters as elements, with their ids.
    pub const fn as_sequence(&self) -> &Sequence<char> {
        &self.0
    }

    /// How many UTF-16 code units the text has: what a browser calls its length. O(n).
    pub fn len_utf16(&self) -> usize {
        self.chars().map(char::len_utf16).sum()
    }

    /// How many UTF-16 code units stand before the character at an index, or before the end. `None` beyond it. O(n).
    pub fn to_utf16(&self, index: usize) -> Option<usize> {
        (index <= self.len()).then(|| self.chars().take(index).map(char::len_utf16).sum())
    }

    /// The index at which a browser's offset in UTF-16 code units stands. Between the two halves of a character it is
    /// that character's. `None` beyond the end. O(n).
    pub fn from_utf16(&self, units: usize) -> Option<usize> {
        let (mut left, mut index) = (units, 0);
        for character in self.chars() {
            let Some(rest) = left.checked_sub(character.len_utf16()) else { return Some(index) };
            (left, index) = (rest, index + 1);
        }
        (left == 0).then_some(index)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|character| fmt::Write::write_char(f, character))
    }
}

/// The state, with its ids. For the text alone, there is `Display`.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.0).finish()
    }
}

impl Lattice for Text {
    fn join(&mut self, other: Self) -> bool {
        self.0.join(other.0)
    }

    fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }
}

/// Characters as one string.
struct AsString;

impl Form for AsString {
    const NAME: &'static str = "text";
    type Value = char;
}

impl Write for AsString {
    fn write<S: Serializer>(values: &[&char], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&values.iter().copied().collect::<String>())
    }
}

impl Read<'_> for AsString {
    type Piece = String;

    fn values(piece: String) -> Vec<char> {
        piece.chars().collect()
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize::<AsString, S>(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize::<AsString, D>(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ReplicaId = ReplicaId::from_u128(1);

    /// é as two characters, a musical note beyond the first plane, a family of four and three joiners.
    #[test]
    fn utf16_as_browsers_count() {
        let mut text = Text::default();
        text.insert(ME, 0, "ae\u{301}𝄞z").unwrap();
        assert_eq!((text.len(), text.len_utf16()), (5, 6));
        let to: Vec<Option<usize>> = (0..7).map(|index| text.to_utf16(index)).collect();
        assert_eq!(to, [Some(0), Some(1), Some(2), Some(3), Some(5), Some(6), None]);
        let from: Vec<Option<usize>> = (0..8).map(|units| text.from_utf16(units)).collect();
        assert_eq!(
            from,
            [Some(0), Some(1), Some(2), Some(3), Some(3), Some(4), Some(5), None],
            "4 is inside the note"
        );
        text.insert(ME, 5, "👨‍👩‍👧‍👦").unwrap();
        assert_eq!((text.len(), text.len_utf16()), (12, 17));
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        let mut text = Text::default();
        text.insert(ME, 0, "abc").unwrap();
        let before = text.clone();
        let beyond = SequenceError::BeyondTheEnd { at: 4, len: 3 };
        assert_eq!(text.insert(ME, 4, "x"), Err(beyond));
        assert_eq!(text.remove(1..4), Err(beyond));
        assert_eq!(text.splice(ME, 1..4, "x"), Err(beyond));
        assert_eq!(text.cursor(4, Bias::Left), Err(beyond));
        let (start, end) = (2, 1);
        assert_eq!(text.splice(ME, start..end, "x"), Err(SequenceError::Backwards { start, end }));
        assert_eq!(text.insert(ME, 1, ""), Ok(Text::default()));
        assert_eq!(text.remove(3..3), Ok(Text::default()));
        assert_eq!(text, before);
    }

    /// What the page says of the cost of a delta.
    #[test]
    fn costs() {
        assert!(size_of::<Text>() <= 128, "{}", size_of::<Text>());
        let mut text = Text::default();
        text.insert(ME, 0, &"a".repeat(1_000)).unwrap();
        let letter = text.insert(ME, 500, "b").unwrap();
        assert!((70..90).contains(&serde_json::to_string(&letter).unwrap().len()));
        let whole = serde_json::to_string(&text).unwrap();
        assert!(whole.len() < 1_000 + 150, "no more than a run's overhead: {}", whole.len());
    }
}
