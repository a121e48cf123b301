//! Texts of what is fixed-width hex, and of interval tree clocks. A text that is read is the value's own.

#![no_main]

use lattice::{Dot, EventTree, Hlc, IntervalTreeClock, ItcId, ReplicaId, Stamp};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::{Debug, Display};
use std::str::FromStr;

fn read<T>(text: &str) -> Option<T>
where
    T: FromStr + Display + Debug + PartialEq + Serialize + DeserializeOwned,
    T::Err: Display,
{
    let json = serde_json::from_value::<T>(text.into());
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value));
            assert_eq!(json.ok().as_ref(), Some(&value), "JSON is the text");
            Some(value)
        }
        Err(error) => {
            assert!(json.is_err() && !error.to_string().is_empty());
            None
        }
    }
}

fuzz_target!(|text: &str| {
    let own = [
        read::<Stamp>(text).map(|stamp| {
            assert_eq!(Stamp::from_bytes(stamp.to_bytes()), stamp);
            stamp.to_string()
        }),
        read::<Dot>(text).map(|dot| dot.to_string()),
        read::<ReplicaId>(text).map(|id| id.to_string()),
        read::<Hlc>(text).map(|moment| moment.to_string()),
    ];
    assert!(own.into_iter().flatten().all(|own| own == text), "one value has one text");
    // These have several texts, one of which is the normal form.
    read::<ItcId>(text);
    read::<EventTree>(text);
    read::<IntervalTreeClock>(text);
});
