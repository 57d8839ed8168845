//! The guide: one page for each subject.

#[doc = include_str!("../docs/clients.md")]
pub mod clients {}

#[doc = include_str!("../docs/failure-modes.md")]
pub mod failure_modes {}

#[doc = include_str!("../docs/fleet-size.md")]
pub mod fleet_size {}

#[doc = include_str!("../docs/guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("../docs/lambda.md")]
pub mod lambda {}

#[doc = include_str!("../docs/metrics.md")]
pub mod metrics {}

#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = include_str!("../docs/python.md")]
pub mod python {}

#[doc = include_str!("../docs/table.md")]
pub mod table {}

// Its examples use `DynamoDbStore::from_env`.
#[cfg(feature = "aws-config")]
#[doc = include_str!("../docs/using.md")]
pub mod using {}
