//! What Comments hears: a line a topic.

use crate::Comments;
use crate::rows::{PartRow, ProfileRow, SigningKeyRow};
use choreography::{Link, NameError, signing_keys};
use messages::{PartFact, ProfileFact};

impl Comments {
    /// Its subscriptions.
    pub fn links(&self) -> Result<Vec<Link>, NameError> {
        Ok(vec![
            Link::merging::<ProfileFact, ProfileRow>(&self.store)?,
            Link::merging::<PartFact, PartRow>(&self.store)?,
            signing_keys::link::<SigningKeyRow>(&self.store, &self.keys)?,
        ])
    }
}
