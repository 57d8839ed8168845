//! The way of requests to the engine: what passes, what is denied, and what was sent.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// What happens to requests on their way.
#[derive(Clone, Default)]
pub(crate) struct Way(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Operations that a role lacks.
    denied: BTreeSet<&'static str>,
    /// No connection lasts.
    is_down: bool,
    /// The operations that were asked for, in order.
    asked: Vec<String>,
}

impl Way {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Denies an operation, as a policy would.
    pub(crate) fn deny(&self, operation: &'static str) {
        self.with(|state| state.denied.insert(operation));
    }

    /// Breaks every connection from now on, or lets them be.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.with(|state| state.is_down = is_down);
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
            state.denied.contains(operation).then(|| denial(operation))
        })
    }
}

fn denial(operation: &str) -> String {
    let body = format!(
        "{{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"Message\":\"User: \
         arn:aws:sts::123456789012:assumed-role/ops is not authorized to perform: \
         dynamodb:{operation} on resource: circuits because no identity-based policy allows it\"}}"
    );
    format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len())
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
        let answer = match way.meets(&operation(&request)) {
            Some(denial) => Some(denial.into_bytes()),
            None => ask(&mut engine, &request).await,
        };
        let Some(answer) = answer else { return };
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
