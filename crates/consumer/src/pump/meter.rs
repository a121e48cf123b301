//! What the pump tells of itself, through the `metrics` facade.

use std::collections::VecDeque;
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use queue::{AckError, Lease, Subscription};
use tokio::time::Instant;

/// The rate is that of so much time before now.
pub const RATE_WINDOW: Duration = Duration::from_mins(1);
/// It is counted in pieces of this length.
const PIECE: Duration = Duration::from_secs(5);

/// Counts what was settled, by time. The recorder is the one of the time when the pump was built.
pub(super) struct Meter {
    received: Counter,
    in_flight: Gauge,
    /// How many of those are this pump's.
    held: u32,
    rate: Gauge,
    extended: [Counter; 3],
    began: Instant,
    /// Each with when it ends, the oldest first. Their ends are a piece apart and go back no further than the window, so
    /// there are few.
    pieces: VecDeque<(Instant, u32)>,
    /// When the gauges are to be set next, though nothing happens: a rate falls by itself.
    due: Option<Instant>,
}

impl Meter {
    pub(super) fn new(subscription: &Subscription) -> Self {
        let topic = ("topic", subscription.topic().to_string());
        let service = ("service", subscription.service().to_owned());
        let labels = [topic.clone(), service.clone()];
        let extended = ["ok", "lost", "error"].map(|outcome| {
            let labels = [topic.clone(), service.clone(), ("outcome", outcome.to_owned())];
            counter!("antiphon_consumer_lease_extensions_total", &labels)
        });
        Self {
            received: counter!("antiphon_consumer_received_total", &labels),
            in_flight: gauge!("antiphon_consumer_in_flight", &labels),
            held: 0,
            rate: gauge!("antiphon_consumer_rate", &labels),
            extended,
            began: Instant::now(),
            pieces: VecDeque::new(),
            due: None,
        }
    }

    pub(super) fn received(&mut self) {
        self.received.increment(1);
        self.in_flight.increment(1);
        self.held = self.held.saturating_add(1);
    }

    /// A message has left, one way or another.
    pub(super) fn left(&mut self) {
        self.in_flight.decrement(1);
        self.held = self.held.saturating_sub(1);
    }

    pub(super) fn extended(&self, answer: &Result<Lease, AckError>) {
        let [ok, lost, error] = &self.extended;
        match answer {
            Ok(_) => ok,
            Err(AckError::LeaseLost) => lost,
            Err(_) => error,
        }
        .increment(1);
    }

    /// A message was settled.
    pub(super) fn settled(&mut self, now: Instant) {
        self.forget(now);
        match self.pieces.back_mut() {
            Some((end, count)) if now < *end => *count = count.saturating_add(1),
            _ => self.pieces.push_back((now + PIECE, 1)),
        }
        self.due.get_or_insert(now + PIECE);
    }

    /// When the rate is to be told again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Tells the rate, if its time has come.
    pub(super) fn tell(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.forget(now);
            self.rate.set(self.per_second(now));
            self.due = (!self.pieces.is_empty()).then_some(now + PIECE);
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.pieces.front().is_some_and(|(end, _)| *end + RATE_WINDOW <= now) {
            self.pieces.pop_front();
        }
    }

    fn per_second(&self, now: Instant) -> f64 {
        let settled: f64 = self.pieces.iter().map(|(_, count)| f64::from(*count)).sum();
        // The oldest piece may have begun before the window did.
        let counted = self.pieces.front().map_or(Duration::ZERO, |(end, _)| now + PIECE - *end);
        let seconds = (now - self.began).min(RATE_WINDOW).max(counted).max(PIECE);
        settled / seconds.as_secs_f64()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.rate.set(0.0);
        self.in_flight.decrement(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_rises_and_falls() {
        let subscription: Subscription = "topic/service/site".parse().unwrap();
        let mut meter = Meter::new(&subscription);
        for _ in 0..1_200 {
            tokio::time::advance(Duration::from_millis(100)).await;
            meter.settled(Instant::now());
        }
        let rate = meter.per_second(Instant::now());
        assert!((rate - 10.0).abs() < 0.02, "ten a second: {rate}");
        assert!(meter.pieces.len() <= 14, "{}", meter.pieces.len());
        tokio::time::advance(RATE_WINDOW * 2).await;
        meter.tell(Instant::now());
        assert!(meter.per_second(Instant::now()).abs() < f64::EPSILON);
        assert_eq!(meter.due(), None, "an idle pump is not woken");
    }
}
