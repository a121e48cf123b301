//! What the tests share: a server on a free port of loopback, in a folder that goes away.

#![allow(dead_code, reason = "no test file uses all of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the verdict")]

pub(crate) mod http;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use antiphon_sqs_server::{Config, SERVICE, SqsServer};
use store::{FjallConfig, RealWorld, Setup, Store};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server, until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) endpoint: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Opens the store in `folder` and serves it.
    pub(crate) async fn start(folder: &Path, config: Config) -> Self {
        let opened =
            Store::open_fjall(folder, FjallConfig::default(), Arc::new(RealWorld), &Setup::of(SERVICE));
        let server = SqsServer::open(opened.unwrap(), config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(listener, async move {
            stopped.await.unwrap_or_default();
        }));
        Self { endpoint, stop, serving }
    }

    /// Stops it as a signal would.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
    }
}

/// Runs a client, bounded in time, with credentials that mean nothing.
pub(crate) async fn client(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["120", program])
        .args(args)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// True if `program` can be run; says so, or fails where that is demanded, if not.
pub(crate) fn is_there(program: &str, args: &[&str]) -> bool {
    let run = Command::new(program).args(args).stdin(Stdio::null()).output();
    if run.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let required = std::env::vars().any(|(name, value)| name == "ANTIPHON_BROKERS" && value == "required");
    assert!(!required, "{program} {args:?} does not work, and ANTIPHON_BROKERS=required");
    println!("passed over: {program} {args:?} does not work here");
    false
}

/// Panics with what a client said unless it succeeded.
pub(crate) fn verdict(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the client failed ({}):\n{said}\n{complained}", output.status);
    said
}
