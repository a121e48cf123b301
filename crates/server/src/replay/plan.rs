//! What is to be made: the file is read twice, first to know its parts and people and to find broken lines before
//! anything is sent, then to send it. Both readings decide alike; their digests must be equal.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use api::derive_id;
use tokio::sync::mpsc;

use super::input::{Fault, InputError, Lines, Record, parse};
use super::mend;

/// Comments that were read and wait for the driver.
const READ_AHEAD: usize = 256;

/// A comment to be posted. Parts, people and comments are numbered in the order in which the file names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) number: usize,
    /// Its id in the file.
    pub(super) name: String,
    pub(super) part: usize,
    pub(super) author: usize,
    pub(super) parent: Option<usize>,
    /// As it will be sent.
    pub(super) text: String,
    /// Whether that differs from what the file says.
    pub(super) mended: bool,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) parts: Vec<String>,
    pub(super) people: Vec<String>,
    pub(super) comments: usize,
    /// Texts that the API would refuse.
    pub(super) mended: usize,
    /// Broken lines that were passed over.
    pub(super) skipped: usize,
    /// The first of them.
    pub(super) first_skipped: Option<String>,
    /// Of all lines that were not skipped.
    pub(super) digest: [u8; 16],
}

/// Reads the whole file once.
pub(super) fn survey(path: &Path, skip_bad: bool) -> Result<Survey, InputError> {
    let mut comments = Comments::open(path, skip_bad)?;
    let mut survey = Survey::default();
    while let Some(comment) = comments.next()? {
        survey.comments += 1;
        survey.mended += usize::from(comment.mended);
    }
    if survey.comments == 0 {
        return Err(InputError::Empty { path: path.to_owned() });
    }
    survey.parts = comments.parts.names;
    survey.people = comments.people.names;
    survey.skipped = comments.skipped;
    survey.first_skipped = comments.first_skipped;
    survey.digest = comments.digest;
    Ok(survey)
}

/// Reads the file again, on a thread of its own and a little ahead of whoever receives.
pub(super) fn stream(
    path: PathBuf,
    skip_bad: bool,
    digest: [u8; 16],
) -> mpsc::Receiver<Result<Comment, InputError>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut comments = match Comments::open(&path, skip_bad) {
            Ok(comments) => comments,
            Err(error) => return drop(sender.blocking_send(Err(error))),
        };
        while let Some(next) = comments.next().transpose() {
            let last = next.is_err();
            if sender.blocking_send(next).is_err() || last {
                return;
            }
        }
        if comments.digest != digest {
            drop(sender.blocking_send(Err(InputError::Changed)));
        }
    });
    receiver
}

/// The comments of a file, in its order.
struct Comments {
    lines: Lines,
    skip_bad: bool,
    parts: Names,
    people: Names,
    /// Of each id: the comment's number and its part's.
    seen: BTreeMap<String, (usize, usize)>,
    skipped: usize,
    first_skipped: Option<String>,
    digest: [u8; 16],
}

impl Comments {
    fn open(path: &Path, skip_bad: bool) -> Result<Self, InputError> {
        Ok(Self {
            lines: Lines::open(path)?,
            skip_bad,
            parts: Names::default(),
            people: Names::default(),
            seen: BTreeMap::new(),
            skipped: 0,
            first_skipped: None,
            digest: [0; 16],
        })
    }

    fn next(&mut self) -> Result<Option<Comment>, InputError> {
        loop {
            let Some(line) = self.lines.next()? else { return Ok(None) };
            let read = line.and_then(|bytes| {
                let digest = derive_id("antiphon replay line v1", &[&self.digest, bytes]);
                parse(bytes).map(|record| (record, digest))
            });
            let resolved = read.and_then(|(record, digest)| Ok((self.resolve(record)?, digest)));
            match resolved {
                Ok((comment, digest)) => {
                    self.digest = digest;
                    return Ok(Some(comment));
                }
                Err(fault) => {
                    let broken = InputError::Broken { line: self.lines.number(), fault };
                    if !self.skip_bad {
                        return Err(broken);
                    }
                    self.skipped += 1;
                    self.first_skipped.get_or_insert_with(|| broken.to_string());
                }
            }
        }
    }

    fn resolve(&mut self, record: Record) -> Result<Comment, Fault> {
        let parent = match record.reply_to {
            None => None,
            Some(id) => match self.seen.get(&id) {
                None => return Err(Fault::Unseen(id)),
                Some((_, part)) if self.parts.get(&record.part) != Some(*part) => {
                    return Err(Fault::Elsewhere(id));
                }
                Some((number, _)) => Some(*number),
            },
        };
        let number = self.seen.len();
        let Entry::Vacant(entry) = self.seen.entry(record.id.clone()) else {
            return Err(Fault::Repeated(record.id));
        };
        let part = self.parts.number(record.part);
        let author = self.people.number(record.author);
        entry.insert((number, part));
        let (text, mended) = mend::comment(record.text);
        Ok(Comment { number, name: record.id, part, author, parent, text, mended })
    }
}

/// Names, numbered as they come.
#[derive(Debug, Default)]
struct Names {
    numbers: BTreeMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    fn get(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    fn number(&mut self, name: String) -> usize {
        if let Some(number) = self.get(&name) {
            return number;
        }
        let number = self.names.len();
        self.numbers.insert(name.clone(), number);
        self.names.push(name);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"1","part":"p","author":"Orla","text":"one"}
{"id":"2","part":"p","author":"Finn","text":"","reply_to":"1"}
{"id":"3","part":"q","author":"Orla","text":"three"}
"#;

    fn with_file<T>(text: &str, check: impl FnOnce(&Path) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("comments.ndjson");
        std::fs::write(&path, text).unwrap();
        check(&path)
    }

    #[test]
    fn a_survey_names_all() {
        let survey = with_file(GOOD, |path| survey(path, false)).unwrap();
        assert_eq!(
            (survey.parts, survey.people),
            (vec!["p".into(), "q".into()], vec!["Orla".into(), "Finn".into()])
        );
        assert_eq!((survey.comments, survey.mended, survey.skipped), (3, 1, 0));
    }

    #[test]
    fn broken_lines_are_named_or_counted() {
        for (line, fault) in [
            ("{}", "missing field `id` (column 2)"),
            (r#"{"id":"1","part":"p","author":"a","text":"t"}"#, r#"`id` "1" occurred before"#),
            (
                r#"{"id":"5","part":"p","author":"a","text":"t","reply_to":"4"}"#,
                r#"`reply_to` "4" did not occur before"#,
            ),
            (
                r#"{"id":"5","part":"p","author":"a","text":"t","reply_to":"5"}"#,
                r#"`reply_to` "5" did not occur before"#,
            ),
            (
                r#"{"id":"5","part":"p","author":"a","text":"t","reply_to":"3"}"#,
                r#"`reply_to` "3" is about another part"#,
            ),
        ] {
            let text = format!("{GOOD}\n{line}\n{line}");
            with_file(&text, |path| {
                assert_eq!(survey(path, false).unwrap_err().to_string(), format!("line 5: {fault}"));
                let survey = survey(path, true).unwrap();
                assert_eq!((survey.comments, survey.skipped, survey.people.len()), (3, 2, 2));
                assert_eq!(survey.first_skipped.unwrap(), format!("line 5: {fault}"));
            });
        }
        let reply_to_broken = GOOD.replacen('{', "", 1);
        let survey_ = with_file(&reply_to_broken, |path| survey(path, true)).unwrap();
        assert_eq!((survey_.comments, survey_.skipped), (1, 2), "a reply to a broken line is broken");
        assert!(matches!(with_file("\n", |path| survey(path, false)), Err(InputError::Empty { .. })));
    }

    #[tokio::test]
    async fn the_second_reading_equals_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("comments.ndjson");
        std::fs::write(&path, GOOD).unwrap();
        let digest = survey(&path, false).unwrap().digest;
        let mut comments = Vec::new();
        let mut stream_ = stream(path.clone(), false, digest);
        while let Some(comment) = stream_.recv().await {
            comments.push(comment.unwrap());
        }
        let short: Vec<_> = comments.iter().map(|c| (c.number, c.part, c.author, c.parent)).collect();
        assert_eq!(short, [(0, 0, 0, None), (1, 0, 1, Some(0)), (2, 1, 0, None)]);
        assert_eq!((comments[1].text.as_str(), comments[1].mended), ("(no text)", true));

        std::fs::write(&path, GOOD.replace("three", "four")).unwrap();
        let mut stream_ = stream(path, false, digest);
        let mut last = None;
        while let Some(comment) = stream_.recv().await {
            last = Some(comment);
        }
        assert!(matches!(last, Some(Err(InputError::Changed))));
    }
}
