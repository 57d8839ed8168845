//! Stores: the wire, the contract, the items, the faults.

mod answers;
mod contract;
mod credentials;
mod date;
mod engine;
#[cfg(feature = "aws-config")]
mod environment;
mod far;
mod faults;
mod items;
mod records;
mod table;
mod told;
mod verify;
mod wire;
