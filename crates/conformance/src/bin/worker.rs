//! Consumes or publishes until it is killed: `conformance-worker URL consume|publish SUBSCRIPTION LEASE_MS PAUSE_MS
//! NOTES`. The suite starts it.

use std::error::Error;
use std::time::Duration;

use antiphon_conformance::{Job, open};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, work, subscription, lease, pause, notes] = &arguments[..] else {
        return Err("conformance-worker URL consume|publish SUBSCRIPTION LEASE_MS PAUSE_MS NOTES".into());
    };
    let job = Job {
        work: work.clone(),
        subscription: subscription.parse()?,
        lease: Duration::from_millis(lease.parse()?),
        notes: notes.into(),
        pause: Duration::from_millis(pause.parse()?),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async { job.run(open(url).await).await });
    Ok(())
}
