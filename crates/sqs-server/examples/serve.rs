//! A durable SQS: `cargo run -p antiphon-sqs-server --example serve -- FOLDER [ADDRESS [ACCOUNT]]`, until it is interrupted.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use antiphon_sqs_server::{Config, SERVICE, SqsServer};
use store::{FjallConfig, RealWorld, Setup, Store};

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("name a folder: serve FOLDER [ADDRESS]")?;
    let address = args.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let mut config = Config::default();
    if let Some(account) = args.next() {
        config.account = account;
    }
    let setup = Setup::of(SERVICE);
    let store = Store::open_fjall(Path::new(&folder), FjallConfig::default(), Arc::new(RealWorld), &setup)?;
    let server = SqsServer::open(store, config).await?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("endpoint_url=http://{}", listener.local_addr()?);
    server.serve(listener, pending()).await?;
    Ok(())
}
