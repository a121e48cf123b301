//! What comments are counted for.

use crate::id::{CommentId, ParagraphId, PartId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use store::KeyPart;
use thiserror::Error;

/// A set of comments that somebody wants the size of.
///
/// As text `part:<id>`, `paragraph:<part>:<id>` or `replies:<comment>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Group {
    /// All comments of a part: those on its paragraphs and the replies too.
    Part(PartId),
    /// The comments on one paragraph, replies among them too.
    Paragraph(PartId, ParagraphId),
    /// The direct replies to a comment.
    Replies(CommentId),
}

/// Text that names no group. *Fix the sender, or upgrade this reader.*
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a group is part:<id>, paragraph:<part>:<id> or replies:<comment>")]
pub struct GroupError;

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => write!(f, "part:{part}"),
            Self::Paragraph(part, paragraph) => write!(f, "paragraph:{part}:{paragraph}"),
            Self::Replies(comment) => write!(f, "replies:{comment}"),
        }
    }
}

impl FromStr for Group {
    type Err = GroupError;
    fn from_str(text: &str) -> Result<Self, GroupError> {
        let (kind, id) = text.split_once(':').ok_or(GroupError)?;
        let group = match kind {
            "part" => id.parse().map(Self::Part),
            "replies" => id.parse().map(Self::Replies),
            "paragraph" => {
                let (part, paragraph) = id.split_once(':').ok_or(GroupError)?;
                part.parse().and_then(|part| Ok(Self::Paragraph(part, paragraph.parse()?)))
            }
            _ => return Err(GroupError),
        };
        group.map_err(|_| GroupError)
    }
}

impl TryFrom<String> for Group {
    type Error = GroupError;
    fn try_from(text: String) -> Result<Self, GroupError> {
        text.parse()
    }
}

impl From<Group> for String {
    fn from(group: Group) -> Self {
        group.to_string()
    }
}

const PART: u8 = 0;
const PARAGRAPH: u8 = 1;
const REPLIES: u8 = 2;

impl KeyPart for Group {
    /// A part's paragraphs are one range: the part comes before the paragraph.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Part(part) => (PART, *part).write(out),
            Self::Paragraph(part, paragraph) => (PARAGRAPH, *part, *paragraph).write(out),
            Self::Replies(comment) => (REPLIES, *comment).write(out),
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match u8::read(bytes)? {
            PART => PartId::read(bytes).map(Self::Part),
            PARAGRAPH => <(PartId, ParagraphId)>::read(bytes).map(|(part, id)| Self::Paragraph(part, id)),
            REPLIES => CommentId::read(bytes).map(Self::Replies),
            _ => None,
        }
    }
}

impl Group {
    /// The byte with which the keys of the groups of replies begin, behind those of all others.
    pub const REPLIES_PREFIX: &'static [u8] = &[REPLIES];

    /// The bytes with which the keys of all groups of a part's paragraphs begin.
    pub fn paragraphs_prefix(part: PartId) -> Vec<u8> {
        let mut out = Vec::new();
        (PARAGRAPH, part).write(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::key::{index, read_index};

    #[test]
    fn groups_read_what_they_write() {
        let (part, paragraph) = (PartId::from_bytes([1; 16]), ParagraphId::from_bytes([2; 16]));
        for group in [
            Group::Part(part),
            Group::Paragraph(part, paragraph),
            Group::Replies(CommentId::from_bytes([3; 16])),
        ] {
            assert_eq!(group.to_string().parse(), Ok(group));
            assert_eq!(read_index(9, &index(9, &group)), Some(group));
        }
        assert!(
            index(9, &Group::Paragraph(part, paragraph))[1..].starts_with(&Group::paragraphs_prefix(part))
        );
        for wrong in ["", "part", "part:1", "votes:", &format!("paragraph:{part}"), &format!("part:{part}:")]
        {
            assert_eq!(wrong.parse::<Group>(), Err(GroupError), "{wrong}");
        }
        assert_eq!(read_index::<Group>(9, &[9, 7]), None);
    }
}
