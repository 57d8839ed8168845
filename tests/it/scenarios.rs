//! What holds over any store: each scenario is written once, and run over a store in memory
//! and over DynamoDB (the real SDK, and an engine in this process), on tokio's paused clock.
//!
//! `closed::memory::case_1_…` and `closed::dynamodb::case_1_…` are one scenario.

/// Makes tests of scenarios, one over each store.
macro_rules! over_each_store {
    ($($scenario:ident),+ $(,)?) => {
        mod memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $scenario() {
                    super::$scenario::<fuseboard::MemoryStore>().await;
                }
            )+
        }

        #[cfg(feature = "dynamodb")]
        mod dynamodb {
            $(
                #[tokio::test(start_paused = true)]
                async fn $scenario() {
                    super::$scenario::<crate::support::engine::Engine>().await;
                }
            )+
        }
    };
}

mod closed;
mod cut;
mod faults;
mod fleet;
mod late;
mod open;
pub(crate) mod opening;
mod probes;
mod ramp;
mod refresh;
mod slow;
mod stragglers;
mod tripping;
mod votes;
