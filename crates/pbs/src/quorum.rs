//! How many replicas there are, and how many of them a read and a write wait for.

use serde::Serialize;
use thiserror::Error;

/// The most replicas of a model. Real ones have three or five.
pub const REPLICAS_MAX: u16 = 128;

/// Why there is no such quorum. *Mend the number that it names.*
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QuorumError {
    /// No replica, or more than a model can have.
    #[error("n: {0} replicas; it takes 1 to {REPLICAS_MAX}")]
    Replicas(u16),
    /// A read that waits for nobody reads nothing.
    #[error("r: a read cannot wait for {r} of {n} replicas; it takes 1 to {n}")]
    Read {
        /// What was given.
        r: u16,
        /// How many there are.
        n: u16,
    },
    /// More than there are.
    #[error("w: a write cannot wait for {w} of {n} replicas; it takes 0 to {n}")]
    Write {
        /// What was given.
        w: u16,
        /// How many there are.
        n: u16,
    },
}

/// Replicas, and how many a read and a write wait for. All requests go to all replicas, as in Dynamo: the first answers
/// count, and the write goes on to the others after it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quorum {
    n: u16,
    r: u16,
    w: u16,
}

impl Quorum {
    /// `n` replicas, of which a read waits for `r` and a write for `w`.
    ///
    /// `w` may be 0: then a write is answered before any of these replicas has it. That is how a service of Antiphon
    /// announces what it has committed: its own store is not among the replicas that are read elsewhere.
    pub fn new(n: u16, r: u16, w: u16) -> Result<Self, QuorumError> {
        if !(1..=REPLICAS_MAX).contains(&n) {
            return Err(QuorumError::Replicas(n));
        }
        if !(1..=n).contains(&r) {
            return Err(QuorumError::Read { r, n });
        }
        if w > n {
            return Err(QuorumError::Write { w, n });
        }
        Ok(Self { n, r, w })
    }

    /// How many replicas there are.
    pub fn n(self) -> u16 {
        self.n
    }

    /// How many a read waits for.
    pub fn r(self) -> u16 {
        self.r
    }

    /// How many a write waits for.
    pub fn w(self) -> u16 {
        self.w
    }

    /// Whether every read meets every write that was answered before it: R + W > N.
    pub fn is_strict(self) -> bool {
        self.r + self.w > self.n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_quorum_names_its_number() {
        for (n, r, w, field) in
            [(0, 1, 1, "n:"), (129, 1, 1, "n:"), (3, 0, 1, "r:"), (3, 4, 1, "r:"), (3, 1, 4, "w:")]
        {
            let refusal = Quorum::new(n, r, w).unwrap_err().to_string();
            assert!(refusal.starts_with(field), "{refusal}");
        }
    }

    #[test]
    fn strict_means_that_quorums_meet() {
        let strict = |n, r, w| Quorum::new(n, r, w).unwrap().is_strict();
        assert!(strict(3, 2, 2) && strict(1, 1, 1) && strict(128, 128, 1));
        assert!(!strict(3, 1, 2) && !strict(1, 1, 0));
    }
}
