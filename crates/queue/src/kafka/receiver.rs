//! One receiver: a member of the group of its subscription.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::error::KafkaError;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::cluster::{Cluster, blocking};
use super::desk::{Claim, Place};
use super::errors::{is_fenced, told};
use super::member::{Core, Membership};
use super::{dead, depth};
use crate::{
    AckError, BoxFuture, Delivery, Depth, LEASE_MAX, Lease, QueueError, Receipt, Receiver, Subscription,
    SubscriptionConfig, WAIT_MAX,
};

/// Most deliveries of one receive.
const RECEIVE_MESSAGES_MAX: usize = 1_024;
/// How long a receive sleeps at most before it looks again without having been woken.
const LOOK: Duration = Duration::from_millis(500);
/// How long an ack waits for the broker's word.
const CONFIRM_WAIT: Duration = Duration::from_secs(15);
/// The first pause before a commit is tried again, which doubles.
const CONFIRM_PAUSE: Duration = Duration::from_millis(20);
const CONFIRM_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long what could not be put aside waits before it is tried again.
const ASIDE_PAUSE: Duration = Duration::from_secs(1);

/// Tells the receipts of one receiver from those of another in this process.
static RECEIVERS: AtomicU64 = AtomicU64::new(0);

pub(super) struct KafkaReceiver {
    cluster: Arc<Cluster>,
    core: Arc<Core>,
    /// Dropped with the last receiver that has it.
    _membership: Arc<Membership>,
    subscription: Subscription,
    config: SubscriptionConfig,
    me: u64,
}

impl fmt::Debug for KafkaReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaReceiver").field("subscription", &self.subscription).finish_non_exhaustive()
    }
}

impl Drop for KafkaReceiver {
    fn drop(&mut self) {
        self.core.state().desk.abandon(self.me, Instant::now());
        self.core.woken.notify_waiters();
    }
}

/// Gives back what was being put aside, if that did not end: the future was dropped, or failed.
struct Aside<'a> {
    core: &'a Core,
    numbers: &'a [u64],
    /// Until when somebody has it, who may go on with it.
    until: Option<Instant>,
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        let mut state = self.core.state();
        for number in self.numbers {
            match self.until {
                Some(until) => state.desk.not_aside(*number, until),
                None => state.desk.release(*number, Instant::now() + ASIDE_PAUSE),
            }
        }
    }
}

/// A hand-out that was settled here, and waits for the broker's word.
struct Settled {
    number: u64,
    place: Place,
    term: u64,
}

impl KafkaReceiver {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        membership: Arc<Membership>,
        subscription: Subscription,
        config: SubscriptionConfig,
    ) -> Self {
        let me = RECEIVERS.fetch_add(1, Ordering::Relaxed);
        let core = Arc::clone(&membership.0);
        Self { cluster, core, _membership: membership, subscription, config, me }
    }

    fn receipt(&self, number: u64) -> Receipt {
        Receipt::new([self.me.to_be_bytes(), number.to_be_bytes()].concat())
    }

    fn number(&self, receipt: &Receipt) -> Option<u64> {
        let (me, rest) = receipt.as_bytes().split_first_chunk::<8>()?;
        let number = <[u8; 8]>::try_from(rest).ok()?;
        (u64::from_be_bytes(*me) == self.me).then(|| u64::from_be_bytes(number))
    }

    async fn receive_within(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        let max = max.min(RECEIVE_MESSAGES_MAX);
        let give_up = Instant::now() + wait.min(WAIT_MAX);
        if max == 0 {
            return Ok(Vec::new());
        }
        loop {
            // Registered before looking, so that what comes while we look wakes us.
            let woken = self.core.woken.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let taken = self.core.take(max, self.me, &self.config)?;
            if !taken.out.is_empty() {
                // Nobody waits for what was received too often: the next look that is idle puts it aside.
                drop(Aside { core: &self.core, numbers: &taken.too_often, until: None });
                return Ok(self.deliveries(&taken.out));
            }
            self.bury(&taken.too_often).await;
            if let Some(error) = taken.error.or_else(|| self.core.trouble.take(self.core.url.as_str())) {
                return Err(error);
            }
            let now = Instant::now();
            if now >= give_up {
                return Ok(Vec::new());
            }
            let until = taken.next_due.map_or(give_up, |due| due.min(give_up)).min(now + LOOK);
            tokio::select! {
                biased;
                () = &mut woken => {}
                () = sleep_until(until) => {}
            }
        }
    }

    fn deliveries(&self, numbers: &[u64]) -> Vec<Delivery> {
        let state = self.core.state();
        let delivery = |number: &u64| {
            let held = state.desk.get(*number)?;
            Some(Delivery {
                message: held.record.message.clone(),
                receive_count: held.receive_count,
                published_at_ms: held.record.published_at_ms,
                lease: Lease::until(held.until()?),
                receipt: self.receipt(*number),
            })
        };
        numbers.iter().filter_map(delivery).collect()
    }

    /// Puts aside what was received as often as it may be.
    async fn bury(&self, numbers: &[u64]) {
        let guard = Aside { core: &self.core, numbers, until: None };
        for number in numbers {
            let Some((_, count)) = self.held(*number) else { continue };
            let reason = crate::rows::received_too_often(count);
            match self.put_aside(*number, &reason).await {
                // Its partition went elsewhere: so did it.
                Ok(()) | Err(AckError::LeaseLost) => {}
                Err(AckError::Queue(error)) => {
                    tracing::warn!(%error, subscription = %self.subscription, "a dead letter could not be kept yet");
                }
            }
        }
        drop(guard);
    }

    /// Keeps as a dead letter what was set aside, and settles it.
    async fn put_aside(&self, number: u64, reason: &str) -> Result<(), AckError> {
        let Some((record, count)) = self.held(number) else { return Err(AckError::LeaseLost) };
        dead::bury(&self.cluster, &self.core.names, &record, count, reason).await?;
        // If its partition went elsewhere meanwhile it comes again there, and is a dead letter as well.
        let Some(settled) = self.settle(number, true) else { return Err(AckError::LeaseLost) };
        self.confirm(&[settled]).await.pop().unwrap_or(Err(AckError::LeaseLost))
    }

    fn held(&self, number: u64) -> Option<(super::codec::Record, u32)> {
        let state = self.core.state();
        state.desk.get(number).map(|held| (held.record.clone(), held.receive_count))
    }

    /// Settles in memory what is ours, or finds it settled and unconfirmed.
    fn settle(&self, number: u64, aside: bool) -> Option<Settled> {
        let now = Instant::now();
        let mut state = self.core.state();
        let settled = if aside { state.desk.settle_aside(number) } else { state.desk.settle(number, now) };
        let unconfirmed = || {
            let held =
                state.desk.get(number).filter(|_| state.desk.claim(number, now) == Claim::Unconfirmed)?;
            Some((held.place, held.offset))
        };
        let (place, offset) = settled.or_else(unconfirmed)?;
        let partition = state.partitions.get_mut(&place)?;
        partition.window.settle(offset);
        Some(Settled { number, place, term: partition.term })
    }

    async fn ack_all(&self, receipts: &[Receipt]) -> Vec<Result<(), AckError>> {
        let mut seen = std::collections::BTreeSet::new();
        let mut settled = Vec::new();
        let mut found = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let number = self.number(receipt).filter(|number| seen.insert(*number));
            let one = number.and_then(|number| self.settle(number, false));
            found.push(one.is_some());
            settled.extend(one);
        }
        let mut answers = self.confirm(&settled).await.into_iter();
        let answer = |found: bool| {
            if found { answers.next().unwrap_or(Err(AckError::LeaseLost)) } else { Err(AckError::LeaseLost) }
        };
        found.into_iter().map(answer).collect()
    }

    /// Waits until the broker has said that these are done. Those that wait together share a commit.
    async fn confirm(&self, settled: &[Settled]) -> Vec<Result<(), AckError>> {
        if settled.is_empty() {
            return Vec::new();
        }
        let mut last = None;
        let tried = timeout(CONFIRM_WAIT, async {
            let mut pause = CONFIRM_PAUSE;
            while self.is_open(settled) {
                match self.commit().await {
                    Ok(None) => {}
                    Ok(Some(error)) => {
                        last =
                            Some(told(&self.core.url, format_args!("acking {}", self.subscription), &error));
                        sleep(pause).await;
                        pause = (pause * 2).min(CONFIRM_PAUSE_MAX);
                    }
                    Err(error) => {
                        last = Some(error);
                        return;
                    }
                }
            }
        });
        let in_time = tried.await.is_ok();
        let state = self.core.state();
        let answer = |one: &Settled| {
            let term = state.partitions.get(&one.place).map(|partition| partition.term);
            if term != Some(one.term) {
                return Err(AckError::LeaseLost);
            }
            if state.desk.claim(one.number, Instant::now()) == Claim::Lost {
                return Ok(());
            }
            let slow = || format!("{}: no answer to an ack of {}", self.core.url, self.subscription);
            Err(AckError::Queue(match &last {
                Some(error) if in_time || error.is_retryable() => error.clone(),
                _ => QueueError::unavailable(slow()),
            }))
        };
        settled.iter().map(answer).collect()
    }

    /// Whether any of these waits for the broker's word, in a partition that is still ours.
    fn is_open(&self, settled: &[Settled]) -> bool {
        let now = Instant::now();
        let state = self.core.state();
        settled.iter().any(|one| state.desk.claim(one.number, now) == Claim::Unconfirmed)
    }

    /// Commits everything that is settled. Returns the error of a partition that is worth another try.
    async fn commit(&self) -> Result<Option<KafkaError>, QueueError> {
        let alone = Arc::clone(&self.core.committing).lock_owned().await;
        let core = Arc::clone(&self.core);
        let consumer = core.consumer()?;
        blocking(move || {
            let mut failed = None;
            for due in core.due() {
                match core.commit(&consumer, &due) {
                    Ok(()) => {}
                    Err(error) if is_fenced(&error) => {}
                    Err(error) => {
                        let told = told(&core.url, format_args!("acking {}", core.names.group), &error);
                        if !told.is_retryable() {
                            return Err(told);
                        }
                        failed = Some(error);
                    }
                }
            }
            drop(alone);
            Ok(failed)
        })
        .await
    }

    async fn bury_for(&self, receipt: &Receipt, reason: &str) -> Result<(), AckError> {
        let Some(number) = self.number(receipt) else { return Err(AckError::LeaseLost) };
        let until = self.core.state().desk.set_aside(number, Instant::now());
        if until.is_some() {
            let guard = Aside { core: &self.core, numbers: &[number], until };
            let answer = self.put_aside(number, reason).await;
            drop(guard);
            return answer;
        }
        // It was put aside before, and only the broker's word was missing.
        let Some(settled) = self.settle(number, false) else { return Err(AckError::LeaseLost) };
        self.confirm(&[settled]).await.pop().unwrap_or(Err(AckError::LeaseLost))
    }
}

impl Receiver for KafkaReceiver {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(self.receive_within(max, wait))
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(self.ack_all(receipts))
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(async move {
            let now = Instant::now();
            let due = now + delay.min(LEASE_MAX);
            let given_back =
                self.number(receipt).is_some_and(|number| self.core.state().desk.give_back(number, now, due));
            self.core.woken.notify_waiters();
            if given_back { Ok(()) } else { Err(AckError::LeaseLost) }
        })
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        Box::pin(async move {
            let now = Instant::now();
            let until = now + lease.min(LEASE_MAX);
            let mut state = self.core.state();
            let mut extend = |receipt: &Receipt| {
                self.number(receipt).is_some_and(|number| state.desk.extend(number, now, until))
            };
            let extended = receipts.iter().map(|receipt| {
                if extend(receipt) { Ok(Lease::until(until)) } else { Err(AckError::LeaseLost) }
            });
            extended.collect()
        })
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(self.bury_for(receipt, reason))
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        Box::pin(depth::of(&self.cluster, &self.core.names))
    }
}
