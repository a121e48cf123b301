//! Where the books of the audit are: `audit/NAME` in the data folder, a name for each broker, since what is in flight at
//! one of them is not at another.

use crate::given::GivenUrl;
use consumer::audit::{Ledger, LedgerError};
use queue::QueueUrl;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the books in the data folder.
const BOOKS: &str = "audit";
/// The books of the data folder's own queue.
const OWN: &str = "own";
/// Beside the ledgers: which broker they are about, for people.
const ABOUT: &str = "URL";

/// The folder of the books about a broker; of the data folder's own queue without a URL.
pub(crate) fn folder(data: &Path, url: Option<&QueueUrl>) -> PathBuf {
    let name = match url {
        None => OWN.to_owned(),
        // Without the password, which may change.
        Some(url) => format!("{}-{:016x}", url.scheme().replace('+', "-"), super::hash(&url.to_string())),
    };
    data.join(BOOKS).join(name)
}

/// The brokers about which there are books in a data folder.
pub(crate) fn known(data: &Path) -> io::Result<Vec<String>> {
    let mut urls = Vec::new();
    let folders = match fs::read_dir(data.join(BOOKS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(urls),
        folders => folders?,
    };
    for folder in folders {
        match fs::read_to_string(folder?.path().join(ABOUT)) {
            Ok(url) => urls.push(url.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    urls.sort_unstable();
    Ok(urls)
}

/// Opens the ledger of a process: `process` is what no other process on the data folder is called.
pub(super) fn open(
    data: &Path,
    queue: Option<&GivenUrl>,
    process: &str,
    lane: u64,
) -> Result<Ledger, LedgerError> {
    let url = queue.and_then(|given| given.url().ok());
    let folder = folder(data, url);
    let ledger = Ledger::open(&folder, process, lane)?;
    let about = url.map_or_else(|| OWN.to_owned(), ToString::to_string);
    if let Err(error) = fs::write(folder.join(ABOUT), format!("{about}\n")) {
        tracing::warn!(%error, "the books do not say which broker they are about");
    }
    Ok(ledger)
}
