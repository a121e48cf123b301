//! What Stories hears: a line a topic.

use crate::Stories;
use crate::rows::{CommentTallyRow, ProfileRow, SigningKeyRow};
use choreography::{Link, NameError, signing_keys};
use messages::{ProfileFact, TallyFact};

impl Stories {
    /// Its subscriptions.
    pub fn links(&self) -> Result<Vec<Link>, NameError> {
        Ok(vec![
            Link::merging::<ProfileFact, ProfileRow>(&self.store)?,
            Link::merging::<TallyFact, CommentTallyRow>(&self.store)?,
            signing_keys::link::<SigningKeyRow>(&self.store, &self.keys)?,
        ])
    }
}
