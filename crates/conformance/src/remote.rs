//! Brokers that are found by URL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use queue::{Clock, Queue, QueueUrl, Settings, connect};
use testbed::{Proxy, StartError};
use tokio::time::sleep;

use crate::scene::must;
use crate::{Control, LocalFuture, Place};

/// How often a broker that has just come back is tried.
const CONNECTS_MAX: u32 = 40;
const CONNECT_EVERY: Duration = Duration::from_millis(250);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A prefix that nobody used before on a broker of this process.
pub fn fresh_prefix() -> String {
    format!("c{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "what real brokers stamp is compared with real time")]
pub fn wall_clock() -> Clock {
    Clock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A broker by its URL.
pub async fn open(url: &str) -> Arc<dyn Queue> {
    let seed = u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
    let parsed: QueueUrl = must(url.parse(), "a legal URL");
    must(connect(&parsed, &Settings { clock: wall_clock(), seed }).await, url)
}

/// A place that is a URL, with what may be harmed there.
pub struct Remote {
    url: String,
    control: Option<Box<dyn Control>>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Remote {
    /// The place at `url`, which has a prefix of its own.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), control: None }
    }

    /// With `control`, which also keeps alive what it controls.
    #[must_use]
    pub fn with(mut self, control: impl Control + 'static) -> Self {
        self.control = Some(Box::new(control));
        self
    }
}

impl Place for Remote {
    fn connect(&self) -> LocalFuture<'_, Arc<dyn Queue>> {
        Box::pin(open(&self.url))
    }

    fn url(&self) -> Option<String> {
        Some(self.url.clone())
    }

    fn control(&self) -> Option<&dyn Control> {
        self.control.as_deref()
    }
}

/// A link through a [`Proxy`]. `keep` is kept as long as it.
#[derive(Debug)]
pub struct Linked<T> {
    /// The link.
    pub proxy: Proxy,
    /// What has to live as long.
    pub keep: T,
}

impl<T> Control for Linked<T> {
    fn harm(&self) -> LocalFuture<'_, ()> {
        self.proxy.cut();
        Box::pin(async {})
    }

    fn swallow(&self) -> LocalFuture<'_, ()> {
        self.proxy.swallow();
        Box::pin(async {})
    }

    fn heal(&self) -> LocalFuture<'_, ()> {
        self.proxy.heal();
        Box::pin(async {})
    }
}

/// A broker that is killed and started again by closures.
pub struct Killed<B, K, R> {
    /// The broker.
    pub broker: B,
    /// `SIGKILL`.
    pub kill: K,
    /// Starts it again and returns when it is ready.
    pub restart: R,
    /// Under which it can be used again at the end.
    pub url: String,
}

impl<B, K, R> std::fmt::Debug for Killed<B, K, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Killed").field("url", &self.url).finish_non_exhaustive()
    }
}

impl<B, K, R> Control for Killed<B, K, R>
where
    K: Fn(&B) -> Result<(), StartError>,
    R: AsyncFn(&B) -> Result<(), StartError>,
{
    fn harm(&self) -> LocalFuture<'_, ()> {
        Box::pin(async { must((self.kill)(&self.broker), "killing the broker") })
    }

    fn swallow(&self) -> LocalFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn heal(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            must((self.restart)(&self.broker).await, "starting the broker again");
            answers(async || {
                let Ok(url) = self.url.parse::<QueueUrl>() else { return false };
                connect(&url, &Settings { clock: wall_clock(), seed: 0 }).await.is_ok()
            })
            .await;
        })
    }
}

/// Waits until a broker that listens also answers.
async fn answers(ask: impl AsyncFn() -> bool) {
    for _ in 0..CONNECTS_MAX {
        if ask().await {
            return;
        }
        sleep(CONNECT_EVERY).await;
    }
}
