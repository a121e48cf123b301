//! The embedded engine: [fjall](https://docs.rs/fjall), a log-structured merge tree in this process.
//!
//! A commit is one batch in its journal and one `fdatasync`. Measured against redb and `SQLite` with batches of 1,000
//! and a sync each, it took 4 to 8 times as many inserts (see `docs/adr/0006-fjall.md`).

use super::folder::Folder;
use super::journal::{First, TornTail};
use super::{Batch, Durability, Engine, Lookup, Pair, Scan, Snapshot, journal};
use crate::error::{OpenError, StoreError};
use crate::identity::{Marks, marks_key};
use crate::store::{Setup, Store};
use crate::world::World;
use bytes::Bytes;
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable,
};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How the embedded engine uses its machine.
#[derive(Debug, Clone, Copy)]
pub struct FjallConfig {
    /// Bytes of memory for blocks read from the disk.
    pub cache_bytes: u64,
    /// A group is refused while fewer bytes than this are free: the engine needs room to flush and compact, and one
    /// that runs out in the middle of a write stops for good.
    pub disk_free_bytes_min: u64,
}

impl Default for FjallConfig {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, disk_free_bytes_min: 256 << 20 }
    }
}

/// An engine on a folder.
pub struct Fjall {
    database: Database,
    rows: Keyspace,
    config: FjallConfig,
    path: PathBuf,
    folder: Mutex<Folder>,
}

impl std::fmt::Debug for Fjall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fjall").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a folder, which is made where it is missing.
    pub fn open_fjall(
        path: &Path,
        config: FjallConfig,
        world: Arc<dyn World>,
        setup: &Setup,
    ) -> Result<Self, OpenError> {
        let engine = Fjall::open(path, config, &setup.service)?;
        Self::open(engine, world, setup).map_err(|error| match error {
            // The engine does not know its folder's name; people do.
            OpenError::WrongService { found, wanted, .. } => {
                OpenError::WrongService { path: path.to_owned(), found, wanted }
            }
            OpenError::Corrupt { detail, .. } => OpenError::Corrupt { path: path.to_owned(), detail },
            OpenError::Io { source, .. } => OpenError::Io { path: path.to_owned(), source },
            other => other,
        })
    }
}

impl Fjall {
    /// Opens a folder for a service. A foreign, damaged or used one is refused and left as it was.
    pub fn open(path: &Path, config: FjallConfig, service: &str) -> Result<Self, OpenError> {
        let mut folder = Folder::claim(path, service)?;
        let promised = folder.last_synced()?;
        let db = folder.db();
        let journals = journal::check(&folder, promised)?;
        if promised == 0 && journals.is_empty && !folder.has_tables()? {
            // Nothing was ever committed. What a process left that was killed while it made this is not always taken
            // for a database, so it is made anew.
            folder.clear()?;
        }
        let kept = folder.keep(journals.torn_tail.as_ref().map(TornTail::journal))?;
        let cut = journals.torn_tail.as_ref().map_or(Ok(()), |tail| tail.cut().map_err(Refusal::Told));
        match cut.and_then(|()| Self::recover(&db, config, promised, journals.first)) {
            Ok((database, rows)) => {
                kept.forget()?;
                Ok(Self { database, rows, config, path: path.to_owned(), folder: Mutex::new(folder) })
            }
            // Its files are in use, so they are not to be moved, and were not touched.
            Err(Refusal::Locked) => {
                kept.forget()?;
                Err(OpenError::Locked { path: path.to_owned() })
            }
            Err(refusal) => {
                kept.put_back()?;
                Err(match refusal {
                    Refusal::Io(source) => OpenError::Io { path: db, source },
                    Refusal::Damaged(detail) => OpenError::Corrupt { path: path.to_owned(), detail },
                    Refusal::Told(error) => error,
                    Refusal::Locked => OpenError::Locked { path: path.to_owned() },
                })
            }
        }
    }

    /// Opens the database and looks whether it holds what was promised. Closed again where it does not.
    fn recover(
        db: &Path,
        config: FjallConfig,
        promised: u64,
        first: Option<First>,
    ) -> Result<(Database, Keyspace), Refusal> {
        // Hostile bytes have made the engine panic while it recovers; a damaged folder is an error, not a crash.
        let open = || {
            let database = Database::builder(db)
                .cache_size(config.cache_bytes)
                // Recovery compresses again to compare checksums, so another version of lz4 could not read this one's.
                .journal_compression(CompressionType::None)
                .open()?;
            let rows = database.keyspace("rows", KeyspaceCreateOptions::default)?;
            let found = sequence_of(rows.get(marks_key())?)?;
            if found < promised {
                let detail = format!("group {promised} was acknowledged and only {found} are found");
                return Err(Refusal::Damaged(detail));
            }
            if let Some(First { seqno, sequence }) = first
                && rows.tree.get_highest_persisted_seqno().is_none_or(|persisted| persisted < seqno)
            {
                // No table overlaps the journals, so they must meet: an older journal may be missing.
                let below = sequence_of(rows.tree.get(marks_key(), seqno).map_err(fjall::Error::from)?)?;
                if below.checked_add(1) != Some(sequence) {
                    return Err(Refusal::Damaged(format!("group {sequence} follows group {below}")));
                }
            }
            Ok((database, rows))
        };
        catch_unwind(open).unwrap_or_else(|_| Err(Refusal::Damaged(PANICKED.into())))
    }

    fn refuse_a_full_disk(&self, batch: &Batch) -> Result<(), StoreError> {
        let stat =
            rustix::fs::statvfs(&self.path).map_err(|error| StoreError::Engine(error.to_string().into()))?;
        let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
        let batch_bytes: usize =
            batch.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum();
        let needed_bytes =
            self.config.disk_free_bytes_min.saturating_add(u64::try_from(batch_bytes).unwrap_or(u64::MAX));
        if free_bytes < needed_bytes {
            return Err(StoreError::DiskFull { free_bytes, needed_bytes });
        }
        Ok(())
    }
}

const PANICKED: &str = "the engine could not read its files";

/// Why a database is not opened.
#[derive(Debug)]
enum Refusal {
    Locked,
    Io(std::io::Error),
    Damaged(String),
    Told(OpenError),
}

impl From<fjall::Error> for Refusal {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Locked => Self::Locked,
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                // A file that is missing or too short, or read at a place that is none, is damage; one that may not
                // be opened, a full disk and a broken one are what the operating system says.
                match error.kind() {
                    ErrorKind::NotFound
                    | ErrorKind::AlreadyExists
                    | ErrorKind::NotADirectory
                    | ErrorKind::InvalidInput => Self::Damaged(error.to_string()),
                    _ if error.raw_os_error().is_some() => Self::Io(error),
                    _ => Self::Damaged(error.to_string()),
                }
            }
            other => Self::Damaged(describe(&other)),
        }
    }
}

fn sequence_of(marks: Option<fjall::Slice>) -> Result<u64, Refusal> {
    let unreadable = |error| Refusal::Damaged(format!("its marks cannot be read: {error}"));
    marks.map_or(Ok(0), |bytes| {
        serde_json::from_slice(&bytes).map(|marks: Marks| marks.sequence).map_err(unreadable)
    })
}

/// The engine's errors print as code; people read words.
fn describe(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) => error.to_string(),
        fjall::Error::Storage(error) => describe_stored(error).to_owned(),
        fjall::Error::JournalRecovery(_) => "a checksum in its journal does not match".to_owned(),
        fjall::Error::InvalidVersion(_) => "its files are of a version that is not known".to_owned(),
        fjall::Error::Decompress(_) | fjall::Error::InvalidTrailer | fjall::Error::InvalidTag(_) => {
            "a stored block does not decode".to_owned()
        }
        fjall::Error::Poisoned => "an earlier write failed".to_owned(),
        fjall::Error::Locked => "its database is in use".to_owned(),
        other => other.to_string(),
    }
}

fn describe_stored(error: &fjall::LsmError) -> &'static str {
    match error {
        fjall::LsmError::Io(_) => "a table cannot be read",
        fjall::LsmError::ChecksumMismatch { .. } => "the checksum of a stored block does not match",
        fjall::LsmError::Unrecoverable => "a table is missing or unreadable",
        fjall::LsmError::InvalidVersion(_) => "a table is of a version that is not known",
        _ => "a stored block does not decode",
    }
}

/// Damaged blocks pass their checksums now and then and make the engine panic: a row is unreadable then, and no more.
fn guarded<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(StoreError::Engine(PANICKED.into())))
}

fn failed(error: &fjall::Error) -> StoreError {
    StoreError::Engine(describe(error).into())
}

impl Engine for Fjall {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        Ok(Arc::new(FjallSnapshot { snapshot: self.database.snapshot(), rows: self.rows.clone() }))
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.refuse_a_full_disk(&batch)?;
        let sequence = batch
            .get(&marks_key())
            .and_then(Option::as_ref)
            .and_then(|bytes| serde_json::from_slice::<Marks>(bytes).ok())
            .map(|marks| marks.sequence);
        let mode = match durability {
            Durability::Synced => PersistMode::SyncData,
            Durability::Relaxed => PersistMode::Buffer,
        };
        let mut write = self.database.batch().durability(Some(mode));
        for (key, value) in batch {
            match value {
                // Copied out of its buffer: the engine's own slices are of another kind.
                Some(value) => write.insert(&self.rows, key, value.as_ref()),
                None => write.remove(&self.rows, key),
            }
        }
        // Whether the bytes of a failed commit reached the disk cannot be known: only recovery may decide.
        write.commit().map_err(|error| StoreError::Stopped { reason: describe(&error).into() })?;
        if let (Durability::Synced, Some(sequence)) = (durability, sequence) {
            let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
            // A mark that is too old is harmless, so its failure must not turn a written group into a refused one.
            if let Err(error) = folder.note_synced(sequence) {
                tracing::warn!(%error, path = %self.path.display(), "could not note the synced group");
            }
        }
        Ok(())
    }
}

struct FjallSnapshot {
    snapshot: fjall::Snapshot,
    rows: Keyspace,
}

impl std::fmt::Debug for FjallSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallSnapshot").finish_non_exhaustive()
    }
}

impl FjallSnapshot {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        guarded(|| {
            let value = self.snapshot.get(&self.rows, key).map_err(|error| failed(&error))?;
            Ok(value.map(|value| Bytes::copy_from_slice(&value)))
        })
    }
}

impl Snapshot for FjallSnapshot {
    fn get(&self, key: &[u8]) -> Result<Lookup, StoreError> {
        self.read(key).map(Lookup::Known)
    }

    fn load(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StoreError> {
        keys.iter().map(|key| self.read(key)).collect()
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, StoreError> {
        if scan.is_empty() {
            return Ok(Vec::new());
        }
        let pair = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(|error| failed(&error))?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        };
        guarded(|| {
            let range = self.snapshot.range(&self.rows, (scan.from.clone(), scan.to.clone()));
            if scan.reverse {
                range.rev().take(scan.limit).map(pair).collect()
            } else {
                range.take(scan.limit).map(pair).collect()
            }
        })
    }
}
