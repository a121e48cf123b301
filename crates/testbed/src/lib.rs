//! Real brokers for tests.
//!
//! Each is a process of its own on free loopback ports, with its data in a temporary folder. It is stopped by its process
//! id when it is dropped, and also when the test's process ends in any other way. [`Proxy`] stands between a client and
//! a broker and delays, cuts or swallows what passes.
//!
//! ```no_run
//! use antiphon_testbed::{Nats, Proxy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), antiphon_testbed::StartError> {
//! let broker = Nats::start().await?;
//! let proxy = Proxy::start(broker.address())?;
//! // Connect a client to proxy.address(), and then:
//! proxy.cut(); // connections are reset, new ones refused
//! proxy.heal();
//! broker.process().kill()?; // SIGKILL
//! broker.restart().await?; // the same port, the same folder
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//! | file | what |
//! |---|---|
//! | `process` | [`Process`]: spawn, wait until ready, kill, pause, restart |
//! | `ports` | ports that nobody else takes |
//! | `proxy` | the link between client and broker |
//! | `missing` | what a test does when a broker is not installed |
//! | `http` | as much of HTTP as readiness needs |
//! | `ministack`, `moto`, `nats`, `rabbitmq`, `tansu` | a broker each |
//!
//! # What it never does
//! It speaks no broker's protocol: whether a broker is ready is read from its socket or a plain HTTP answer. It uses no
//! other address than loopback.

mod http;
mod ministack;
mod missing;
mod moto;
mod nats;
mod ports;
mod process;
mod proxy;
mod rabbitmq;
mod tansu;

pub use http::get;
pub use ministack::Ministack;
pub use missing::{Missing, find, needed_by_all};
pub use moto::Moto;
pub use nats::{Nats, NatsCluster};
pub use ports::{Port, free_port};
pub use process::{Process, Program, StartError};
pub use proxy::{Direction, Link, Proxy};
pub use rabbitmq::RabbitMq;
pub use tansu::{Storage, Tansu};
