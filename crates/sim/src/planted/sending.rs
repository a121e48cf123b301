//! Bugs of what is announced.

use super::Planted;
use comments::rows::TallyRow;
use messages::{Fact, TallyFact, delta_group};
use queue::{BoxFuture, Envelope, EnvelopeData, Message, PublishError, Publisher, Topic};
use std::convert::Infallible;
use std::sync::Arc;
use store::key::{self, OUTBOX_TAG};
use store::{Abort, Store};

/// A publisher, with the bug if it has one.
pub(crate) fn publisher(
    bug: Option<Planted>,
    inner: &Arc<dyn Publisher>,
    store: &Store,
) -> Arc<dyn Publisher> {
    match bug {
        Some(Planted::MarkClearedBlindly) => {
            Arc::new(ClearsBlindly { inner: Arc::clone(inner), store: store.clone() })
        }
        _ => Arc::clone(inner),
    }
}

/// Clears the marks of what was published, whatever happened to the rows meanwhile.
#[derive(Debug)]
struct ClearsBlindly {
    inner: Arc<dyn Publisher>,
    store: Store,
}

impl Publisher for ClearsBlindly {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: Vec<Message>,
    ) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        Box::pin(async move {
            let marks: Vec<_> = batch.iter().map(marks).collect();
            let answers = self.inner.publish(topic, batch).await;
            let sent = answers.iter().zip(marks).filter(|(answer, _)| answer.is_ok());
            let sent: Vec<_> = sent.flat_map(|(_, marks)| marks).collect();
            let cleared = self.store.write_relaxed(move |view| {
                for mark in &sent {
                    view.remove(mark.clone());
                }
                Ok::<_, Abort<Infallible>>(())
            });
            if let Err(error) = cleared.await {
                tracing::debug!(%error, "the planted bug could not clear");
            }
            answers
        })
    }
}

/// The outbox keys of the tallies in a message.
fn marks(message: &Message) -> Vec<Vec<u8>> {
    let Ok(envelope) = Envelope::decode(&message.body) else { return Vec::new() };
    let EnvelopeData::Json(data) = &envelope.data else { return Vec::new() };
    if envelope.event_type != TallyFact::TYPE {
        return Vec::new();
    }
    let Ok(decoded) = delta_group::decode::<TallyFact>(data) else { return Vec::new() };
    let mark = |row: Vec<u8>| [&[OUTBOX_TAG], TallyFact::TOPIC.as_bytes(), &[0], row.as_slice()].concat();
    decoded.group.keys().map(|key| mark(key::of::<TallyRow>(key))).collect()
}
