//! The closed path of the layer allocates nothing.

use std::future::ready;

use allocation_counter::measure;
use fuseboard::{
    BreakerRegistry, MemoryStore,
    tower::{BreakerLayer, ServerErrors},
};
use futures::FutureExt as _;
use http::Response;
use http_body::Body as _;
use http_body_util::Full;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

type Answer = Response<Full<&'static [u8]>>;

fn answer() -> Answer {
    Response::new(Full::new(&[]))
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_closed_circuit_allocates_nothing() {
    let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn().unwrap();
    let breaker = registry.breaker("dependency").unwrap();
    breaker.admit().await.unwrap().success();
    let inner = service_fn(|()| ready(Ok::<_, &'static str>(answer())));
    let layer = BreakerLayer::new(breaker.clone()).classified_by(ServerErrors);
    let layer = layer.respond_with(|_| answer());

    let mut plain = layer.layer(inner);
    let mut through_body = layer.clone().through_body().layer(inner);
    let mut never_waiting = layer.never_waiting().layer(inner);
    let calls = measure(|| {
        for _ in 0..100 {
            plain.ready().now_or_never().unwrap().unwrap();
            plain.call(()).now_or_never().unwrap().unwrap();
            never_waiting.ready().now_or_never().unwrap().unwrap();
            never_waiting.call(()).now_or_never().unwrap().unwrap();
            through_body.ready().now_or_never().unwrap().unwrap();
            let response = through_body.call(()).now_or_never().unwrap().unwrap();
            assert!(response.into_body().is_end_stream());
        }
    });
    assert_eq!(calls.count_total, 0);
    // The measurement sees what does allocate.
    assert!(measure(|| drop(breaker.admit_owned().boxed())).count_total > 0);
}
