//! An environment: the function's process, and the Runtime API that it asks.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::{Value, json};

use crate::{
    partner::Partner,
    runtime_api::{Answered, Asked, Invocation, RuntimeApi},
    stage::soon,
    table::Table,
};

/// The function's timeout, if a test sets no other.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Environment {
    pub(crate) process: Process,
    api: RuntimeApi,
    /// The requests for invocations that wait.
    waiting: Vec<Asked>,
}

impl Environment {
    /// Starts a process, and waits until it asks for its first invocation.
    pub(crate) async fn start(table: Table, variables: &[(&'static str, String)]) -> Self {
        let api = RuntimeApi::serve(table).await;
        let process = Process::start(&api.address, variables);
        let mut this = Self { process, api, waiting: Vec::new() };
        this.asks().await;
        this
    }

    pub(crate) fn restores(&self) -> u64 {
        self.api.restores.load(Ordering::Relaxed)
    }

    /// Waits until it asks for an invocation, and returns the circuit's item of that moment.
    pub(crate) async fn asks(&mut self) -> Option<Value> {
        let asked = soon("it asks for an invocation", self.api.asked.recv()).await.unwrap();
        let item = asked.item.clone();
        self.waiting.push(asked);
        item
    }

    /// Gives an invocation with this order to whichever request waits.
    pub(crate) fn begins(&mut self, order: &str, timeout: Duration) {
        self.begins_until(order, unix_time() + timeout);
    }

    /// The same with a deadline of the test's own, since 1970.
    pub(crate) fn begins_until(&mut self, order: &str, deadline: Duration) {
        let event = json!({"id": order, "cents": 995});
        let invocation = Invocation { deadline_ms: deadline.as_millis(), event };
        let asked = self.waiting.pop().expect("it asks for no invocation");
        assert!(asked.give.send(invocation).is_ok(), "the request for an invocation is gone");
    }

    /// Waits until an invocation is answered.
    pub(crate) async fn answers(&mut self) -> Answered {
        soon("the invocation is answered", self.api.answered.recv()).await.unwrap()
    }

    /// Makes an invocation, and waits for its answer and until the next is asked for. Returns the
    /// answer, and the circuit's item of the latter moment.
    pub(crate) async fn invoke(&mut self, order: &str) -> (Answered, Option<Value>) {
        self.invoke_within(order, TIMEOUT).await
    }

    pub(crate) async fn invoke_within(
        &mut self,
        order: &str,
        timeout: Duration,
    ) -> (Answered, Option<Value>) {
        self.begins(order, timeout);
        let answered = self.answers().await;
        (answered, self.asks().await)
    }

    /// Invokes until an invocation reaches the partner, which has to hang, and leaves it there.
    pub(crate) async fn probes(&mut self, partner: &Partner) {
        let next = partner.calls() + 1;
        soon("it probes", async {
            loop {
                self.begins("probe", TIMEOUT);
                tokio::select! {
                    () = partner.gets(next) => return,
                    answered = self.answers() => assert!(answered.result.is_ok()),
                }
                self.asks().await;
            }
        })
        .await;
    }

    /// Invokes until the partner charges.
    pub(crate) async fn charges(&mut self) {
        let charged = Ok(json!({"charged": {"receipt": "charged"}}));
        soon("it is admitted", async { while self.invoke("next").await.0.result != charged {} })
            .await;
    }
}

/// The function's process, which ends with its test.
pub(crate) struct Process(Child);

impl Process {
    /// Starts it under a Runtime API.
    pub(crate) fn start(api: &str, variables: &[(&'static str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lambda_function"));
        let of_lambda = [
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_RUNTIME_API", api),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        command
            .env_clear()
            .envs(of_lambda)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        // The kernel continues what is stopped in a group that is orphaned, which that of the
        // test may become.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Stops it, as AWS Lambda does once it has asked for its next invocation.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until the process has ended.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        soon("the process ends", async {
            loop {
                match self.0.try_wait().unwrap() {
                    Some(status) => return status,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the system's clock shows.
#[expect(clippy::disallowed_methods, reason = "a runtime's clock is the system's")]
pub(crate) fn unix_time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}
