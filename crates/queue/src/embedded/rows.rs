//! The rows of the embedded queue in its store.

use bytes::Bytes;
use store::{Abort, Store, StoreError, View, WriteError};

use super::{codec, keys};
use crate::rows::{Burial, Buried, Rows, Stored, Totals, unknown};
use crate::{QueueError, Subscription};

#[derive(Debug)]
pub(super) struct StoreRows {
    store: Store,
    messages_max: u64,
}

/// What a subscription holds. Kept in its transactions, so that no count needs a scan.
#[derive(Debug, Clone, Copy, Default)]
struct Books {
    /// The next message's number. Taken inside the write, so numbers grow in the order in which they become visible.
    next: u64,
    live: u64,
    dead: u64,
}

impl Books {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (next, rest) = bytes.split_first_chunk::<8>()?;
        let (live, rest) = rest.split_first_chunk::<8>()?;
        let (dead, _) = rest.split_first_chunk::<8>()?;
        let [next, live, dead] = [next, live, dead].map(|number| u64::from_be_bytes(*number));
        Some(Self { next, live, dead })
    }

    fn write(self) -> Bytes {
        Bytes::from([self.next, self.live, self.dead].map(u64::to_be_bytes).concat())
    }
}

type Aborted = Abort<QueueError>;

fn damaged(what: &str, detail: impl std::fmt::Display) -> QueueError {
    QueueError::broken(format!("{what} cannot be read: {detail}"))
}

fn store_error(error: StoreError) -> QueueError {
    match error {
        StoreError::Stopped { .. } | StoreError::Corrupt { .. } => QueueError::broken(error),
        // Room may be made, a read may work the next time: everything else passes.
        _ => QueueError::unavailable(error),
    }
}

fn write_error(error: WriteError<QueueError>) -> QueueError {
    match error {
        WriteError::Refused(error) => error,
        WriteError::Store(error) => store_error(error),
    }
}

fn load_books(view: &mut View<'_>, subscription: &Subscription) -> Result<Books, Aborted> {
    let bytes =
        view.bytes(&keys::books(subscription))?.ok_or_else(|| Abort::Refused(unknown(subscription)))?;
    Books::read(&bytes).ok_or_else(|| Abort::Refused(damaged("the books of a subscription", subscription)))
}

fn store_books(view: &mut View<'_>, subscription: &Subscription, books: Books) {
    view.set(keys::books(subscription), books.write());
}

fn decode(bytes: &Bytes) -> Result<Buried, QueueError> {
    codec::decode(bytes).map_err(|detail| damaged("a message", detail))
}

fn refuse(detail: String) -> Aborted {
    Abort::Refused(damaged("a message", detail))
}

fn read_count(bytes: Option<&Bytes>) -> u32 {
    let count = bytes.and_then(|bytes| <[u8; 4]>::try_from(&bytes[..]).ok());
    count.map_or(0, u32::from_be_bytes)
}

impl StoreRows {
    pub(super) fn new(store: Store, messages_max: u64) -> Self {
        Self { store, messages_max }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) async fn subscriptions(&self) -> Result<Vec<Subscription>, QueueError> {
        let mut found = Vec::new();
        let mut scan = keys::all_books();
        loop {
            let page = self.store.reader().map_err(store_error)?.scan(&scan).await.map_err(store_error)?;
            for (key, _) in &page {
                found.push(
                    keys::read_books(key).ok_or_else(|| damaged("a subscription", key.escape_ascii()))?,
                );
            }
            match page.last() {
                Some((last, _)) if page.len() >= scan.limit => scan = scan.after(last),
                _ => return Ok(found),
            }
        }
    }

    async fn synced<T: Send + 'static>(
        &self,
        function: impl FnMut(&mut View<'_>) -> Result<T, Aborted> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.store.write(function).await.map_err(write_error)
    }

    async fn relaxed<T: Send + 'static>(
        &self,
        function: impl FnMut(&mut View<'_>) -> Result<T, Aborted> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.store.write_relaxed(function).await.map_err(write_error)
    }
}

impl Rows for StoreRows {
    async fn create(&self, subscription: &Subscription) -> Result<(), QueueError> {
        let subscription = subscription.clone();
        self.synced(move |view| {
            if view.bytes(&keys::books(&subscription))?.is_none() {
                store_books(view, &subscription, Books::default());
            }
            Ok(())
        })
        .await
    }

    async fn append(
        &self,
        subscriptions: Vec<Subscription>,
        messages: Vec<Stored>,
    ) -> Result<Vec<bool>, QueueError> {
        if subscriptions.is_empty() {
            return Ok(vec![true; messages.len()]);
        }
        let encoded = messages.iter().map(codec::encode).collect::<Result<Vec<_>, _>>();
        let encoded = encoded.map_err(|detail| damaged("a message", detail))?;
        let messages_max = self.messages_max;
        self.synced(move |view| {
            let load = |name: &Subscription| load_books(view, name);
            let mut all = subscriptions.iter().map(load).collect::<Result<Vec<_>, _>>()?;
            let mut accepted = Vec::with_capacity(encoded.len());
            for bytes in &encoded {
                let fits = all.iter().all(|books| books.live + books.dead < messages_max);
                accepted.push(fits);
                if !fits {
                    continue;
                }
                for (name, books) in subscriptions.iter().zip(&mut all) {
                    view.set(keys::message(name, books.next), bytes.clone());
                    books.next += 1;
                    books.live += 1;
                }
            }
            for (name, books) in subscriptions.iter().zip(all) {
                store_books(view, name, books);
            }
            Ok(accepted)
        })
        .await
    }

    async fn read_from(
        &self,
        subscription: &Subscription,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Stored)>, QueueError> {
        let reader = self.store.reader().map_err(store_error)?;
        let pairs =
            reader.scan(&keys::messages_from(subscription, from, limit)).await.map_err(store_error)?;
        let mut found = Vec::with_capacity(pairs.len());
        for (key, bytes) in pairs {
            let number = keys::read_number(&key).ok_or_else(|| damaged("a message", key.escape_ascii()))?;
            let count = reader.bytes(&keys::count(subscription, number)).await.map_err(store_error)?;
            let stored = Stored { receive_count: read_count(count.as_ref()), ..decode(&bytes)?.stored };
            found.push((number, stored));
        }
        Ok(found)
    }

    async fn read(
        &self,
        subscription: &Subscription,
        numbers: &[u64],
    ) -> Result<Vec<(u64, Stored)>, QueueError> {
        let reader = self.store.reader().map_err(store_error)?;
        let mut found = Vec::with_capacity(numbers.len());
        for number in numbers {
            let bytes = reader.bytes(&keys::message(subscription, *number)).await.map_err(store_error)?;
            let Some(bytes) = bytes else { continue };
            let count = reader.bytes(&keys::count(subscription, *number)).await.map_err(store_error)?;
            let stored = Stored { receive_count: read_count(count.as_ref()), ..decode(&bytes)?.stored };
            found.push((*number, stored));
        }
        Ok(found)
    }

    async fn count(&self, subscription: &Subscription, counts: Vec<(u64, u32)>) -> Result<(), QueueError> {
        if counts.is_empty() {
            return Ok(());
        }
        let subscription = subscription.clone();
        self.relaxed(move |view| {
            for (number, receive_count) in &counts {
                // Not for one that was acked meanwhile: its count would stay for ever.
                if view.bytes(&keys::message(&subscription, *number))?.is_some() {
                    let count = Bytes::copy_from_slice(&receive_count.to_be_bytes());
                    view.set(keys::count(&subscription, *number), count);
                }
            }
            Ok(())
        })
        .await
    }

    async fn remove(&self, subscription: &Subscription, numbers: Vec<u64>) -> Result<(), QueueError> {
        let subscription = subscription.clone();
        self.relaxed(move |view| {
            let mut books = load_books(view, &subscription)?;
            for number in &numbers {
                let key = keys::message(&subscription, *number);
                if view.bytes(&key)?.is_some() {
                    books.live = books.live.saturating_sub(1);
                    view.remove(key);
                    view.remove(keys::count(&subscription, *number));
                }
            }
            store_books(view, &subscription, books);
            Ok(())
        })
        .await
    }

    async fn bury(&self, subscription: &Subscription, burials: Vec<Burial>) -> Result<(), QueueError> {
        let subscription = subscription.clone();
        self.synced(move |view| {
            let mut books = load_books(view, &subscription)?;
            for Burial { number, receive_count, reason } in &burials {
                let key = keys::message(&subscription, *number);
                let Some(bytes) = view.bytes(&key)? else { continue };
                let stored = decode(&bytes).map_err(Abort::Refused)?.stored;
                let stored = Stored { receive_count: *receive_count, ..stored };
                let buried =
                    codec::encode_dead(&Buried { stored, reason: reason.clone() }).map_err(refuse)?;
                view.set(keys::dead(&subscription, *number), buried);
                view.remove(key);
                view.remove(keys::count(&subscription, *number));
                books.live = books.live.saturating_sub(1);
                books.dead += 1;
            }
            store_books(view, &subscription, books);
            Ok(())
        })
        .await
    }

    async fn totals(&self, subscription: &Subscription) -> Result<Totals, QueueError> {
        let reader = self.store.reader().map_err(store_error)?;
        let bytes = reader.bytes(&keys::books(subscription)).await.map_err(store_error)?;
        let bytes = bytes.ok_or_else(|| unknown(subscription))?;
        let books =
            Books::read(&bytes).ok_or_else(|| damaged("the books of a subscription", subscription))?;
        Ok(Totals { live: books.live, dead: books.dead })
    }

    async fn dead(
        &self,
        subscription: &Subscription,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Buried)>, QueueError> {
        self.totals(subscription).await?;
        let from = after.map_or(0, |after| after.saturating_add(1));
        let reader = self.store.reader().map_err(store_error)?;
        let pairs = reader.scan(&keys::dead_from(subscription, from, limit)).await.map_err(store_error)?;
        let read = |(key, bytes): (Bytes, Bytes)| {
            let number =
                keys::read_number(&key).ok_or_else(|| damaged("a dead letter", key.escape_ascii()))?;
            Ok((number, decode(&bytes)?))
        };
        pairs.into_iter().map(read).collect()
    }

    async fn redrive(
        &self,
        subscription: &Subscription,
        limit: usize,
        now_ms: u64,
    ) -> Result<usize, QueueError> {
        let letters = self.dead(subscription, None, limit).await?;
        let subscription = subscription.clone();
        self.synced(move |view| {
            let mut books = load_books(view, &subscription)?;
            let mut redriven = 0;
            for (number, Buried { stored, .. }) in &letters {
                let key = keys::dead(&subscription, *number);
                // Somebody else may have redriven it since it was listed.
                if view.bytes(&key)?.is_none() {
                    continue;
                }
                let stored = Stored { published_at_ms: now_ms, ..stored.clone() };
                view.set(keys::message(&subscription, books.next), codec::encode(&stored).map_err(refuse)?);
                view.remove(key);
                books.next += 1;
                books.live += 1;
                books.dead = books.dead.saturating_sub(1);
                redriven += 1;
            }
            store_books(view, &subscription, books);
            Ok(redriven)
        })
        .await
    }
}
