//! The law check finds what is wrong with handlers, and finds nothing wrong with merges.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test, its helpers included, fails by panicking"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use antiphon_consumer::laws::{Broken, Law, check_handler, check_seed};
use antiphon_consumer::{
    BatchHandler, BoxError, Context, Handler, HandlerError, MemoryTable, PoisonError, Request, Table,
    handler_fn, merge_handler,
};
use lattice::{GSet, Lattice, Max};
use queue::Message;

fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|n| Message::new(n.to_string())).collect()
}

fn number(message: &Message) -> Result<u64, serde_json::Error> {
    serde_json::from_slice(&message.body)
}

type Cell<T> = Arc<Mutex<T>>;

/// What the check finds in a handler of a shared value.
async fn found<T, H, F>(count: usize, handler: F) -> Option<Broken<T>>
where
    T: Default + Clone + PartialEq + std::fmt::Debug,
    H: Handler,
    F: Fn(Cell<T>) -> H,
{
    let messages = messages(count);
    let checked = check_handler(
        &messages,
        300,
        Cell::<T>::default,
        |cell| handler(Arc::clone(cell)),
        async |cell| cell.lock().unwrap().clone(),
    );
    checked.await.err()
}

#[tokio::test]
async fn adding_one_is_not_idempotent() {
    let broken = found::<u32, _, _>(5, |count| {
        handler_fn(move |_: Message, _| {
            *count.lock().unwrap() += 1;
            async { Ok(()) }
        })
    })
    .await
    .unwrap();
    assert_eq!(
        (broken.law, broken.schedule.as_str(), broken.expected, broken.actual),
        (Law::Idempotence, "0, 0", 1, 2)
    );
}

#[tokio::test]
async fn the_last_one_to_come_is_not_commutative() {
    let broken = found::<u64, _, _>(5, |last| {
        handler_fn(move |message: Message, _| {
            let told = number(&message);
            let last = Arc::clone(&last);
            async move {
                *last.lock().unwrap() = told?;
                Ok(())
            }
        })
    })
    .await
    .unwrap();
    assert_eq!(
        (broken.law, broken.schedule.as_str(), broken.plain.as_str()),
        (Law::Commutativity, "1, 0", "0, 1")
    );
}

#[tokio::test]
async fn remembering_before_doing_is_not_safe_to_drop() {
    // Deduplication as it is often written: it notes that it has seen the message, and then it does the work.
    let broken = found::<(GSet<u64>, GSet<u64>), _, _>(3, |cell| {
        handler_fn(move |message: Message, _| {
            let cell = Arc::clone(&cell);
            async move {
                let number = number(&message)?;
                if cell.lock().unwrap().0.contains(&number) {
                    return Ok(());
                }
                cell.lock().unwrap().0.join(GSet::of(number));
                tokio::task::yield_now().await;
                cell.lock().unwrap().1.join(GSet::of(number));
                Ok(())
            }
        })
    })
    .await
    .unwrap();
    assert_eq!(broken.law, Law::Cancellation, "{broken}");
    let message = &broken.plain;
    assert_eq!(broken.schedule, format!("{message}~1, {message}"), "dropped, and then taken for done");
}

#[tokio::test]
async fn reading_and_then_writing_is_not_safe_at_the_same_time() {
    let broken = found::<GSet<u64>, _, _>(3, |cell| {
        handler_fn(move |message: Message, _| {
            let cell = Arc::clone(&cell);
            async move {
                let read = cell.lock().unwrap().clone();
                tokio::task::yield_now().await;
                *cell.lock().unwrap() = read.joined(GSet::of(number(&message)?));
                Ok(())
            }
        })
    })
    .await
    .unwrap();
    assert_eq!((broken.law, broken.schedule.as_str()), (Law::Concurrency, "(0 | 1)"), "{broken}");
    // Its seed alone shows it again.
    let three = messages(3);
    let again = check_seed(
        &three,
        broken.seed,
        Cell::<GSet<u64>>::default,
        |cell| {
            let cell = Arc::clone(cell);
            handler_fn(move |message: Message, _| {
                let cell = Arc::clone(&cell);
                async move {
                    let read = cell.lock().unwrap().clone();
                    tokio::task::yield_now().await;
                    *cell.lock().unwrap() = read.joined(GSet::of(number(&message)?));
                    Ok(())
                }
            })
        },
        async |cell| cell.lock().unwrap().clone(),
    );
    assert_eq!(again.await.unwrap_err(), broken);
}

#[tokio::test]
async fn what_never_succeeds_is_told() {
    let broken = found::<(), _, _>(2, |_| {
        handler_fn(|message: Message, _| async move {
            if number(&message)? == 1 { Err(HandlerError::retry("no such table")) } else { Ok(()) }
        })
    })
    .await
    .unwrap();
    assert_eq!(broken.law, Law::Progress);
    assert!(
        broken.to_string().contains("message 1 failed 20 times")
            && broken.to_string().contains("no such table")
    );
}

/// A table that fails now and then, and waits before and after it joins.
#[derive(Clone, Default)]
struct Flaky {
    rows: MemoryTable<u64, GSet<u64>>,
    calls: Arc<AtomicU32>,
}

impl Table<u64, GSet<u64>> for Flaky {
    async fn join(&self, deltas: Vec<(u64, GSet<u64>)>) -> Result<(), BoxError> {
        tokio::task::yield_now().await;
        let nth = self.calls.fetch_add(1, Ordering::Relaxed);
        if nth % 4 == 1 {
            return Err("the disk is full".into());
        }
        self.rows.join(deltas).await?;
        tokio::task::yield_now().await;
        if nth % 4 == 3 { Err("the answer was lost".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_merge_passes_with_a_table_that_fails_and_waits() {
    let checked = check_handler(
        &messages(8),
        500,
        Flaky::default,
        |table| {
            merge_handler(table.clone(), |message: &Message| {
                number(message).map(|n| vec![(n % 3, GSet::of(n)), (9, GSet::of(n))])
            })
        },
        async |table| table.rows.snapshot(),
    )
    .await
    .unwrap();
    assert_eq!(checked.schedules, 500);
    assert!(checked.deliveries > 500 * 8);
}

#[tokio::test]
async fn what_does_not_decode_is_poison_in_one_and_in_a_batch() {
    let table = MemoryTable::<u64, Max<u64>>::new();
    let handler =
        merge_handler(table.clone(), |message: &Message| number(message).map(|n| vec![(0, Max(n))]));
    let context = Context::new("topic/service/site".parse().unwrap());
    let answer = handler.handle(&Message::new("x"), &context).await;
    assert!(matches!(answer, Err(HandlerError::Poison { reason }) if reason.starts_with("not understood: ")));
    let batch = ["7", "x", "3"].map(|body| Request { message: Message::new(body), context: context.clone() });
    let answers: Vec<bool> = handler.handle_batch(&batch).await.iter().map(Result::is_ok).collect();
    assert_eq!(answers, [true, false, true]);
    assert_eq!(table.get(&0), Max(7));
}

#[tokio::test]
async fn what_only_one_process_remembers_is_not_safe_to_restart() {
    // Deduplication in the memory of the process.
    let broken = found::<u32, _, _>(4, |count| {
        let seen = Cell::<GSet<u64>>::default();
        handler_fn(move |message: Message, _| {
            if number(&message).is_ok_and(|number| seen.lock().unwrap().join(GSet::of(number))) {
                *count.lock().unwrap() += 1;
            }
            async { Ok(()) }
        })
    })
    .await
    .unwrap();
    assert_eq!(broken.law, Law::Restart, "{broken}");
    let message = &broken.plain;
    let either = [format!("{message}, {message}'"), format!("{message}', {message}")];
    assert!(either.contains(&broken.schedule), "{broken}");
}

/// Adds a message to a set, in which the next one must be before it.
fn add_after_its_parent(
    message: &Message,
    set: &Cell<(GSet<u64>, u32)>,
    last: u64,
) -> Result<u64, HandlerError> {
    let number = number(message)?;
    let mut set = set.lock().unwrap();
    if number < last && !set.0.contains(&(number + 1)) {
        return Err(HandlerError::retry("its parent is not there yet"));
    }
    set.0.join(GSet::of(number));
    Ok(number)
}

#[tokio::test]
async fn messages_that_wait_for_others_are_done_in_the_end() {
    let broken = found(22, |set| {
        handler_fn(move |message: Message, _| {
            let added = add_after_its_parent(&message, &set, 21).map(drop);
            async { added }
        })
    });
    assert_eq!(broken.await, None);
    // What is wrong with such a handler is told, and not that a message alone is never done.
    let broken = found(4, |set: Cell<(GSet<u64>, u32)>| {
        handler_fn(move |message: Message, _| {
            let added = add_after_its_parent(&message, &set, 3);
            if matches!(added, Ok(0)) {
                set.lock().unwrap().1 += 1;
            }
            async { added.map(drop) }
        })
    });
    assert_eq!(broken.await.unwrap().law, Law::Idempotence);
}

/// Refuses a row.
struct Picky(MemoryTable<u64, Max<u64>>);

impl Table<u64, Max<u64>> for Picky {
    async fn join(&self, deltas: Vec<(u64, Max<u64>)>) -> Result<(), BoxError> {
        if deltas.iter().any(|(key, _)| *key == 1) {
            return Err(PoisonError { reason: "no row 1".into() }.into());
        }
        self.0.join(deltas).await
    }
}

#[tokio::test]
async fn of_a_batch_only_what_the_table_calls_poison_is() {
    let table = MemoryTable::new();
    let handler =
        merge_handler(Picky(table.clone()), |message: &Message| number(message).map(|n| vec![(n, Max(n))]));
    let context = Context::new("topic/service/site".parse().unwrap());
    let batch = ["0", "1", "2"].map(|body| Request { message: Message::new(body), context: context.clone() });
    let answers = handler.handle_batch(&batch).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert!(matches!(&answers[1], Err(HandlerError::Poison { reason }) if reason == "no row 1"));
    assert_eq!(table.get(&2), Max(2));
}
