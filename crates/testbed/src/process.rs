//! A process that can be killed, paused, and started anew on the same folder and ports.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep};

use crate::Missing;

/// How long a broker may take until it is ready, on a machine that is busy with other tests.
const READY_MAX: Duration = Duration::from_secs(90);
const READY_EVERY: Duration = Duration::from_millis(20);
/// How long it may take to end when it is asked to, before it is killed.
const STOP_MAX: Duration = Duration::from_secs(10);
/// How much of a log is shown when its process did not start.
const LOG_TAIL_BYTES: u64 = 4_096;
/// Waits for the end of its input, which comes when our process ends in whatever way: then nothing that we started is
/// left, nor its folder. Statics are not dropped, and a test may itself be killed.
const GUARD: &str = r#"read -r _
kill -9 "-$1" 2>/dev/null
i=0
while kill -0 "-$1" 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done
rm -rf -- "$2""#;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not installed. **Pass over the test**, unless [`needed_by_all`](crate::needed_by_all).
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It ended, or was not ready in time; `log` is the end of what it wrote.
    #[error("{program} {what}; the end of its log:\n{log}")]
    Failed {
        /// Its name.
        program: String,
        /// What happened.
        what: String,
        /// The last that it wrote.
        log: String,
    },
    /// The system refused.
    #[error("{doing}")]
    System {
        /// What it refused.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
}

pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let doing = doing.into();
    move |source| StartError::System { doing, source }
}

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables beside those of our own environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Where it runs and keeps its log. Removed if our process ends before it was stopped.
    pub folder: PathBuf,
}

impl Program {
    /// `path`, to be run in `folder`.
    pub fn new(path: impl Into<PathBuf>, folder: &Path) -> Self {
        Self { path: path.into(), arguments: Vec::new(), environment: Vec::new(), folder: folder.to_owned() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name()))
    }
}

#[derive(Debug)]
struct Running {
    child: Child,
    group: Pid,
    guard: Child,
}

/// A process in a group of its own, which takes its signals together.
///
/// It is killed when this is dropped, and by a guard process if ours ends without that.
#[derive(Debug)]
pub struct Process {
    program: Program,
    running: Mutex<Option<Running>>,
}

impl Process {
    /// Starts `program`. It need not be ready yet.
    pub fn spawn(program: Program) -> Result<Self, StartError> {
        let process = Self { program, running: Mutex::default() };
        process.start()?;
        Ok(process)
    }

    /// Starts it anew after [`kill`](Self::kill) or [`stop`](Self::stop), with the same arguments in the same folder.
    /// Does nothing if it runs.
    pub fn start(&self) -> Result<(), StartError> {
        let mut running = self.running();
        if running.is_some() {
            return Ok(());
        }
        let name = self.program.name();
        let log = self.program.log();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(system(format!("open {}", log.display())))?;
        let errors = log.try_clone().map_err(system("share a log"))?;
        let mut child = Command::new(&self.program.path)
            .args(&self.program.arguments)
            .envs(self.program.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.program.folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(system(format!("start {name}")))?;
        let guarded = guard(child.id(), &self.program.folder);
        let group = Pid::from_child(&child);
        match guarded {
            Ok(guard) => *running = Some(Running { child, group, guard }),
            Err(source) => {
                child.kill().and_then(|()| child.wait()).map_err(system(format!("end {name}")))?;
                return Err(StartError::System { doing: format!("guard {name}"), source });
            }
        }
        Ok(())
    }

    /// Waits until `ready` says so.
    ///
    /// Errors: [`StartError::Failed`] if it ended, or 90 seconds passed.
    pub async fn ready<F: Future<Output = bool>>(
        &self,
        mut ready: impl FnMut() -> F,
    ) -> Result<(), StartError> {
        let until = Instant::now() + READY_MAX;
        while !ready().await {
            if let Some(status) = self.ended() {
                return Err(self.failed(format!("ended with {status} before it was ready")));
            }
            if until <= Instant::now() {
                return Err(self.failed(format!("was not ready within {READY_MAX:?}")));
            }
            sleep(READY_EVERY).await;
        }
        Ok(())
    }

    /// Its process id; `None` if it was stopped.
    pub fn id(&self) -> Option<u32> {
        self.running().as_ref().map(|running| running.child.id())
    }

    /// How it ended, if it did so by itself.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.running().as_mut().and_then(|running| running.child.try_wait().ok().flatten())
    }

    /// `SIGKILL` to its whole group; returns when it is gone. Does nothing if it was stopped.
    pub fn kill(&self) -> Result<(), StartError> {
        let Some(mut running) = self.running().take() else {
            return Ok(());
        };
        running.end().map_err(system(format!("kill {}", self.program.name())))
    }

    /// `SIGTERM`, and `SIGKILL` if that does not help within ten seconds; returns when it is gone.
    pub async fn stop(&self) -> Result<(), StartError> {
        self.signal(Signal::TERM)?;
        let until = Instant::now() + STOP_MAX;
        while self.ended().is_none() && Instant::now() < until {
            sleep(READY_EVERY).await;
        }
        self.kill()
    }

    /// `SIGSTOP`: it keeps its connections and answers nothing.
    pub fn pause(&self) -> Result<(), StartError> {
        self.signal(Signal::STOP)
    }

    /// `SIGCONT`.
    pub fn resume(&self) -> Result<(), StartError> {
        self.signal(Signal::CONT)
    }

    /// The end of what it wrote.
    pub fn log_tail(&self) -> String {
        tail(&self.program.log()).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    fn signal(&self, signal: Signal) -> Result<(), StartError> {
        match &*self.running() {
            None => Ok(()),
            Some(running) => kill_process_group(running.group, signal)
                .map_err(io::Error::from)
                .map_err(system(format!("signal {}", self.program.name()))),
        }
    }

    fn failed(&self, what: String) -> StartError {
        StartError::Failed { program: self.program.name(), what, log: self.log_tail() }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn end(&mut self) -> io::Result<()> {
        // The guard first: it would remove the folder, and later hit whoever has the number by then.
        self.guard.kill()?;
        self.guard.wait()?;
        match kill_process_group(self.group, Signal::KILL) {
            // Nobody is left of the group.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{error}");
        }
    }
}

fn guard(child: u32, folder: &Path) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .arg(child.to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A folder for a broker, which goes away with it.
pub(crate) fn scratch(broker: &str) -> Result<tempfile::TempDir, StartError> {
    tempfile::Builder::new()
        .prefix(&format!("antiphon-{broker}-"))
        .tempdir()
        .map_err(system("make a temporary folder"))
}
