//! A complete AWS Lambda function: it charges orders through a partner's HTTP API, and keeps those
//! for later that the partner's circuit rejects.
//!
//! The environment starts once, in `main`. It runs unchanged on Managed Instances, where
//! several invocations share a process.

mod orders;
mod partner;
mod settings;
mod snapstart;

use std::{sync::Arc, time::Duration};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use fuseboard::{Breaker, BreakerRegistry, CallError, DynamoDbStore, tower::FlushLayer};
use lambda_runtime::{Error, LambdaEvent, LambdaInvocation, Runtime, layers::TracingLayer};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    orders::{Order, Orders},
    partner::Partner,
    settings::Settings,
    snapstart::Circuits,
};

/// What a cold start makes and every invocation uses.
struct Function {
    settings: Settings,
    partner: Partner,
    breaker: Breaker,
    orders: Orders,
    /// Cancelled when the environment ends.
    ending: CancellationToken,
}

/// What becomes of an order.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Charged { receipt: String },
    Refused { status: u16 },
    KeptForLater { retry_after_ms: u128 },
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let settings = Settings::from_env()?;
    // One client for all: the root certificates of another would be decoded again.
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let dynamodb = Client::new(&config);
    let store = DynamoDbStore::new(dynamodb.clone(), &settings.circuits_table);
    let registry = BreakerRegistry::builder(store).config(settings.breaker()?).spawn()?;
    let ending = CancellationToken::new();
    let function = Arc::new(Function {
        breaker: registry.breaker("partner-api")?,
        partner: Partner::new(&settings.partner_url),
        orders: Orders::new(dynamodb, &settings.orders_table),
        ending: ending.clone(),
        settings,
    });
    let flush = FlushLayer::new(registry.clone())
        .budget(function.settings.flush_budget())
        .deadline(|invocation: &LambdaInvocation| invocation.context.deadline());
    let circuits = Arc::new(Circuits(registry.clone()));
    // SIGTERM comes 500 ms before SIGKILL. Calls under way are dropped, so that a probe's right is
    // given back, and not kept for as long as its lease.
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        ending.cancel();
        if let Err(unwritten) = registry.shutdown(Duration::from_millis(400)).await {
            tracing::warn!(%unwritten, "the environment ended first");
        }
    })
    .await;
    let handler = lambda_runtime::service_fn(move |event| {
        let function = Arc::clone(&function);
        async move { function.handle(event).await }
    });
    Runtime::new(handler)
        .register_snapstart_resource(circuits)
        .layer(TracingLayer::new())
        .layer(flush)
        .run_concurrent()
        .await
}

impl Function {
    async fn handle(&self, event: LambdaEvent<Order>) -> Result<Answer, Error> {
        let LambdaEvent { payload: order, context } = event;
        // A call that outlasts the function's own timeout is killed with the process, uncounted.
        let limit = self.settings.limit(context.deadline());
        let call = self.breaker.call_within(limit, || self.partner.charge(&order));
        match self.ending.run_until_cancelled(call).await.ok_or("the environment ends")? {
            Err(CallError::Open(open)) => {
                self.orders.keep(&order).await?;
                Ok(Answer::KeptForLater { retry_after_ms: open.retry_after().as_millis() })
            }
            charged => Ok(charged.map_err(CallError::into_error)?),
        }
    }
}
