//! Handlers that fail on a schedule, before or after they did their work: what `replay --hostile` plays on the server.

use consumer::{Context, Handler, HandlerError};
use queue::{Faults, Message};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Of a hundred messages, so many fail before they are handled, and as many after.
const FAIL_PER_CENT: u8 = 5;
/// Long enough to reorder everything, short enough to wait for.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// The faults of the queue: with a seed all that an at-least-once queue may do, and the loss of this share of all
/// messages, which it may not. None if there are none.
pub(crate) fn faults(seed: Option<u64>, drop: Option<f64>) -> Option<Faults> {
    if seed.is_none() && drop.is_none() {
        return None;
    }
    let faults = seed.map_or(Faults::none(), |seed| Faults { delay_max: DELAY_MAX, ..Faults::hostile(seed) });
    Some(Faults { drop: drop.unwrap_or_default(), ..faults })
}

/// A handler that fails now and then.
#[derive(Debug)]
pub(crate) struct Failing<H> {
    inner: H,
    dice: Mutex<fastrand::Rng>,
}

impl<H> Failing<H> {
    pub(crate) fn new(inner: H, seed: u64) -> Self {
        Self { inner, dice: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }
}

impl<H: Handler> Handler for Failing<H> {
    async fn handle(&self, message: &Message, context: &Context) -> Result<(), HandlerError> {
        let dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner).u8(0..100);
        if dice < FAIL_PER_CENT {
            return Err(HandlerError::retry("played: failed before its work"));
        }
        self.inner.handle(message, context).await?;
        if dice < 2 * FAIL_PER_CENT {
            return Err(HandlerError::retry("played: failed after its work"));
        }
        Ok(())
    }
}
