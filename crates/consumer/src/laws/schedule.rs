//! In what order, how often, and how far messages are delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Law;

/// Most awaits of a delivery before it is dropped.
const CUT_MAX: u32 = 3;
/// Most deliveries at the same time.
const TOGETHER_MAX: usize = 4;

/// One delivery of the message at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) message: usize,
    /// It is dropped when it awaits for this time, counted from 1; 0: never.
    pub(super) cut: u32,
    /// It goes to another handler of the same world: to another process, or to this one after a restart.
    pub(super) elsewhere: bool,
}

/// Rounds, one after another; the deliveries of a round happen at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule(pub(super) Vec<Vec<Step>>);

fn whole(message: usize) -> Step {
    Step { message, cut: 0, elsewhere: false }
}

impl Schedule {
    /// The schedule that a seed stands for.
    pub(super) fn of_seed(messages: usize, seed: u64) -> Self {
        let each = || (0..messages).map(whole);
        match seed {
            0 => Self(each().flat_map(|step| [vec![step], vec![step]]).collect()),
            1 => Self(each().rev().map(|step| vec![step]).collect()),
            2 => Self(vec![each().collect()]),
            _ => Self::random(messages, &mut fastrand::Rng::with_seed(seed)),
        }
    }

    fn random(messages: usize, rng: &mut fastrand::Rng) -> Self {
        let mut steps: Vec<Step> = Vec::with_capacity(messages * 2);
        for message in 0..messages {
            steps.push(whole(message));
            if rng.u8(..3) == 0 {
                steps.push(whole(message));
            }
            if rng.u8(..3) == 0 {
                steps.push(Step { cut: rng.u32(1..=CUT_MAX), ..whole(message) });
            }
        }
        rng.shuffle(&mut steps);
        for step in &mut steps {
            step.elsewhere = rng.u8(..4) == 0;
        }
        let mut rounds = Vec::new();
        while !steps.is_empty() {
            let together = if rng.u8(..5) < 3 { 1 } else { rng.usize(2..=TOGETHER_MAX) };
            let rest = steps.split_off(together.min(steps.len()));
            rounds.push(std::mem::replace(&mut steps, rest));
        }
        Self(rounds)
    }

    fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Whether anything goes to another process.
    pub(super) fn goes_elsewhere(&self) -> bool {
        self.steps().any(|step| step.elsewhere)
    }

    pub(super) fn deliveries(&self) -> u64 {
        self.0.iter().map(|round| u64::try_from(round.len()).unwrap_or(u64::MAX)).sum()
    }

    /// The same messages, each once, in order.
    pub(super) fn plain(&self) -> Self {
        let messages: BTreeSet<usize> = self.steps().map(|step| step.message).collect();
        Self(messages.into_iter().map(|message| vec![whole(message)]).collect())
    }

    /// What makes it other than plain: the most particular thing first.
    pub(super) fn law(&self) -> Law {
        let mut times = BTreeMap::<usize, u32>::new();
        for step in self.steps() {
            *times.entry(step.message).or_default() += 1;
        }
        if self.steps().any(|step| step.cut > 0) {
            Law::Cancellation
        } else if self.0.iter().any(|round| round.len() > 1) {
            Law::Concurrency
        } else if self.goes_elsewhere() {
            Law::Restart
        } else if times.values().any(|times| *times > 1) {
            Law::Idempotence
        } else {
            Law::Commutativity
        }
    }

    /// Schedules that are a little smaller or plainer than this one, each with a whole delivery of each of its messages.
    /// Every one has fewer deliveries, or fewer at the same time, or fewer elsewhere, or fewer cuts, or fewer out of order:
    /// so taking them again and again comes to an end.
    pub(super) fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let messages: BTreeSet<usize> = self.steps().map(|step| step.message).collect();
        if messages.len() > 1 {
            all.extend(messages.iter().rev().map(|gone| self.keeping(|_, step| step.message != *gone)));
        }
        let places = || (0_usize..).zip(self.steps());
        for (gone, step) in places() {
            let has_other =
                places().any(|(at, other)| at != gone && other.message == step.message && other.cut == 0);
            if has_other {
                all.push(self.keeping(|at, _| at != gone));
            }
        }
        for (at, round) in self.0.iter().enumerate().filter(|(_, round)| round.len() > 1) {
            let (mut rounds, mut reversed) = (self.0.clone(), self.0.clone());
            rounds.splice(at..=at, round.iter().map(|step| vec![*step]));
            reversed.splice(at..=at, round.iter().rev().map(|step| vec![*step]));
            all.extend([Self(rounds), Self(reversed)]);
        }
        let plainer = |place: usize, change: fn(&mut Step)| {
            let mut other = self.clone();
            other.0.iter_mut().flatten().nth(place).map(change);
            other
        };
        let elsewhere = places().filter(|(_, step)| step.elsewhere);
        all.extend(elsewhere.map(|(at, _)| plainer(at, |step| step.elsewhere = false)));
        let cut = places().filter(|(_, step)| step.cut > 0);
        all.extend(cut.map(|(at, _)| plainer(at, |step| step.cut = 0)));
        for (at, pair) in self.0.windows(2).enumerate() {
            if let [first, second] = pair
                && first.iter().map(|step| step.message).max() > second.iter().map(|step| step.message).max()
            {
                let mut rounds = self.0.clone();
                rounds.swap(at, at + 1);
                all.push(Self(rounds));
            }
        }
        all
    }

    /// Only those deliveries of which `keep` says so, by their place.
    fn keeping(&self, keep: impl Fn(usize, Step) -> bool) -> Self {
        let mut at = 0;
        let mut rounds = Vec::with_capacity(self.0.len());
        for round in &self.0 {
            let mut kept = Vec::with_capacity(round.len());
            for step in round {
                if keep(at, *step) {
                    kept.push(*step);
                }
                at += 1;
            }
            if !kept.is_empty() {
                rounds.push(kept);
            }
        }
        Self(rounds)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if self.cut > 0 {
            write!(f, "~{}", self.cut)?;
        }
        if self.elsewhere {
            f.write_str("'")?;
        }
        Ok(())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, round) in self.0.iter().enumerate() {
            f.write_str(if nth > 0 { ", " } else { "" })?;
            let steps: Vec<String> = round.iter().map(ToString::to_string).collect();
            match steps.as_slice() {
                [one] => f.write_str(one)?,
                several => write!(f, "({})", several.join(" | "))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_delivers_every_message_whole() {
        for messages in 0..6 {
            for seed in 0..200 {
                let schedule = Schedule::of_seed(messages, seed);
                for message in 0..messages {
                    let is_whole = |step: Step| step.message == message && step.cut == 0;
                    assert!(schedule.steps().any(is_whole), "{schedule}");
                }
                assert_eq!(schedule, Schedule::of_seed(messages, seed));
                for smaller in schedule.smaller() {
                    for message in smaller.steps().map(|step| step.message) {
                        assert!(
                            smaller.steps().any(|step| step.message == message && step.cut == 0),
                            "{schedule} to {smaller}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn making_smaller_ends_with_the_plain_one() {
        for seed in 0..50 {
            let mut schedule = Schedule::of_seed(5, seed);
            let mut steps = 0;
            while let Some(smaller) = schedule.smaller().into_iter().next_back() {
                schedule = smaller;
                steps += 1;
                assert!(steps < 200, "{schedule}");
            }
            assert_eq!(schedule, Schedule(vec![schedule.0[0].clone()]));
            assert_eq!(schedule.deliveries(), 1);
        }
    }
}
