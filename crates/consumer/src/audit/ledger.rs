//! A process's books, on the disk.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lattice::{Dot, Lattice};
use queue::{Publisher, Subscription, Topic};
use tokio::sync::oneshot;

use super::file::{self, Log};
use super::{AuditedPublisher, Books, LEDGER_EXTENSION, LedgerError};

/// Most callers that wait for the disk at a time; others are refused with [`LedgerError::Busy`].
pub const WAITING_MAX: usize = 65_536;
/// Most ledgers of one folder.
pub const LEDGERS_MAX: usize = 10_000;
/// A file is rewritten when it is this many times as large as it was when it was written last …
const REWRITE_FACTOR: u64 = 4;
/// … and not before it has this size.
const REWRITE_BYTES_MIN: u64 = 1 << 20;
/// A file that is gone when its turn comes was replaced: the folder is read again, but not more often than this.
const FOLDER_READS_MAX: usize = 5;

type Answer = oneshot::Sender<Result<(), LedgerError>>;

/// Writes what one process knows to a file of its own, in a folder that the processes of a deployment share. Cheap to
/// clone: clones are one ledger.
///
/// # What it promises
/// - A note is on the disk (`fdatasync`) when its future answers `Ok`. Callers that wait together share one sync, which
///   is made off the async threads.
/// - After an error the note may have been made or not; making it again is always right.
/// - It holds after a crash at any instant, and across restarts: the file is opened again and goes on. It rewrites itself
///   when it has grown to several times its content.
/// - Any process may [read](Self::read_folder) the folder at any time, and sees a state that was true.
///
/// # What the caller owes
/// A name that no other process uses at the same time, and a lane that no process ever used before: 64 random bits at
/// every start.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    path: PathBuf,
    lane: u64,
    /// The next message of the lane.
    next: AtomicU64,
    waiting: Mutex<Waiting>,
    /// Only one writes at a time, off the async threads.
    log: Mutex<Open>,
    /// Held while the ledger is open.
    _lock: File,
}

/// What the next sync will cover.
#[derive(Default)]
struct Waiting {
    delta: Books,
    answers: Vec<Answer>,
    /// Somebody writes, and will take this next.
    is_writing: bool,
}

struct Open {
    log: Log,
    books: Books,
    /// The size after the last rewriting, in bytes.
    written: u64,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("path", &self.0.path)
            .field("lane", &self.0.lane)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger `name` in `folder`, which is made if it is missing. `lane` is where the dots of this process begin:
    /// 64 random bits, others at every start.
    ///
    /// It blocks for some milliseconds: call it where the program starts.
    ///
    /// Errors: [`LedgerError::InUse`] if another process has it open, [`LedgerError::Refused`] for a name that is none (the
    /// rules of a [`Topic`] hold), a lane that is 0 or was used before, and one ledger more than [`LEDGERS_MAX`].
    pub fn open(folder: impl AsRef<Path>, name: &str, lane: u64) -> Result<Self, LedgerError> {
        let folder = folder.as_ref();
        let refused = |why: String| LedgerError::Refused(format!("the ledger {name:?}: {why}"));
        Topic::new(name).map_err(|error| refused(error.to_string()))?;
        if lane == 0 {
            return Err(refused("its lane is 0, which is nobody's; draw 64 random bits".to_owned()));
        }
        std::fs::create_dir_all(folder).map_err(LedgerError::io(folder, "make the folder"))?;
        let path = folder.join(format!("{name}.{LEDGER_EXTENSION}"));
        let lock = lock(&folder.join(format!("{name}.lock")))?;
        let is_new = !path.exists();
        if is_new && ledgers(folder)?.len() >= LEDGERS_MAX {
            return Err(refused(format!(
                "{} has {LEDGERS_MAX} ledgers already, the most there may be",
                folder.display()
            )));
        }
        let books = if is_new { Books::default() } else { file::read(&path)?.0 };
        if books.has_lane(lane) {
            return Err(refused(format!(
                "its lane {lane:016x} was used before; draw another at every start"
            )));
        }
        let log = Log::rewrite(&path, &books)?;
        let open = Open { written: log.bytes(), log, books };
        let shared = Shared {
            path,
            lane,
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
            log: Mutex::new(open),
            _lock: lock,
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Joins the books of all ledgers in `folder`. Blocks while it reads. A folder that is missing has empty books.
    ///
    /// Errors: [`LedgerError::Corrupt`] if any of them is, since the sums would be wrong without it.
    pub fn read_folder(folder: impl AsRef<Path>) -> Result<Books, LedgerError> {
        let folder = folder.as_ref();
        let mut reads = 0;
        loop {
            reads += 1;
            match read_all(folder) {
                Err(LedgerError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && reads < FOLDER_READS_MAX => {}
                answer => return answer,
            }
        }
    }

    /// The lane of the messages that this process names.
    pub fn lane(&self) -> u64 {
        self.0.lane
    }

    /// Names what `inner` publishes, and notes what the broker confirmed.
    pub fn publisher(&self, inner: Arc<dyn Publisher>) -> AuditedPublisher {
        AuditedPublisher::new(self.clone(), inner)
    }

    /// Notes that the broker confirmed messages to `topic`.
    pub async fn sent(&self, topic: &Topic, dots: &[Dot]) -> Result<(), LedgerError> {
        self.note(|books| dots.iter().fold(false, |news, dot| books.sent(topic, *dot) | news)).await
    }

    /// Notes that `subscription` merged a message.
    pub async fn merged(&self, subscription: &Subscription, dot: Dot) -> Result<(), LedgerError> {
        self.note(|books| books.merged(subscription, dot)).await
    }

    /// Notes that a message of `subscription` is put aside.
    pub async fn dead(&self, subscription: &Subscription, dot: Dot) -> Result<(), LedgerError> {
        self.note(|books| books.dead(subscription, dot)).await
    }

    /// Notes that `subscription` was made now, unless the folder knows it already: what was sent to its topic before is
    /// not for it. Call it right after subscribing, before anything is published that is to be counted; what is published
    /// in between may be left out of the sum, and is never counted as lost.
    pub async fn begin(&self, subscription: &Subscription) -> Result<(), LedgerError> {
        let folder = self.0.path.parent().unwrap_or(Path::new(".")).to_owned();
        let read = tokio::task::spawn_blocking(move || Self::read_folder(folder)).await;
        let known = read.unwrap_or_else(|error| Err(LedgerError::Refused(error.to_string())))?;
        if known.knows(subscription) {
            return Ok(());
        }
        let delta = known.begun(subscription);
        self.note(|books| books.join(delta)).await
    }

    /// Names the next message.
    pub(super) fn next_number(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a note among those that the next sync covers, and waits for it. Dropping the future does not undo the note.
    async fn note(&self, write: impl FnOnce(&mut Books) -> bool) -> Result<(), LedgerError> {
        let answer = {
            let mut waiting = held(&self.0.waiting);
            if waiting.answers.len() >= WAITING_MAX {
                return Err(LedgerError::Busy { waiting: waiting.answers.len() });
            }
            // Even what is no news to this delta waits for its sync: the one who wrote it waits too.
            write(&mut waiting.delta);
            if waiting.delta.is_empty() {
                return Ok(());
            }
            let (sender, answer) = oneshot::channel();
            waiting.answers.push(sender);
            if !std::mem::replace(&mut waiting.is_writing, true) {
                let writer = Writer { shared: Arc::clone(&self.0), is_done: false };
                tokio::task::spawn_blocking(move || writer.write_all());
            }
            answer
        };
        let stopped = || LedgerError::Io {
            path: self.0.path.clone(),
            action: "write it",
            source: Arc::new(std::io::Error::other("the runtime was shut down")),
        };
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// Writes until nobody waits. If it ends before that (the runtime is shut down before it began), those who wait are told
/// by the drop of their answers, and the next caller starts another.
struct Writer {
    shared: Arc<Shared>,
    is_done: bool,
}

impl Writer {
    fn write_all(mut self) {
        loop {
            let Waiting { delta, answers, .. } = {
                let mut waiting = held(&self.shared.waiting);
                std::mem::replace(&mut *waiting, Waiting { is_writing: true, ..Waiting::default() })
            };
            let answer = held(&self.shared.log).write(delta);
            // Decided under the lock, so that whoever comes next starts another writer.
            let is_last = {
                let mut waiting = held(&self.shared.waiting);
                waiting.is_writing = !waiting.answers.is_empty();
                !waiting.is_writing
            };
            let tell = |answers: Vec<Answer>| {
                for waiting in answers {
                    // Whoever dropped the future does not want to know.
                    waiting.send(answer.clone()).unwrap_or(());
                }
            };
            if is_last {
                // The ledger is let go before anybody is told, so that who drops it next has closed it.
                self.is_done = true;
                drop(self);
                return tell(answers);
            }
            tell(answers);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_done {
            *held(&self.shared.waiting) = Waiting::default();
        }
    }
}

impl Open {
    /// Notes `delta`, if any of it is news, and rewrites the file when it has grown too large for what it says.
    fn write(&mut self, delta: Books) -> Result<(), LedgerError> {
        if self.books.covers(&delta) {
            return Ok(());
        }
        self.log.append(&delta)?;
        self.books.join(delta);
        if self.log.bytes() >= REWRITE_BYTES_MIN.max(self.written.saturating_mul(REWRITE_FACTOR)) {
            // It is noted, so a failure here is no error of the caller's.
            match Log::rewrite(self.log.path(), &self.books) {
                Ok(log) => {
                    self.written = log.bytes();
                    self.log = log;
                }
                Err(error) => {
                    tracing::warn!(%error, "a ledger could not be made smaller; it goes on as it is");
                    // Tried again when it has grown by half its size, not with every note.
                    self.written = self.log.bytes().saturating_mul(3) / (2 * REWRITE_FACTOR);
                }
            }
        }
        Ok(())
    }
}

/// A lock that no panic makes useless: what it guards is changed by assignments that cannot fail half way.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lock of a ledger. It is the system's, so it goes with the process that holds it, however that ends.
fn lock(path: &Path) -> Result<File, LedgerError> {
    let file = File::create(path).map_err(LedgerError::io(path, "make its lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(LedgerError::io(path, "lock it")(error)),
    }
}

/// The ledgers of a folder, in the order of their names.
fn ledgers(folder: &Path) -> Result<Vec<PathBuf>, LedgerError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LedgerError::io(folder, "list the folder")(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(LedgerError::io(folder, "list the folder"))?.path();
        if path.extension().is_some_and(|extension| extension == LEDGER_EXTENSION) {
            paths.push(path);
        }
        if paths.len() > LEDGERS_MAX {
            let why = format!("{} has more than the {LEDGERS_MAX} ledgers that it may", folder.display());
            return Err(LedgerError::Refused(why));
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn read_all(folder: &Path) -> Result<Books, LedgerError> {
    let mut books = Books::default();
    for path in ledgers(folder)? {
        books.join(file::read(&path)?.0);
    }
    Ok(books)
}

#[cfg(test)]
mod tests {
    use super::super::name::dot;
    use super::*;

    #[tokio::test]
    async fn it_rewrites_itself_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), "a", 7).unwrap();
        let topic = Topic::new("topic").unwrap();
        let mut largest = 0;
        // Every second number leaves a gap, so that notes are large; then the gaps are filled, and little is left.
        for first in [1, 2] {
            for thousand in 0..100 {
                let dots: Vec<_> = (0..1_000).map(|n| dot(9, first + 2 * (1_000 * thousand + n))).collect();
                ledger.sent(&topic, &dots).await.unwrap();
                largest = largest.max(std::fs::metadata(&ledger.0.path).unwrap().len());
            }
        }
        let books = Ledger::read_folder(folder.path()).unwrap();
        assert_eq!(books.topics(), [(topic, 200_000)]);
        assert!(largest > REWRITE_BYTES_MIN && largest < REWRITE_BYTES_MIN * 8, "{largest}");
        drop(ledger);
        Ledger::open(folder.path(), "a", 8).unwrap();
        assert!(std::fs::metadata(folder.path().join("a.ledger")).unwrap().len() < 200);
        assert_eq!(Ledger::read_folder(folder.path()).unwrap(), books);
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_told_to_all_who_wait_and_forgotten_when_it_is_well() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), "a", 7).unwrap();
        let topic = Topic::new("topic").unwrap();
        let sound = held(&ledger.0.log).log.fail_writing();
        let notes = (1..=20).map(|n| {
            let (ledger, topic) = (ledger.clone(), topic.clone());
            async move { ledger.sent(&topic, &[dot(7, n)]).await }
        });
        let answers = futures_util::future::join_all(notes).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(LedgerError::Io { .. }))), "{answers:?}");
        assert!(Ledger::read_folder(folder.path()).unwrap().topics().is_empty());
        held(&ledger.0.log).log.write_to(sound);
        ledger.sent(&topic, &[dot(7, 1)]).await.unwrap();
        assert_eq!(Ledger::read_folder(folder.path()).unwrap().topics(), [(topic, 1)]);
    }

    #[test]
    fn a_runtime_that_ends_leaves_the_ledger_usable() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), "a", 7).unwrap();
        let topic = Topic::new("topic").unwrap();
        for n in 1..=3 {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(ledger.sent(&topic, &[dot(7, n)])).unwrap();
        }
        // A writer that never began: those who wait are told, and the next one is not kept waiting for it.
        held(&ledger.0.waiting).is_writing = true;
        let (sender, mut answer) = oneshot::channel();
        held(&ledger.0.waiting).answers.push(sender);
        drop(Writer { shared: Arc::clone(&ledger.0), is_done: false });
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ledger.sent(&topic, &[dot(7, 4)])).unwrap();
        assert_eq!(Ledger::read_folder(folder.path()).unwrap().topics(), [(topic, 4)]);
    }
}
