//! A mock of the Runtime API of one environment, and of what it needs of the Extensions API.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::{stage::serve, table::Table};

/// One invocation, as the answer to the request for the next.
pub(crate) struct Invocation {
    pub(crate) deadline_ms: u128,
    pub(crate) event: Value,
}

/// The environment asks for its next invocation. Dropping `give` lets the request fail.
pub(crate) struct Asked {
    /// The item of the circuit when the request came.
    pub(crate) item: Option<Value>,
    pub(crate) give: oneshot::Sender<Invocation>,
}

/// The environment has answered an invocation.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) result: Result<Value, Value>,
    /// The item of the circuit when the answer came.
    pub(crate) item: Option<Value>,
}

/// The environment's side of the line.
#[derive(Clone)]
struct Line {
    table: Table,
    asked: mpsc::UnboundedSender<Asked>,
    answered: mpsc::UnboundedSender<Answered>,
    invocations: Arc<AtomicU64>,
}

pub(crate) struct RuntimeApi {
    pub(crate) address: String,
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
    pub(crate) answered: mpsc::UnboundedReceiver<Answered>,
    /// How often it asked to be restored from a snapshot.
    pub(crate) restores: Arc<AtomicU64>,
}

impl RuntimeApi {
    pub(crate) async fn serve(table: Table) -> Self {
        let (ask, asked) = mpsc::unbounded_channel();
        let (answer, answered) = mpsc::unbounded_channel();
        let restores = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&restores);
        let restore = || async move {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let line = Line { table, asked: ask, answered: answer, invocations: Arc::default() };
        let runtime = Router::new()
            .route("/restore/next", get(restore))
            .route("/invocation/next", get(next))
            .route("/invocation/{id}/response", post(response))
            .route("/invocation/{id}/error", post(error))
            .with_state(line);
        let registered = || async {
            let body = json!({"functionName": "f", "functionVersion": "1", "handler": "h"});
            ([("lambda-extension-identifier", "extension")], body.to_string())
        };
        let extension = Router::new()
            .route("/register", post(registered))
            .route("/event/next", get(std::future::pending::<()>));
        let api = Router::new()
            .nest("/2018-06-01/runtime", runtime)
            .nest("/2020-01-01/extension", extension);
        Self { address: serve(api).await, asked, answered, restores }
    }
}

async fn next(State(line): State<Line>) -> impl IntoResponse {
    let (give, given) = oneshot::channel();
    let _ = line.asked.send(Asked { item: line.table.circuit(), give });
    let Ok(Invocation { deadline_ms, event }) = given.await else {
        return Err(StatusCode::GONE);
    };
    let id = line.invocations.fetch_add(1, Ordering::Relaxed).to_string();
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:x:1:function:f".to_owned()),
    ];
    Ok((headers, event.to_string()))
}

async fn response(line: State<Line>, body: Bytes) -> StatusCode {
    line.ended(Ok(serde_json::from_slice(&body).unwrap()))
}

async fn error(line: State<Line>, body: Bytes) -> StatusCode {
    line.ended(Err(serde_json::from_slice(&body).unwrap()))
}

impl Line {
    fn ended(&self, result: Result<Value, Value>) -> StatusCode {
        let item = self.table.circuit();
        let _ = self.answered.send(Answered { result, item });
        StatusCode::ACCEPTED
    }
}
