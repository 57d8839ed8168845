//! What the examples call: servers on loopback, and a PostgreSQL, that fail and come back. A program
//! needs none of it.

mod database;
mod dependency;
mod rpc;

pub use self::{
    database::{Database, NoDatabase},
    dependency::{Dependency, Mood},
    rpc::Rpc,
};
