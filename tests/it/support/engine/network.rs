//! What happens to a client's requests on their way.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;

use super::Engine;

/// What happens to one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// Nothing.
    Pass,
    /// It reaches the engine late.
    DelayBefore(Duration),
    /// It is applied at once, and the answer comes late.
    DelayAfter(Duration),
    /// It is never applied, and the client hangs.
    LoseRequest,
    /// It is applied, and the client hangs.
    LoseAnswer,
    /// The client hangs, and it is applied after this time.
    ApplyLater(Duration),
    /// The client hangs, and it is applied when [`Engine::release_held`] says.
    HoldBack,
    /// No connection: it is not applied.
    RefuseConnection,
    /// The connection is reset: it is not applied.
    ResetBefore,
    /// It is applied, and the connection is reset instead of an answer.
    ResetAfter,
    /// It is applied, and the answer breaks off in mid-body.
    BreakOff,
    /// It is applied and answered, and the same request is applied once more
    /// after this time.
    Doubled(Duration),
    /// An eventually consistent read shows the item as it was so long ago.
    /// Needs [`Engine::record`]; anything else passes.
    StaleBy(Duration),
    /// It is answered as by an engine that sends no request id.
    PassWithoutId,
    /// It is answered as by an engine that shows no item with a refusal.
    PassUnshown,
    /// It is not applied; DynamoDB answers with this code and this message.
    Refuse(&'static str, &'static str),
    /// It is not applied; DynamoDB answers with this text.
    Text(&'static str),
    /// It is not applied; this status and body are the answer, from whoever.
    Answer(u16, &'static str),
    /// It is not applied; DynamoDB answers with this code.
    Error(&'static str),
}

/// A client's script: events wait for requests in order.
///
/// Each request meets the first event that is meant for its operation; without
/// one it passes.
pub(crate) struct Network {
    engine: Engine,
    label: String,
}

struct Rule {
    operation: Option<&'static str>,
    /// The circuit that requests have to be about; any if `None`.
    circuit: Option<String>,
    /// How many more requests; all if `None`.
    left: Option<usize>,
    event: Event,
}

/// What happens to each request, by its operation.
type Weather = Box<dyn FnMut(&str) -> Event + Send>;

#[derive(Default)]
pub(super) struct Script {
    rules: VecDeque<Rule>,
    weather: Option<Weather>,
}

impl Script {
    /// The event for a request for this operation, with this body.
    pub(super) fn meet(&mut self, operation: &str, body: &Value) -> Event {
        let is_about = |circuit: &String| body["Key"]["id"]["S"] == **circuit;
        let meant = |rule: &Rule| {
            rule.operation.is_none_or(|only| only == operation)
                && rule.circuit.as_ref().is_none_or(is_about)
        };
        let Some(place) = self.rules.iter().position(meant) else {
            return self.weather.as_mut().map_or(Event::Pass, |weather| weather(operation));
        };
        let rule = &mut self.rules[place];
        let event = rule.event.clone();
        if let Some(left) = &mut rule.left {
            *left -= 1;
            if *left == 0 {
                self.rules.remove(place);
            }
        }
        event
    }
}

impl Network {
    pub(super) fn new(engine: Engine, label: &str) -> Self {
        Self { engine, label: label.to_owned() }
    }

    /// The next request meets this event.
    pub(crate) fn next(&self, event: Event) -> &Self {
        self.add(None, Some(1), event)
    }

    /// The next `count` requests meet this event.
    pub(crate) fn next_n(&self, count: usize, event: Event) -> &Self {
        self.add(None, Some(count), event)
    }

    /// The next `count` requests for an operation meet this event.
    pub(crate) fn on(&self, operation: &'static str, count: usize, event: Event) -> &Self {
        self.add(Some(operation), Some(count), event)
    }

    /// All requests meet this event until [`heal`](Self::heal).
    pub(crate) fn always(&self, event: Event) -> &Self {
        self.add(None, None, event)
    }

    /// All requests for an operation meet this event until [`heal`](Self::heal).
    pub(crate) fn always_on(&self, operation: &'static str, event: Event) -> &Self {
        self.add(Some(operation), None, event)
    }

    /// All requests about a circuit of [`TABLE`](super::TABLE) meet this event
    /// until [`heal`](Self::heal).
    pub(crate) fn always_about(&self, circuit: &str, event: Event) -> &Self {
        self.push(Rule { operation: None, circuit: Some(circuit.to_owned()), left: None, event })
    }

    /// Requests that no other event waits for meet what this says, until
    /// [`heal`](Self::heal).
    pub(crate) fn weather(&self, weather: impl FnMut(&str) -> Event + Send + 'static) {
        let mut state = self.engine.state();
        let script = state.scripts.entry(self.label.clone()).or_default();
        script.weather = Some(Box::new(weather));
    }

    /// Drops what is left of the script.
    pub(crate) fn heal(&self) {
        self.engine.state().scripts.remove(&self.label);
    }

    /// All requests for an operation meet this event from now on, and nothing else.
    pub(crate) fn meets_on(&self, operation: &'static str, event: Option<Event>) {
        if let Some(script) = self.engine.state().scripts.get_mut(&self.label) {
            script.rules.retain(|rule| rule.operation != Some(operation));
        }
        if let Some(event) = event {
            self.always_on(operation, event);
        }
    }

    /// Requests for an operation so far.
    pub(crate) fn sent(&self, operation: &str) -> usize {
        self.engine.count_of(&self.label, operation)
    }

    fn add(&self, operation: Option<&'static str>, left: Option<usize>, event: Event) -> &Self {
        if left != Some(0) {
            self.push(Rule { operation, circuit: None, left, event });
        }
        self
    }

    fn push(&self, rule: Rule) -> &Self {
        let mut state = self.engine.state();
        state.scripts.entry(self.label.clone()).or_default().rules.push_back(rule);
        self
    }
}
