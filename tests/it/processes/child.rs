//! The process's side: this test binary, started by itself.

use std::{
    collections::HashMap,
    env,
    time::{Duration, SystemTime},
};

use fuseboard::{Breaker, BreakerRegistry, CallError, Hold};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    process::is_there,
    words::{Ended, Said, Told, hear, say, text_of},
    world::World,
};
use crate::support::dynamodb::CIRCUIT;

/// Says where the test listens that a process belongs to.
pub(super) const PARENT: &str = "FUSEBOARD_TEST_PARENT";

/// The test that becomes a process where [`PARENT`] is set.
pub(super) const ENTRY: &str =
    "processes::child::an_environment_is_a_process_that_ends_with_its_test";

#[test]
fn an_environment_is_a_process_that_ends_with_its_test() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(async {
        match env::var(PARENT) {
            Ok(parent) => serve(&parent).await,
            Err(_) => check().await,
        }
    });
}

async fn check() {
    let world = World::open().await;
    let mut running = world.process("A").await;
    let mut frozen = world.process("B").await;
    let ids = [running.id(), frozen.id()];
    assert!(!ids.contains(&std::process::id()));
    assert_eq!(running.succeeds().await, Ended::Value("fine".to_owned()));
    assert_eq!(frozen.fails().await, Ended::Error("down".to_owned()));
    frozen.freeze();
    assert!(ids.into_iter().all(is_there));
    drop((running, frozen));
    assert!(!ids.into_iter().any(is_there), "killed, and waited for");
}

/// Does what the test says, until the test is gone.
async fn serve(parent: &str) {
    // A stopped process would not notice that the test is gone.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    let stream = TcpStream::connect(parent).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (from, mut to) = stream.into_split();
    let mut lines = BufReader::new(from).lines();
    let Some(Told::Settings(settings)) = hear(&mut lines).await else {
        panic!("a process is told its settings first");
    };
    let registry = BreakerRegistry::builder(settings.store()).config(settings.config());
    let registry = registry.disabled(false).spawn().unwrap();
    let mut transitions = registry.subscribe();
    let (mut hands, mut words) = Hands::on(registry.breaker(CIRCUIT).unwrap());
    say(&mut to, &Said::Ready).await.unwrap();
    loop {
        // What was announced before a call came back is said before it.
        let word = tokio::select! {
            biased;
            Some(transition) = transitions.recv() => Said::Heard(text_of(&transition.unwrap())),
            Some(word) = words.recv() => word,
            Some(word) = hands.tasks.join_next() => word.unwrap(),
            told = hear(&mut lines) => match told {
                Some(told) => {
                    hands.carry_out(told);
                    continue;
                }
                None => return,
            },
        };
        if say(&mut to, &word).await.is_err() {
            return;
        }
    }
}

/// What a process has under way.
struct Hands {
    breaker: Breaker,
    words: mpsc::UnboundedSender<Said>,
    verdicts: HashMap<u64, oneshot::Sender<Result<String, String>>>,
    tasks: JoinSet<Said>,
}

impl Hands {
    fn on(breaker: Breaker) -> (Self, mpsc::UnboundedReceiver<Said>) {
        let (words, said) = mpsc::unbounded_channel();
        (Self { breaker, words, verdicts: HashMap::new(), tasks: JoinSet::new() }, said)
    }

    fn call(&mut self, number: u64, limit: Option<Duration>) {
        let breaker = self.breaker.clone();
        let (verdict, ends) = oneshot::channel();
        self.verdicts.insert(number, verdict);
        let words = self.words.clone();
        self.tasks.spawn(async move {
            let state = || breaker.snapshot().state().to_string();
            let dependency = || async {
                words.send(Said::Runs(number, state())).unwrap();
                ends.await.unwrap()
            };
            let result = match limit {
                Some(limit) => breaker.call_within(limit, dependency).await,
                None => breaker.call(dependency).await,
            };
            let ended = match result {
                Ok(value) => Ended::Value(value),
                Err(CallError::Inner(error)) => Ended::Error(error),
                Err(CallError::TimedOut(_)) => Ended::TimedOut,
                Err(CallError::Open(open)) => Ended::Rejected(open.circuit().state.to_string()),
            };
            Said::Ended(number, ended)
        });
    }

    fn carry_out(&mut self, told: Told) {
        let breaker = self.breaker.clone();
        match told {
            Told::Settings(_) => panic!("told twice"),
            Told::Call(number) => self.call(number, None),
            Told::CallWithin(number, limit) => self.call(number, Some(limit)),
            Told::Verdict(number, result) => {
                // A call that was cut hears nothing any more.
                let _ = self.verdicts.remove(&number).unwrap().send(result);
            }
            Told::Hold(span) => {
                self.tasks.spawn(async move {
                    breaker
                        .hold(Hold::open(system_time() + span).reason("maintenance"))
                        .await
                        .unwrap();
                    Said::Holds
                });
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an operator's clock is the system's")]
fn system_time() -> SystemTime {
    SystemTime::now()
}
