//! A node as a process.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// What hangs fails after this time. Nothing that works comes near it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running node, killed when it is dropped, whatever became of the test.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> (Self, BufReader<ChildStdout>) {
        let example = example();
        let mut command = Command::new(&example);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", example.display()));
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        (Self { child, input }, BufReader::new(output))
    }

    /// Writes a line. That the node is gone already is for the reader of its output to tell.
    pub(crate) fn tell(&mut self, line: &str) {
        self.tell_bytes(format!("{line}\n").as_bytes());
    }

    pub(crate) fn tell_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(bytes).and_then(|()| input.flush()).ok();
    }

    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the node did not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// `target/…/examples/maelstrom`, beside the `deps` that this test runs from.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    let example = folder.join(format!("maelstrom{}", std::env::consts::EXE_SUFFIX));
    assert!(
        example.is_file(),
        "{} is not there: cargo builds examples for `cargo test` of the whole package; where only this test is \
         named, run `cargo build -p antiphon-lattice --example maelstrom` before",
        example.display()
    );
    example
}

/// As from a shell's pipe: these lines in, the input closed, and all that came out.
pub(crate) fn pipe(workload: &str, lines: &[&str]) -> Vec<Value> {
    let (mut process, output) = Process::start(&[workload]);
    let (told, heard) = channel();
    thread::spawn(move || told.send(output.lines().map(Result::unwrap).collect::<Vec<_>>()));
    for line in lines {
        process.tell(line);
    }
    process.close_input();
    let lines = heard.recv_timeout(PATIENCE).expect("the node closes its output");
    assert!(process.wait().success());
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}
