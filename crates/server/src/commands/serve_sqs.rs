//! `antiphon queue serve`.

use super::Common;
use super::error::CommandError;
use super::out;
use crate::serve::signals;
use clap::Args;
use sqs_server::{Config, SqsServer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use store::{FjallConfig, RealWorld, Setup, Store};
use tokio::net::TcpListener;

/// Serve a durable SQS from a folder of this machine
///
/// Any client of SQS can use it: boto3, the AWS CLI, the SDKs, and every process of Antiphon. A message is on the disk
/// before its sending is answered, and survives SIGKILL. There is no check of credentials: whoever reaches the address may
/// do everything, so it listens on this machine alone unless you say otherwise.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct ServeSqsArgs {
    /// Where everything is kept; made where it is missing
    #[arg(long, env = "ANTIPHON_QUEUE_DATA", value_name = "DIR", default_value = "./antiphon-queue")]
    data: PathBuf,
    /// Where to listen. Port 0 takes a free one, which is printed
    #[arg(long, env = "ANTIPHON_QUEUE_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:9324")]
    listen: SocketAddr,
    /// The region that names of queues carry
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    region: String,
    /// The account that names of queues carry
    #[arg(long, value_name = "DIGITS", default_value = "000000000000", value_parser = account)]
    account: String,
    /// Refuse messages while fewer bytes than this are free on the disk
    #[arg(long, env = "ANTIPHON_DISK_FREE_MIN", value_name = "BYTES", default_value_t = 256 << 20)]
    disk_free_min: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

const AFTER_HELP: &str = "\
Exit status:
  0  SIGTERM or SIGINT came, and what was asked until then was answered
  1  it could not begin, or had to stop
  2  the command line is wrong

Examples:
  antiphon queue serve
  antiphon queue serve --data /var/lib/queue --listen 127.0.0.1:9400
  antiphon serve --queue sqs+http://127.0.0.1:9324     (of a build with --features sqs)";

/// Digits of an account.
const ACCOUNT_DIGITS: usize = 12;

fn account(text: &str) -> Result<String, String> {
    if text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(format!("an account has {ACCOUNT_DIGITS} digits"))
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: &ServeSqsArgs) -> Result<ExitCode, CommandError> {
    let stop = signals().map_err(CommandError::Signals)?;
    let refused = |source| CommandError::Listen { address: args.listen, source };
    // First of all: where the port is taken, nothing is begun.
    let listener = TcpListener::bind(args.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let config = FjallConfig { disk_free_bytes_min: args.disk_free_min, ..FjallConfig::default() };
    let setup = Setup::of(sqs_server::SERVICE);
    let store = Store::open_fjall(&args.data, config, Arc::new(RealWorld), &setup)?;
    let config = Config { region: args.region.clone(), account: args.account.clone(), ..Config::default() };
    let opened = SqsServer::open(store, config).await;
    let server = opened.map_err(|error| CommandError::Serve(Box::new(error)))?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "this is open to others, and nobody's credentials are checked");
    }
    greet(args, address)?;
    let ended = server.serve(listener, stop).await;
    ended.map_err(|error| CommandError::Serve(Box::new(error)))?;
    Ok(ExitCode::SUCCESS)
}

/// Says where it is. The first line is also what scripts read the port from.
fn greet(args: &ServeSqsArgs, address: SocketAddr) -> Result<(), CommandError> {
    let (region, data) = (&args.region, args.data.display());
    let url = format!("http://{address}");
    let build = if cfg!(feature = "sqs") { "" } else { "  (of a build with --features sqs)" };
    if args.common.json {
        return out::print_json(
            &serde_json::json!({ "endpoint": url, "region": region, "account": args.account }),
        );
    }
    out::print(&format!(
        "antiphon's SQS is at {url}\n  \
         boto3      boto3.client(\"sqs\", endpoint_url=\"{url}\", region_name=\"{region}\", aws_access_key_id=\"x\", \
         aws_secret_access_key=\"x\")\n  \
         AWS CLI    AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws sqs list-queues --endpoint-url {url} --region {region}\n  \
         antiphon   antiphon serve --queue sqs+{url}{build}\n  \
         data       {data}"
    ))
}
