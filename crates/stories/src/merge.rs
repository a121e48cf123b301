//! What Stories hears: a line a topic.

use crate::Stories;
use crate::rows::{
    CommentTallyRow, PartFactRow, PartRow, PartsOrderRow, ProfileRow, ReadsRow, SigningKeyRow, StoryRow,
    VoteRow, VoteTallyRow,
};
use crate::siblings::{self, PartsOrderFact, ReadsFact, StoryFact, StoryPartFact, VoteFact, VoteTallyFact};
use choreography::{Link, Merge, NameError, signing_keys};
use messages::{Fact, PartFact, ProfileFact, TallyFact};
use queue::Publisher;
use std::sync::Arc;

impl Stories {
    /// Its subscriptions. `publisher` takes its wants for what was lost.
    pub fn links(&self, publisher: &Arc<dyn Publisher>) -> Result<Vec<Link>, NameError> {
        let store = &self.store;
        let mut links = vec![
            Link::merging::<ProfileFact, ProfileRow>(store, publisher)?,
            Link::merging::<TallyFact, CommentTallyRow>(store, publisher)?,
            signing_keys::link::<SigningKeyRow>(store, &self.keys, publisher)?,
        ];
        if !store.mutes(StoryFact::TOPIC) {
            links.extend(self.sibling_links(publisher)?);
        }
        Ok(self.heard.noting(links))
    }

    fn sibling_links(&self, publisher: &Arc<dyn Publisher>) -> Result<[Link; 7], NameError> {
        let store = &self.store;
        let stories = Merge::<StoryFact, StoryRow>::new(store.clone()).wanting(publisher)?;
        let parts = Merge::<StoryPartFact, PartRow>::new(store.clone()).wanting(publisher)?;
        let known = Merge::<PartFact, PartFactRow>::new(store.clone()).wanting(publisher)?;
        let votes = Merge::<VoteFact, VoteRow>::new(store.clone()).wanting(publisher)?;
        let tallies = Merge::<VoteTallyFact, VoteTallyRow>::new(store.clone()).wanting(publisher)?;
        Ok([
            Link::with(stories.joining(siblings::hear_story))?,
            Link::with(parts.joining(siblings::hear_part))?,
            Link::with(known.joining(siblings::hear_part_fact))?,
            Link::with(votes.joining(siblings::hear_vote))?,
            Link::with(tallies.joining(siblings::hear_tally))?,
            Link::merging::<ReadsFact, ReadsRow>(store, publisher)?,
            Link::merging::<PartsOrderFact, PartsOrderRow>(store, publisher)?,
        ])
    }
}
