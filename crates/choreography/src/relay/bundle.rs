//! How many rows go into one message.

use super::Outgoing;
use queue::ENVELOPE_BYTES_MAX;

/// The most rows in one message.
pub const MESSAGE_ROWS_MAX: usize = 256;
/// The most bytes of rows in one message: what an envelope allows, less room for its own attributes.
pub(super) const MESSAGE_BYTES_MAX: usize = ENVELOPE_BYTES_MAX - 4096;

/// Splits rows into messages that are within the limits. A row too large for any is sent alone, and refused by name.
pub(super) fn of(outgoing: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut bundles: Vec<Vec<Outgoing>> = Vec::new();
    let mut bytes = 0;
    for row in outgoing {
        match bundles.last_mut() {
            Some(last)
                if last.len() < MESSAGE_ROWS_MAX
                    && bytes + row.bytes <= MESSAGE_BYTES_MAX
                    // The pieces of a row have one key, which a message holds once.
                    && last.last().is_none_or(|before| before.mark.row != row.mark.row) =>
            {
                bytes += row.bytes;
                last.push(row);
            }
            _ => {
                bytes = row.bytes;
                bundles.push(vec![row]);
            }
        }
    }
    bundles
}

/// The same rows in two messages, for a broker that takes less than an envelope allows.
pub(super) fn halves(mut bundle: Vec<Outgoing>) -> [Vec<Outgoing>; 2] {
    let second = bundle.split_off(bundle.len() / 2);
    [bundle, second]
}
