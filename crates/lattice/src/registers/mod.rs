//! One value at a time.

mod lww;
mod max;
mod min;
mod mv_register;

pub use lww::Lww;
pub use max::Max;
pub use min::Min;
pub use mv_register::MvRegister;
