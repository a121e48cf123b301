//! In which order.

mod arena;
mod arrangement;
mod block;
mod codec;
mod cursor;
mod decode;
mod either;
mod encode;
mod error;
mod flat;
mod ids;
mod indexed;
mod integrate;
mod leaves;
mod merge;
mod packed;
mod pieces;
mod sequence;
mod siblings;
mod span;
mod text;
mod tree;
mod waiting;

pub use arrangement::Arrangement;
pub use cursor::{Bias, Cursor};
pub use error::SequenceError;
pub use sequence::Sequence;
pub use text::Text;
