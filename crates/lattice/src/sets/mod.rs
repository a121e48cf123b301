//! Which.

mod gset;
mod life;
mod lww_set;
mod pn_set;
mod two_phase;
mod uset;

pub use gset::GSet;
pub use life::Life;
pub use lww_set::{AddWins, LwwBias, LwwSet, RemoveWins};
pub use pn_set::PnSet;
pub use two_phase::TwoPhaseSet;
pub use uset::{USet, USetError};
