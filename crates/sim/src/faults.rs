//! What can go wrong, by name, and how often it did.

use std::collections::BTreeMap;
use std::fmt;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// The broker accepts a message twice.
    Duplicate,
    /// The broker hands out what it has in any order.
    Reorder,
    /// A message waits for seconds or minutes.
    Delay,
    /// A message waits for hours, days or weeks.
    DelayLong,
    /// A publish is refused, and nothing was accepted.
    PublishRefused,
    /// A publish is refused, and the message was accepted.
    PublishRefusedAfter,
    /// A message that was accepted, and answered with success, is lost for ever.
    LoseAccepted,
    /// A receive fails.
    ReceiveFails,
    /// Messages are handed out, and the answer is lost: they come again when their leases end.
    ReceiveLost,
    /// A message is handed out again while its lease lives.
    Redeliver,
    /// An ack, nack or extension is answered with an error; in half of the cases it took effect.
    SettleLost,
    /// The broker answers nobody for a while.
    BrokerPause,
    /// A process does not reach the broker, nor the broker the process.
    Partition,
    /// What a process asks reaches the broker, and the answers are lost.
    PartitionOneWay,
    /// A process is killed at a moment.
    Kill,
    /// A process is killed between two polls of its futures.
    KillAtPoll,
    /// A process is killed inside a commit: before the batch is stored, or after it and before anybody is answered.
    KillInCommit,
    /// A machine loses its power: what was not synced is gone, but for a prefix of groups.
    PowerCut,
    /// The same inside a commit that nobody waits to be synced, so that there is something to be lost.
    PowerCutInCommit,
    /// A process is stopped for a while, and goes on as if nothing had been.
    Pause,
    /// A process is stopped in order, and started again.
    Deploy,
    /// A machine's clock jumps, either way.
    ClockJump,
    /// A machine's clock runs fast or slow, from a wrong time.
    ClockSkew,
    /// A disk is full for a while.
    DiskFull,
    /// A disk is slow for a while.
    DiskSlow,
    /// A disk does not know whether it stored a group: the store stops until it is opened again.
    DiskUnsure,
    /// A request never arrives.
    RequestLost,
    /// The answer to a request is lost.
    AnswerLost,
    /// A message that nobody can understand is published.
    Poison,
    /// A disk is set back to a backup, and an operator says so.
    Restore,
    /// A disk is set back to a backup, and nobody says so.
    RestoreUntold,
    /// A disk is lost with everything on it; an heir counts what it counted.
    Lose,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 32] = [
        Self::Duplicate,
        Self::Reorder,
        Self::Delay,
        Self::DelayLong,
        Self::PublishRefused,
        Self::PublishRefusedAfter,
        Self::LoseAccepted,
        Self::ReceiveFails,
        Self::ReceiveLost,
        Self::Redeliver,
        Self::SettleLost,
        Self::BrokerPause,
        Self::Partition,
        Self::PartitionOneWay,
        Self::Kill,
        Self::KillAtPoll,
        Self::KillInCommit,
        Self::PowerCut,
        Self::Pause,
        Self::Deploy,
        Self::ClockJump,
        Self::ClockSkew,
        Self::DiskFull,
        Self::DiskSlow,
        Self::DiskUnsure,
        Self::RequestLost,
        Self::AnswerLost,
        Self::Poison,
        Self::Restore,
        Self::RestoreUntold,
        Self::Lose,
        // Last, as it was the last to come: a plan draws in this order.
        Self::PowerCutInCommit,
    ];

    /// Its name, as the command line and the summary write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Delay => "delay",
            Self::DelayLong => "delay-long",
            Self::PublishRefused => "publish-refused",
            Self::PublishRefusedAfter => "publish-refused-after",
            Self::LoseAccepted => "lose-accepted",
            Self::ReceiveFails => "receive-fails",
            Self::ReceiveLost => "receive-lost",
            Self::Redeliver => "redeliver",
            Self::SettleLost => "settle-lost",
            Self::BrokerPause => "broker-pause",
            Self::Partition => "partition",
            Self::PartitionOneWay => "partition-one-way",
            Self::Kill => "kill",
            Self::KillAtPoll => "kill-at-poll",
            Self::KillInCommit => "kill-in-commit",
            Self::PowerCut => "power-cut",
            Self::PowerCutInCommit => "power-cut-in-commit",
            Self::Pause => "pause",
            Self::Deploy => "deploy",
            Self::ClockJump => "clock-jump",
            Self::ClockSkew => "clock-skew",
            Self::DiskFull => "disk-full",
            Self::DiskSlow => "disk-slow",
            Self::DiskUnsure => "disk-unsure",
            Self::RequestLost => "request-lost",
            Self::AnswerLost => "answer-lost",
            Self::Poison => "poison",
            Self::Restore => "restore",
            Self::RestoreUntold => "restore-untold",
            Self::Lose => "lose",
        }
    }

    /// How often it is to happen where a seed switches it on.
    pub(crate) fn often(self) -> Often {
        match self {
            Self::Duplicate | Self::Delay | Self::LoseAccepted => Often::Each { most: 0.3 },
            Self::Reorder => Often::Each { most: 0.6 },
            Self::DelayLong => Often::Each { most: 0.1 },
            Self::PublishRefused
            | Self::PublishRefusedAfter
            | Self::ReceiveFails
            | Self::ReceiveLost
            | Self::Redeliver
            | Self::SettleLost
            | Self::RequestLost
            | Self::AnswerLost => Often::Each { most: 0.2 },
            Self::KillInCommit | Self::PowerCutInCommit => Often::Each { most: 0.02 },
            Self::DiskUnsure => Often::Each { most: 0.01 },
            Self::Kill | Self::KillAtPoll | Self::PowerCut | Self::Deploy => Often::Run { most: 12.0 },
            Self::BrokerPause
            | Self::Partition
            | Self::PartitionOneWay
            | Self::Pause
            | Self::ClockJump
            | Self::DiskFull
            | Self::DiskSlow
            | Self::Poison => Often::Run { most: 6.0 },
            Self::Restore | Self::RestoreUntold | Self::Lose => Often::Run { most: 2.5 },
            Self::ClockSkew => Often::Start,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often a fault happens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Often {
    /// At each occasion, with at most this probability.
    Each { most: f64 },
    /// So often in a run, at most, on the average.
    Run { most: f64 },
    /// Once, when the run begins.
    Start,
}

/// How often each fault was played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Fault, u64>);

impl Counts {
    /// How often this one was.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }

    pub(crate) fn note(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }

    /// Those that never happened.
    pub fn missing(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| self.of(*fault) == 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
    }

    #[test]
    fn counts_add_up_and_tell_what_never_happened() {
        let (mut counts, mut other) = (Counts::default(), Counts::default());
        counts.note(Fault::Kill);
        other.note(Fault::Kill);
        other.note(Fault::Pause);
        counts.add(&other);
        assert_eq!((counts.of(Fault::Kill), counts.of(Fault::Pause)), (2, 1));
        assert_eq!(counts.missing().len(), Fault::ALL.len() - 2);
    }
}
