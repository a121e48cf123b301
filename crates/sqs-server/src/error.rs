//! Errors as SQS tells them: a kind, which decides codes and status, and a sentence for the person who reads it.

use store::{StoreError, WriteError};
use thiserror::Error;

/// What is wrong, in the words of the [API reference](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the API reference")]
pub enum Kind {
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidAction,
    InvalidAddress,
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidBatchEntryId,
    InvalidMessageContents,
    InvalidParameterValue,
    MalformedInput,
    MessageNotInflight,
    MissingParameter,
    OverLimit,
    QueueDoesNotExist,
    QueueNameExists,
    ReceiptHandleIsInvalid,
    ResourceNotFound,
    TooManyEntriesInBatchRequest,
    UnsupportedOperation,
    /// Too many requests at a time: again later.
    Throttled,
    /// The store cannot write now, its disk is full: again when there is room.
    Unavailable,
    /// The store is damaged or has stopped: an operator must look.
    Internal,
}

impl Kind {
    /// The name of the error's shape: the `__type` of the JSON protocol.
    pub fn shape(self) -> &'static str {
        match self {
            Self::BatchEntryIdsNotDistinct => "BatchEntryIdsNotDistinct",
            Self::BatchRequestTooLong => "BatchRequestTooLong",
            Self::EmptyBatchRequest => "EmptyBatchRequest",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidAddress => "InvalidAddress",
            Self::InvalidAttributeName => "InvalidAttributeName",
            Self::InvalidAttributeValue => "InvalidAttributeValue",
            Self::InvalidBatchEntryId => "InvalidBatchEntryId",
            Self::InvalidMessageContents => "InvalidMessageContents",
            Self::InvalidParameterValue => "InvalidParameterValueException",
            Self::MalformedInput => "MalformedInput",
            Self::MessageNotInflight => "MessageNotInflight",
            Self::MissingParameter => "MissingRequiredParameterException",
            Self::OverLimit => "OverLimit",
            Self::QueueDoesNotExist => "QueueDoesNotExist",
            Self::QueueNameExists => "QueueNameExists",
            Self::ReceiptHandleIsInvalid => "ReceiptHandleIsInvalid",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::TooManyEntriesInBatchRequest => "TooManyEntriesInBatchRequest",
            Self::UnsupportedOperation => "UnsupportedOperation",
            Self::Throttled => "RequestThrottled",
            Self::Unavailable => "ServiceUnavailable",
            Self::Internal => "InternalError",
        }
    }

    /// The code of the query protocol, which clients of the JSON protocol get in `x-amzn-query-error`.
    pub fn code(self) -> &'static str {
        match self {
            Self::BatchEntryIdsNotDistinct => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            Self::BatchRequestTooLong => "AWS.SimpleQueueService.BatchRequestTooLong",
            Self::EmptyBatchRequest => "AWS.SimpleQueueService.EmptyBatchRequest",
            Self::InvalidBatchEntryId => "AWS.SimpleQueueService.InvalidBatchEntryId",
            Self::InvalidParameterValue => "InvalidParameterValue",
            Self::MessageNotInflight => "AWS.SimpleQueueService.MessageNotInflight",
            Self::MissingParameter => "MissingParameter",
            Self::QueueDoesNotExist => "AWS.SimpleQueueService.NonExistentQueue",
            Self::QueueNameExists => "QueueAlreadyExists",
            Self::TooManyEntriesInBatchRequest => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            Self::UnsupportedOperation => "AWS.SimpleQueueService.UnsupportedOperation",
            other => other.shape(),
        }
    }

    /// Whether asking again in the same words is in vain.
    pub fn is_sender_fault(self) -> bool {
        !matches!(self, Self::Unavailable | Self::Internal | Self::Throttled)
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Internal => 500,
            Self::Unavailable | Self::Throttled => 503,
            Self::InvalidAddress | Self::ReceiptHandleIsInvalid | Self::ResourceNotFound => 404,
            Self::OverLimit => 403,
            _ => 400,
        }
    }
}

/// Why a request was not done.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{}: {message}", kind.code())]
pub struct SqsError {
    /// Which error of SQS it is.
    pub kind: Kind,
    /// What is wrong, and with what.
    pub message: String,
}

/// What every operation answers.
pub(crate) type SqsResult<T> = Result<T, SqsError>;

impl SqsError {
    /// An error of `kind`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(Kind::MissingParameter, format!("The request must contain the parameter {parameter}."))
    }

    pub(crate) fn parameter(
        name: &str,
        value: impl std::fmt::Display,
        reason: impl std::fmt::Display,
    ) -> Self {
        let message = format!("Value {value} for parameter {name} is invalid. Reason: {reason}");
        Self::new(Kind::InvalidParameterValue, message)
    }

    pub(crate) fn invalid(reason: impl std::fmt::Display) -> Self {
        Self::new(
            Kind::InvalidParameterValue,
            format!("One or more parameters are invalid. Reason: {reason}"),
        )
    }

    pub(crate) fn no_queue() -> Self {
        Self::new(Kind::QueueDoesNotExist, "The specified queue does not exist.")
    }

    pub(crate) fn damaged(what: impl std::fmt::Display, detail: impl std::fmt::Display) -> Self {
        Self::new(Kind::Internal, format!("{what} cannot be read: {detail}"))
    }
}

impl From<StoreError> for SqsError {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Stopped { .. } | StoreError::Corrupt { .. } => Kind::Internal,
            // Room may be made, a read may work the next time: everything else passes.
            _ => Kind::Unavailable,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<WriteError<Self>> for SqsError {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Refused(error) => error,
            WriteError::Store(error) => error.into(),
        }
    }
}
