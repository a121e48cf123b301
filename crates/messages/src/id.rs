//! Ids: 128 bits, as text 32 lower-case hexadecimal digits.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use store::KeyPart;
use thiserror::Error;

/// Text that is no id. *Fix the request.*
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an id is 32 lower-case hexadecimal digits")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u128);

        impl $name {
            /// The id of these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }

            /// Its bytes, which sort as it does.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self).ok_or(IdError)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl KeyPart for $name {
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                u128::read(bytes).map(Self)
            }
        }
    };
}

/// One spelling an id: no capitals, no sign, no spaces.
fn parse(text: &str) -> Option<u128> {
    let plain = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

id! {
    /// A person, made from the secret key of their creation.
    UserId
}
id! {
    /// A story, made from its author and the key of its creation.
    StoryId
}
id! {
    /// A part of a story: what is read at one sitting, and what comments hang on.
    PartId
}
id! {
    /// A paragraph of a part; it stays with its text when the text moves.
    ParagraphId
}
id! {
    /// A comment, made from its author, its part and the key of its post: a retry is the same comment.
    CommentId
}
id! {
    /// A public key that verifies tokens: the first half of its SHA-256.
    KeyId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = UserId::from_bytes([0xab; 16]);
        let text = "abababababababababababababababab";
        assert_eq!((id.to_string().as_str(), text.parse()), (text, Ok(id)));
        for wrong in
            ["", "ab", &text.to_uppercase(), &format!("{text}00"), "+babababababababababababababababa"]
        {
            assert_eq!(wrong.parse::<UserId>(), Err(IdError), "{wrong}");
        }
    }
}
