//! What Comments hears: a line a topic.

use crate::Comments;
use crate::rows::{CommentRow, PartRow, ProfileRow, SigningKeyRow};
use choreography::{Link, NameError, signing_keys};
use lattice::Tally;
use messages::{PartFact, ProfileFact, TallyKey};
use store::{Heard, View, ViewError};

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

/// Hears a tally, and says whether it was news: one that somebody else writes is joined, one that this replica writes
/// never is. A replica that has lost data, or was adopted, learns it from here.
pub fn hear_tally(view: &mut View<'_>, key: &TallyKey, tally: Tally) -> Result<bool, ViewError> {
    let heard = store::hear_tally::<CommentRow>(view, &key.group, key.replica, tally)?;
    Ok(matches!(heard, Heard::News | Heard::Replaced))
}
