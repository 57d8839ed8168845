//! Clients of the AWS SDK for Rust behind a breaker: a rule for their results, and a breaker
//! among a client's interceptors.
//!
//! - [`SdkFaults`] judges the result of any operation of any client. Run operations by
//!   [`Breaker::classified_by`](crate::Breaker::classified_by) with it. This is the way to take
//!   where it fits: the call waits for the write of a trip, and probes, in AWS Lambda functions too.
//! - [`BreakerInterceptor`] is added to a client's configuration once, and no call changes. It is
//!   for services: its hooks cannot wait.

mod admitted;
mod faults;
mod interceptor;

pub use self::{faults::SdkFaults, interceptor::BreakerInterceptor};
