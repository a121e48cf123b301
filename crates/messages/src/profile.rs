//! Who somebody is to others: announced by Users, copied by Stories and Comments.

use crate::fact::Fact;
use crate::id::UserId;
use crate::unknown::{Unknown, is_bottom};
use lattice::{Lattice, Lww, Stamp};
use serde::{Deserialize, Serialize};

/// A name and an avatar; the latest of each wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// 1 to 64 characters.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub name: Lww<String>,
    /// The address of a picture; none shows the initials.
    #[serde(default, skip_serializing_if = "is_bottom")]
    pub avatar: Lww<Option<String>>,
    /// What newer versions added.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Lattice for Profile {
    fn join(&mut self, other: Self) -> bool {
        let name = self.name.join(other.name);
        let avatar = self.avatar.join(other.avatar);
        self.unknown.join(other.unknown) || name || avatar
    }
}

/// [`Profile`]s by user.
#[derive(Debug)]
pub struct ProfileFact;

impl Fact for ProfileFact {
    const TOPIC: &'static str = "profiles";
    const TYPE: &'static str = "antiphon.users.profile.v1";
    type Key = UserId;
    type State = Profile;

    fn newest_stamp(state: &Profile) -> Option<Stamp> {
        state.name.stamp().max(state.avatar.stamp())
    }
}
