//! What Comments hears: a line a topic.

use crate::Comments;
use crate::rows::{CommentRow, PartRow, ProfileRow, SigningKeyRow};
use choreography::{Link, NameError, signing_keys};
use lattice::Tally;
use messages::{PartFact, ProfileFact, TallyKey};
use queue::Publisher;
use std::sync::Arc;
use store::{Heard, View, ViewError};

impl Comments {
    /// Its subscriptions. `publisher` takes its wants for what was lost.
    pub fn links(&self, publisher: &Arc<dyn Publisher>) -> Result<Vec<Link>, NameError> {
        Ok(self.heard.noting(vec![
            Link::merging::<ProfileFact, ProfileRow>(&self.store, publisher)?,
            Link::merging::<PartFact, PartRow>(&self.store, publisher)?,
            signing_keys::link::<SigningKeyRow>(&self.store, &self.keys, publisher)?,
        ]))
    }
}

/// Hears a tally, and says whether it was news: one that somebody else writes is joined, one that this replica writes
/// never is. A replica that has lost data, or was adopted, learns it from here.
pub fn hear_tally(view: &mut View<'_>, key: &TallyKey, tally: Tally) -> Result<bool, ViewError> {
    let heard = store::hear_tally::<CommentRow>(view, &key.group, key.replica, tally)?;
    Ok(matches!(heard, Heard::News | Heard::Replaced))
}
