//! A TCP way to an engine, on which bytes are lost, cut, late or wrong.
//!
//! For what only a socket can show; real time passes on it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::engine::{HttpServer, http_client};

/// What happens to a request that was received whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing: the engine's answer goes back.
    None,
    /// The connection is closed in good order, without an answer.
    Close,
    /// The connection is reset.
    Reset,
    /// The engine does as it is asked, and the connection is reset.
    ResetAfter,
    /// The engine's answer is cut off in mid-body, and the connection closed.
    CloseInBody,
    /// Nothing more comes.
    Hang,
    /// The engine does as it is asked, and nothing more comes.
    HangAfter,
    /// The engine's answer comes, one byte now and then.
    Drip,
    /// These bytes come, from whoever, and the connection is closed.
    Say(&'static str),
}

/// Between two bytes of [`Trouble::Drip`].
const DRIP: Duration = Duration::from_millis(20);

/// One way to one engine.
pub(crate) struct Wire {
    port: u16,
    state: Arc<Mutex<State>>,
    /// Ends with this.
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    /// What the next requests meet, before what all others meet.
    next: Vec<Trouble>,
    always: Option<Trouble>,
    /// What writes meet instead.
    writes: Option<Trouble>,
    /// Connections with a lower number are dead: they hang.
    alive_from: usize,
    connections: usize,
    requests: usize,
}

impl State {
    /// What a request on this connection meets.
    fn meet(&mut self, connection: usize, request: &[u8]) -> Trouble {
        self.requests += 1;
        if connection < self.alive_from {
            Trouble::Hang
        } else if self.next.is_empty() {
            let writes = self.writes.filter(|_| is_write(request));
            writes.or(self.always).unwrap_or(Trouble::None)
        } else {
            self.next.remove(0)
        }
    }
}

impl Wire {
    /// A way to this server.
    pub(crate) async fn to(server: &HttpServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let upstream = server.endpoint().replace("http://", "");
        let state = Arc::<Mutex<State>>::default();
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let mut state = lock(&shared);
                let number = state.connections;
                state.connections += 1;
                drop(state);
                connections.spawn(serve(client, number, upstream.clone(), Arc::clone(&shared)));
            }
        });
        Self { port, state, _tasks: tasks }
    }

    /// A client whose requests take this way.
    pub(crate) fn client(&self) -> Client {
        http_client(self.port)
    }

    /// All requests meet this, until something else is said.
    pub(crate) fn always(&self, trouble: Trouble) {
        lock(&self.state).always = Some(trouble);
    }

    /// All writes meet this, until something else is said of them.
    pub(crate) fn writes_meet(&self, trouble: Trouble) {
        lock(&self.state).writes = Some(trouble);
    }

    /// The next request meets this, whatever is said of all.
    pub(crate) fn next(&self, trouble: Trouble) {
        lock(&self.state).next.push(trouble);
    }

    /// Connections that exist already stay open and never answer again.
    pub(crate) fn let_connections_die(&self) {
        let mut state = lock(&self.state);
        state.alive_from = state.connections;
    }

    /// How many requests were received whole.
    pub(crate) fn requests(&self) -> usize {
        lock(&self.state).requests
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.state).connections
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_write(request: &[u8]) -> bool {
    let name = b"DynamoDB_20120810.UpdateItem";
    request.windows(name.len()).any(|part| part == name)
}

/// One connection, until it ends.
async fn serve(mut client: TcpStream, number: usize, upstream: String, state: Arc<Mutex<State>>) {
    while let Some(request) = message(&mut client).await {
        let trouble = lock(&state).meet(number, &request);
        match trouble {
            Trouble::None => {
                let answer = ask(&upstream, &request).await;
                if client.write_all(&answer).await.is_err() {
                    return;
                }
            }
            Trouble::Close => return,
            Trouble::Reset => return reset(&client),
            Trouble::ResetAfter => {
                ask(&upstream, &request).await;
                return reset(&client);
            }
            Trouble::CloseInBody => {
                let answer = ask(&upstream, &request).await;
                let _ = client.write_all(&answer[..answer.len() - 2]).await;
                return;
            }
            Trouble::Hang => return hang().await,
            Trouble::HangAfter => {
                ask(&upstream, &request).await;
                return hang().await;
            }
            Trouble::Drip => {
                for byte in ask(&upstream, &request).await {
                    if client.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(DRIP).await;
                }
            }
            Trouble::Say(bytes) => {
                let _ = client.write_all(bytes.as_bytes()).await;
                return;
            }
        }
    }
}

/// The connection stays open for as long as this waits.
async fn hang() {
    std::future::pending::<()>().await;
}

/// The connection ends with a reset when it is dropped.
fn reset(client: &TcpStream) {
    client.set_zero_linger().unwrap();
}

/// The engine's answer, as it stands on the wire.
async fn ask(upstream: &str, request: &[u8]) -> Vec<u8> {
    let mut engine = TcpStream::connect(upstream).await.unwrap();
    engine.write_all(request).await.unwrap();
    message(&mut engine).await.unwrap()
}

/// One request or answer, head and body; `None` when there is no further one.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let whole = head + length.map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < whole {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(bytes)
}
