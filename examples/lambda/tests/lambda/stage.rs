//! What the environments of one function share.

use std::{future::Future, time::Duration};

use axum::Router;
use tokio::net::TcpListener;

use crate::{
    environment::Environment,
    partner::Partner,
    table::{CIRCUITS, ORDERS, Table},
};

/// How long anything may take that a test waits for, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what has to happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Serves on a free port, for as long as the test's runtime lives, and returns the address.
pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    #[expect(clippy::disallowed_methods, reason = "ends with the runtime of the test")]
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

pub(crate) struct Stage {
    pub(crate) table: Table,
    pub(crate) partner: Partner,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Stage {
    /// A function that trips at the second failure in one environment, and whose environments
    /// rely on a read for a second.
    pub(crate) async fn open() -> Self {
        let (table, dynamodb) = Table::serve().await;
        let (partner, partner_url) = Partner::serve().await;
        let variables = vec![
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb),
            ("PARTNER_URL", partner_url),
            ("CIRCUITS_TABLE", CIRCUITS.to_owned()),
            ("ORDERS_TABLE", ORDERS.to_owned()),
            ("BREAKER_FAILURES", "2".to_owned()),
            ("BREAKER_SUCCESSES", "1".to_owned()),
            ("BREAKER_CACHE_MS", "1000".to_owned()),
        ];
        Self { table, partner, variables }
    }

    /// Sets a variable of environments that start from now on.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    pub(crate) async fn environment(&self) -> Environment {
        Environment::start(self.table.clone(), &self.variables).await
    }
}
