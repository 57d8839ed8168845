//! A process of an older version of the crate.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::player::Called;
use crate::support::engine::TABLE;

/// Names the folders of older versions, as `PATH` does.
const OLDER: &str = "FUSEBOARD_OLDER";

/// The older versions that there are. Says so where there is none.
pub(super) fn versions() -> Vec<PathBuf> {
    let named = env::var_os(OLDER).filter(|named| !named.is_empty());
    if named.is_none() {
        // Past the capture of output: a test that did nothing is to be seen.
        let _ = writeln!(io::stderr(), "skipped: {OLDER} names no older version of the crate");
    }
    named.iter().flat_map(env::split_paths).collect()
}

/// Its `interop_env`. Killed when it is dropped.
pub(super) struct Older {
    _process: Child,
    folder: PathBuf,
    endpoint: String,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Older {
    pub(super) async fn start(folder: &Path, endpoint: String, now: i64) -> Self {
        let mut process = Command::new(folder.join("interop_env"))
            .args(["--endpoint-url", &endpoint, "--table", TABLE, "--clock", "fake"])
            .args(["--now", &now.to_string()])
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{OLDER} names {}: {error}", folder.display()));
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let folder = folder.to_owned();
        let mut this = Self { _process: process, folder, endpoint, orders, answers };
        assert_eq!(this.hear().await["op"], "ready");
        this
    }

    pub(super) async fn call(&mut self, circuit: &str, at: i64, outcome: &str) -> Called {
        let order = json!({"op": "call", "circuit": circuit, "outcome": outcome});
        called(&self.asked(at, &order).await)
    }

    /// A call whose function does not return before [`end`](Self::end).
    pub(super) async fn park(&mut self, circuit: &str, at: i64) {
        let order = json!({"op": "begin", "call": "parked", "circuit": circuit});
        let answer = self.asked(at, &order).await;
        assert_eq!(answer["entered"], true, "{answer}");
    }

    pub(super) async fn end(&mut self, at: i64, outcome: &str) -> Called {
        let order = json!({"op": "end", "call": "parked", "outcome": outcome});
        called(&self.asked(at, &order).await)
    }

    /// What an operator orders by this version.
    pub(super) async fn orders(&self, circuit: &str, at: i64, order: &[&str]) {
        let status = Command::new(self.folder.join("operator"))
            .args([&self.endpoint, TABLE, circuit, &at.to_string()])
            .args(order)
            .env("NO_PROXY", "127.0.0.1")
            .status()
            .await;
        assert!(status.unwrap().success(), "{order:?}");
    }

    async fn asked(&mut self, at: i64, order: &Value) -> Value {
        self.say(&json!({"op": "set_time", "now": at})).await;
        self.hear().await;
        self.say(order).await;
        self.hear().await
    }

    async fn say(&mut self, order: &Value) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        self.orders.flush().await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = self.answers.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("{} ended, see above", self.folder.display()));
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        answer
    }
}

fn called(answer: &Value) -> Called {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let made = answer["transitions"].as_array().unwrap().iter();
    let made = made.filter(|it| it["origin"] == "Local" && it["from"] != it["to"]);
    Called {
        result: text(&answer["result"]),
        seen: None,
        made: made.map(|it| (text(&it["from"]), text(&it["to"]))).collect(),
    }
}
