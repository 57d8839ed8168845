//! The way from a registry's SDK client to the engine, with faults on it.
//!
//! One relay for each registry. It knows whole requests, so that it can lose the
//! answer of a write that was applied, and apply one that nobody waits for.

mod frame;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::frame::Frame;
use crate::{
    engine::line::{Counted, Word, say},
    weather::{Fate, Weather},
    write::Write,
};

/// What passed all relays.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    requests: Mutex<BTreeMap<String, u64>>,
    faults: Mutex<BTreeMap<String, u64>>,
    /// Connections that stand now, and the most that ever stood.
    connections: AtomicUsize,
    most_connections: AtomicUsize,
}

impl Traffic {
    pub(crate) fn counted(&self) -> Counted {
        Counted {
            requests: self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            faults: self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            most_connections: self.most_connections.load(Ordering::Relaxed),
        }
    }

    fn note(&self, operation: &str, fate: Fate) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        match requests.get_mut(operation) {
            Some(count) => *count = count.saturating_add(1),
            None => _ = requests.insert(operation.to_owned(), 1),
        }
        let fault = match fate {
            Fate::Pass => return,
            Fate::Delay(_) => "delayed",
            Fate::Late(_) => "applied late",
            Fate::LoseRequest => "request lost, reset",
            Fate::LoseAnswer => "answer lost, reset",
            Fate::HalfAnswer => "half an answer",
            Fate::Hang(_) => "hung",
            Fate::Throttle => "throttled",
            Fate::Error => "answered 500",
        };
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let count = faults.entry(fault.to_owned()).or_default();
        *count = count.saturating_add(1);
    }
}

/// The relay of one registry.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) registry: usize,
    pub(crate) engine: SocketAddr,
    pub(crate) weather: Arc<Weather>,
    pub(crate) traffic: Arc<Traffic>,
    /// Changes when every connection is to end on which nothing is under way.
    pub(crate) parted: watch::Receiver<u64>,
    pub(crate) requests: AtomicU64,
}

impl Relay {
    /// Serves until it is stopped; then every connection is dropped.
    pub(crate) async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let this = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return connections.shutdown().await,
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    connections.spawn(Arc::clone(&this).connection(client));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(self: Arc<Self>, client: TcpStream) {
        let _standing = Standing::new(&self.traffic);
        // A connection that breaks is what this is for.
        let _ = self.requests_of(client).await;
    }

    async fn requests_of(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut client = BufReader::new(client);
        let mut engine = None;
        let mut parted = self.parted.clone();
        parted.mark_unchanged();
        loop {
            let request = tokio::select! {
                request = frame::read(&mut client) => request?,
                _ = parted.changed() => return Ok(()),
            };
            let Some(request) = request else {
                return Ok(());
            };
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            let fate = self.weather.fate(self.registry, number);
            self.traffic.note(&request.operation, fate);
            match fate {
                Fate::Pass => {}
                Fate::Delay(delay) => tokio::time::sleep(delay).await,
                Fate::Late(delay) => {
                    tokio::time::sleep(delay).await;
                    self.ask(&mut engine, &request, false).await?;
                    return Ok(());
                }
                Fate::LoseRequest => return client.get_ref().set_zero_linger(),
                Fate::LoseAnswer => {
                    self.ask(&mut engine, &request, false).await?;
                    return client.get_ref().set_zero_linger();
                }
                Fate::HalfAnswer => {
                    let answer = self.ask(&mut engine, &request, false).await?;
                    let (half, _) = answer.bytes.split_at(answer.bytes.len() >> 1);
                    return client.get_mut().write_all(half).await;
                }
                Fate::Hang(time) => {
                    tokio::time::sleep(time).await;
                    return Ok(());
                }
                Fate::Throttle => {
                    let answer = frame::refusal("400 Bad Request", "ThrottlingException");
                    client.get_mut().write_all(&answer).await?;
                    continue;
                }
                Fate::Error => {
                    let answer = frame::refusal("500 Internal Server Error", "InternalServerError");
                    client.get_mut().write_all(&answer).await?;
                    continue;
                }
            }
            let answer = self.ask(&mut engine, &request, true).await?;
            client.get_mut().write_all(&answer.bytes).await?;
        }
    }

    /// Lets the engine answer, and says what it wrote.
    async fn ask(
        &self,
        engine: &mut Option<BufReader<TcpStream>>,
        request: &Frame,
        delivered: bool,
    ) -> io::Result<Frame> {
        if engine.is_none() {
            let stream = TcpStream::connect(self.engine).await?;
            stream.set_nodelay(true)?;
            *engine = Some(BufReader::new(stream));
        }
        let Some(engine) = engine else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        engine.get_mut().write_all(&request.bytes).await?;
        let answer = frame::read(engine).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if request.operation == "UpdateItem"
            && answer.is_good()
            && let Some((circuit, write)) = Write::sent(request.body())
        {
            say(&Word::Wrote { registry: self.registry, circuit, write, delivered });
        }
        Ok(answer)
    }
}

/// Counts a connection for as long as it stands.
struct Standing<'a>(&'a Traffic);

impl<'a> Standing<'a> {
    fn new(traffic: &'a Traffic) -> Self {
        let standing = traffic.connections.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        traffic.most_connections.fetch_max(standing, Ordering::Relaxed);
        Self(traffic)
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
