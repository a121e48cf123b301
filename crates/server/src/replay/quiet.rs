//! Waiting until nothing is on its way any more.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::answers::Status;
use super::call::Call;
use super::client::Client;
use super::error::{ReplayError, While};
use super::numbers::grouped;
use super::progress::Progress;

/// The whole wait, whatever moves.
pub(super) const WAIT_MAX: Duration = Duration::from_mins(30);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A status is no snapshot: what moves from one place to another while it is taken may be in neither. So it must be
/// quiet this many times in a row.
const QUIET_LOOKS: u32 = 3;

/// A broker outside of the server may count late, or only what it handed out: so the server must have been given
/// nothing for so long, too. That is longer than any delay that is played, and than any pause before a failed merge is
/// tried again.
const NOTHING_FOR: Duration = Duration::from_secs(5);

/// Whose depths are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broker {
    /// Its own, exact to the message.
    OfTheServer,
    Outside,
}

impl Broker {
    /// Of a server that was told of one, or not.
    pub(super) fn told(is_told: bool) -> Self {
        if is_told { Self::Outside } else { Self::OfTheServer }
    }
}

/// What was left aside, to be looked at by an operator.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeftAside {
    /// Dead letters of the queue.
    pub(super) dead: u64,
    /// Messages that a service kept because it did not understand them.
    pub(super) kept: u64,
}

/// Waits until the server says several times that it is quiet. `patience` is for the time without progress.
pub(super) async fn wait(
    client: &Client,
    patience: Duration,
    broker: Broker,
) -> Result<LeftAside, ReplayError> {
    let progress = Progress::start("settling", 0);
    let mut watch = Watch::default();
    let (mut moved, mut quiet) = (Instant::now(), 0);
    let (mut handled, mut given) = (0, Instant::now());
    loop {
        let status: Status = (client.send(&Call::get("/status".to_owned())).await)
            .doing(|| "waiting for the server to become quiet".to_owned())?;
        quiet = if status.quiet { quiet + 1 } else { 0 };
        if status.queue.handled != handled {
            (handled, given) = (status.queue.handled, Instant::now());
        }
        let still = broker == Broker::OfTheServer || given.elapsed() >= NOTHING_FOR;
        if quiet >= QUIET_LOOKS && still {
            return Ok(left_aside(&status));
        }
        if watch.saw_progress(&status) || status.quiet {
            moved = Instant::now();
        }
        progress.set(watch.most.saturating_sub(pending(&status)), watch.most);
        let (stuck, waited) = (moved.elapsed(), progress.elapsed());
        if stuck >= patience || waited >= WAIT_MAX {
            let after = if stuck >= patience { stuck } else { waited };
            return Err(ReplayError::NotQuiet { after, pending: describe(&status) });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether it gets less.
#[derive(Debug, Default)]
struct Watch {
    least: Option<u64>,
    most: u64,
}

impl Watch {
    /// What comes and goes is no progress: less must be pending than ever before.
    fn saw_progress(&mut self, status: &Status) -> bool {
        let pending = pending(status);
        self.most = self.most.max(pending);
        let less = self.least.is_none_or(|least| pending < least);
        if less {
            self.least = Some(pending);
        }
        less
    }
}

fn places(status: &Status) -> impl Iterator<Item = (String, u64)> {
    let outboxes =
        status.services.iter().map(|(name, service)| (format!("outbox of {name}"), service.outbox));
    let depths = status.queue.subscriptions.iter().flat_map(|(name, depth)| {
        let counts = [("ready", depth.ready), ("in flight", depth.in_flight), ("delayed", depth.delayed)];
        counts.map(|(state, count)| (format!("{state} in {name}"), count))
    });
    outboxes.chain(depths)
}

fn pending(status: &Status) -> u64 {
    places(status).map(|(_, count)| count).sum()
}

fn describe(status: &Status) -> String {
    let mut text = String::new();
    for (place, count) in places(status).filter(|(_, count)| *count > 0) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing into a string cannot fail.
        write!(text, "{comma}{} {place}", grouped(count)).ok();
    }
    if let Some(why) = &status.queue.why_not {
        return format!("{text}{}the queue: {why}", if text.is_empty() { "" } else { "; " });
    }
    if text.is_empty() { "the server says so, and names nothing".to_owned() } else { text }
}

pub(super) fn left_aside(status: &Status) -> LeftAside {
    LeftAside {
        dead: status.queue.subscriptions.values().map(|depth| depth.dead).sum(),
        kept: status.services.values().map(|service| service.kept).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(outbox: u64, ready: u64) -> Status {
        let text = format!(
            r#"{{"version":"0.1.0","services":{{"comments":{{"replica":"a","outbox":{outbox},"kept":2}}}},
            "queue":{{"connected":true,"subscriptions":{{"tallies/stories/main":{{"ready":{ready},"in_flight":0,
            "delayed":0,"dead":3}}}}}},"quiet":false}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn only_less_than_ever_is_progress() {
        let mut watch = Watch::default();
        let seen = [(5, 0), (0, 5), (0, 7), (0, 4), (4, 0), (3, 0)];
        let progress = seen.map(|(outbox, ready)| watch.saw_progress(&status(outbox, ready)));
        assert_eq!(progress, [true, false, false, true, false, true]);
        assert_eq!(watch.most, 7);
    }

    #[test]
    fn what_is_not_quiet_is_named() {
        let busy = status(1_200, 3);
        assert_eq!(describe(&busy), "1,200 outbox of comments, 3 ready in tallies/stories/main");
        assert_eq!(left_aside(&busy), LeftAside { dead: 3, kept: 2 });
        assert_eq!(describe(&status(0, 0)), "the server says so, and names nothing");
    }
}
