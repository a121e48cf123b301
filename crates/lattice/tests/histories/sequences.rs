//! In which order.
