//! A store's folder: whose it is, that nobody else has it, and that it holds what was promised.
//!
//! ```text
//! STORE         {"antiphon_store":1,"service":"comments"}: made first, so that a foreign folder is never touched
//! LOCK          locked while a process has the folder; empty
//! SYNCED        the sequence number of the last synced group, written behind each sync and not synced itself
//! db/           the engine's files
//! before-open/  those files as they were, while they are being opened: put back if that fails
//! ```
//!
//! # What damage can be told from a power cut
//! A journal that ends in a broken batch is what a power cut leaves, and what a rotten disk leaves. `SYNCED` tells the
//! two apart. Group *n* in it means that group *n* was on the disk when that was written, so:
//!
//! - up to group *n* everything is there, or the folder is damaged and refused;
//! - behind group *n* only a batch that is whole counts, and the last journal is cut at the first that is not. Nobody
//!   was told of such a batch, since the answer comes after the sync, and the sync after all of the bytes.
//!
//! `SYNCED` is exact after a process was killed, in whatever way: the operating system has it. After a power cut it may
//! be as old as what the system keeps back (half a minute, say), or be torn, and then knows nothing. Acknowledged groups
//! since then are on the disk all the same. What cannot be told is *both at once*: the power goes, **and** the disk
//! spoils, or never wrote, what it had confirmed in that last half minute. That looks like a torn tail, is taken for
//! one, and goes to the log as a warning.
//!
//! Opening recovers, which changes files: the engine cuts journals and removes folders that it thinks nobody needs. So
//! its files are kept until it turns out that they hold what was promised: tables as links (they never change), journals
//! as copies. A process killed in between leaves `before-open` behind, which the next one removes: `db` is complete but
//! in the one moment in which the two change places.

use super::journal::is_journal;
use crate::error::OpenError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
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

pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}

impl Folder {
    /// Claims a folder for a service, making it where it is missing or empty.
    pub(super) fn claim(path: &Path, service: &str) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(io_error(path))?;
        let ours = is_ours(path, service)?;
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
        let lock = open(LOCK)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io_error(path)(source)),
        }
        // Another process may have made the folder its own since.
        if !ours && !is_ours(path, service)? {
            write_marker(path, service).map_err(io_error(path))?;
        }
        let folder = Self { path: path.to_owned(), synced: open("SYNCED")?, _lock: lock };
        folder.tidy()?;
        Ok(folder)
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

    /// Keeps the engine's files as they are, to put them back if opening them fails.
    pub(super) fn keep(&self) -> Result<Kept, OpenError> {
        let kept =
            Kept { db: self.db(), draft: self.path.join("before-open.new"), copy: self.path.join(KEPT) };
        if kept.db.is_dir() {
            keep_folder(&kept.db, &kept.draft)
                .and_then(|()| fs::rename(&kept.draft, &kept.copy))
                .map_err(io_error(&kept.draft))
                // Whatever is wrong, there is probably no room.
                .inspect_err(|_| remove(&kept.draft).unwrap_or_default())?;
        }
        Ok(kept)
    }

    /// True when the engine has moved rows from its journals to tables.
    pub(super) fn has_tables(&self) -> Result<bool, OpenError> {
        let keyspaces = self.db().join("keyspaces");
        let any = || {
            for keyspace in entries(&keyspaces)? {
                // The engine keeps its own facts in the first one.
                if keyspace.file_name() != "0" && !entries(&keyspace.path().join("tables"))?.is_empty() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        any().map_err(io_error(&keyspaces))
    }

    /// Removes the engine's files, in which there is nothing.
    pub(super) fn clear(&self) -> Result<(), OpenError> {
        remove(&self.db()).map_err(io_error(&self.db()))
    }

    /// Ends what a killed process had begun.
    fn tidy(&self) -> Result<(), OpenError> {
        let (db, kept) = (self.db(), self.path.join(KEPT));
        if !db.exists() && kept.exists() {
            fs::rename(&kept, &db).map_err(io_error(&kept))?;
        }
        [KEPT, "before-open.new", "db.refused"]
            .into_iter()
            .map(|name| self.path.join(name))
            .try_for_each(|path| remove(&path).map_err(io_error(&path)))
    }
}

const LOCK: &str = "LOCK";
const KEPT: &str = "before-open";

/// The engine's files as they were.
#[derive(Debug)]
pub(super) struct Kept {
    db: PathBuf,
    draft: PathBuf,
    copy: PathBuf,
}

impl Kept {
    /// They are not needed any more.
    pub(super) fn forget(self) -> Result<(), OpenError> {
        remove(&self.copy).map_err(io_error(&self.copy))
    }

    /// Puts them back.
    pub(super) fn put_back(self) -> Result<(), OpenError> {
        let refused = self.db.with_extension("refused");
        let swap = || {
            if self.db.exists() {
                fs::rename(&self.db, &refused)?;
            }
            if self.copy.exists() {
                for entry in fs::read_dir(&self.copy)? {
                    let path = entry?.path();
                    if is_journal(&path) {
                        File::open(path)?.sync_all()?;
                    }
                }
                fs::rename(&self.copy, &self.db)?;
            }
            remove(&refused)
        };
        swap().map_err(io_error(&self.db))
    }
}

/// What is in a folder; nothing where there is none.
pub(super) fn entries(path: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Links what never changes in place, and copies what does.
fn keep_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            keep_folder(&from, &to)?;
        } else if is_journal(&from) {
            copy_sparse(&from, &to)?;
        } else if fs::hard_link(&from, &to).is_err() {
            // Not every file system has links.
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Copies a file without the zeros in it: a new journal is 64 MiB of them, and a full disk has no room for that.
fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    const CHUNK_BYTES: usize = 1 << 16;
    let zeros = vec![0; CHUNK_BYTES];
    let mut chunk = zeros.clone();
    let (mut from, mut to) = (File::open(from)?, File::create_new(to)?);
    to.set_len(from.metadata()?.len())?;
    let mut at = 0;
    while let Some(data) = next_data(&from, at)? {
        from.seek(SeekFrom::Start(data))?;
        let length = from.read(&mut chunk)?;
        let (Some(read), Some(nothing)) = (chunk.get(..length), zeros.get(..length)) else { break };
        if length == 0 {
            break;
        }
        if read != nothing {
            to.seek(SeekFrom::Start(data))?;
            to.write_all(read)?;
        }
        at = data + length as u64;
    }
    Ok(())
}

/// Where a file goes on, at `at` or behind a hole there; none behind its last byte.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    #[cfg(target_os = "linux")]
    return match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        // Not every file system knows its holes.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    };
    #[cfg(not(target_os = "linux"))]
    Ok((at < file.metadata()?.len()).then_some(at))
}

/// True when a folder is this service's, false when it is nobody's yet; an error when it is anybody else's.
fn is_ours(path: &Path, service: &str) -> Result<bool, OpenError> {
    let marker_path = path.join("STORE");
    match fs::read(&marker_path) {
        Ok(bytes) => check_marker(path, &bytes, service).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match refuse_foreign(path) {
            // Another process made the folder its own in between: the marker comes before all that is foreign here.
            Err(_) if marker_path.exists() => is_ours(path, service),
            refused => refused.map(|()| false),
        },
        Err(error) => Err(io_error(&marker_path)(error)),
    }
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
        let entry = entry.map_err(io_error(path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What a crash before there was a marker leaves behind, and what another process is about to make.
        let begun =
            name == MARKER_DRAFT || (name == LOCK && entry.metadata().is_ok_and(|file| file.len() == 0));
        if !begun && name != "STORE" {
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
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
