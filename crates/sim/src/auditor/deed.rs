//! What somebody tries to do.

use std::fmt;

/// The number of a comment: its text begins with it, so that it is known again without its id.
pub type Tag = u32;

/// Something that is created once, and known by the name that its creator gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A person.
    User(u32),
    /// A story.
    Story(u32),
    /// A part of a story.
    Part(u32),
}

/// Something that holds one value, the last one written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Whether a comment is shown.
    Visible(Tag),
    /// What a comment says.
    Text(Tag),
    /// Whether a person votes for a part (both by their ids).
    Vote {
        /// The part's id.
        part: String,
        /// The person's id.
        user: String,
    },
    /// What a person is called, by their id.
    Name(String),
    /// Whether a story is on a person's shelf.
    Shelf {
        /// The person's id.
        user: String,
        /// The story's id.
        story: String,
    },
    /// What a part is called, by its id.
    Title(String),
    /// What a paragraph says.
    Paragraph {
        /// The part's id.
        part: String,
        /// The number with which its text begins.
        tag: u32,
    },
}

/// One thing that is tried, perhaps several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Posts a comment, as the variant says: an honest client has only one.
    Post {
        /// Which.
        tag: Tag,
        /// Which of the bodies that are sent under its key.
        variant: usize,
    },
    /// Deletes a comment.
    Delete {
        /// Which.
        tag: Tag,
        /// As the story's author, and not as the comment's.
        as_host: bool,
    },
    /// Writes a value.
    Set {
        /// Where.
        field: Field,
        /// What.
        value: String,
    },
    /// Creates something.
    Make(Thing),
    /// Moves a part in its story; by the part's id.
    Move(String),
    /// Moves a paragraph in a part; by the part's id.
    Reorder(String),
    /// Takes a part down, by its id.
    End(String),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(number) => write!(f, "user {number}"),
            Self::Story(number) => write!(f, "story {number}"),
            Self::Part(number) => write!(f, "part {number}"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visible(tag) => write!(f, "visibility of #{tag}"),
            Self::Text(tag) => write!(f, "text of #{tag}"),
            Self::Vote { part, user } => write!(f, "vote of {user} for {part}"),
            Self::Name(user) => write!(f, "name of {user}"),
            Self::Shelf { user, story } => write!(f, "{story} on the shelf of {user}"),
            Self::Title(part) => write!(f, "title of {part}"),
            Self::Paragraph { part, tag } => write!(f, "¶{tag} of {part}"),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Post { tag, variant: 0 } => write!(f, "post #{tag}"),
            Self::Post { tag, variant } => write!(f, "post #{tag}, body {variant}"),
            Self::Delete { tag, as_host: false } => write!(f, "delete #{tag}"),
            Self::Delete { tag, as_host: true } => write!(f, "delete #{tag} as host"),
            Self::Set { field, value } => write!(f, "set {field} to {value:?}"),
            Self::Make(thing) => write!(f, "make {thing}"),
            Self::Move(part) => write!(f, "move {part}"),
            Self::Reorder(part) => write!(f, "reorder {part}"),
            Self::End(part) => write!(f, "take down {part}"),
        }
    }
}
