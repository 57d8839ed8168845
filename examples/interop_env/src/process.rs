//! What dies with a process: circuits, clients, parked calls.

mod calls;
mod controls;

use std::{collections::HashMap, mem, sync::Arc};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use fuseboard::DynamoDbStore;
use serde_json::{Value, json};

use crate::{
    answer::Failure,
    args::{Args, Settings},
    call::Parked,
    circuit::Circuit,
    hands::Hands,
    request::Op,
    rows::{self, Rows},
    wiretap::Wiretap,
};

type Answer = Result<Value, Failure>;

#[derive(Debug)]
pub(crate) struct Process {
    args: Args,
    hands: Arc<Hands>,
    rows: Rows,
    tap: Wiretap,
    store: DynamoDbStore,
    circuits: HashMap<String, Arc<Circuit>>,
    parked: HashMap<String, Parked>,
    /// Answers to `begin` that decided a call, until `end` asks for them.
    decided: HashMap<String, Value>,
    /// The transitions that were made here so far.
    made: Vec<Value>,
}

impl Process {
    pub(crate) async fn open(args: Args) -> Result<Self, Failure> {
        let hands = Arc::new(Hands::new(args.clock, args.now, args.skew)?);
        let rows = Rows::new(&args);
        if args.create_table {
            rows.create_table().await?;
        }
        let names = &args.names;
        let tap = Wiretap::new(names.sort_key_attr.as_ref().unwrap_or(&names.key_attr));
        let store = store(&args, &tap)?;
        // What is out of range is known before the first call.
        args.config(args.settings)?;
        let (circuits, parked, decided, made) = Default::default();
        Ok(Self { args, hands, rows, tap, store, circuits, parked, decided, made })
    }

    pub(crate) fn ready(&self) -> Value {
        json!({
            "proto": 1,
            "impl": "fuseboard-rust",
            "version": env!("CARGO_PKG_VERSION"),
            "clock": if self.hands.is_real() { "real" } else { "fake" },
            "now": self.hands.now(),
            "circuit_name": self.args.name,
            "pid": std::process::id(),
            "threads": "ignored: a circuit has one identity in a process",
            "max_clock_skew": self.args.max_clock_skew.as_secs_f64(),
            "refresh_ahead": self.args.refresh_ahead,
        })
    }

    pub(crate) async fn carry_out(&mut self, op: Op) -> Answer {
        match op {
            Op::Call(op) => self.call(op).await,
            Op::Begin(op) => self.begin(op).await,
            Op::End(op) => self.end(op).await,
            Op::Burst(op) => self.burst(op).await,
            Op::State(op) => self.state(op).await,
            Op::Sleep(op) | Op::Advance(op) => {
                self.hands.sleep(op.seconds).await.map(|()| self.now())
            }
            Op::SetTime(op) => self.hands.set(op.now).map(|()| self.now()),
            Op::Skew(op) => self.hands.skew(op.seconds).map(|()| self.now()),
            Op::Config(op) => self.config(op),
            Op::PutRow(op) => {
                let name = self.name(op.circuit);
                self.rows.put(&name, &op.item).await?;
                Ok(json!({"row": self.rows.show(&name).await?}))
            }
            Op::DeleteRow(op) => self.rows.delete(&self.name(op.circuit)).await.map(|()| json!({})),
            Op::FailStore(op) => self.fail_store(op),
            Op::DelayStore(op) => self.delay_store(op),
            Op::HealStore => {
                self.tap.heal();
                Ok(json!({}))
            }
            Op::Requests(op) => Ok(self.requests(&op)),
            Op::Transitions(op) => Ok(self.transitions(&op)),
            Op::Owner(op) => Ok(self.owner(op)),
            Op::ClearCache(op) => self.clear_cache(op),
            Op::Restart => self.restart().await,
            Op::Ping => Ok(self.now()),
            Op::Exit => Ok(json!({})),
        }
    }

    /// Ends all calls and circuits as the end of a process would.
    pub(crate) async fn kill(&mut self) {
        self.decided.clear();
        let parked = mem::take(&mut self.parked);
        let circuits = mem::take(&mut self.circuits);
        for circuit in circuits.values().chain(parked.values().map(|call| &call.circuit)) {
            self.made.extend(circuit.drain());
            circuit.kill().await;
        }
        for call in parked.into_values() {
            call.task.abort();
        }
    }

    async fn restart(&mut self) -> Answer {
        self.kill().await;
        self.tap.heal();
        self.tap.forget();
        self.store = store(&self.args, &self.tap)?;
        Ok(json!({}))
    }

    fn now(&self) -> Value {
        json!({"now": self.hands.now()})
    }

    fn name(&self, circuit: Option<String>) -> String {
        circuit.unwrap_or_else(|| self.args.name.clone())
    }

    /// The circuit of a name, which begins with the first call.
    fn circuit(&mut self, name: &str) -> Result<Arc<Circuit>, Failure> {
        match self.circuits.get(name) {
            Some(circuit) => Ok(Arc::clone(circuit)),
            None => self.begin_anew(name, self.args.settings),
        }
    }

    /// Starts a circuit, in the place of one of the same name.
    fn begin_anew(&mut self, name: &str, settings: Settings) -> Result<Arc<Circuit>, Failure> {
        let config = self.args.config(settings)?;
        let (store, clock) = (self.store.clone(), self.hands.clock());
        let circuit = Arc::new(Circuit::new(name, settings, config, store, clock)?);
        let forerunner = self.circuits.insert(name.to_owned(), Arc::clone(&circuit));
        if let Some(forerunner) = forerunner {
            circuit.inherit(&forerunner);
            self.made.extend(forerunner.drain());
        }
        Ok(circuit)
    }
}

fn store(args: &Args, tap: &Wiretap) -> Result<DynamoDbStore, Failure> {
    let client = rows::client(args, SharedHttpClient::new(tap.clone()));
    Ok(rows::store(args, client)?)
}
