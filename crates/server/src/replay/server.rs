//! A server of our own: this executable again, in a process that can be killed and started anew on the same folder
//! and port.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use crate::cli::ANTI_ENTROPY_LOSSY_S;
use crate::given::GivenUrl;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use store::{RealWorld, World};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::args::Base;
use super::call::Call;
use super::client::Client;
use super::error::ReplayError;

const READY_MAX: Duration = Duration::from_mins(1);
const READY_EVERY: Duration = Duration::from_millis(20);
/// A server drains within a bound of its own, which is shorter.
const STOP_MAX: Duration = Duration::from_mins(1);
const LOG_TAIL_BYTES: u64 = 2_048;
/// Digits of the deployment in the prefix at a broker: enough to be alone, few enough for brokers with short names.
const PREFIX_DIGITS: usize = 12;
/// Below the range from which Linux takes the ports of outgoing connections: while the server is down, a client
/// that connects to a port of that range may be given the same port, and talk to itself on it.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A server process with its folder.
#[derive(Debug)]
pub(super) struct Server {
    executable: PathBuf,
    arguments: Vec<OsString>,
    queue: Option<GivenUrl>,
    base: Base,
    prober: Client,
    child: Child,
    log: PathBuf,
    /// Holds the log, and the data unless they are to be kept. Removed at the end.
    _scratch: TempDir,
}

impl Server {
    /// Starts a server with data in this folder, or in one that will be removed, and waits until it is ready.
    pub(super) async fn start(
        data: Option<&Path>,
        queue: Option<&GivenUrl>,
        (fault_seed, drop): (Option<u64>, Option<f64>),
    ) -> Result<Self, ReplayError> {
        let fail = |source| ReplayError::Process { doing: "start", source };
        let scratch = tempfile::Builder::new().prefix("antiphon-replay-").tempdir().map_err(fail)?;
        let executable = std::env::current_exe().map_err(fail)?;
        let address = format!("127.0.0.1:{}", free_port().map_err(fail)?);
        let base = Base::of_address(&address);
        let data = data.map_or_else(|| scratch.path().join("data"), Path::to_owned);
        let mut arguments: Vec<OsString> =
            vec!["serve".into(), "--empty".into(), "--data".into(), data.clone().into()];
        arguments.extend(["--listen".into(), address.into(), "--plain-counter".into()]);
        if let Some(seed) = fault_seed {
            arguments.extend(["--fault-seed".into(), seed.to_string().into()]);
        }
        if let Some(share) = drop {
            arguments.extend(["--fault-drop".into(), share.to_string().into()]);
            arguments.extend(["--anti-entropy".into(), ANTI_ENTROPY_LOSSY_S.to_string().into()]);
        }
        let queue = match queue {
            None => None,
            Some(given) => {
                let url = given.url().map_err(ReplayError::Queue)?;
                queue::check_scheme(url).map_err(ReplayError::Queue)?;
                if url.scheme() == "memory" {
                    return Err(ReplayError::Forgetful);
                }
                let deployment = deployment(&data).map_err(fail)?;
                let prefix = format!("replay-{}", deployment.get(..PREFIX_DIGITS).unwrap_or(&deployment));
                arguments.extend(["--deployment".into(), deployment.into()]);
                Some(given.with_prefix(&prefix))
            }
        };
        let log = scratch.path().join("server.log");
        let child = spawn(&executable, &arguments, queue.as_ref(), &log).map_err(fail)?;
        let prober = Client::new(base.clone(), 1, 0);
        let mut server = Self { executable, arguments, queue, base, prober, child, log, _scratch: scratch };
        server.ready().await?;
        Ok(server)
    }

    /// The broker with the prefix that is used there, if it has one.
    pub(super) fn queue(&self) -> Option<&GivenUrl> {
        self.queue.as_ref()
    }

    pub(super) fn base(&self) -> &Base {
        &self.base
    }

    /// Kills it with SIGKILL, and starts it again on the same folder and port.
    pub(super) async fn kill_and_restart(&mut self) -> Result<(), ReplayError> {
        self.child.kill().await.map_err(|source| ReplayError::Process { doing: "kill", source })?;
        self.child = spawn(&self.executable, &self.arguments, self.queue.as_ref(), &self.log)
            .map_err(|source| ReplayError::Process { doing: "restart", source })?;
        self.ready().await
    }

    /// Returns when it has ended although nobody asked it to.
    pub(super) async fn ended(&mut self) -> ReplayError {
        match self.child.wait().await {
            Ok(status) => self.ended_with(status),
            Err(source) => ReplayError::Process { doing: "wait for", source },
        }
    }

    /// Asks it to stop, and waits until it has drained.
    pub(super) async fn stop(mut self) -> Result<(), ReplayError> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            kill_process(id, Signal::TERM)
                .map_err(|error| ReplayError::Process { doing: "stop", source: error.into() })?;
        }
        match timeout(STOP_MAX, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.ended_with(status)),
            Ok(Err(source)) => Err(ReplayError::Process { doing: "wait for", source }),
            Err(_) => Err(ReplayError::ServerSlow { what: "stopped", after: STOP_MAX, log: tail(&self.log) }),
        }
    }

    async fn ready(&mut self) -> Result<(), ReplayError> {
        let started = Instant::now();
        while started.elapsed() < READY_MAX {
            let exited = self.child.try_wait();
            if let Some(status) =
                exited.map_err(|source| ReplayError::Process { doing: "wait for", source })?
            {
                return Err(self.ended_with(status));
            }
            if self.prober.probe(&Call::get("/ready".to_owned())).await {
                return Ok(());
            }
            sleep(READY_EVERY).await;
        }
        Err(ReplayError::ServerSlow { what: "ready", after: READY_MAX, log: tail(&self.log) })
    }

    fn ended_with(&self, status: ExitStatus) -> ReplayError {
        ReplayError::ServerEnded { status, log: tail(&self.log) }
    }
}

/// The deployment of this data folder, or a new one.
fn deployment(data: &Path) -> io::Result<String> {
    #[derive(Deserialize)]
    struct Site {
        deployment: String,
    }
    match File::open(data.join("antiphon.json")) {
        Ok(file) => Ok(serde_json::from_reader::<_, Site>(file)?.deployment),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(format!("{:032x}", RealWorld.random())),
        Err(error) => Err(error),
    }
}

fn spawn(
    executable: &Path,
    arguments: &[OsString],
    queue: Option<&GivenUrl>,
    log: &Path,
) -> io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = Command::new(executable);
    // Not among the arguments, which every user of the machine may read: it may hold a password.
    match queue {
        Some(given) => command.env("ANTIPHON_QUEUE", given.secret_text()),
        None => command.env_remove("ANTIPHON_QUEUE"),
    };
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
}

fn free_port() -> io::Result<u16> {
    // Two replays at once begin their search at different places.
    let mut rng = fastrand::Rng::with_seed(u64::from(std::process::id()));
    let mut last = None;
    for _ in 0..100 {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, rng.u16(PORTS))) {
            Ok(listener) => return Ok(listener.local_addr()?.port()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// The end of the log, or why there is none.
fn tail(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let skipped = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
        file.seek(SeekFrom::Start(skipped))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(no log: {error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_not_those_of_outgoing_connections() {
        assert!(PORTS.contains(&free_port().unwrap()));
    }

    #[test]
    fn the_tail_of_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert!(tail(&log).starts_with("(no log: "));
        std::fs::write(&log, "x".repeat(5_000) + "end").unwrap();
        let tail = tail(&log);
        assert!(tail.len() == 2_048 && tail.ends_with("xend"));
    }
}
