//! Where drained messages go.

use super::CommandError;
use std::fs::{File, TryLockError};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Longest piece of a line that a killed drain can have left at the end of a file.
const TAIL_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How every line of a drain begins.
const BEGINNING: &[u8] = b"{\"body";

/// A file, or standard output.
#[derive(Debug)]
pub(super) enum Sink {
    File { file: File, path: PathBuf, length: u64 },
    Stdout,
}

impl Sink {
    /// Opens a file to append to, and makes it where it is missing. What a drain that was killed left of a line is cut
    /// off: its message was not acked.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, CommandError> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        let failed = |source| CommandError::File { path: path.to_owned(), source };
        let mut file = File::options().read(true).append(true).create(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CommandError::Taken { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let length = file.metadata().map_err(failed)?.len();
        let whole = whole(&mut file, length).map_err(failed)?;
        if whole < length {
            if !is_ours(&mut file, whole, length).map_err(failed)? {
                return Err(CommandError::Foreign { path: path.to_owned() });
            }
            file.set_len(whole).map_err(failed)?;
            tracing::warn!(path = %path.display(), bytes = length - whole, "cut off what a killed drain left of a line");
        }
        file.sync_all().map_err(failed)?;
        // The name of a new file has to be on the disk too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(Self::File { file, path: path.to_owned(), length: whole })
    }

    /// Writes, and returns when it is on the disk. Where that fails nothing of it stays.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        match self {
            Self::File { file, path, length } => {
                if let Err(source) = file.write_all(bytes).and_then(|()| file.sync_data()) {
                    if let Err(error) = file.set_len(*length) {
                        tracing::warn!(%error, "what was written in vain stays in the file");
                    }
                    return Err(CommandError::File { path: path.clone(), source });
                }
                *length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Ok(())
            }
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush()).map_err(CommandError::Output)?;
                if out.is_terminal() {
                    return Ok(());
                }
                match rustix::fs::fdatasync(out.as_fd()) {
                    // A pipe cannot be synced: what its reader does is its own business.
                    Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::ROFS) => Ok(()),
                    Err(error) => Err(CommandError::Output(error.into())),
                }
            }
        }
    }
}

/// How much of a file is whole lines.
fn whole(file: &mut File, length: u64) -> io::Result<u64> {
    let from = length.saturating_sub(TAIL_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut tail)?;
    let torn = tail.iter().rev().take_while(|byte| **byte != b'\n').count();
    Ok(length - u64::try_from(torn).unwrap_or(u64::MAX).min(length))
}

/// Whether what stands behind the whole lines is the beginning of one of ours.
fn is_ours(file: &mut File, from: u64, length: u64) -> io::Result<bool> {
    if length - from >= TAIL_BYTES_MAX {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(from))?;
    let mut beginning = Vec::new();
    file.take(u64::try_from(BEGINNING.len()).unwrap_or(u64::MAX)).read_to_end(&mut beginning)?;
    Ok(BEGINNING.starts_with(&beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_cut_off_and_a_foreign_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        for (before, after) in [
            ("", Some("new\n")),
            ("{\"body\":\"a\"}\n", Some("{\"body\":\"a\"}\nnew\n")),
            ("{\"body\":\"a\"}\n{\"bo", Some("{\"body\":\"a\"}\nnew\n")),
            ("{\"body\":\"a\"}\n{\"body_base64\":\"x", Some("{\"body\":\"a\"}\nnew\n")),
            ("{\"body\":\"torn", Some("new\n")),
            ("letters to a friend", None),
        ] {
            std::fs::write(&path, before).unwrap();
            let opened = Sink::open(Some(&path));
            let Some(after) = after else {
                assert!(matches!(opened, Err(CommandError::Foreign { .. })), "{before}");
                assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
                continue;
            };
            opened.unwrap().append(b"new\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn two_drains_do_not_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let _first = Sink::open(Some(&path)).unwrap();
        assert!(matches!(Sink::open(Some(&path)), Err(CommandError::Taken { .. })));
    }
}
