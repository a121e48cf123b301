//! Serves SQS from a folder until it is killed: `conformance-serve FOLDER PORT`. The suite starts it.

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use sqs_server::{Config, SqsServer};
use store::{FjallConfig, RealWorld, Setup, Store};
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, port] = &arguments[..] else {
        return Err("conformance-serve FOLDER PORT".into());
    };
    let port: u16 = port.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let setup = Setup::of(sqs_server::SERVICE);
        let store =
            Store::open_fjall(Path::new(folder), FjallConfig::default(), Arc::new(RealWorld), &setup)?;
        let server = SqsServer::open(store, Config::default()).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        server.serve(listener, std::future::pending()).await?;
        Ok(())
    })
}
