//! What was removed after it was seen.
