//! The way of requests to the engine: what passes, what is denied, and what was sent.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
    task::JoinSet,
};

use crate::world::soon;

/// What happens to requests on their way.
#[derive(Clone, Default)]
pub(crate) struct Way(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Operations that a role lacks.
    denied: BTreeSet<&'static str>,
    /// The only operations that a role has, if it is not to have all.
    allowed: Option<&'static [&'static str]>,
    /// No connection lasts.
    is_down: bool,
    /// Every request is throttled.
    is_throttled: bool,
    /// By how many seconds the engine's clock is ahead of the system's.
    ahead: i64,
    /// The operations that were asked for, in order.
    asked: Vec<String>,
    /// The operations whose next requests wait on the way.
    stops: VecDeque<(&'static str, Stop)>,
}

/// Where a request waits.
struct Stop {
    arrived: oneshot::Sender<()>,
    goes_on: oneshot::Receiver<()>,
}

/// A request that waits on its way, or will.
pub(crate) struct Stopped {
    arrived: oneshot::Receiver<()>,
    go_on: oneshot::Sender<()>,
}

impl Stopped {
    /// Waits until the request is there.
    pub(crate) async fn arrived(&mut self) {
        soon("a request arrives", &mut self.arrived).await.unwrap();
    }

    /// Lets the request go on.
    pub(crate) fn go_on(self) {
        self.go_on.send(()).unwrap();
    }
}

impl Way {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Denies an operation, as a policy would.
    pub(crate) fn deny(&self, operation: &'static str) {
        self.with(|state| state.denied.insert(operation));
    }

    /// Denies all but these operations, as the policy of a role would.
    pub(crate) fn allow_only(&self, operations: &'static [&'static str]) {
        self.with(|state| state.allowed = Some(operations));
    }

    /// Allows every operation that is not denied.
    pub(crate) fn allow_all(&self) {
        self.with(|state| state.allowed = None);
    }

    /// Throttles every request from now on, or lets them be.
    pub(crate) fn set_throttled(&self, is_throttled: bool) {
        self.with(|state| state.is_throttled = is_throttled);
    }

    /// Sets the engine's clock ahead by so many seconds.
    pub(crate) fn set_ahead(&self, seconds: i64) {
        self.with(|state| state.ahead = seconds);
    }

    /// Breaks every connection from now on, or lets them be.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.with(|state| state.is_down = is_down);
    }

    /// Stops the next request for an operation on its way; of several stops the first one first.
    pub(crate) fn stop(&self, operation: &'static str) -> Stopped {
        let (arrives, arrived) = oneshot::channel();
        let (go_on, goes_on) = oneshot::channel();
        let stop = Stop { arrived: arrives, goes_on };
        self.with(|state| state.stops.push_back((operation, stop)));
        Stopped { arrived, go_on }
    }

    /// Waits if a request for this operation is to be stopped.
    async fn passes(&self, operation: &str) {
        let stop = self.with(|state| {
            let place = state.stops.iter().position(|(stopped, _)| *stopped == operation)?;
            state.stops.remove(place)
        });
        if let Some((_, stop)) = stop {
            let _ = stop.arrived.send(());
            let _ = stop.goes_on.await;
        }
    }

    /// The operations that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.with(|state| state.asked.clone())
    }

    fn is_down(&self) -> bool {
        self.with(|state| state.is_down)
    }

    /// What is answered in the engine's place.
    fn meets(&self, operation: &str) -> Option<String> {
        self.with(|state| {
            state.asked.push(operation.to_owned());
            let lacks = |allowed: &[&str]| !allowed.contains(&operation);
            let is_denied = state.denied.contains(operation) || state.allowed.is_some_and(lacks);
            if is_denied { Some(denial(operation)) } else { state.is_throttled.then(throttling) }
        })
    }

    /// The answer with the time of the engine's clock.
    fn dated(&self, answer: Vec<u8>) -> Vec<u8> {
        match self.with(|state| state.ahead) {
            0 => answer,
            ahead => dated(&answer, ahead),
        }
    }
}

fn denial(operation: &str) -> String {
    let body = format!(
        "{{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"Message\":\"User: \
         arn:aws:sts::123456789012:assumed-role/ops is not authorized to perform: \
         dynamodb:{operation} on resource: circuits because no identity-based policy allows it\"}}"
    );
    refusal(&body)
}

fn throttling() -> String {
    refusal(
        "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException\",\
         \"message\":\"The level of configured provisioned throughput for the table was exceeded\"}",
    )
}

fn refusal(body: &str) -> String {
    format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// An answer whose date is that of a clock that is ahead of the system's.
fn dated(answer: &[u8], ahead: i64) -> Vec<u8> {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed();
    let date = DateTime::from_secs(now + ahead).fmt(DateTimeFormat::HttpDate).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let heads = String::from_utf8_lossy(&answer[..end]).into_owned();
    let is_date = |line: &&str| line.to_ascii_lowercase().starts_with("date:");
    let kept: Vec<_> = heads.lines().filter(|line| !is_date(line)).collect();
    let mut bytes = format!("{}\r\ndate: {date}", kept.join("\r\n")).into_bytes();
    bytes.extend(&answer[end..]);
    bytes
}

/// Passes requests on to the engine until its task ends.
pub(crate) async fn serve(listener: TcpListener, engine: u16, way: Way) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if !way.is_down() {
            connections.spawn(relay(client, engine, way.clone()));
        }
    }
}

async fn relay(client: TcpStream, engine: u16, way: Way) {
    let engine = TcpStream::connect(("127.0.0.1", engine)).await.unwrap();
    let (from_client, mut to_client) = client.into_split();
    let (from_engine, to_engine) = engine.into_split();
    let mut requests = BufReader::new(from_client);
    let mut engine = (BufReader::new(from_engine), to_engine);
    while let Some(request) = message(&mut requests).await {
        if way.is_down() {
            return;
        }
        let operation = operation(&request);
        way.passes(&operation).await;
        let answer = match way.meets(&operation) {
            Some(denial) => Some(denial.into_bytes()),
            None => ask(&mut engine, &request).await,
        };
        let Some(answer) = answer.map(|answer| way.dated(answer)) else { return };
        if to_client.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn ask(
    (answers, requests): &mut (BufReader<OwnedReadHalf>, OwnedWriteHalf),
    request: &[u8],
) -> Option<Vec<u8>> {
    requests.write_all(request).await.ok()?;
    message(answers).await
}

/// The next request or response, whole; `None` at the end.
async fn message(from: &mut BufReader<OwnedReadHalf>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(from.read_u8().await.ok()?);
    }
    let length = header(&bytes, "content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    from.read_exact(&mut body).await.ok()?;
    bytes.extend(body);
    Some(bytes)
}

fn operation(request: &[u8]) -> String {
    let target = header(request, "x-amz-target").unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

fn header(message: &[u8], name: &str) -> Option<String> {
    let end = message.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let heads = String::from_utf8_lossy(&message[..end]).into_owned();
    let mut fields = heads.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    Some(value.trim().to_owned())
}
