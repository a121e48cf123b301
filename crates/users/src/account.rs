//! The state of an account: that somebody is here, and by which request they came.

use lattice::{Lattice, Min, Stamp};
use messages::{Unknown, is_bottom};
use serde::{Deserialize, Serialize};

/// When somebody came, and what they sent.
///
/// A minimum register holds it, ordered by its stamp first: a creation that two replicas accepted is one account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Creation {
    /// When, and at which replica.
    pub at: Stamp,
    /// Half a SHA-256 of the whole request under its idempotency key, in hexadecimal: tells a retry from another
    /// request, whatever the profile has become since. It gives nobody the key.
    pub request: String,
}

/// An account as it is stored: the minimum of its creations. Who they are is in their profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How it began.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub created: Min<Creation>,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Lattice for Account {
    fn join(&mut self, other: Self) -> bool {
        let created = self.created.join(other.created);
        self.unknown.join(other.unknown) || created
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice::{Hlc, Lane, ReplicaId};

    fn created(ms: u64, request: &str) -> Account {
        let at = Stamp { hlc: Hlc::new(ms, 0), replica: ReplicaId::from_u128(7), lane: Lane::default() };
        let creation = Creation { at, request: request.repeat(32) };
        Account { created: Min::of(creation), ..Account::default() }
    }

    fn values() -> Vec<Account> {
        let newer: Account = serde_json::from_str(r#"{"shelf":["a"]}"#).unwrap();
        let first = created(1_700_000_000_000, "1");
        // The last two have one stamp: a fault of identity, on which all agree even so.
        let tied = [created(1_700_000_000_001, "2"), created(1_700_000_000_001, "3")];
        [vec![Account::default(), first.clone(), newer.clone(), first.joined(newer)], tied.into()].concat()
    }

    #[test]
    fn an_account_is_a_lattice() {
        lattice::laws::check_exhaustively(&values()).unwrap();
    }

    #[test]
    fn the_first_creation_stays() {
        let both = created(2, "b").joined(created(1, "a"));
        assert_eq!(both, created(1, "a"));
    }

    /// The bytes that the first version wrote.
    #[test]
    fn golden_bytes() {
        let golden = include_str!("../tests/golden/accounts.json");
        let read: Vec<Account> = serde_json::from_str(golden).unwrap();
        assert_eq!(read, values());
        assert_eq!(serde_json::to_string_pretty(&values()).unwrap() + "\n", golden);
    }
}
