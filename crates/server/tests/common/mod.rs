//! The real binary on a folder of its own, and how to ask it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, where a panic is the verdict"
)]
#![allow(dead_code, reason = "each test binary uses its part of it")]

pub(crate) mod browser;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// How long an answer may take before the test fails: a bound, never a measure.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// How long a command may run.
const COMMAND_MAX: Duration = Duration::from_mins(10);

/// The binary under test.
pub(crate) fn antiphon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.env_clear();
    command
}

/// A process that serves; killed when it is dropped.
pub(crate) struct Platform {
    child: Child,
    pub(crate) address: String,
    /// Kept open, as a terminal would be.
    _stdout: BufReader<std::process::ChildStdout>,
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

impl Platform {
    /// Starts a process on `data`, and waits until it listens.
    pub(crate) fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_at(data, "127.0.0.1:0", args)
    }

    /// The same at an address.
    pub(crate) fn start_at(data: &Path, listen: &str, args: &[&str]) -> Self {
        Self::start_with(data, listen, &[args, &["--disk-free-min", "0"]].concat())
    }

    /// The same with the arguments as they are.
    pub(crate) fn start_with(data: &Path, listen: &str, args: &[&str]) -> Self {
        let mut command = antiphon();
        command.arg("serve").args(args).arg("--data").arg(data);
        command.args(["--listen", listen, "--log", "warn"]);
        Self::greeted(&mut command, "antiphon is at http://", "")
    }

    /// Starts `antiphon chaos`, whose own folder is made in `scratch`, and waits until it listens.
    pub(crate) fn chaos(scratch: &Path, args: &[&str]) -> Self {
        let mut command = antiphon();
        command.env("TMPDIR", scratch).arg("chaos").args(args);
        command.args(["--listen", "127.0.0.1:0", "--disk-free-min", "0"]);
        Self::greeted(&mut command, "antiphon chaos is at http://", "/chaos")
    }

    /// Starts a process that greets with its address between these two.
    fn greeted(command: &mut Command, before: &str, after: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut greeting).unwrap();
        let address = greeting.trim().strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let address = address.unwrap_or_else(|| panic!("it greets with {greeting:?}")).to_owned();
        Self { child, address, _stdout: stdout }
    }

    /// The process.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, None, "", None);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Sends a request; panics where there is no answer.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        key: &str,
        body: Option<Value>,
    ) -> Answer {
        self.try_send(method, path, token, key, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends a request.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        key: &str,
        body: Option<Value>,
    ) -> std::io::Result<Answer> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let authorization =
            token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let key = if key.is_empty() { String::new() } else { format!("idempotency-key: {key:-<24}\r\n") };
        let (address, length) = (&self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{authorization}{key}\
             content-type: application/json\r\ncontent-length: {length}\r\n"
        );
        self.raw(format!("{head}\r\n{body}").as_bytes())
    }

    /// Sends bytes as they are, and reads until the other side has nothing more to say.
    pub(crate) fn raw(&self, bytes: &[u8]) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.write_all(bytes)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Answer::parse(&answer)
    }

    /// Waits until nothing is to be announced and nothing is on its way.
    pub(crate) fn wait_until_quiet(&self) {
        for _ in 0..600 {
            if self.get("/status")["quiet"] == true {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        panic!("it never became quiet: {}", self.get("/status"));
    }

    /// A new user: id and token.
    pub(crate) fn user(&self, name: &str) -> (String, String) {
        let answer = self.send(
            "POST",
            "/v1/users",
            None,
            &format!("user-{name}"),
            Some(serde_json::json!({ "name": name })),
        );
        assert_eq!(answer.status, 201, "{}", answer.body);
        let created = answer.json();
        let text = |pointer: &str| created.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        (text("/user/id"), text("/token"))
    }

    /// A part of a new story by the bearer of a token.
    pub(crate) fn part(&self, token: &str) -> String {
        let create = |path: &str, body: Value| {
            for _ in 0..200 {
                let answer = self.send("POST", path, Some(token), "fixed", Some(body.clone()));
                // Until Stories has heard of the key that signs tokens.
                if answer.status != 503 {
                    assert_eq!(answer.status, 201, "{path}: {}", answer.body);
                    return answer.json()["id"].as_str().unwrap().to_owned();
                }
                std::thread::park_timeout(Duration::from_millis(25));
            }
            panic!("{path} stayed unavailable");
        };
        let story = create("/v1/stories", serde_json::json!({ "title": "A story" }));
        create(
            &format!("/v1/stories/{story}/parts"),
            serde_json::json!({ "title": "One", "paragraphs": ["First.", "Second."] }),
        )
    }

    /// Every id in a list of comments, in its order.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{cursor}"));
            ids.extend(
                page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()),
            );
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }
}

/// `antiphon queue serve`; killed when it is dropped.
pub(crate) struct SqsServer {
    child: Child,
    pub(crate) address: String,
    _stdout: BufReader<std::process::ChildStdout>,
}

impl Drop for SqsServer {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

impl SqsServer {
    /// Starts one on a folder and a free port, and waits until it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_at(data, "127.0.0.1:0")
    }

    /// The same at an address.
    pub(crate) fn start_at(data: &Path, listen: &str) -> Self {
        let mut command = antiphon();
        command.args(["queue", "serve", "--listen", listen, "--disk-free-min", "0", "--data"]).arg(data);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut greeting).unwrap();
        let address = greeting.trim().strip_prefix("antiphon's SQS is at http://");
        let address = address.unwrap_or_else(|| panic!("it greets with {greeting:?}")).to_owned();
        Self { child, address, _stdout: stdout }
    }

    /// Kills it with SIGKILL, and starts it again on the same folder and port.
    pub(crate) fn kill_and_restart(mut self, data: &Path) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Self::start_at(data, &self.address)
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    /// Calls an operation of SQS; the status and the answer.
    pub(crate) fn call(&self, operation: &str, body: &Value) -> (u16, Value) {
        let (body, address) = (body.to_string(), &self.address);
        let length = body.len();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.0\r\n\
             x-amz-target: AmazonSQS.{operation}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = Answer::parse(&answer).unwrap();
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> std::io::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let incomplete = || std::io::Error::other("the answer is incomplete");
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(incomplete)?;
        let head = head.to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(incomplete)?;
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if length.is_some_and(|length| length != body.len()) {
            return Err(incomplete());
        }
        Ok(Self { status, body: body.to_owned(), head })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Asks whatever answers at an address.
pub(crate) fn get(address: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer::parse(&answer).unwrap()
}

/// Runs a command to its end, which is an error when it does not come.
pub(crate) fn run(command: &mut Command) -> (Output, String) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, over) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        // Only the time running out is a reason to kill: the other end is dropped when the command has ended.
        if over.recv_timeout(COMMAND_MAX) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    guard.join().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}
