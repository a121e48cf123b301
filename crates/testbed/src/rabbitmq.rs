//! `rabbitmq-server`, with its own Erlang port mapper.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::{scratch, system};
use crate::{Missing, Port, Process, Program, StartError, find, free_port, http};

const REMEDY: &str = "apt-get install rabbitmq-server";
/// Where Debian puts the releases. The script on the `PATH` insists on folders and a user of the system.
const RELEASES: &str = "/usr/lib/rabbitmq/lib";
/// What a client says first, and the time in which the server has to answer it.
const GREETING: &[u8] = b"AMQP\0\0\x09\x01";
const GREETING_MAX: Duration = Duration::from_secs(5);
/// Not to spin while there is nothing to do: others test on this machine, too.
const ERLANG: &str = "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}";

/// A node that keeps its queues in a folder. User and password are `guest`, the virtual host is `/`.
#[derive(Debug)]
pub struct RabbitMq {
    // Before the mapper, so that it is dropped first.
    process: Process,
    _mapper: Process,
    client: Port,
    _others: [Port; 2],
    _folder: TempDir,
}

impl RabbitMq {
    /// Starts one, and waits until it greets.
    pub async fn start() -> Result<Self, StartError> {
        let server = release()?;
        let epmd = find("epmd", REMEDY)?;
        let folder = scratch("rabbitmq")?;
        let root = folder.path();
        let port = || free_port().map_err(system("find a free port"));
        let (client, mapper, nodes) = (port()?, port()?, port()?);
        write(root, "rabbitmq.conf", &configuration(&client))?;
        write(root, "enabled_plugins", "[].\n")?;
        write(root, "environment.conf", "")?;
        let epmd = Program::new(epmd, root)
            .args(["-address", "127.0.0.1", "-port"])
            .arg(mapper.number().to_string());
        let epmd = Process::spawn(epmd)?;
        let mapping = mapper.address();
        epmd.ready(move || http::listens(mapping)).await?;
        let program = Program::new(server, root)
            .env("HOME", root)
            // The start script becomes the server, instead of a shell that waits for it: a kill then returns when the
            // server itself is gone.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            // Else whatever starts an Erlang node also starts a port mapper where it finds none: a daemon in a session of
            // its own, which nobody ends, if ours was killed in that moment.
            .env("ERL_ZFLAGS", "-start_epmd false")
            .env("ERL_EPMD_PORT", mapper.number().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("testbed{}@localhost", client.number()))
            .env("RABBITMQ_DIST_PORT", nodes.number().to_string())
            .env("RABBITMQ_CONF_ENV_FILE", root.join("environment.conf"))
            .env("RABBITMQ_CONFIG_FILE", root.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", root.join("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", root.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", root.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG);
        let broker = Self {
            process: Process::spawn(program)?,
            _mapper: epmd,
            client,
            _others: [mapper, nodes],
            _folder: folder,
        };
        broker.wait().await?;
        Ok(broker)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// Its process, to be killed or paused. (A node that is killed within a second after a quorum queue was declared
    /// may come back broken.)
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again after a kill, on the same port and folder, and waits until it greets.
    pub async fn restart(&self) -> Result<(), StartError> {
        self.process.kill()?;
        self.process.start()?;
        self.wait().await
    }

    async fn wait(&self) -> Result<(), StartError> {
        let address = self.address();
        self.process.ready(move || greets(address)).await
    }
}

fn configuration(client: &Port) -> String {
    format!(
        "listeners.tcp.1 = {}\nloopback_users = none\ndisk_free_limit.absolute = 1MB\n\
         raft.wal_max_size_bytes = 16777216\nlog.console.level = warning\n",
        client.address()
    )
}

fn write(folder: &Path, name: &str, content: &str) -> Result<(), StartError> {
    std::fs::write(folder.join(name), content).map_err(system(format!("write {name}")))
}

/// The start script inside the newest release.
fn release() -> Result<PathBuf, Missing> {
    let missing = || Missing { program: "rabbitmq-server".to_owned(), remedy: REMEDY };
    let mut releases: Vec<PathBuf> = std::fs::read_dir(RELEASES)
        .map_err(|_| missing())?
        .filter_map(|entry| Some(entry.ok()?.path().join("sbin/rabbitmq-server")))
        .filter(|script| script.is_file())
        .collect();
    releases.sort();
    releases.pop().ok_or_else(missing)
}

async fn greets(address: SocketAddr) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(GREETING).await?;
        stream.read_u8().await
    };
    // 1 is the frame of a method: the server begins. Else it shows its own greeting, 'A', and hangs up.
    matches!(timeout(GREETING_MAX, greeting).await, Ok(Ok(1)))
}
