//! A subscription of a service: this topic into that row kind.

use crate::anti_entropy::Heard;
use crate::lag::Lag;
use crate::merge::Merge;
use consumer::BoxHandler;
use messages::Fact;
use queue::{NameError, Publisher, Topic};
use std::fmt;
use std::sync::Arc;
use store::{Row, Store};

/// A topic that a service listens to, and what it does with what it hears.
#[derive(Clone)]
pub struct Link {
    /// Where it listens.
    pub topic: Topic,
    /// What merges it.
    pub handler: BoxHandler,
    /// What it heard of those that announce there.
    pub heard: Heard,
    /// How long it takes until what was changed elsewhere is merged here: counted by the handler.
    pub lag: Lag,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Link {
    /// Facts `F` into rows `R`. `publisher` takes the wants for what was lost.
    pub fn merging<F, R>(store: &Store, publisher: &Arc<dyn Publisher>) -> Result<Self, NameError>
    where
        F: Fact,
        R: Row<Key = F::Key, State = F::State>,
    {
        Self::with(Merge::<F, R>::new(store.clone()).wanting(publisher)?)
    }

    /// As `merge` says.
    pub fn with<F, R>(merge: Merge<F, R>) -> Result<Self, NameError>
    where
        F: Fact,
        R: Row<Key = F::Key, State = F::State>,
    {
        let (heard, lag) = (merge.heard(), merge.lag());
        Ok(Self { topic: Topic::new(F::TOPIC)?, handler: BoxHandler::new(merge), heard, lag })
    }
}
