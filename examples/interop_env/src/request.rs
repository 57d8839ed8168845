//! What can be asked.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

/// One request. Fields that an operation does not have are ignored.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Op {
    Call(CallOp),
    Begin(CallOp),
    End(EndOp),
    Burst(BurstOp),
    State(Named),
    Sleep(Seconds),
    Advance(Seconds),
    SetTime(SetTime),
    Skew(Seconds),
    Config(ConfigOp),
    PutRow(PutRow),
    DeleteRow(Named),
    FailStore(FailStore),
    DelayStore(DelayStore),
    HealStore,
    Requests(LogOp),
    Transitions(LogOp),
    Owner(Named),
    ClearCache(Named),
    Restart,
    Ping,
    Exit,
}

/// How the protected function ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    #[default]
    Ok,
    Fail,
    Ignored,
    /// Asks for the circuit to be open for `open_for` seconds.
    OpenFor,
    Cancel,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CallOp {
    pub(crate) call: Option<Value>,
    pub(crate) circuit: Option<String>,
    pub(crate) outcome: Ending,
    pub(crate) sleep: f64,
    pub(crate) advance: f64,
    pub(crate) open_for: f64,
    pub(crate) params: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct EndOp {
    pub(crate) call: Value,
    pub(crate) outcome: Option<Ending>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BurstOp {
    #[serde(default = "eight")]
    pub(crate) n: usize,
    #[serde(flatten)]
    pub(crate) each: CallOp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Named {
    pub(crate) circuit: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Seconds {
    pub(crate) seconds: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SetTime {
    pub(crate) now: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConfigOp {
    pub(crate) circuit: Option<String>,
    pub(crate) failure_threshold: Option<u32>,
    pub(crate) recovery_timeout: Option<u64>,
    pub(crate) success_threshold: Option<u32>,
    pub(crate) local_cache_max_age: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PutRow {
    pub(crate) circuit: Option<String>,
    pub(crate) item: HashMap<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FailStore {
    #[serde(default = "every_operation")]
    pub(crate) ops: Vec<String>,
    #[serde(default = "throttled")]
    pub(crate) code: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DelayStore {
    #[serde(default = "every_operation")]
    pub(crate) ops: Vec<String>,
    pub(crate) seconds: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LogOp {
    pub(crate) clear: bool,
    pub(crate) log: bool,
}

fn eight() -> usize {
    8
}

fn every_operation() -> Vec<String> {
    vec!["*".to_owned()]
}

fn throttled() -> String {
    "ProvisionedThroughputExceededException".to_owned()
}
