//! The backend for SQS against our own server, in a process of its own that is killed.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use antiphon_conformance::{
    Killed, Linked, LocalFuture, Need, PASSWORD, Place, Remote, Subject, Timing, Unable, fresh_prefix, run,
};
use tempfile::TempDir;
use testbed::{Port, Process, Program, Proxy, StartError, free_port, get};
use tokio::sync::OnceCell;

/// A server with its folder.
struct Server {
    process: Process,
    port: Port,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Result<Self, StartError> {
        let system = |source| StartError::System { doing: "prepare a server".to_owned(), source };
        let folder = tempfile::tempdir().map_err(system)?;
        let port = free_port().map_err(system)?;
        let program = Program::new(env!("CARGO_BIN_EXE_conformance-serve"), folder.path())
            .arg(folder.path().join("data"))
            .arg(port.number().to_string());
        let server = Self { process: Process::spawn(program)?, port, _folder: folder };
        server.wait().await?;
        Ok(server)
    }

    fn address(&self) -> SocketAddr {
        self.port.address()
    }

    async fn restart(&self) -> Result<(), StartError> {
        self.process.kill()?;
        self.process.start()?;
        self.wait().await
    }

    async fn wait(&self) -> Result<(), StartError> {
        let address = self.address();
        let is_ready = move || async move { matches!(get(address, "/health").await, Ok((200, _))) };
        self.process.ready(is_ready).await
    }
}

#[derive(Default)]
struct Serve {
    shared: OnceCell<Server>,
}

fn url(address: SocketAddr) -> String {
    format!("sqs+http://{address}?prefix={}", fresh_prefix())
}

impl Serve {
    async fn remote(&self, need: Need) -> Result<Remote, StartError> {
        if need == Need::Broker {
            let broker = Server::start().await?;
            let url = url(broker.address());
            let kill = |broker: &Server| broker.process.kill();
            let restart = async |broker: &Server| broker.restart().await;
            return Ok(Remote::new(&url).with(Killed { broker, kill, restart, url }));
        }
        let address = self.shared.get_or_try_init(Server::start).await?.address();
        if need == Need::Link {
            let proxy = Proxy::start(address)?;
            return Ok(Remote::new(url(proxy.address())).with(Linked { proxy, keep: () }));
        }
        Ok(Remote::new(url(address)))
    }
}

impl Subject for Serve {
    fn name(&self) -> &'static str {
        "serve"
    }

    fn timing(&self) -> Timing {
        Timing::REMOTE
    }

    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        Box::pin(async move { Ok(Box::new(self.remote(need).await?) as Box<dyn Place>) })
    }

    fn excuses(&self) -> &'static [(&'static str, &'static str)] {
        &[("full_is_said", "a queue of SQS holds any number of messages")]
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        vec![(format!("sqs+http://me:{PASSWORD}@127.0.0.1:1"), "127.0.0.1:1")]
    }
}

fn main() -> ExitCode {
    run(vec![Arc::new(Serve::default())], env!("CARGO_BIN_EXE_conformance-worker"))
}
