//! A process, as a test holds it in its hands.

use std::{
    env,
    future::Future,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process, waitpid};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::{
        TcpListener,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    child::{ENTRY, PARENT},
    relay::Relay,
    words::{Ended, Said, Settings, Told, hear, say},
};

/// How long anything may take that a test waits for, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what has to happen.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Whether there is such a process, be it one that nobody has waited for yet.
pub(super) fn is_there(id: u32) -> bool {
    test_kill_process(pid(id)).is_ok()
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}

/// One process with one registry.
pub(super) struct Process {
    pub(super) relay: Relay,
    name: &'static str,
    process: Running,
    tell: OwnedWriteHalf,
    hears: Lines<BufReader<OwnedReadHalf>>,
    said: Vec<Said>,
    calls: u64,
}

impl Process {
    pub(super) async fn start(name: &'static str, settings: Settings, relay: Relay) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let process = Command::new(env::current_exe().unwrap())
            .args(["--exact", ENTRY, "--nocapture"])
            .env(PARENT, listener.local_addr().unwrap().to_string())
            // The kernel continues what is stopped in a group that is orphaned,
            // which the group of the test may become.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let process = Running(process.unwrap());
        let (stream, _) = soon("it starts", listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (hears, tell) = stream.into_split();
        let hears = BufReader::new(hears).lines();
        let mut this = Self { relay, name, process, tell, hears, said: Vec::new(), calls: 0 };
        this.tell(&Told::Settings(settings)).await;
        this.until("ready", |word| (*word == Said::Ready).then_some(())).await;
        this
    }

    pub(super) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Begins a call, and waits for nothing.
    pub(super) async fn begin(&mut self) -> u64 {
        self.calls += 1;
        self.tell(&Told::Call(self.calls)).await;
        self.calls
    }

    /// Begins a call with a limit, and waits for nothing.
    pub(super) async fn begin_within(&mut self, limit: Duration) -> u64 {
        self.calls += 1;
        self.tell(&Told::CallWithin(self.calls, limit)).await;
        self.calls
    }

    /// Waits until a call reaches the dependency, in which state of the
    /// circuit, or comes back without.
    pub(super) async fn reaches(&mut self, call: u64) -> Result<String, Ended> {
        let of_call = move |word: &Said| {
            if let Said::Runs(number, state) = word
                && *number == call
            {
                return Some(Ok(state.clone()));
            }
            end_of(call, word).map(Err)
        };
        self.until("the call is admitted or not", of_call).await
    }

    /// The dependency answers a call. Also while the process is frozen.
    pub(super) async fn answer(&mut self, call: u64, result: Result<&str, &str>) {
        let result = result.map(str::to_owned).map_err(str::to_owned);
        self.tell(&Told::Verdict(call, result)).await;
    }

    /// Waits for what the caller gets.
    pub(super) async fn ended(&mut self, call: u64) -> Ended {
        self.until("the call ends", |word| end_of(call, word)).await
    }

    /// Makes a call that the dependency answers like this, if it runs.
    pub(super) async fn calls(&mut self, result: Result<&str, &str>) -> Ended {
        let call = self.begin().await;
        if self.reaches(call).await.is_ok() {
            self.answer(call, result).await;
        }
        self.ended(call).await
    }

    pub(super) async fn succeeds(&mut self) -> Ended {
        self.calls(Ok("fine")).await
    }

    pub(super) async fn fails(&mut self) -> Ended {
        self.calls(Err("down")).await
    }

    /// Calls until a call is let through as a probe, and leaves it running.
    pub(super) async fn probe(&mut self) -> u64 {
        let call = async {
            loop {
                let call = self.begin().await;
                match self.reaches(call).await {
                    Ok(state) => {
                        assert_eq!(state, "HALF_OPEN", "{}", self.name);
                        return call;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        soon("it probes", call).await
    }

    /// Calls, successfully, until the circuit lets a call through again.
    pub(super) async fn recovers(&mut self) {
        let recovered = async {
            while self.succeeds().await != Ended::Value("fine".to_owned()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon("it recovers", recovered).await;
    }

    /// Holds the circuit open, as an operator does.
    pub(super) async fn hold(&mut self, span: Duration) {
        self.tell(&Told::Hold(span)).await;
        self.until("the hold", |word| (*word == Said::Holds).then_some(())).await;
    }

    /// What it announced as made by itself, in order, as far as was waited for.
    pub(super) fn made(&self) -> Vec<&str> {
        let heard = self.said.iter().filter_map(|word| {
            let Said::Heard(text) = word else {
                return None;
            };
            (!text.ends_with(" observed")).then_some(text.as_str())
        });
        heard.collect()
    }

    /// Stops it between any two instructions; it is stopped when this returns.
    pub(super) fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{}: {status:?}", self.name);
    }

    pub(super) fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Ends it as a crash does. What its relay holds is still on the way.
    pub(super) fn kill(&mut self) {
        self.process.end();
    }

    fn pid(&self) -> Pid {
        pid(self.id())
    }

    async fn tell(&mut self, told: &Told) {
        say(&mut self.tell, told).await.unwrap();
    }

    async fn until<T>(&mut self, what: &str, pick: impl Fn(&Said) -> Option<T>) -> T {
        if let Some(found) = self.said.iter().find_map(&pick) {
            return found;
        }
        let what = format!("{}: {what}", self.name);
        loop {
            let word = soon(&what, hear::<Said>(&mut self.hears)).await;
            let word = word.unwrap_or_else(|| panic!("it died; {what}"));
            self.said.push(word);
            if let Some(found) = self.said.last().and_then(&pick) {
                return found;
            }
        }
    }
}

/// A test that fails shows what its processes said and sent.
impl Drop for Process {
    #[expect(clippy::print_stdout, reason = "is shown if the test fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.said.len().saturating_sub(20);
            println!("{} said last: {:?}", self.name, &self.said[last..]);
            for passed in self.relay.passed() {
                let values = &passed.body["ExpressionAttributeValues"];
                println!("{} sent: {:?} {:?} {values}", self.name, passed.op, passed.status);
            }
        }
    }
}

/// What the caller got, if these words are the end of that call.
fn end_of(call: u64, word: &Said) -> Option<Ended> {
    let Said::Ended(number, ended) = word else {
        return None;
    };
    (*number == call).then(|| ended.clone())
}

/// A process that does not outlive its test, however that ends.
struct Running(Child);

impl Running {
    fn end(&mut self) {
        // Fails if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
