//! A whole process: an HTTP client that calls a server on loopback over a kept
//! connection, with and without the breaker.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use fuseboard::{Breaker, BreakerRegistry, MemoryStore};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::{
    Failed, fresh, runtime,
    table::{Table, each, median_difference, nanos, percentile, time},
};

/// Short rounds, so that what is compared was measured under the same weather; as
/// many of each of the six orders of three.
const ROUNDS: usize = 1_200;
const REQUESTS: usize = 50;
const REQUEST: &[u8] = b"GET /charge HTTP/1.1\r\nhost: localhost\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

/// What a round is made with. The same again, without the breaker, shows how far two
/// measurements of one thing are apart.
const KINDS: [&str; 3] = ["without the breaker", "with it", "without it, again"];
const WITH: usize = 1;
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]];

pub(crate) fn run() -> Result<(), Failed> {
    let (address, stop, server) = server()?;
    let runtime = runtime()?;
    let rounds = runtime.block_on(async {
        let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
        let breaker = fresh(&registry, "charges", 5).await?;
        let mut client = TcpStream::connect(address).await?;
        client.set_nodelay(true)?;
        round(&mut client, None).await?;
        let mut rounds = Vec::with_capacity(ROUNDS);
        for order in ORDERS.iter().cycle().take(ROUNDS) {
            let mut times = [Duration::ZERO; KINDS.len()];
            for kind in order {
                let breaker = (*kind == WITH).then_some(&breaker);
                if let Some(time) = times.get_mut(*kind) {
                    *time = round(&mut client, breaker).await?;
                }
            }
            rounds.push(times);
        }
        registry.shutdown(Duration::from_secs(5)).await?;
        Ok::<_, Failed>(rounds)
    })?;
    // It may be gone already.
    let _ = stop.send(());
    server.join().map_err(|_| "the server has panicked")??;
    show(&rounds);
    Ok(())
}

fn show(rounds: &[[Duration; KINDS.len()]]) {
    let mut table = Table::new(
        "An HTTP request over loopback: 1,200 rounds of 50 requests of each kind, in all orders",
        &[
            "",
            "10th percentile",
            "median",
            "90th percentile",
            "more than without, in the same round",
        ],
    );
    for (kind, name) in KINDS.into_iter().enumerate() {
        let of = |times: &[Duration; KINDS.len()]| times.get(kind).copied().unwrap_or_default();
        let mut times: Vec<_> = rounds.iter().map(of).collect();
        times.sort();
        let more: Vec<_> = rounds.iter().map(|times| nanos(of(times)) - nanos(times[0])).collect();
        let at = |percent| time(percentile(&times, percent));
        let more = if kind == 0 { String::new() } else { median_difference(more) };
        table.row(&[name.to_owned(), at(10), at(50), at(90), more]);
    }
    table.show();
}

/// The mean of a request.
async fn round(client: &mut TcpStream, breaker: Option<&Breaker>) -> Result<Duration, Failed> {
    let started = Instant::now();
    for _ in 0..REQUESTS {
        match breaker {
            Some(breaker) => breaker.call(|| request(client)).await?,
            None => request(client).await?,
        }
    }
    Ok(each(started.elapsed(), REQUESTS))
}

async fn request(client: &mut TcpStream) -> io::Result<()> {
    client.write_all(REQUEST).await?;
    let mut answer = [0; ANSWER.len()];
    client.read_exact(&mut answer).await?;
    if answer == ANSWER { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

type Server = (SocketAddr, oneshot::Sender<()>, thread::JoinHandle<io::Result<()>>);

/// The server, on a thread and a runtime of its own.
fn server() -> Result<Server, Failed> {
    let (stop, stopped) = oneshot::channel();
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let server = thread::spawn(move || {
        runtime.block_on(async {
            let (mut peer, _) = TcpListener::from_std(listener)?.accept().await?;
            peer.set_nodelay(true)?;
            let answers = async {
                let mut request = [0; REQUEST.len()];
                loop {
                    if let Err(error) = peer.read_exact(&mut request).await {
                        return error;
                    }
                    if let Err(error) = peer.write_all(ANSWER).await {
                        return error;
                    }
                }
            };
            tokio::select! {
                // A client that has gone is no fault.
                error = answers => Some(error)
                    .filter(|error| error.kind() != io::ErrorKind::UnexpectedEof)
                    .map_or(Ok(()), Err),
                _ = stopped => Ok(()),
            }
        })
    });
    Ok((address, stop, server))
}
