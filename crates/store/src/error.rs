//! Errors, each of which is an instruction.

use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Why a store could not be opened. Nothing in the folder was changed.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder holds something else. *Name another folder.*
    #[error(
        "{path} is not an antiphon store: it holds {found:?} and no STORE file; name an empty or new folder"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// One of the names found there.
        found: String,
    },
    /// The folder belongs to another service. *Fix the configuration.*
    #[error("{path} is the store of {found:?}, not of {wanted:?}")]
    WrongService {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Who asked.
        wanted: String,
    },
    /// Another process has it. *Stop that one, or use another folder.*
    #[error("{path} is in use by another process")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A newer version wrote it. *Upgrade this program.*
    #[error("{path} has store format {found}; this version reads up to {known}: upgrade it")]
    Newer {
        /// The folder.
        path: PathBuf,
        /// The folder's format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// What is stored is damaged. *Restore a backup under a new replica, or let a sibling adopt it.*
    #[error("{path} is damaged: {detail}; nothing was changed: restore a backup")]
    Corrupt {
        /// The folder.
        path: PathBuf,
        /// What was found, where.
        detail: String,
    },
    /// The operating system refused. *The source says what.*
    #[error("cannot open {path}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The refusal.
        source: std::io::Error,
    },
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The disk is too full to write safely; nothing of the write was done, reads go on, and writes work again when
    /// there is room. *Make room, retry.*
    #[error(
        "the disk is full: {free_bytes} bytes are free and {needed_bytes} are needed; nothing was written"
    )]
    DiskFull {
        /// Bytes free on the store's file system.
        free_bytes: u64,
        /// Bytes that must stay free for a group to be accepted.
        needed_bytes: u64,
    },
    /// The store stopped taking writes, since one failed in a way that leaves its outcome unknown; reads go on.
    /// *Reopen: recovery decides what was written.*
    #[error("the store stopped taking writes: {reason}; restart to recover")]
    Stopped {
        /// What happened first.
        reason: Arc<str>,
    },
    /// A stored row cannot be read. *Call for help: the disk lies, or a newer version wrote it.*
    #[error("row {row} at key {key} cannot be read: {detail}")]
    Corrupt {
        /// The kind of row.
        row: &'static str,
        /// Its key in hex.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Reading failed in the engine. *Retry; then look at the disk.*
    #[error("the storage engine failed: {0}")]
    Engine(Arc<str>),
    /// A write needed rows again and again. *Retry.*
    #[error("a write still missed rows after {rounds} rounds")]
    Unsettled {
        /// How many rounds were tried.
        rounds: usize,
    },
}

/// What a function inside [`crate::Store::write`] can be stopped by; `?` passes it on.
#[derive(Debug, Clone, Error)]
pub enum ViewError {
    /// The row is not in memory yet: the store loads it and runs the function again.
    #[error("a row has to be loaded")]
    Miss,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a function inside [`crate::Store::write`] ends early: its own refusal, or a view that could not answer.
#[derive(Debug)]
pub enum Abort<E> {
    /// The function refuses; what it wrote is rolled back, and it alone.
    Refused(E),
    /// The view could not answer.
    View(ViewError),
}

impl<E> From<ViewError> for Abort<E> {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

/// How [`crate::Store::write`] fails. Nothing of the function's writes is stored.
#[derive(Debug, Clone, Error)]
pub enum WriteError<E> {
    /// The function refused.
    #[error("refused")]
    Refused(E),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError<std::convert::Infallible> {
    /// A function that never refuses can only fail by the store.
    pub fn into_store(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Refused(never) => match never {},
        }
    }
}
