//! What a broker lacks, or has otherwise than it is needed.

use std::fmt;

/// One difference between what a subscription needs and what the broker has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it concerns, with the broker's own word and name for it: `queue "comments"`.
    pub target: String,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done about a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is missing: make it.
    Create,
    /// It is there with another setting, which can be changed.
    Alter {
        /// The setting, in the broker's words.
        setting: String,
        /// What it is; empty if it is not set.
        from: String,
        /// What it is to be.
        to: String,
    },
    /// It is there, and nothing that we may do makes it fit: an operator has to move it out of the way. Subscribing is
    /// refused with the same reason.
    Conflict {
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.target;
        match &self.action {
            Action::Create => write!(f, "+ {target}"),
            Action::Alter { setting, from, to } if from.is_empty() => {
                write!(f, "~ {target}: {setting} = {to}")
            }
            Action::Alter { setting, from, to } => write!(f, "~ {target}: {setting} = {to} (is {from})"),
            Action::Conflict { reason } => write!(f, "! {target}: {reason}"),
        }
    }
}
