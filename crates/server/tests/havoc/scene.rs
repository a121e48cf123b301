//! The processes: a server, a broker, and a proxy between them.

use std::fs::read_to_string;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::common::{Platform, antiphon};
use tempfile::TempDir;
use testbed::{Nats, Port, Process, Program, Proxy, StartError, free_port, get, needed_by_all};

/// Through what the services hear each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A queue in the server's own data folder.
    Embedded,
    /// NATS with JetStream, behind a proxy.
    Nats,
}

/// A broker, and the link to it.
pub(crate) struct Elsewhere {
    pub(crate) broker: Nats,
    pub(crate) proxy: Proxy,
}

/// All of it. What is not healed when this is dropped is killed.
pub(crate) struct Scene {
    pub(crate) server: Process,
    pub(crate) elsewhere: Option<Elsewhere>,
    port: Port,
    folder: TempDir,
}

pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_antiphon")
}

impl Scene {
    /// Starts everything on empty folders; `None` if the broker is not installed here, and need not be.
    pub(crate) async fn start(kind: Kind) -> Option<Self> {
        let elsewhere = match kind {
            Kind::Embedded => None,
            Kind::Nats => match Nats::start().await {
                Ok(broker) => {
                    let proxy = Proxy::start(broker.address()).unwrap();
                    Some(Elsewhere { broker, proxy })
                }
                Err(StartError::Missing(missing)) if !needed_by_all() => {
                    println!("passed over: {missing}");
                    return None;
                }
                Err(error) => panic!("{error}"),
            },
        };
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
        let mut program = Program::new(binary(), folder.path())
            .args(["serve", "--empty", "--disk-free-min", "0", "--log", "warn", "--data"])
            .arg(folder.path().join("data"))
            .arg("--listen")
            .arg(port.address().to_string());
        if let Some(Elsewhere { proxy, .. }) = &elsewhere {
            program = program.arg("--queue").arg(format!("nats://{}?prefix=havoc", proxy.address()));
        }
        let server = Process::spawn(program).unwrap();
        let scene = Self { server, elsewhere, port, folder };
        scene.ready().await;
        Some(scene)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Waits until the server answers.
    pub(crate) async fn ready(&self) {
        let address = self.address();
        let is_ready = move || async move { matches!(get(address, "/ready").await, Ok((200, _))) };
        self.server.ready(is_ready).await.unwrap();
    }

    /// Stops the server as an operator would, and checks its books: sent = merged + dead + in flight.
    pub(crate) async fn end(self) {
        self.server.stop().await.unwrap();
        let mut audit = tokio::process::Command::new(binary());
        audit.args(["queue", "audit"]);
        if let Some(Elsewhere { proxy, .. }) = &self.elsewhere {
            audit.arg(format!("nats://{}?prefix=havoc", proxy.address()));
        }
        let output = audit.arg("--data").arg(self.data()).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("nothing is lost"), "{text}");
        let log = read_to_string(self.folder.path().join("antiphon.log")).unwrap();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// Starts a process on a folder that may be damaged: the process, or what it said when it did not start.
pub(crate) fn try_start(data: &Path) -> Result<Platform, String> {
    // Whether it starts is asked first, in a process that is asked for nothing else.
    let mut command = antiphon();
    command.args([
        "serve",
        "--empty",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "warn",
        "--disk-free-min",
        "0",
        "--data",
    ]);
    let mut child =
        command.arg(data).stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    let mut greeting = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    if greeting.is_empty() {
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    Ok(Platform::start(data, &["--empty"]))
}
