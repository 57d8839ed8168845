//! The records, operations and races of the suite.

use std::sync::Arc;

use crate::{
    protocol::record::{Field, Hints, HoldTerms, LeaseToken, Operation, Record},
    state::CircuitState,
};

/// The times of the suite: in the year 2096, so that no store deletes a record by
/// its time to live while the suite runs.
const NOW: i64 = 4_000_000_000;
const TTL: i64 = 4_000_003_630;

/// A kind of record, and the operations that lead to it from none.
pub(super) struct Start {
    pub(super) name: &'static str,
    pub(super) steps: Vec<Operation>,
}

/// Operations of which exactly one may be applied.
pub(super) struct Race {
    pub(super) name: &'static str,
    pub(super) steps: Vec<Operation>,
    pub(super) contenders: Vec<Operation>,
}

/// The tokens of two processes.
fn ours() -> LeaseToken {
    LeaseToken::new("token-a")
}

fn theirs() -> LeaseToken {
    LeaseToken::new("token-b")
}

/// The record after these steps.
fn after(steps: &[Operation]) -> Option<Record> {
    steps.iter().try_fold(None, |current: Option<Record>, operation| {
        operation.apply(current.as_ref()).map(Some)
    })?
}

/// These steps, and one more that starts from what they lead to.
fn and(mut steps: Vec<Operation>, next: impl FnOnce(Record) -> Operation) -> Vec<Operation> {
    if let Some(record) = after(&steps) {
        steps.push(next(record));
    }
    steps
}

fn trip(seen: Option<Record>, failure_count: u64) -> Operation {
    let hints = Hints { down_since: Some(NOW), cause: Some(Arc::from("rule")), ..Hints::NONE };
    Operation::Trip { seen, failure_count, opened_at: NOW, expires_at: TTL, hints }
}

fn elect(seen: Record, token: LeaseToken) -> Operation {
    Operation::Elect { seen, token, lease_until: NOW + 30, expires_at: TTL + 1 }
}

fn elect_absent(token: LeaseToken) -> Operation {
    let hints = Hints { down_since: Some(NOW - 9), cause: Some(Arc::from("rule")), ..Hints::NONE };
    Operation::ElectAbsent {
        token,
        opened_at: NOW,
        lease_until: NOW + 30,
        expires_at: TTL + 1,
        hints,
    }
}

fn take_over(seen: Record, token: LeaseToken) -> Operation {
    Operation::TakeOver { seen, token, lease_until: NOW + 60, expires_at: TTL + 2 }
}

fn renew(token: LeaseToken, lease_until: i64, starts_probe: bool) -> Operation {
    Operation::Renew { token, lease_until, expires_at: TTL + 3, starts_probe }
}

fn hand_over(token: LeaseToken, known_lease: i64) -> Operation {
    let known_lease = known_lease.into();
    Operation::HandOver {
        token,
        known_lease,
        success_count: 2,
        lease_until: NOW + 5,
        expires_at: TTL + 4,
    }
}

fn give_back(token: LeaseToken, known_lease: Field<i64>) -> Operation {
    Operation::GiveBack {
        token,
        known_lease,
        success_count: 1,
        lease_until: NOW + 4,
        expires_at: TTL + 5,
    }
}

fn close(token: LeaseToken) -> Operation {
    Operation::Close { token, expires_at: TTL + 6 }
}

fn reopen(token: LeaseToken) -> Operation {
    let hints = Hints { failed_probes: Some(3), open_until: Some(NOW + 60), ..Hints::NONE };
    Operation::Reopen { token, opened_at: NOW + 7, expires_at: TTL + 7, hints }
}

fn hold(seen: Option<Record>) -> Operation {
    let (terms, hints) = (terms(NOW + 630), Hints { down_since: Some(NOW), ..Hints::NONE });
    Operation::Hold { seen, terms, opened_at: NOW + 600, expires_at: TTL + 8, hints }
}

fn hold_closed(seen: Option<Record>, until: i64) -> Operation {
    // Expires as a closing by probes does: then only the end of the hold tells them apart.
    Operation::HoldClosed { seen, terms: terms(until), held_at: NOW + 6, expires_at: TTL + 6 }
}

fn terms(until: i64) -> HoldTerms {
    HoldTerms { until, by: Some(Arc::from("ops")), reason: Arc::from("maintenance") }
}

fn release(seen: Record) -> Operation {
    Operation::Release { seen, released_at: NOW + 9, expires_at: TTL + 9 }
}

fn opened() -> Vec<Operation> {
    vec![trip(None, 5)]
}

fn elected() -> Vec<Operation> {
    and(opened(), |record| elect(record, ours()))
}

fn handed_over() -> Vec<Operation> {
    and(elected(), |_| hand_over(ours(), NOW + 30))
}

fn held() -> Vec<Operation> {
    and(opened(), |record| hold(Some(record)))
}

fn held_closed(until: i64) -> Vec<Operation> {
    and(opened(), |record| hold_closed(Some(record), until))
}

fn released() -> Vec<Operation> {
    and(held(), release)
}

/// Every kind of record that operations lead to.
pub(super) fn starts() -> Vec<Start> {
    let given_back = and(elected(), |_| give_back(ours(), Field::Valid(NOW + 30)));
    let taken = and(handed_over(), |record| take_over(record, theirs()));
    let closed = and(elected(), |_| close(ours()));
    let tripped_again = and(closed.clone(), |record| trip(Some(record), 7));
    vec![
        Start { name: "absent", steps: Vec::new() },
        Start { name: "open", steps: opened() },
        Start { name: "half-open and ours", steps: elected() },
        Start { name: "handed over", steps: handed_over() },
        Start { name: "given back", steps: given_back },
        Start { name: "half-open and theirs", steps: taken },
        Start { name: "closed", steps: closed },
        Start { name: "open again", steps: tripped_again },
        Start { name: "reopened", steps: and(elected(), |_| reopen(ours())) },
        Start { name: "held", steps: held() },
        Start { name: "held closed", steps: held_closed(NOW + 36) },
        Start { name: "held closed for longer", steps: held_closed(NOW + 37) },
        Start { name: "released", steps: released() },
        Start {
            name: "open after a release",
            steps: and(released(), |record| trip(Some(record), 8)),
        },
        Start { name: "held after a release", steps: and(released(), |record| hold(Some(record))) },
        Start { name: "elected though absent", steps: vec![elect_absent(ours())] },
    ]
}

/// Every operation, with every kind of record seen, both tokens, and leases
/// shorter and longer than those that stand on records.
pub(super) fn operations() -> Vec<Operation> {
    let mut operations = vec![trip(None, 3), hold(None), hold_closed(None, NOW + 36)];
    for token in [ours(), theirs()] {
        operations.push(elect_absent(token.clone()));
        operations.push(close(token.clone()));
        operations.push(reopen(token.clone()));
        operations.push(give_back(token.clone(), Field::Absent));
        for lease in [NOW + 4, NOW + 5, NOW + 30, NOW + 60] {
            operations.push(renew(token.clone(), lease, false));
            operations.push(renew(token.clone(), lease.saturating_add(1), true));
            operations.push(hand_over(token.clone(), lease));
            operations.push(give_back(token.clone(), Field::Valid(lease)));
        }
    }
    for record in starts().iter().filter_map(|start| after(&start.steps)) {
        operations.push(trip(Some(record.clone()), 4));
        operations.push(elect(record.clone(), theirs()));
        operations.push(take_over(record.clone(), LeaseToken::new("token-c")));
        operations.push(hold(Some(record.clone())));
        operations.push(hold_closed(Some(record.clone()), NOW + 36));
        operations.push(release(record));
    }
    operations.extend(near_misses().into_iter().map(|record| hold(Some(record))));
    operations
}

/// The record that was handed over, but for one attribute each.
fn near_misses() -> Vec<Record> {
    let Some(record) = after(&handed_over()) else { return Vec::new() };
    let but = |change: fn(&mut Record)| {
        let mut record = record.clone();
        change(&mut record);
        record
    };
    vec![
        but(|record| record.state = CircuitState::Open.into()),
        but(|record| record.failure_count = 1.into()),
        but(|record| record.opened_at = Field::Absent),
        but(|record| record.owner = theirs().as_owner()),
        but(|record| record.lease_until = NOW.into()),
        but(|record| record.expires_at = TTL.into()),
        but(|record| record.success_count = Field::Absent),
        but(|record| record.released = NOW.into()),
        but(|record| record.hold_until = NOW.into()),
        but(|record| record.hold = Field::Valid(Arc::from("closed"))),
    ]
}

/// Races of eight operations, each of which ends the condition of all others.
pub(super) fn races() -> Vec<Race> {
    let token = |number: u64| LeaseToken::new(format!("token-{number}"));
    let mut races = vec![Race {
        name: "trips of a circuit without a record",
        steps: Vec::new(),
        contenders: (1..=8).map(|failures| trip(None, failures)).collect(),
    }];
    races.push(Race {
        name: "elections and a trip of a circuit without a record",
        steps: Vec::new(),
        contenders: (1..=8)
            .map(|number| if number > 4 { trip(None, 5) } else { elect_absent(token(number)) })
            .collect(),
    });
    let mut add = |name, steps: Vec<Operation>, contender: &dyn Fn(Record, u64) -> Operation| {
        if let Some(record) = after(&steps) {
            let contenders = (1..=8).map(|number| contender(record.clone(), number)).collect();
            races.push(Race { name, steps, contenders });
        }
    };
    let closed = and(elected(), |_| close(ours()));
    add("trips of a closed circuit", closed, &|record, number| trip(Some(record), number));
    add("elections", opened(), &|record, number| elect(record, token(number)));
    add("take-overs", handed_over(), &|record, number| take_over(record, token(number)));
    add("closes", elected(), &|_, _| close(ours()));
    add("verdicts of one token", elected(), &|_, number| {
        if number > 4 { close(ours()) } else { reopen(ours()) }
    });
    let closed = and(elected(), |_| close(ours()));
    add("an operator who holds it closed, and trips", closed, &|record, number| {
        let seen = Some(record);
        if number > 4 { hold_closed(seen, NOW + 36) } else { trip(seen, number) }
    });
    add("an operator and elections", opened(), &|record, number| {
        if number > 4 { hold(Some(record)) } else { elect(record, token(number)) }
    });
    races
}
