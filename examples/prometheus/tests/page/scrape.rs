//! The page, served over HTTP and scraped, and the engine that its circuits share.

use std::{collections::BTreeMap, net::SocketAddr};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use fuseboard::BreakerRegistry;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The page of a registry.
pub(super) struct Page(SocketAddr);

impl Page {
    pub(super) async fn of(registry: &BreakerRegistry, recorder: &PrometheusHandle) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = prometheus::router(registry.clone(), recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self(address)
    }

    pub(super) async fn scrape(&self) -> Scrape {
        let mut socket = TcpStream::connect(self.0).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let series = text.lines().filter(|line| line.starts_with("fuseboard_"));
        Scrape(series.map(series_of).collect())
    }
}

/// The series of one scrape, by their text: `name{labels}`.
pub(super) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// The value of the one series with this name and these labels, in any order; zero if there
    /// is none yet.
    pub(super) fn value(&self, name: &str, labels: &[&str]) -> f64 {
        let is_it = |series: &str| {
            let (found, with) = series.split_once('{').unwrap_or((series, ""));
            found == name && labels.iter().all(|label| with.contains(label))
        };
        self.0.iter().filter(|(series, _)| is_it(series)).map(|(_, value)| value).sum()
    }

    /// Whether there is a series with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.keys().any(|series| series.split('{').next() == Some(name))
    }

    /// The state whose gauge is 1; the others are 0.
    pub(super) fn state(&self) -> &'static str {
        assert!(self.has("fuseboard_circuit_state"));
        let states = ["CLOSED", "OPEN", "HALF_OPEN"];
        let shown = states
            .map(|state| self.value("fuseboard_circuit_state", &[&format!("state=\"{state}\"")]));
        assert_eq!(shown.iter().sum::<f64>(), 1.0, "one of three: {shown:?}");
        let mut shown = states.into_iter().zip(shown);
        shown.find(|(_, value)| *value == 1.0).unwrap().0
    }
}

fn series_of(line: &str) -> (String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    (series.to_owned(), value.parse().unwrap())
}

/// Starts a DynamoDB engine without a table on loopback, and returns its endpoint.
pub(super) async fn engine() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let database = dynoxide::Database::memory().unwrap();
    let server = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending());
    tokio::spawn(server);
    endpoint
}

/// The real SDK, towards this endpoint.
pub(super) fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}
