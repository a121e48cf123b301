//! RabbitMQ, with quorum queues.

use std::process::ExitCode;
use std::sync::Arc;

use antiphon_conformance::{
    Killed, Linked, LocalFuture, Need, PASSWORD, Place, Remote, Subject, Timing, Unable, fresh_prefix, run,
};
use testbed::{Proxy, RabbitMq, StartError};
use tokio::sync::OnceCell;

#[derive(Default)]
struct Rabbit {
    shared: OnceCell<RabbitMq>,
}

impl Rabbit {
    async fn shared(&self) -> Result<&RabbitMq, StartError> {
        self.shared.get_or_try_init(RabbitMq::start).await
    }

    async fn remote(&self, need: Need) -> Result<Remote, StartError> {
        let url = |address: std::net::SocketAddr| {
            format!("amqp://guest:guest@{address}/%2f?prefix={}", fresh_prefix())
        };
        Ok(match need {
            Need::Shared => Remote::new(url(self.shared().await?.address())),
            Need::Bounded(most) => {
                Remote::new(format!("{}&max_messages={most}", url(self.shared().await?.address())))
            }
            Need::Link => {
                let proxy = Proxy::start(self.shared().await?.address())?;
                Remote::new(url(proxy.address())).with(Linked { proxy, keep: () })
            }
            Need::Broker => {
                let broker = RabbitMq::start().await?;
                let url = url(broker.address());
                let kill = |broker: &RabbitMq| broker.process().kill();
                let restart = async |broker: &RabbitMq| broker.restart().await;
                Remote::new(&url).with(Killed { broker, kill, restart, url })
            }
        })
    }
}

impl Subject for Rabbit {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn timing(&self) -> Timing {
        Timing { parallel: 6, ..Timing::REMOTE }
    }

    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        Box::pin(async move { Ok(Box::new(self.remote(need).await?) as Box<dyn Place>) })
    }

    fn excuses(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "full_is_said",
            "an exchange gives each queue its copy on its own, so that others may have theirs when one refuses, and a \
             quorum queue takes a few messages more before it refuses: what was refused is a duplicate to the others",
        )]
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        vec![
            (format!("amqp://me:{PASSWORD}@127.0.0.1:1?flavour=sweet"), "flavour"),
            (format!("amqp://me:{PASSWORD}@127.0.0.1:1"), "127.0.0.1:1"),
            (format!("amqp://me:{PASSWORD}@127.0.0.1:1?max_messages=many"), "max_messages"),
        ]
    }
}

fn main() -> ExitCode {
    run(vec![Arc::new(Rabbit::default())], env!("CARGO_BIN_EXE_conformance-worker"))
}
