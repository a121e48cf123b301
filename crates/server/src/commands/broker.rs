//! From a URL to a broker, and to one of its subscriptions.

use super::error::CommandError;
use crate::given::GivenUrl;
use queue::{
    Clock, Depth, Queue, QueueError, QueueUrl, Receiver, Settings, Subscription, SubscriptionConfig,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{RealWorld, World};
use tokio::time::timeout;

/// How long a broker may take to answer when it is opened or looked at.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// What every store has in its folder: opening one without it would begin a queue there.
const STORE: &str = "STORE";
/// Subscriptions that an error names.
const NAMED_MAX: usize = 12;

/// A broker that answered.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    /// Where it is, without a password.
    pub(crate) url: String,
    pub(crate) queue: Arc<dyn Queue>,
}

/// What it is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// What is there: a folder is not made for that.
    Using,
    Making,
}

impl Broker {
    /// Opens it.
    pub(crate) async fn open(given: &GivenUrl, purpose: For) -> Result<Self, CommandError> {
        let url = given.url().map_err(CommandError::Url)?.clone();
        if purpose == For::Using && folder(&url).is_some_and(|folder| !folder.join(STORE).is_file()) {
            return Err(CommandError::NoFolder { url: url.to_string() });
        }
        let settings = Settings { clock: clock(), seed: random() };
        let opened = timeout(ANSWER_MAX, queue::connect(&url, &settings)).await;
        let url = url.to_string();
        match opened {
            Ok(Ok(queue)) => Ok(Self { url, queue }),
            Ok(Err(QueueError::Refused(why))) => Err(CommandError::Url(QueueError::Refused(why))),
            Ok(Err(source)) => Err(CommandError::Open { url, source }),
            Err(_) => Err(CommandError::Silent { url, after: ANSWER_MAX }),
        }
    }

    /// Names the broker in an error. `doing` is a participle.
    pub(crate) fn failed(&self, doing: impl Into<String>) -> impl FnOnce(QueueError) -> CommandError {
        let (url, doing) = (self.url.clone(), doing.into());
        move |source| CommandError::Queue { url, doing, source }
    }

    /// Every subscription with its depth.
    pub(crate) async fn subscriptions(&self) -> Result<Vec<(Subscription, Depth)>, CommandError> {
        match timeout(ANSWER_MAX, self.queue.subscriptions()).await {
            Ok(answer) => answer.map_err(self.failed("listing its subscriptions")),
            Err(_) => Err(CommandError::Silent { url: self.url.clone(), after: ANSWER_MAX }),
        }
    }

    /// The subscription that is wanted, if it is there; the only one, if none is named. A command that looks must not
    /// make one for a name that was mistyped: it would be filled from then on, and nobody would read it.
    pub(crate) async fn choose(
        &self,
        wanted: Option<&Subscription>,
    ) -> Result<(Subscription, Depth), CommandError> {
        let mut found = self.subscriptions().await?;
        let there = there(&found);
        let url = self.url.clone();
        let Some(wanted) = wanted else {
            return match (found.pop(), found.is_empty()) {
                (Some(only), true) => Ok(only),
                _ => Err(CommandError::WhichSubscription { url, there }),
            };
        };
        match found.into_iter().find(|(name, _)| name == wanted) {
            Some(chosen) => Ok(chosen),
            None => Err(CommandError::NoSubscription { url, wanted: wanted.clone(), there }),
        }
    }

    /// A receiver of a subscription that is there.
    pub(crate) async fn receiver(
        &self,
        subscription: &Subscription,
        lease: Duration,
    ) -> Result<Arc<dyn Receiver>, CommandError> {
        let config = SubscriptionConfig { lease, ..SubscriptionConfig::default() };
        match timeout(ANSWER_MAX, self.queue.subscribe(subscription, config)).await {
            Ok(answer) => answer.map_err(self.failed(format!("subscribing to {subscription}"))),
            Err(_) => Err(CommandError::Silent { url: self.url.clone(), after: ANSWER_MAX }),
        }
    }
}

/// The folder of an embedded queue.
pub(crate) fn folder(url: &QueueUrl) -> Option<PathBuf> {
    if url.scheme() != "embedded" || url.path().is_empty() || !url.hosts().is_empty() {
        return None;
    }
    let rooted = url.to_string().split_once(':').is_some_and(|(_, rest)| rest.starts_with('/'));
    Some(if rooted { Path::new("/").join(url.path()) } else { url.path().into() })
}

fn there(found: &[(Subscription, Depth)]) -> String {
    if found.is_empty() {
        return "there are none: make some with antiphon topics apply".to_owned();
    }
    let mut names: Vec<_> = found.iter().take(NAMED_MAX).map(|(name, _)| name.to_string()).collect();
    if found.len() > names.len() {
        names.push(format!("{} more", found.len() - names.len()));
    }
    format!("there are: {}", names.join(", "))
}

/// The machine's clock, as brokers take it.
pub(crate) fn clock() -> Clock {
    Clock::new(|| RealWorld.now_ms())
}

/// A number that nobody else has.
pub(crate) fn random() -> u64 {
    u64::try_from(RealWorld.random() & u128::from(u64::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders() {
        let of = |text: &str| folder(&text.parse().unwrap());
        assert_eq!(of("embedded:./a"), Some("./a".into()));
        assert_eq!(of("embedded:/var/q"), Some("/var/q".into()));
        assert_eq!(of("embedded:///var/q"), Some("/var/q".into()));
        assert_eq!(of("nats://h/var"), None);
    }
}
