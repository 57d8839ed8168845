//! The errors of calls, and what others make of them.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use fuseboard::{Breaker, CallError, OpenError, TimedOutError};

use crate::support::memory::{CIRCUIT, World, trip};

type BoxError = Box<dyn Error + Send + Sync>;

/// A rejection.
async fn rejected(breaker: &Breaker) -> OpenError {
    trip(breaker).await;
    breaker.admit().await.unwrap_err()
}

/// A wrapper that names what it holds as its source.
#[derive(Debug, thiserror::Error)]
#[error("the service failed")]
struct Wrapped(#[source] BoxError);

/// An error of a service, as users write them.
#[derive(Debug, thiserror::Error)]
enum ServiceError {
    #[error(transparent)]
    Call(#[from] CallError<io::Error>),
    #[error("no answer")]
    Client(#[source] Arc<BoxErrorOfMiddleware>),
}

/// As the errors of `tower`'s buffer: shared, and naming the source of what they share.
#[derive(Debug)]
struct BoxErrorOfMiddleware(BoxError);

impl fmt::Display for BoxErrorOfMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffered service failed: {}", self.0)
    }
}

impl Error for BoxErrorOfMiddleware {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// Every way in which a rejection was seen to be wrapped.
fn wrappings(open: &OpenError) -> Vec<(&'static str, BoxError)> {
    let open = || open.clone();
    let call = || CallError::<io::Error>::Open(open());
    vec![
        ("as it is", open().into()),
        ("boxed twice", Box::new(Box::new(open()))),
        ("shared", Box::new(Arc::new(open()))),
        ("shared, erased", Box::new(Arc::<dyn Error + Send + Sync>::from(BoxError::from(open())))),
        ("a call's", call().into()),
        ("an inner breaker's", CallError::Inner(CallError::<io::Error>::Open(open())).into()),
        ("an inner breaker's, as io", CallError::Inner(io::Error::other(open())).into()),
        ("io", io::Error::other(open()).into()),
        ("io of a call's", io::Error::other(call()).into()),
        ("io of io", io::Error::other(io::Error::other(open())).into()),
        ("shared io", Box::new(Arc::new(io::Error::other(open())))),
        ("wrapped", Wrapped(open().into()).into()),
        ("wrapped io of wrapped", Wrapped(io::Error::other(Wrapped(open().into())).into()).into()),
        ("transparent", ServiceError::from(call()).into()),
        (
            "middleware's",
            ServiceError::Client(Arc::new(BoxErrorOfMiddleware(open().into()))).into(),
        ),
        ("anyhow with contexts", anyhow::Error::new(open()).context("one").context("two").into()),
        ("anyhow of a call's", anyhow::Error::new(call()).into()),
        ("in anyhow's io", anyhow::Error::new(io::Error::other(open())).context("one").into()),
    ]
}

#[tokio::test(start_paused = true)]
async fn case_183_a_rejection_is_found_in_whatever_wraps_it() {
    let world = World::new();
    let process = world.process();
    let open = rejected(&process.breaker()).await;
    for (wrapped, error) in wrappings(&open) {
        let found = OpenError::find(&*error);
        assert_eq!(found.map(|found| found.circuit().name.as_str()), Some(CIRCUIT), "{wrapped}");
    }
    assert_eq!(OpenError::find(&open), Some(&open));
    let erased = anyhow::Error::new(open.clone());
    assert_eq!(OpenError::find(erased.as_ref()), Some(&open));
    assert_eq!(OpenError::find(erased.context("one").as_ref()), Some(&open));
}

/// These show the text of the rejection as their own, and the source of the rejection, which has
/// none, as their source.
#[tokio::test(start_paused = true)]
async fn case_183_what_hides_a_bare_rejection_shows_that_of_a_call() {
    let world = World::new();
    let process = world.process();
    let open = rejected(&process.breaker()).await;
    assert_eq!(OpenError::find(&ChargeError::Open(open.clone())), None);
    let boxed: BoxError = anyhow::Error::new(open.clone()).into();
    assert_eq!(OpenError::find(&*boxed), None);
    let call = || CallError::<io::Error>::Open(open.clone());
    assert_eq!(OpenError::find(&ServiceError::from(call())), Some(&open));
    let boxed: BoxError = anyhow::Error::new(call()).into();
    assert_eq!(OpenError::find(&*boxed), Some(&open));
}

#[tokio::test(start_paused = true)]
async fn case_183_a_rejection_is_found_behind_the_middleware_of_tower() {
    use tower::{Service as _, ServiceBuilder, ServiceExt as _, service_fn};

    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let _ = rejected(&breaker).await;
    let call = service_fn(move |_: ()| {
        let breaker = breaker.clone();
        async move { breaker.call(|| async { Ok::<u32, io::Error>(42) }).await }
    });
    let mut service = ServiceBuilder::new()
        .buffer(8)
        .timeout(Duration::from_secs(5))
        .concurrency_limit(8)
        .service(call);
    let error = service.ready().await.unwrap().call(()).await.unwrap_err();
    let found = OpenError::find(&*error).expect("the rejection");
    assert_eq!(found.circuit().name.as_str(), CIRCUIT);
}

#[test]
fn case_183_nothing_is_found_where_there_is_no_rejection() {
    let down = || io::Error::other("down");
    let errors: [BoxError; 6] = [
        "down".into(),
        down().into(),
        io::Error::from(io::ErrorKind::NotFound).into(),
        CallError::Inner(down()).into(),
        Wrapped(down().into()).into(),
        Box::new(Arc::new(down())),
    ];
    for error in errors {
        assert_eq!(OpenError::find(&*error), None, "{error:?}");
    }
}

/// What a log shows of an error: its text and those of its sources.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn case_183_a_chain_of_causes_shows_the_rejection_and_the_limit_once() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let hangs = || std::future::pending::<Result<u32, io::Error>>();
    let cut = breaker.call_within(Duration::from_secs(2), hangs).await.unwrap_err();
    assert_eq!(chain(&cut), ["the call timed out", "the call was cut after its limit of 2s"]);
    let failed = CallError::Inner(io::Error::other("down"));
    assert_eq!(chain(&failed), ["down"], "the call's own error as it is");
    breaker.call(|| async { Ok::<u32, io::Error>(42) }).await.unwrap();
    let open = rejected(&breaker).await;
    assert_eq!(
        chain(&CallError::<io::Error>::Open(open)),
        [
            "circuit \"payment-backend\" rejected the call",
            "circuit \"payment-backend\" is OPEN; retry in 30s",
        ]
    );
}

/// An error that has a place for what a breaker says.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum ChargeError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    TimedOut(#[from] TimedOutError),
    #[error("refused")]
    Refused,
}

#[tokio::test(start_paused = true)]
async fn what_a_breaker_says_becomes_the_error_of_the_caller() {
    async fn by_hand(breaker: &Breaker) -> Result<(), CallError<ChargeError>> {
        breaker.admit().await?.success();
        Ok(())
    }
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let hangs = || std::future::pending::<Result<u32, ChargeError>>();
    let cut = breaker.call_within(Duration::from_secs(2), hangs).await.unwrap_err();
    let timed_out = cut.timed_out().unwrap().clone();
    assert_eq!((cut.open(), cut.inner()), (None, None));
    assert_eq!(cut.clone().map_inner(|_| ()), CallError::TimedOut(timed_out.clone()));
    assert_eq!(cut.into_error(), ChargeError::TimedOut(timed_out));
    assert_eq!(CallError::Inner(ChargeError::Refused).into_error(), ChargeError::Refused);
    by_hand(&breaker).await.unwrap();
    let open = rejected(&breaker).await;
    let rejected = CallError::<ChargeError>::Open(open.clone());
    assert_eq!(rejected.into_error(), ChargeError::Open(open.clone()));
    assert_eq!(by_hand(&breaker).await, Err(CallError::Open(open)));
}
