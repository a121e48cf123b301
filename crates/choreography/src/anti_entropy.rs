//! Anti-entropy: whoever lacks rows finds out, and is healed over the same lossy queue.

mod links;

pub use links::{AsOf, Heard, LinkStatus, Links, PUBLISHERS_MAX};
