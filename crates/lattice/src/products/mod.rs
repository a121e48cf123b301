//! Lattices of lattices.

mod map;
mod pair;

pub use map::Map;
pub use pair::Pair;
