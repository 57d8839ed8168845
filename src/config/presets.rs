//! Settings for a kind of process.

use std::time::Duration;

use super::{Config, ConfigBuilder, Rule};

impl Config {
    /// Returns a builder with settings for AWS Lambda functions of which each environment is called
    /// rarely: once in some seconds or less. Give all functions of a circuit the same settings.
    ///
    /// | setting | here | because |
    /// |---|---|---|
    /// | `also_trip` | [`votes(5, 2)`](Rule::votes) within 60 s, not none | an environment runs one call at a time, so that five failures in a row take five timeouts, while the platform starts an environment for each call that waits. Five environments that each fail twice in a row are found sooner. In health it writes where a call fails twice in a row: at 1 % of failures, one ballot for some 5,000 calls |
    /// | `success_threshold` | 2, not 3 | each probe is an invocation, and they are rare: the circuit closes one invocation sooner |
    /// | `refresh_ahead` | off | a read in the background is cut off when the environment is frozen after the response, and is then made again |
    /// | `probe_lease` | 10 s, not 30 s | a dependency that hangs until the function's timeout kills the prober. Others take over 20 s sooner; [`call`](crate::Breaker::call) renews the lease while a probe runs |
    /// | `probe_limit` | 2 min, as by default | it would follow `probe_lease`, and be too short for a slow function. Set it too where you set a longer `probe_lease` |
    ///
    /// And kept as they are:
    ///
    /// | setting | value | because |
    /// |---|---|---|
    /// | `failure_threshold` | 5 | where 100 calls a second are made and a hundredth fails, three in a row come twelve times a day. Lower it to three where fewer than five environments run: they have too few votes, and one that is called every 20 s takes 100 s to see five failures |
    /// | `slow_after` | none | [`call_within`](crate::Breaker::call_within) cuts a call that hangs, which a function needs before its deadline anyway. Set it where a call must not be cut |
    /// | `open_backoff` | none | it delays the closing too, and no value suits every outage. Set it where outages last for minutes: each failed probe is an invocation that failed |
    /// | `open_for_at_most` | 600 s | of no effect until a call returns [`OpenFor`](crate::Outcome::OpenFor). Let one do so where the dependency sends `Retry-After`: one environment that was told holds all of them back |
    /// | `ramp` | none | a call that it rejects is an invocation that did nothing. Set it where the dependency comes back cold: the share holds for environments of few calls too |
    /// | `local_cache_max_age` | 5 s | an environment that is called less often reads before each call. That costs some milliseconds, and is how it learns of an outage that others found: with a longer age it would call a dead dependency instead |
    /// | `store_timeout` | 1 s | the first read of a cold start makes a connection. With less it would fail, and the circuit would be unprotected when it starts |
    /// | `await_trip_write` | on | a write that no call awaits lands when the environment is thawed, or never |
    /// | `count_cancelled` | off | calls that hang are counted by [`call_within`](crate::Breaker::call_within). A call that is dropped at SIGTERM would count too, and a probe would reopen the circuit at each scale-down |
    /// | `on_store_outage` | `FailOpen` | an environment may not live as long as an outage of the store |
    ///
    /// ```
    /// use std::time::Duration;
    /// use fuseboard::Config;
    ///
    /// let config = Config::for_lambda().recovery_timeout(Duration::from_secs(60)).build()?;
    /// assert_eq!(config.probe_lease(), Duration::from_secs(10));
    /// # Ok::<(), fuseboard::ConfigError>(())
    /// ```
    pub fn for_lambda() -> ConfigBuilder {
        Self::builder()
            .success_threshold(2)
            .also_trip(Rule::votes(5, 2))
            .refresh_ahead(false)
            .probe_lease(Duration::from_secs(10))
            .probe_limit(Duration::from_secs(120))
    }
}
