//! What points where.

mod dag;
mod or_graph;
mod partial_order;
mod two_phase_graph;

pub use dag::{Dag, DagError, DagView, Walk};
pub use or_graph::OrGraph;
pub use partial_order::{PartialOrder, PartialOrderError};
pub use two_phase_graph::{TwoPhaseGraph, TwoPhaseGraphError};
