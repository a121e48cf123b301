//! One value at a time.

mod lww;
mod max;
mod min;

pub use lww::Lww;
pub use max::Max;
pub use min::Min;
