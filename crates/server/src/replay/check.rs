//! Reading back what the server tells of every part.

use std::collections::BTreeMap;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use hyper::StatusCode;
use messages::{CommentId, PartId};

use super::answers::{Page, PlainCounts, Shown};
use super::call::{Call, CallError};
use super::client::Client;
use super::error::{ReplayError, While};
use super::progress::Progress;

/// Most that a page holds.
const PAGE: usize = 100;
/// Parts that are read at once.
const AT_ONCE: usize = 16;

/// What was told of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Comments: the flat list, in its order.
    pub(super) listed: Vec<CommentId>,
    /// Comments: its own count, as the last page carries it.
    pub(super) counted: i64,
    /// Stories: the count that the part shows.
    pub(super) shown: i64,
}

/// Pages through the flat lists of all parts, and asks Stories for its counts.
pub(super) async fn read_back(
    client: &Client,
    parts: &[PartId],
    comments: usize,
) -> Result<Vec<Told>, ReplayError> {
    let progress = Progress::start("checking", comments);
    let one = async |part: &PartId| {
        let told = one(client, *part, &progress).await;
        told.doing(|| format!("reading the part {part} back"))
    };
    iter(parts).map(one).buffered(AT_ONCE).try_collect().await
}

/// What the server's plain "+1" counter came to, if it has one.
pub(super) async fn plain_counts(client: &Client) -> Result<Option<BTreeMap<PartId, i64>>, ReplayError> {
    match client.send::<PlainCounts>(&Call::get("/debug/plain-counts".to_owned())).await {
        Ok(counts) => Ok(Some(counts)),
        Err(error) if error.is(StatusCode::NOT_FOUND) => Ok(None),
        Err(error) => Err(error).doing(|| "reading the plain counter".to_owned()),
    }
}

async fn one(client: &Client, part: PartId, progress: &Progress) -> Result<Told, CallError> {
    let mut told = Told::default();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/parts/{part}/comments?flat=true&order=oldest&limit={PAGE}{cursor}");
        let page: Page = client.send(&Call::get(path)).await?;
        progress.add(u64::try_from(page.items.len()).unwrap_or_default());
        told.listed.extend(page.items.iter().map(|comment| comment.id));
        told.counted = page.count.count;
        match page.next {
            Some(next) => cursor = format!("&cursor={}", escaped(&next)),
            None => break,
        }
    }
    let shown: Shown = client.send(&Call::get(format!("/v1/parts/{part}"))).await?;
    told.shown = shown.counts.comments.count;
    Ok(told)
}

/// As the value of a query parameter.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_escaped() {
        assert_eq!(escaped("aZ0-._~"), "aZ0-._~");
        assert_eq!(escaped("a+b/c=&é"), "a%2Bb%2Fc%3D%26%C3%A9");
    }
}
