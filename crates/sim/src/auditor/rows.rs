//! Sibling replicas are equal, row for row.

use crate::disk::Rows;
use crate::service::ServiceName;
use std::fmt::Write as _;
use store::Row;

/// The first and last tags of what a service stores for itself; lower ones are the store's own.
const FIRST: u8 = 0x10;

/// The tags of rows that are a site's own, and not its siblings'.
fn of_one_site(service: ServiceName) -> &'static [u8] {
    match service {
        ServiceName::Users | ServiceName::Comments => &[],
        // How many different people read is estimated with a secret of each site.
        ServiceName::Stories => &[stories::rows::ReadersRow::TAG, stories::rows::ReadersSecretRow::TAG],
    }
}

/// The first row in which two replicas of a service differ, told for people.
pub(super) fn difference(service: ServiceName, ours: &Rows, theirs: &Rows) -> Option<String> {
    let own = of_one_site(service);
    let shared = |rows: &Rows| {
        let shared = rows.range(vec![FIRST]..).filter(|(key, _)| !own.contains(key.first().unwrap_or(&0)));
        shared.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
    };
    let (ours, theirs) = (shared(ours), shared(theirs));
    let differs = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
    let longer = || ours.get(theirs.len()).or_else(|| theirs.get(ours.len()));
    match differs {
        Some((ours, theirs)) => Some(format!("{} here, {} there", told(ours), told(theirs))),
        None => longer().map(|row| format!("{} is in one of them only", told(row))),
    }
}

fn told((key, value): &(Vec<u8>, bytes::Bytes)) -> String {
    let mut told = String::new();
    for byte in key {
        // Writing into a string cannot fail.
        write!(told, "{byte:02x}").ok();
    }
    format!("{told} = {}", String::from_utf8_lossy(value))
}
