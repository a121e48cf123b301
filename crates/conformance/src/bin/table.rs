//! Prints the table of all reports that the tests of this build left, or writes the page that holds it:
//! `conformance-table [--write FILE | --check FILE]`. Fails if a case failed, or if the file differs.

use std::error::Error;
use std::process::ExitCode;

use antiphon_conformance::{Outcome, markdown, reports};

/// The order of the columns.
const BROKERS: [&str; 10] =
    ["memory", "faulty", "embedded", "serve", "sqs", "sqs-sns", "nats", "nats-cluster", "rabbitmq", "kafka"];

/// What stands above the table of the page.
const HEAD: &str = "# Conformance

Every broker behind the queue port, against one suite (`crates/conformance`), each case on the real broker:
`✓` it keeps it, a number is the reason why it cannot, beneath the table. `memory` and `embedded` are excused from nothing.

| column | what it is |
|---|---|
| memory, faulty | the broker in memory, under a paused clock; the same behind a fault injector that injects nothing |
| embedded | the durable broker in a folder; consumers and publishers in processes of their own are killed |
| serve | the backend for SQS against `antiphon queue serve`'s server, which is killed |
| sqs, sqs-sns | the same against ministack; the publisher fans out, or SNS does |
| nats, nats-cluster | `nats-server` with JetStream, which is killed; three of them with three replicas, whose leader is killed |
| rabbitmq | `rabbitmq-server` with quorum queues, which is killed |
| kafka | tansu, which speaks Kafka's protocol, in memory; on an object store where it is killed |

A broker of this process has no link: its being away is played in front of it, and the calls end as those over a network do.

This page is written by `cargo run -p antiphon-conformance --bin conformance-table -- --write docs/conformance.md` from
what the tests left; do not edit it.

";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let reports = reports(&BROKERS)?;
    let table = markdown(&reports);
    let page = format!("{HEAD}{table}");
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => print!("{table}"),
        ["--write", file] => std::fs::write(file, page)?,
        ["--check", file] if std::fs::read_to_string(file)? == page => {}
        ["--check", file] => {
            return Err(format!("{file} is not what the tests left: run --write {file}").into());
        }
        _ => return Err("conformance-table [--write FILE | --check FILE]".into()),
    }
    let failed = reports.iter().flat_map(|report| report.cases.values()).any(|case| *case == Outcome::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
