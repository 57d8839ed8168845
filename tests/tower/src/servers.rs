//! Dependencies over loopback: good, bad, dead, slow, and those that cut connections.

use std::net::SocketAddr;

use axum::{Router, http::StatusCode, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// The address of a server that is not there: its port was taken, and given back.
pub(crate) async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Serves a router.
pub(crate) async fn serving(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers 200 at `/`, and 500 at `/bad`.
pub(crate) async fn answering() -> SocketAddr {
    let bad = get(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    serving(Router::new().route("/", get(|| async { "fine" })).route("/bad", bad)).await
}

/// Reads the request, writes this, and then closes the connection or keeps it for ever.
pub(crate) async fn raw(answer: &'static str, closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            if !closes {
                kept.push(stream);
            }
        }
    });
    address
}

/// Accepts, and never answers.
pub(crate) async fn slow() -> SocketAddr {
    raw("", false).await
}

/// Promises more than it sends before it cuts the connection.
pub(crate) async fn cutting() -> SocketAddr {
    raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", true).await
}
