//! What Users hears: nothing yet. Others ask it for nothing, and it needs nothing of theirs.

use crate::Users;
use choreography::{Link, NameError};

impl Users {
    /// Its subscriptions.
    pub fn links(&self) -> Result<Vec<Link>, NameError> {
        Ok(Vec::new())
    }
}
