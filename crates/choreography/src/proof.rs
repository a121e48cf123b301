//! The proof of a count: what it is the sum of, and as of when that is exact.

use crate::anti_entropy::{AsOf, Links};
use api::views::{Count, CountProof, WriterView};
use lattice::{ReplicaId, Tally};
use messages::{Group, TallyKey};
use queue::rfc3339;
use std::collections::{BTreeMap, BTreeSet};
use store::{Printer, Reader, Row, Scan, Store, StoreError, Sums, key};

/// Who told nothing for so much longer than others is taken to be gone, unless it writes a tally of the group.
const SILENT_MS: u64 = 600_000;

/// Whose tallies they are: those that this store writes, or those that it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// This service writes tallies itself: what it writes is exact now.
    AndWritten,
    /// It only hears of them.
    Only,
}

/// Proves the count of a group from the rows `R`, which are announced on `topic`.
pub async fn prove<R>(
    store: &Store,
    links: &Links,
    (topic, told): (&str, Told),
    group: Group,
) -> Result<CountProof, StoreError>
where
    R: Row<Key = TallyKey, State = Tally>,
{
    let (identity, reader) = (store.identity(), store.reader()?);
    let tallies = reader.rows::<R>(&Scan::prefix(&key::index(R::TAG, &group))).await?;
    let printer = Printer::new(&identity.deployment);
    let mut digest = Sums::default();
    let (mut writers, mut writes_some) = (BTreeSet::new(), false);
    for (tally_key, tally) in &tallies {
        let whole = key::of::<R>(tally_key);
        let state =
            serde_json::to_vec(tally).map_err(|error| StoreError::Engine(error.to_string().into()))?;
        digest = digest.plus(printer.row(whole.get(1..).unwrap_or_default(), &state));
        if told == Told::AndWritten && identity.owned.epoch_of(tally_key.replica) == Some(tally.epoch) {
            writes_some = true;
        } else {
            writers.insert(tally.epoch.owner);
        }
    }
    let publishers: BTreeMap<_, _> =
        links.as_of(topic).into_iter().map(|known| (known.publisher, known)).collect();
    writers.extend(lately(&publishers));
    writers.remove(&identity.replica);
    let mut shown: Vec<_> = writers.iter().map(|writer| view(*writer, publishers.get(writer))).collect();
    let now_ms = store.world().now_ms();
    let mut exact: Vec<_> = writers.iter().map(|writer| as_of(publishers.get(writer))).collect();
    if told == Told::AndWritten {
        exact.push(Some(now_ms));
        shown.push(WriterView {
            replica: identity.replica.to_string(),
            answers: true,
            equal: true,
            exact_as_of: writes_some.then(|| rfc3339::format(now_ms)),
            unannounced_since: unannounced::<R>(&reader, topic, &tallies).await?.map(rfc3339::format),
        });
    }
    let all: Option<Vec<u64>> = exact.into_iter().collect();
    Ok(CountProof {
        replica: identity.replica.to_string(),
        count: Count::of(group, tallies.into_iter().map(|(key, tally)| (key.replica, tally))),
        digest: format!("{}:{:032x}", digest.count, digest.sum),
        exact_as_of: all.and_then(|all| all.into_iter().min()).map(rfc3339::format),
        writers: shown,
    })
}

/// Those that told something not long before the last one did: whoever of them counts nothing in the group yet may
/// have begun.
fn lately(publishers: &BTreeMap<ReplicaId, AsOf>) -> Vec<ReplicaId> {
    let newest = publishers.values().map(|known| known.status.told_ms).max().unwrap_or_default();
    let lately = publishers.values().filter(|known| known.status.told_ms.saturating_add(SILENT_MS) >= newest);
    lately.map(|known| known.publisher).collect()
}

fn as_of(known: Option<&AsOf>) -> Option<u64> {
    known.and_then(|known| known.status.exact_as_of_ms)
}

fn view(writer: ReplicaId, known: Option<&AsOf>) -> WriterView {
    WriterView {
        replica: writer.to_string(),
        answers: false,
        equal: known.is_some_and(|known| known.status.equal),
        exact_as_of: as_of(known).map(rfc3339::format),
        unannounced_since: None,
    }
}

async fn unannounced<R>(
    reader: &Reader,
    topic: &str,
    tallies: &[(TallyKey, Tally)],
) -> Result<Option<u64>, StoreError>
where
    R: Row<Key = TallyKey, State = Tally>,
{
    let mut since = None;
    for (key, _) in tallies {
        let marked = reader.marked_since::<R>(topic, key).await?;
        since = match (since, marked) {
            (Some(since), Some(marked)) => Some(marked.min(since)),
            (since, marked) => marked.or(since),
        };
    }
    Ok(since)
}
