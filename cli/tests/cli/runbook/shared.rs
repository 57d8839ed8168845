//! Circuits that open again and again, tables that Python functions share, operators at once.

use std::{process::Stdio, time::Duration};

use fuseboard::{CircuitState, Config, OperatorError};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
};

use super::{
    CIRCUIT,
    page::{self, Scene},
    process::{Other, Process},
    shell::Shell,
};
use crate::world::{World, half_open_by_python, now, soon};

/// A command that watches, and what it has printed.
struct Watching {
    process: Child,
    out: Lines<BufReader<ChildStdout>>,
    seen: String,
}

impl Watching {
    fn start(shell: &Shell<'_>, line: &str) -> Self {
        let mut process = shell.command(line).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, out, seen: format!("$ {line}\n") }
    }

    /// Waits for the line that ends so, which is the next one.
    async fn tells(&mut self, end: &str) {
        let line = soon("a line is printed", self.out.next_line()).await.unwrap().unwrap();
        assert!(line.contains(end), "{end:?}: {line}");
        self.seen += &format!("{line}\n");
    }

    async fn interrupted(mut self) -> String {
        let id = Pid::from_raw(self.process.id().unwrap().cast_signed()).unwrap();
        kill_process(id, Signal::INT).unwrap();
        let status = soon("it ends", self.process.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{status:?}");
        format!("{}^C\n", self.seen)
    }
}

#[tokio::test]
async fn a_circuit_that_opens_again_and_again_is_watched() {
    let world = World::new().await;
    let mut page = Scene::new("A circuit opens again and again");
    let anna = Shell::of(&world, "anna");
    let config = Config::builder()
        // A look comes before the probe is due.
        .recovery_timeout(Duration::from_secs(4))
        .election_spread(Duration::ZERO)
        .handoff(Duration::from_millis(50))
        .build()
        .unwrap();
    let process = Process::start(world.store(), "task-42", CIRCUIT, config);
    process.fails(5).await;
    let mut watching = Watching::start(&anna, "fuseboard watch payment-backend --interval 200ms");
    watching.tells("OPEN (5 failures in a row; a probe is due in ").await;
    for _ in 0..2 {
        let probe = process.probe().await;
        watching.tells("OPEN -> HALF_OPEN (task-42 probes)").await;
        probe.success().settled().await;
        process.works(2).await;
        watching.tells("HALF_OPEN -> CLOSED").await;
        process.fails(5).await;
        watching.tells("CLOSED -> OPEN (5 failures in a row; a probe is due in ").await;
    }
    page.block(watching.interrupted().await);
    page.matches_the_page();
}

#[tokio::test]
async fn a_row_of_python_functions_lacks_what_only_this_crate_writes() {
    let world = World::new().await;
    let mut page = Scene::new("Python functions share the table");
    let anna = Shell::of(&world, "anna");
    let since = now() - 10;
    world.put(
        CIRCUIT,
        &json!({"state": "OPEN", "failure_count": 5, "opened_at": since, "expiration": since + 3_630}),
    );
    world.put("search", &half_open_by_python(now() + 21));
    page.block(anna.runs("fuseboard list").await + &anna.runs("fuseboard show search").await);
    page.block(
        anna.runs("fuseboard hold payment-backend --for 10m --reason \"bank is down, INC-77\"")
            .await,
    );
    // What Powertools rejects by, until somebody has probed or released it.
    world.age(CIRCUIT, 700);
    page.block(anna.runs("fuseboard list").await);
    assert_eq!(world.item(CIRCUIT).unwrap()["half_open_owner"]["S"], "hold#bank is down, INC-77");
    anna.runs("fuseboard release payment-backend").await;
    assert_eq!(world.item(CIRCUIT).unwrap().get("half_open_owner"), None);
    page.matches_the_page();
}

#[tokio::test]
async fn of_two_operators_the_second_is_told_what_the_first_has_done() {
    let world = World::new().await;
    let mut page = Scene::new("Two operators at once");
    Other::named(&world, "task-3").trips(Config::default()).await;
    let (anna, bela) = (Shell::of(&world, "anna"), Shell::of(&world, "bela"));
    let first = "fuseboard hold payment-backend --for 2h --reason \"bank is down, INC-77\"";
    page.block(anna.runs(first).await);
    let second = "fuseboard hold payment-backend --for 30m --reason \"looking at it\"";
    page.block(bela.ends(second, 1).await);
    page.block(bela.runs(&format!("{second} --replace")).await);
    page.block(anna.runs("fuseboard release payment-backend").await);
    let process = Process::here(&world, "task-42");
    process.works(1).await;
    assert_eq!(process.breaker.state(), CircuitState::Closed);
    let text = page::text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&OperatorError::Contended.to_string()));
    page.matches_the_page();
}
