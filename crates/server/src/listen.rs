//! Listening: a bounded number of connections, each given up when nothing moves on it.
//!
//! Without a bound, whoever opens connections takes the files that the stores need.

use axum::serve::Listener;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Open connections at a time, at most; fewer where the process may have fewer files. The next ones wait to be accepted.
const CONNECTIONS_MAX: u64 = 8192;
/// Files that are left to the stores and the queue.
const FILES_KEPT: u64 = 512;
/// Where the process may have hardly any files.
const CONNECTIONS_MIN: u64 = 64;
/// A connection on which nothing moves for so long is given up: more than any answer may take.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// The pause after an accept that failed: out of files, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener with its places.
#[derive(Debug)]
pub(crate) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Bounded {
    /// Listens at an address, on as many connections as the process may have files.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let places = usize::try_from(connections(raise_files())).unwrap_or(Semaphore::MAX_PERMITS);
        Ok(Self { listener: TcpListener::bind(address).await?, places: Arc::new(Semaphore::new(places)) })
    }
}

/// Raises the soft limit of open files to the hard one, and tells what it is then.
fn raise_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn connections(files: u64) -> u64 {
    files.saturating_sub(FILES_KEPT).clamp(CONNECTIONS_MIN.min(files / 2), CONNECTIONS_MAX)
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let place = match Arc::clone(&self.places).acquire_owned().await {
                Ok(place) => place,
                // Nobody closes it; if somebody did, nothing more would be accepted.
                Err(_) => std::future::pending().await,
            };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "answers may wait for others");
                    }
                    return (Connection::new(stream, place), address);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection in its place.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self { stream, idle: Box::pin(tokio::time::sleep(IDLE_MAX)), _place: place }
    }

    /// Something moved, or nothing did for too long.
    fn watch<T>(&mut self, moved: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE_MAX);
            return moved;
        }
        self.idle.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch(read, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_keep_their_files() {
        assert_eq!(connections(1_000_000), CONNECTIONS_MAX);
        assert_eq!(connections(1024), 512);
        assert_eq!(connections(256), CONNECTIONS_MIN);
        assert_eq!(connections(20), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_moves_is_given_up() {
        use tokio::io::AsyncReadExt;
        let mut listener = Bounded::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        let began = Instant::now();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed() >= IDLE_MAX), (io::ErrorKind::TimedOut, true));
    }
}
