//! Lines of a file, plain or gzipped, and the record that each of them is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use thiserror::Error;

/// The longest line that is read, in bytes: no comment that the API takes needs as much.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
const BUFFER_BYTES: usize = 1 << 16;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The comment's name, unique in the file.
    pub(super) id: String,
    /// The name of the part that it is about.
    pub(super) part: String,
    /// The name of who wrote it.
    pub(super) author: String,
    /// What it says.
    pub(super) text: String,
    /// The `id` of an earlier comment of the same part.
    #[serde(default)]
    pub(super) reply_to: Option<String>,
}

/// Why the input cannot be replayed.
#[derive(Debug, Error)]
pub(super) enum InputError {
    /// *Name another file.*
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// *Mend or rename the file.*
    #[error("{} is named .gz, but is not gzip", path.display())]
    NotGzip {
        /// The file.
        path: PathBuf,
    },
    /// *Get the file again: it is damaged from here on.*
    #[error("cannot read line {line}")]
    Read {
        /// Counted from 1.
        line: u64,
        /// What the operating system or the decompressor said.
        source: io::Error,
    },
    /// *Mend the line, or pass `--skip-bad`.*
    #[error("line {line}: {fault}")]
    Broken {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        fault: Fault,
    },
    /// *Name a file with comments.*
    #[error("{} holds no comment", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// *Replay it again when nobody writes into it.*
    #[error("the file changed while it was replayed")]
    Changed,
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// More bytes than are read.
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// No JSON, or another shape.
    #[error("{0}")]
    Json(String),
    /// A field that names something and is empty.
    #[error("`{0}` is empty")]
    Blank(&'static str),
    /// An id that an earlier line has.
    #[error("`id` {0:?} occurred before")]
    Repeated(String),
    /// A reply to what has not occurred (or was itself broken).
    #[error("`reply_to` {0:?} did not occur before")]
    Unseen(String),
    /// A reply to a comment on another part.
    #[error("`reply_to` {0:?} is about another part")]
    Elsewhere(String),
}

/// Reads a line of the file.
pub(super) fn parse(bytes: &[u8]) -> Result<Record, Fault> {
    let record: Record = serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        Fault::Json(format!("{what} (column {})", error.column()))
    })?;
    for (field, value) in [("id", &record.id), ("part", &record.part), ("author", &record.author)] {
        if value.is_empty() {
            return Err(Fault::Blank(field));
        }
    }
    Ok(record)
}

/// The lines of a file, one at a time; blank ones are left out.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens a file; gzip is recognised by its first two bytes.
    pub(super) fn open(path: &Path) -> Result<Self, InputError> {
        let open = |source| InputError::Open { path: path.to_owned(), source };
        let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(open)?);
        let gzipped = file.fill_buf().map_err(open)?.starts_with(&[0x1f, 0x8b]);
        if gzipped {
            return Ok(Self::of(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file))));
        }
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
            return Err(InputError::NotGzip { path: path.to_owned() });
        }
        Ok(Self::of(file))
    }

    fn of(reader: impl BufRead + Send + 'static) -> Self {
        Self { reader: Box::new(reader), buffer: Vec::new(), number: 0 }
    }

    /// The number of the line that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not blank, without its end; `Fault::TooLong` has passed over the whole line.
    pub(super) fn next(&mut self) -> Result<Option<Result<&[u8], Fault>>, InputError> {
        loop {
            self.number += 1;
            let whole = match self.fill() {
                Ok(Some(whole)) => whole,
                Ok(None) => return Ok(None),
                Err(source) => return Err(InputError::Read { line: self.number, source }),
            };
            if !whole {
                return Ok(Some(Err(Fault::TooLong)));
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(Ok(self.buffer.trim_ascii())));
            }
        }
    }

    /// Whether the line fits; `None` at the end.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        let whole = self.buffer.len() <= LINE_BYTES_MAX || self.buffer.ends_with(b"\n");
        if !whole {
            self.reader.skip_until(b'\n')?;
        }
        Ok(Some(whole))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::of(io::Cursor::new(bytes.to_vec()));
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let text = match line {
                Ok(line) => String::from_utf8_lossy(line).into_owned(),
                Err(fault) => fault.to_string(),
            };
            all.push((lines.number(), text));
        }
        all
    }

    #[test]
    fn lines_are_numbered_and_bounded() {
        let line = |number, text: &str| (number, text.to_owned());
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"a\n\n b \r\n\nc"), [line(1, "a"), line(3, "b"), line(5, "c")]);
        let fits = "x".repeat(LINE_BYTES_MAX);
        let long = format!("{fits}x");
        let text = format!("a\n{long}{long}\nb\n{fits}\n{long}");
        let too_long = Fault::TooLong.to_string();
        let all = [line(1, "a"), line(2, &too_long), line(3, "b"), line(4, &fits), line(5, &too_long)];
        assert!(lines(text.as_bytes()) == all);
    }

    #[test]
    fn records() {
        let good = r#"{"id":"1","part":"p","author":"a","text":"t"}"#;
        assert_eq!(parse(good.as_bytes()).unwrap().reply_to, None);
        for (line, fault) in [
            ("", "EOF while parsing a value (column 0)"),
            ("{", "EOF while parsing an object (column 1)"),
            (r#"{"id":"1","part":"p","author":"a"}"#, "missing field `text` (column 34)"),
            (
                r#"{"id":1,"part":"p","author":"a"}"#,
                "invalid type: integer `1`, expected a string (column 7)",
            ),
            (r#"{"id":"","part":"p","author":"a","text":"t"}"#, "`id` is empty"),
            (r#"{"id":"1","part":"","author":"a","text":"t"}"#, "`part` is empty"),
            (r#"{"id":"1","part":"p","author":"","text":"t"}"#, "`author` is empty"),
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap_err().to_string(), fault, "{line}");
        }
        let more = r#"{"id":"1","part":"p","author":"a","text":"t","replyto":"0"}"#;
        assert!(parse(more.as_bytes()).unwrap_err().to_string().starts_with("unknown field `replyto`"));
        assert!(parse(b"{\"id\":\"\xff\"}").is_err());
    }

    #[test]
    fn files_are_opened_by_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(b"one\ntwo\n").unwrap();
        let gzip = gzip.finish().unwrap();
        let read = |path: &Path| {
            let mut lines = Lines::open(path)?;
            let mut all = Vec::new();
            while let Some(line) = lines.next()? {
                all.push(line.unwrap().to_vec());
            }
            Ok::<_, InputError>(all.len())
        };
        assert_eq!(read(&write("plain", b"one\ntwo")).unwrap(), 2);
        assert_eq!(read(&write("a.gz", &gzip)).unwrap(), 2);
        assert_eq!(read(&write("unnamed", &[gzip.as_slice(), &gzip].concat())).unwrap(), 4);
        assert!(matches!(read(&write("b.gz", b"one")), Err(InputError::NotGzip { .. })));
        assert!(matches!(read(&folder.path().join("none")), Err(InputError::Open { .. })));
        let torn = read(&write("torn.gz", &gzip[..gzip.len() - 9]));
        assert!(matches!(torn, Err(InputError::Read { .. })), "{torn:?}");
    }
}
