//! What the fuzz targets share: a store whose answers the fuzzer writes, items
//! of any shape, and what has to hold whatever they are.

mod check;
mod item;
mod world;

pub use self::{
    check::{Choice, check_applied, check_sent, operations},
    item::Item,
    world::{Sent, World},
};
