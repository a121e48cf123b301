//! Programs that may not be installed.

use std::path::{Path, PathBuf};

/// If this variable is `required`, a missing broker is a failure instead of a reason to pass over a test.
const BROKERS: &str = "ANTIPHON_BROKERS";

/// A program that is not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{program} is not installed: {remedy}")]
pub struct Missing {
    /// Its name.
    pub program: String,
    /// How to install it.
    pub remedy: &'static str,
}

/// Whether this run may not pass over anything: the variable `ANTIPHON_BROKERS` is `required`.
pub fn needed_by_all() -> bool {
    variable(BROKERS).is_some_and(|value| value == "required")
}

/// The value of an environment variable, if it is set and UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "where the programs of a test are is a matter of its environment"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Looks `program` up on the `PATH` and in the folders where Debian puts servers.
///
/// Errors: [`Missing`] with `remedy`.
pub fn find(program: &str, remedy: &'static str) -> Result<PathBuf, Missing> {
    let path = variable("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| Missing { program: program.to_owned(), remedy })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
