//! `nats-server` with JetStream, one or three of them.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::process::{scratch, system};
use crate::{Port, Process, Program, StartError, find, free_port, get, http};

const PROGRAM: &str = "nats-server";
const REMEDY: &str = "apt-get install nats-server";
/// Members of a cluster: the fewest that keep a quorum when one is killed.
const MEMBERS: usize = 3;

/// A server that keeps its streams in a folder.
#[derive(Debug)]
pub struct Nats {
    process: Process,
    client: Port,
    monitor: Port,
    _folder: TempDir,
}

impl Nats {
    /// Starts one, and waits until it is ready.
    pub async fn start() -> Result<Self, StartError> {
        Self::with(&[]).await
    }

    /// Starts one with further arguments, such as `--user` and `--pass`.
    pub async fn with(arguments: &[&str]) -> Result<Self, StartError> {
        let server = Self::spawn(arguments)?;
        server.wait().await?;
        Ok(server)
    }

    fn spawn(arguments: &[&str]) -> Result<Self, StartError> {
        let path = find(PROGRAM, REMEDY)?;
        let folder = scratch("nats")?;
        let port = || free_port().map_err(system("find a free port"));
        let (client, monitor) = (port()?, port()?);
        let program = Program::new(path, folder.path())
            .args(["-a", "127.0.0.1", "-p"])
            .arg(client.number().to_string())
            .arg("-m")
            .arg(monitor.number().to_string())
            .args(["-js", "-sd"])
            .arg(folder.path())
            .args(arguments);
        Ok(Self { process: Process::spawn(program)?, client, monitor, _folder: folder })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// Where it answers monitoring requests over HTTP, such as `/jsz`.
    pub fn monitor(&self) -> SocketAddr {
        self.monitor.address()
    }

    /// Its process, to be killed or paused.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again after a kill, on the same port and folder, and waits until it is ready.
    pub async fn restart(&self) -> Result<(), StartError> {
        self.process.kill()?;
        self.process.start()?;
        self.wait().await
    }

    async fn wait(&self) -> Result<(), StartError> {
        let (client, monitor) = (self.address(), self.monitor());
        let is_ready = move || async move {
            http::listens(client).await && matches!(get(monitor, "/healthz").await, Ok((200, _)))
        };
        self.process.ready(is_ready).await
    }
}

/// Three servers that keep each stream of three replicas on all of them.
#[derive(Debug)]
pub struct NatsCluster {
    members: Vec<Nats>,
    _routes: Vec<Port>,
}

impl NatsCluster {
    /// Starts the three, and waits until they have a leader.
    pub async fn start() -> Result<Self, StartError> {
        let port = |_| free_port().map_err(system("find a free port"));
        let routes = (0..MEMBERS).map(port).collect::<Result<Vec<_>, _>>()?;
        let all: Vec<_> = routes.iter().map(|port| format!("nats-route://{}", port.address())).collect();
        let all = all.join(",");
        let mut members = Vec::new();
        for (number, route) in routes.iter().enumerate() {
            let (name, listen) = (format!("member-{number}"), format!("nats://{}", route.address()));
            let arguments =
                ["-n", &name, "--cluster_name", "testbed", "--cluster", &listen, "--routes", &all];
            members.push(Nats::spawn(&arguments)?);
        }
        let cluster = Self { members, _routes: routes };
        for member in &cluster.members {
            member.wait().await?;
        }
        if let Some(first) = cluster.members.first() {
            first.process.ready(|| async { cluster.meta_leader().await.is_some() }).await?;
        }
        Ok(cluster)
    }

    /// The three.
    pub fn members(&self) -> &[Nats] {
        &self.members
    }

    /// Where clients connect, with commas between.
    pub fn hosts(&self) -> String {
        let hosts: Vec<_> = self.members.iter().map(|member| member.address().to_string()).collect();
        hosts.join(",")
    }

    /// Which member leads the cluster's own group, if they agreed on one.
    pub async fn meta_leader(&self) -> Option<usize> {
        self.leader("/jsz", "\"leader\":").await
    }

    /// Which member leads the first of the streams that a member knows of, if there is one.
    pub async fn stream_leader(&self) -> Option<usize> {
        self.leader("/jsz?streams=true&accounts=true", "\"stream_detail\":").await
    }

    /// The member named by the first `"leader"` that follows `mark`.
    async fn leader(&self, path: &str, mark: &str) -> Option<usize> {
        for member in &self.members {
            let Ok((200, answer)) = get(member.monitor(), path).await else { continue };
            let Some((_, rest)) = answer.split_once(mark) else { continue };
            let rest = if mark.contains("leader") { rest } else { after(rest, "\"leader\":")? };
            let name = rest.trim_start().strip_prefix('"')?.split('"').next()?;
            let number = name.strip_prefix("member-")?.parse().ok()?;
            return (number < self.members.len()).then_some(number);
        }
        None
    }
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}
