//! A process's way to DynamoDB, on which a test may hold what passes.

mod message;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

pub(super) use self::message::Op;
use self::message::{Message, Reader};
use super::process::soon;

/// Where something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Before it reaches the engine.
    Request,
    /// When the engine has answered, before the process sees that.
    Answer,
}

/// One request, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) op: Op,
    pub(super) body: serde_json::Value,
    /// The engine's status; `None` before it answered.
    pub(super) status: Option<u16>,
}

/// A server that passes on what one process sends, to the engine.
pub(super) struct Relay {
    port: u16,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    /// Address of the engine.
    engine: String,
    passed: Mutex<Vec<Passed>>,
    holds: Mutex<Vec<Arc<Gate>>>,
    changed: watch::Sender<()>,
}

struct Gate {
    op: Op,
    side: Side,
    open: watch::Sender<bool>,
    arrived: watch::Sender<bool>,
}

/// Holds what a relay was told to hold, and its retries, until it is released.
pub(super) struct Held(Arc<Gate>);

impl Held {
    /// Waits until something is held.
    pub(super) async fn arrived(&self) {
        let mut arrived = self.0.arrived.subscribe();
        soon("something to hold", arrived.wait_for(|arrived| *arrived)).await.unwrap();
    }

    pub(super) fn release(&self) {
        self.0.open.send_replace(true);
    }
}

impl Relay {
    /// A relay to an engine at an address.
    pub(super) async fn to(engine: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            engine: engine.to_owned(),
            passed: Mutex::default(),
            holds: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, _tasks: tasks }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Holds every request for an operation, or every answer, from now on.
    pub(super) fn hold(&self, op: Op, side: Side) -> Held {
        let (open, arrived) = (watch::Sender::new(false), watch::Sender::new(false));
        let gate = Arc::new(Gate { op, side, open, arrived });
        lock(&self.shared.holds).push(Arc::clone(&gate));
        Held(gate)
    }

    /// The requests so far, in order of arrival.
    pub(super) fn passed(&self) -> Vec<Passed> {
        lock(&self.shared.passed).clone()
    }

    /// The requests for an operation so far.
    pub(super) fn passed_for(&self, op: Op) -> Vec<Passed> {
        self.passed().into_iter().filter(|passed| passed.op == op).collect()
    }

    /// The writes that the engine applied.
    pub(super) fn applied(&self) -> Vec<Op> {
        let applied = |passed: &Passed| passed.op != Op::Read && passed.status == Some(200);
        self.passed().iter().filter(|passed| applied(passed)).map(|passed| passed.op).collect()
    }

    /// Waits until the engine has answered every request for an operation, and
    /// returns its answers.
    pub(super) async fn answers(&self, op: Op) -> Vec<u16> {
        let mut changed = self.shared.changed.subscribe();
        let answered = async {
            loop {
                let statuses: Option<Vec<u16>> =
                    self.passed_for(op).iter().map(|passed| passed.status).collect();
                match statuses {
                    Some(statuses) if !statuses.is_empty() => return statuses,
                    Some(_) | None => changed.changed().await.unwrap(),
                }
            }
        };
        soon("answers of the engine", answered).await
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(pass(stream, Arc::clone(&shared)));
    }
}

/// Serves one connection. What has arrived is delivered to the engine, whether
/// or not the process is still there.
async fn pass(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let engine = TcpStream::connect(&shared.engine).await.unwrap();
    engine.set_nodelay(true).unwrap();
    let (mut process, mut engine) = (Reader::of(stream), Reader::of(engine));
    while let Some(request) = process.next().await {
        let (op, number) = shared.note(&request);
        shared.wait(op, Side::Request).await;
        engine.stream.write_all(&request.bytes).await.unwrap();
        let answer = engine.next().await.unwrap();
        shared.note_answer(number, answer.status());
        shared.wait(op, Side::Answer).await;
        if process.stream.write_all(&answer.bytes).await.is_err() {
            return;
        }
    }
}

impl Shared {
    fn note(&self, request: &Message) -> (Op, usize) {
        let op = request.op();
        let mut passed = lock(&self.passed);
        passed.push(Passed { op, body: request.json(), status: None });
        (op, passed.len() - 1)
    }

    fn note_answer(&self, number: usize, status: u16) {
        lock(&self.passed)[number].status = Some(status);
        self.changed.send_replace(());
    }

    async fn wait(&self, op: Op, side: Side) {
        let holds = lock(&self.holds).clone();
        for gate in holds.iter().filter(|gate| (gate.op, gate.side) == (op, side)) {
            let mut open = gate.open.subscribe();
            if !*open.borrow() {
                gate.arrived.send_replace(true);
                open.wait_for(|open| *open).await.unwrap();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
