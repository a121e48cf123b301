//! Receipt handles: opaque to clients, one per hand-out, and still good after a restart.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::keys::QueueId;
use crate::error::{Kind, SqsError, SqsResult};

/// What a receipt handle says: which message, and which hand-out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Receipt {
    pub(super) queue: QueueId,
    pub(super) number: u64,
    pub(super) hand_out: u64,
}

/// The first byte; another layout gets another one.
const VERSION: u8 = 1;

impl Receipt {
    pub(super) fn handle(self) -> String {
        let numbers = [self.queue, self.number, self.hand_out].map(u64::to_be_bytes).concat();
        URL_SAFE_NO_PAD.encode([&[VERSION], &numbers[..]].concat())
    }

    pub(super) fn parse(handle: &str) -> SqsResult<Self> {
        if handle.is_empty() {
            return Err(SqsError::missing("ReceiptHandle"));
        }
        Self::read(handle).ok_or_else(|| {
            let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            SqsError::new(Kind::ReceiptHandleIsInvalid, message)
        })
    }

    fn read(handle: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (queue, rest) = rest.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let hand_out = <[u8; 8]>::try_from(rest).ok()?;
        let [queue, number, hand_out] = [*queue, *number, hand_out].map(u64::from_be_bytes);
        (*version == VERSION).then_some(Self { queue, number, hand_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_read_back_and_nothing_else_is_one() {
        let receipt = Receipt { queue: 1, number: u64::MAX, hand_out: 77 };
        assert_eq!(Receipt::parse(&receipt.handle()), Ok(receipt));
        for bad in ["garbage", "AQ", &receipt.handle()[1..], &format!("{}A", receipt.handle())] {
            assert_eq!(Receipt::parse(bad).unwrap_err().kind, Kind::ReceiptHandleIsInvalid, "{bad}");
        }
        assert_eq!(Receipt::parse("").unwrap_err().kind, Kind::MissingParameter);
    }
}
