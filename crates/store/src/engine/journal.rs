//! The engine's journals, read before the engine reads them.
//!
//! The engine forgives too much and too little. It takes whatever it cannot parse for a torn tail and cuts it off, in
//! the middle of its older journals too, so acknowledged groups would be gone without a word. It panics on some
//! damaged bytes, in a destructor even, which ends the process. The number that orders its batches is under no
//! checksum: one flipped bit there lets an older value win, or skips a batch. And a last batch of which the disk lost
//! the middle is no torn tail to it, though a power cut leaves just that. So what it is given was read here first:
//!
//! - every batch in every journal is whole by its checksum, and the batches' numbers ascend;
//! - our groups, one a batch, are numbered without a gap (the high-water marks are in each);
//! - the last journal may end in a torn batch, if every group that is known to have been acknowledged lies before it.
//!
//! The layout is that of fjall's disk format 3; the engine itself refuses any other.

use super::folder::{Folder, entries, io_error, is_zero_from};
use crate::error::OpenError;
use crate::identity::{Marks, marks_key};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3Default;

/// The engine takes a number a batch, and a few for each flush and compaction in between: a greater step is damage.
const STEP_MAX: u64 = 1 << 32;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: [u8; 4] = *b"FJL\x03";

/// Where the last journal ends in something that no group was.
#[derive(Debug)]
pub(super) struct TornTail {
    journal: PathBuf,
    whole_bytes: u64,
}

impl TornTail {
    /// The journal.
    pub(super) fn journal(&self) -> &Path {
        &self.journal
    }

    /// Cuts it off: the engine appends behind it otherwise.
    pub(super) fn cut(&self) -> Result<(), OpenError> {
        tracing::warn!(journal = %self.journal.display(), at = self.whole_bytes, "cut off a torn tail");
        let file = File::options().write(true).open(&self.journal).map_err(io_error(&self.journal))?;
        file.set_len(self.whole_bytes).and_then(|()| file.sync_all()).map_err(io_error(&self.journal))
    }
}

/// What the journals hold.
#[derive(Debug, Default)]
pub(super) struct Journals {
    /// No batch is in them: nothing was ever committed, or everything is in tables.
    pub(super) is_empty: bool,
    /// The first group, and the batch that holds it: what came before must be in tables.
    pub(super) first: Option<First>,
    /// What is to be cut off.
    pub(super) torn_tail: Option<TornTail>,
}

/// The oldest group in the journals.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    pub(super) seqno: u64,
    pub(super) sequence: u64,
}

/// Reads every journal of a store's folder, of which group `promised` was acknowledged and perhaps later ones. Changes
/// nothing.
pub(super) fn check(folder: &Folder, promised: u64) -> Result<Journals, OpenError> {
    let mut journals = journals(&folder.db())?;
    journals.sort_unstable();
    if journals.is_empty() && (promised > 0 || folder.has_tables()?) {
        // The engine would begin a new one, and count from nothing: then it sees none of its rows.
        return Err(OpenError::Corrupt {
            path: folder.path().to_owned(),
            detail: "its journals are missing".into(),
        });
    }
    let last = journals.len().saturating_sub(1);
    let mut before = Before::default();
    let mut found = Journals { is_empty: true, ..Journals::default() };
    for (index, (_, path)) in journals.into_iter().enumerate() {
        let mut journal = Journal::open(&path).map_err(io_error(&path))?;
        let torn = loop {
            match journal.next() {
                Ok(Some(batch)) => {
                    before = before.then(&batch).map_err(|detail| damaged(folder, &path, &detail))?;
                    let first = batch.sequence.map(|sequence| First { seqno: batch.seqno, sequence });
                    found.first = found.first.or(first);
                    found.is_empty = false;
                }
                Ok(None) => break None,
                Err(error) if is_torn(&error) => break Some(error),
                Err(error) => return Err(io_error(&path)(error)),
            }
        };
        let Some(torn) = torn else { continue };
        let known = before.sequence;
        if index < last || known.is_some_and(|known| known < promised) {
            let behind = known.map_or_else(String::new, |known| format!(" behind group {known}"));
            return Err(damaged(folder, &path, &format!("the batch{behind} does not check: {torn}")));
        }
        found.torn_tail = Some(TornTail { journal: path, whole_bytes: journal.whole_bytes });
    }
    Ok(found)
}

fn damaged(folder: &Folder, journal: &Path, detail: &str) -> OpenError {
    let name = journal.file_name().unwrap_or_default().to_string_lossy();
    OpenError::Corrupt { path: folder.path().to_owned(), detail: format!("in its journal {name}, {detail}") }
}

/// The journals and their numbers.
fn journals(db: &Path) -> Result<Vec<(u64, PathBuf)>, OpenError> {
    let mut found = Vec::new();
    for entry in entries(db).map_err(io_error(db))? {
        let path = entry.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(number) = number.filter(|_| is_journal(&path)) {
            found.push((number, path));
        }
    }
    Ok(found)
}

/// By its name.
pub(super) fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jnl")
}

/// What the batch before was.
#[derive(Debug, Default, Clone, Copy)]
struct Before {
    seqno: Option<u64>,
    sequence: Option<u64>,
}

impl Before {
    fn then(self, batch: &Batch) -> Result<Self, String> {
        if let Some(before) = self.seqno
            && !(1..STEP_MAX).contains(&batch.seqno.wrapping_sub(before))
        {
            return Err(format!("batch {} follows batch {before}", batch.seqno));
        }
        // The high-water marks of a group that wrote: only the store's first row, its identity, comes without.
        let Some(sequence) = batch.sequence else { return Ok(Self { seqno: Some(batch.seqno), ..self }) };
        if let Some(before) = self.sequence
            && before.checked_add(1) != Some(sequence)
        {
            return Err(format!("group {sequence} follows group {before}"));
        }
        if batch.seqno < sequence {
            return Err(format!("group {sequence} is in batch {}", batch.seqno));
        }
        Ok(Self { seqno: Some(batch.seqno), sequence: Some(sequence) })
    }
}

#[derive(Debug)]
struct Batch {
    seqno: u64,
    sequence: Option<u64>,
}

#[derive(Debug)]
struct Journal {
    file: BufReader<File>,
    left_bytes: u64,
    whole_bytes: u64,
}

/// True for bytes that are no batch, false where they could not be read.
fn is_torn(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn torn(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Journal {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let left_bytes = file.metadata()?.len();
        Ok(Self { file: BufReader::with_capacity(1 << 16, file), left_bytes, whole_bytes: 0 })
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(bytes)?;
        self.left_bytes = self.left_bytes.saturating_sub(bytes.len() as u64);
        Ok(())
    }

    /// The next batch; none where the journal ends, which is where its file does, or where it is still zeros.
    fn next(&mut self) -> io::Result<Option<Batch>> {
        if self.left_bytes == 0 {
            return Ok(None);
        }
        let length = self.whole_bytes + self.left_bytes;
        match self.take()? {
            [0] if is_zero_from(self.file.get_mut(), self.whole_bytes)? => return Ok(None),
            [0] => return Err(torn("zeros are in its place")),
            [START] => {}
            _ => return Err(torn("it has no beginning")),
        }
        let items = u32::from_le_bytes(self.take()?);
        let seqno = u64::from_le_bytes(self.take()?);
        let (mut hash, mut sequence) = (Xxh3Default::new(), None);
        for _ in 0..items {
            match self.take()? {
                [ITEM] => sequence = self.item(&mut hash)?.or(sequence),
                [CLEAR] => {
                    hash.update(&[CLEAR]);
                    hash.update(&self.take::<8>()?);
                }
                _ => return Err(torn("a row is missing")),
            }
        }
        if self.take()? != [END] {
            return Err(torn("it has no end"));
        }
        let expected = u64::from_le_bytes(self.take()?);
        if self.take()? != TRAILER {
            return Err(torn("its end is not whole"));
        }
        if hash.digest() != expected {
            return Err(torn("its checksum is another"));
        }
        self.whole_bytes = length - self.left_bytes;
        Ok(Some(Batch { seqno, sequence }))
    }

    /// One row of a batch; the group's number where it is the high-water marks.
    fn item(&mut self, hash: &mut Xxh3Default) -> io::Result<Option<u64>> {
        let head: [u8; 20] = self.take()?;
        let [_kind, compression, _, _, _, _, _, _, _, _, k0, k1, v0, v1, v2, v3, d0, d1, d2, d3] = head;
        let value_bytes = u32::from_le_bytes([v0, v1, v2, v3]);
        let disk_bytes = u32::from_le_bytes([d0, d1, d2, d3]);
        let key_bytes = u16::from_le_bytes([k0, k1]);
        if u64::from(disk_bytes) > self.left_bytes || (compression == 0 && value_bytes != disk_bytes) {
            return Err(torn("a row has no such length"));
        }
        let mut key = vec![0; usize::from(key_bytes)];
        self.fill(&mut key)?;
        let mut value = vec![0; usize::try_from(disk_bytes).map_err(|_| torn("a row is too long"))?];
        self.fill(&mut value)?;
        hash.update(&[ITEM]);
        hash.update(&head);
        hash.update(&key);
        hash.update(&value);
        if key != marks_key() || compression != 0 {
            return Ok(None);
        }
        let marks: Option<Marks> = serde_json::from_slice(&value).ok();
        Ok(marks.map(|marks| marks.sequence))
    }
}
