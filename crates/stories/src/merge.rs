//! What Stories hears: a line a topic.

use crate::Stories;
use crate::rows::{CommentTallyRow, ProfileRow, SigningKeyRow};
use choreography::{Link, NameError, signing_keys};
use messages::{ProfileFact, TallyFact};
use queue::Publisher;
use std::sync::Arc;

impl Stories {
    /// Its subscriptions. `publisher` takes its wants for what was lost.
    pub fn links(&self, publisher: &Arc<dyn Publisher>) -> Result<Vec<Link>, NameError> {
        Ok(self.heard.noting(vec![
            Link::merging::<ProfileFact, ProfileRow>(&self.store, publisher)?,
            Link::merging::<TallyFact, CommentTallyRow>(&self.store, publisher)?,
            signing_keys::link::<SigningKeyRow>(&self.store, &self.keys, publisher)?,
        ]))
    }
}
