//! The `data` of every message: many facts of one kind, by key.

use crate::fact::Fact;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use thiserror::Error;

/// Facts of one kind, by key. It is a lattice value itself: two groups join key by key.
pub type DeltaGroup<F> = BTreeMap<<F as Fact>::Key, <F as Fact>::State>;

/// Why some `data` is no delta group of this kind. *Keep the message whole: a newer version may read it.*
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeltaGroupError {
    /// It is no JSON object.
    #[error("data is not an object from key to state")]
    NotAnObject,
    /// A key is not of this kind.
    #[error("key {key:?}: {detail}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// A state is not of this kind.
    #[error("state of {key}: {detail}")]
    State {
        /// Whose state.
        key: String,
        /// What is wrong.
        detail: String,
    },
}

/// What could be read of a delta group, and why the rest could not.
#[derive(Debug)]
pub struct Decoded<F: Fact> {
    /// The facts that this version understands.
    pub group: DeltaGroup<F>,
    /// One for each entry that it does not.
    pub refused: Vec<DeltaGroupError>,
}

/// Reads a delta group, entry by entry: one of a newer version holds back none of its neighbours.
pub fn decode<F: Fact>(data: &Value) -> Result<Decoded<F>, DeltaGroupError> {
    let object = data.as_object().ok_or(DeltaGroupError::NotAnObject)?;
    let mut decoded = Decoded { group: DeltaGroup::<F>::new(), refused: Vec::new() };
    for (text, state) in object {
        match entry::<F>(text, state) {
            Ok((key, state)) => {
                decoded.group.insert(key, state);
            }
            Err(error) => decoded.refused.push(error),
        }
    }
    Ok(decoded)
}

fn entry<F: Fact>(text: &str, state: &Value) -> Result<(F::Key, F::State), DeltaGroupError> {
    let key = text
        .parse::<F::Key>()
        .map_err(|error| DeltaGroupError::Key { key: text.to_owned(), detail: error.to_string() })?;
    let state = serde::Deserialize::deserialize(state).map_err(|error: serde_json::Error| {
        DeltaGroupError::State { key: text.to_owned(), detail: error.to_string() }
    })?;
    Ok((key, state))
}

/// Writes a delta group.
pub fn encode<F: Fact>(group: &DeltaGroup<F>) -> Result<Value, serde_json::Error> {
    let entry = |(key, state): (&F::Key, &F::State)| Ok((key.to_string(), serde_json::to_value(state)?));
    group.iter().map(entry).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}
