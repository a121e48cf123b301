//! Each broker starts, is killed, comes back on its port, and is gone at the end; a proxy delays, cuts and swallows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers included, fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use antiphon_testbed::{
    Direction, Link, Ministack, Moto, Nats, NatsCluster, Process, Program, Proxy, RabbitMq, StartError,
    Storage, Tansu, needed_by_all,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// The broker, or `None` with a printed reason if it is not installed.
fn installed<T>(started: Result<T, StartError>) -> Option<T> {
    match started {
        Err(StartError::Missing(missing)) if !needed_by_all() => {
            println!("passes over: {missing}");
            None
        }
        started => Some(started.unwrap_or_else(|error| panic!("{error}"))),
    }
}

async fn is_there(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

async fn comes_back(
    process: &Process,
    address: SocketAddr,
    restart: impl AsyncFn() -> Result<(), StartError>,
) {
    assert!(is_there(address).await);
    process.kill().unwrap();
    assert!(!is_there(address).await, "killed");
    restart().await.unwrap();
    assert!(is_there(address).await, "it is back");
    process.stop().await.unwrap();
    assert!(!is_there(address).await, "stopped");
}

#[tokio::test]
async fn ministack() {
    let Some(broker) = installed(Ministack::start().await) else { return };
    comes_back(broker.process(), broker.address(), || broker.restart()).await;
}

#[tokio::test]
async fn moto() {
    // No suite wants it: it is there to be asked for a third opinion, and never required.
    match Moto::start().await {
        Err(StartError::Missing(missing)) => println!("passes over: {missing}"),
        started => assert!(is_there(started.unwrap().address()).await),
    }
}

#[tokio::test]
async fn nats() {
    let Some(broker) = installed(Nats::start().await) else { return };
    comes_back(broker.process(), broker.address(), || broker.restart()).await;
}

#[tokio::test]
async fn nats_cluster() {
    let Some(cluster) = installed(NatsCluster::start().await) else { return };
    let leader = cluster.meta_leader().await.unwrap();
    cluster.members()[leader].process().kill().unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let now = cluster.meta_leader().await;
        if now.is_some_and(|now| now != leader) {
            break;
        }
        assert!(Instant::now() < until, "no other leader: {now:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.members()[leader].restart().await.unwrap();
}

#[tokio::test]
async fn rabbitmq() {
    let Some(broker) = installed(RabbitMq::start().await) else { return };
    comes_back(broker.process(), broker.address(), || broker.restart()).await;
}

#[tokio::test]
async fn tansu() {
    for storage in [Storage::Memory, Storage::Objects] {
        let Some(broker) = installed(Tansu::start(storage).await) else { return };
        comes_back(broker.process(), broker.address(), || broker.restart()).await;
    }
}

/// The process that ends without dropping anything.
#[test]
#[ignore = "it is run by the test below"]
fn ends_without_a_drop() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::spawn(Program::new("/bin/sleep", folder.path()).arg("1000")).unwrap();
    println!("\nstarted {} in {}", process.id().unwrap(), folder.path().display());
    std::process::exit(0);
}

#[tokio::test]
async fn nothing_outlives_the_process_that_started_it() {
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ends_without_a_drop", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let told = String::from_utf8(ended.stdout).unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("started ")).unwrap();
    let (id, folder) = line.split_once(" in ").unwrap();
    // Where nobody reaps, it stays as a zombie: that is gone, too.
    let lives = || {
        let stat = std::fs::read_to_string(Path::new("/proc").join(id).join("stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    let until = Instant::now() + Duration::from_secs(20);
    while lives() || Path::new(folder).exists() {
        assert!(Instant::now() < until, "{line}: it is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A broker that answers each byte with the next.
async fn successor() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(byte) = stream.read_u8().await {
                    if stream.write_u8(byte.wrapping_add(1)).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

async fn ask(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    stream.write_u8(byte).await?;
    stream.read_u8().await
}

#[tokio::test]
async fn a_proxy_delays_cuts_and_swallows() {
    let proxy = Proxy::start(successor().await).unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut client, 1).await.unwrap(), 2);

    let slow = Direction { delay: Duration::from_millis(50), swallow: false };
    proxy.set(Link { up: slow, down: slow, cut: false });
    let began = Instant::now();
    assert_eq!(ask(&mut client, 5).await.unwrap(), 6);
    assert!(began.elapsed() >= Duration::from_millis(100), "both ways");

    proxy.swallow();
    let silent = timeout(Duration::from_millis(300), ask(&mut client, 7)).await;
    assert!(silent.is_err(), "no answer and no error: {silent:?}");
    let mut newcomer = TcpStream::connect(proxy.address()).await.unwrap();
    let silent = timeout(Duration::from_millis(300), ask(&mut newcomer, 7)).await;
    assert!(silent.is_err(), "nor for those who come now: {silent:?}");
    proxy.heal();
    assert!(client.read_u8().await.is_err(), "what was swallowed is gone, and its connection with it");

    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut client, 8).await.unwrap(), 9);
    proxy.cut();
    assert!(ask(&mut client, 8).await.is_err(), "cut");
    let newcomer = async { ask(&mut TcpStream::connect(proxy.address()).await?, 8).await };
    assert!(newcomer.await.is_err(), "and hung up on");
    proxy.heal();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut client, 8).await.unwrap(), 9);
}
