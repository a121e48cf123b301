//! What changes who is here and what they keep: each a pure function of the rows it reads. Repeating one changes
//! nothing.

use crate::SHELF_MAX;
use crate::account::{Account, Creation};
use crate::rows::{AccountRow, ProfileRow, ShelfRow, SigningKeyRow};
use crate::shelf::Shelf;
use crate::siblings::{AccountFact, ShelfFact};
use api::{Problem, PublicKey};
use lattice::{Lww, Min, ReplicaId, Stamp};
use messages::{
    CertifiedKey, Fact, KeyId, Profile, ProfileFact, SigningKeyFact, SigningKeyState, StoryId, UserId,
};
use std::convert::Infallible;
use store::{Abort, View, ViewError};

/// Somebody to be created, checked already.
#[derive(Debug, Clone)]
pub(crate) struct NewUser {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) avatar: Option<String>,
    /// See [`Creation::request`].
    pub(crate) request: String,
}

/// What is to be changed in a profile, checked already.
#[derive(Debug, Clone)]
#[expect(clippy::option_option, reason = "an avatar that is left alone, removed, or set")]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) avatar: Option<Option<String>>,
}

/// The profile as it is then.
type Written = Result<Profile, Abort<Problem>>;

fn refuse<T>(problem: Problem) -> Result<T, Abort<Problem>> {
    Err(Abort::Refused(problem))
}

/// Joins a delta into a profile, to be announced if it is news.
fn join(view: &mut View<'_>, id: UserId, delta: Profile) -> Result<Profile, ViewError> {
    let joined = view.join::<ProfileRow>(&id, delta)?;
    if joined.grew {
        view.mark::<ProfileRow>(ProfileFact::TOPIC, &id)?;
    }
    Ok(joined.after)
}

/// The first value of a register, written at the least stamp: a creation that is repeated at another replica writes the
/// same value at the same stamp, so it never undoes a change that it has not heard of.
fn first<T>(value: T) -> Lww<T> {
    Lww::new(Stamp::default(), value)
}

/// Creates somebody, once: who repeats the request gets them as they are now.
pub(crate) fn create(view: &mut View<'_>, new: &NewUser) -> Written {
    let account = view.get::<AccountRow>(&new.id)?.unwrap_or_default();
    match account.created.get() {
        Some(creation) if creation.request != new.request => {
            let problem = Problem::conflict("this Idempotency-Key was used for another user");
            return refuse(problem.with_field(api::idempotency::IDEMPOTENCY_HEADER));
        }
        Some(_) => {}
        None => {
            let stored = view.get::<ProfileRow>(&new.id)?.unwrap_or_default();
            let at = view.mint(ProfileFact::newest_stamp(&stored));
            let creation = Creation { at, request: new.request.clone() };
            let delta = Account { created: Min::of(creation), ..Account::default() };
            view.join::<AccountRow>(&new.id, delta)?;
            view.mark::<AccountRow>(AccountFact::TOPIC, &new.id)?;
        }
    }
    // Also for a retry: where a sibling created them, the news of the account may have come before that of the profile.
    let mut delta = Profile { name: first(new.name.clone()), ..Profile::default() };
    if new.avatar.is_some() {
        delta.avatar = first(new.avatar.clone());
    }
    Ok(join(view, new.id, delta)?)
}

/// Changes a name, an avatar, or both. What is so already stays as it is.
pub(crate) fn rename(view: &mut View<'_>, id: UserId, by: UserId, change: &Change) -> Written {
    let stored = view.get::<ProfileRow>(&id)?.unwrap_or_default();
    if stored.name.get().is_none() {
        return refuse(Problem::not_found("user"));
    }
    if id != by {
        return refuse(Problem::forbidden("only they themselves may change who somebody is"));
    }
    let name = change.name.as_ref().filter(|name| stored.name.get() != Some(*name));
    let avatar = change.avatar.as_ref().filter(|avatar| stored.avatar.get().unwrap_or(&None) != *avatar);
    if name.is_none() && avatar.is_none() {
        return Ok(stored);
    }
    let at = view.mint(ProfileFact::newest_stamp(&stored));
    let mut delta = Profile::default();
    if let Some(name) = name {
        delta.name = Lww::new(at, name.clone());
    }
    if let Some(avatar) = avatar {
        delta.avatar = Lww::new(at, avatar.clone());
    }
    Ok(join(view, id, delta)?)
}

/// Puts a story on somebody's shelf.
///
/// What is there already is not put there again: a late retry here then says nothing new, and does not bring back what
/// its reader took off at another replica meanwhile.
///
/// `writer` is this process, where siblings hear of it. A dot must never be given twice: a replica that was restored from a
/// backup, or a folder that was copied, has forgotten which ones it gave, and siblings would take what is put there next for
/// what they know already, and drop both.
pub(crate) fn put_on_shelf(
    view: &mut View<'_>,
    of: UserId,
    story: StoryId,
    writer: Option<ReplicaId>,
) -> Result<(), Abort<Problem>> {
    let mut shelf = view.get::<ShelfRow>(&of)?.unwrap_or_default();
    if shelf.has(story) {
        return Ok(());
    }
    if shelf.len() >= SHELF_MAX {
        let detail = format!("a shelf holds at most {SHELF_MAX} stories: take one off first");
        let limit = u64::try_from(SHELF_MAX).unwrap_or(u64::MAX);
        return refuse(Problem::conflict(detail).with_field("story").with_limit(limit));
    }
    let me = writer.filter(|writer| shelf.may_be_written_by(*writer)).unwrap_or_else(|| view.replica());
    let delta = match shelf.put(me, story) {
        Ok(delta) => delta,
        Err(exhausted) => return refuse(Problem::internal(&exhausted)),
    };
    Ok(join_shelf(view, of, delta)?)
}

/// Joins a delta into a shelf, to be told to siblings if it is news.
fn join_shelf(view: &mut View<'_>, of: UserId, delta: Shelf) -> Result<(), ViewError> {
    if view.join::<ShelfRow>(&of, delta)?.grew {
        view.mark::<ShelfRow>(ShelfFact::TOPIC, &of)?;
    }
    Ok(())
}

/// Takes a story off somebody's shelf.
pub(crate) fn take_off_shelf(view: &mut View<'_>, of: UserId, story: StoryId) -> Result<(), Abort<Problem>> {
    let mut shelf = view.get::<ShelfRow>(&of)?.unwrap_or_default();
    if shelf.has(story) {
        let delta = shelf.take_off(story);
        join_shelf(view, of, delta)?;
    }
    Ok(())
}

/// The id of a public key, as rows and messages have it.
pub(crate) fn key_id(key: &PublicKey) -> KeyId {
    key.key_id().parse().unwrap_or_else(|_| unreachable!("a key id is half a digest in hexadecimal"))
}

/// Stores a public key with its certificate, to be announced if it is news.
pub(crate) fn add_key(
    view: &mut View<'_>,
    id: KeyId,
    public_key: &str,
    certificate: &str,
) -> Result<(), Abort<Infallible>> {
    let key = CertifiedKey { public_key: public_key.to_owned(), certificate: certificate.to_owned() };
    let delta = SigningKeyState { key: Min::of(key), ..SigningKeyState::default() };
    if view.join::<SigningKeyRow>(&id, delta)?.grew {
        view.mark::<SigningKeyRow>(SigningKeyFact::TOPIC, &id)?;
    }
    Ok(())
}
