//! Who wrote, when, and after what.
