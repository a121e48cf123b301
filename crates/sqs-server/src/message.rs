//! What a message may hold, and the digests by which clients check that it arrived whole.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use crate::engine::content::{Attribute, AttributeValue};
use crate::error::{Kind, SqsError, SqsResult};

/// Most attributes of a message.
const ATTRIBUTES_MAX: usize = 10;
/// Longest name and type of an attribute, in characters.
const NAME_CHARS_MAX: usize = 256;
/// The logical types; a dot and a label may follow.
const TYPES: [&str; 3] = ["String", "Number", "Binary"];

/// The characters of XML 1.0, which are those of a message.
fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn invalid(message: String) -> SqsError {
    SqsError::new(Kind::InvalidParameterValue, message)
}

fn illegal() -> SqsError {
    SqsError::new(Kind::InvalidMessageContents, "The message contains characters outside the allowed set.")
}

/// Bytes of a message, as limits count them.
pub(crate) fn bytes_of(body: &str, attributes: &BTreeMap<String, Attribute>) -> usize {
    let of = |(name, attribute): (&String, &Attribute)| {
        let value = match &attribute.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        name.len() + attribute.data_type.len() + value
    };
    body.len() + attributes.iter().map(of).sum::<usize>()
}

/// Holds a message against the rules of SQS and the limit of its queue.
pub(crate) fn check(body: &str, attributes: &BTreeMap<String, Attribute>, bytes_max: usize) -> SqsResult<()> {
    if body.is_empty() {
        return Err(SqsError::missing("MessageBody"));
    }
    if !body.chars().all(is_legal) {
        return Err(illegal());
    }
    if attributes.len() > ATTRIBUTES_MAX {
        let found = attributes.len();
        return Err(invalid(format!(
            "Number of message attributes [{found}] exceeds the allowed maximum [{ATTRIBUTES_MAX}]."
        )));
    }
    for (name, attribute) in attributes {
        check_name(name)?;
        check_value(name, attribute)?;
    }
    if bytes_of(body, attributes) > bytes_max {
        return Err(SqsError::invalid(format!("Message must be shorter than {bytes_max} bytes.")));
    }
    Ok(())
}

fn check_name(name: &str) -> SqsResult<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let lower = name.to_ascii_lowercase();
    let rule = if name.is_empty() || !name.chars().all(legal) {
        "can contain A-Z, a-z, 0-9, underscore (_), hyphen (-), and period (.) characters."
    } else if name.len() > NAME_CHARS_MAX {
        "can be up to 256 characters long."
    } else if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        "cannot start or end with a period, or contain two in a row."
    } else if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        "cannot start with AWS. or Amazon."
    } else {
        return Ok(());
    };
    Err(invalid(format!("The message attribute name '{name}' is invalid. Attribute name {rule}")))
}

fn check_value(name: &str, attribute: &Attribute) -> SqsResult<()> {
    let data_type = &attribute.data_type;
    if data_type.is_empty() {
        return Err(invalid(format!(
            "The message attribute '{name}' must contain a non-empty message attribute type."
        )));
    }
    let logical = data_type.split('.').next().unwrap_or_default();
    if !TYPES.contains(&logical) || data_type.len() > NAME_CHARS_MAX {
        return Err(invalid(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
        )));
    }
    let empty = || {
        invalid(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{data_type}'."
        ))
    };
    match (&attribute.value, logical == "Binary") {
        (AttributeValue::Binary(bytes), true) if !bytes.is_empty() => Ok(()),
        (AttributeValue::Text(text), false) if !text.is_empty() => {
            if !text.chars().all(is_legal) {
                return Err(invalid(format!(
                    "The value of message (user) attribute '{name}' contains characters outside the allowed set."
                )));
            }
            if logical == "Number" && !is_number(text) {
                return Err(invalid(format!(
                    "Can't cast the value of message (user) attribute '{name}' to a number."
                )));
            }
            Ok(())
        }
        _ => Err(empty()),
    }
}

fn is_number(text: &str) -> bool {
    // What Rust reads as a number beside digits, "inf" and "NaN", is none here.
    text.parse::<f64>().is_ok() && !text.chars().any(|c| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
        hex
    })
}

/// The digest of a body.
pub(crate) fn md5_of_body(body: &str) -> String {
    hex(&Md5::digest(body))
}

/// The digest of attributes, as [documented](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation):
/// in the order of names, each name, type and value behind its length, the value behind a byte that tells text (1) from
/// bytes (2). `None` without attributes.
pub(crate) fn md5_of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a str, &'a Attribute)>,
) -> Option<String> {
    let mut hash = Md5::new();
    let mut some = false;
    for (name, attribute) in attributes {
        some = true;
        let (transport, value) = match &attribute.value {
            AttributeValue::Text(text) => (1_u8, text.as_bytes()),
            AttributeValue::Binary(bytes) => (2, bytes.as_slice()),
        };
        for part in [name.as_bytes(), attribute.data_type.as_bytes()] {
            update_sized(&mut hash, part);
        }
        hash.update([transport]);
        update_sized(&mut hash, value);
    }
    some.then(|| hex(&hash.finalize()))
}

fn update_sized(hash: &mut Md5, part: &[u8]) {
    // A message is shorter than 4 GiB by far: its limit was checked.
    hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data_type: &str, value: &str) -> Attribute {
        Attribute { data_type: data_type.into(), value: AttributeValue::Text(value.into()) }
    }

    fn digest(attributes: &[(&str, Attribute)]) -> Option<String> {
        md5_of_attributes(attributes.iter().map(|(name, value)| (*name, value)))
    }

    /// Made with Python's `hashlib` and `struct` from the documented steps; the first is in moto's tests, too.
    #[test]
    fn digests_are_those_that_clients_make() {
        assert_eq!(md5_of_body("hello world"), "5eb63bbbe01eeed093cb22bb8f5acdc3");
        assert_eq!(digest(&[]), None);
        assert_eq!(
            digest(&[("timestamp", text("Number", "1493147359900"))]).unwrap(),
            "235c5c510d26fb653d073faed50ae77c"
        );
        let bytes = Attribute { data_type: "Binary".into(), value: AttributeValue::Binary(vec![0, 255]) };
        let mixed = [("a", text("String", "x")), ("b", bytes), ("c", text("Number.int", "7"))];
        assert_eq!(digest(&mixed).unwrap(), "eeccf9815086af14adf368df25752fd3");
    }

    #[test]
    fn numbers_are_numbers() {
        for good in ["0", "-1.5", "+3", "1e10", ".5", "123456789012345678901234567890"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "x", "inf", "NaN", "infinity", "0x10", "1,5"] {
            assert!(!is_number(bad), "{bad}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_refused_by_name() {
        let check_one = |name: &str, value: Attribute| {
            check("b", &BTreeMap::from([(name.to_owned(), value)]), 1_000).map_err(|error| error.message)
        };
        assert_eq!(check_one("a.b-C_9", text("String.label", "x")), Ok(()));
        for name in [".a", "a.", "a..b", "AWS.x", "amazon.x", "a b", ""] {
            assert!(check_one(name, text("String", "x")).unwrap_err().contains(name), "{name}");
        }
        assert!(check_one("a", text("Text", "x")).unwrap_err().contains("prefixes"));
        assert!(check_one("a", text("String", "")).unwrap_err().contains("non-empty"));
        assert!(check_one("a", text("Binary", "x")).unwrap_err().contains("non-empty"));
        assert!(check_one("a", text("Number", "one")).unwrap_err().contains("cast"));
        assert_eq!(check("\u{0}", &BTreeMap::new(), 9).unwrap_err().kind, Kind::InvalidMessageContents);
        assert_eq!(check("\u{ffff}", &BTreeMap::new(), 9).unwrap_err().kind, Kind::InvalidMessageContents);
        assert_eq!(check("", &BTreeMap::new(), 9).unwrap_err().kind, Kind::MissingParameter);
        // 5 of the body, and 1 + 6 + 1 of the attribute.
        let attributes = BTreeMap::from([("a".into(), text("String", "x"))]);
        assert_eq!(check("12345", &attributes, 13), Ok(()));
        assert!(check("12345", &attributes, 12).unwrap_err().message.contains("12 bytes"));
    }
}
