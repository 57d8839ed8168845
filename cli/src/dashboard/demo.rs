//! `dashboard --demo`: a DynamoDB engine in this process, and processes that call services which
//! fail and recover.
//!
//! What the page shows is what they write: each process has a registry and a client of its own,
//! and all share one table, as a fleet does.

mod engine;
mod script;

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use fuseboard::{BreakerRegistry, CallError, DynamoDbStore, Hold};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use self::{
    engine::Engine,
    script::{PROCESSES, SERVICES, Service},
};
use crate::{args::TableArgs, ending::Ending, place::Place, table::Table, time};

const TABLE: &str = "circuits";

/// The limit of a call: a service that hangs fails by it.
const LIMIT: Duration = Duration::from_millis(150);

/// How often a process calls a service.
const PERIOD: Duration = Duration::from_millis(140);

/// How often what operators hold is held again.
const SHIFT: Duration = Duration::from_secs(30 * 60);

/// The engine, and the table in it.
#[derive(Debug)]
pub(super) struct Demo {
    table: Table,
    engine: Engine,
}

impl Demo {
    /// Starts an engine with a table.
    pub(super) async fn start(args: &TableArgs) -> Result<Self, Ending> {
        let engine = Engine::new().map_err(Ending::failed)?;
        let store = store(&engine);
        store.create_table().await.map_err(Ending::failed)?;
        let place = Place::of_a_demo("a demo in this process");
        let table = Table::of(store, TABLE.to_owned(), place, args.timeout);
        Ok(Self { table, engine })
    }

    /// The table.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Lets the processes call the services; returns only if something fails.
    pub(super) async fn run(self) -> Result<(), Ending> {
        let began = time::now();
        let mut tasks = JoinSet::new();
        for (number, process) in PROCESSES.iter().enumerate() {
            let registry = BreakerRegistry::builder(store(&self.engine))
                .config(script::config().map_err(Ending::failed)?)
                .instance(*process)
                // The environment may be that of a function whose breakers are disabled.
                .disabled(false)
                .spawn()
                .map_err(Ending::failed)?;
            if number == 0 {
                tasks.spawn(operate(registry.clone()));
            }
            for service in &SERVICES {
                tasks.spawn(call(registry.clone(), service, began, number));
            }
        }
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(Ending::failed(error)),
            None => Ok(()),
        }
    }
}

/// A store with a client of its own, as every process has.
fn store(engine: &Engine) -> DynamoDbStore {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        // The engine takes any.
        .credentials_provider(Credentials::new("demo", "demo", None, None, "demo"))
        .http_client(engine.clone())
        .build();
    DynamoDbStore::new(Client::from_conf(config), TABLE)
}

/// One process calls one service, again and again.
async fn call(
    registry: BreakerRegistry,
    service: &'static Service,
    began: SystemTime,
    number: usize,
) -> Result<(), Ending> {
    let breaker = registry.breaker(service.name).map_err(Ending::failed)?;
    let mut calls = interval(PERIOD);
    calls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Processes do not march in step.
    let step = PERIOD.checked_div(3).unwrap_or_default();
    sleep(step.saturating_mul(u32::try_from(number).unwrap_or_default())).await;
    loop {
        calls.tick().await;
        let since = time::now().duration_since(began).unwrap_or_default();
        match breaker.call_within(LIMIT, || service.answer(since)).await {
            Ok(()) | Err(CallError::Open(_) | CallError::TimedOut(_) | CallError::Inner(_)) => {}
        }
    }
}

/// What operators do meanwhile.
async fn operate(registry: BreakerRegistry) -> Result<(), Ending> {
    let closed = registry.breaker("recommendations").map_err(Ending::failed)?;
    let open = registry.breaker("email-sender").map_err(Ending::failed)?;
    loop {
        let upkeep = Hold::open_for(Duration::from_secs(25 * 60));
        let hold = upkeep.reason("the provider's maintenance").by("ops");
        open.hold(hold).await.map_err(Ending::failed)?;
        let test = Hold::closed_for(Duration::from_secs(20 * 60)).reason("load test").by("anna");
        closed.hold(test).await.map_err(Ending::failed)?;
        sleep(SHIFT).await;
    }
}
