//! Sending: a message is on the disk before its sender is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::attributes::{DELAY_S_MAX, Settings};
use super::content::{Attribute, Content};
use super::rows::{self, Aborted, Books, Dedup, State};
use super::{Engine, Line, keys, over_limit, sequence};
use crate::error::{Kind, SqsError, SqsResult};
use crate::message;

/// For how long a FIFO queue remembers a deduplication id.
const DEDUP_MS: u64 = 300_000;
/// Longest group and deduplication id, in characters.
const ID_CHARS_MAX: usize = 128;

/// What is to be sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) body: String,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) trace_header: Option<String>,
    pub(crate) delay_s: Option<u64>,
    pub(crate) group: Option<String>,
    pub(crate) dedup_id: Option<String>,
}

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) message_id: String,
    /// FIFO queues only.
    pub(crate) sequence: Option<String>,
}

/// A draft that was checked.
#[derive(Debug, Clone)]
struct Prepared {
    message_id: String,
    content: Bytes,
    group: Option<String>,
    dedup: Option<u128>,
    delay: Duration,
}

/// What the store made of it.
enum Outcome {
    New(u64),
    Duplicate(Dedup),
    Full,
}

fn check_id(name: &str, id: &str) -> SqsResult<()> {
    let legal = (1..=ID_CHARS_MAX).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
    let reason = || {
        format!(
            "{name} can only include alphanumeric and punctuation characters. 1 to {ID_CHARS_MAX} in length."
        )
    };
    if legal { Ok(()) } else { Err(SqsError::parameter(name, id, reason())) }
}

fn half_sha256(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest.first_chunk::<16>().map_or(0, |half| u128::from_be_bytes(*half))
}

fn hex_sha256(body: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(body).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
        hex
    })
}

impl Draft {
    /// The group and the deduplication id that hold in a queue with these settings.
    fn ids(&self, settings: &Settings) -> SqsResult<(Option<String>, Option<String>)> {
        if let Some(group) = &self.group {
            check_id("MessageGroupId", group)?;
        }
        if !settings.fifo {
            if let Some(id) = &self.dedup_id {
                let reason = "The request include parameter that is not valid for this queue type.";
                return Err(SqsError::parameter("MessageDeduplicationId", id, reason));
            }
            return Ok((self.group.clone(), None));
        }
        self.check_given(settings)?;
        let dedup_id = if let Some(id) = &self.dedup_id {
            check_id("MessageDeduplicationId", id)?;
            id.clone()
        } else {
            hex_sha256(&self.body)
        };
        Ok((self.group.clone(), Some(dedup_id)))
    }

    /// What a FIFO queue has to be told, and was not.
    fn check_given(&self, settings: &Settings) -> SqsResult<()> {
        if !settings.fifo {
            return Ok(());
        }
        if self.group.is_none() {
            return Err(SqsError::missing("MessageGroupId"));
        }
        if self.dedup_id.is_none() && !settings.content_dedup {
            let message = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly";
            return Err(SqsError::new(Kind::InvalidParameterValue, message));
        }
        Ok(())
    }

    fn delay(&self, settings: &Settings) -> SqsResult<Duration> {
        match self.delay_s {
            None => Ok(settings.delay),
            Some(delay_s) if delay_s > DELAY_S_MAX => {
                let reason = format!("DelaySeconds must be >= 0 and <= {DELAY_S_MAX}.");
                Err(SqsError::parameter("DelaySeconds", delay_s, reason))
            }
            Some(0) if settings.fifo => Ok(settings.delay),
            Some(delay_s) if settings.fifo => {
                let reason = "The request include parameter that is not valid for this queue type.";
                Err(SqsError::parameter("DelaySeconds", delay_s, reason))
            }
            Some(delay_s) => Ok(Duration::from_secs(delay_s)),
        }
    }
}

impl Line {
    /// Refuses a draft for which this FIFO queue has no group, or no deduplication id: a batch is refused as a whole then.
    pub(crate) fn check_ids(&self, draft: &Draft) -> SqsResult<()> {
        match draft.check_given(&self.known().settings) {
            // In a batch it has another code.
            Err(error) if error.kind == Kind::MissingParameter => {
                Err(SqsError::new(Kind::InvalidParameterValue, error.message))
            }
            checked => checked,
        }
    }
}

impl Engine {
    fn prepare(&self, settings: &Settings, draft: Draft) -> SqsResult<Prepared> {
        message::check(&draft.body, &draft.attributes, settings.message_bytes_max)?;
        let (group, dedup_id) = draft.ids(settings)?;
        let delay = draft.delay(settings)?;
        let dedup = dedup_id.as_ref().map(|id| {
            let scope = group.as_deref().filter(|_| settings.dedup_by_group).unwrap_or_default();
            half_sha256(&[scope.as_bytes(), id.as_bytes()])
        });
        let content = Content {
            message_id: self.uuid(),
            body: draft.body,
            attributes: draft.attributes,
            trace_header: draft.trace_header,
            dedup_id,
            dead_letter_source: None,
        };
        Ok(Prepared {
            message_id: content.message_id.clone(),
            content: content.encode()?,
            group,
            dedup,
            delay,
        })
    }

    /// Sends, and answers for each draft when all that were accepted are on the disk.
    pub(crate) async fn send(&self, line: &Arc<Line>, drafts: Vec<Draft>) -> SqsResult<Vec<SqsResult<Sent>>> {
        let settings = line.known().settings.clone();
        let prepared: Vec<SqsResult<Prepared>> =
            drafts.into_iter().map(|draft| self.prepare(&settings, draft)).collect();
        let accepted: Vec<Prepared> = prepared.iter().filter_map(|one| one.as_ref().ok()).cloned().collect();
        let mut outcomes = self.store_all(line, accepted).await?.into_iter();
        let fifo = settings.fifo;
        let answer = |prepared: SqsResult<Prepared>| {
            let prepared = prepared?;
            match outcomes.next() {
                Some(Outcome::New(number)) => {
                    Ok(Sent { message_id: prepared.message_id, sequence: fifo.then(|| sequence(number)) })
                }
                Some(Outcome::Duplicate(first)) => {
                    Ok(Sent { message_id: first.message_id, sequence: Some(sequence(first.number)) })
                }
                _ => Err(over_limit(format!(
                    "the queue {} holds {} messages, which is the most: receive and delete some, or purge it",
                    line.name, self.config.messages_max
                ))),
            }
        };
        Ok(prepared.into_iter().map(answer).collect())
    }

    async fn store_all(&self, line: &Arc<Line>, prepared: Vec<Prepared>) -> SqsResult<Vec<Outcome>> {
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        let (id, messages_max) = (line.id, self.config.messages_max);
        let delays: Vec<Duration> = prepared.iter().map(|one| one.delay).collect();
        let (outcomes, next) = self
            .store
            .write(move |view| {
                let now_ms = view.now_ms();
                let mut books = Books::load(view, id)?;
                let mut outcomes = Vec::with_capacity(prepared.len());
                for one in &prepared {
                    if let Some(hash) = one.dedup {
                        let found: Option<Dedup> =
                            rows::load(view, "a deduplication id", &keys::dedup(id, hash))?;
                        // A purge forgets what was sent before it.
                        let counts =
                            |first: &Dedup| first.until_ms > now_ms && first.number >= books.purged_below;
                        if let Some(first) = found.filter(counts) {
                            outcomes.push(Outcome::Duplicate(first));
                            continue;
                        }
                    }
                    if books.live >= messages_max {
                        outcomes.push(Outcome::Full);
                        continue;
                    }
                    let number = books.next;
                    write_message(view, &mut books, id, one, now_ms)?;
                    outcomes.push(Outcome::New(number));
                }
                books.store(view, id);
                Ok::<_, Aborted>((outcomes, books.next))
            })
            .await?;
        let now = Instant::now();
        let mut schedule = line.schedule();
        for (outcome, delay) in outcomes.iter().zip(delays) {
            if let (Outcome::New(number), false) = (outcome, delay.is_zero()) {
                schedule.expect(*number, now + delay, false);
            }
        }
        drop(schedule);
        line.arrived(next);
        Ok(outcomes)
    }
}

fn write_message(
    view: &mut store::View<'_>,
    books: &mut Books,
    id: keys::QueueId,
    one: &Prepared,
    now_ms: u64,
) -> Result<(), Aborted> {
    let number = books.next;
    let delay_ms = u64::try_from(one.delay.as_millis()).unwrap_or(u64::MAX);
    let visible_ms = if delay_ms == 0 { 0 } else { now_ms.saturating_add(delay_ms) };
    let state = State { sent_ms: now_ms, visible_ms, group: one.group.clone(), ..State::default() };
    view.set(keys::content(id, number), one.content.clone());
    state.save(view, id, number)?;
    if let Some(hash) = one.dedup {
        let until_ms = now_ms.saturating_add(DEDUP_MS);
        let dedup = Dedup { until_ms, message_id: one.message_id.clone(), number };
        rows::save(view, "a deduplication id", keys::dedup(id, hash), &dedup)?;
        view.set(keys::dedup_until(id, until_ms, hash), Vec::new());
    }
    books.next += 1;
    books.live += 1;
    Ok(())
}
