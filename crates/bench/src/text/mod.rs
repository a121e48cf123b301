//! One editing session, replayed as its writer and as a reader.

mod cola;
mod diamond;
mod loro;
mod ours;
mod yrs;

use crate::harness::{Workload, timed};
use crate::trace::Trace;
use std::time::Duration;

pub(crate) const LOCAL: &str = "text: local replay";
pub(crate) const AT_ONCE: &str = "text: remote, all at once";
pub(crate) const REMOTE: &str = "text: remote";

/// Measures the work, then checks the text that came of it.
fn checked<T>(
    trace: &Trace,
    work: impl FnOnce() -> T,
    text: impl FnOnce(&T) -> String,
) -> Result<Duration, String> {
    let (made, took) = timed(work);
    trace.check(&text(&made))?;
    Ok(took)
}

/// The session as its writer has it.
pub(crate) fn local(trace: &Trace, rounds: usize) -> Result<Workload<'_>, String> {
    let mut contenders = vec![ours::local(trace), diamond::local(trace)];
    contenders.extend(cola::local(trace));
    contenders.extend([loro::local(trace), yrs::local(trace)]);
    Ok(Workload {
        name: LOCAL,
        about: "A recorded session, edited patch by patch".to_owned(),
        operations: trace.operations()?,
        rounds,
        contenders,
    })
}

/// The session as a reader has it who is sent every patch.
pub(crate) fn remote(trace: &Trace, rounds: usize) -> Result<Workload<'_>, String> {
    let mut contenders = ours::remote(trace)?;
    contenders.extend(diamond::remote(trace));
    contenders.extend(cola::remote(trace));
    contenders.extend([loro::remote(trace)?, yrs::remote(trace)]);
    Ok(Workload {
        name: REMOTE,
        about: "The same session at another replica, one update a patch, made beforehand".to_owned(),
        operations: trace.operations()?,
        rounds,
        contenders,
    })
}

/// The session as a reader has it who comes when it is over.
pub(crate) fn at_once(trace: &Trace, rounds: usize) -> Result<Workload<'_>, String> {
    let mut contenders = ours::at_once(trace)?;
    contenders.extend([diamond::at_once(trace), loro::at_once(trace)?, yrs::at_once(trace)]);
    Ok(Workload {
        name: AT_ONCE,
        about: "The same session at another replica, sent as one; the time is that of a patch".to_owned(),
        operations: trace.operations()?,
        rounds,
        contenders,
    })
}
