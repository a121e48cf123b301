//! What the targets do with their input, so that a test, or a program that writes seeds, can do it too.

pub mod json;
pub mod packed;
