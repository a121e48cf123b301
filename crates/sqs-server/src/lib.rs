//! A durable SQS for this machine: the protocol of SQS over HTTP, on the embedded store.
//!
//! Any client of SQS works with it, its endpoint set to this server's address: `boto3`, the AWS CLI, the SDKs. Both
//! protocols are spoken: JSON, and the older query protocol with its answers in XML.
//!
//! ```
//! use antiphon_sqs_server::{Config, SERVICE, SqsServer};
//! use std::sync::Arc;
//! use store::{FjallConfig, RealWorld, Setup, Store};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! let folder = folder.path().join("sqs");
//! let store = Store::open_fjall(&folder, FjallConfig::default(), Arc::new(RealWorld), &Setup::of(SERVICE))?;
//! let server = SqsServer::open(store, Config::default()).await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! println!("endpoint_url=http://{}", listener.local_addr()?);
//! let stop = async {}; // serves until this is done
//! server.serve(listener, stop).await?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//! - A message is on the disk (`fdatasync`) before `SendMessage` answers; sends that wait together share one sync.
//! - It survives `SIGKILL` and power cuts. Deletes, receive counts and leases are written before they are answered, but
//!   not synced: a power cut, and not a kill, may bring back what was just deleted, which at-least-once allows. What was
//!   in flight is still in flight after a restart, and receipts stay good.
//! - A receipt handle of an earlier hand-out deletes nothing, though the answer is success: so does SQS. A FIFO queue
//!   refuses one whose time is over.
//! - Standard queues here hand out in the order of sending unless something came back; nobody should rely on it.
//! - FIFO queues: a group is handed out in order, as many of it in one receive as there are, and nothing of it that is
//!   behind a message in flight. Deduplication ids are remembered for 5 minutes, on the disk.
//! - Bodies stay on the disk: memory grows with what is in flight, delayed, or waits behind its group, not with what
//!   waits.
//!
//! # What differs from SQS
//! - Signatures are not checked, and neither are policies: anybody who can connect may do anything. Listen on loopback.
//!   What `AddPermission` adds is kept and shown.
//! - `PurgeQueue` and `DeleteQueue` are done when they answer, and may be repeated at once, as may be the creation of a
//!   queue of that name; SQS takes, and demands, up to 60 seconds.
//! - Changed attributes hold at once.
//! - A move task does not outlive the server's process: what it had not moved is still where it was.
//! - A receipt handle of an earlier hand-out cannot change visibility (`InvalidParameterValue`); SQS lets it, and so ends
//!   the lease of somebody else.
//! - There is one region and one account: clients that sign for others see the same queues.
//! - A queue holds up to [`Config::messages_max`] messages; then sends are answered `OverLimit`.
//! - `ReceiveRequestAttemptId` is accepted and changes nothing.
//! - Encryption settings are kept and shown, and encrypt nothing.
//!
//! # Map
//! | file | what |
//! |---|---|
//! | `engine` | the queues: keys, rows, sending, receiving, settling, attributes, housekeeping; no HTTP |
//! | `engine::schedule` | leases, delays and groups in memory |
//! | `message` | what a message may hold, and its digests |
//! | `http` | the two protocols, the operations, the page for people |
//! | `error` | the errors of SQS |

mod engine;
mod error;
mod http;
mod message;
mod server;

pub use engine::QUEUES_MAX;
pub use engine::attributes::{DELAY_S_MAX, MESSAGE_BYTES_MAX, VISIBILITY_TIMEOUT_S_MAX, WAIT_S_MAX};
pub use error::{Kind, SqsError};
pub use http::{REQUEST_BYTES_MAX, REQUESTS_MAX};
pub use server::{Config, HOUSEKEEP_EVERY, QueueSummary, SERVICE, SHUTDOWN_WAIT_MAX, SqsServer};
