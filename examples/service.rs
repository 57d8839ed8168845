//! A service: one registry for the process, a breaker in the state of its handlers, and a shutdown
//! that waits for what is still to be written. `cargo run --example service`

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a service spawns and prints")]

use std::{error::Error, io, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, CallError, MemoryStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with other processes.
    let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    let payments = registry.breaker("payment-backend")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = tokio::spawn(serve(listener, payments));

    // Seven clients: five see the payment backend fail, and the others are rejected at once.
    for _ in 0..7 {
        let mut response = String::new();
        TcpStream::connect(address).await?.read_to_string(&mut response).await?;
        println!("{response}");
    }
    service.abort();
    registry.shutdown(Duration::from_secs(2)).await?;
    Ok(())
}

async fn serve(listener: TcpListener, payments: Breaker) -> io::Result<()> {
    loop {
        let (mut client, _) = listener.accept().await?;
        // A clone is another handle of the same circuit.
        let payments = payments.clone();
        tokio::spawn(async move { client.write_all(respond(&payments).await.as_bytes()).await });
    }
}

async fn respond(payments: &Breaker) -> String {
    // A call that hangs is cut after two seconds, and is a failure.
    match payments.call_within(Duration::from_secs(2), charge).await {
        Ok(()) => "200 charged".to_owned(),
        Err(CallError::Open(open)) => format!("503 try again in {:?}", open.retry_after()),
        Err(error @ (CallError::TimedOut(_) | CallError::Inner(_))) => format!("502 {error}"),
    }
}

/// Your call to the dependency: here, a port on which nobody listens.
async fn charge() -> io::Result<()> {
    TcpStream::connect("127.0.0.1:1").await.map(drop)
}
