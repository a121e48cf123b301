use std::ops::AddAssign;

/// What a pump did with the messages it received. Once it has returned, `received` is the sum of all the others but
/// `receive_errors`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Hand-outs that arrived here.
    pub received: u64,
    /// Handled, and the ack is confirmed.
    pub acked: u64,
    /// Not handled, and given back to come again.
    pub retried: u64,
    /// Put aside as poison.
    pub poisoned: u64,
    /// Their lease was lost before they were settled: they come again, also those whose handler had finished.
    pub lost: u64,
    /// Given back for no fault of their own: unfinished at the end of the drain, or behind another one of their key that
    /// comes again.
    pub handed_back: u64,
    /// Neither settled nor given back when the pump had to return: they come again when their leases end.
    pub abandoned: u64,
    /// Receives that failed.
    pub receive_errors: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.acked += other.acked;
        self.retried += other.retried;
        self.poisoned += other.poisoned;
        self.lost += other.lost;
        self.handed_back += other.handed_back;
        self.abandoned += other.abandoned;
        self.receive_errors += other.receive_errors;
    }
}
