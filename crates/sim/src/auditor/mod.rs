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
//! | `judge` | the checks at the end, and the order of those that follow |
//! | `threads`, `houses` | the ways to list comments; stories and parts |
//! | `aside`, `rows` | what became of messages; siblings row for row |

mod aside;
mod books;
mod deed;
mod durable;
mod houses;
mod judge;
mod register;
mod rows;
mod shown;
mod statuses;
mod threads;

pub use books::{Books, Element, Outcome, Variant};
pub use deed::{Deed, Field, Tag, Thing};
pub use judge::Exact;
pub use shown::tag_of;

use crate::address::Address;
use crate::world::{Answer, World};
use books::text;
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
        let status = if let Answer::Said { status, .. } = answer { *status } else { 0 };
        let problem = books.settles(attempt, &heard, status, now_ms);
        // What was lost while the answer was on its way is gone, and declared so.
        let was_lost = books.was_lost_during(at, books.asked_ms(attempt));
        drop(books);
        let said = match answer {
            Answer::Silence => "silence".to_owned(),
            Answer::Said { status, .. } => status.to_string(),
        };
        self.world.trace(who, format_args!("{deed} at {at}: {said}"));
        if let Some(problem) = problem {
            self.world.fail("same key, same answer", format!("{who}: {deed} at {at}: {problem}"));
        }
        if let Heard::Done(body) = &heard
            && !was_lost
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
        if books.was_lost_during(at, asked_ms) {
            // Nobody can tell whether it is from before or after: it is not held against what comes later.
            return;
        }
        let wrong = books.saw_counts(at, asked_ms, now_ms, answer);
        drop(books);
        if let Some((check, detail)) = wrong {
            self.world.fail(check, format!("{at}: {detail}"));
        }
    }

    /// Somebody was shown a part.
    pub fn saw_part(&self, at: Address, part: &str, asked_ms: u64, shown: &Value) {
        let (now_ms, losses) = (self.world.elapsed_ms(), self.world.losses());
        let mut books = self.books();
        books.losses = losses;
        if !books.was_lost_during(at, asked_ms)
            && let Some(title) = text(shown, "/title")
        {
            books.saw_value(at, Field::Title(part.to_owned()), title, now_ms);
        }
    }

    /// Somebody was shown the flat list of a part; `whole` when it is all of it, in one answer.
    pub fn saw_list(&self, at: Address, part: &str, asked_ms: u64, items: &[Value], whole: Option<&Value>) {
        let (now_ms, losses) = (self.world.elapsed_ms(), self.world.losses());
        let alone = self.world.sites() == 1 && losses.is_empty();
        let mut books = self.books();
        books.losses = losses;
        if books.was_lost_during(at, asked_ms) {
            return;
        }
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

    /// Whether this may be the answer to who asks for a part, its list or its counts, instead of what is there.
    pub fn may_show_nothing(&self, at: Address, part: &str, asked_ms: u64, status: u16) -> bool {
        let losses = self.world.losses();
        let mut books = self.books();
        books.losses = losses;
        books.may_show_nothing(at, part, asked_ms, status)
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
        // The last one may be younger than all that was sent.
        self.books().losses = self.world.losses();
        match judge::everything(self).await {
            Ok(exact) => exact,
            Err((check, detail)) => {
                self.world.fail(check, detail);
                Exact::default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Core;
    use crate::plan::Plan;
    use crate::process::Process;
    use crate::queue::Broker;
    use crate::service::ServiceName;
    use crate::world::Loss;
    use serde_json::json;

    const AT: Address = Address { service: ServiceName::Comments, site: 0 };

    /// A world of one site in which nothing runs: its disks are empty.
    fn auditor() -> Auditor {
        let plan = Plan { sites: 1, ..Plan::of(1).without_faults() };
        let core = Core::new(plan, false);
        let broker = Arc::new(Broker::new(&core));
        let process = Arc::new(Process::new(&core, &broker, 0, &ServiceName::ALL));
        Auditor::new(World::new(core, broker, vec![process]))
    }

    fn lost(at_ms: u64) -> Loss {
        Loss { site: AT.site, service: AT.service, at_ms, kept_until_ms: 0, told: true }
    }

    /// Posts, loses the disk or not, and only then hears that it was done.
    async fn posts(loses: bool) -> Option<&'static str> {
        let auditor = auditor();
        auditor.world.sleep(10).await;
        let tag = auditor.books().element("somebody", "part", Variant::default());
        let attempt = auditor.sends(&Deed::Post { tag, variant: 0 }, AT);
        auditor.world.sleep(10).await;
        if loses {
            let at_ms = auditor.world.elapsed_ms();
            auditor.world.declare(lost(at_ms));
        }
        auditor.world.sleep(10).await;
        let body = json!({ "comment": { "id": "0".repeat(32) } });
        let answer = Answer::Said { status: 201, body };
        assert!(matches!(auditor.hears("somebody", attempt, &answer), Heard::Done(_)));
        auditor.world.failure().map(|failure| failure.check)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_lost_while_its_answer_was_on_its_way_is_no_broken_promise() {
        assert_eq!(posts(true).await, None);
        assert_eq!(posts(false).await, Some("acknowledged is on the disk"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_a_loss_binds_nobody_after_it() {
        let auditor = auditor();
        let count = |added: u64| {
            let tally = json!({ "epoch": { "generation": 0, "owner": "a" }, "added": added, "removed": 0 });
            json!({ "group": "part:p", "count": 0, "tallies": { "r": tally } })
        };
        auditor.world.sleep(10).await;
        let asked_ms = auditor.world.elapsed_ms();
        auditor.world.sleep(10).await;
        let at_ms = auditor.world.elapsed_ms();
        auditor.world.declare(lost(at_ms));
        auditor.saw_counts(AT, asked_ms, &count(5));
        for added in [3, 4] {
            auditor.world.sleep(10).await;
            auditor.saw_counts(AT, auditor.world.elapsed_ms(), &count(added));
        }
        assert_eq!(auditor.world.failure(), None);
        auditor.world.sleep(10).await;
        auditor.saw_counts(AT, auditor.world.elapsed_ms(), &count(1));
        let failure = auditor.world.failure().map(|failure| failure.check);
        assert_eq!(failure, Some("no replica returns to an older state"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_sent_again_gets_the_same_status() {
        let auditor = auditor();
        let tag = auditor.books().element("somebody", "part", Variant::default());
        let mut books = auditor.books();
        let done = |status| Heard::Done(json!({ "status": status, "comment": { "id": "a" } }));
        for (status, is_wrong) in [(201, false), (201, false), (200, true)] {
            let attempt = books.sends(Deed::Post { tag, variant: 0 }, AT, 0);
            assert_eq!(books.settles(attempt, &done(status), status, 1).is_some(), is_wrong, "{status}");
        }
    }
}
