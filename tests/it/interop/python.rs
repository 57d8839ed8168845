//! A process of the reference.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::player::Called;

/// A process that runs the reference. Killed when it is dropped.
pub(super) struct Python {
    _process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Python {
    /// Starts `tests/interop/process.py`.
    pub(super) async fn start(interpreter: &str, told: &Value) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/process.py");
        let mut process = Command::new(interpreter)
            .args([script, &told.to_string()])
            .env_remove("POWERTOOLS_CIRCUIT_BREAKER_DISABLED")
            .env_remove("AWS_PROFILE")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("FUSEBOARD_PYTHON={interpreter}: {error}"));
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut this = Self { _process: process, orders, answers };
        let ready = this.hear().await;
        let wanted = include_str!("../../interop/requirements.txt");
        let found = format!("aws-lambda-powertools=={}", ready["powertools"].as_str().unwrap());
        assert!(wanted.lines().any(|line| line == found), "{interpreter} has {found}");
        this
    }

    pub(super) async fn call(&mut self, circuit: &str, at: i64, outcome: &str) -> Called {
        self.say(&json!({"circuit": circuit, "at": at, "outcome": outcome})).await;
        self.called().await
    }

    /// A call whose function does not return before [`end`](Self::end).
    pub(super) async fn park(&mut self, circuit: &str, at: i64) {
        self.say(&json!({"circuit": circuit, "at": at, "outcome": "park"})).await;
        assert_eq!(self.hear().await, json!({"parked": true}));
    }

    pub(super) async fn end(&mut self, at: i64, outcome: &str) -> Called {
        self.say(&json!({"at": at, "outcome": outcome})).await;
        self.called().await
    }

    async fn called(&mut self) -> Called {
        serde_json::from_value(self.hear().await).unwrap()
    }

    async fn say(&mut self, order: &Value) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        self.orders.flush().await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = self.answers.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("the reference ended, see above"));
        serde_json::from_str(&line).unwrap()
    }
}
