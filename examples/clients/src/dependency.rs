//! A server that answers every request alike, as it is told.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// How the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// 200, and an empty JSON object.
    Well,
    /// 404.
    Unknown,
    /// 429, and when to come back: in a second.
    Busy,
    /// 500.
    Failing,
    /// 200, and the connection ends before the body does.
    BreakingOff,
    /// Not within an hour.
    Hanging,
}

const MOODS: [Mood; 6] =
    [Mood::Well, Mood::Unknown, Mood::Busy, Mood::Failing, Mood::BreakingOff, Mood::Hanging];

/// A server on loopback, which ends when it is dropped.
#[derive(Debug)]
pub struct Dependency {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<io::Result<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    mood: AtomicU8,
    requests: AtomicUsize,
}

impl Dependency {
    /// Starts the server, well.
    ///
    /// # Errors
    ///
    /// There is no port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, shared) = (listener.local_addr()?, Arc::<Shared>::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _tasks: tasks })
    }

    /// Returns where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers like this.
    pub fn is(&self, mood: Mood) {
        let place = MOODS.iter().position(|other| *other == mood).unwrap_or_default();
        self.shared.mood.store(u8::try_from(place).unwrap_or_default(), Ordering::Relaxed);
    }

    /// Returns how many requests have reached it.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await?;
        connections.spawn(answer(client, Arc::clone(&shared)));
    }
}

async fn answer(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().map_err(io::Error::other)?;
            }
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    client.read_exact(&mut vec![0; length]).await?;
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let mood = MOODS.get(usize::from(shared.mood.load(Ordering::Relaxed)));
    let (head, length) = match mood.unwrap_or(&Mood::Well) {
        Mood::Well => ("200 OK", 2),
        Mood::Unknown => ("404 Not Found", 2),
        Mood::Busy => ("429 Too Many Requests\r\nretry-after: 1", 2),
        Mood::Failing => ("500 Internal Server Error", 2),
        Mood::BreakingOff => ("200 OK", 2_000),
        Mood::Hanging => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            return Ok(());
        }
    };
    let answer =
        format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{{}}");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
