//! Which.

mod gset;
mod life;

pub use gset::GSet;
pub use life::Life;
