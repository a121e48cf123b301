//! Positions in a list that the client hands back unread, and the size of a page.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::encoding::{base64url, unbase64url};
use crate::id::framed;
use crate::problem::Problem;

/// The items of a page whose size was not asked for.
pub const PAGE_DEFAULT: u32 = 20;
/// The most items of a page.
pub const PAGE_MAX: u32 = 100;
/// The longest cursor that is read, in characters.
pub const CURSOR_CHARS_MAX: usize = 1024;

/// The layout of what is sealed: version, mark of the kind, key, checksum.
const VERSION: u8 = 1;
const MARK_BYTES: usize = 4;

/// Seals a store's key into a cursor, and opens it again.
///
/// A cursor is opaque, not secret: it holds the key of the last item of the page. Its checksum catches what was
/// garbled or comes from another list, so that nobody pages from a place that does not exist; it does not stop a
/// forger, who gains only a place in a list that anyone may read.
#[derive(Debug)]
pub struct Cursor;

impl Cursor {
    /// The cursor that goes on after `key` in the lists of this kind.
    pub fn seal(kind: &str, key: &[u8]) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&mark("antiphon cursor kind v1", &[kind.as_bytes()]));
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&checksum(kind, key));
        base64url(&bytes)
    }

    /// The key that was sealed, or 400 naming `cursor`.
    pub fn open(kind: &str, text: &str) -> Result<Vec<u8>, Problem> {
        Self::unseal(kind, text).ok_or_else(|| {
            Problem::bad_request("cursor", "start again without it: this is no cursor of this list")
        })
    }

    fn unseal(kind: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > CURSOR_CHARS_MAX {
            return None;
        }
        let bytes = unbase64url(text)?;
        let rest = bytes.strip_prefix(&[VERSION])?;
        let rest = rest.strip_prefix(&mark("antiphon cursor kind v1", &[kind.as_bytes()]))?;
        let (key, sum) = rest.split_last_chunk::<MARK_BYTES>()?;
        (*sum == checksum(kind, key)).then(|| key.to_vec())
    }
}

fn checksum(kind: &str, key: &[u8]) -> [u8; MARK_BYTES] {
    mark("antiphon cursor v1", &[kind.as_bytes(), key])
}

fn mark(domain: &str, parts: &[&[u8]]) -> [u8; MARK_BYTES] {
    let [mark @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
        framed(domain, parts);
    mark
}

/// The query of a list without further parameters. One that has more repeats these two fields, since
/// `#[serde(flatten)]` would let unknown parameters in, and calls [`page_limit`] and [`Cursor::open`].
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many items at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<u32>,
    /// Where to go on: what the page before gave as `next`.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The number of items, checked.
    pub fn items_max(&self) -> Result<usize, Problem> {
        page_limit(self.limit)
    }

    /// The key to go on after, if there is one.
    pub fn after(&self, kind: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.cursor.as_deref().map(|text| Cursor::open(kind, text)).transpose()
    }
}

/// The number of items of a page, or 400 naming `limit` and the maximum.
pub fn page_limit(limit: Option<u32>) -> Result<usize, Problem> {
    match limit.unwrap_or(PAGE_DEFAULT) {
        items @ 1..=PAGE_MAX => Ok(items as usize),
        _ => Err(Problem::bad_request("limit", format!("ask for 1 to {PAGE_MAX} items"))
            .with_limit(u64::from(PAGE_MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden() {
        // Old pages hold old cursors: these bytes never change without a new version.
        assert_eq!(Cursor::seal("comments", b"key"), "AR_EUglrZXlWF8mE");
    }

    #[test]
    fn limits() {
        for (limit, items) in
            [(None, Some(20)), (Some(1), Some(1)), (Some(100), Some(100)), (Some(0), None), (Some(101), None)]
        {
            assert_eq!(page_limit(limit).ok(), items);
        }
        let problem = page_limit(Some(101)).unwrap_err();
        assert_eq!((problem.field(), problem.limit()), (Some("limit"), Some(100)));
    }

    proptest! {
        #[test]
        fn opens_what_it_sealed_and_nothing_else(key: Vec<u8>, at: usize, flip in 1_u8..) {
            let key = &key[..key.len().min(500)];
            let sealed = Cursor::seal("comments", key);
            prop_assert_eq!(Cursor::open("comments", &sealed).unwrap(), key);
            let foreign = Cursor::open("replies", &sealed).unwrap_err();
            prop_assert_eq!(foreign.field(), Some("cursor"));

            let mut bytes = unbase64url(&sealed).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(Cursor::open("comments", &base64url(&bytes)).is_err());
            bytes.truncate(at);
            prop_assert!(Cursor::open("comments", &base64url(&bytes)).is_err());
        }

        #[test]
        fn any_text_is_refused_without_panic(text: String) {
            prop_assert!(Cursor::open("comments", &text).is_err());
        }
    }

    #[test]
    fn a_huge_cursor_is_not_read() {
        assert!(Cursor::open("comments", &Cursor::seal("comments", &[0; 800])).is_err());
        assert!(Cursor::open("comments", &Cursor::seal("comments", &[0; 700])).is_ok());
    }
}
