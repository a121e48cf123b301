//! One suite that every broker passes, from the port up to the pump.
//!
//! A [`Subject`] is a broker to be tested, and gives every case a place of its own. [`run`] is the `main` of its test:
//! it plays [`CASES`] side by side, says of each how it went as any test does, and leaves the results for the table that
//! the executable `conformance-table` prints.
//!
//! Nothing is excused silently: what a broker cannot do it declares in [`Subject::excuses`] with the reason, which is
//! printed and stands beneath the table. The brokers of this workspace declare nothing.
//!
//! # Map
//! | file | what |
//! |---|---|
//! | `subject` | what is tested: [`Subject`], [`Place`], [`Control`], [`Timing`] |
//! | `cases` | the list; beside it `settling`, `sharing`, `keeping`, `pumping`, `outages` |
//! | `scene` | what every case is made of |
//! | `watched`, `worker` | a receiver that counts; a process that is killed |
//! | `remote`, `outage` | brokers by URL; a broker of this process that seems to be away |
//! | `harness`, `table` | the runner, and what it leaves |

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a suite fails by panicking, like any test")]

mod cases;
mod harness;
mod outage;
mod remote;
mod scene;
mod subject;
mod table;
mod watched;
mod worker;

pub use cases::{CASES, Case};
pub use harness::{run, verdict};
pub use outage::Outage;
pub use remote::{Killed, Linked, Remote, fresh_prefix, open, wall_clock};
pub use scene::Scene;
pub use subject::{Control, LocalFuture, Need, Place, Subject, Timing, Unable};
pub use table::{Outcome, Report, markdown, reports};
pub use worker::Job;

/// The password in all URLs of [`Subject::wrong_urls`]: it is never to be shown.
pub const PASSWORD: &str = "hunter2";
