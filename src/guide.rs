//! The guide: one page for each subject.
//!
//! | to | read |
//! |---|---|
//! | make a first call | [`getting_started`] |
//! | write a service, or a function | [`service`], [`lambda`] |
//! | decide what a circuit stands for | [`names`] |
//! | say which results are failures | [`classifying`], and [`clients`] for reqwest, tonic and sqlx |
//! | do something about a rejection | [`rejections`] |
//! | combine a breaker with retries, hedges, streams, or another | [`traps`] |
//! | answer a load balancer, or show circuits to people | [`health`] |
//! | hear of transitions, count, read the log | [`observing`], [`metrics`] |
//! | operate circuits: see, hold, release, and what to do when | [`runbook`] |
//! | test your code | [`testing`] |
//! | make the table, and give permissions | [`table`] |
//! | choose when to trip | [`tripping`]; [`votes`] where each process makes few calls |
//! | choose other settings | [`settings`] |
//! | come from another breaker, or share one with Python | [`from_other_breakers`], [`python`] |
//! | know what can break, what holds, and what it costs | [`failure_modes`], [`guarantees`], [`fleet_size`], [`performance`] |

#[doc = include_str!("../docs/classifying.md")]
pub mod classifying {}

#[doc = include_str!("../docs/clients.md")]
pub mod clients {}

#[doc = include_str!("../docs/guide/failure-modes.md")]
pub mod failure_modes {}

#[doc = include_str!("../docs/fleet-size.md")]
pub mod fleet_size {}

#[doc = include_str!("../docs/from-other-breakers.md")]
pub mod from_other_breakers {}

// Its examples use `DynamoDbStore::from_env`.
#[cfg(feature = "aws-config")]
#[doc = include_str!("../docs/getting-started.md")]
pub mod getting_started {}

#[doc = include_str!("../docs/guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("../docs/health.md")]
pub mod health {}

#[doc = include_str!("../docs/lambda.md")]
pub mod lambda {}

#[doc = include_str!("../docs/metrics.md")]
pub mod metrics {}

#[doc = include_str!("../docs/names.md")]
pub mod names {}

#[doc = include_str!("../docs/observing.md")]
pub mod observing {}

#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = include_str!("../docs/python.md")]
pub mod python {}

#[doc = include_str!("../docs/rejections.md")]
pub mod rejections {}

#[doc = include_str!("../docs/runbook.md")]
pub mod runbook {}

// Its examples use `DynamoDbStore::from_env`.
#[cfg(feature = "aws-config")]
#[doc = include_str!("../docs/service.md")]
pub mod service {}

#[doc = include_str!("../docs/settings.md")]
pub mod settings {}

#[doc = include_str!("../docs/table.md")]
pub mod table {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/traps.md")]
pub mod traps {}

#[doc = include_str!("../docs/guide/tripping.md")]
#[doc(alias = "choosing when to trip")]
pub mod tripping {}

#[doc = include_str!("../docs/votes.md")]
pub mod votes {}
