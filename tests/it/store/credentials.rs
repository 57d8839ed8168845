//! Credentials that are slow, absent, hanging and renewed.

use std::{
    fmt,
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::{
    self, ProvideCredentials, error::CredentialsError, future::ProvideCredentials as Provided,
};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, IdentityCache},
};
use aws_smithy_async::time::TimeSource;
use fuseboard::{
    Breaker, CallError, CircuitName, Config, DynamoDbStore,
    store::{
        Consistency, Misconfiguration, Record, Store, StoreError,
        StoreErrorKind::{Misconfigured, Timeout},
    },
};

use tracing::Level;

use crate::support::{
    dynamodb::World,
    engine::{Engine, Event, TABLE, now},
    log::Lines,
    world::timed,
};

/// The wall clock at the start of each test.
const START: Duration = Duration::from_secs(1_700_000_000);

const MEND: &str = "give this process credentials: a role of its task";

type Answer = Pin<Box<dyn Future<Output = provider::Result> + Send>>;

/// A provider that counts how often it is asked, and how many askings were
/// dropped before they ended.
#[derive(Clone)]
struct Provider {
    asked: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    answer: Arc<dyn Fn(usize) -> Answer + Send + Sync>,
}

impl Provider {
    fn new<F>(answer: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = provider::Result> + Send + 'static,
    {
        let answer = Arc::new(move |number| -> Answer { Box::pin(answer(number)) });
        Self { asked: Arc::default(), dropped: Arc::default(), answer }
    }

    /// One that takes so long each time, for credentials that do not end.
    fn taking(time: Duration) -> Self {
        Self::new(move |_| async move {
            tokio::time::sleep(time).await;
            Ok(credentials(None))
        })
    }

    fn hanging() -> Self {
        Self::new(|_| pending())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

/// Counts an asking that is dropped before it ends.
struct Asking(Option<Arc<AtomicUsize>>);

impl Asking {
    fn end(&mut self) {
        self.0 = None;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let (answer, mut asking) = ((self.answer)(number), Asking(Some(Arc::clone(&self.dropped))));
        Provided::new(async move {
            let answer = answer.await;
            asking.end();
            answer
        })
    }
}

fn credentials(until: Option<SystemTime>) -> Credentials {
    Credentials::new("key", "secret", None, until, "tests")
}

/// Tokio's time as wall time, so that credentials end in virtual time.
#[derive(Clone, Copy, Debug)]
struct Virtual(tokio::time::Instant);

impl Virtual {
    fn new() -> Self {
        Self(now())
    }
}

impl TimeSource for Virtual {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + START + self.0.elapsed()
    }
}

fn client(engine: &Engine, provider: &Provider) -> Client {
    let config = engine.client("A").config().to_builder();
    let config = config.credentials_provider(provider.clone()).time_source(Virtual::new());
    Client::from_conf(config.build())
}

fn store(engine: &Engine, provider: &Provider) -> DynamoDbStore {
    DynamoDbStore::new(client(engine, provider), TABLE)
}

fn circuit() -> CircuitName {
    CircuitName::new("payments").unwrap()
}

async fn read(store: &DynamoDbStore) -> Result<Option<Record>, StoreError> {
    store.read(&circuit(), Consistency::Strong).await
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A good call, which has to run within what a store may cost it.
async fn call(breaker: &Breaker) {
    let (result, waited) = timed(breaker.call(|| async { Ok::<_, &str>(()) })).await;
    assert_eq!(result, Ok(()));
    assert!(waited <= millis(1_100), "a call waited {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn case_170_credentials_that_take_up_to_ten_seconds_are_loaded_once_and_shared_by() {
    for taken in [millis(50), millis(600), millis(3_000), millis(10_000)] {
        let world = World::new();
        let provider = Provider::taking(taken);
        let store = store(&world.engine, &provider);
        let process = world.over(store, Config::default());
        let names = ["a", "b", "c"];
        let breakers = names.map(|name| process.registry.breaker(name).unwrap());
        let begun = now();
        while world.engine.count("GetItem") == 0 {
            for breaker in &breakers {
                call(breaker).await;
            }
            tokio::time::sleep(millis(100)).await;
            assert!(begun.elapsed() < taken * 2 + seconds(3), "{taken:?}: sharing does not begin");
        }
        assert!(begun.elapsed() >= taken);
        assert_eq!((provider.asked(), provider.dropped()), (1, 0), "{taken:?}");
        for breaker in &breakers {
            for _ in 0..5 {
                let _ = breaker.call(|| async { Err::<(), _>("down") }).await;
            }
        }
        tokio::time::sleep(seconds(31)).await;
        assert_eq!(provider.asked(), 1, "{taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_170_a_circuit_that_opened_before_there_were_credentials_opens_for_all() {
    let world = World::new();
    let provider = Provider::taking(seconds(5));
    let store = store(&world.engine, &provider);
    let process = world.over(store, Config::default());
    let breaker = process.registry.breaker("p").unwrap();
    let mut through = 0;
    for _ in 0..200 {
        let result = breaker.call(|| async { Err::<(), _>("down") }).await;
        through += usize::from(matches!(result, Err(CallError::Inner(_))));
        tokio::time::sleep(millis(100)).await;
    }
    assert_eq!(through, 5, "it opened here, without the store");
    assert_eq!(world.engine.get_item("p").unwrap()["state"], "OPEN");
    assert_eq!((provider.asked(), provider.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn case_170_an_operation_that_is_given_up_does_not_end_the_loading() {
    let engine = Engine::new();
    let provider = Provider::taking(seconds(2));
    let store = store(&engine, &provider);
    for _ in 0..20 {
        let given_up = tokio::time::timeout(millis(99), read(&store)).await;
        assert!(given_up.is_err());
    }
    assert_eq!(engine.requests().len(), 0);
    tokio::time::sleep(millis(30)).await;
    assert_eq!(read(&store).await.unwrap(), None);
    assert_eq!((provider.asked(), provider.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn case_170_an_attempt_has_its_whole_limit_after_the_loading() {
    let engine = Engine::new();
    let provider = Provider::taking(millis(390));
    engine.network("A").always(Event::DelayBefore(millis(350)));
    assert_eq!(read(&store(&engine, &provider)).await.unwrap(), None);
    assert_eq!(engine.requests().len(), 1, "the loading took nothing from the attempt");
}

#[tokio::test(start_paused = true)]
async fn case_170_all_who_wait_are_served_by_one_loading_whatever_the_cache() {
    let caches = [None, Some(IdentityCache::no_cache()), Some(IdentityCache::lazy().build())];
    for cache in caches {
        let engine = Engine::new();
        let provider = Provider::taking(millis(500));
        let mut config = client(&engine, &provider).config().to_builder();
        if let Some(cache) = cache {
            config = config.identity_cache(cache);
        }
        let store = DynamoDbStore::new(Client::from_conf(config.build()), TABLE);
        let reads = (0..20).map(|_| read(&store));
        for result in futures::future::join_all(reads).await {
            assert_eq!(result.unwrap(), None);
        }
        assert_eq!((provider.asked(), provider.dropped()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn case_170_the_cache_of_the_client_keeps_what_was_loaded() {
    let engine = Engine::new();
    let provider = Provider::taking(millis(500));
    let config = client(&engine, &provider).config().to_builder();
    let config = config.identity_cache(IdentityCache::lazy().build());
    let client = Client::from_conf(config.build());
    read(&DynamoDbStore::new(client.clone(), TABLE)).await.unwrap();
    read(&DynamoDbStore::new(client.clone(), TABLE)).await.unwrap();
    client.list_tables().send().await.unwrap();
    assert_eq!(provider.asked(), 1);
}

/// A provider whose credentials end after a minute, and whose renewals take so
/// long.
fn renewed_in(engine: &Engine, time: Duration) -> (Provider, DynamoDbStore) {
    let clock = Virtual::new();
    let provider = Provider::new(move |number| async move {
        if number > 0 {
            tokio::time::sleep(time).await;
        }
        Ok(credentials(Some(clock.now() + seconds(60))))
    });
    let config = client(engine, &provider).config().to_builder().time_source(clock);
    (provider, DynamoDbStore::new(Client::from_conf(config.build()), TABLE))
}

#[tokio::test(start_paused = true)]
async fn case_170_a_renewal_is_not_noticed_while_the_old_credentials_are_good() {
    let engine = Engine::new();
    let (provider, store) = renewed_in(&engine, millis(1_500));
    let begun = now();
    while begun.elapsed() < seconds(200) {
        let (result, waited) = timed(read(&store)).await;
        result.unwrap();
        assert_eq!(waited, Duration::ZERO, "after {:?}", begun.elapsed());
        tokio::time::sleep(millis(100)).await;
    }
    assert!((4..=5).contains(&provider.asked()), "{}", provider.asked());
    assert_eq!(provider.dropped(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_170_a_renewal_of_ten_seconds_is_made_once_and_sharing_goes_on() {
    let world = World::new();
    let (provider, store) = renewed_in(&world.engine, seconds(10));
    let process = world.over(store, Config::default());
    let breaker = process.registry.breaker("p").unwrap();
    let begun = now();
    while begun.elapsed() < seconds(90) {
        call(&breaker).await;
        tokio::time::sleep(millis(100)).await;
    }
    assert_eq!((provider.asked(), provider.dropped()), (2, 0));
    world.engine.clear();
    tokio::time::sleep(seconds(6)).await;
    call(&breaker).await;
    assert_eq!(world.engine.count("GetItem"), 1, "it is read as before");
}

#[tokio::test(start_paused = true)]
async fn case_170_a_renewal_that_fails_does_not_end_credentials_that_are_good() {
    let engine = Engine::new();
    let clock = Virtual::new();
    let provider = Provider::new(move |number| async move {
        match number {
            0 => Ok(credentials(Some(clock.now() + seconds(60)))),
            1 => Err(CredentialsError::provider_error("a hiccup")),
            _ => Ok(credentials(None)),
        }
    });
    let config = client(&engine, &provider).config().to_builder().time_source(clock);
    let store = DynamoDbStore::new(Client::from_conf(config.build()), TABLE);
    for _ in 0..700 {
        read(&store).await.unwrap();
        tokio::time::sleep(millis(100)).await;
    }
    assert_eq!(provider.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn case_170_the_loading_ends_with_the_store() {
    let engine = Engine::new();
    let provider = Provider::hanging();
    let store = store(&engine, &provider);
    read(&store).await.unwrap_err();
    assert_eq!((provider.asked(), provider.dropped()), (1, 0));
    drop(store);
    tokio::time::sleep(millis(1)).await;
    assert_eq!(provider.dropped(), 1);
}

#[test]
fn case_170_a_loading_that_ended_with_its_runtime_is_begun_by_the_next() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let provider = Provider::taking(seconds(5));
    let store = first.block_on(async {
        let store = store(&Engine::new(), &provider);
        assert_eq!(read(&store).await.unwrap_err().kind(), Timeout);
        store
    });
    drop(first);
    assert_eq!(provider.dropped(), 1);
    second.block_on(async {
        assert_eq!(read(&store).await.unwrap_err().kind(), Timeout);
        tokio::time::sleep(seconds(5)).await;
        assert_eq!(read(&store).await.unwrap(), None);
    });
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_170_verify_and_create_table_wait_for_credentials() {
    let engine = Engine::empty();
    let provider = Provider::taking(millis(9_900));
    store(&engine, &provider).create_table().await.unwrap();
    store(&engine, &provider).verify().await.unwrap();
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_171_credentials_that_hang_are_told_as_missing_with_the_mend() {
    let engine = Engine::new();
    let provider = Provider::hanging();
    let store = store(&engine, &provider);
    let begun = now();
    let error = read(&store).await.unwrap_err();
    assert!(begun.elapsed() <= millis(751), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), Timeout);
    let message = error.to_string();
    assert!(message.contains("no credentials: they are still being loaded"), "{message}");
    assert!(message.contains("750ms were waited for") && message.contains(MEND), "{message}");

    let error = store.verify().await.unwrap_err();
    let [fault @ Misconfiguration::NoCredentials { .. }] = error.faults() else {
        panic!("{error}")
    };
    assert!(fault.to_string().contains(MEND), "{fault}");
    assert!(fault.to_string().contains("10s were waited for"), "{fault}");
    assert!(begun.elapsed() <= seconds(11), "one wait, and no other request after it");

    let error = store.create_table().await.unwrap_err();
    assert!(error.to_string().contains(MEND), "{error}");
    assert!(engine.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_171_the_log_tells_of_missing_credentials_with_the_mend() {
    let absent = Provider::new(|_| async { Err(CredentialsError::not_loaded("no role")) });
    for (provider, level, why) in [
        (Provider::hanging(), Level::WARN, "they are still being loaded"),
        (absent, Level::ERROR, "no role"),
    ] {
        let world = World::new();
        let store = store(&world.engine, &provider);
        let process = world.over(store, Config::default());
        let breaker = process.registry.breaker("p").unwrap();
        let lines = Lines::of(level);
        call(&breaker).await;
        let lines = lines.take_texts();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(line.contains("no credentials: ") && line.contains(why), "{line}");
        assert!(line.contains(MEND), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_171_a_loading_that_hangs_for_ever_ends_as_one_that_failed() {
    let engine = Engine::new();
    let provider = Provider::hanging();
    let store = store(&engine, &provider);
    assert_eq!(read(&store).await.unwrap_err().kind(), Timeout);
    // The SDK's cache gives a loading up.
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(read(&store).await.unwrap_err().kind(), Timeout);
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_171_the_lack_of_credentials_is_told_with_all_causes_and_the_mend() {
    for pause in [Duration::ZERO, millis(300)] {
        let engine = Engine::new();
        let provider = Provider::new(move |_| async move {
            tokio::time::sleep(pause).await;
            let cause = std::io::Error::other("no route to 169.254.169.254");
            Err(CredentialsError::not_loaded(cause))
        });
        let store = store(&engine, &provider);
        let told = [
            read(&store).await.unwrap_err().to_string(),
            store.create_table().await.unwrap_err().to_string(),
            store.verify().await.unwrap_err().to_string(),
        ];
        assert_eq!(read(&store).await.unwrap_err().kind(), Misconfigured);
        for told in told {
            assert!(told.contains("credentials"), "{told}");
            assert!(told.contains("no route to 169.254.169.254") && told.contains(MEND), "{told}");
        }
        let error = store.verify().await.unwrap_err();
        assert!(matches!(error.faults(), [Misconfiguration::NoCredentials { .. }]), "{error}");
        assert!(engine.requests().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn case_174_a_provider_that_panics_is_told_with_its_text() {
    for pause in [Duration::ZERO, millis(300)] {
        let engine = Engine::new();
        let provider = Provider::new(move |_| async move {
            tokio::time::sleep(pause).await;
            panic!("a provider that panics, as the test says")
        });
        let error = read(&store(&engine, &provider)).await.unwrap_err();
        assert_eq!(error.kind(), Misconfigured);
        assert!(error.to_string().contains("as the test says"), "{error}");
    }
}
