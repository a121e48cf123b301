//! A store's folder: whose it is, that nobody else has it, and that it holds what was promised.
//!
//! ```text
//! STORE     {"antiphon_store":1,"service":"comments"}: made first, so that a foreign folder is never touched
//! LOCK      locked while a process has the folder
//! SYNCED    the sequence number of the last synced group, written behind each sync and not synced itself
//! db/       the engine's files
//! ```
//!
//! `SYNCED` is why damage is noticed: the engine recovers from a torn tail of its journal by cutting it off, which is
//! right after a power cut, and would silently drop acknowledged writes if the disk had rotted. A database that comes
//! up behind its mark has lost what it had promised. Its journals are copied before it is opened, and put back then,
//! so that nothing is lost by looking.

use crate::error::OpenError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    antiphon_store: u32,
    service: String,
}

/// A folder that is ours, locked.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    synced: File,
    /// Held for its lock.
    _lock: File,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}

impl Folder {
    /// Claims a folder for a service, making it where it is missing or empty.
    pub(super) fn claim(path: &Path, service: &str) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(io_error(path))?;
        let marker_path = path.join("STORE");
        match fs::read(&marker_path) {
            Ok(bytes) => check_marker(path, &bytes, service)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse_foreign(path)?;
                write_marker(path, service).map_err(io_error(&marker_path))?;
            }
            Err(error) => return Err(io_error(&marker_path)(error)),
        }
        let open = |name: &str| {
            let path = path.join(name);
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(io_error(&path))
        };
        let lock = open("LOCK")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io_error(path)(source)),
        }
        Ok(Self { path: path.to_owned(), synced: open("SYNCED")?, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn db(&self) -> PathBuf {
        self.path.join("db")
    }

    /// The last group that was synced, as far as this folder knows; zero where it knows nothing.
    pub(super) fn last_synced(&mut self) -> Result<u64, OpenError> {
        let path = self.path.join("SYNCED");
        let mut bytes = Vec::new();
        self.synced.rewind().and_then(|()| self.synced.read_to_end(&mut bytes)).map_err(io_error(&path))?;
        let numbers: Option<(u64, u64)> = bytes.split_first_chunk::<8>().and_then(|(number, check)| {
            Some((u64::from_be_bytes(*number), u64::from_be_bytes(check.try_into().ok()?)))
        });
        // A torn mark knows nothing: it is a hint that is only ever too old.
        Ok(numbers.filter(|(number, check)| *check == !number).map_or(0, |(number, _)| number))
    }

    /// Notes that a group is on the disk.
    pub(super) fn note_synced(&mut self, sequence: u64) -> io::Result<()> {
        let mut bytes = [0; 16];
        let (number, check) = bytes.split_at_mut(8);
        number.copy_from_slice(&sequence.to_be_bytes());
        check.copy_from_slice(&(!sequence).to_be_bytes());
        self.synced.rewind()?;
        self.synced.write_all(&bytes)
    }

    /// Copies the engine's journals, to put them back if opening it turns out to have cut them.
    pub(super) fn copy_journals(&self) -> Result<Vec<(PathBuf, PathBuf)>, OpenError> {
        let mut copies = Vec::new();
        let db = self.db();
        if !db.is_dir() {
            return Ok(copies);
        }
        for entry in fs::read_dir(&db).map_err(io_error(&db))? {
            let path = entry.map_err(io_error(&db))?.path();
            if path.extension().is_some_and(|extension| extension == "jnl") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let copy = self.path.join(format!("{name}.before-open"));
                fs::copy(&path, &copy).map_err(io_error(&copy))?;
                copies.push((path, copy));
            }
        }
        Ok(copies)
    }
}

/// Puts copied journals back.
pub(super) fn restore(copies: Vec<(PathBuf, PathBuf)>) -> Result<(), OpenError> {
    copies.into_iter().try_for_each(|(path, copy)| fs::rename(&copy, &path).map_err(io_error(&copy)))
}

/// Drops the copies.
pub(super) fn forget(copies: Vec<(PathBuf, PathBuf)>) -> Result<(), OpenError> {
    copies.into_iter().try_for_each(|(_, copy)| fs::remove_file(&copy).map_err(io_error(&copy)))
}

fn check_marker(path: &Path, bytes: &[u8], service: &str) -> Result<(), OpenError> {
    let marker: Marker = serde_json::from_slice(bytes).map_err(|error| OpenError::Corrupt {
        path: path.to_owned(),
        detail: format!("its STORE file cannot be read: {error}"),
    })?;
    if marker.antiphon_store > FORMAT {
        return Err(OpenError::Newer { path: path.to_owned(), found: marker.antiphon_store, known: FORMAT });
    }
    if marker.service != service {
        return Err(OpenError::WrongService {
            path: path.to_owned(),
            found: marker.service,
            wanted: service.to_owned(),
        });
    }
    Ok(())
}

fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(path).map_err(io_error(path))? {
        let name = entry.map_err(io_error(path))?.file_name().to_string_lossy().into_owned();
        // What a crash in the middle of making the marker leaves behind.
        if name != MARKER_DRAFT {
            return Err(OpenError::Foreign { path: path.to_owned(), found: name });
        }
    }
    Ok(())
}

const MARKER_DRAFT: &str = "STORE.new";

fn write_marker(path: &Path, service: &str) -> io::Result<()> {
    let draft = path.join(MARKER_DRAFT);
    let mut file = File::create(&draft)?;
    serde_json::to_writer(&mut file, &Marker { antiphon_store: FORMAT, service: service.to_owned() })?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&draft, path.join("STORE"))?;
    // The name itself, and the folder's own name in its parent.
    File::open(path)?.sync_all()?;
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
