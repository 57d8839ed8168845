//! Requests that are signed in advance: nothing is sent, and the circuit hears nothing of them.
#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

use std::time::{Duration, SystemTime};

use aws_sdk_polly::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    presigning::PresigningConfig,
    types::{OutputFormat, VoiceId},
};
use fuseboard::{
    Breaker, BreakerRegistry, CircuitState, MemoryStore, OpenError, VirtualClock,
    aws::BreakerInterceptor,
};
use tokio::time::sleep;

fn process() -> BreakerRegistry {
    let clock = VirtualClock::following_tokio(SystemTime::UNIX_EPOCH);
    BreakerRegistry::builder(MemoryStore::new()).clock(&clock).disabled(false).spawn().unwrap()
}

/// A client with this interceptor, which could send nothing: it has no HTTP client.
fn client(interceptor: BreakerInterceptor) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .interceptor(interceptor);
    Client::from_conf(config.build())
}

/// One that asks once for an operation, and one that asks for each attempt.
fn both(breaker: &Breaker) -> [Client; 2] {
    let interceptor = BreakerInterceptor::new(breaker.clone());
    [interceptor.clone(), interceptor.per_attempt()].map(client)
}

/// Signs a request; returns `false` if the circuit rejects that.
async fn is_signed(client: &Client) -> bool {
    let speech = client.synthesize_speech().text("late").voice_id(VoiceId::Amy);
    let speech = speech.output_format(OutputFormat::Mp3);
    let lasting = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    match speech.presigned(lasting).await {
        Ok(signed) => {
            assert!(signed.uri().contains("X-Amz-Signature"), "{}", signed.uri());
            true
        }
        Err(error) => {
            assert!(OpenError::find(&error).is_some(), "{error:?}");
            false
        }
    }
}

async fn fail(breaker: &Breaker, times: u32) {
    for _ in 0..times {
        breaker.admit().await.unwrap().failure().settled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_neither_counts_nor_ends_a_streak_of_failures() {
    let registry = process();
    for (number, name) in ["by the operation", "by the attempt"].into_iter().enumerate() {
        let breaker = registry.breaker(name).unwrap();
        let client = &both(&breaker)[number];
        fail(&breaker, 4).await;
        for _ in 0..10 {
            assert!(is_signed(client).await);
        }
        assert_eq!(breaker.state(), CircuitState::Closed, "{name}: it is no failure");
        fail(&breaker, 1).await;
        assert_eq!(breaker.state(), CircuitState::Open, "{name}: it is no success");
        assert!(!is_signed(client).await, "{name}: rejected like any other");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_admitted_as_a_probe_gives_the_right_back() {
    let registry = process();
    for (number, name) in ["by the operation", "by the attempt"].into_iter().enumerate() {
        let breaker = registry.breaker(name).unwrap();
        let client = &both(&breaker)[number];
        fail(&breaker, 5).await;
        sleep(Duration::from_secs(31)).await;
        // A rejection, which wins the right to probe in the background.
        assert!(!is_signed(client).await);
        sleep(Duration::from_secs(1)).await;
        for good in 0..3 {
            assert_eq!(breaker.state(), CircuitState::HalfOpen, "{name}: {good} good probes");
            let mut tries = 0;
            while !is_signed(client).await {
                tries += 1;
                assert!(tries < 5, "{name}: no right after {good} good probes");
                sleep(Duration::from_secs(1)).await;
            }
            // Long before the lease of a probe ends, the next call has it.
            sleep(Duration::from_secs(2)).await;
            breaker.admit().await.unwrap().success().settled().await;
            sleep(Duration::from_secs(2)).await;
        }
        assert_eq!(breaker.state(), CircuitState::Closed, "{name}");
    }
}
