//! `ministack`: SQS, SNS and S3 in one process, in memory.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::process::{scratch, system};
use crate::{Port, Process, Program, StartError, find, free_port, http};

/// The services of the queue backend.
const QUEUES: &str = "sqs,sns";
/// The service that keeps the data of [`Tansu`](crate::Tansu).
const OBJECTS: &str = "s3";

/// A broker that forgets everything when it is killed.
#[derive(Debug)]
pub struct Ministack {
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl Ministack {
    /// Starts one with SQS and SNS, and waits until it answers.
    pub async fn start() -> Result<Self, StartError> {
        Self::with(QUEUES).await
    }

    /// Starts one with S3.
    pub async fn objects() -> Result<Self, StartError> {
        Self::with(OBJECTS).await
    }

    async fn with(services: &str) -> Result<Self, StartError> {
        let path = find("ministack", "pip install ministack")?;
        let folder = scratch("ministack")?;
        let port = free_port().map_err(system("find a free port"))?;
        let program = Program::new(path, folder.path())
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.number().to_string())
            .env("SERVICES", services)
            .env("HOME", folder.path());
        let broker = Self { process: Process::spawn(program)?, port, _folder: folder };
        broker.wait().await?;
        Ok(broker)
    }

    /// Where it listens, for plain HTTP.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Its process, to be killed or paused.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again after a kill, empty, and waits until it answers.
    pub async fn restart(&self) -> Result<(), StartError> {
        self.process.kill()?;
        self.process.start()?;
        self.wait().await
    }

    async fn wait(&self) -> Result<(), StartError> {
        let address = self.address();
        self.process.ready(move || http::answers(address, "/_ministack/health")).await
    }
}
