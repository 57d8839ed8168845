//! The requests of operators: holds and releases, and what follows them.

use std::sync::Arc;

use fuseboard::{
    CircuitState,
    store::{Hints, HoldTerms, Operation, Record},
};
use serde_json::json;

use super::{ALL, BECOME_OPEN, CLOSED, began, half_open, record, sends, sent, update};
use crate::support::engine::Engine;

const UNCHANGED: &str = "#state = :seen_state AND #failure_count = :seen_failure_count \
    AND attribute_not_exists(#opened_at) AND #half_open_owner = :seen_half_open_owner \
    AND #probe_lease_expiry = :seen_probe_lease_expiry AND #expiration = :seen_expiration \
    AND #success_count = :seen_success_count AND attribute_not_exists(#hold) \
    AND attribute_not_exists(#hold_until)";

const HELD: [&str; 2] = ["hold_until", "hold_reason"];

fn terms(by: Option<&str>) -> HoldTerms {
    HoldTerms { until: 9_030, by: by.map(Arc::from), reason: Arc::from("deploy") }
}

#[tokio::test(start_paused = true)]
async fn an_operator_names_everything_that_was_seen() {
    let held = "SET #state = :state, #failure_count = :failure_count, #opened_at = :opened_at, \
        #expiration = :expiration, #half_open_owner = :half_open_owner, \
        #hold_until = :hold_until, #hold_reason = :hold_reason, #down_since = :down_since, \
        #cause = :cause REMOVE #probe_lease_expiry, #success_count";
    let hold = |seen| Operation::Hold {
        seen,
        terms: terms(None),
        opened_at: 9_000,
        expires_at: 12_630,
        hints: began(),
    };
    let mut values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "0"},
        ":opened_at": {"N": "9000"},
        ":expiration": {"N": "12630"},
        ":half_open_owner": {"S": "hold#deploy"},
        ":hold_until": {"N": "9030"},
        ":hold_reason": {"S": "deploy"},
        ":down_since": {"N": "990"},
        ":cause": {"S": "failure_threshold"},
    });
    let all = [&ALL[..], &HELD, &["down_since", "cause"]].concat();
    let names = [&["id"], &all[..]].concat();
    let all = [&all[..], &["hold"]].concat();
    let absent = update(held, "attribute_not_exists(#key)", &names, values.clone());
    sends(&hold(None), absent).await;

    let seen = json!({
        ":seen_state": {"S": "HALF_OPEN"},
        ":seen_failure_count": {"N": "5"},
        ":seen_half_open_owner": {"S": "theirs"},
        ":seen_probe_lease_expiry": {"N": "1030"},
        ":seen_expiration": {"N": "4630"},
        ":seen_success_count": {"N": "1"},
    });
    let seen = seen.as_object().unwrap();
    values.as_object_mut().unwrap().extend(seen.clone());
    sends(&hold(Some(half_open())), update(held, UNCHANGED, &all, values)).await;

    let mut values = json!({
        ":state": {"S": "CLOSED"},
        ":failure_count": {"N": "0"},
        ":expiration": {"N": "4660"},
        ":released": {"N": "1015"},
    });
    values.as_object_mut().unwrap().extend(seen.clone());
    let released = CLOSED
        .replace("#expiration = :expiration", "#expiration = :expiration, #released = :released");
    let names = [&ALL[..], &["released", "hold", "hold_until", "down_since", "cause"]].concat();
    let release = Operation::Release { seen: half_open(), released_at: 1_015, expires_at: 4_660 };
    sends(&release, update(&released, UNCHANGED, &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn case_96_what_follows_a_release_removes_its_mark_and_only_an_operator_names_it() {
    let mut seen = record(CircuitState::Closed);
    seen.released = 1_015.into();
    let names = [&ALL[..], &["released", "hold_until"]].concat();
    let open = format!("{BECOME_OPEN}, #released");
    let trip = Operation::Trip {
        seen: Some(seen.clone()),
        failure_count: 5,
        opened_at: 2_000,
        expires_at: 5_630,
        hints: Hints::NONE,
    };
    let mut values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "2000"},
        ":expiration": {"N": "5630"},
        ":seen_state": {"S": "CLOSED"},
        ":seen_expiration": {"N": "4630"},
    });
    let condition = "#state = :seen_state AND #expiration = :seen_expiration \
        AND attribute_not_exists(#hold_until)";
    sends(&trip, update(&open, condition, &names, values.clone())).await;

    let (seen, terms, hints) = (Some(seen), terms(None), Hints::NONE);
    let hold = Operation::Hold { seen, terms, opened_at: 2_000, expires_at: 5_630, hints };
    let held = open.replace("REMOVE #half_open_owner, ", "REMOVE ").replace(
        ":expiration",
        ":expiration, #half_open_owner = :half_open_owner, #hold_until = :hold_until, \
         #hold_reason = :hold_reason",
    );
    let names = [&names[..], &["hold", "hold_reason"]].concat();
    values[":hold_until"] = json!({"N": "9030"});
    values[":hold_reason"] = json!({"S": "deploy"});
    values[":failure_count"] = json!({"N": "0"});
    values[":half_open_owner"] = json!({"S": "hold#deploy"});
    values[":seen_failure_count"] = json!({"N": "5"});
    values[":seen_released"] = json!({"N": "1015"});
    let unchanged = "#state = :seen_state AND #failure_count = :seen_failure_count \
        AND attribute_not_exists(#opened_at) AND attribute_not_exists(#half_open_owner) \
        AND attribute_not_exists(#probe_lease_expiry) AND #expiration = :seen_expiration \
        AND attribute_not_exists(#success_count) AND #released = :seen_released \
        AND attribute_not_exists(#hold) AND attribute_not_exists(#hold_until)";
    sends(&hold, update(&held, unchanged, &names, values)).await;
}

/// A record that is held closed.
fn held_closed() -> Record {
    let (seen, terms) = (None, terms(Some("ops")));
    Operation::HoldClosed { seen, terms, held_at: 1_015, expires_at: 12_630 }.apply(None).unwrap()
}

#[tokio::test(start_paused = true)]
async fn case_133_a_hold_closed_is_a_closing_by_an_operator_with_an_end() {
    let held = CLOSED.replace(
        "#expiration = :expiration",
        "#expiration = :expiration, #released = :released, #hold = :hold, \
         #hold_until = :hold_until, #hold_reason = :hold_reason, #hold_by = :hold_by",
    );
    let values = json!({
        ":state": {"S": "CLOSED"},
        ":failure_count": {"N": "0"},
        ":expiration": {"N": "12630"},
        ":released": {"N": "1015"},
        ":hold": {"S": "closed"},
        ":hold_until": {"N": "9030"},
        ":hold_reason": {"S": "deploy"},
        ":hold_by": {"S": "ops"},
    });
    let names = ["id", "hold", "hold_by", "released", "down_since", "cause"];
    let names = [&names[..], &ALL, &HELD].concat();
    let (seen, terms) = (None, terms(Some("ops")));
    let hold = Operation::HoldClosed { seen, terms, held_at: 1_015, expires_at: 12_630 };
    sends(&hold, update(&held, "attribute_not_exists(#key)", &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn case_133_a_trip_after_a_hold_names_its_end_and_removes_it() {
    let trip = Operation::Trip {
        seen: Some(held_closed()),
        failure_count: 5,
        opened_at: 9_031,
        expires_at: 12_661,
        hints: began(),
    };
    let values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "5"},
        ":opened_at": {"N": "9031"},
        ":expiration": {"N": "12661"},
        ":down_since": {"N": "990"},
        ":cause": {"S": "failure_threshold"},
        ":seen_state": {"S": "CLOSED"},
        ":seen_expiration": {"N": "12630"},
        ":seen_hold_until": {"N": "9030"},
    });
    let condition = "#state = :seen_state AND #expiration = :seen_expiration \
        AND #hold_until = :seen_hold_until";
    let names = ["hold", "hold_by", "released", "down_since", "cause"];
    let names = [&names[..], &ALL, &HELD].concat();
    let open = super::with_began(BECOME_OPEN);
    let open = format!("{open}, #released, #hold, #hold_until, #hold_by, #hold_reason");
    sends(&trip, update(&open, condition, &names, values)).await;
}

/// Without its end, who starts later would take it for the release of an opening.
#[tokio::test(start_paused = true)]
async fn case_133_the_release_of_a_hold_closed_leaves_when_it_ended() {
    let release = Operation::Release { seen: held_closed(), released_at: 1_515, expires_at: 5_160 };
    let engine = Engine::new();
    let body = sent(&engine, &engine.store("A"), &release).await;
    let released = CLOSED.replace(
        "#expiration = :expiration",
        "#expiration = :expiration, #released = :released, #hold_until = :hold_until",
    );
    let released = format!("{released}, #hold, #hold_by, #hold_reason");
    assert_eq!(body["UpdateExpression"], released);
    let values = &body["ExpressionAttributeValues"];
    assert_eq!(values[":hold_until"], json!({"N": "1515"}));
    assert_eq!(values[":seen_hold_until"], json!({"N": "9030"}));
}
