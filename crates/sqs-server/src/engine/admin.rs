//! Making, changing, listing and removing queues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use store::Abort;

use super::attributes::{self, Attributes, RedriveAllow, Settings};
use super::keys;
use super::rows::{self, Aborted, Books, QueueRow};
use super::{Engine, Known, Line, QUEUES_MAX, lock, over_limit};
use crate::error::{Kind, SqsError, SqsResult};

/// Longest name of a queue, in characters, `.fifo` included.
const NAME_CHARS_MAX: usize = 80;
const FIFO_SUFFIX: &str = ".fifo";

type Tags = BTreeMap<String, String>;

fn check_name(name: &str, fifo: bool) -> SqsResult<()> {
    let stem = if fifo { name.strip_suffix(FIFO_SUFFIX) } else { Some(name) };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if fifo && stem.is_none() {
        let message = "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.";
        return Err(SqsError::new(Kind::InvalidParameterValue, message));
    }
    if name.len() > NAME_CHARS_MAX || !stem.is_some_and(|stem| !stem.is_empty() && stem.chars().all(legal)) {
        let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(SqsError::new(Kind::InvalidParameterValue, message));
    }
    Ok(())
}

fn check_tags(queue: &str, tags: &Tags) -> SqsResult<()> {
    let (key_max, value_max) = attributes::TAG_CHARS_MAX;
    if tags.len() > attributes::TAGS_MAX {
        let message = format!("Too many tags added for queue {queue}.");
        return Err(SqsError::new(Kind::InvalidParameterValue, message));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > key_max || value.chars().count() > value_max {
            let reason =
                format!("a tag has a key of 1 to {key_max} and a value of up to {value_max} characters");
            return Err(SqsError::invalid(reason));
        }
    }
    Ok(())
}

impl Engine {
    /// Makes a queue, or finds one of this name and these attributes.
    pub(crate) async fn create(&self, name: &str, given: Attributes, tags: Tags) -> SqsResult<Arc<Line>> {
        let fifo = given.get("FifoQueue").is_some_and(|fifo| fifo.eq_ignore_ascii_case("true"));
        check_name(name, fifo)?;
        attributes::check(&given, fifo)?;
        check_tags(name, &tags)?;
        let _admin = self.admin.lock().await;
        if let Ok(line) = self.line(name) {
            let known = line.known();
            let differs = given.iter().find(|(name, value)| {
                attributes::value_of(&known.row.attributes, name).unwrap_or_default()
                    != attributes::canonical(name, value)
            });
            return differs.map_or(Ok(line), |(attribute, _)| {
                let message = format!(
                    "A queue already exists with the same name and a different value for attribute {attribute}"
                );
                Err(SqsError::new(Kind::QueueNameExists, message))
            });
        }
        if lock(&self.lines).len() >= QUEUES_MAX {
            return Err(over_limit(format!("there are {QUEUES_MAX} queues, and no more are made")));
        }
        let mut set = Attributes::new();
        attributes::merge(&mut set, &given);
        self.check_redrive(name, &Settings::read(&set)?)?;
        let now_s = self.now_ms() / 1_000;
        let row = QueueRow { id: 0, attributes: set, tags, created_s: now_s, modified_s: now_s };
        let key = name.to_owned();
        let row = self
            .store
            .write(move |view| {
                let next = view.bytes(&keys::next_id())?;
                let id =
                    next.and_then(|bytes| <[u8; 8]>::try_from(&bytes[..]).ok()).map_or(1, u64::from_be_bytes);
                view.set(keys::next_id(), (id + 1).to_be_bytes().to_vec());
                let row = QueueRow { id, ..row.clone() };
                rows::save(view, QueueRow::WHAT, keys::queue(&key), &row)?;
                Books::default().store(view, id);
                Ok::<_, Aborted>(row)
            })
            .await?;
        let line = Arc::new(Line::new(name.to_owned(), Known::of(row)?, Books::default()));
        lock(&self.lines).insert(name.to_owned(), Arc::clone(&line));
        Ok(line)
    }

    /// The queue for dead letters has to be there, of the same kind, and to allow it.
    fn check_redrive(&self, name: &str, settings: &Settings) -> SqsResult<()> {
        let Some(redrive) = &settings.redrive else { return Ok(()) };
        let refuse = |reason: &str| Err(SqsError::parameter("RedrivePolicy", &redrive.target_arn, reason));
        let Some(target) = self.line_of_arn(&redrive.target_arn) else {
            return refuse("Dead letter target does not exist.");
        };
        let known = target.known();
        if known.settings.fifo != settings.fifo {
            return refuse("Dead-letter queue must be same type of queue as the source.");
        }
        let arn = self.arn(name);
        match &known.settings.allow {
            RedriveAllow::All => Ok(()),
            RedriveAllow::Only(sources) if sources.contains(&arn) => Ok(()),
            _ => refuse("The dead-letter queue does not allow this source queue by its RedriveAllowPolicy."),
        }
    }

    /// Changes attributes. They hold from now on, for messages that are there too.
    pub(crate) async fn set_attributes(&self, line: &Line, given: &Attributes) -> SqsResult<()> {
        let _admin = self.admin.lock().await;
        let known = line.known();
        let kind = given.get("FifoQueue").filter(|_| known.settings.fifo);
        if kind.is_some_and(|fifo| !fifo.eq_ignore_ascii_case("true")) {
            let message =
                "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.";
            return Err(SqsError::new(Kind::InvalidAttributeValue, message));
        }
        attributes::check(given, known.settings.fifo)?;
        let mut row = known.row.clone();
        attributes::merge(&mut row.attributes, given);
        if given.contains_key("RedrivePolicy") {
            self.check_redrive(&line.name, &Settings::read(&row.attributes)?)?;
        }
        row.modified_s = self.now_ms() / 1_000;
        self.save_row(line, row).await
    }

    async fn save_row(&self, line: &Line, row: QueueRow) -> SqsResult<()> {
        let known = Arc::new(Known::of(row)?);
        let (name, stored) = (line.name.clone(), Arc::clone(&known));
        self.store
            .write(move |view| {
                // Not one that was deleted meanwhile.
                match QueueRow::load(view, &name)? {
                    Some(row) if row.id == stored.row.id => {
                        rows::save(view, QueueRow::WHAT, keys::queue(&name), &stored.row)
                    }
                    _ => Err(Abort::Refused(SqsError::no_queue())),
                }
            })
            .await?;
        *lock(&line.known) = known;
        line.wake.notify_waiters();
        Ok(())
    }

    /// The attributes that are asked for; "All" is all.
    pub(crate) async fn attributes(&self, line: &Line, names: &[String]) -> SqsResult<Attributes> {
        if let Some(name) = names.iter().find(|name| !attributes::is_known(name)) {
            return Err(attributes::unknown(name));
        }
        if names.is_empty() {
            return Ok(Attributes::new());
        }
        let known = line.known();
        let counts = self.counts(line).await?;
        let mut all = attributes::shown(&known.row.attributes);
        let computed = [
            counts.visible.to_string(),
            counts.delayed.to_string(),
            counts.in_flight.to_string(),
            known.row.created_s.to_string(),
            known.row.modified_s.to_string(),
            self.arn(&line.name),
        ];
        all.extend(attributes::COMPUTED.map(str::to_owned).into_iter().zip(computed));
        if !names.iter().any(|name| name == "All") {
            all.retain(|name, _| names.contains(name));
        }
        Ok(all)
    }

    /// Queues whose names start with `prefix`, those after `after`; at most `limit`. With where to go on, if there are
    /// more.
    pub(crate) fn names(&self, prefix: &str, after: &str, limit: usize) -> (Vec<String>, Option<String>) {
        let lines = lock(&self.lines);
        let all = lines.keys().filter(|name| name.starts_with(prefix));
        page(all.filter(|name| name.as_str() > after).cloned(), limit)
    }

    /// The queues whose dead letters go to `line`.
    pub(crate) fn sources(&self, line: &Line, after: &str, limit: usize) -> (Vec<String>, Option<String>) {
        let arn = self.arn(&line.name);
        let is_source = |source: &Arc<Line>| {
            source.known().settings.redrive.as_ref().is_some_and(|redrive| redrive.target_arn == arn)
        };
        let lines = self.lines();
        let sources = lines.iter().filter(|source| source.name.as_str() > after && is_source(source));
        page(sources.map(|source| source.name.clone()), limit)
    }

    /// The tags of a queue.
    pub(crate) fn tags(line: &Line) -> Tags {
        line.known().row.tags.clone()
    }

    /// Adds tags and removes some.
    pub(crate) async fn tag(&self, line: &Line, add: Tags, remove: &[String]) -> SqsResult<()> {
        let _admin = self.admin.lock().await;
        let mut row = line.known().row.clone();
        row.tags.extend(add);
        row.tags.retain(|key, _| !remove.contains(key));
        check_tags(&line.name, &row.tags)?;
        self.save_row(line, row).await
    }

    /// Removes everything that is in a queue, in flight or not, when it returns.
    pub(crate) async fn purge(&self, line: &Line) -> SqsResult<()> {
        let id = line.id;
        let next = self
            .store
            .write(move |view| {
                let mut books = Books::load(view, id)?;
                books.live = 0;
                books.purged_below = books.next;
                books.store(view, id);
                view.set(keys::doomed(id, books.next), Vec::new());
                Ok::<_, Aborted>(books.next)
            })
            .await?;
        let mut schedule = line.schedule();
        // What was sent since is behind the cursor, unless somebody met it: then it is met again.
        schedule.clear(next);
        drop(schedule);
        line.arrived(next);
        Ok(())
    }

    /// Removes a queue and all that is in it.
    pub(crate) async fn delete(&self, line: &Line) -> SqsResult<()> {
        let _admin = self.admin.lock().await;
        let (name, id) = (line.name.clone(), line.id);
        self.store
            .write(move |view| {
                match QueueRow::load(view, &name)? {
                    Some(row) if row.id == id => {}
                    _ => return Err(Abort::Refused(SqsError::no_queue())),
                }
                view.remove(keys::queue(&name));
                view.remove(keys::books(id));
                view.set(keys::doomed(id, u64::MAX), Vec::new());
                Ok(())
            })
            .await?;
        lock(&self.lines).remove(&line.name);
        line.gone.store(true, Ordering::SeqCst);
        line.wake.notify_waiters();
        Ok(())
    }
}

fn page(names: impl Iterator<Item = String>, limit: usize) -> (Vec<String>, Option<String>) {
    let mut found: Vec<String> = names.take(limit.saturating_add(1)).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).cloned();
    (found, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_against_the_rules() {
        let longest = "x".repeat(NAME_CHARS_MAX);
        for (name, fifo) in [("a-B_9", false), (longest.as_str(), false), ("a.fifo", true)] {
            assert_eq!(check_name(name, fifo), Ok(()), "{name}");
        }
        let longer = "x".repeat(NAME_CHARS_MAX + 1);
        for (name, fifo) in
            [("a.b", false), ("a.fifo", false), ("a", true), (".fifo", true), (longer.as_str(), false)]
        {
            assert_eq!(check_name(name, fifo).unwrap_err().kind, Kind::InvalidParameterValue, "{name}");
        }
        assert_eq!(check_name("", false).unwrap_err().kind, Kind::InvalidParameterValue);
    }
}
