//! What a test and a process tell each other, as lines of JSON.

use std::{io, time::Duration};

use fuseboard::{CircuitTransition, Config, DynamoDbStore, Origin};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt, Lines};

use crate::support::engine::{TABLE, http_client};

/// How a process is set up. The rest is as by default.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Where its DynamoDB is.
    pub(super) port: u16,
    pub(super) failure_threshold: u32,
    pub(super) success_threshold: u32,
    pub(super) recovery_timeout: Duration,
    pub(super) probe_lease: Duration,
    pub(super) max_clock_skew: Duration,
    pub(super) local_cache_max_age: Duration,
    pub(super) store_timeout: Duration,
    pub(super) slow_after: Option<Duration>,
}

impl Settings {
    pub(super) fn store(&self) -> DynamoDbStore {
        let store = DynamoDbStore::builder(http_client(self.port), TABLE);
        store.operation_timeout(self.store_timeout).build().unwrap()
    }

    pub(super) fn config(&self) -> Config {
        let config = Config::builder();
        let config = match self.slow_after {
            Some(slow_after) => config.slow_after(slow_after),
            None => config,
        };
        config
            .failure_threshold(self.failure_threshold)
            .success_threshold(self.success_threshold)
            .recovery_timeout(self.recovery_timeout)
            .probe_lease(self.probe_lease)
            .max_clock_skew(self.max_clock_skew)
            .local_cache_max_age(self.local_cache_max_age)
            .store_timeout(self.store_timeout)
            .build()
            .unwrap()
    }
}

/// What a process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    /// First of all.
    Settings(Settings),
    /// Make a call. What it protects asks the test how to end.
    Call(u64),
    /// The same, with a limit.
    CallWithin(u64, Duration),
    /// The dependency's answer to a call.
    Verdict(u64, Result<String, String>),
    /// Hold the circuit open for so long.
    Hold(Duration),
}

/// What a process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    /// It can be told to call.
    Ready,
    /// A call was admitted and reached the dependency, while the process
    /// took the circuit to be in this state.
    Runs(u64, String),
    /// A call came back to its caller.
    Ended(u64, Ended),
    /// A transition, as a subscriber hears it: `CLOSED>OPEN local`.
    Heard(String),
    /// The hold stands.
    Holds,
}

/// What a caller got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ended {
    Value(String),
    Error(String),
    TimedOut,
    /// By a circuit in this state.
    Rejected(String),
}

/// A transition as text.
pub(super) fn text_of(transition: &CircuitTransition) -> String {
    let origin = match transition.origin {
        Origin::Local => "local",
        Origin::WithoutStore => "alone",
        Origin::Observed => "observed",
    };
    format!("{}>{} {origin}", transition.from_state, transition.to_state)
}

/// Writes one line.
pub(super) async fn say<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    word: &T,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    to.write_all(&line).await
}

/// Reads one line; `None` when the other end is gone.
pub(super) async fn hear<T: DeserializeOwned>(
    from: &mut Lines<impl AsyncBufRead + Unpin>,
) -> Option<T> {
    let line = from.next_line().await.ok()??;
    Some(serde_json::from_str(&line).unwrap())
}
