//! What more than one service shows: an author, and a count with the tallies behind it.

use std::collections::BTreeMap;

use lattice::Tally;
use messages::{Profile, UserId};
use serde::Serialize;
use utoipa::ToSchema;

/// Somebody, as far as this service has heard of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Author {
    /// Their id.
    pub id: String,
    /// Their name; null while it has not been heard of here.
    pub name: Option<String>,
    /// The address of their picture; null shows their initials.
    pub avatar: Option<String>,
}

impl Author {
    /// What is known of a user.
    pub fn of(id: UserId, profile: Option<&Profile>) -> Self {
        Self {
            id: id.to_string(),
            name: profile.and_then(|profile| profile.name.get().cloned()),
            avatar: profile.and_then(|profile| profile.avatar.get().cloned().flatten()),
        }
    }
}

/// An exact number, and why it is that number.
///
/// A client that keeps the join of the tallies it was shown (for each replica the one of the greater epoch, within an
/// epoch the maximum of each number) never goes back to an older state of the count, whichever service answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Count {
    /// What is counted: `part:<id>`, `paragraph:<part>:<id>`, `replies:<comment>` or `votes:<part>`.
    pub group: String,
    /// How many there are: the sum of added less removed.
    pub count: u64,
    /// One per replica that counts, by its id.
    pub tallies: BTreeMap<String, TallyView>,
}

/// One replica's count of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TallyView {
    /// Which counting this is; a greater one replaces it.
    pub epoch: EpochView,
    /// How many came, ever.
    pub added: u64,
    /// How many left, ever.
    pub removed: u64,
}

/// Epochs are ordered by generation, then by owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EpochView {
    /// How often the group was counted anew.
    pub generation: u32,
    /// The replica that counts.
    pub owner: String,
}

impl Count {
    /// The count of a group: the tallies of its replicas.
    pub fn of(
        group: impl Into<String>,
        tallies: impl IntoIterator<Item = (lattice::ReplicaId, Tally)>,
    ) -> Self {
        let tallies: Vec<_> = tallies.into_iter().collect();
        Self {
            group: group.into(),
            count: lattice::total(tallies.iter().map(|(_, tally)| tally)),
            tallies: tallies
                .into_iter()
                .map(|(replica, tally)| (replica.to_string(), tally.into()))
                .collect(),
        }
    }
}

impl From<Tally> for TallyView {
    fn from(tally: Tally) -> Self {
        let epoch = EpochView { generation: tally.epoch.generation, owner: tally.epoch.owner.to_string() };
        Self { epoch, added: tally.added, removed: tally.removed }
    }
}

/// A count, and the evidence for it.
///
/// The count is the sum of its tallies. Each is written by one replica, in the transaction in which an element comes or
/// leaves; so the count is exact as of the moment at which every writer had just the tallies that are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountProof {
    /// The replica that answers.
    pub replica: String,
    /// The count, with the tallies that it is the sum of, and their epochs.
    pub count: Count,
    /// The fingerprint of these tallies: their number, and 128 bits in hexadecimal. The same at every replica of the
    /// deployment that has the same.
    pub digest: String,
    /// When the count was exact, as far as this replica knows: the least of its writers'; null where one of them never
    /// told that all of its tallies are here.
    pub exact_as_of: Option<String>,
    /// Who writes the tallies, and who else was heard lately.
    pub writers: Vec<WriterView>,
}

/// A replica that writes tallies, as far as it was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WriterView {
    /// Its id.
    pub replica: String,
    /// Whether it is the replica that answers.
    pub answers: bool,
    /// Whether all of its rows were here, and no others, when that was compared last.
    pub equal: bool,
    /// When all that it had was here, by its clock; null if that was never told.
    pub exact_as_of: Option<String>,
    /// Since when a change of this group waits here to be announced; null where none does.
    pub unannounced_since: Option<String>,
}
