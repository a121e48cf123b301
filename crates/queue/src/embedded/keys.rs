//! The keys of the embedded queue, all of them. Changing one is a migration.
//!
//! | tag | row | key after the tag | value | lives |
//! |---|---|---|---|---|
//! | `0x10` | books of a subscription | its name | next number, live, dead: 3 × `u64` big-endian | for ever |
//! | `0x11` | message | name, `0x00`, number `u64` big-endian | see `codec` | until acked |
//! | `0x12` | receive count | as its message | `u32` big-endian | as its message |
//! | `0x13` | dead letter | as its message had | see `codec` | until redriven |
//!
//! Counts are rows of their own, so that handing out a large message does not write it again.

use std::ops::Bound;

use store::Scan;

use crate::Subscription;

const BOOKS_TAG: u8 = 0x10;
const MESSAGE_TAG: u8 = 0x11;
const COUNT_TAG: u8 = 0x12;
const DEAD_TAG: u8 = 0x13;

pub(super) fn books(subscription: &Subscription) -> Vec<u8> {
    let mut key = vec![BOOKS_TAG];
    key.extend(subscription.to_string().bytes());
    key
}

pub(super) fn all_books() -> Scan {
    Scan::prefix(&[BOOKS_TAG])
}

pub(super) fn read_books(key: &[u8]) -> Option<Subscription> {
    let (tag, name) = key.split_first()?;
    std::str::from_utf8(name).ok().filter(|_| *tag == BOOKS_TAG)?.parse().ok()
}

fn numbered(tag: u8, subscription: &Subscription, number: u64) -> Vec<u8> {
    let mut key = vec![tag];
    // A name has no NUL, so no name's keys lie among those of another that starts with it.
    key.extend(subscription.to_string().bytes());
    key.push(0);
    key.extend(number.to_be_bytes());
    key
}

pub(super) fn message(subscription: &Subscription, number: u64) -> Vec<u8> {
    numbered(MESSAGE_TAG, subscription, number)
}

pub(super) fn count(subscription: &Subscription, number: u64) -> Vec<u8> {
    numbered(COUNT_TAG, subscription, number)
}

pub(super) fn dead(subscription: &Subscription, number: u64) -> Vec<u8> {
    numbered(DEAD_TAG, subscription, number)
}

fn numbers_from(tag: u8, subscription: &Subscription, from: u64, limit: usize) -> Scan {
    Scan {
        from: Bound::Included(numbered(tag, subscription, from)),
        to: Bound::Included(numbered(tag, subscription, u64::MAX)),
        reverse: false,
        limit,
    }
}

pub(super) fn messages_from(subscription: &Subscription, from: u64, limit: usize) -> Scan {
    numbers_from(MESSAGE_TAG, subscription, from, limit)
}

pub(super) fn dead_from(subscription: &Subscription, from: u64, limit: usize) -> Scan {
    numbers_from(DEAD_TAG, subscription, from, limit)
}

/// The number at the end of a key.
pub(super) fn read_number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|number| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_and_sort_by_number() {
        let name: Subscription = "t/s/x".parse().unwrap();
        let longer: Subscription = "t/s/x-y".parse().unwrap();
        assert_eq!(read_books(&books(&name)), Some(name.clone()));
        assert_eq!(read_books(&message(&name, 7)), None);
        assert_eq!(read_number(&message(&name, 258)), Some(258));
        let mut keys = [message(&name, 256), message(&longer, 0), message(&name, 1), message(&name, 255)];
        keys.sort();
        assert_eq!(keys, [message(&name, 1), message(&name, 255), message(&name, 256), message(&longer, 0)]);
        let longest = "x".repeat(crate::NAME_CHARS_MAX);
        let longest: Subscription = format!("{longest}/{longest}/{longest}").parse().unwrap();
        assert!(message(&longest, 0).len() <= store::key::KEY_BYTES_MAX);
    }
}
