//! Waiting until anti-entropy has found what the queue lost for ever.
//!
//! A queue that loses messages says that it is quiet when it has lost everything. So here the counts themselves are
//! looked at, part by part, until each is what was acknowledged.

use std::time::Duration;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use messages::PartId;
use tokio::time::{Instant, sleep};

use super::answers::{Shown, Status};
use super::call::Call;
use super::client::Client;
use super::error::{ReplayError, While};
use super::ledger::Entry;
use super::progress::Progress;
use super::quiet::{LeftAside, WAIT_MAX, left_aside};

/// Between two looks at the parts that differ.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Parts that are asked for at once.
const AT_ONCE: usize = 16;

/// A part whose count is not yet what was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Behind {
    part: PartId,
    expected: i64,
    shown: i64,
}

/// Waits until Stories shows every count as it was acknowledged. `patience` is for the time without progress: without
/// the sum of all differences being less than ever before.
pub(super) async fn wait(
    client: &Client,
    patience: Duration,
    parts: &[PartId],
    done: &[Entry],
) -> Result<LeftAside, ReplayError> {
    let progress = Progress::start("healing", parts.len());
    let expected = |entry: &Entry| i64::try_from(entry.live().len()).unwrap_or(i64::MAX);
    let mut behind: Vec<Behind> = (parts.iter().zip(done))
        .map(|(part, entry)| Behind { part: *part, expected: expected(entry), shown: 0 })
        .collect();
    let (mut least, mut moved) = (u64::MAX, Instant::now());
    loop {
        behind = look(client, &behind).await?;
        progress.set_at(parts.len() - behind.len());
        let Some(first) = behind.first() else { break };
        let difference = difference(&behind);
        if difference < least {
            (least, moved) = (difference, Instant::now());
        }
        let (stuck, waited) = (moved.elapsed(), progress.elapsed());
        if stuck >= patience || waited >= WAIT_MAX {
            let after = if stuck >= patience { stuck } else { waited };
            let Behind { part, expected, shown } = *first;
            return Err(ReplayError::NotHealed { after, parts: behind.len(), part, expected, shown });
        }
        sleep(LOOK_EVERY).await;
    }
    let status: Status = (client.send(&Call::get("/status".to_owned())).await)
        .doing(|| "looking for what was left aside".to_owned())?;
    Ok(left_aside(&status))
}

/// Those that are still behind. A count that was exact stays so: nothing is posted any more, and counts never go back.
async fn look(client: &Client, behind: &[Behind]) -> Result<Vec<Behind>, ReplayError> {
    let one = async |old: &Behind| {
        let shown: Shown = (client.send(&Call::get(format!("/v1/parts/{}", old.part))).await)
            .doing(|| format!("looking at the count of the part {}", old.part))?;
        Ok::<_, ReplayError>(Behind { shown: shown.counts.comments.count, ..*old })
    };
    let looked: Vec<Behind> = iter(behind).map(one).buffered(AT_ONCE).try_collect().await?;
    Ok(looked.into_iter().filter(|part| part.shown != part.expected).collect())
}

fn difference(behind: &[Behind]) -> u64 {
    behind.iter().map(|part| part.expected.abs_diff(part.shown)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_add_up_whatever_their_sign() {
        let behind = |expected, shown| Behind { part: PartId::default(), expected, shown };
        assert_eq!(difference(&[]), 0);
        assert_eq!(difference(&[behind(5, 3), behind(3, 5), behind(0, i64::MIN)]), 4 + (1 << 63));
    }
}
