//! Stores: the wire, the contract, the items, the faults.

mod contract;
mod date;
mod engine;
#[cfg(feature = "aws-config")]
mod environment;
mod faults;
mod items;
mod table;
mod verify;
mod wire;
