//! A service of gRPC that answers every call alike, as it is told.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;
use tonic::{
    Code, Status,
    service::interceptor::InterceptedService,
    transport::{Error, Server, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt as _};

/// gRPC's own health service, on loopback. It ends when it is dropped.
#[derive(Debug)]
pub struct Rpc {
    address: SocketAddr,
    code: Arc<AtomicI32>,
    _tasks: JoinSet<Result<(), Error>>,
}

impl Rpc {
    /// Starts the service, well.
    ///
    /// # Errors
    ///
    /// There is no port.
    pub fn start() -> io::Result<Self> {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?;
        let (address, code) = (incoming.local_addr()?, Arc::<AtomicI32>::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(incoming, Arc::clone(&code)));
        Ok(Self { address, code, _tasks: tasks })
    }

    /// Returns where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers with this code: with `RESOURCE_EXHAUSTED` it says when to come back, in
    /// a second.
    pub fn says(&self, code: Code) {
        self.code.store(code.into(), Ordering::Relaxed);
    }
}

async fn serve(incoming: TcpIncoming, code: Arc<AtomicI32>) -> Result<(), Error> {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let answers = InterceptedService::new(health, move |request| {
        let code = Code::from_i32(code.load(Ordering::Relaxed));
        let told = "as it was told";
        if code == Code::Ok {
            return Ok(request);
        }
        if code == Code::ResourceExhausted {
            let retry = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
            return Err(Status::with_error_details(code, told, retry));
        }
        Err(Status::new(code, told))
    });
    Server::builder().add_service(answers).serve_with_incoming(incoming).await
}
