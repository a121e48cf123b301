//! A subscription of a service: this topic into that row kind.

use crate::merge::Merge;
use consumer::BoxHandler;
use messages::Fact;
use queue::{NameError, Topic};
use std::fmt;
use store::{Row, Store};

/// A topic that a service listens to, and what it does with what it hears.
#[derive(Clone)]
pub struct Link {
    /// Where it listens.
    pub topic: Topic,
    /// What merges it.
    pub handler: BoxHandler,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Link {
    /// Facts `F` into rows `R`.
    pub fn merging<F, R>(store: &Store) -> Result<Self, NameError>
    where
        F: Fact,
        R: Row<Key = F::Key, State = F::State>,
    {
        Self::with(Merge::<F, R>::new(store.clone()))
    }

    /// As `merge` says.
    pub fn with<F, R>(merge: Merge<F, R>) -> Result<Self, NameError>
    where
        F: Fact,
        R: Row<Key = F::Key, State = F::State>,
    {
        Ok(Self { topic: Topic::new(F::TOPIC)?, handler: BoxHandler::new(merge) })
    }
}
