//! The handler that is a merge.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard};

use lattice::{Lattice, Map};
use queue::Message;

use crate::{BatchHandler, BoxError, Chain, Context, Handler, HandlerError, PoisonError, Request};

/// Rows of lattice states, into which a [`merge_handler`] joins what it hears.
///
/// # What the implementer owes
/// - After `Ok` every row is the join of what it was and what it was given, **durably**, since the message is acked next.
/// - An error, or a future that was dropped, leaves each row as it was, or joined: nothing in between, and nothing
///   assigned.
/// - Calls at the same time, for the same rows too, lose nothing.
///
/// [`MemoryTable`] is one for tests, and for what may be lost with the process. A table on a disk has one transaction, or
/// one compare-and-swap, to a call.
pub trait Table<K, V>: Send + Sync {
    /// Joins each value into the row of its key.
    fn join(&self, deltas: Vec<(K, V)>) -> impl Future<Output = Result<(), BoxError>> + Send;
}

impl<K: Send, V: Send, T: Table<K, V> + ?Sized> Table<K, V> for Arc<T> {
    fn join(&self, deltas: Vec<(K, V)>) -> impl Future<Output = Result<(), BoxError>> + Send {
        (**self).join(deltas)
    }
}

/// A table in memory. Cheap to clone: clones are one table.
#[derive(Debug)]
pub struct MemoryTable<K, V>(Arc<Mutex<Map<K, V>>>);

impl<K, V> Clone for MemoryTable<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for MemoryTable<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Clone, V: Lattice> MemoryTable<K, V> {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state of a row: the bottom if nothing was joined into it.
    pub fn get(&self, key: &K) -> V {
        self.rows().get(key).cloned().unwrap_or_default()
    }

    /// All rows, in the order of their keys.
    pub fn snapshot(&self) -> BTreeMap<K, V> {
        self.rows().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn rows(&self) -> MutexGuard<'_, Map<K, V>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<K: Ord + Clone + Send, V: Lattice + Send> Table<K, V> for MemoryTable<K, V> {
    async fn join(&self, deltas: Vec<(K, V)>) -> Result<(), BoxError> {
        let mut rows = self.rows();
        for (key, value) in deltas {
            rows.join_entry(key, value);
        }
        Ok(())
    }
}

/// A lattice join as a handler; made by [`merge_handler`].
pub struct MergeHandler<T, D, K, V> {
    table: T,
    decode: D,
    row: PhantomData<fn(K, V)>,
}

impl<T: fmt::Debug, D, K, V> fmt::Debug for MergeHandler<T, D, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergeHandler").field("table", &self.table).finish_non_exhaustive()
    }
}

/// Makes a handler of a join: `decode` tells which deltas a message holds, and they are joined into `table`.
///
/// Such a handler needs no deduplication, no order, and no transaction with the queue: a message that comes twice, late,
/// or after a crash in the middle of it, changes nothing that it should not. [`laws::check_handler`](crate::laws::check_handler)
/// checks it. What does not decode is poison; a table that fails is tried again. It also handles
/// [batches](crate::Pump::batched), with one call of the table for all.
///
/// ```
/// use antiphon_consumer::{Context, Handler, MemoryTable, merge_handler};
/// use lattice::Max;
/// use queue::Message;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // "story 7 has had 12 readers": a fact that only grows, so its join is the maximum.
/// let readers = MemoryTable::<u64, Max<u64>>::new();
/// let handler = merge_handler(readers.clone(), |message: &Message| {
///     serde_json::from_slice::<(u64, u64)>(&message.body).map(|(story, readers)| vec![(story, Max(readers))])
/// });
/// for body in ["[7,12]", "[7,11]", "[7,12]"] {
///     handler.handle(&Message::new(body), &context()).await.unwrap();
/// }
/// assert_eq!(readers.get(&7), Max(12));
/// # }
/// # fn context() -> Context { Context::new("topic/service/site".parse().unwrap()) }
/// ```
pub fn merge_handler<K, V, T, D, E>(table: T, decode: D) -> MergeHandler<T, D, K, V>
where
    K: Send,
    V: Lattice + Send,
    T: Table<K, V>,
    D: Fn(&Message) -> Result<Vec<(K, V)>, E> + Send + Sync,
    E: fmt::Display,
{
    MergeHandler { table, decode, row: PhantomData }
}

fn decoded<K, V, E: fmt::Display>(
    decode: impl Fn(&Message) -> Result<Vec<(K, V)>, E>,
    message: &Message,
) -> Result<Vec<(K, V)>, HandlerError> {
    decode(message).map_err(|error| HandlerError::poison(format!("not understood: {error}")))
}

impl<K, V, T, D, E> Handler for MergeHandler<T, D, K, V>
where
    K: Send,
    V: Lattice + Send,
    T: Table<K, V>,
    D: Fn(&Message) -> Result<Vec<(K, V)>, E> + Send + Sync,
    E: fmt::Display,
{
    async fn handle(&self, message: &Message, _context: &Context) -> Result<(), HandlerError> {
        let deltas = decoded(&self.decode, message)?;
        self.table.join(deltas).await.map_err(HandlerError::from_boxed)
    }
}

/// One call of the table for all that decode. If the table calls them poison, one call for each, to find which one is.
impl<K, V, T, D, E> BatchHandler for MergeHandler<T, D, K, V>
where
    K: Send,
    V: Lattice + Send,
    T: Table<K, V>,
    D: Fn(&Message) -> Result<Vec<(K, V)>, E> + Send + Sync,
    E: fmt::Display,
{
    async fn handle_batch(&self, batch: &[Request<Message>]) -> Vec<Result<(), HandlerError>> {
        let mut deltas = Vec::new();
        let mut answers: Vec<_> = batch
            .iter()
            .map(|item| decoded(&self.decode, &item.message).map(|more| deltas.extend(more)))
            .collect();
        let Err(error) = self.table.join(deltas).await else { return answers };
        let is_poison = error.is::<PoisonError>();
        let why = Chain(&*error).to_string();
        for (answer, item) in answers.iter_mut().zip(batch).filter(|(answer, _)| answer.is_ok()) {
            *answer = if is_poison {
                self.handle(&item.message, &item.context).await
            } else {
                Err(HandlerError::retry(why.clone()))
            };
        }
        answers
    }
}
