//! What Users hears: of other services nothing, it needs nothing of theirs. Of its siblings everything.

use crate::Users;
use crate::rows::{AccountRow, ProfileRow, ShelfRow, SigningKeyRow};
use crate::siblings::{AccountFact, ShelfFact};
use choreography::{Link, NameError, signing_keys};
use messages::{Fact, ProfileFact};
use queue::Publisher;
use std::sync::Arc;

impl Users {
    /// Its subscriptions. The publisher takes its wants for what was lost.
    pub fn links(&self, publisher: &Arc<dyn Publisher>) -> Result<Vec<Link>, NameError> {
        let store = &self.store;
        let mut links = Vec::new();
        if !store.mutes(AccountFact::TOPIC) {
            links.extend([
                Link::merging::<AccountFact, AccountRow>(store, publisher)?,
                Link::merging::<ProfileFact, ProfileRow>(store, publisher)?,
                Link::merging::<ShelfFact, ShelfRow>(store, publisher)?,
                signing_keys::link::<SigningKeyRow>(store, &self.keys, publisher)?,
            ]);
        }
        Ok(self.heard.noting(links))
    }
}
