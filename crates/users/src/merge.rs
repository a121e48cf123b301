//! What Users hears: nothing yet. Others ask it for nothing, and it needs nothing of theirs.

use crate::Users;
use choreography::{Link, NameError};
use queue::Publisher;
use std::sync::Arc;

impl Users {
    /// Its subscriptions. The publisher takes its wants for what was lost.
    pub fn links(&self, _publisher: &Arc<dyn Publisher>) -> Result<Vec<Link>, NameError> {
        Ok(self.heard.noting(Vec::new()))
    }
}
