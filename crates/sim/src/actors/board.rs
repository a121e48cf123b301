//! What people know of each other: links that are passed around, outside of the platform.

use super::browser::Browser;
use crate::auditor::Tag;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A part that somebody published.
#[derive(Debug, Clone)]
pub(crate) struct KnownPart {
    pub(crate) id: String,
    pub(crate) story: String,
    /// The person who published it, by their number.
    pub(crate) host: u32,
    pub(crate) paragraphs: Vec<String>,
}

/// A comment that somebody posted.
#[derive(Debug, Clone)]
pub(crate) struct KnownComment {
    pub(crate) tag: Tag,
    pub(crate) id: String,
    pub(crate) part: String,
    /// The person who posted it, by their number.
    pub(crate) author: u32,
    /// At which site it was acknowledged.
    pub(crate) site: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) parts: Vec<KnownPart>,
    pub(crate) comments: Vec<KnownComment>,
    browsers: Vec<(String, Browser)>,
}

/// Where they hang.
#[derive(Debug, Default)]
pub(crate) struct Board {
    links: Mutex<Links>,
}

impl Board {
    pub(crate) fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody leaves their browser as it is.
    pub(crate) fn leave(&self, name: &str, browser: Browser) {
        self.links().browsers.push((name.to_owned(), browser));
    }

    /// The browsers of all who left.
    pub(crate) fn browsers(&self) -> Vec<(String, Browser)> {
        self.links().browsers.clone()
    }
}
