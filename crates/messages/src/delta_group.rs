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

/// Reads a delta group.
pub fn decode<F: Fact>(data: &Value) -> Result<DeltaGroup<F>, DeltaGroupError> {
    let object = data.as_object().ok_or(DeltaGroupError::NotAnObject)?;
    object
        .iter()
        .map(|(text, state)| {
            let key = text
                .parse::<F::Key>()
                .map_err(|error| DeltaGroupError::Key { key: text.clone(), detail: error.to_string() })?;
            let state = serde::Deserialize::deserialize(state).map_err(|error: serde_json::Error| {
                DeltaGroupError::State { key: text.clone(), detail: error.to_string() }
            })?;
            Ok((key, state))
        })
        .collect()
}

/// Writes a delta group.
pub fn encode<F: Fact>(group: &DeltaGroup<F>) -> Result<Value, serde_json::Error> {
    let entry = |(key, state): (&F::Key, &F::State)| Ok((key.to_string(), serde_json::to_value(state)?));
    group.iter().map(entry).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}
