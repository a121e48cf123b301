use queue::{BoxFuture, Delivery, Subscription};

use super::{Ledger, dot_of};
use crate::{BoxError, DeadLetters, Kept};

/// Notes a message as *dead*, and then leaves it to other [`DeadLetters`].
///
/// In this order, since a crash between the two then leaves a message that comes again, and counts as merged or as dead
/// when it was one of them. The other order would leave one that is in flight for ever.
#[derive(Debug, Clone)]
pub struct AuditedDeadLetters<D> {
    ledger: Ledger,
    subscription: Subscription,
    inner: D,
}

impl<D> AuditedDeadLetters<D> {
    /// Notes in `ledger` what `inner` is to keep of `subscription`.
    pub fn new(ledger: Ledger, subscription: Subscription, inner: D) -> Self {
        Self { ledger, subscription, inner }
    }
}

impl<D: DeadLetters> DeadLetters for AuditedDeadLetters<D> {
    fn keep<'a>(&'a self, delivery: &'a Delivery, reason: &'a str) -> BoxFuture<'a, Result<Kept, BoxError>> {
        Box::pin(async move {
            if let Some(dot) = dot_of(&delivery.message) {
                self.ledger.dead(&self.subscription, dot).await?;
            }
            self.inner.keep(delivery, reason).await
        })
    }
}
