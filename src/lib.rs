//! A circuit breaker whose decision a whole fleet shares through one DynamoDB
//! item per circuit.
//!
//! Spawn a [`BreakerRegistry`] once, keep a [`Breaker`] for each dependency, and run every call
//! through it. The breaker counts consecutive failures: 5 of them, by default, open the circuit,
//! in this process at once and in every other at its next read. After 30 s one call at a
//! time, in the whole fleet, probes the dependency; 3 good probes close the circuit again.
//! A [`Rule`] trips the circuit by a share of the calls as well.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use fuseboard::{BreakerRegistry, MemoryStore};
//!
//! # async fn charge(order: u32) -> Result<u32, std::io::Error> { Ok(order) }
//! // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with
//! // other processes; a `MemoryStore` keeps them in this one.
//! let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
//! let payments = registry.breaker("payment-backend")?;
//!
//! let receipt = payments
//!     .call_or_else(|| charge(7), |open| async move { Err(std::io::Error::other(open)) })
//!     .await?;
//! assert_eq!(receipt, 7);
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! - [`Breaker::call`], [`Breaker::call_within`]: run a call, and cut it at a [`Limit`].
//! - [`Breaker::call_or_else`], [`Breaker::call_or_recover`]: with a fallback for a rejection, or
//!   for a failed call too.
//! - [`Breaker::admit`], [`Breaker::admit_owned`], [`Breaker::try_admit`]: a
//!   [`Permit`] that runs the call, or whose outcome you report yourself.
//! - [`CallError`], and [`OpenError::find`], which finds a rejection that others have wrapped.
//! - [`Breaker::classified_by`]: judge the whole `Result`, by a closure or a [`Classify`].
//! - `aws` (feature `aws-sdk`): a rule for the results of the AWS SDK, and a breaker among a
//!   client's interceptors.
//! - [`Config`]: every setting; [`guide::settings`] says when to change which.
//! - [`BreakerRegistry::subscribe`]: every [`CircuitTransition`], with its cause and the
//!   process that made it.
//! - [`BreakerRegistry::flush`]: waits for pending writes, before an AWS Lambda environment is
//!   frozen.
//! - `DynamoDbStore::records`: every circuit of a table, for operators.
//! - [`Breaker::hold`], [`Breaker::release`]: open and close a circuit by hand.
//! - [`store`]: DynamoDB, memory, or a store of your own and the suite that
//!   checks it.
//! - [`VirtualClock`]: a clock that a test moves.
//! - [`guide`]: a page for each subject. Begin with [`guide::getting_started`], then
//!   [`guide::service`] or [`guide::lambda`]. [`guide::traps`] shows common mistakes,
//!   [`guide::failure_modes`] what can break and what callers see of it.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `dynamodb` | yes | `DynamoDbStore`, over a client that you bring, with an HTTP client of your choice |
//! | `aws-config` | yes | `DynamoDbStore::from_env`, and with it the SDK's HTTPS client: rustls with aws-lc |
//! | `serde` | no | names, states, circuit infos, transitions and settings serialise |
//! | `store-contract` | no | `store::contract`, which checks a store of your own |
//! | `metrics` | no | transitions, rejections, probes and the store are counted, and `BreakerRegistry::observe` shows the circuits: [`guide::metrics`] |
//! | `tower` | no | `tower::BreakerLayer`, around axum, reqwest, tonic, hyper; `tower::FlushLayer`, which writes what is outstanding after each request |
//! | `aws-sdk` | no | `aws::SdkFaults` and `aws::BreakerInterceptor`, for clients of the AWS SDK |

#[cfg(feature = "aws-sdk")]
pub mod aws;
mod breaker;
mod classifier;
mod clock;
mod config;
mod error;
pub mod guide;
mod hold;
mod limit;
mod name;
mod outcome;
mod panics;
mod permit;
mod protocol;
mod reason;
mod registry;
mod runtime;
mod snapshot;
mod state;
pub mod store;
mod subscription;
#[cfg(feature = "tower")]
pub mod tower;
mod transition;

#[cfg(feature = "dynamodb")]
pub use self::store::DynamoDbStore;
pub use self::{
    breaker::{Breaker, ClassifiedBreaker, RefreshError, Rejection},
    classifier::{ByError, Classifier, ClassifierBuilder, Classify, EveryError},
    clock::{Clock, VirtualClock},
    config::{
        Backoff, Config, ConfigBuilder, OnStoreOutage, Rate, Rule, Settings, SettingsBuilder, Votes,
    },
    error::{
        CallError, ConfigError, FlushError, OpenError, OperatorError, RegistryError,
        SettingDifference, SpawnError, TimedOutError,
    },
    hold::{Hold, HoldInfo, HoldKind},
    limit::Limit,
    name::{CircuitName, MAX_NAME_BYTES, NameError},
    outcome::Outcome,
    permit::{OwnedPermit, Permit, Settling},
    reason::Reason,
    registry::{BreakerRegistry, DISABLED_ENV, Reconfigured, RegistryBuilder},
    snapshot::Snapshot,
    state::{CircuitInfo, CircuitState},
    store::MemoryStore,
    subscription::{Lagged, Transitions},
    transition::{Cause, CircuitTransition, Origin},
};

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "aws-config"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
