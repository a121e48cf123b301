//! Running a child under `strace`, and reading what it traced.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// Why this machine cannot trace, if it cannot: no `strace`, or a sandbox that forbids it.
pub(crate) fn why_not() -> Option<String> {
    let output = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stdin(Stdio::null()).output();
    match output {
        Err(error) => Some(format!("strace does not start ({error}): install it")),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            Some(format!("strace may not trace: {}", said.lines().next().unwrap_or("it does not say why")))
        }
        Ok(_) => None,
    }
}

/// One side of a system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event<'t> {
    /// It began, with these arguments.
    Began { thread: &'t str, name: &'t str, arguments: &'t str },
    /// It returned; negative is an error.
    Returned { thread: &'t str, result: i64 },
}

/// Reads a trace of `strace -f -o`: the calls of all threads, each as its beginning and its end, in order. A call that
/// no other thread's call interrupted is on one line, and its two events follow each other.
pub(crate) fn events(trace: &str) -> Vec<Event<'_>> {
    let mut found = Vec::new();
    let mut open = BTreeSet::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if rest.starts_with("<... ") {
            if open.remove(thread)
                && let Some(result) = result(rest)
            {
                found.push(Event::Returned { thread, result });
            }
            continue;
        }
        let Some((name, tail)) = rest.split_once('(') else { continue };
        if let Some(arguments) = tail.strip_suffix("<unfinished ...>") {
            open.insert(thread);
            found.push(Event::Began { thread, name, arguments: arguments.trim_end() });
        } else if let Some(end) = tail.rfind(") = ").or_else(|| tail.rfind(") ")) {
            found.push(Event::Began { thread, name, arguments: tail.get(..end).unwrap_or_default() });
            if let Some(result) = result(rest) {
                found.push(Event::Returned { thread, result });
            }
        }
    }
    found
}

/// What stands behind the last ` = `: `3`, or `-1 EIO (Input/output error)`; none for a call that never returned.
fn result(line: &str) -> Option<i64> {
    let (_, result) = line.rsplit_once(" = ")?;
    result.split(' ').next()?.parse().ok()
}

/// The descriptor and the path that `-y` puts behind it: `5</data/0.jnl>, "…"` is 5 and `/data/0.jnl`.
pub(crate) fn descriptor(arguments: &str) -> Option<(u32, &str)> {
    let (number, rest) = arguments.split_once('<')?;
    let (path, _) = rest.split_once('>')?;
    Some((number.parse().ok()?, path))
}
