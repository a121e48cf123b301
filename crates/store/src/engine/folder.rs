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
//! its files are kept until it turns out that they hold what was promised. They are kept as links, which take no room:
//! nothing that a journal holds changes while it is opened, and a table never does. Only a journal with a torn tail is
//! copied. `before-open` gets its name when it is whole and loses it before it is taken apart, so a process that finds
//! it there puts it back: the one before was killed while it opened.

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
    lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing it is not enough: a child that is being started has a copy of every open file for a moment, and
        // would keep the lock.
        self.lock.unlock().unwrap_or_default();
    }
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
        let folder = Self { path: path.to_owned(), synced: open("SYNCED")?, lock };
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

    /// Keeps the engine's files as they are, to put them back if opening them fails: as links, but for a journal that
    /// is going to be cut.
    pub(super) fn keep(&self, to_be_cut: Option<&Path>) -> Result<Kept, OpenError> {
        let draft = self.path.join("before-open.new");
        let mut kept = Kept { folder: self.path.clone(), journals: Vec::new() };
        if self.db().is_dir() {
            keep_folder(&self.db(), &draft, to_be_cut, &mut kept.journals)
                .and_then(|()| fs::rename(&draft, kept.copy()))
                .map_err(io_error(&draft))
                // Whatever is wrong, there is probably no room.
                .inspect_err(|_| remove(&draft).unwrap_or_default())?;
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
        let kept = Kept { folder: self.path.clone(), journals: Vec::new() };
        let tidy = || {
            if kept.copy().exists() {
                remove(&kept.refused())?;
                kept.swap()?;
            }
            remove(&kept.refused())?;
            remove(&self.path.join("before-open.new"))?;
            remove(&kept.old())
        };
        tidy().map_err(io_error(&self.path))
    }
}

const LOCK: &str = "LOCK";

/// The engine's files as they were.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    /// Journals that are kept as links, and how long they were: the engine cuts off the zeros that they end in.
    journals: Vec<(std::ffi::OsString, u64)>,
}

impl Kept {
    fn copy(&self) -> PathBuf {
        self.folder.join("before-open")
    }

    fn old(&self) -> PathBuf {
        self.folder.join("before-open.old")
    }

    fn refused(&self) -> PathBuf {
        self.folder.join("db.refused")
    }

    /// They are not needed any more.
    pub(super) fn forget(self) -> Result<(), OpenError> {
        let forget = || {
            if self.copy().exists() {
                fs::rename(self.copy(), self.old())?;
                // What is half removed must not be found under the name of what is whole.
                File::open(&self.folder)?.sync_all()?;
            }
            remove(&self.old())
        };
        forget().map_err(io_error(&self.folder))
    }

    /// Puts them back.
    pub(super) fn put_back(self) -> Result<(), OpenError> {
        let put_back = || {
            for (name, bytes) in &self.journals {
                File::options().write(true).open(self.copy().join(name))?.set_len(*bytes)?;
            }
            self.swap()
        };
        put_back().map_err(io_error(&self.folder))
    }

    fn swap(&self) -> io::Result<()> {
        let db = self.folder.join("db");
        if db.exists() {
            fs::rename(&db, self.refused())?;
        }
        if self.copy().exists() {
            fs::rename(self.copy(), &db)?;
        }
        remove(&self.refused())
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

/// Links every file, and copies the one that is going to be cut.
fn keep_folder(
    from: &Path,
    to: &Path,
    to_be_cut: Option<&Path>,
    journals: &mut Vec<(std::ffi::OsString, u64)>,
) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            keep_folder(&path, &copy, to_be_cut, journals)?;
        } else if to_be_cut == Some(&path) || fs::hard_link(&path, &copy).is_err() {
            // Not every file system has links.
            copy_sparse(&path, &copy)?;
        } else if is_journal(&path) {
            journals.push((entry.file_name(), entry.metadata()?.len()));
        }
    }
    File::open(to)?.sync_all()
}

const CHUNK_BYTES: usize = 1 << 16;

/// Copies a file without the zeros in it: a new journal is 64 MiB of them, and a full disk has no room for that.
fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create_new(to)?);
    to.set_len(from.metadata()?.len())?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while let Some((start, bytes)) = next_bytes(&mut from, at, &mut chunk)? {
        to.seek(SeekFrom::Start(start))?;
        to.write_all(bytes)?;
        at = start + bytes.len() as u64;
    }
    to.sync_all()
}

/// True where a file is nothing but zeros from `at` on.
pub(super) fn is_zero_from(file: &mut File, at: u64) -> io::Result<bool> {
    next_bytes(file, at, &mut vec![0; CHUNK_BYTES]).map(|found| found.is_none())
}

/// The next bytes of a file that are not all zeros, and where they begin; none where there are no more.
fn next_bytes<'c>(file: &mut File, mut at: u64, chunk: &'c mut [u8]) -> io::Result<Option<(u64, &'c [u8])>> {
    let zeros = vec![0; chunk.len()];
    while let Some(start) = next_data(file, at)? {
        file.seek(SeekFrom::Start(start))?;
        let length = file.read(chunk)?;
        if length == 0 {
            break;
        }
        if chunk.get(..length) != zeros.get(..length) {
            return Ok(chunk.get(..length).map(|bytes| (start, bytes)));
        }
        at = start + length as u64;
    }
    Ok(None)
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
