//! What is done in the background, a bounded piece at a time: rows of purged and deleted queues, messages that are older
//! than their retention, deduplication ids that are over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::keys::{self, QueueId};
use super::rows::{self, Aborted, Books, Dedup, State};
use super::{Engine, Line};
use crate::error::{SqsError, SqsResult};

/// Rows that one piece of work removes.
const PIECE_ROWS: usize = 1_000;

impl Engine {
    /// Does a piece of the work, and says whether there is more.
    pub(crate) async fn housekeep(&self) -> SqsResult<bool> {
        let mut more = self.remove_doomed().await?;
        for line in self.lines() {
            more |= self.forget_dedups(line.id, self.now_ms()).await?;
            match self.expire(&line).await {
                Ok(left) => more |= left,
                // It was deleted meanwhile.
                Err(error) if error == SqsError::no_queue() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(more)
    }

    async fn remove_doomed(&self) -> SqsResult<bool> {
        let reader = self.store.reader()?;
        let Some((doomed, _)) = reader.scan(&keys::all_doomed(1)).await?.into_iter().next() else {
            return Ok(false);
        };
        let (id, below) = keys::read_doomed(&doomed)
            .ok_or_else(|| SqsError::damaged("what is to be removed", "its key is of another kind"))?;
        let page = reader.scan(&keys::states_below(id, below, PIECE_ROWS)).await?;
        let numbers: Vec<u64> = page.iter().filter_map(|(key, _)| keys::read_number(key)).collect();
        let is_deleted = below == u64::MAX;
        if numbers.is_empty() && !(is_deleted && self.forget_dedups(id, u64::MAX).await?) {
            self.store
                .write_relaxed(move |view| {
                    view.remove(doomed.to_vec());
                    Ok::<_, Aborted>(())
                })
                .await?;
            return Ok(true);
        }
        self.store
            .write_relaxed(move |view| {
                for number in &numbers {
                    view.remove(keys::content(id, *number));
                    view.remove(keys::state(id, *number));
                }
                Ok::<_, Aborted>(())
            })
            .await?;
        Ok(true)
    }

    /// Forgets deduplication ids that are over before `before_ms`.
    async fn forget_dedups(&self, id: QueueId, before_ms: u64) -> SqsResult<bool> {
        let page = self.store.reader()?.scan(&keys::dedups_before(id, before_ms, PIECE_ROWS)).await?;
        if page.is_empty() {
            return Ok(false);
        }
        let more = page.len() >= PIECE_ROWS;
        self.store
            .write_relaxed(move |view| {
                for (key, _) in &page {
                    view.remove(key.to_vec());
                    let Some(hash) = keys::read_dedup_until(key) else { continue };
                    let dedup = keys::dedup(id, hash);
                    // The same id may have been sent again since: that one is remembered for longer.
                    let found: Option<Dedup> = rows::load(view, "a deduplication id", &dedup)?;
                    if found.is_some_and(|found| found.until_ms < before_ms) {
                        view.remove(dedup);
                    }
                }
                Ok::<_, Aborted>(())
            })
            .await?;
        Ok(more)
    }

    /// Removes messages at the front that are older than the queue keeps them. Those behind a younger one (dead letters
    /// keep their age) go when that one goes, and are not handed out before.
    async fn expire(&self, line: &Arc<Line>) -> SqsResult<bool> {
        let front = line.front.load(Ordering::SeqCst);
        let (retention_ms, now_ms, now) = (line.known().settings.retention_ms, self.now_ms(), Instant::now());
        let page = self.store.reader()?.scan(&keys::states_from(line.id, front, PIECE_ROWS)).await?;
        let mut expired = Vec::new();
        let mut first_left = None;
        for (key, value) in &page {
            let number = keys::read_number(key)
                .ok_or_else(|| SqsError::damaged(State::WHAT, "its key is of another kind"))?;
            let state: State = rows::decode(State::WHAT, value)?;
            if state.expires_ms(retention_ms) > now_ms {
                first_left.get_or_insert(number);
                break;
            }
            // One that somebody works on is left to the end of its lease.
            if line.schedule().is_held(number, now) {
                first_left.get_or_insert(number);
            } else {
                expired.push(number);
            }
        }
        let front = first_left.or(expired.last().map(|last| last + 1)).unwrap_or(front);
        line.front.store(front, Ordering::SeqCst);
        if expired.is_empty() {
            return Ok(false);
        }
        let (id, gone) = (line.id, expired.clone());
        self.store
            .write_relaxed(move |view| {
                let mut books = Books::load(view, id)?;
                for number in &gone {
                    let state = State::load(view, id, *number)?.filter(|_| *number >= books.purged_below);
                    if state.is_some_and(|state| state.expires_ms(retention_ms) <= now_ms) {
                        rows::remove_message(view, &mut books, id, *number);
                    }
                }
                books.store(view, id);
                Ok::<_, Aborted>(())
            })
            .await?;
        let mut schedule = line.schedule();
        for number in expired {
            schedule.forget(number);
        }
        Ok(page.len() >= PIECE_ROWS)
    }
}
