//! Sending what may be lost.

use super::pace::{MESSAGE_BYTES, MESSAGE_BYTES_MIN};
use super::wire::WireError;
use consumer::Chain;
use queue::{Message, PublishError, Publisher, Topic};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Publishes parts of digests and wants on a topic, as many of them in a message as there is room for.
///
/// What is not taken is not tried again: the subscriber asks again. A broker that takes less gets smaller messages from
/// then on.
#[derive(Debug)]
pub(super) struct Sender {
    topic: Topic,
    publisher: Arc<dyn Publisher>,
    message_bytes: AtomicUsize,
}

impl Sender {
    pub(super) fn new(topic: Topic, publisher: Arc<dyn Publisher>) -> Self {
        Self { topic, publisher, message_bytes: AtomicUsize::new(MESSAGE_BYTES) }
    }

    /// Sends `parts` in messages that `message` makes.
    pub(super) async fn send<T>(
        &self,
        parts: Vec<T>,
        bytes: impl Fn(&T) -> usize,
        message: impl Fn(&[T]) -> Result<Message, WireError>,
    ) {
        let most = self.message_bytes.load(Ordering::Relaxed);
        let (mut batch, mut sizes, mut rest) = (Vec::new(), Vec::new(), parts.as_slice());
        while !rest.is_empty() {
            let mut room = most;
            let fits = |part: &T| {
                let taken = bytes(part);
                let fits = taken <= room;
                room = room.saturating_sub(taken);
                fits
            };
            // One that is larger than a message should be is sent alone.
            let count = counted(rest, fits).max(1);
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = later;
            match message(now) {
                Ok(message) => {
                    sizes.push((message.size_bytes(), now.len()));
                    batch.push(message);
                }
                Err(error) => {
                    tracing::error!(topic = %self.topic, %error, "a digest or want cannot be packed");
                }
            }
        }
        if batch.is_empty() {
            return;
        }
        for (answer, (size, parts)) in self.publisher.publish(&self.topic, batch).await.into_iter().zip(sizes)
        {
            match answer {
                Ok(()) => {
                    let labels = [("topic", self.topic.to_string())];
                    metrics::counter!("antiphon_anti_entropy_messages_total", &labels).increment(1);
                    metrics::counter!("antiphon_anti_entropy_bytes_total", &labels)
                        .increment(u64::try_from(size).unwrap_or(u64::MAX));
                }
                // One part alone gets no smaller by smaller messages.
                Err(PublishError::TooLarge { bytes_max, .. }) if parts > 1 => {
                    let less = (most / 2).max(MESSAGE_BYTES_MIN);
                    self.message_bytes.store(less, Ordering::Relaxed);
                    tracing::info!(topic = %self.topic, bytes_max, less, "digests and wants get smaller: the broker takes no larger ones");
                }
                Err(error) => {
                    tracing::debug!(topic = %self.topic, error = %Chain(&error), "a digest or want is lost; it will be asked again");
                }
            }
        }
    }
}

/// How many of the first parts fit.
fn counted<T>(parts: &[T], mut fits: impl FnMut(&T) -> bool) -> usize {
    parts.iter().take_while(|part| fits(part)).count()
}
