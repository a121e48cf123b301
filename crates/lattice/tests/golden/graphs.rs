//! What points where.
