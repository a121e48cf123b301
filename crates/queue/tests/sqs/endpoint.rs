//! An endpoint that answers what it is told to: no real one fails when a test wants it to.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Listens until the test is over. `answer` is given the action and its request, and gives the status and the body.
pub(crate) async fn scripted(
    answer: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&answer)));
        }
    });
    address
}

fn header(head: &str, wanted: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
    })
}

/// The action and the request, once all of it is there.
fn parsed(bytes: &[u8]) -> Option<(String, Value)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
    let target = header(head, "x-amz-target").unwrap_or_default();
    let action = target.rsplit('.').next().unwrap_or_default().to_owned();
    (body.len() >= length).then(|| (action, serde_json::from_str(body).unwrap_or(Value::Null)))
}

async fn serve(mut stream: TcpStream, answer: Arc<impl Fn(&str, &Value) -> (u16, Value)>) {
    let mut bytes = Vec::new();
    loop {
        if let Some((action, request)) = parsed(&bytes) {
            bytes.clear();
            let (status, value) = answer(&action, &request);
            let body = value.to_string();
            let head = format!(
                "HTTP/1.1 {status} told\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            if stream.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                return;
            }
        }
        let mut more = [0; 8_192];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend(&more[..count]),
        }
    }
}
