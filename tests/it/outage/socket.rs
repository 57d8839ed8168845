//! Faults of bytes: the SDK's own HTTP client, and a TCP connection that is
//! cut, silent, slow or not what it seems. Real time passes here, so limits are
//! short, and the circuits' clock stands until it is moved.

mod verdicts;

use std::time::{Duration, SystemTime};

use fuseboard::{
    Breaker, BreakerRegistry, CircuitName, CircuitState, Clock, Config, ConfigBuilder,
    DynamoDbStore, Transitions, VirtualClock,
    store::{
        Consistency, Store as _,
        StoreErrorKind::{self, BadAnswer, Misconfigured, Throttled, Timeout, Unavailable},
    },
};
use futures::{FutureExt as _, future::join_all};

use serde_json::{Value, json};

use crate::support::{
    dynamodb::{CIRCUIT, START},
    engine::{Engine, HttpServer, TABLE, now},
    memory::{heard, timed},
    wire::{Trouble, Wire},
};

/// The limit of a store operation, retries included.
const LIMIT: Duration = Duration::from_millis(1_500);

/// What a busy machine may add to that.
const AT_MOST: Duration = Duration::from_secs(5);

/// A process whose way to the engine is a wire.
struct Process {
    engine: Engine,
    wire: Wire,
    clock: VirtualClock,
    store: DynamoDbStore,
    registry: BreakerRegistry,
    breaker: Breaker,
    transitions: Transitions,
    /// Last, so that the clients go first.
    _server: HttpServer,
}

impl Process {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    /// One with some settings changed.
    async fn with(change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        let engine = Engine::new();
        let server = engine.serve_http().await;
        let wire = Wire::to(&server).await;
        let store = DynamoDbStore::builder(wire.client(), TABLE)
            .operation_timeout(LIMIT)
            .server_time(false)
            .build()
            .unwrap();
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs());
        let clock = VirtualClock::standing_at(start);
        let config = Config::builder().store_timeout(LIMIT).election_spread(Duration::ZERO);
        let config = change(config).build().unwrap();
        let registry = BreakerRegistry::builder(store.clone())
            .config(config)
            .clock(Clock::from(&clock))
            .disabled(false)
            .spawn()
            .unwrap();
        let breaker = registry.breaker(CIRCUIT).unwrap();
        let transitions = registry.subscribe();
        Self { engine, wire, clock, store, registry, breaker, transitions, _server: server }
    }

    /// A call; `None` if it was rejected. It waits for the store within limits.
    async fn call(&self, result: Result<(), &'static str>) -> Option<Result<(), &'static str>> {
        let (ended, waited) = timed(self.breaker.call(|| async { result })).await;
        assert!(waited <= AT_MOST, "{waited:?}");
        match ended {
            Ok(()) => Some(Ok(())),
            Err(error) => error.inner().map(|inner| Err(*inner)),
        }
    }

    /// The transitions so far: the state they went to, and the origin.
    fn heard(&mut self) -> Vec<String> {
        let told = heard(&mut self.transitions);
        told.iter().map(|told| format!("{} {:?}", told.to_state, told.origin)).collect()
    }

    /// This is told, and nothing else.
    async fn comes_to_be_told(&mut self, told: &[&str], name: &str) {
        let begun = now();
        let mut heard = self.heard();
        while heard.len() < told.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(begun.elapsed() < AT_MOST, "{name}: not told");
            heard.append(&mut self.heard());
        }
        assert_eq!(heard, told, "{name}");
    }

    fn stored_state(&self) -> Value {
        self.engine.get_item(CIRCUIT).map_or(Value::Null, |item| item["state"].clone())
    }
}

/// One fault of bytes: what the store calls it, and whether a write that meets
/// it is made all the same.
type Row = (&'static str, Trouble, StoreErrorKind, bool);

const ROWS: [Row; 19] = [
    ("closed", Trouble::Close, Unavailable, false),
    ("reset", Trouble::Reset, Unavailable, false),
    ("reset after the write", Trouble::ResetAfter, Unavailable, true),
    ("closed in mid-body", Trouble::CloseInBody, Unavailable, true),
    ("hang", Trouble::Hang, Timeout, false),
    ("hang after the write", Trouble::HangAfter, Timeout, true),
    ("drip", Trouble::Drip, Timeout, true),
    ("500", Trouble::Say(INTERNAL), Unavailable, false),
    ("503 with HTML", Trouble::Say(HTML), Unavailable, false),
    ("throttled", Trouble::Say(THROTTLED), Throttled, false),
    ("429", Trouble::Say("HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n"), Throttled, false),
    ("another protocol", Trouble::Say("220 mail.example ESMTP\r\n"), Misconfigured, false),
    ("noise", Trouble::Say("\u{0}\u{1}\u{2}\u{3}\r\n\r\n"), Misconfigured, false),
    ("half a head", Trouble::Say("HTTP/1.1 200 OK\r\ncontent-le"), Unavailable, false),
    ("half a chunk", Trouble::Say(CHUNK), Unavailable, false),
    ("empty 200", Trouble::Say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), BadAnswer, false),
    ("200 []", Trouble::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"), BadAnswer, false),
    ("a log-in page", Trouble::Say(PORTAL), BadAnswer, false),
    ("expired token", Trouble::Say(EXPIRED), Misconfigured, false),
];

// Answers without a length: they end with the connection.
const INTERNAL: &str = "HTTP/1.1 500 Oh\r\n\r\n{\"__type\":\"x#InternalServerError\"}";
const THROTTLED: &str = "HTTP/1.1 400 Slow\r\n\r\n{\"__type\":\"x#ThrottlingException\"}";
const EXPIRED: &str = "HTTP/1.1 400 No\r\n\r\n{\"__type\":\"x#ExpiredTokenException\"}";
const HTML: &str = "HTTP/1.1 503 Busy\r\ncontent-type: text/html\r\n\r\n<html>Busy</html>";
const PORTAL: &str = "HTTP/1.1 302 Found\r\nlocation: http://a.example/\r\n\r\n<html>Pay</html>";
const CHUNK: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{\"Item\"";

/// Plays every row: those that only wait beside the others, which come one
/// after the other, so that none of them waits for the processor.
async fn for_each_row<F: Future<Output = ()>>(play: impl Fn(Row) -> F) {
    let (silent, prompt): (Vec<Row>, Vec<Row>) = ROWS.iter().partition(|row| row.2 == Timeout);
    let one_by_one = async {
        for row in prompt {
            play(row).await;
        }
    };
    futures::join!(join_all(silent.into_iter().map(&play)), one_by_one);
}

#[tokio::test]
async fn every_fault_of_bytes_has_its_kind() {
    for_each_row(|(name, trouble, kind, _)| async move {
        let process = Process::new().await;
        let circuit = CircuitName::new(CIRCUIT).unwrap();
        // On a connection of its own, and on one that was good before.
        for reused in [false, true] {
            if reused {
                process.wire.always(Trouble::None);
                assert_eq!(process.store.read(&circuit, Consistency::Strong).await.unwrap(), None);
            }
            process.wire.always(trouble);
            let (read, waited) = timed(process.store.read(&circuit, Consistency::Strong)).await;
            let error = read.unwrap_err();
            assert_eq!(error.kind(), kind, "{name}, reused {reused}: {error:?}");
            assert!(waited <= AT_MOST, "{name}: {waited:?}");
        }
    })
    .await;
}

impl Process {
    /// A call asks, and is given up at once. It is rejected unasked while what is known
    /// is fresh; then a timer of the actor, which runs in real time, comes soon.
    fn wake(&self) {
        if let Some(asked) = self.breaker.admit().now_or_never() {
            assert!(asked.is_err());
        }
    }
}

#[tokio::test]
async fn cases_63_64_and_67_callers_never_see_a_fault_of_bytes() {
    for_each_row(|(name, trouble, kind, applied)| async move {
        // Each second a call looks, so that this process is never taken to stand still.
        let (long, second) = (Duration::from_secs(200), Duration::from_secs(1));
        let config =
            |config: ConfigBuilder| config.recovery_timeout(long).local_cache_max_age(second);
        let mut process = Process::with(config).await;
        process.wire.always(trouble);
        // Cold: the call runs, whatever the store says.
        for _ in 0..3 {
            assert_eq!(process.call(Ok(())).await, Some(Ok(())), "{name}");
        }
        let asked = process.wire.requests();
        for _ in 0..20 {
            assert_eq!(process.call(Ok(())).await, Some(Ok(())), "{name}");
        }
        assert_eq!(process.wire.requests(), asked, "{name}: nothing is sent in a back-off");

        // The store reads well, and the write that trips meets the fault.
        process.wire.always(Trouble::None);
        process.clock.advance(Duration::from_secs(61));
        assert_eq!(process.call(Ok(())).await, Some(Ok(())), "{name}");
        process.wire.always(trouble);
        for _ in 0..5 {
            assert_eq!(process.call(Err("down")).await, Some(Err("down")), "{name}");
        }
        process.registry.flush(AT_MOST).await.unwrap();
        assert_eq!(process.call(Ok(())).await, None, "{name}: this process protects itself");
        // Throttling is an answer: its trip is not told before it is written.
        let (at_once, late): (&[&str], &[&str]) =
            if kind == Throttled { (&[], &["OPEN Local"]) } else { (&["OPEN WithoutStore"], &[]) };
        assert_eq!(process.heard(), at_once, "{name}");
        let stored = if applied { json!("OPEN") } else { Value::Null };
        assert_eq!(process.stored_state(), stored, "{name}");

        // It heals, and is told at the next event after the back-off.
        process.wire.always(Trouble::None);
        // In small steps: this process does not stand still.
        let (steps, step) = if kind == Misconfigured { (70, 1_000) } else { (1, 1_500) };
        for _ in 0..steps {
            process.clock.advance(Duration::from_millis(step));
            assert_eq!(process.call(Ok(())).await, None, "{name}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let begun = now();
        while process.stored_state() != "OPEN" {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(begun.elapsed() < AT_MOST, "{name}: not published");
        }
        process.comes_to_be_told(late, name).await;
    })
    .await;
}

#[tokio::test]
async fn case_37_an_election_applied_before_a_reset_is_recognised() {
    for trouble in [Trouble::ResetAfter, Trouble::CloseInBody, Trouble::HangAfter] {
        let mut process = Process::new().await;
        for _ in 0..5 {
            assert_eq!(process.call(Err("down")).await, Some(Err("down")), "{trouble:?}");
        }
        process.clock.advance(Duration::from_secs(30));
        // The look is answered, and the election meets the fault.
        process.wire.next(Trouble::None);
        process.wire.next(trouble);
        let probe = process.breaker.admit().await.unwrap();
        assert!(probe.is_probe(), "{trouble:?}");
        probe.success().settled().await;
        assert_eq!(process.heard(), ["OPEN Local", "HALF_OPEN Local"], "{trouble:?}");
        assert_eq!(process.stored_state(), "HALF_OPEN", "{trouble:?}");
    }
}

#[tokio::test]
async fn case_73_connections_that_died_in_a_freeze_are_replaced_within_the_limit() {
    let process = Process::new().await;
    assert_eq!(process.call(Ok(())).await, Some(Ok(())));
    let open = json!({"state": "OPEN", "failure_count": 5, "opened_at": START + 600});
    process.engine.put_item(CIRCUIT, &open);
    let before = process.wire.connections();
    process.wire.let_connections_die();
    process.clock.advance(Duration::from_secs(600));
    assert_eq!(process.call(Ok(())).await, None, "what was opened meanwhile is seen at once");
    assert_eq!(process.wire.connections(), before + 1);
    assert_eq!(process.breaker.snapshot().state(), CircuitState::Open);
}
