//! Running handlers: one message at a time, or a batch.

use std::sync::Arc;

use futures_util::future::join_all;
use queue::{BoxFuture, Delivery};

use super::Handled;
use crate::batch::matched;
use crate::layers::{catching, catching_batch};
use crate::{BatchHandler, Cancellation, Context, Handler, HandlerError, Request};

/// A message that is to be handled.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) delivery: Arc<Delivery>,
    pub(super) held: Held,
}

/// What a message needs when its handler begins.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) context: Context,
    /// Drops the handler.
    pub(super) aborted: Cancellation,
}

/// A handler of any kind.
pub(super) trait Work: Send + Sync {
    /// Handles the jobs: one answer each, in order.
    fn run(
        self: Arc<Self>,
        jobs: Vec<(Arc<Delivery>, Context)>,
    ) -> BoxFuture<'static, Vec<Result<(), HandlerError>>>;
}

/// A handler of single messages.
pub(super) struct Single<H>(pub(super) H);

impl<H: Handler + 'static> Work for Single<H> {
    fn run(
        self: Arc<Self>,
        jobs: Vec<(Arc<Delivery>, Context)>,
    ) -> BoxFuture<'static, Vec<Result<(), HandlerError>>> {
        Box::pin(async move {
            // There is one job, always: a handler that is slow delays no other.
            let mut answers = Vec::with_capacity(jobs.len());
            for (delivery, context) in &jobs {
                answers.push(catching(async { self.0.handle(&delivery.message, context).await }).await);
            }
            answers
        })
    }
}

/// A handler of batches.
pub(super) struct Batches<B>(pub(super) B);

impl<B: BatchHandler + 'static> Work for Batches<B> {
    fn run(
        self: Arc<Self>,
        jobs: Vec<(Arc<Delivery>, Context)>,
    ) -> BoxFuture<'static, Vec<Result<(), HandlerError>>> {
        Box::pin(async move {
            let request = |(delivery, context): (Arc<Delivery>, _)| Request {
                message: delivery.message.clone(),
                context,
            };
            let batch: Vec<_> = jobs.into_iter().map(request).collect();
            let answers = catching_batch(batch.len(), async { self.0.handle_batch(&batch).await }).await;
            matched(answers, batch.len())
        })
    }
}

/// Runs the jobs to their answers, or until all of them are to be dropped.
pub(super) async fn handle(work: Arc<dyn Work>, jobs: Vec<Job>) -> Handled {
    let mut ids = Vec::with_capacity(jobs.len());
    let mut aborted = Vec::with_capacity(jobs.len());
    let mut given = Vec::with_capacity(jobs.len());
    for Job { id, delivery, held } in jobs {
        ids.push(id);
        aborted.push(held.aborted);
        given.push((delivery, held.context));
    }
    let all_aborted = join_all(aborted.iter().map(Cancellation::cancelled));
    // What is inside is dropped inside: a handler may also panic when it is dropped, and a task that ended without saying
    // whose it was would hold its permits for ever.
    let answers = catching_batch(ids.len(), async {
        tokio::select! {
            biased;
            _ = all_aborted => Vec::new(),
            answers = work.run(given) => answers,
        }
    })
    .await;
    let answers = answers.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
    ids.into_iter().zip(answers).collect()
}
