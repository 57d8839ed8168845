//! Layers for `tower`: see [`FlushLayer`].

mod flush;

pub use self::flush::{Flush, FlushFuture, FlushLayer};
