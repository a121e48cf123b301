//! The catalogue: every kind of row that Users stores, with its key.
//!
//! | tag | row | key after the tag | value | lives |
//! |---|---|---|---|---|
//! | `0x10` | [`AccountRow`] | user | [`Account`] | for ever |
//! | `0x11` | [`ProfileRow`] | user | [`Profile`] | for ever |
//! | `0x12` | [`SigningKeyRow`] | key id | public key and certificate | for ever; a private key is no row |
//! | `0x13` | [`ShelfRow`] | user | [`Shelf`] | for ever, from the first story that is put there |

use crate::account::Account;
use crate::shelf::Shelf;
use messages::{KeyId, Profile, SigningKeyState, UserId};
use store::Row;

/// Who was created, and by which request. Told to siblings only.
#[derive(Debug)]
pub struct AccountRow;
impl Row for AccountRow {
    const TAG: u8 = 0x10;
    const NAME: &'static str = "account";
    type Key = UserId;
    type State = Account;
}

/// Who people are to others.
#[derive(Debug)]
pub struct ProfileRow;
impl Row for ProfileRow {
    const TAG: u8 = 0x11;
    const NAME: &'static str = "profile";
    type Key = UserId;
    type State = Profile;
}

/// What verifies tokens.
#[derive(Debug)]
pub struct SigningKeyRow;
impl Row for SigningKeyRow {
    const TAG: u8 = 0x12;
    const NAME: &'static str = "signing key";
    type Key = KeyId;
    type State = SigningKeyState;
}

/// What people keep in their libraries. Told to siblings only.
#[derive(Debug)]
pub struct ShelfRow;
impl Row for ShelfRow {
    const TAG: u8 = 0x13;
    const NAME: &'static str = "shelf";
    type Key = UserId;
    type State = Shelf;
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::key;

    /// The bytes that the first version wrote.
    #[test]
    fn golden_keys() {
        let (user, signing) = (UserId::from_bytes([0xab; 16]), KeyId::from_bytes([0xcd; 16]));
        assert_eq!(key::of::<AccountRow>(&user), [&[0x10], [0xab; 16].as_slice()].concat());
        assert_eq!(key::of::<ProfileRow>(&user), [&[0x11], [0xab; 16].as_slice()].concat());
        assert_eq!(key::of::<SigningKeyRow>(&signing), [&[0x12], [0xcd; 16].as_slice()].concat());
        assert_eq!(key::of::<ShelfRow>(&user), [&[0x13], [0xab; 16].as_slice()].concat());
    }
}
