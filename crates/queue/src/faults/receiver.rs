//! Faults on the way out.

use std::sync::Arc;
use std::time::Duration;

use super::{Dials, happens, played};
use crate::{
    AckError, BoxFuture, Delivery, Depth, Lease, QueueError, Receipt, Receiver, Subscription, Topic,
};

/// How long a delivery that was alone is put off so that others can overtake it.
const REORDER_DELAY: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct FaultyReceiver {
    inner: Arc<dyn Receiver>,
    dials: Dials,
}

/// What is to happen to one delivery.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Pass,
    PutOff(Duration),
    Swap,
}

/// What is to happen to one ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AckFate {
    Pass,
    LostBefore,
    LostAfter,
}

impl FaultyReceiver {
    pub(super) fn new(inner: Arc<dyn Receiver>, dials: Dials) -> Self {
        Self { inner, dials }
    }

    fn draw(&self) -> Fate {
        self.dials.throw(self.topic(), |faults, rng, _| {
            let delayed = happens(rng, faults.delay);
            let swapped = happens(rng, faults.reorder);
            let delay = faults.delay_max.mul_f64(rng.f64());
            match (delayed, swapped) {
                (true, _) => Fate::PutOff(delay.max(REORDER_DELAY)),
                (false, true) => Fate::Swap,
                (false, false) => Fate::Pass,
            }
        })
    }

    fn draw_ack(&self) -> AckFate {
        self.dials.throw(self.topic(), |faults, rng, counts| {
            let lost = happens(rng, faults.ack_lost);
            let after = rng.bool();
            counts.acks_lost += u64::from(lost);
            match (lost, after) {
                (false, _) => AckFate::Pass,
                (true, false) => AckFate::LostBefore,
                (true, true) => AckFate::LostAfter,
            }
        })
    }

    fn topic(&self) -> &Topic {
        self.inner.subscription().topic()
    }

    /// Gives a delivery back; if that fails it is handed out after all.
    async fn put_off(&self, delivery: &Delivery, delay: Duration) -> bool {
        self.inner.nack(&delivery.receipt, delay).await.is_ok()
    }

    async fn play(&self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        let mut kept = Vec::with_capacity(deliveries.len());
        let mut swaps = Vec::new();
        let alone = deliveries.len() == 1;
        for delivery in deliveries {
            match self.draw() {
                Fate::PutOff(delay) if self.put_off(&delivery, delay).await => {
                    self.dials.throw(self.topic(), |_, _, counts| counts.delayed += 1);
                }
                Fate::Swap if alone && self.put_off(&delivery, REORDER_DELAY).await => {
                    self.dials.throw(self.topic(), |_, _, counts| counts.reordered += 1);
                }
                Fate::Swap => {
                    swaps.push(kept.len());
                    kept.push(delivery);
                }
                Fate::Pass | Fate::PutOff(_) => kept.push(delivery),
            }
        }
        self.dials.throw(self.topic(), |_, rng, counts| {
            for from in swaps {
                let to = rng.usize(..kept.len());
                if from != to {
                    kept.swap(from, to);
                    counts.reordered += 1;
                }
            }
        });
        kept
    }
}

impl Receiver for FaultyReceiver {
    fn subscription(&self) -> &Subscription {
        self.inner.subscription()
    }

    fn receive(&self, max: usize, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, QueueError>> {
        Box::pin(async move {
            let deliveries = self.inner.receive(max, wait).await?;
            Ok(self.play(deliveries).await)
        })
    }

    fn ack<'a>(&'a self, receipts: &'a [Receipt]) -> BoxFuture<'a, Vec<Result<(), AckError>>> {
        Box::pin(async move {
            let fates: Vec<AckFate> = receipts.iter().map(|_| self.draw_ack()).collect();
            let passed = receipts.iter().zip(&fates).filter(|(_, fate)| **fate != AckFate::LostBefore);
            let passed: Vec<Receipt> = passed.map(|(receipt, _)| receipt.clone()).collect();
            let mut answers = self.inner.ack(&passed).await.into_iter();
            let mut next = || answers.next().unwrap_or_else(|| Err(played("no answer").into()));
            let answer = |fate: AckFate| match fate {
                AckFate::Pass => next(),
                AckFate::LostBefore => Err(played("an ack is lost on its way").into()),
                AckFate::LostAfter => {
                    next().and_then(|()| Err(played("the answer to an ack is lost").into()))
                }
            };
            fates.into_iter().map(answer).collect()
        })
    }

    fn nack<'a>(&'a self, receipt: &'a Receipt, delay: Duration) -> BoxFuture<'a, Result<(), AckError>> {
        self.inner.nack(receipt, delay)
    }

    fn extend<'a>(
        &'a self,
        receipts: &'a [Receipt],
        lease: Duration,
    ) -> BoxFuture<'a, Vec<Result<Lease, AckError>>> {
        self.inner.extend(receipts, lease)
    }

    fn dead_letter<'a>(
        &'a self,
        receipt: &'a Receipt,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<(), AckError>> {
        Box::pin(async move {
            match self.draw_ack() {
                AckFate::Pass => self.inner.dead_letter(receipt, reason).await,
                AckFate::LostBefore => Err(played("a dead-lettering is lost on its way").into()),
                AckFate::LostAfter => {
                    self.inner.dead_letter(receipt, reason).await?;
                    Err(played("the answer to a dead-lettering is lost").into())
                }
            }
        })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        self.inner.depth()
    }
}
