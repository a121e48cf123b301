//! The file of a ledger: what is appended, and how it is read back.
//!
//! Eight bytes of [`MAGIC`], then records: a mark, the length of what follows the checksum, the checksum, and [`Books`] in
//! JSON. The file is the join of its records. One record is written and synced at a time, so a crash can damage the last
//! one only: a damaged record with no whole one after it is where the file ends, one *with* is corruption.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lattice::Lattice;

use super::Books;

/// The extension of the files that are read as ledgers.
pub const LEDGER_EXTENSION: &str = "ledger";

/// Begins every file, and names the version of its layout.
const MAGIC: [u8; 8] = *b"ANTLEDG1";
/// Begins every record. It is no UTF-8, so it is never found inside of one.
const MARK: [u8; 4] = [0xff, 0xfe, 0xa5, 0x01];
/// Mark, length, checksum.
const HEAD_BYTES: usize = 12;
/// Largest content of a record. One that claims to be larger is damaged.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// Most ranges in one record: with its lane and the longest numbers a range takes less than 100 bytes, so they stay below
/// [`RECORD_BYTES_MAX`].
const RECORD_RANGES_MAX: usize = 100_000;
/// Largest file that is read. A ledger rewrites itself long before.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Why a ledger could not be opened, written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// **Retry**, once there is room or the disk is well: nothing of what was being written is noted.
    #[error("{path}: cannot {action}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What could not be done.
        action: &'static str,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// **Give each process a name of its own**: another one has this ledger open.
    #[error("{path}: another process has this ledger open; give each process a name of its own")]
    InUse {
        /// Its lock.
        path: PathBuf,
    },
    /// **Fix your request**: the name, the lane or the number of something is out of its bounds.
    #[error("{0}")]
    Refused(String),
    /// **Call for help**: bytes in the middle are damaged, which no crash does. Put the file back from a backup, or move
    /// it away and live with what only it knew: messages that count as in flight for ever.
    #[error("{path}: damaged at byte {offset}: {why}; put it back from a backup, or move it away")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// **Retry**: more notes are waiting for the disk than may.
    #[error("{waiting} notes are waiting for the disk already; try again later")]
    Busy {
        /// How many.
        waiting: usize,
    },
}

impl LedgerError {
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), action, source: Arc::new(source) }
    }
}

/// Writes one record's bytes.
fn record(books: &Books) -> Result<Vec<u8>, LedgerError> {
    let content = serde_json::to_vec(books).map_err(|error| LedgerError::Refused(error.to_string()))?;
    let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= RECORD_BYTES_MAX);
    let Some(length) = length else {
        let bytes = content.len();
        let why = format!(
            "a note of {bytes} bytes is larger than the {RECORD_BYTES_MAX} allowed: note less at a time"
        );
        return Err(LedgerError::Refused(why));
    };
    let mut bytes = Vec::with_capacity(HEAD_BYTES + content.len());
    bytes.extend(MARK);
    bytes.extend(length.to_le_bytes());
    bytes.extend(crc32fast::hash(&content).to_le_bytes());
    bytes.extend(content);
    Ok(bytes)
}

/// The content of the record that begins `bytes`, if it is whole.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    // Zeros are what a crash leaves most often, and the checksum of nothing is zero.
    if !(1..=RECORD_BYTES_MAX).contains(&length) {
        return None;
    }
    let content = rest.get(..length)?;
    (crc32fast::hash(content) == u32::from_le_bytes(*sum)).then_some(content)
}

/// Whether a whole record begins anywhere in `bytes`.
fn has_record(mut bytes: &[u8]) -> bool {
    while let Some(at) = bytes.windows(MARK.len()).position(|window| window == MARK) {
        let Some(here) = bytes.get(at..) else { return false };
        if content(here).is_some() {
            return true;
        }
        bytes = here.get(1..).unwrap_or_default();
    }
    false
}

/// Reads a ledger's bytes: the books, and how many bytes are whole.
fn decode(path: &Path, bytes: &[u8]) -> Result<(Books, usize), LedgerError> {
    let corrupt = |offset: usize, why: String| LedgerError::Corrupt {
        path: path.to_owned(),
        offset: u64::try_from(offset).unwrap_or(u64::MAX),
        why,
    };
    let mut books = Books::default();
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        return Ok((books, 0)); // it was being made
    }
    if !bytes.starts_with(&MAGIC) {
        return Err(corrupt(0, "it is no ledger that this version can read".to_owned()));
    }
    let mut whole = MAGIC.len();
    while let Some(rest) = bytes.get(whole..).filter(|rest| !rest.is_empty()) {
        let Some(content) = content(rest) else {
            if rest.get(1..).is_some_and(has_record) {
                return Err(corrupt(whole, "a record is damaged, and whole ones follow it".to_owned()));
            }
            break;
        };
        let delta = serde_json::from_slice(content);
        books.join(delta.map_err(|error| corrupt(whole, format!("not understood: {error}")))?);
        whole += HEAD_BYTES + content.len();
    }
    Ok((books, whole))
}

/// Reads the file at `path`: its books, and how many bytes are whole. Another process may be writing it.
pub(super) fn read(path: &Path) -> Result<(Books, u64), LedgerError> {
    let file = File::open(path).map_err(LedgerError::io(path, "open it"))?;
    let mut bytes = Vec::new();
    let length =
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(LedgerError::io(path, "read it"))?;
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    if length > FILE_BYTES_MAX {
        let why =
            format!("{}: larger than the {FILE_BYTES_MAX} bytes that a ledger may have", path.display());
        return Err(LedgerError::Refused(why));
    }
    let (books, whole) = decode(path, &bytes)?;
    Ok((books, u64::try_from(whole).unwrap_or(length)))
}

/// A ledger's file, open for appending.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// How many bytes of it are whole and synced.
    bytes: u64,
    /// There is a piece of a record behind them.
    is_torn: bool,
    /// Its folder, until the file's place in it is synced too.
    unsynced: Option<File>,
}

impl Log {
    /// Makes the file at `path` hold `books` and nothing else: writes another one beside it and puts it in its place, so
    /// that a crash leaves one of the two. After an error it is the one that was there.
    pub(super) fn rewrite(path: &Path, books: &Books) -> Result<Self, LedgerError> {
        let beside = path.with_extension("new");
        let failed = |action| LedgerError::io(&beside, action);
        let mut file = File::create(&beside).map_err(failed("create it"))?;
        let mut bytes = MAGIC.to_vec();
        for piece in books.pieces(RECORD_RANGES_MAX) {
            bytes.extend(record(&piece)?);
        }
        file.write_all(&bytes).map_err(failed("write it"))?;
        file.sync_all().map_err(failed("sync it"))?;
        // Opened before it is in its place: nothing may fail after that, or whoever goes on with the file that was there
        // before writes where nobody will look.
        let file = OpenOptions::new().append(true).open(&beside).map_err(failed("open it"))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = File::open(folder).map_err(LedgerError::io(folder, "open the folder"))?;
        std::fs::rename(&beside, path).map_err(LedgerError::io(path, "replace it"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            is_torn: false,
            unsynced: Some(folder),
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes to a handle that may only read from now on, and returns the sound one.
    #[cfg(test)]
    pub(super) fn fail_writing(&mut self) -> File {
        std::mem::replace(&mut self.file, File::open(&self.path).unwrap())
    }

    /// Writes to `file` from now on.
    #[cfg(test)]
    pub(super) fn write_to(&mut self, file: File) {
        self.file = file;
    }

    /// How many bytes the file has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends `delta`, and returns when it is on the disk. After an error nothing of the last record is in the file; of a
    /// delta that is too large for one, earlier ones may be.
    pub(super) fn append(&mut self, delta: &Books) -> Result<(), LedgerError> {
        if delta.ranges() <= RECORD_RANGES_MAX {
            return self.append_record(&record(delta)?);
        }
        delta.pieces(RECORD_RANGES_MAX).iter().try_for_each(|piece| self.append_record(&record(piece)?))
    }

    fn append_record(&mut self, record: &[u8]) -> Result<(), LedgerError> {
        self.cut()?;
        self.is_torn = true;
        if let Err(error) = self.write_synced(record) {
            self.cut()?;
            return Err(LedgerError::io(&self.path, "append to it")(error));
        }
        self.is_torn = false;
        self.bytes += u64::try_from(record.len()).unwrap_or_default();
        Ok(())
    }

    fn write_synced(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.write_all(record)?;
        self.file.sync_data()?;
        if let Some(folder) = &self.unsynced {
            folder.sync_all()?;
            self.unsynced = None;
        }
        Ok(())
    }

    /// Cuts off a piece of a record: with a whole one behind it, it would be taken for damage.
    fn cut(&mut self) -> Result<(), LedgerError> {
        if self.is_torn {
            self.file
                .set_len(self.bytes)
                .map_err(LedgerError::io(&self.path, "cut off what was not written"))?;
            self.is_torn = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::name::dot;
    use super::*;
    use queue::Topic;

    fn delta(number: u64) -> Books {
        let mut books = Books::default();
        books.sent(&Topic::new("topic").unwrap(), dot(1, number));
        books
    }

    fn log_of(numbers: std::ops::RangeInclusive<u64>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ledger");
        let mut log = Log::rewrite(&path, &Books::default()).unwrap();
        for number in numbers {
            log.append(&delta(number)).unwrap();
            assert_eq!(log.bytes(), std::fs::metadata(&path).unwrap().len());
        }
        (folder, path)
    }

    fn sent(numbers: std::ops::RangeInclusive<u64>) -> Books {
        numbers.map(delta).fold(Books::default(), Lattice::joined)
    }

    #[test]
    fn every_torn_tail_ends_the_file_at_the_last_whole_record() {
        let (_folder, path) = log_of(1..=3);
        let bytes = std::fs::read(&path).unwrap();
        let (_, two) = decode(&path, &bytes[..bytes.len() - 1]).unwrap();
        for cut in two..bytes.len() {
            for fill in [None, Some(0), Some(0xff)] {
                let mut torn = bytes[..cut].to_vec();
                torn.resize(fill.map_or(cut, |_| bytes.len() + 100), fill.unwrap_or(0));
                assert_eq!(
                    decode(&path, &torn).unwrap(),
                    (sent(1..=2), two),
                    "cut at {cut}, filled with {fill:?}"
                );
            }
        }
        for cut in 0..MAGIC.len() {
            assert_eq!(decode(&path, &bytes[..cut]).unwrap(), (Books::default(), 0));
        }
    }

    #[test]
    fn damage_in_the_middle_is_told_with_its_place() {
        let (_folder, path) = log_of(1..=3);
        let bytes = std::fs::read(&path).unwrap();
        let (_, two) = decode(&path, &bytes[..bytes.len() - 1]).unwrap();
        for at in 0..two {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let error = decode(&path, &damaged).unwrap_err();
            assert!(
                matches!(error, LedgerError::Corrupt { offset, .. } if offset <= at as u64),
                "{at}: {error}"
            );
        }
    }

    #[test]
    fn what_could_not_be_written_is_cut_off_before_anything_follows() {
        let (_folder, path) = log_of(1..=1);
        let mut log = Log::rewrite(&path, &sent(1..=1)).unwrap();
        // The disk refuses to write: a handle that may only read. A piece of a record got through before that.
        let writable = log.fail_writing();
        assert!(matches!(log.append(&delta(2)), Err(LedgerError::Io { .. })));
        (&writable).write_all(b"\xff\xfe\xa5\x01 piece").unwrap();
        assert!(matches!(log.append(&delta(2)), Err(LedgerError::Io { .. })), "still");
        assert_eq!(read(&path).unwrap(), (sent(1..=1), log.bytes()));
        log.write_to(writable);
        log.append(&delta(2)).unwrap();
        assert_eq!(read(&path).unwrap(), (sent(1..=2), log.bytes()));
    }

    #[test]
    fn what_is_too_large_for_a_record_takes_several() {
        let (_folder, path) = log_of(1..=1);
        let mut log = Log::rewrite(&path, &Books::default()).unwrap();
        let topic = Topic::new("topic").unwrap();
        let mut scattered = Books::default();
        for n in 0..=RECORD_RANGES_MAX as u64 {
            scattered.sent(&topic, dot(n % 50 + 1, u64::MAX - 1 - 2 * (n / 50)));
        }
        assert!(serde_json::to_vec(&scattered).unwrap().len() < RECORD_BYTES_MAX, "as long as numbers get");
        log.append(&scattered).unwrap();
        assert_eq!(read(&path).unwrap(), (scattered, log.bytes()));
    }

    #[test]
    fn rewriting_keeps_what_is_known() {
        let (_folder, path) = log_of(1..=100);
        let (books, before) = read(&path).unwrap();
        assert_eq!(books, sent(1..=100));
        let log = Log::rewrite(&path, &books).unwrap();
        assert!(log.bytes() < before / 10);
        assert_eq!(read(&path).unwrap(), (books, log.bytes()));
    }
}
