//! What a caller is told when the store does not do it.

use store::{StoreError, WriteError};

use crate::problem::Problem;

/// Seconds after which a write to a full disk is worth another try: somebody has to make room.
const FULL_RETRY_AFTER_S: u32 = 30;
/// Seconds after which a busy or restarting store is worth another try.
const BUSY_RETRY_AFTER_S: u32 = 2;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::DiskFull { .. } => {
                tracing::error!(%error, "a write was refused");
                Self::unavailable("the disk is full: nothing was changed", FULL_RETRY_AFTER_S)
            }
            StoreError::Stopped { .. } => Self::unavailable(
                "writes are stopped until a restart: repeat the request with the same Idempotency-Key",
                BUSY_RETRY_AFTER_S,
            ),
            StoreError::Unsettled { .. } => Self::unavailable("the store is busy", BUSY_RETRY_AFTER_S),
            StoreError::Corrupt { .. } | StoreError::Engine(_) => Self::internal(&error),
        }
    }
}

impl From<WriteError<Problem>> for Problem {
    fn from(error: WriteError<Problem>) -> Self {
        match error {
            WriteError::Refused(problem) => problem,
            WriteError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_worth_another_try_and_a_corrupt_row_is_not_told() {
        let full = Problem::from(StoreError::DiskFull { free_bytes: 1, needed_bytes: 2 });
        assert_eq!(full.status(), 503);
        let row = StoreError::Corrupt { row: "comment", key: "10".into(), detail: "secret".into() };
        let corrupt = Problem::from(row);
        assert_eq!(corrupt.status(), 500);
        assert!(!corrupt.detail().contains("secret"));
    }
}
