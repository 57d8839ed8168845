//! A process that is killed while it probes: this test binary, started by itself.

use std::{env, io::Write as _, process::Stdio};

use fuseboard::Config;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::process::Process;
use crate::world::{World, now, open, soon, store_at};

/// Where a process finds the engine.
const ENGINE: &str = "FUSEBOARD_TEST_ENGINE";

/// Which circuit it probes.
const NAME: &str = "FUSEBOARD_TEST_CIRCUIT";

/// The test that becomes a process where [`ENGINE`] is set.
const ENTRY: &str = "runbook::child::a_prober_is_a_process_that_can_be_killed";

/// A process that has the right to probe, and makes a call that does not end.
pub(super) struct Prober(Child);

impl Prober {
    pub(super) async fn start(world: &World, circuit: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", ENTRY, "--nocapture"])
            .env(ENGINE, &world.endpoint)
            .env(NAME, circuit)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let probing = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.ends_with("probing") {
                    return true;
                }
            }
            false
        };
        assert!(soon("it probes", probing).await);
        Self(child)
    }

    /// Kills it, as the system does to a process that has no memory left.
    pub(super) async fn killed(mut self) {
        self.0.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_prober_is_a_process_that_can_be_killed() {
    let Ok(engine) = env::var(ENGINE) else {
        let world = World::new().await;
        world.put("search", &open(now() - 40));
        let prober = Prober::start(&world, "search").await;
        assert_eq!(world.item("search").unwrap()["state"]["S"], "HALF_OPEN");
        let id = prober.0.id().unwrap();
        prober.killed().await;
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
        return;
    };
    let circuit = env::var(NAME).unwrap();
    let process = Process::start(store_at(&engine), "task-17", &circuit, Config::default());
    let _permit = process.probe().await;
    std::io::stdout().write_all(b"probing\n").unwrap();
    std::future::pending::<()>().await;
}
