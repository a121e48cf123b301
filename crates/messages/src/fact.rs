//! What every kind of fact says of itself.

use lattice::{Lattice, Stamp};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::{Debug, Display};
use std::str::FromStr;
use store::KeyPart;

/// A kind of fact that one service announces and others keep a copy of.
pub trait Fact: Debug + Send + Sync + 'static {
    /// Where it is announced.
    const TOPIC: &'static str;
    /// The `type` of its envelopes, which ends in its version: what an old reader would misread gets another one.
    const TYPE: &'static str;
    /// The first row key (its bytes, without a tag) that is announced under this fact. Rows of one kind may be announced
    /// under several facts, each with a range of its own: what is compared must be what is announced.
    const KEYS_FROM: &'static [u8] = &[];
    /// The first row key behind those; empty: all that follow.
    const KEYS_TO: &'static [u8] = &[];
    /// What it is about. As text it is the key in the delta group; as bytes it is the row's key.
    type Key: KeyPart + Debug + Display + FromStr<Err: Display> + Ord + Clone + Send + Sync + 'static;
    /// What is known about it: a delta and a state at once.
    type State: Lattice + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The newest stamp in a state, so that the receiver's clock goes on above it.
    fn newest_stamp(state: &Self::State) -> Option<Stamp>;

    /// Smaller states whose join this one is: asked for where a state is too large for a message. In whatever order they
    /// are joined, and however many are lost and sent again, the row comes to be the same; until all are there a reader
    /// may see a part of it. A kind whose states are always small leaves it as it is.
    fn pieces(state: Self::State) -> Vec<Self::State> {
        vec![state]
    }
}
