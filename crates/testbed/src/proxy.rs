//! The link between a client and a broker.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::process::system;
use crate::{Port, StartError, free_port};

/// What one direction holds at a time, in bytes.
const BUFFER_BYTES: usize = 16 * 1024;

/// What a link does to what passes in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Direction {
    /// Each piece arrives so much later.
    pub delay: Duration,
    /// Nothing arrives, and nobody is told: half of a half-open connection.
    pub swallow: bool,
}

/// What a link does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// From the client to the broker.
    pub up: Direction,
    /// From the broker to the client.
    pub down: Direction,
    /// Connections are reset, and new ones hung up on.
    pub cut: bool,
}

/// Forwards what comes to its address to that of a broker, through a [`Link`] that can be changed at any time, for the
/// connections that there are and for new ones.
///
/// It lives on the runtime that started it.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    link: watch::Sender<Link>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of `target`, with a link that does nothing. To be called within a runtime.
    pub fn start(target: SocketAddr) -> Result<Self, StartError> {
        let port = free_port().map_err(system("find a free port"))?;
        Self::on(port, target)
    }

    /// Starts one on a port that was taken before.
    pub fn on(port: Port, target: SocketAddr) -> Result<Self, StartError> {
        let bind = || {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port.number()))?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let listener = bind().map_err(system("listen for a proxy"))?;
        let (link, watch) = watch::channel(Link::default());
        let accepting = tokio::spawn(accept(listener, target, watch));
        Ok(Self { port, link, accepting })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What the link does now.
    pub fn link(&self) -> Link {
        *self.link.borrow()
    }

    /// Changes what the link does.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// Resets all connections, and hangs up on new ones until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.link.send_modify(|link| link.cut = true);
    }

    /// Keeps connections open, takes new ones, and lets nothing pass in either direction, until [`heal`](Self::heal).
    /// What is swallowed is lost: connections of that time are of no use afterwards and are reset.
    pub fn swallow(&self) {
        self.link.send_modify(|link| {
            link.up.swallow = true;
            link.down.swallow = true;
        });
    }

    /// Lets everything pass at once.
    pub fn heal(&self) {
        self.link.send_replace(Link::default());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, link: watch::Receiver<Link>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connection(client, target, link.clone()));
                }
                Err(error) => eprintln!("a proxy to {target} could not accept: {error}"),
            },
        }
    }
}

/// One connection, until one side closes it or the link is cut. Then both are reset.
async fn connection(client: TcpStream, target: SocketAddr, mut link: watch::Receiver<Link>) {
    if link.borrow().cut {
        return;
    }
    let Ok(broker) = TcpStream::connect(target).await else { return };
    if client.set_nodelay(true).and(broker.set_nodelay(true)).is_err() {
        return;
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let up = forward(&mut from_client, &mut to_broker, link.clone(), |link| link.up);
    let down = forward(&mut from_broker, &mut to_client, link.clone(), |link| link.down);
    tokio::select! {
        // Either end of a connection ends both: a broker's protocol has no use for half of one.
        _ = up => {}
        _ = down => {}
        _ = link.wait_for(|link| link.cut) => {}
    }
}

async fn forward(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut link: watch::Receiver<Link>,
    direction: impl Fn(&Link) -> Direction,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = from.read(&mut buffer).await?;
        let Direction { delay, swallow } = direction(&link.borrow());
        if swallow {
            // An end is swallowed like everything else. Something is missing from now on: once the link is healed the
            // connection has to go.
            let healed = link.wait_for(|link| !direction(link).swallow).await;
            return healed.map(drop).map_err(io::Error::other);
        }
        if length == 0 {
            return Ok(());
        }
        if !delay.is_zero() {
            sleep_until(Instant::now() + delay).await;
        }
        to.write_all(buffer.get(..length).unwrap_or_default()).await?;
    }
}
