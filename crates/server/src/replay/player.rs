//! Sends requests as their fate wants it, and holds the server to its promise that a repetition changes nothing.

use std::fmt::{Debug, Display};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use messages::{CommentId, UserId};
use serde::de::DeserializeOwned;

use super::answers::{Changed, SignedIn};
use super::call::{Call, CallError};
use super::client::Client;
use super::hostile::{Again, Deletion, Fate};

/// So many breaches are told in words; the others are only counted.
const BREACHES_TOLD: usize = 20;

/// An answer that tells which thing it is about.
pub(super) trait About {
    type Id: PartialEq + Display + Debug;
    fn id(&self) -> &Self::Id;
}

impl About for SignedIn {
    type Id = UserId;
    fn id(&self) -> &UserId {
        &self.user.id
    }
}

impl About for Changed {
    type Id = CommentId;
    fn id(&self) -> &CommentId {
        &self.comment.id
    }
}

/// A client with a bad character and a good memory.
#[derive(Debug)]
pub(super) struct Player<'c> {
    client: &'c Client,
    again: AtomicU64,
    abandoned: AtomicU64,
    deletes: AtomicU64,
    breaches: Mutex<Breaches>,
}

/// Promises that the server did not keep.
#[derive(Debug, Default, Clone)]
pub(super) struct Breaches {
    pub(super) count: usize,
    pub(super) told: Vec<String>,
}

/// How many requests were played that need not have been.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Played {
    /// Sent again although they had succeeded, or beside the first.
    pub(super) again: u64,
    /// Hung up on before the answer, then sent again.
    pub(super) abandoned: u64,
    /// Requests to delete, repetitions included.
    pub(super) deletes: u64,
}

impl<'c> Player<'c> {
    pub(super) fn new(client: &'c Client) -> Self {
        let zero = || AtomicU64::new(0);
        Self { client, again: zero(), abandoned: zero(), deletes: zero(), breaches: Mutex::default() }
    }

    pub(super) fn client(&self) -> &'c Client {
        self.client
    }

    /// Creates something, as often as fate wants; all answers must be about the same thing.
    pub(super) async fn create<T>(&self, call: &Call, fate: Fate) -> Result<T, CallError>
    where
        T: About + DeserializeOwned,
    {
        if let Some(after) = fate.abandoned
            && self.client.abandon(call, after).await
        {
            self.abandoned.fetch_add(1, Ordering::Relaxed);
        }
        match fate.again {
            Some(Again::AtOnce) => {
                self.again.fetch_add(1, Ordering::Relaxed);
                let (one, other) = tokio::join!(self.client.send::<T>(call), self.client.send::<T>(call));
                let (one, other) = (one?, other?);
                self.expect_same(call, one.id(), other.id());
                Ok(one)
            }
            Some(Again::Soon) => {
                let first = self.client.send::<T>(call).await?;
                self.again::<T>(call, first.id()).await?;
                Ok(first)
            }
            Some(Again::Later(_)) | None => self.client.send(call).await,
        }
    }

    /// Repeats a request that made this.
    pub(super) async fn again<T>(&self, call: &Call, id: &T::Id) -> Result<(), CallError>
    where
        T: About + DeserializeOwned,
    {
        self.again.fetch_add(1, Ordering::Relaxed);
        let answer = self.client.send::<T>(call).await?;
        self.expect_same(call, id, answer.id());
        Ok(())
    }

    /// Deletes a comment.
    pub(super) async fn delete(&self, call: &Call, id: CommentId, how: Deletion) -> Result<(), CallError> {
        let one = || async {
            self.deletes.fetch_add(1, Ordering::Relaxed);
            let answer: Changed = self.client.send(call).await?;
            self.expect_same(call, &id, &answer.comment.id);
            if !answer.comment.deleted {
                self.breach(format!("{} {} left it alive", call.method(), call.path()));
            }
            Ok(())
        };
        match how {
            Deletion::Once => one().await,
            Deletion::Twice => {
                one().await?;
                one().await
            }
            Deletion::AtOnce => {
                let (first, second) = tokio::join!(one(), one());
                first.and(second)
            }
        }
    }

    fn expect_same<Id: PartialEq + Display>(&self, call: &Call, expected: &Id, answered: &Id) {
        if expected != answered {
            let (method, path) = (call.method(), call.path());
            self.breach(format!("{method} {path} was about {expected} once, about {answered} another time"));
        }
    }

    /// Notes a promise that was not kept.
    pub(super) fn breach(&self, what: String) {
        let mut breaches = self.breaches.lock().unwrap_or_else(PoisonError::into_inner);
        breaches.count += 1;
        if breaches.told.len() < BREACHES_TOLD {
            breaches.told.push(what);
        }
    }

    pub(super) fn breaches(&self) -> Breaches {
        self.breaches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn played(&self) -> Played {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Played { again: read(&self.again), abandoned: read(&self.abandoned), deletes: read(&self.deletes) }
    }
}
