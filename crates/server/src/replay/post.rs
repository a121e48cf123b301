//! Posts and deletes: as much at once as is allowed, in the order of the file as far as replies demand it.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use messages::{CommentId, PartId};
use serde::Serialize;
use tokio::sync::mpsc;

use super::answers::Changed;
use super::call::Call;
use super::error::{ReplayError, While};
use super::hostile::{Again, Deletion, Fate, Hostile};
use super::input::InputError;
use super::keys::Keys;
use super::ledger::Ledger;
use super::plan::Comment;
use super::player::Player;
use super::progress::Progress;
use super::schedule::{Ready, Schedule};
use super::session::Session;

/// Comments that were read and are not yet sent. Enough that long conversations, whose replies wait for each other,
/// leave other work to do; little enough to hold.
const HELD_MAX: usize = 8_192;

/// What is needed for posting.
pub(super) struct Posting<'a> {
    pub(super) player: &'a Player<'a>,
    pub(super) keys: &'a Keys,
    pub(super) people: &'a [Arc<Session>],
    pub(super) parts: &'a [PartId],
    pub(super) hostile: Option<Hostile>,
    pub(super) connections: usize,
    /// Whether the server may know some of it from an earlier run.
    pub(super) repeated: bool,
}

/// What follows a post some time later.
enum Later {
    Again(Call, CommentId),
    Delete { number: usize, call: Call, id: CommentId, how: Deletion, part: usize },
}

enum Task {
    Post(Ready),
    Later(Later),
}

enum Done {
    Posted(Box<Posted>),
    Repeated,
    Deleted { part: usize, id: CommentId },
}

/// A comment that the server has acknowledged.
struct Posted {
    comment: Comment,
    call: Call,
    fate: Fate,
    id: CommentId,
    deleted: bool,
}

impl Posting<'_> {
    /// Sends everything that comes, until all of it is answered.
    pub(super) async fn run(
        &self,
        mut input: mpsc::Receiver<Result<Comment, InputError>>,
        ledger: &mut Ledger,
        progress: &Progress,
    ) -> Result<(), ReplayError> {
        let mut schedule = Schedule::new();
        let mut running = FuturesUnordered::new();
        let mut reading = true;
        loop {
            while running.len() < self.connections {
                let more_to_come = reading || schedule.held() > 0;
                let later = schedule.next_later(more_to_come).map(Task::Later);
                let Some(task) = later.or_else(|| schedule.next_post().map(Task::Post)) else { break };
                running.push(self.perform(task));
            }
            if !reading && running.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(done) = running.next(), if !running.is_empty() => {
                    self.settle(done?, &mut schedule, ledger);
                    progress.set_at(ledger.posted());
                }
                comment = input.recv(), if reading && schedule.held() < HELD_MAX => match comment {
                    Some(comment) => schedule.admit(comment?),
                    None => reading = false,
                },
            }
        }
    }

    async fn perform(&self, task: Task) -> Result<Done, ReplayError> {
        match task {
            Task::Post(Ready { comment, parent }) => {
                let call = self.post(&comment, parent);
                let fate = self.hostile.map_or_else(Fate::default, |hostile| hostile.comment(comment.number));
                let answer: Changed = (self.player.create(&call, fate).await)
                    .doing(|| format!("posting the comment {:?}", comment.name))?;
                let (id, deleted) = (answer.comment.id, answer.comment.deleted);
                Ok(Done::Posted(Box::new(Posted { comment, call, fate, id, deleted })))
            }
            Task::Later(Later::Again(call, id)) => {
                let again = self.player.again::<Changed>(&call, &id).await;
                again.doing(|| format!("posting the comment {id} again"))?;
                Ok(Done::Repeated)
            }
            Task::Later(Later::Delete { number, call, id, how, part }) => {
                let deleted = self.player.delete(&call, id, how).await;
                deleted.doing(|| format!("deleting comment {number}, which is {id}"))?;
                Ok(Done::Deleted { part, id })
            }
        }
    }

    fn settle(&self, done: Done, schedule: &mut Schedule<Later>, ledger: &mut Ledger) {
        let Posted { comment, call, fate, id, deleted } = match done {
            Done::Posted(posted) => *posted,
            Done::Repeated => return,
            Done::Deleted { part, id } => return ledger.delete(part, id),
        };
        if !ledger.post(comment.part, id) {
            self.player.breach(format!("the comment {:?} got the id {id} of another one", comment.name));
        }
        if deleted && self.repeated {
            ledger.delete(comment.part, id);
        } else if deleted {
            self.player.breach(format!("the comment {id} was deleted before anybody asked for it"));
        }
        schedule.posted(comment.number, id);
        if let Some((how, posts)) = fate.deleted {
            let call = Call::delete(format!("/v1/comments/{id}"));
            let call = match self.people.get(comment.author) {
                Some(author) => call.by(author),
                None => call,
            };
            let later = Later::Delete { number: comment.number, call, id, how, part: comment.part };
            schedule.after(posts, later);
        }
        if let Some(Again::Later(posts)) = fate.again {
            schedule.after(posts, Later::Again(call, id));
        }
    }

    fn post(&self, comment: &Comment, parent: Option<CommentId>) -> Call {
        #[derive(Serialize)]
        struct NewComment<'a> {
            text: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            parent: Option<CommentId>,
        }
        // The plan numbers no part and nobody that it did not name before.
        let part = self.parts.get(comment.part).copied().unwrap_or_default();
        let body = NewComment { text: &comment.text, parent };
        let call = Call::post(format!("/v1/parts/{part}/comments"), self.keys.comment(&comment.name), &body);
        match self.people.get(comment.author) {
            Some(author) => call.by(author),
            None => call,
        }
    }
}
