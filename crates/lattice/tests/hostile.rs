//! Bytes from elsewhere: decoding them gives an error or a lawful state, and never a panic.

mod common;

use antiphon_lattice::{GSet, Hlc, Life, Lww, Map, Max, Pair, ParseError, ReplicaId, Stamp, Tally};
use proptest::prelude::*;
use serde::de::DeserializeOwned;

const STAMP: &str = "018bcfe568000007-01987a3c5b1e7000800000000000000a-0000";

/// Every text beside the one right one is refused, and the error says where.
#[test]
fn stamps_that_are_none() {
    let length = |found| ParseError::Length { what: "stamp", expected: 54, found };
    let digit = |at| ParseError::Digit { what: "stamp", at };
    let separator = |at| ParseError::Separator { what: "stamp", at };
    let table = [
        (String::new(), length(0)),
        (STAMP[1..].to_owned(), length(53)),
        (format!("{STAMP}0"), length(55)),
        (format!(" {STAMP}"), length(55)),
        (STAMP.replace('-', ""), length(52)),
        (STAMP.to_uppercase(), digit(3)),
        (STAMP.replacen('0', "+", 1), digit(0)),
        (STAMP.replacen('-', "0", 1), separator(16)),
        (STAMP.replace("-0000", "_0000"), separator(49)),
        (STAMP.replace("-0000", "-000g"), digit(53)),
        (STAMP.replacen("01", "é", 1), digit(0)),
        (STAMP.replace('0', "０"), length(54 + 2 * STAMP.matches('0').count())),
        ("-".repeat(54), digit(0)),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<Stamp>(), Err(expected), "{text}");
        assert!(serde_json::from_value::<Stamp>(text.into()).is_err());
    }
}

#[test]
fn ids_and_moments_that_are_none() {
    for text in ["", "0", "+0000000000000000000000000000001", "0000000000000000000000000000000A", "-"] {
        assert!(text.parse::<ReplicaId>().is_err(), "{text}");
    }
    for text in ["", "0", "+00000000000000f", "000000000000000G", "00000000000000000"] {
        assert!(text.parse::<Hlc>().is_err(), "{text}");
    }
}

#[test]
fn errors_read_as_fragments() {
    let of = |text: &str| text.parse::<Stamp>().unwrap_err().to_string();
    assert_eq!(of("x"), "a stamp has 54 characters, this text has 1");
    assert_eq!(of(&STAMP.to_uppercase()), "a stamp has a lower hex digit at byte 3, this text has not");
    assert_eq!(of(&STAMP.replacen('-', "0", 1)), "a stamp has a hyphen at byte 16, this text has not");
}

/// JSON that is well formed and says something that the types do not.
#[test]
fn json_that_is_none() {
    fn refused<T: DeserializeOwned>(texts: &[&str]) {
        for text in texts {
            assert!(serde_json::from_str::<T>(text).is_err(), "{text}");
        }
    }
    refused::<Max<u64>>(&["-1", "1.5", "18446744073709551616", "null", "\"1\"", "[1]"]);
    refused::<Life>(&["null", "\"Live\"", "\"undead\"", "0"]);
    refused::<GSet<u8>>(&["null", "{}", "[256]", "[null]"]);
    refused::<Map<String, Max<u8>>>(&["null", "[]", r#"{"a":null}"#, r#"{"a":-1}"#]);
    refused::<Map<ReplicaId, Max<u8>>>(&[r#"{"1":1}"#, r#"{"":1}"#]);
    refused::<Lww<u8>>(&["0", "{}", r#"{"at":null,"value":1}"#, r#"{"at":"","value":1}"#, r#"{"value":1}"#]);
    refused::<Lww<u8>>(&[
        &format!(r#"{{"at":"{STAMP}"}}"#),
        &format!(r#"{{"at":"{STAMP}","at":"{STAMP}","value":1}}"#),
    ]);
    refused::<Pair<Max<u8>, Life>>(&["null", "[]", "[1]", r#"[1,"live",0]"#]);
    refused::<Tally>(&[
        "null",
        "{}",
        r#"{"epoch":null,"added":1,"removed":1}"#,
        r#"{"added":1,"removed":1}"#,
    ]);
    refused::<ReplicaId>(&["null", "0", "[]", "\"\""]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_text_is_a_stamp_only_if_it_is_the_stamps_own(text in "[0-9a-f]{16}-[0-9a-f]{32}-[0-9a-f]{4}|\\PC{54}") {
        if let Ok(stamp) = text.parse::<Stamp>() {
            prop_assert_eq!(stamp.to_string(), text);
        }
    }
}
