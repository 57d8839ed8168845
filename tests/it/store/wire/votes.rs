//! The request of a ballot, on the item beside the circuit's.

use std::sync::Arc;

use fuseboard::store::{Ballot, Store, Vote};
use serde_json::{Value, json};

use super::circuit;
use crate::support::engine::Engine;

fn ballot(over: &[&str]) -> Ballot {
    Ballot {
        voter: Arc::from("host-1#a"),
        vote: Vote { at_ms: 1_000_123, epoch: Some(4_630) },
        over: over.iter().map(|voter| Arc::from(*voter)).collect(),
        expires_at: 4_660,
    }
}

/// What a ballot looks like. It has no condition: see `Ballot`.
fn expected(update: &str, names: Value) -> Value {
    json!({
        "TableName": "circuits",
        "Key": {"id": {"S": "payments#votes"}},
        "UpdateExpression": update,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {
            ":expiration": {"N": "4660"},
            ":vote": {"S": "1000123 4630"},
        },
        "ReturnValues": "ALL_NEW",
    })
}

#[tokio::test(start_paused = true)]
async fn case_153_a_ballot_is_one_update_of_the_item_beside_the_circuits() {
    let engine = Engine::new();
    let store = engine.store("A");
    for (over, update, names) in [
        (
            &[][..],
            "SET #expiration = :expiration, #me = :vote",
            json!({"#expiration": "expiration", "#me": "vote#host-1#a"}),
        ),
        (
            &["host-2#b", "host-3#c"][..],
            "SET #expiration = :expiration, #me = :vote REMOVE #over0, #over1",
            json!({
                "#expiration": "expiration",
                "#me": "vote#host-1#a",
                "#over0": "vote#host-2#b",
                "#over1": "vote#host-3#c",
            }),
        ),
    ] {
        engine.clear();
        let shown = store.vote(&circuit(), &ballot(over)).await.unwrap().expect("it keeps votes");
        assert_eq!(shown.get("host-1#a"), Some(&ballot(&[]).vote));
        let requests = engine.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].operation, "UpdateItem");
        assert_eq!(requests[0].body, expected(update, names));
    }
}
