//! What is tested: a broker, and a place on it for each case.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use queue::Queue;
use testbed::StartError;

/// A boxed future that stays where it is: every case has a thread of its own.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A broker to be tested.
///
/// # What the implementer owes
/// A [`Place`] of its own for every case, so that cases run side by side: on a shared broker a prefix of its own, which
/// [`fresh_prefix`](crate::fresh_prefix) gives.
pub trait Subject: Send + Sync {
    /// Its name: a column of the table.
    fn name(&self) -> &'static str;

    /// How long things take.
    fn timing(&self) -> Timing;

    /// A place where nothing is yet.
    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>>;

    /// What it cannot do: names of [cases](crate::CASES), each with the reason. Be stingy.
    fn excuses(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// URLs that are wrong, each with a word that has to occur in what is said about it.
    fn wrong_urls(&self) -> Vec<(String, &'static str)>;
}

/// What a case asks of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A broker that other cases use as well.
    Shared,
    /// A broker that holds at most so many messages per subscription.
    Bounded(u64),
    /// A link that [`Control`] cuts.
    Link,
    /// A broker that [`Control`] kills.
    Broker,
}

/// Where a case has its topics.
pub trait Place {
    /// A connection of its own, as another process would have it.
    fn connect(&self) -> LocalFuture<'_, Arc<dyn Queue>>;

    /// Returns when another process may connect: what [`connect`](Self::connect) gave has been dropped. A broker in a
    /// folder is closed here.
    fn leave(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Under which other processes find the same topics; `None` if there are no others.
    fn url(&self) -> Option<String>;

    /// What cuts and kills, if that was [needed](Need).
    fn control(&self) -> Option<&dyn Control> {
        None
    }
}

/// Does harm to a broker, or to the link to it.
pub trait Control {
    /// `SIGKILL`, or the reset of all connections.
    fn harm(&self) -> LocalFuture<'_, ()>;

    /// The link swallows everything and stays open.
    fn swallow(&self) -> LocalFuture<'_, ()>;

    /// As it was; returns when the broker can be used again.
    fn heal(&self) -> LocalFuture<'_, ()>;
}

/// How long things take with a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Time is virtual: nothing takes longer than it says, and waiting costs nothing.
    pub is_virtual: bool,
    /// The lease of a case; whole seconds, since SQS counts those.
    pub lease: Duration,
    /// How long a case waits for what must come.
    pub patience: Duration,
    /// How long a case looks for what must not come.
    pub glance: Duration,
    /// How long a call may take until it says that nobody answers.
    pub notice: Duration,
    /// How many cases run at a time.
    pub parallel: usize,
}

impl Timing {
    /// Of a broker in this process, under a paused clock.
    pub const VIRTUAL: Self = Self {
        is_virtual: true,
        lease: Duration::from_secs(10),
        patience: Duration::from_mins(1),
        glance: Duration::ZERO,
        notice: Duration::from_secs(10),
        parallel: 2,
    };

    /// Of a broker in this process that lives on a disk.
    pub const LOCAL: Self = Self {
        is_virtual: false,
        lease: Duration::from_secs(1),
        patience: Duration::from_secs(20),
        glance: Duration::from_millis(20),
        notice: Duration::from_secs(10),
        parallel: 8,
    };

    /// Of a broker in a process of its own, on a machine that is busy with other cases.
    pub const REMOTE: Self = Self {
        is_virtual: false,
        lease: Duration::from_secs(3),
        patience: Duration::from_secs(30),
        glance: Duration::from_millis(400),
        notice: Duration::from_secs(30),
        parallel: 12,
    };
}

/// Why there is no place.
#[derive(Debug, Clone)]
pub enum Unable {
    /// The broker is not installed here: the case is passed over, unless the run requires all brokers.
    Missing(String),
    /// It should have worked.
    Failed(String),
}

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

impl From<StartError> for Unable {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Missing(missing) => Self::Missing(missing.to_string()),
            error => {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                Self::Failed(format!("{error}{}", source.unwrap_or_default()))
            }
        }
    }
}
