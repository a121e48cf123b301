//! A recorded editing session, as of the collection `editing-traces`.

use flate2::read::GzDecoder;
use serde::Deserialize;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// An edit: where, how many characters are deleted there, and what is inserted there then.
pub(crate) type Patch = (usize, usize, String);

/// A session that began with an empty text.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) patches: Vec<Patch>,
    /// The text that it ended with.
    pub(crate) end: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    start_content: String,
    end_content: String,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    patches: Vec<Patch>,
}

impl Trace {
    /// Reads a `.json.gz`, its first patches only where there is a limit.
    pub(crate) fn read(path: &Path, limit: Option<usize>) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| told(&error))?;
        let recorded: Recorded =
            serde_json::from_reader(BufReader::new(GzDecoder::new(file))).map_err(|error| told(&error))?;
        if !recorded.start_content.is_empty() {
            return Err(told(&"a trace that begins with a text is not supported"));
        }
        let mut patches: Vec<Patch> = recorded.txns.into_iter().flat_map(|txn| txn.patches).collect();
        if !patches.iter().all(|(_, _, inserted)| inserted.is_ascii()) {
            // Some of the contenders count characters, some UTF-8 bytes.
            return Err(told(&"a trace of more than ASCII is not supported"));
        }
        let whole = replayed(&patches).map_err(|error| told(&error))?;
        if whole != recorded.end_content {
            return Err(told(&"the patches do not make the text that it says"));
        }
        patches.truncate(limit.unwrap_or(usize::MAX));
        let end = replayed(&patches).map_err(|error| told(&error))?;
        Ok(Self { patches, end })
    }

    /// How many patches there are.
    pub(crate) fn operations(&self) -> Result<u32, String> {
        u32::try_from(self.patches.len()).map_err(|error| error.to_string())
    }

    /// Compares a text with the one that should come out.
    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        if text == self.end { Ok(()) } else { Err("it came to another text".to_owned()) }
    }
}

/// The text that the patches make, in the plainest way.
fn replayed(patches: &[Patch]) -> Result<String, String> {
    let mut text = Vec::new();
    for (at, deleted, inserted) in patches {
        let to =
            at.checked_add(*deleted).filter(|to| *to <= text.len()).ok_or("a patch outside of the text")?;
        text.splice(*at..to, inserted.bytes());
    }
    String::from_utf8(text).map_err(|error| error.to_string())
}
