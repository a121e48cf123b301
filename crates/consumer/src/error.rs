//! How a handler fails.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What is to become of a message that was not handled. There are two kinds, since there are two things to do.
///
/// Every error becomes [`Retry`](Self::Retry) by `?`, since only a handler that knows better may give up a message. That
/// is also why this type does not implement [`Error`]: nothing could then be converted into it. A [`PoisonError`]
/// becomes [`Poison`](Self::Poison).
#[derive(Debug)]
pub enum HandlerError {
    /// Hand the message out again.
    Retry {
        /// What went wrong.
        source: BoxError,
        /// Not before this has passed; `None`: the consumer backs off by its own rule.
        after: Option<Duration>,
    },
    /// No repetition will help: keep the message aside, with this reason.
    Poison {
        /// Why, for whoever looks into it.
        reason: String,
    },
}

impl HandlerError {
    /// To be tried again, when the consumer thinks fit.
    pub fn retry(source: impl Into<BoxError>) -> Self {
        Self::Retry { source: source.into(), after: None }
    }

    /// To be tried again, not before `after` has passed.
    pub fn retry_after(source: impl Into<BoxError>, after: Duration) -> Self {
        Self::Retry { source: source.into(), after: Some(after) }
    }

    /// To be put aside.
    pub fn poison(reason: impl Into<String>) -> Self {
        Self::Poison { reason: reason.into() }
    }

    /// As [`From`] does for an error that is boxed already: a [`PoisonError`] is poison, all else is tried again.
    pub fn from_boxed(error: BoxError) -> Self {
        let error = match error.downcast::<PoisonError>() {
            Ok(poison) => return Self::Poison { reason: poison.reason },
            Err(error) => error,
        };
        match error.downcast::<Failure>() {
            Ok(failure) => failure.0,
            Err(source) => Self::Retry { source, after: None },
        }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { source, .. } => write!(f, "to be tried again: {}", Chain(&**source)),
            Self::Poison { reason } => write!(f, "poison: {reason}"),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::from_boxed(Box::new(error))
    }
}

/// Poison, for code that must return an [`Error`] (a tower service, a library): on its way to the consumer it becomes
/// [`HandlerError::Poison`], wherever it is not wrapped into another error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoisonError {
    /// Why, for whoever looks into it.
    pub reason: String,
}

impl fmt::Display for PoisonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "poison: {}", self.reason)
    }
}

impl Error for PoisonError {}

/// A handler's failure on its way through code that must return an [`Error`].
#[derive(Debug)]
pub(crate) struct Failure(HandlerError);

impl Failure {
    pub(crate) fn boxed(error: HandlerError) -> BoxError {
        Box::new(Self(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Failure {}

/// Shows an error and all its sources on one line, for logs.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_is_tried_again_and_poison_stays_poison() {
        let failed = || -> Result<(), HandlerError> { Ok("seven".parse::<u32>().map(drop)?) };
        assert!(matches!(failed(), Err(HandlerError::Retry { after: None, .. })));
        let poisoned = || -> Result<(), HandlerError> { Err(PoisonError { reason: "no type".into() })? };
        assert!(matches!(poisoned(), Err(HandlerError::Poison { reason }) if reason == "no type"));
    }

    #[test]
    fn shows_the_sources() {
        let error = HandlerError::retry(queue::QueueError::unavailable("connection refused"));
        assert_eq!(error.to_string(), "to be tried again: the queue is unavailable: connection refused");
    }
}
