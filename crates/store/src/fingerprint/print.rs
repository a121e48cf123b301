//! From a row to its fingerprint.

use super::{Sums, told};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Makes fingerprints: the same of the same row in every store of a deployment, others in every other one.
#[derive(Debug, Clone)]
pub struct Printer {
    /// Has taken the key in, which fills one block.
    keyed: Sha256,
    #[cfg(feature = "planted")]
    blind_to: Option<&'static str>,
}

/// One block of SHA-256: what is hashed with the key in it costs no more than without.
const BLOCK_BYTES: usize = 64;

impl Printer {
    /// That of a deployment.
    pub fn new(deployment: &str) -> Self {
        let key = Sha256::new().chain_update(b"antiphon fingerprint 1\0").chain_update(deployment).finalize();
        let key: [u8; 32] = key.into();
        let keyed = Sha256::new().chain_update(key).chain_update([0; BLOCK_BYTES - 32]);
        Self {
            keyed,
            #[cfg(feature = "planted")]
            blind_to: None,
        }
    }

    /// From now on it does not look at this field: a bug, for whoever tests that it is noticed.
    #[cfg(feature = "planted")]
    pub(crate) fn be_blind_to(&mut self, field: Option<&'static str>) {
        self.blind_to = field;
    }

    /// Of a row: its key with the tag taken off, and its state as it is stored. The order of the fields does not matter: an
    /// older version writes those that it does not know behind those that it does.
    pub fn row(&self, key: &[u8], state: &[u8]) -> Sums {
        let mut text = Vec::with_capacity(state.len());
        match serde_json::from_slice::<Value>(state) {
            #[cfg(feature = "planted")]
            Ok(Value::Object(mut fields)) => {
                self.blind_to.map(|field| fields.remove(field));
                canonical(&Value::Object(fields), &mut text);
            }
            Ok(value) => canonical(&value, &mut text),
            // No JSON: as it is. No canonical text begins with a zero.
            Err(_) => text.extend([&[0], state].concat()),
        }
        let bytes = u64::try_from(key.len()).unwrap_or(u64::MAX).to_be_bytes();
        let hash = self.keyed.clone().chain_update(bytes).chain_update(key).chain_update(text).finalize();
        let hash: [u8; 32] = hash.into();
        let hash = hash.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        // The weight of a row is never zero, so that a row that is missing is told.
        let hash = if super::low(hash) == 0 { hash | 1 } else { hash };
        Sums::of_row(hash, told(key))
    }
}

/// Writes JSON with its fields in the order of their names. The parser bounds how deep values nest.
fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (name, value) in fields {
                scalar(&Value::String(name.clone()), out);
                out.push(b':');
                canonical(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(values) => {
            out.push(b'[');
            for value in values {
                canonical(value, out);
                out.push(b',');
            }
            out.push(b']');
        }
        other => scalar(other, out),
    }
}

fn scalar(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_fields_does_not_matter_and_all_else_does() {
        let printer = Printer::new("one");
        let print = |key: &[u8], state: &str| printer.row(key, state.as_bytes());
        let row = print(b"k", r#"{"a":1,"b":{"x":[1,2],"y":null}}"#);
        assert_eq!(row, print(b"k", r#"{"b": {"y":null,"x":[1,2]}, "a":1}"#));
        let others = [
            print(b"k", r#"{"a":1,"b":{"x":[2,1],"y":null}}"#),
            print(b"l", r#"{"a":1,"b":{"x":[1,2],"y":null}}"#),
            print(b"k", r#"{"a":"1","b":{"x":[1,2],"y":null}}"#),
            Printer::new("two").row(b"k", br#"{"a":1,"b":{"x":[1,2],"y":null}}"#),
            print(b"k{", r#""a":1"#),
        ];
        for other in others {
            assert_ne!(row, other);
        }
    }

    /// Every replica of every version must make the same ones: another rule would differ everywhere, for ever.
    #[test]
    fn golden() {
        let print = Printer::new("00000000000000000000000000000001").row(&[1; 20], br#"{"b":1,"a":"x"}"#);
        assert_eq!(format!("{:032x}", print.sum), "29c418013c49086ea786ce7bda2676d4");
    }
}
