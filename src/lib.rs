//! A circuit breaker whose state a whole fleet shares through one DynamoDB item per circuit.

mod actor;
mod breaker;
mod circuit;
mod classifier;
mod clock;
mod config;
mod error;
mod gate;
mod machine;
mod moment;
mod name;
mod outcome;
mod permit;
mod record;
mod registry;
mod state;
pub mod store;
mod subscription;
mod transition;

#[cfg(feature = "dynamodb")]
pub use self::store::DynamoDbStore;
pub use self::{
    breaker::{Breaker, ClassifiedBreaker, Rejection},
    circuit::Snapshot,
    classifier::{Classifier, ClassifierBuilder},
    clock::{Clock, VirtualClock},
    config::{Config, ConfigBuilder, OnStoreOutage},
    error::{
        BreakerError, CallError, ConfigError, FlushError, NameError, OpenError, OrderError,
        SpawnError,
    },
    name::{CircuitName, MAX_NAME_BYTES},
    outcome::Outcome,
    permit::{OwnedPermit, Permit, Settling},
    registry::{BreakerRegistry, DISABLED_ENV, RegistryBuilder},
    state::{CircuitInfo, CircuitState},
    store::MemoryStore,
    subscription::{Lagged, Transitions},
    transition::{Cause, CircuitTransition, Origin},
};
