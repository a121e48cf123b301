//! The auditor: knows plain sets and the promises, and nothing of lattices.
//!
//! It is told everything that is sent, and everything that is answered; it looks at the disks for what is durable; and
//! it asks, once all is quiet, what every replica shows. What it expects is made of sets alone: what was posted, what
//! was deleted, which of several writes nobody can have overwritten. What was never answered may have happened or not.
//!
//! | file | what |
//! |---|---|
//! | `deed` | what somebody tries to do |
//! | `books` | what was sent and answered |
//! | `register` | which values a thing may have that was written several times |
//! | `statuses` | which answers are allowed |
//! | `shown` | checks of every count and list that anybody is shown |
//! | `durable` | an acknowledged write is on the disk |
//! | `judge` | the checks at the end |

mod books;
mod deed;
mod durable;
mod judge;
mod register;
mod rows;
mod shown;
mod statuses;

pub use books::{Books, Element, Outcome, Variant};
pub use deed::{Deed, Field, Tag, Thing};
pub use judge::Exact;
pub use shown::tag_of;

use crate::address::Address;
use crate::world::{Answer, World};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a client makes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is done, and this was said.
    Done(Value),
    /// It was refused, with this status, and was not done by this replica.
    Refused(u16),
    /// The token does not count here and now: sign in, and send it again.
    SignIn,
    /// Nobody knows: send the same again.
    Again,
}

/// Watches. Clones are the same auditor.
#[derive(Clone)]
pub struct Auditor {
    world: World,
    books: Arc<Mutex<Books>>,
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor").finish_non_exhaustive()
    }
}

impl Auditor {
    /// With empty books.
    pub fn new(world: World) -> Self {
        Self { world, books: Arc::default() }
    }

    /// The books, for a moment.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody is about to send this: gives the number of the attempt.
    pub fn sends(&self, deed: &Deed, at: Address) -> usize {
        let (now_ms, losses) = (self.world.elapsed_ms(), self.world.losses());
        let mut books = self.books();
        books.losses = losses;
        books.sends(deed.clone(), at, now_ms)
    }

    /// What came back for an attempt.
    pub fn hears(&self, who: &str, attempt: usize, answer: &Answer) -> Heard {
        let (now_ms, losses) = (self.world.elapsed_ms(), self.world.losses());
        let mut books = self.books();
        books.losses = losses;
        let Some((deed, at)) = books.attempt(attempt) else { return Heard::Again };
        let heard = match answer {
            Answer::Silence => Heard::Again,
            Answer::Said { status, body } => {
                if let Err(wrong) = books.is_allowed(&deed, at, *status, body) {
                    self.world.fail("answers", format!("{who}: {deed} at {at}: {wrong}: {body}"));
                }
                match status {
                    200..=299 => Heard::Done(body.clone()),
                    401 => Heard::SignIn,
                    400..=499 => Heard::Refused(*status),
                    _ => Heard::Again,
                }
            }
        };
        let problem = books.settles(attempt, &heard, now_ms);
        drop(books);
        let said = match answer {
            Answer::Silence => "silence".to_owned(),
            Answer::Said { status, .. } => status.to_string(),
        };
        self.world.trace(who, format_args!("{deed} at {at}: {said}"));
        if let Some(problem) = problem {
            self.world.fail("same key, same id", format!("{who}: {deed} at {at}: {problem}"));
        }
        if let Heard::Done(body) = &heard
            && let Err(missing) = durable::check(&self.world, at, &deed, body)
        {
            self.world.fail("acknowledged is on the disk", format!("{who}: {deed} at {at}: {missing}"));
        }
        heard
    }

    /// An answer showed these counts: each is checked, wherever in the answer it stands.
    pub fn saw_counts(&self, at: Address, asked_ms: u64, answer: &Value) {
        let (now_ms, losses) = (self.world.elapsed_ms(), self.world.losses());
        let mut books = self.books();
        books.losses = losses;
        let wrong = books.saw_counts(at, asked_ms, now_ms, answer);
        drop(books);
        if let Some((check, detail)) = wrong {
            self.world.fail(check, format!("{at}: {detail}"));
        }
    }

    /// Somebody was shown the flat list of a part; `whole` when it is all of it, in one answer.
    pub fn saw_list(&self, at: Address, part: &str, asked_ms: u64, items: &[Value], whole: Option<&Value>) {
        let (now_ms, losses) = (self.world.elapsed_ms(), self.world.losses());
        let alone = self.world.sites() == 1 && losses.is_empty();
        let mut books = self.books();
        books.losses = losses;
        let seen = shown::List { at, part, asked_ms, now_ms, items, whole: whole.is_some() };
        let wrong = books.saw_list(&seen).err();
        drop(books);
        let unsynced = items.iter().find_map(|item| durable::shown_before_sync(&self.world, at, item));
        if let Some(detail) = wrong {
            self.world.fail("lists", format!("{at}: {part}: {detail}"));
        } else if let Some(id) = unsynced {
            self.world
                .fail("nothing visible before its sync", format!("{at}: comment {id} is not on the disk"));
        }
        let counted = whole.and_then(|count| count.get("count")).and_then(Value::as_u64);
        if let Some(counted) = counted.filter(|_| alone)
            && counted != u64::try_from(items.len()).unwrap_or(u64::MAX)
        {
            let detail = format!("{at}: {part}: {} listed, {counted} counted, in one answer", items.len());
            self.world.fail("one replica counts what it lists", detail);
        }
    }

    /// The world that it watches.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Every check that holds once all is quiet. The first that fails is told to the world.
    pub async fn judge(&self) -> Exact {
        if self.world.failed() {
            return Exact::default();
        }
        match judge::everything(self).await {
            Ok(exact) => exact,
            Err((check, detail)) => {
                self.world.fail(check, detail);
                Exact::default()
            }
        }
    }
}
