//! NATS JetStream: one server, and a cluster of three whose leader is killed.

use std::process::ExitCode;
use std::sync::Arc;

use antiphon_conformance::{
    Control, Killed, Linked, LocalFuture, Need, PASSWORD, Place, Remote, Subject, Timing, Unable,
    fresh_prefix, run,
};
use testbed::{Nats, NatsCluster, Proxy, StartError};
use tokio::sync::{Mutex, OnceCell};

/// One server.
#[derive(Default)]
struct Single {
    shared: OnceCell<Nats>,
}

impl Single {
    async fn shared(&self) -> Result<&Nats, StartError> {
        self.shared.get_or_try_init(Nats::start).await
    }

    async fn remote(&self, need: Need) -> Result<Remote, StartError> {
        let prefix = fresh_prefix();
        Ok(match need {
            Need::Shared => Remote::new(format!("nats://{}?prefix={prefix}", self.shared().await?.address())),
            Need::Bounded(most) => Remote::new(format!(
                "nats://{}?prefix={prefix}&max_messages={most}",
                self.shared().await?.address()
            )),
            Need::Link => {
                let proxy = Proxy::start(self.shared().await?.address())?;
                let url = format!("nats://{}?prefix={prefix}", proxy.address());
                Remote::new(url).with(Linked { proxy, keep: () })
            }
            Need::Broker => {
                let broker = Nats::start().await?;
                let url = format!("nats://{}?prefix={prefix}", broker.address());
                let kill = |broker: &Nats| broker.process().kill();
                let restart = async |broker: &Nats| broker.restart().await;
                Remote::new(&url).with(Killed { broker, kill, restart, url })
            }
        })
    }
}

impl Subject for Single {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn timing(&self) -> Timing {
        Timing::REMOTE
    }

    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        Box::pin(async move { Ok(Box::new(self.remote(need).await?) as Box<dyn Place>) })
    }

    fn excuses(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        vec![
            (format!("nats://me:{PASSWORD}@127.0.0.1:1?flavour=sweet"), "flavour"),
            (format!("nats://me:{PASSWORD}@127.0.0.1:1"), "127.0.0.1:1"),
            (format!("nats://me:{PASSWORD}@127.0.0.1:1?replicas=many"), "replicas"),
        ]
    }
}

/// Three servers, each stream on all of them.
#[derive(Default)]
struct Cluster {
    shared: OnceCell<NatsCluster>,
}

/// Kills the leader of the streams.
struct Leader {
    cluster: NatsCluster,
    killed: Mutex<Option<usize>>,
}

impl Control for Leader {
    fn harm(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            let Some(leader) = self.cluster.stream_leader().await else {
                unreachable!("the case made a stream");
            };
            println!("member {leader} leads, and is killed");
            let killed = self.cluster.members().get(leader).map(|member| member.process().kill());
            assert!(matches!(killed, Some(Ok(()))), "{killed:?}");
            *self.killed.lock().await = Some(leader);
        })
    }

    fn swallow(&self) -> LocalFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn heal(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            // Two of three go on; the third comes back to them.
            let killed = self.killed.lock().await.take();
            if let Some(member) = killed.and_then(|number| self.cluster.members().get(number)) {
                let restarted = member.restart().await;
                assert!(restarted.is_ok(), "{restarted:?}");
            }
        })
    }
}

impl Cluster {
    async fn remote(&self, need: Need) -> Result<Remote, StartError> {
        let url = |cluster: &NatsCluster| {
            format!("nats://{}?prefix={}&replicas=3", cluster.hosts(), fresh_prefix())
        };
        Ok(match need {
            Need::Bounded(most) => {
                let cluster = self.shared.get_or_try_init(NatsCluster::start).await?;
                Remote::new(format!("{}&max_messages={most}", url(cluster)))
            }
            Need::Shared | Need::Link => {
                Remote::new(url(self.shared.get_or_try_init(NatsCluster::start).await?))
            }
            Need::Broker => {
                let cluster = NatsCluster::start().await?;
                let url = url(&cluster);
                Remote::new(url).with(Leader { cluster, killed: Mutex::default() })
            }
        })
    }
}

impl Subject for Cluster {
    fn name(&self) -> &'static str {
        "nats-cluster"
    }

    fn timing(&self) -> Timing {
        Timing { parallel: 4, ..Timing::REMOTE }
    }

    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        Box::pin(async move { Ok(Box::new(self.remote(need).await?) as Box<dyn Place>) })
    }

    fn excuses(&self) -> &'static [(&'static str, &'static str)] {
        const LINK: &str =
            "a client of a cluster goes to another member instead: played with a single server";
        &[("a_cut_link_is_made_again", LINK), ("a_half_open_link_is_noticed", LINK)]
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        vec![("nats://127.0.0.1:1,127.0.0.1:2?replicas=2".to_owned(), "replicas")]
    }
}

fn main() -> ExitCode {
    let subjects: Vec<Arc<dyn Subject>> = vec![Arc::new(Single::default()), Arc::new(Cluster::default())];
    run(subjects, env!("CARGO_BIN_EXE_conformance-worker"))
}
