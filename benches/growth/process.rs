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
    table::{Table, count, each, percentile, time},
};

const ROUNDS: usize = 200;
const REQUESTS: usize = 200;
const REQUEST: &[u8] = b"GET /charge HTTP/1.1\r\nhost: localhost\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

pub(crate) fn run() -> Result<(), Failed> {
    let (address, stop, server) = server()?;
    let runtime = runtime()?;
    let (mut without, mut with, mut above) = (Vec::new(), Vec::new(), 0_usize);
    runtime.block_on(async {
        let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
        let breaker = fresh(&registry, "charges", 5).await?;
        let mut client = TcpStream::connect(address).await?;
        client.set_nodelay(true)?;
        round(&mut client, None).await?;
        for number in 0..ROUNDS {
            let (bare, guarded) = if number.is_multiple_of(2) {
                let bare = round(&mut client, None).await?;
                (bare, round(&mut client, Some(&breaker)).await?)
            } else {
                let guarded = round(&mut client, Some(&breaker)).await?;
                (round(&mut client, None).await?, guarded)
            };
            above = above.saturating_add(usize::from(guarded > bare));
            without.push(bare);
            with.push(guarded);
        }
        registry.shutdown(Duration::from_secs(5)).await?;
        Ok::<_, Failed>(())
    })?;
    // It may be gone already.
    let _ = stop.send(());
    server.join().map_err(|_| "the server has panicked")??;
    show(without, with, above);
    Ok(())
}

fn show(mut without: Vec<Duration>, mut with: Vec<Duration>, above: usize) {
    without.sort();
    with.sort();
    let mut table = Table::new(
        "An HTTP request over loopback; 200 rounds of 200 requests with and without, in turn",
        &["", "10th percentile", "median", "90th percentile"],
    );
    for (name, times) in [("without the breaker", without), ("with it", with)] {
        let at = |percent| time(percentile(&times, percent));
        table.row(&[name.to_owned(), at(10), at(50), at(90)]);
    }
    table.show();
    let mut line = Table::new(
        "Noise: pairs of rounds in which the one with the breaker took longer",
        &["pairs", "of"],
    );
    line.row(&[count(above), count(ROUNDS)]);
    line.show();
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
