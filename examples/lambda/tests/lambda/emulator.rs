//! The emulator that people develop with: `cargo lambda watch` and `invoke`. The environment
//! variable `FUSEBOARD_CARGO_LAMBDA` names its binary; without, this says so and passes.

use std::{
    env,
    io::{self, Write as _},
    net::TcpListener,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{
    environment::Process,
    partner::Mood,
    stage::{Stage, soon},
    table::state,
};

const CARGO_LAMBDA: &str = "FUSEBOARD_CARGO_LAMBDA";

/// `cargo lambda watch`, which starts no function by itself.
struct Emulator {
    binary: String,
    port: String,
    _process: Child,
}

impl Emulator {
    async fn start(binary: String) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = free.to_string();
        let mut command = Command::new(&binary);
        command.args(["lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1"]);
        command.args(["--invoke-port", &port]).kill_on_drop(true);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let this = Self { binary, port, _process: process };
        soon("the emulator listens", async {
            while tokio::net::TcpStream::connect(("127.0.0.1", free)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        this
    }

    /// Invokes the function, and returns what it answered.
    async fn invoke(&self, order: &str) -> Result<Value, String> {
        let event = json!({"id": order, "cents": 995}).to_string();
        let mut command = Command::new(&self.binary);
        command.args(["lambda", "invoke", "--invoke-address", "127.0.0.1"]);
        command.args(["--invoke-port", &self.port, "--data-ascii", &event]);
        let Output { status, stdout, stderr } =
            soon("the invocation ends", command.output()).await.unwrap();
        let said = String::from_utf8(stdout).unwrap();
        match serde_json::from_str(&said) {
            Ok(answer) if status.success() => Ok(answer),
            _ => Err(said + &String::from_utf8(stderr).unwrap()),
        }
    }
}

#[tokio::test]
async fn case_188_the_emulator_with_its_deadline_in_1970_runs_it_too() {
    let Ok(binary) = env::var(CARGO_LAMBDA) else {
        // Past the capture of output: a test that did nothing is to be seen.
        let _ = writeln!(io::stderr(), "skipped: {CARGO_LAMBDA} names no cargo-lambda");
        return;
    };
    let stage = Stage::open().await.with("CALL_TIMEOUT_MS", "500");
    let emulator = Emulator::start(binary).await;
    let api = format!("http://127.0.0.1:{}/.rt", emulator.port);
    let mut process = Process::start(&api, &stage.variables);
    assert_eq!(emulator.invoke("1").await, Ok(json!({"charged": {"receipt": "charged"}})));
    stage.partner.is(Mood::Hangs);
    for order in ["2", "3"] {
        let cut = emulator.invoke(order).await.unwrap_err();
        assert!(cut.contains("was cut after its limit"), "{cut}");
    }
    assert!(emulator.invoke("4").await.unwrap().get("kept_for_later").is_some());
    assert_eq!(state(&stage.table.circuit()), Some("OPEN"));
    process.terminate();
    assert!(process.ends().await.success());
}
