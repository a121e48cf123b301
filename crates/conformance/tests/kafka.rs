//! Kafka's protocol, against tansu: in memory, and on an object store where the broker is killed.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use antiphon_conformance::{
    Killed, Linked, LocalFuture, Need, PASSWORD, Place, Remote, Subject, Timing, Unable, fresh_prefix, run,
};
use testbed::{Proxy, StartError, Storage, Tansu};
use tokio::sync::OnceCell;

/// What the tests set so that groups notice soon who is gone.
const SETTINGS: &str = "session_timeout_ms=6000";

#[derive(Default)]
struct Kafka {
    shared: OnceCell<Tansu>,
}

fn url(address: SocketAddr) -> String {
    format!("kafka://{address}?prefix={}&{SETTINGS}", fresh_prefix())
}

impl Kafka {
    async fn remote(&self, need: Need) -> Result<Remote, StartError> {
        Ok(match need {
            Need::Shared | Need::Bounded(_) => {
                let broker = self.shared.get_or_try_init(|| Tansu::start(Storage::Memory)).await?;
                Remote::new(url(broker.address()))
            }
            Need::Link => {
                // Clients go where the broker tells them, so it has to tell them the proxy.
                let mut made = None;
                let broker = Tansu::advertised(Storage::Memory, |listens| {
                    let proxy = Proxy::start(listens)?;
                    let address = proxy.address();
                    made = Some(proxy);
                    Ok(address)
                })
                .await?;
                let Some(proxy) = made else { unreachable!("it was asked for its address") };
                Remote::new(url(proxy.address())).with(Linked { proxy, keep: broker })
            }
            Need::Broker => {
                let broker = Tansu::start(Storage::Objects).await?;
                let url = url(broker.address());
                Remote::new(&url).with(Killed { broker, kill, restart, url })
            }
        })
    }
}

async fn restart(broker: &Tansu) -> Result<(), StartError> {
    broker.restart().await
}

fn kill(broker: &Tansu) -> Result<(), StartError> {
    broker.process().kill()
}

const NO_BOUND: &str = "Kafka bounds a topic by time and bytes, never by messages that nobody has acked";
const LOCAL_COUNT: &str = "Kafka counts no hand-outs: the receiver does, and its count ends with it";
const AHEAD: &str =
    "Kafka deals out whole partitions: what is in those of a member that is busy waits for it";

impl Subject for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn timing(&self) -> Timing {
        Timing { parallel: 6, ..Timing::REMOTE }
    }

    fn place(&self, need: Need) -> LocalFuture<'_, Result<Box<dyn Place>, Unable>> {
        Box::pin(async move { Ok(Box::new(self.remote(need).await?) as Box<dyn Place>) })
    }

    fn excuses(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("full_is_said", NO_BOUND),
            ("receive_counts_outlive_their_receiver", LOCAL_COUNT),
            ("what_a_busy_pump_does_not_take_others_get", AHEAD),
        ]
    }

    fn wrong_urls(&self) -> Vec<(String, &'static str)> {
        vec![
            (format!("kafka://me:{PASSWORD}@127.0.0.1:1?flavour=sweet"), "flavour"),
            ("kafka://127.0.0.1:1".to_owned(), "127.0.0.1:1"),
            (format!("kafka://me:{PASSWORD}@127.0.0.1:1?partitions=many"), "partitions"),
        ]
    }
}

fn main() -> ExitCode {
    run(vec![Arc::new(Kafka::default())], env!("CARGO_BIN_EXE_conformance-worker"))
}
