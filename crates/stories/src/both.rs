//! The key of a row that is about two things.

use std::fmt::{self, Display};
use std::str::FromStr;
use store::KeyPart;
use thiserror::Error;

/// Two keys in one. As text `<one>/<other>`; as bytes the one behind the other, so that all rows about the first are one
/// range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Both<A, B>(pub A, pub B);

/// Text that is no such key. *Fix the sender, or upgrade this reader.*
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BothError {
    /// There is no slash.
    #[error("a key of two is <one>/<other>")]
    Shape,
    /// One of the two is none.
    #[error("{0}")]
    Half(String),
}

impl<A: Display, B: Display> Display for Both<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl<A, B> FromStr for Both<A, B>
where
    A: FromStr<Err: Display>,
    B: FromStr<Err: Display>,
{
    type Err = BothError;

    fn from_str(text: &str) -> Result<Self, BothError> {
        let (one, other) = text.split_once('/').ok_or(BothError::Shape)?;
        let one = one.parse().map_err(|error: A::Err| BothError::Half(error.to_string()))?;
        let other = other.parse().map_err(|error: B::Err| BothError::Half(error.to_string()))?;
        Ok(Self(one, other))
    }
}

impl<A: KeyPart, B: KeyPart> KeyPart for Both<A, B> {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self(A::read(bytes)?, B::read(bytes)?))
    }
}

impl<A, B> From<(A, B)> for Both<A, B> {
    fn from((one, other): (A, B)) -> Self {
        Self(one, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use messages::{PartId, UserId};
    use store::key::{index, read_index};

    #[test]
    fn keys_read_what_they_write_and_keep_the_bytes_of_a_pair() {
        let (part, user) = (PartId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let both = Both(part, user);
        assert_eq!(both.to_string().parse(), Ok(both));
        assert_eq!(index(9, &both), index(9, &(part, user)), "as the first version wrote it");
        assert_eq!(read_index(9, &index(9, &both)), Some(both));
        for wrong in ["", "/", &part.to_string(), &format!("{part}/"), &format!("{both}/{user}")] {
            assert!(wrong.parse::<Both<PartId, UserId>>().is_err(), "{wrong}");
        }
    }
}
