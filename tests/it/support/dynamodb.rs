//! Worlds over the real SDK and a DynamoDB engine in this process.

use std::time::Duration;

use fuseboard::{
    Config, ConfigBuilder,
    store::{Attribute, Field, Record, Store, StoreErrorKind, Value},
};
use serde_json::json;

pub(crate) use super::world::{CIRCUIT, Call, START};
use super::{
    engine::{Engine, Event, Network},
    faulty::Fault,
    world::{self, Shared, Way},
};

pub(crate) type World = world::World<Engine>;
pub(crate) type Process = world::Process<Network>;

impl Shared for Engine {
    type Way = Network;

    const FAULTS: &'static [Fault] =
        &[Fault::Fail(StoreErrorKind::Unavailable), Fault::Hang, Fault::LoseAnswer];

    const ATTEMPTS: usize = 3;

    const RETRIES: Duration = Duration::from_millis(150);

    fn empty() -> Self {
        Self::new()
    }

    fn way(&self, process: u64) -> (Network, impl Store) {
        let label = format!("process {process}");
        (self.network(&label), self.store(&label))
    }

    fn record(&self) -> Option<Record> {
        let item = self.get_item(CIRCUIT)?;
        let names = Attribute::ALL.map(Attribute::name);
        assert!(item.as_object()?.keys().all(|name| names.contains(&name.as_str())), "{item}");
        let mut record = Record::empty();
        for attribute in Attribute::ALL {
            let shown = &item[attribute.name()];
            let value = match (shown.as_str(), shown.as_i64()) {
                (Some(text), _) => Value::Text(text.into()),
                (None, Some(number)) => Value::Number(number.into()),
                (None, None) if shown.is_null() => continue,
                (None, None) => panic!("{attribute} is {shown}"),
            };
            record.set(attribute, Field::Valid(value));
        }
        Some(record)
    }

    fn set_record(&self, record: Option<Record>) {
        let Some(record) = record else {
            self.delete_item(CIRCUIT);
            return;
        };
        let mut item = json!({});
        for attribute in Attribute::ALL {
            item[attribute.name()] = match record.get(attribute) {
                Field::Absent => continue,
                Field::Valid(Value::Text(text)) => json!(*text),
                Field::Valid(Value::Number(number)) => json!(i64::try_from(number).unwrap()),
                Field::Malformed(malformed) => panic!("{attribute}: {malformed:?}"),
            };
        }
        self.put_item(CIRCUIT, &item);
    }
}

/// What happens to a request, for what happens to an operation of a store.
fn event(fault: Fault) -> Option<Event> {
    match fault {
        Fault::None => None,
        Fault::Fail(StoreErrorKind::Throttled) => Some(Event::Error("ThrottlingException")),
        Fault::Fail(StoreErrorKind::Misconfigured) => Some(Event::Error("AccessDeniedException")),
        Fault::Fail(StoreErrorKind::Unavailable) => Some(Event::Error("InternalServerError")),
        Fault::Fail(StoreErrorKind::Timeout) | Fault::Hang => Some(Event::LoseRequest),
        Fault::Delay(time) => Some(Event::DelayBefore(time)),
        Fault::LoseAnswer => Some(Event::LoseAnswer),
        Fault::Fail(_) | Fault::Refuse | Fault::Panic => panic!("no network does {fault:?}"),
    }
}

impl Way for Network {
    fn reads_meet(&self, fault: Fault) {
        self.meets_on("GetItem", event(fault));
    }

    fn writes_meet(&self, fault: Fault) {
        self.meets_on("UpdateItem", event(fault));
    }

    fn reads(&self) -> usize {
        self.sent("GetItem")
    }

    fn writes(&self) -> usize {
        self.sent("UpdateItem")
    }
}

impl World {
    /// A process whose requests are logged, and scripted, under this label.
    pub(crate) fn named(&self, label: &str) -> Process {
        self.named_with(label, |config| config)
    }

    /// One with these settings changed.
    pub(crate) fn named_with(
        &self,
        label: &str,
        change: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
    ) -> Process {
        let config = change(Config::builder().election_spread(Duration::ZERO)).build().unwrap();
        self.named_over(label, self.engine.store(label), config)
    }

    /// One over a store that the test has made.
    pub(crate) fn named_over(&self, label: &str, store: impl Store, config: Config) -> Process {
        self.process_over(self.engine.network(label), store, |builder| builder.config(config))
    }

    /// One that is asked in no other way than through its registry.
    pub(crate) fn over(&self, store: impl Store, config: Config) -> world::Process<()> {
        self.process_over((), store, |builder| builder.config(config))
    }

    /// The item of the circuit, without its key, in short form.
    pub(crate) fn item(&self) -> Option<serde_json::Value> {
        self.engine.get_item(CIRCUIT)
    }

    /// One attribute of the item; `null` if it or the item is missing.
    pub(crate) fn attribute(&self, name: &str) -> serde_json::Value {
        self.item().map_or(serde_json::Value::Null, |item| item[name].clone())
    }
}

/// Time passes, for everyone.
pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
