//! Taking many messages at a time, whatever the broker gives at once.

use super::broker::Broker;
use super::error::CommandError;
use queue::{AckError, Delivery, Depth, Receipt, Receiver, WAIT_MAX};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What is taken goes on while the broker gives some at once, for so long at most: leases are running.
const GATHER_MAX: Duration = Duration::from_secs(1);
/// A broker that says that more waits is given up after so long without any of it.
const NOTHING_MAX: Duration = Duration::from_mins(1);
/// For how long a broker that is away is asked again.
const FAILING_MAX: Duration = Duration::from_mins(1);
/// Pauses between tries.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Tries of a settlement that the broker did not answer.
const SETTLE_TRIES: u32 = 5;

/// Takes messages out of one subscription.
#[derive(Debug)]
pub(crate) struct Taker {
    broker: Broker,
    receiver: Arc<dyn Receiver>,
    /// What was taken and not handed over yet, so that a take that is given up can be given back.
    held: Vec<Delivery>,
}

impl Taker {
    pub(crate) fn new(broker: Broker, receiver: Arc<dyn Receiver>) -> Self {
        Self { broker, receiver, held: Vec::new() }
    }

    /// Takes up to `max`: waits up to `wait` for the first, then takes what else is at hand.
    pub(crate) async fn take(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, CommandError> {
        let mut failing: Option<(Instant, Duration)> = None;
        let mut began = None;
        while self.held.len() < max {
            let wait = if self.held.is_empty() { wait.min(WAIT_MAX) } else { Duration::ZERO };
            match self.receiver.receive(max - self.held.len(), wait).await {
                Ok(none) if none.is_empty() => break,
                Ok(some) => self.held.extend(some),
                Err(_) if !self.held.is_empty() => break,
                Err(source) => {
                    let (since, pause) = failing.unwrap_or((Instant::now(), PAUSE_MIN));
                    let doing = format!("receiving from {}", self.receiver.subscription());
                    if !source.is_retryable() {
                        return Err(self.broker.failed(doing)(source));
                    }
                    if since.elapsed() >= FAILING_MAX {
                        let (url, after) = (self.broker.url.clone(), FAILING_MAX);
                        return Err(CommandError::Tired { url, doing, after, source });
                    }
                    sleep(pause).await;
                    failing = Some((since, (pause * 2).min(PAUSE_MAX)));
                }
            }
            if began.get_or_insert_with(Instant::now).elapsed() >= GATHER_MAX && !self.held.is_empty() {
                break;
            }
        }
        Ok(std::mem::take(&mut self.held))
    }

    /// Nothing came since `last`: does the broker say that nothing is left, too? Some need longer than anybody's patience to
    /// hand out their first message, so it is believed for a while.
    pub(crate) async fn is_empty(&self, last: Instant) -> bool {
        match self.receiver.depth().await {
            Ok(Depth { ready: 0, .. }) => true,
            Ok(_) | Err(_) if last.elapsed() >= NOTHING_MAX => true,
            Ok(_) => {
                // Not at once again: a broker that counts what it does not hand out would be asked without pause.
                sleep(PAUSE_MIN).await;
                false
            }
            Err(error) => {
                tracing::warn!(%error, "the broker does not say how much is left");
                true
            }
        }
    }

    /// Gives back what a take held that was dropped.
    pub(crate) async fn give_back_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.give_back(&held).await;
    }

    /// Gives messages back at once. What the broker does not take back comes again when its lease ends.
    pub(crate) async fn give_back(&self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            if let Err(error) = self.receiver.nack(&delivery.receipt, Duration::ZERO).await {
                tracing::warn!(%error, "a message was not given back: it comes again when its lease ends");
            }
        }
    }

    /// Acks, and returns how many were not: those come again.
    pub(crate) async fn ack(&self, deliveries: &[Delivery]) -> Result<u64, CommandError> {
        let mut receipts: Vec<Receipt> = deliveries.iter().map(|delivery| delivery.receipt.clone()).collect();
        let (mut again, mut pause) = (0, PAUSE_MIN);
        for tried in 1.. {
            let answers = self.receiver.ack(&receipts).await;
            let mut failed = Vec::new();
            for (receipt, answer) in receipts.into_iter().zip(answers) {
                match answer {
                    Ok(()) => {}
                    Err(AckError::Queue(error)) if error.is_retryable() && tried < SETTLE_TRIES => {
                        failed.push(receipt);
                    }
                    Err(AckError::Queue(error)) if !error.is_retryable() => {
                        return Err(self
                            .broker
                            .failed(format!("acking in {}", self.receiver.subscription()))(
                            error
                        ));
                    }
                    Err(_) => again += 1,
                }
            }
            if failed.is_empty() {
                break;
            }
            receipts = failed;
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(again)
    }

    pub(crate) fn receiver(&self) -> &Arc<dyn Receiver> {
        &self.receiver
    }
}
