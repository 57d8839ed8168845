//! The whole way over a socket: the SDK's own HTTP client, and an engine that
//! serves HTTP on a free port. The circuits' clock stands until it is moved.

use std::time::{Duration, SystemTime};

use fuseboard::{
    Breaker, BreakerRegistry, CallError, CircuitState, Clock, Config, DynamoDbStore, VirtualClock,
};

use crate::support::{
    dynamodb::START,
    engine::{Engine, TABLE, http_client},
};

async fn call(breaker: &Breaker, result: Result<(), &'static str>) -> Result<(), &'static str> {
    match breaker.call(|| async { result }).await {
        Ok(()) => Ok(()),
        Err(CallError::Inner(error)) => Err(error),
        Err(CallError::TimedOut(_)) => Err("cut"),
        Err(CallError::Open(_)) => Err("rejected"),
    }
}

#[tokio::test]
async fn an_incident_runs_its_course_over_http() {
    let engine = Engine::new();
    let server = engine.serve_http().await;
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs());
    let clock = VirtualClock::standing_at(start);
    let process = || {
        // The server's clock is not the one that the test moves.
        let store = DynamoDbStore::builder(server.client(), TABLE).server_time(false);
        BreakerRegistry::builder(store.build().unwrap())
            .config(Config::builder().election_spread(Duration::ZERO).build().unwrap())
            .clock(Clock::from(&clock))
            .disabled(false)
            .spawn()
            .unwrap()
    };
    let (one, two) = (process(), process());
    let (a, b) = (one.breaker("payments").unwrap(), two.breaker("payments").unwrap());

    assert_eq!(call(&b, Ok(())).await, Ok(()));
    for _ in 0..5 {
        assert_eq!(call(&a, Err("down")).await, Err("down"));
    }
    assert_eq!(engine.get_item("payments").unwrap()["state"], "OPEN");
    clock.advance(Duration::from_secs(5));
    assert_eq!(call(&b, Ok(())).await, Err("rejected"));

    clock.advance(Duration::from_secs(25));
    assert_eq!(call(&b, Err("still down")).await, Err("still down"));
    assert_eq!(call(&a, Ok(())).await, Err("rejected"));
    clock.advance(Duration::from_secs(30));
    for _ in 0..3 {
        assert_eq!(call(&b, Ok(())).await, Ok(()));
    }
    assert_eq!(engine.get_item("payments").unwrap()["state"], "CLOSED");
    clock.advance(Duration::from_secs(5));
    assert_eq!(call(&a, Ok(())).await, Ok(()));
    assert_eq!(a.snapshot().state(), CircuitState::Closed);

    one.shutdown(Duration::from_secs(1)).await.unwrap();
    two.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_on_leaves_callers_their_results() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let store = DynamoDbStore::new(http_client(port), TABLE);
    let registry = BreakerRegistry::builder(store).disabled(false).spawn().unwrap();
    let payments = registry.breaker("payments").unwrap();
    assert_eq!(call(&payments, Ok(())).await, Ok(()));
    for _ in 0..5 {
        assert_eq!(call(&payments, Err("down")).await, Err("down"));
    }
    assert_eq!(call(&payments, Ok(())).await, Err("rejected"), "this process protects itself");
}
