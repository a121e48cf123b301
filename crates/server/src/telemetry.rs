//! Logs and metrics.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The chatter of what is below us is not what an operator of comments asks for. It stands before what was asked for, which
/// may name these too. What goes wrong in lapin comes to us as an error; what it logs as one may be the answer to a
/// question, such as whether a queue is there.
const QUIET: &str = "fjall=warn,lsm_tree=warn,lapin=off";

/// Why logs or metrics could not begin.
#[derive(Debug, Error)]
pub(crate) enum TelemetryError {
    #[error("the --log filter is not understood")]
    Filter(#[from] ParseError),
    #[error("logs could not begin: {0}")]
    Logs(String),
    #[error("metrics could not begin")]
    Metrics(#[from] BuildError),
}

/// Upper ends of the buckets of durations, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];
/// Upper ends of the buckets of group sizes, in writes.
const WRITES: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Logs to standard error from here on: what `filter` lets pass, as text or as JSON lines.
pub(crate) fn log(filter: &str, json: bool) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))?;
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let begun = if json { builder.json().try_init() } else { builder.try_init() };
    begun.map_err(|error| TelemetryError::Logs(error.to_string()))
}

/// Collects metrics from here on.
pub(crate) fn measure() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_writes".into()), &WRITES)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_gauge!("antiphon_outbox_rows", "rows that are still to be announced, by service");
    describe_gauge!("antiphon_kept_messages", "messages that were not understood and are kept, by service");
    describe_gauge!(
        "antiphon_store_stopped",
        "1 where no more writes are taken and a restart is needed, by service"
    );
    describe_gauge!("antiphon_queue_messages", "messages in the queue, by subscription and state");
    describe_gauge!("antiphon_queue_connected", "1 while the queue can be used");
    describe_histogram!("antiphon_store_group_writes", "writes that shared one commit, by service");
    describe_histogram!(
        "antiphon_merge_lag_seconds",
        Unit::Seconds,
        "from a row's change to its merge elsewhere, by topic"
    );
    describe_counter!("antiphon_announced_rows_total", "rows announced, by topic");
    describe_counter!("antiphon_kept_messages_total", "messages that were not understood, by subscription");
    describe_counter!("antiphon_clock_ahead_total", "stamps of clocks that run too far ahead");
}
