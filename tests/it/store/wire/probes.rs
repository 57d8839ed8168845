//! The requests of a half-open circuit: elections, leases and verdicts.

use std::sync::Arc;

use fuseboard::store::{Field, Hints, Operation};
use serde_json::json;

use super::{ALL, BECOME_OPEN, CLOSED, began, half_open, open, sends, sent, token, update};
use crate::support::engine::Engine;

const ELECTED: &str = "SET #state = :state, #failure_count = :failure_count, \
    #half_open_owner = :half_open_owner, #probe_lease_expiry = :probe_lease_expiry, \
    #success_count = :success_count, #expiration = :expiration";

#[tokio::test(start_paused = true)]
async fn an_election_names_the_opening_and_that_nobody_owns_it() {
    let elect =
        Operation::Elect { seen: open(), token: token(), lease_until: 1_060, expires_at: 4_660 };
    let values = json!({
        ":state": {"S": "HALF_OPEN"},
        ":failure_count": {"N": "0"},
        ":half_open_owner": {"S": "token-a"},
        ":probe_lease_expiry": {"N": "1060"},
        ":success_count": {"N": "0"},
        ":expiration": {"N": "4660"},
        ":seen_state": {"S": "OPEN"},
        ":seen_opened_at": {"N": "1000"},
    });
    let condition = "#state = :seen_state AND #opened_at = :seen_opened_at \
        AND attribute_not_exists(#half_open_owner)";
    sends(&elect, update(ELECTED, condition, &ALL, values)).await;
}

#[tokio::test(start_paused = true)]
async fn case_207_an_election_without_a_record_requires_that_there_is_none() {
    let elect = Operation::ElectAbsent {
        token: token(),
        opened_at: 1_000,
        lease_until: 1_060,
        expires_at: 4_660,
        hints: began(),
    };
    let values = json!({
        ":state": {"S": "HALF_OPEN"},
        ":failure_count": {"N": "0"},
        ":opened_at": {"N": "1000"},
        ":half_open_owner": {"S": "token-a"},
        ":probe_lease_expiry": {"N": "1060"},
        ":success_count": {"N": "0"},
        ":expiration": {"N": "4660"},
        ":down_since": {"N": "990"},
        ":cause": {"S": "failure_threshold"},
    });
    let written = ELECTED.replace("#state = :state", "#state = :state, #opened_at = :opened_at");
    let written = format!("{written}, #down_since = :down_since, #cause = :cause");
    let names = [&["id", "down_since", "cause"], &ALL[..]].concat();
    sends(&elect, update(&written, "attribute_not_exists(#key)", &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn case_96_an_election_and_a_take_over_remove_the_mark_of_a_release_that_was_seen() {
    let engine = Engine::new();
    let store = engine.store("A");
    let (lease_until, expires_at) = (1_060, 4_660);
    let mut seen = open();
    seen.released = 900.into();
    let elect = Operation::Elect { seen, token: token(), lease_until, expires_at };
    let body = sent(&engine, &store, &elect).await;
    assert_eq!(body["UpdateExpression"], format!("{ELECTED} REMOVE #released"));

    let mut seen = half_open();
    seen.released = Field::Valid(900);
    let take_over = Operation::TakeOver { seen, token: token(), lease_until, expires_at };
    let body = sent(&engine, &store, &take_over).await;
    let written = ELECTED.replace("#state = :state, ", "");
    assert_eq!(body["UpdateExpression"], format!("{written} REMOVE #released"));
    assert!(!body["ConditionExpression"].as_str().unwrap().contains("released"));
}

#[tokio::test(start_paused = true)]
async fn case_134_an_election_after_a_hold_names_the_hold_and_its_end() {
    let mut seen = open();
    seen.owner = Arc::<str>::from("hold#deploy").into();
    seen.hold_until = 1_030.into();
    let elect = Operation::Elect { seen, token: token(), lease_until: 1_060, expires_at: 4_660 };
    let engine = Engine::new();
    let body = sent(&engine, &engine.store("A"), &elect).await;
    let condition = "#state = :seen_state AND #opened_at = :seen_opened_at \
        AND #half_open_owner = :seen_half_open_owner AND #hold_until = :seen_hold_until";
    assert_eq!(body["ConditionExpression"], condition);
    assert_eq!(body["UpdateExpression"], format!("{ELECTED} REMOVE #hold_until"));
    let values = &body["ExpressionAttributeValues"];
    assert_eq!(values[":seen_hold_until"], json!({"N": "1030"}));
    assert_eq!(values[":seen_half_open_owner"], json!({"S": "hold#deploy"}));
}

/// An opening that is over has no end that it was asked for. What the outage began with stays,
/// and so does the count, but one that no process writes.
#[tokio::test(start_paused = true)]
async fn case_124_an_election_and_a_take_over_remove_the_end_and_an_unsound_count() {
    let engine = Engine::new();
    let store = engine.store("A");
    let (lease_until, expires_at) = (1_060, 4_660);
    for (count, removed) in [
        (Field::Absent, " REMOVE #open_until"),
        (Field::Valid(3), " REMOVE #open_until"),
        (Field::Valid(u64::MAX), " REMOVE #failed_probes, #open_until"),
    ] {
        for (mut seen, written) in
            [(open(), ELECTED.to_owned()), (half_open(), ELECTED.replace("#state = :state, ", ""))]
        {
            (seen.failed_probes, seen.open_until) = (count.clone(), 1_120.into());
            (seen.down_since, seen.cause) = (800.into(), Field::Valid("open_for".into()));
            let is_open = seen.state == fuseboard::CircuitState::Open.into();
            let operation = if is_open {
                Operation::Elect { seen, token: token(), lease_until, expires_at }
            } else {
                Operation::TakeOver { seen, token: token(), lease_until, expires_at }
            };
            let body = sent(&engine, &store, &operation).await;
            assert_eq!(body["UpdateExpression"], format!("{written}{removed}"));
            let condition = body["ConditionExpression"].as_str().unwrap();
            for hint in ["failed_probes", "open_until", "down_since", "cause"] {
                assert!(!condition.contains(hint), "{condition}");
            }
            for hint in ["down_since", "cause"] {
                assert_eq!(body["ExpressionAttributeNames"].get(format!("#{hint}")), None);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_take_over_names_the_owner_and_the_lease() {
    let take_over = Operation::TakeOver {
        seen: half_open(),
        token: token(),
        lease_until: 1_060,
        expires_at: 4_660,
    };
    let values = json!({
        ":failure_count": {"N": "0"},
        ":half_open_owner": {"S": "token-a"},
        ":probe_lease_expiry": {"N": "1060"},
        ":success_count": {"N": "0"},
        ":expiration": {"N": "4660"},
        ":seen_state": {"S": "HALF_OPEN"},
        ":seen_half_open_owner": {"S": "theirs"},
        ":seen_probe_lease_expiry": {"N": "1030"},
    });
    let condition = "#state = :seen_state AND #half_open_owner = :seen_half_open_owner \
        AND #probe_lease_expiry = :seen_probe_lease_expiry";
    let written = ELECTED.replace("#state = :state, ", "");
    let names: Vec<_> = ALL.into_iter().filter(|name| *name != "opened_at").collect();
    sends(&take_over, update(&written, condition, &names, values)).await;
}

const OURS: &str = "#state = :seen_state AND #half_open_owner = :seen_half_open_owner";

#[tokio::test(start_paused = true)]
async fn a_renewal_only_ever_lengthens_our_lease() {
    let renew = |starts_probe| Operation::Renew {
        token: token(),
        lease_until: 1_060,
        expires_at: 4_660,
        starts_probe,
    };
    let mut values = json!({
        ":probe_lease_expiry": {"N": "1060"},
        ":expiration": {"N": "4660"},
        ":seen_state": {"S": "HALF_OPEN"},
        ":seen_half_open_owner": {"S": "token-a"},
    });
    let condition = format!("{OURS} AND #probe_lease_expiry < :probe_lease_expiry");
    let names = ["state", "half_open_owner", "probe_lease_expiry", "expiration"];
    let written = "SET #probe_lease_expiry = :probe_lease_expiry, #expiration = :expiration";
    sends(&renew(false), update(written, &condition, &names, values.clone())).await;

    values[":success_count"] = json!({"N": "0"});
    let names = [&names[..], &["success_count"]].concat();
    let written = format!("{written}, #success_count = :success_count");
    sends(&renew(true), update(&written, &condition, &names, values)).await;
}

#[tokio::test(start_paused = true)]
async fn handing_over_and_giving_back_write_the_count_the_lease_and_the_expiry() {
    let known_lease = Field::Valid(1_030);
    let hand_over = Operation::HandOver {
        token: token(),
        known_lease: known_lease.clone(),
        success_count: 2,
        lease_until: 1_005,
        expires_at: 4_660,
    };
    let give_back = Operation::GiveBack {
        token: token(),
        known_lease,
        success_count: 2,
        lease_until: 1_005,
        expires_at: 4_660,
    };
    let values = json!({
        ":success_count": {"N": "2"},
        ":probe_lease_expiry": {"N": "1005"},
        ":expiration": {"N": "4660"},
        ":seen_state": {"S": "HALF_OPEN"},
        ":seen_half_open_owner": {"S": "token-a"},
        ":seen_probe_lease_expiry": {"N": "1030"},
    });
    let condition = format!("{OURS} AND #probe_lease_expiry = :seen_probe_lease_expiry");
    let names = ["state", "half_open_owner", "probe_lease_expiry", "expiration", "success_count"];
    let written = "SET #success_count = :success_count, \
        #probe_lease_expiry = :probe_lease_expiry, #expiration = :expiration";
    let expected = update(written, &condition, &names, values);
    sends(&hand_over, expected.clone()).await;
    sends(&give_back, expected).await;
}

#[tokio::test(start_paused = true)]
async fn closing_and_reopening_require_our_token() {
    let close = Operation::Close { token: token(), expires_at: 4_660 };
    let values = json!({
        ":state": {"S": "CLOSED"},
        ":failure_count": {"N": "0"},
        ":expiration": {"N": "4660"},
        ":seen_state": {"S": "HALF_OPEN"},
        ":seen_half_open_owner": {"S": "token-a"},
    });
    let names = [&ALL[..], &["down_since", "cause"]].concat();
    sends(&close, update(CLOSED, OURS, &names, values)).await;

    let reopen = Operation::Reopen {
        token: token(),
        opened_at: 1_050,
        expires_at: 4_680,
        hints: Hints::NONE,
    };
    let values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "0"},
        ":opened_at": {"N": "1050"},
        ":expiration": {"N": "4680"},
        ":seen_state": {"S": "HALF_OPEN"},
        ":seen_half_open_owner": {"S": "token-a"},
    });
    sends(&reopen, update(BECOME_OPEN, OURS, &ALL, values)).await;
}

#[tokio::test(start_paused = true)]
async fn cases_122_and_124_a_reopening_writes_its_length_and_leaves_what_the_outage_began_with() {
    let reopen = |failed_probes, open_until| Operation::Reopen {
        token: token(),
        opened_at: 1_050,
        expires_at: 4_680,
        hints: Hints { failed_probes, open_until, ..Hints::NONE },
    };
    let values = json!({
        ":state": {"S": "OPEN"},
        ":failure_count": {"N": "0"},
        ":opened_at": {"N": "1050"},
        ":expiration": {"N": "4680"},
        ":failed_probes": {"N": "4"},
        ":seen_state": {"S": "HALF_OPEN"},
        ":seen_half_open_owner": {"S": "token-a"},
    });
    let counted =
        BECOME_OPEN.replace(":expiration", ":expiration, #failed_probes = :failed_probes");
    let names = [&ALL[..], &["failed_probes"]].concat();
    sends(&reopen(Some(4), None), update(&counted, OURS, &names, values.clone())).await;

    let mut values = values;
    values[":open_until"] = json!({"N": "1120"});
    let both = counted.replace(":failed_probes R", ":failed_probes, #open_until = :open_until R");
    let names = [&names[..], &["open_until"]].concat();
    sends(&reopen(Some(4), Some(1_120)), update(&both, OURS, &names, values)).await;
}
