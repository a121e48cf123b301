//! What was removed after it was seen: dots and the context of those that were seen, the base of all that forgets.

mod causal_store;
mod context;
mod dot_fun;
mod dot_map;
mod dot_set;
mod dot_store;
mod ranges;

pub use causal_store::Causal;
pub use context::{CausalContext, DotsExhausted};
pub use dot_fun::DotFun;
pub use dot_map::DotMap;
pub use dot_set::DotSet;
pub use dot_store::DotStore;

mod flags;
mod increments;
mod or_map;
mod or_set;
mod remove_wins_set;
mod reset_counter;

pub use flags::{DisableWinsFlag, EnableWinsFlag};
pub use increments::Increments;
pub use or_map::OrMap;
pub use or_set::OrSet;
pub use remove_wins_set::RemoveWinsSet;
pub use reset_counter::ResetCounter;
