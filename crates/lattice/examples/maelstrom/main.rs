//! A node for Maelstrom, Jepsen's workbench for distributed systems, on this crate alone.
//!
//! Maelstrom starts some of these, is their network, loses and delays their messages, cuts them off from each other, and
//! checks what its clients saw:
//!
//! ```text
//! cargo build --release -p antiphon-lattice --example maelstrom
//! maelstrom test -w broadcast --bin target/release/examples/maelstrom \
//!     --node-count 5 --time-limit 20 --rate 100 --nemesis partition -- broadcast
//! ```
//!
//! What stands after `--` is handed to the program: the workload, once more.
//!
//! | workload | state |
//! |---|---|
//! | `echo` | none |
//! | `unique-ids` | none: the next [`Dot`](antiphon_lattice::Dot) of the node |
//! | `broadcast`, `g-set` | [`GSet`](antiphon_lattice::GSet) |
//! | `g-counter` | [`GCounter`](antiphon_lattice::GCounter) |
//! | `pn-counter` | [`PnCounter`](antiphon_lattice::PnCounter) |
//!
//! Every request is answered at once from the node's own state, also in a partition. Nothing is kept on disk.

mod counters;
mod gossip;
mod json;
mod node;
mod wire;
mod workloads;

use counters::{Up, UpAndDown};
use node::Node;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use wire::Outbox;
use workloads::{Broadcast, Echo, GrowOnly, UniqueIds, Workload};

const HELP: &str = "\
A node for Maelstrom: one JSON message a line on stdin and stdout, logs on stderr.

Usage: maelstrom WORKLOAD

Workloads:
  echo         sends back what it is sent
  unique-ids   names that no other request is given
  broadcast    every message reaches every node
  g-set        a set that only grows
  g-counter    a counter that only goes up
  pn-counter   a counter that goes up and down

Options:
  -h, --help   this text
";

/// What is learned within one tick travels in one message.
const TICK: Duration = Duration::from_millis(20);
/// How many lines wait for the node before its input does.
const LINES_MAX: usize = 1024;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().map(|argument| argument.to_string_lossy().into_owned());
    let outcome = match (first.as_deref(), arguments.next()) {
        (Some("-h" | "--help"), _) => io::stdout().write_all(HELP.as_bytes()),
        (Some("echo"), None) => run::<Echo>(),
        (Some("unique-ids"), None) => run::<UniqueIds>(),
        (Some("broadcast"), None) => run::<Broadcast>(),
        (Some("g-set"), None) => run::<GrowOnly>(),
        (Some("g-counter"), None) => run::<Up>(),
        (Some("pn-counter"), None) => run::<UpAndDown>(),
        (None, _) => return usage("which workload?"),
        (Some(other), None) => return usage(&format!("no workload or option of the name {other}")),
        (Some(_), Some(_)) => return usage("one workload at a time"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read us is gone: that is how a run ends.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            log(format_args!("cannot go on: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn usage(what: &str) -> ExitCode {
    log(format_args!("{what}\n\n{HELP}"));
    ExitCode::from(2)
}

/// Says something on stderr, if anybody is there: `eprintln!` would panic where nobody is.
fn log(what: fmt::Arguments<'_>) {
    writeln!(io::stderr(), "maelstrom: {what}").ok();
}

/// Takes lines and sends what is due, until the input ends.
fn run<W: Workload>() -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the example is its own process and owns the clock")]
    let clock = Instant::now();
    let (lines, input) = sync_channel(LINES_MAX);
    // Never joined: it may wait for a line that does not come, and ends with the process.
    thread::spawn(move || read(io::stdin().lock(), &lines));

    let (mut node, mut out) = (Node::<W>::default(), Outbox::default());
    let mut due = TICK;
    loop {
        let open = take(&input, &mut node, clock, due, &mut out);
        if !open {
            node.close(&mut out);
        } else if clock.elapsed() >= due {
            due = clock.elapsed() + TICK;
            node.tick(clock.elapsed(), &mut out);
        }
        if !out.is_empty() {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&out.take())?;
            stdout.flush()?;
        }
        if !open {
            return Ok(());
        }
    }
}

/// Waits for a line until the next tick, then takes all that wait. False once the input has ended.
fn take<W: Workload>(
    input: &Receiver<io::Result<Vec<u8>>>,
    node: &mut Node<W>,
    clock: Instant,
    due: Duration,
    out: &mut Outbox,
) -> bool {
    let first = match input.recv_timeout(due.saturating_sub(clock.elapsed())) {
        Ok(line) => line,
        Err(RecvTimeoutError::Timeout) => return true,
        Err(RecvTimeoutError::Disconnected) => return false,
    };
    for line in std::iter::once(first).chain(input.try_iter().take(LINES_MAX)) {
        match line {
            Ok(line) => node.receive(&line, clock.elapsed(), out),
            Err(error) => log(format_args!("the input broke off: {error}")),
        }
    }
    true
}

/// Hands on the lines of the input, whatever bytes they are, until it ends or nobody takes them.
fn read(mut input: impl BufRead, lines: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut line = Vec::new();
        let read = input.read_until(b'\n', &mut line);
        let last = !matches!(read, Ok(1..));
        let told = match read {
            Ok(0) => Ok(()),
            Ok(_) => lines.send(Ok(line)),
            Err(error) => lines.send(Err(error)),
        };
        if last || told.is_err() {
            return;
        }
    }
}
