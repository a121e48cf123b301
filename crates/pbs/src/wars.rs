//! The trials: a write, and a read that begins some time after the write was answered.
//!
//! The write goes to all N replicas. It reaches a replica after W, and its acknowledgement takes A back; it is answered
//! when the W-th acknowledgement is there. Then, t later, a read goes to all replicas. It reaches one after R, and the
//! answer takes S back; the first R answers are those that count. The read is stale if it reached every one of them
//! before the write did.
//!
//! Which answers are first does not depend on t. So each trial has a *critical time*: the read is stale if it begins
//! earlier, and fresh from then on. Sorted, the critical times of all trials are the whole curve.

use crate::distribution::Distribution;
use crate::outcome::Outcome;
use crate::quorum::Quorum;
use fastrand::Rng;
use std::num::NonZeroUsize;
use thiserror::Error;

/// The most trials of a run. They are kept, in 24 bytes each.
pub const TRIALS_MAX: usize = 20_000_000;
/// The most threads of a run.
pub const THREADS_MAX: usize = 64;
/// So many trials share a generator, so that the same seed gives the same trials with any number of threads.
const BLOCK: usize = 1 << 16;

/// Why a run was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RunError {
    /// None, or too many.
    #[error("trials: {0}; it takes 1 to {TRIALS_MAX}")]
    Trials(usize),
}

/// How long the four messages between a coordinator and one replica take.
#[derive(Debug, Clone, PartialEq)]
pub struct Wars {
    /// The write, on its way to a replica.
    pub w: Distribution,
    /// Its acknowledgement.
    pub a: Distribution,
    /// The question, on its way to a replica.
    pub r: Distribution,
    /// The answer.
    pub s: Distribution,
    /// One replica a site: the writer and the reader are each at one of these sites, by chance, and a message to or from
    /// any other takes so many milliseconds more. `None` where all are at one place.
    pub remote: Option<f64>,
}

impl Wars {
    /// Everything at one place, and A = R = S.
    pub fn symmetric(w: Distribution, ars: Distribution) -> Self {
        Self { w, a: ars.clone(), r: ars.clone(), s: ars, remote: None }
    }

    /// How many trials could be played with every measurement used once; `None` where nothing was measured.
    ///
    /// Trials of several measurements are worth fewer: the variance of what n measurements tell, taken k at a time in all
    /// ways, is at most that of n/k independent trials (Hoeffding, *A Class of Statistics with Asymptotically Normal
    /// Distribution*, 1948, theorem 5.2).
    fn measurements(&self, quorum: Quorum) -> Option<u64> {
        let used = self.used(quorum);
        let trials = used.iter().filter(|(_, times)| *times > 0).filter_map(|(measured, _)| {
            // One file for several messages is drawn from by all of them.
            let same = used.iter().filter(|(other, _)| other == measured);
            let times: u64 = same.map(|(_, times)| times).sum();
            Some((measured.measurements()? / times).max(1))
        });
        trials.min()
    }

    /// How many draws of each message decide a trial.
    fn used(&self, quorum: Quorum) -> [(&Distribution, u64); 4] {
        let n = u64::from(quorum.n());
        // Who waits for no acknowledgement needs none, and then only the replicas that are read need the write.
        let (writes, acknowledgements) = if quorum.w() == 0 { (u64::from(quorum.r()), 0) } else { (n, n) };
        [(&self.w, writes), (&self.a, acknowledgements), (&self.r, n), (&self.s, n)]
    }
}

/// What one replica had to do with a read.
#[derive(Clone, Copy)]
struct Answer {
    /// When it is back, counted from the question.
    back: f64,
    /// How long after the question has to be sent for the write to be there before it: the write's way less the
    /// question's, counted from the write.
    behind: f64,
}

/// Times of one thread's trials.
#[derive(Default)]
pub(crate) struct Times {
    pub(crate) critical: Vec<f64>,
    pub(crate) reads: Vec<f64>,
    pub(crate) writes: Vec<f64>,
}

impl Times {
    fn sort(&mut self) {
        for times in [&mut self.critical, &mut self.reads, &mut self.writes] {
            times.sort_unstable_by(f64::total_cmp);
        }
    }

    fn append(&mut self, mut other: Self) {
        self.critical.append(&mut other.critical);
        self.reads.append(&mut other.reads);
        self.writes.append(&mut other.writes);
    }
}

/// One trial after another, in buffers that are made once.
struct Player<'a> {
    quorum: Quorum,
    wars: &'a Wars,
    acknowledged: Vec<f64>,
    answers: Vec<Answer>,
}

impl Player<'_> {
    /// How much longer a message to a replica takes, for the writer and for the reader.
    fn detours(&self, rng: &mut Rng) -> impl Fn(u16) -> (f64, f64) + use<> {
        let sites = self.wars.remote.map(|detour| {
            let n = self.quorum.n();
            (detour, rng.u16(..n), rng.u16(..n))
        });
        move |replica| {
            let Some((detour, writer, reader)) = sites else { return (0.0, 0.0) };
            let to = |site| if site == replica { 0.0 } else { detour };
            (to(writer), to(reader))
        }
    }

    fn play(&mut self, rng: &mut Rng, times: &mut Times) {
        self.acknowledged.clear();
        self.answers.clear();
        let detours = self.detours(rng);
        for replica in 0..self.quorum.n() {
            let (writing, reading) = detours(replica);
            let w = self.wars.w.sample(rng) + writing;
            let a = self.wars.a.sample(rng) + writing;
            let r = self.wars.r.sample(rng) + reading;
            let s = self.wars.s.sample(rng) + reading;
            self.acknowledged.push(w + a);
            self.answers.push(Answer { back: r + s, behind: w - r });
        }
        self.acknowledged.sort_unstable_by(f64::total_cmp);
        self.answers.sort_unstable_by(|one, other| one.back.total_cmp(&other.back));
        // With W = 0 the write is answered at once.
        let answered = usize::from(self.quorum.w()).checked_sub(1);
        let written = answered.and_then(|nth| self.acknowledged.get(nth)).copied().unwrap_or(0.0);
        let mut read = 0.0;
        let mut behind = f64::INFINITY;
        for answer in self.answers.iter().take(usize::from(self.quorum.r())) {
            behind = behind.min(answer.behind);
            read = answer.back;
        }
        times.critical.push((behind - written).max(0.0));
        times.reads.push(read);
        times.writes.push(written);
    }
}

/// The generator of a block of trials: blocks of one run are as far from each other as those of different seeds.
fn generator(seed: u64, block: usize) -> Rng {
    let block = u64::try_from(block).unwrap_or(u64::MAX);
    Rng::with_seed(seed ^ block.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Plays so many trials. The same seed gives the same outcome, with any number of threads.
pub fn run(
    quorum: Quorum,
    wars: &Wars,
    trials: usize,
    seed: u64,
    threads: NonZeroUsize,
) -> Result<Outcome, RunError> {
    if !(1..=TRIALS_MAX).contains(&trials) {
        return Err(RunError::Trials(trials));
    }
    let blocks = trials.div_ceil(BLOCK);
    let threads = threads.get().min(blocks).min(THREADS_MAX);
    let share = |thread: usize| {
        let mut times = Times::default();
        let n = usize::from(quorum.n());
        let mut player =
            Player { quorum, wars, acknowledged: Vec::with_capacity(n), answers: Vec::with_capacity(n) };
        for block in (thread..blocks).step_by(threads) {
            let mut rng = generator(seed, block);
            for _ in 0..BLOCK.min(trials - block * BLOCK) {
                player.play(&mut rng, &mut times);
            }
        }
        times.sort();
        times
    };
    let mut all = Times::default();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        all.append(share(0));
        for other in others {
            match other.join() {
                Ok(times) => all.append(times),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    if threads > 1 {
        all.sort();
    }
    Ok(Outcome::of(quorum, all, wars.measurements(quorum)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: u16) -> Distribution {
        Distribution::samples((0..count).map(f64::from).collect()).unwrap()
    }

    #[test]
    fn measurements_are_worth_the_trials_that_use_each_once() {
        let now = Distribution::constant(0.0).unwrap();
        let of = |w: &Distribution, a: &Distribution, r: &Distribution, (n, read, written)| {
            let (w, a, r, s) = (w.clone(), a.clone(), r.clone(), r.clone());
            Wars { w, a, r, s, remote: None }.measurements(Quorum::new(n, read, written).unwrap())
        };
        let (few, many) = (samples(120), samples(1_000));
        for (w, a, r, nrw, trials) in [
            (&now, &now, &now, (3, 1, 1), None),
            (&few, &now, &now, (1, 1, 0), Some(120)),
            // The reader's one replica has the write, or has it not, whatever the others have.
            (&few, &now, &now, (10, 1, 0), Some(120)),
            (&few, &now, &now, (10, 2, 0), Some(60)),
            (&few, &now, &now, (3, 1, 1), Some(40)),
            (&few, &many, &now, (3, 1, 1), Some(40)),
            (&many, &few, &now, (3, 1, 0), Some(1_000)),
            // The answer takes as long as the question, by the same numbers.
            (&now, &now, &few, (3, 1, 1), Some(20)),
            (&few, &few, &few, (2, 1, 1), Some(15)),
            (&few, &now, &now, (128, 1, 1), Some(1)),
        ] {
            assert_eq!(of(w, a, r, nrw), trials, "{w}, {a}, {r}, {nrw:?}");
        }
    }
}
