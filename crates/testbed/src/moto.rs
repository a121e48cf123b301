//! `moto_server`: the third opinion on SQS and SNS.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::process::{scratch, system};
use crate::{Port, Process, Program, StartError, find, free_port, http};

/// A mock of AWS in memory.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl Moto {
    /// Starts one, and waits until it answers.
    pub async fn start() -> Result<Self, StartError> {
        let path = find("moto_server", "pip install 'moto[server]'")?;
        let folder = scratch("moto")?;
        let port = free_port().map_err(system("find a free port"))?;
        let program = Program::new(path, folder.path())
            .args(["-H", "127.0.0.1", "-p"])
            .arg(port.number().to_string())
            .env("HOME", folder.path());
        let broker = Self { process: Process::spawn(program)?, port, _folder: folder };
        let address = broker.address();
        broker.process.ready(move || http::answers(address, "/moto-api/")).await?;
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
}
