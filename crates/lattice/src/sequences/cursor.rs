//! A place between two elements.

use super::error::SequenceError;
use super::sequence::Sequence;
use crate::Dot;
use serde::{Deserialize, Serialize};

/// To which of its two neighbours a [`Cursor`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bias {
    /// To the element before it: what is inserted at the cursor goes behind it.
    Left,
    /// To the element after it: what is inserted at the cursor goes before it, as under a caret at which somebody types.
    Right,
}

/// A place between two elements of a [`Sequence`](crate::Sequence) or a [`Text`](crate::Text), which stays where it is
/// while they are edited around it: a caret, an end of a selection, the place of a comment.
///
/// It is the id of one of the two neighbours. When that element is removed, the cursor is where it was, for what is
/// removed keeps its place. It is no lattice: put it into an [`Lww`](crate::Lww) to share it.
///
/// JSON: `{"beside": id, "bias": "left"}`, with `null` for the start (of a left bias) and the end (of a right one).
///
/// ```
/// use antiphon_lattice::{Bias, ReplicaId, Text};
/// let me = ReplicaId::from_u128(1);
/// let mut text = Text::default();
/// text.insert(me, 0, "one three")?;
/// let caret = text.cursor(4, Bias::Right)?;
/// text.insert(me, 4, "two ")?;
/// assert_eq!(text.index_of(&caret), Some(8), "it holds to the t of three");
/// text.remove(6..13)?;
/// assert_eq!((text.to_string().as_str(), text.index_of(&caret)), ("one tw", Some(6)), "which is gone");
/// # Ok::<(), antiphon_lattice::SequenceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    beside: Option<Dot>,
    bias: Bias,
}

impl Cursor {
    /// To which neighbour it holds.
    pub const fn bias(&self) -> Bias {
        self.bias
    }

    /// The id of that neighbour. `None` is the start of the list, of a left bias, or its end, of a right one.
    pub const fn beside(&self) -> Option<Dot> {
        self.beside
    }
}

impl<T: Ord> Sequence<T> {
    /// The cursor before the element at an index, or at the end.
    pub fn cursor(&self, at: usize, bias: Bias) -> Result<Cursor, SequenceError> {
        let len = self.len();
        if at > len {
            return Err(SequenceError::BeyondTheEnd { at, len });
        }
        let neighbour = match bias {
            Bias::Left => at.checked_sub(1),
            Bias::Right => Some(at),
        };
        Ok(Cursor { beside: neighbour.and_then(|at| self.id_at(at)), bias })
    }

    /// The index at which a cursor stands now. `None` if its element has not arrived here: its writer knows more.
    pub fn index_of(&self, cursor: &Cursor) -> Option<usize> {
        let Some(id) = cursor.beside else {
            return Some(if cursor.bias == Bias::Left { 0 } else { self.len() });
        };
        let (before, shown) = self.place(id)?;
        Some(before + usize::from(shown && cursor.bias == Bias::Left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lattice, ReplicaId, Text};

    const ME: ReplicaId = ReplicaId::from_u128(1);

    /// Where each of the cursors of a text stands after an edit: first those of a left bias, then those of a right one.
    #[test]
    fn cursors_survive_edits() {
        type Edit = fn(&mut Text) -> Result<Text, SequenceError>;
        let table: [(Edit, [usize; 4], [usize; 4]); 6] = [
            (|text| text.insert(ME, 0, "--"), [0, 3, 4, 5], [2, 3, 4, 5]),
            (|text| text.insert(ME, 1, "--"), [0, 1, 4, 5], [0, 3, 4, 5]),
            (|text| text.insert(ME, 3, "--"), [0, 1, 2, 3], [0, 1, 2, 5]),
            (|text| text.remove(1..2), [0, 1, 1, 2], [0, 1, 1, 2]),
            (|text| text.remove(0..3), [0, 0, 0, 0], [0, 0, 0, 0]),
            (|text| text.splice(ME, 1..2, "--"), [0, 1, 3, 4], [0, 3, 3, 4]),
        ];
        for (nth, (edit, left, right)) in table.into_iter().enumerate() {
            let mut text = Text::default();
            text.insert(ME, 0, "abc").unwrap();
            let cursors = |bias| [0, 1, 2, 3].map(|at| text.cursor(at, bias).unwrap());
            let (lefts, rights) = (cursors(Bias::Left), cursors(Bias::Right));
            edit(&mut text).unwrap();
            assert_eq!(lefts.map(|cursor| text.index_of(&cursor)), left.map(Some), "{nth}");
            assert_eq!(rights.map(|cursor| text.index_of(&cursor)), right.map(Some), "{nth}");
        }
    }

    #[test]
    fn a_cursor_may_come_before_its_element() {
        let (mut here, mut there) = (Text::default(), Text::default());
        let delta = here.insert(ME, 0, "abc").unwrap();
        let cursor = here.cursor(2, Bias::Left).unwrap();
        assert_eq!(there.index_of(&cursor), None);
        there.join(delta);
        assert_eq!(there.index_of(&cursor), Some(2));
    }
}
