//! Fields that a newer version added: kept, and joined, by a version that does not know them.

use lattice::Lattice;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The fields of a state that this version does not know, by name.
///
/// An old replica between two new ones must pass on what it cannot read, and must itself converge: so a field that two
/// states know differently is joined by taking the greater one, compared as text. That is a lattice, if not always the
/// newer version's: a new replica that meets the result joins it with its own state, which lost nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unknown(BTreeMap<String, Value>);

impl Unknown {
    /// True where every field was known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Lattice for Unknown {
    fn join(&mut self, other: Self) -> bool {
        let mut grew = false;
        for (name, value) in other.0 {
            let theirs = value.to_string();
            let mine = self.0.get(&name).map(Value::to_string);
            if mine.is_none_or(|mine| theirs > mine) {
                self.0.insert(name, value);
                grew = true;
            }
        }
        grew
    }
}

/// For `skip_serializing_if`: a field at bottom is left out, so that a field added later changes no old bytes.
pub fn is_bottom<L: Default + PartialEq>(field: &L) -> bool {
    *field == L::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_a_lattice() {
        let of = |text: &str| serde_json::from_str::<Unknown>(text).unwrap();
        let values =
            ["{}", r#"{"a":1}"#, r#"{"a":2}"#, r#"{"b":null}"#, r#"{"a":{"x":[1]},"b":"y"}"#].map(of);
        lattice::laws::check_exhaustively(&values).unwrap();
    }
}
