use ::metrics::{counter, gauge, histogram};
use tokio::time::Instant;

use crate::{BatchHandler, Context, Handler, HandlerError, Layer, Request};

/// Measures, through the `metrics` facade. Every metric has the labels `topic` and `service`.
///
/// | metric | kind | meaning |
/// |---|---|---|
/// | `antiphon_consumer_messages_total` | counter | answers, by `outcome`: `ok`, `retry`, `poison`, or `dropped` (cancelled) |
/// | `antiphon_consumer_duration_seconds` | histogram | from call to answer |
/// | `antiphon_consumer_age_seconds` | histogram | from publishing to the hand-out, if known |
/// | `antiphon_consumer_receive_count` | histogram | how often the message was handed out |
/// | `antiphon_consumer_handling` | gauge | messages without an answer yet |
/// | `antiphon_consumer_batch_messages` | histogram | messages of a batch; each has the duration of its batch |
///
/// The rate, what is in flight and the extensions of leases are measured by the [pump](crate::Pump).
#[derive(Debug, Clone, Copy, Default)]
pub struct Metrics;

impl<H> Layer<H> for Metrics {
    type Handler = MetricsHandler<H>;

    fn layer(&self, inner: H) -> MetricsHandler<H> {
        MetricsHandler { inner }
    }
}

/// See [`Metrics`].
#[derive(Debug, Clone)]
pub struct MetricsHandler<H> {
    inner: H,
}

/// Measures a call also if it is dropped.
struct Call {
    labels: [(&'static str, String); 2],
    started: Instant,
    outcome: &'static str,
}

impl Call {
    fn start(context: &Context) -> Self {
        let labels = [
            ("topic", context.subscription.topic().to_string()),
            ("service", context.subscription.service().to_owned()),
        ];
        gauge!("antiphon_consumer_handling", &labels).increment(1);
        histogram!("antiphon_consumer_receive_count", &labels).record(context.receive_count);
        if let Some(age) = context.age {
            histogram!("antiphon_consumer_age_seconds", &labels).record(age);
        }
        Self { labels, started: Instant::now(), outcome: "dropped" }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        gauge!("antiphon_consumer_handling", &self.labels).decrement(1);
        histogram!("antiphon_consumer_duration_seconds", &self.labels).record(self.started.elapsed());
        let [topic, service] = self.labels.clone();
        let labels = [topic, service, ("outcome", self.outcome.to_owned())];
        counter!("antiphon_consumer_messages_total", &labels).increment(1);
    }
}

impl<M: Sync, H: Handler<M>> Handler<M> for MetricsHandler<H> {
    async fn handle(&self, message: &M, context: &Context) -> Result<(), HandlerError> {
        let mut call = Call::start(context);
        let answer = self.inner.handle(message, context).await;
        call.outcome = outcome(&answer);
        answer
    }
}

impl<M: Sync, H: BatchHandler<M>> BatchHandler<M> for MetricsHandler<H> {
    async fn handle_batch(&self, batch: &[Request<M>]) -> Vec<Result<(), HandlerError>> {
        let mut calls: Vec<Call> = batch.iter().map(|item| Call::start(&item.context)).collect();
        if let Some(call) = calls.first() {
            histogram!("antiphon_consumer_batch_messages", &call.labels)
                .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        }
        let answers = self.inner.handle_batch(batch).await;
        // A message without an answer is tried again.
        for (nth, call) in calls.iter_mut().enumerate() {
            call.outcome = answers.get(nth).map_or("retry", outcome);
        }
        answers
    }
}

fn outcome(answer: &Result<(), HandlerError>) -> &'static str {
    match answer {
        Ok(()) => "ok",
        Err(HandlerError::Retry { .. }) => "retry",
        Err(HandlerError::Poison { .. }) => "poison",
    }
}
