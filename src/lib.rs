//! A circuit breaker whose state a whole fleet shares through one DynamoDB item per circuit.

mod config;
mod error;
mod moment;
mod name;
mod outcome;
mod record;
mod state;
pub mod store;
mod transition;

pub use self::{
    config::{Config, ConfigBuilder, OnStoreOutage},
    error::{BreakerError, CallError, ConfigError, FlushError, NameError, OpenError, SpawnError},
    name::{CircuitName, MAX_NAME_BYTES},
    outcome::Outcome,
    state::{CircuitInfo, CircuitState},
    store::MemoryStore,
    transition::{Cause, CircuitTransition, Origin},
};
