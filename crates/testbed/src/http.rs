//! As much of HTTP as readiness needs.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The status of `GET path`, and what was answered, headers included.
///
/// Errors: whatever keeps it from being answered within five seconds.
pub async fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    request(address, "GET", path).await
}

/// Like [`get`], with another method and no body.
pub(crate) async fn request(address: SocketAddr, method: &str, path: &str) -> io::Result<(u16, String)> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))?;
        Ok((status, answer))
    };
    timeout(ANSWER_MAX, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Whether `GET path` is answered at all, with a status below 500.
pub(crate) async fn answers(address: SocketAddr, path: &str) -> bool {
    get(address, path).await.is_ok_and(|(status, _)| status < 500)
}

/// Whether something listens there.
pub(crate) async fn listens(address: SocketAddr) -> bool {
    matches!(timeout(ANSWER_MAX, TcpStream::connect(address)).await, Ok(Ok(_)))
}
