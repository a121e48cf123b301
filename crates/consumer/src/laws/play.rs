//! Playing a schedule.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use queue::{Message, Subscription, Topic};

use super::schedule::{Schedule, Step};
use crate::layers::catching;
use crate::{Context, Handler, HandlerError};

/// How often what failed is delivered again, while nothing else gets done either.
const DELIVERIES_MAX: u32 = 20;
/// A delivery that takes longer is dropped, and made again.
const DELIVERY_MAX: Duration = Duration::from_secs(30);

type Handling<'a> = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send + 'a>>;

/// Delivers the messages as the schedule says, and again what was not done by then: to `here`, and to `there` what goes to
/// another process.
///
/// Errors: why a message was never done.
pub(super) async fn play<H: Handler>(
    here: &H,
    there: Option<&H>,
    messages: &[Message],
    schedule: &Schedule,
    seed: u64,
) -> Result<(), String> {
    let subscription = subscription()?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut done = vec![false; messages.len()];
    let mut times = vec![0; messages.len()];
    let context = |times: u32| Context::new(subscription.clone()).with_receive_count(times);
    for steps in &schedule.0 {
        let mut contexts = Vec::with_capacity(steps.len());
        for step in steps {
            let times = times.get_mut(step.message).ok_or("no such message")?;
            *times += 1;
            contexts.push(context(*times));
        }
        let calls = steps.iter().zip(&contexts).filter_map(|(step, context)| {
            let message = messages.get(step.message)?;
            let handler = there.filter(|_| step.elsewhere).unwrap_or(here);
            Some(Call::new(*step, Box::pin(catching(async { handler.handle(message, context).await }))))
        });
        let round = Round { calls: calls.collect(), rng: rng.fork(), finished: Vec::new() };
        for (message, answer) in round.run().await {
            if !matches!(answer, Err(HandlerError::Retry { .. }))
                && let Some(done) = done.get_mut(message)
            {
                *done = true;
            }
        }
    }
    // One after another, again and again, since one may need another to be there.
    let mut fruitless = 0;
    loop {
        let touched = |message: usize| schedule.0.iter().flatten().any(|step| step.message == message);
        let mut last = None;
        let mut any_done = false;
        for (at, message) in messages.iter().enumerate().filter(|(at, _)| touched(*at)) {
            let (Some(done), Some(times)) = (done.get_mut(at), times.get_mut(at)) else { continue };
            if *done {
                continue;
            }
            *times += 1;
            let context = context(*times);
            let handling = catching(async { here.handle(message, &context).await });
            let why = match tokio::time::timeout(DELIVERY_MAX, handling).await {
                Ok(Err(error @ HandlerError::Retry { .. })) => error.to_string(),
                Ok(_) => {
                    (*done, any_done) = (true, true);
                    continue;
                }
                Err(_) => format!("no answer within {DELIVERY_MAX:?}"),
            };
            last = last.or(Some((at, why)));
        }
        let Some((at, why)) = last else { return Ok(()) };
        fruitless = if any_done { 0 } else { fruitless + 1 };
        if fruitless >= DELIVERIES_MAX {
            return Err(format!("message {at} failed {DELIVERIES_MAX} times, the last time: {why}"));
        }
    }
}

fn subscription() -> Result<Subscription, String> {
    let names = Topic::new("laws").and_then(|topic| Subscription::new(topic, "check", "handler"));
    names.map_err(|error| error.to_string())
}

/// A delivery under way.
struct Call<'a> {
    step: Step,
    awaits: u32,
    handling: Handling<'a>,
}

impl<'a> Call<'a> {
    fn new(step: Step, handling: Handling<'a>) -> Self {
        Self { step, awaits: 0, handling }
    }
}

/// Deliveries at the same time.
struct Round<'a> {
    calls: Vec<Call<'a>>,
    rng: fastrand::Rng,
    finished: Vec<(usize, Result<(), HandlerError>)>,
}

impl Round<'_> {
    /// The answers of those that were not dropped.
    async fn run(mut self) -> Vec<(usize, Result<(), HandlerError>)> {
        let all = std::future::poll_fn(|task| self.poll(task));
        // What hangs is dropped, and made again alone.
        if tokio::time::timeout(DELIVERY_MAX, all).await.is_err() {
            self.calls.clear();
        }
        self.finished
    }

    /// Lets each go on, or not, as the seed decides.
    fn poll(&mut self, task: &mut Task<'_>) -> Poll<()> {
        self.rng.shuffle(&mut self.calls);
        let mut going = Vec::with_capacity(self.calls.len());
        let mut skipped = false;
        for mut call in std::mem::take(&mut self.calls) {
            if self.rng.bool() {
                skipped = true;
                going.push(call);
                continue;
            }
            match call.handling.as_mut().poll(task) {
                Poll::Ready(answer) => self.finished.push((call.step.message, answer)),
                Poll::Pending => {
                    call.awaits += 1;
                    if call.step.cut == 0 || call.awaits < call.step.cut {
                        going.push(call);
                    }
                }
            }
        }
        self.calls = going;
        if self.calls.is_empty() {
            return Poll::Ready(());
        }
        if skipped {
            task.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
