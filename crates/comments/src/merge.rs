//! What Comments hears: a line a topic.

use crate::Comments;
use crate::rows::{CommentRow, PartRow, ProfileRow, SigningKeyRow, TallyRow};
use crate::siblings::{CommentFact, ReplyTallyFact, hear_comment};
use choreography::{Link, Merge, NameError, signing_keys};
use lattice::Tally;
use messages::{Fact, PartFact, ProfileFact, TallyFact, TallyKey};
use queue::Publisher;
use std::sync::Arc;
use store::{Heard, View, ViewError};

impl Comments {
    /// Its subscriptions. `publisher` takes its wants for what was lost.
    pub fn links(&self, publisher: &Arc<dyn Publisher>) -> Result<Vec<Link>, NameError> {
        let store = &self.store;
        let mut links = vec![
            Link::merging::<ProfileFact, ProfileRow>(store, publisher)?,
            Link::merging::<PartFact, PartRow>(store, publisher)?,
            signing_keys::link::<SigningKeyRow>(store, &self.keys, publisher)?,
        ];
        if !store.mutes(CommentFact::TOPIC) {
            let comments = Merge::<CommentFact, CommentRow>::new(store.clone()).wanting(publisher)?;
            let tallies = Merge::<TallyFact, TallyRow>::new(store.clone()).wanting(publisher)?;
            let reply_tallies = Merge::<ReplyTallyFact, TallyRow>::new(store.clone()).wanting(publisher)?;
            links.push(Link::with(comments.joining(hear_comment))?);
            links.push(Link::with(tallies.joining(hear_tally))?);
            links.push(Link::with(reply_tallies.joining(hear_tally))?);
        }
        Ok(self.heard.noting(links))
    }
}

/// Hears a tally, and says whether it was news: one that somebody else writes is joined, one that this replica writes
/// never is. A replica that has lost data, or was adopted, learns it from here.
pub fn hear_tally(view: &mut View<'_>, key: &TallyKey, tally: Tally) -> Result<bool, ViewError> {
    let heard = store::hear_tally::<CommentRow>(view, &key.group, key.replica, tally)?;
    Ok(matches!(heard, Heard::News | Heard::Replaced))
}
