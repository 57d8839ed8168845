//! Circuits that are only tried, and their item.

use fuseboard::CircuitState;

use crate::support::dynamodb::{Call, World, seconds};

const SHADOW: &str = "payment-backend#dry-run";

#[tokio::test(start_paused = true)]
async fn case_136_the_item_beside_goes_as_the_real_one_would_which_is_left_alone() {
    let (world, enforced) = (World::new(), World::new());
    let trying = |label| world.named_with(label, |config| config.dry_run(true));
    let (a, b) = (trying("A"), trying("B"));
    let (c, d) = (enforced.named("A"), enforced.named("B"));
    // One that enforces the same circuit, beside those that try it.
    let beside = world.named("C");
    assert_eq!(beside.ok().await, Call::Ok);
    let mut rejected = 0;
    for second in 0..70 {
        let is_down = second < 20;
        for (tried, other) in [(&a, &c), (&b, &d)] {
            let (ran, would) = if is_down {
                (tried.fail().await, other.fail().await)
            } else {
                (tried.ok().await, other.ok().await)
            };
            assert_eq!(ran, if is_down { Call::Failed } else { Call::Ok }, "second {second}");
            rejected += u64::from(would.is_rejected());
            assert_eq!(tried.state(), other.state(), "second {second}");
        }
        let (shadow, real) = (world.engine.get_item(SHADOW), enforced.item());
        let seen = |item: &Option<serde_json::Value>| {
            let names = ["state", "failure_count", "opened_at", "probe_lease_expiry", "expiration"];
            let more = ["success_count", "down_since", "cause"];
            let values = |item: &serde_json::Value| {
                // Each has a token of its own.
                let is_owned = item.get("half_open_owner").is_some();
                let values = names.into_iter().chain(more).map(|name| item[name].clone());
                (is_owned, values.collect::<Vec<_>>())
            };
            item.as_ref().map(values)
        };
        assert_eq!(seen(&shadow), seen(&real), "second {second}");
        seconds(1).await;
    }
    let tried = a.circuit().would_have_rejected() + b.circuit().would_have_rejected();
    assert!(tried == rejected && rejected > 40, "{tried} of {rejected}");
    assert_eq!(a.state(), CircuitState::Closed);
    assert_eq!(a.heard(), c.heard());
    assert_eq!(world.item(), None, "the real item");
    let by_trying = world.engine.requests().into_iter().filter(|request| request.client != "C");
    let keys: Vec<_> = by_trying.map(|request| request.body["Key"].to_string()).collect();
    assert!(keys.len() > 5 && keys.iter().all(|key| key.contains(SHADOW)), "{keys:?}");
    assert_eq!((beside.state(), beside.ok().await), (CircuitState::Closed, Call::Ok));
}
