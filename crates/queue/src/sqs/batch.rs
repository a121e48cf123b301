//! Batches: cut by count and by bytes, sent side by side, and repeated entry by entry.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::error::Failure;
use super::limits::BATCH_ENTRIES_MAX;

/// How often an entry is sent that the broker failed to take.
const ATTEMPTS_MAX: u32 = 4;
/// First pause before an entry is sent again; it doubles. Between half of it and all of it is waited.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// How many batches of one call are on their way at a time.
const BATCHES_AT_A_TIME: usize = 8;

/// A batch operation of the protocol.
pub(super) trait Batch: Sync {
    /// What one entry of a request is made of.
    type Entry: Sync;

    /// Most bytes of all entries of a request.
    const BYTES_MAX: usize;

    /// The size of an entry as the protocol counts it.
    fn bytes(entry: &Self::Entry) -> usize;

    /// Sends `entries` in one request. Answers with those that failed, by the place where they stand in `entries`.
    ///
    /// Errors: why the whole request failed, the SDK's own attempts included.
    fn send(
        &self,
        entries: &[&Self::Entry],
    ) -> impl Future<Output = Result<Vec<(usize, Failure)>, Failure>> + Send;
}

/// Pauses of which no two processes have the same, unless their seeds are.
#[derive(Debug)]
pub(super) struct Jitter(Mutex<fastrand::Rng>);

impl Jitter {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    fn pause(&self, attempt: u32) -> Duration {
        let share = self.0.lock().unwrap_or_else(PoisonError::into_inner).f64();
        PAUSE_FIRST.saturating_mul(1 << attempt.min(8)).mul_f64(0.5 + share / 2.0)
    }
}

/// The entries of `which`, cut so that no request has too many or too much.
fn cut<B: Batch>(entries: &[B::Entry], which: &[usize]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut filled = 0;
    for &place in which {
        let bytes = entries.get(place).map_or(0, B::bytes);
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_ENTRIES_MAX && filled + bytes <= B::BYTES_MAX => {
                batch.push(place);
                filled += bytes;
            }
            _ => {
                batches.push(vec![place]);
                filled = bytes;
            }
        }
    }
    batches
}

async fn send_one<B: Batch>(
    batch: &B,
    entries: &[B::Entry],
    places: Vec<usize>,
) -> Vec<(usize, Result<(), (Failure, bool)>)> {
    let sent: Vec<&B::Entry> = places.iter().filter_map(|place| entries.get(*place)).collect();
    match batch.send(&sent).await {
        // The SDK has repeated it already.
        Err(failure) => places.into_iter().map(|place| (place, Err((failure.clone(), false)))).collect(),
        Ok(mut failed) => {
            let mut answer = |at: usize| match failed.iter().position(|(failed_at, _)| *failed_at == at) {
                None => Ok(()),
                Some(found) => {
                    let (_, failure) = failed.swap_remove(found);
                    let again = failure.is_busy();
                    Err((failure, again))
                }
            };
            places.into_iter().enumerate().map(|(at, place)| (place, answer(at))).collect()
        }
    }
}

/// Sends all of `entries`, and gives one answer each. An entry that the broker failed to take is sent again, a bounded
/// number of times.
pub(super) async fn run<B: Batch>(
    batch: &B,
    entries: &[B::Entry],
    jitter: &Jitter,
) -> Vec<Result<(), Failure>> {
    let mut answers: Vec<Result<(), Failure>> = entries.iter().map(|_| Ok(())).collect();
    let mut waiting: Vec<usize> = (0..entries.len()).collect();
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            tokio::time::sleep(jitter.pause(attempt - 1)).await;
        }
        let mut sending = stream::iter(cut::<B>(entries, &waiting))
            .map(|places| send_one(batch, entries, places))
            .buffer_unordered(BATCHES_AT_A_TIME);
        let mut again = Vec::new();
        while let Some(answered) = sending.next().await {
            for (place, answer) in answered {
                let Some(kept) = answers.get_mut(place) else { continue };
                *kept = answer.map_err(|(failure, retry)| {
                    if retry {
                        again.push(place);
                    }
                    failure
                });
            }
        }
        again.sort_unstable();
        waiting = again;
        if waiting.is_empty() {
            break;
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::error::Doing;
    use super::*;
    use crate::QueueError;

    const DOING: Doing<'_> = Doing { what: "sending to", target: "queue \"q\"", url: "sqs+http://h" };

    /// Entries are their sizes. Those divisible by 7 are never taken, those by 3 at the third attempt.
    struct Picky {
        requests: Mutex<Vec<Vec<usize>>>,
        attempts_of_three: AtomicU32,
    }

    impl Batch for Picky {
        type Entry = usize;

        const BYTES_MAX: usize = 1_000;

        fn bytes(entry: &usize) -> usize {
            *entry
        }

        async fn send(&self, entries: &[&usize]) -> Result<Vec<(usize, Failure)>, Failure> {
            tokio::task::yield_now().await;
            self.requests.lock().unwrap().push(entries.iter().map(|entry| **entry).collect());
            let answer = |(at, entry): (usize, &&usize)| {
                if entry.is_multiple_of(7) {
                    return Some((at, Failure::of_entry("InvalidMessageContents", "", true, DOING)));
                }
                let early =
                    entry.is_multiple_of(3) && self.attempts_of_three.fetch_add(1, Ordering::Relaxed) < 2;
                early.then(|| (at, Failure::of_entry("InternalError", "", false, DOING)))
            };
            Ok(entries.iter().enumerate().filter_map(answer).collect())
        }
    }

    fn picky() -> Picky {
        Picky { requests: Mutex::default(), attempts_of_three: AtomicU32::new(0) }
    }

    #[tokio::test(start_paused = true)]
    async fn entries_are_answered_and_repeated_one_by_one() {
        let batch = picky();
        let answers = run(&batch, &[1, 3, 7, 2], &Jitter::seeded(1)).await;
        assert!(answers[0].is_ok() && answers[1].is_ok() && answers[3].is_ok(), "{answers:?}");
        let refused: QueueError = answers[2].clone().unwrap_err().into();
        assert!(matches!(refused, QueueError::Refused(_)), "{refused:?}");
        let requests = batch.requests.into_inner().unwrap();
        assert_eq!(requests, [vec![1, 3, 7, 2], vec![3], vec![3]], "what was taken is not sent again");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_repeated_for_ever() {
        struct Busy(AtomicU32);
        impl Batch for Busy {
            type Entry = ();
            const BYTES_MAX: usize = 1;
            fn bytes((): &()) -> usize {
                0
            }
            async fn send(&self, entries: &[&()]) -> Result<Vec<(usize, Failure)>, Failure> {
                self.0.fetch_add(1, Ordering::Relaxed);
                Ok((0..entries.len()).map(|at| (at, Failure::unanswered(DOING))).collect())
            }
        }
        let batch = Busy(AtomicU32::new(0));
        let answers = run(&batch, &[(), ()], &Jitter::seeded(1)).await;
        assert_eq!(batch.0.into_inner(), ATTEMPTS_MAX);
        assert!(answers.into_iter().all(|answer| QueueError::from(answer.unwrap_err()).is_retryable()));
    }

    #[tokio::test(start_paused = true)]
    async fn batches_are_cut_by_count_and_by_bytes() {
        let batch = picky();
        let entries: Vec<usize> = [500, 500, 1, 1_000].into_iter().chain([1; 23]).collect();
        let answers = run(&batch, &entries, &Jitter::seeded(1)).await;
        assert_eq!(answers.len(), entries.len());
        assert!(answers.iter().all(Result::is_ok));
        let requests = batch.requests.into_inner().unwrap();
        let mut counts: Vec<usize> = requests.iter().map(Vec::len).collect();
        counts.sort_unstable();
        assert_eq!(counts, [1, 1, 2, 3, 10, 10]);
        assert!(requests.iter().all(|request| request.iter().sum::<usize>() <= Picky::BYTES_MAX));
    }
}
