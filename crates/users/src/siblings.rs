//! What replicas of Users tell each other, beside what they tell everybody.
//!
//! A sibling keeps the same rows, so what it hears it joins, and there is nothing else to do. Private keys are no rows:
//! every replica signs with its own, and all believe every key that the root key signed.

use crate::account::Account;
use crate::shelf::Shelf;
use lattice::Stamp;
use messages::{Fact, UserId};

/// What only siblings hear: [`store::Setup::muting`] is given these at a site that has none.
pub const TOPICS: [&str; 2] = [AccountFact::TOPIC, ShelfFact::TOPIC];

/// [`Account`]s by user: a creation that is repeated at another site is known for what it is.
#[derive(Debug)]
pub struct AccountFact;

impl Fact for AccountFact {
    const TOPIC: &'static str = "accounts";
    const TYPE: &'static str = "antiphon.users.account.v1";
    type Key = UserId;
    type State = Account;

    fn newest_stamp(state: &Account) -> Option<Stamp> {
        state.created.get().map(|creation| creation.at)
    }
}

/// [`Shelf`]s by user. What somebody keeps is told to siblings and to no other service: who may read the queue may read
/// it all the same.
#[derive(Debug)]
pub struct ShelfFact;

impl Fact for ShelfFact {
    const TOPIC: &'static str = "shelves";
    const TYPE: &'static str = "antiphon.users.shelf.v1";
    type Key = UserId;
    type State = Shelf;

    /// It holds dots and no stamps.
    fn newest_stamp(_state: &Shelf) -> Option<Stamp> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use messages::{DeltaGroup, delta_group};
    use serde_json::{Value, json};

    fn announced<F: Fact<Key = UserId>>(states: &str) -> Value {
        let states: Vec<F::State> = serde_json::from_str(states).unwrap();
        let group: DeltaGroup<F> =
            (1..).zip(states).map(|(n, state)| (UserId::from_bytes([n; 16]), state)).collect();
        let data = delta_group::encode::<F>(&group).unwrap();
        let read = delta_group::decode::<F>(&data).unwrap();
        assert!(read.refused.is_empty() && read.group == group, "{data}");
        json!({ "topic": F::TOPIC, "type": F::TYPE, "data": data })
    }

    /// The bytes that the first version with siblings sent. The states are those of the rows' own golden files.
    #[test]
    fn golden_bytes() {
        let all = [
            announced::<AccountFact>(include_str!("../tests/golden/accounts.json")),
            announced::<ShelfFact>(include_str!("../tests/golden/shelves.json")),
        ];
        let written = serde_json::to_string_pretty(&all).unwrap() + "\n";
        assert_eq!(written, include_str!("../tests/golden/siblings.json"));
    }
}
