//! The hints of an opening: what they may change.

use proptest::prelude::*;

use super::*;
use crate::protocol::record::Malformed;

/// All operations that are made of a record, with these hints.
fn operations(seen: &Record, hints: &Hints) -> Vec<Operation> {
    let token = || LeaseToken::new("a");
    let (lease_until, expires_at, opened_at) = (60, 3_660, 7);
    let known_lease = seen.lease_until.clone();
    let trip = |seen| {
        let hints = hints.clone();
        Operation::Trip { seen, failure_count: 5, opened_at, expires_at, hints }
    };
    let terms = || HoldTerms { until: 37, by: None, reason: "deploy".into() };
    let hold = |seen| {
        let (terms, hints) = (terms(), hints.clone());
        Operation::Hold { seen, terms, opened_at, expires_at, hints }
    };
    let hold_closed = |seen| Operation::HoldClosed { seen, terms: terms(), held_at: 7, expires_at };
    vec![
        trip(None),
        trip(Some(seen.clone())),
        hold(None),
        hold(Some(seen.clone())),
        hold_closed(None),
        hold_closed(Some(seen.clone())),
        Operation::Elect { seen: seen.clone(), token: token(), lease_until, expires_at },
        Operation::TakeOver { seen: seen.clone(), token: token(), lease_until, expires_at },
        Operation::ElectAbsent {
            token: token(),
            opened_at,
            lease_until,
            expires_at,
            hints: hints.clone(),
        },
        Operation::Renew { token: token(), lease_until, expires_at, starts_probe: true },
        Operation::HandOver {
            token: token(),
            known_lease: known_lease.clone(),
            success_count: 1,
            lease_until,
            expires_at,
        },
        Operation::GiveBack {
            token: token(),
            known_lease,
            success_count: 1,
            lease_until,
            expires_at,
        },
        Operation::Close { token: token(), expires_at },
        Operation::Reopen { token: token(), opened_at, expires_at, hints: hints.clone() },
        Operation::Release { seen: seen.clone(), released_at: 7, expires_at },
    ]
}

fn names_a_hint(condition: &Condition) -> bool {
    match condition {
        Condition::Unchanged(name, _) | Condition::Below(name, _) => {
            matches!(name, FailedProbes | OpenUntil | DownSince | Cause)
        }
        Condition::NoRecord | Condition::AnyRecord => false,
    }
}

/// The same record without its hints.
fn bare(record: &Record) -> Record {
    let mut record = record.clone();
    for hint in [FailedProbes, OpenUntil, DownSince, Cause] {
        record.set(hint, Field::Absent);
    }
    record
}

fn hinted(state: CircuitState, failed_probes: Field<u64>, open_until: Field<i64>) -> Record {
    let owner =
        if state == CircuitState::HalfOpen { Field::Valid("a".into()) } else { Field::Absent };
    Record { state: state.into(), owner, failed_probes, open_until, ..Record::empty() }
}

fn field<T: Clone + std::fmt::Debug + 'static>(
    any: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Field<T>> {
    let odd = Malformed::new("odd");
    prop_oneof![Just(Field::Absent), any.prop_map(Field::Valid), Just(Field::Malformed(odd))]
}

fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-z_(]{0,9}".prop_map(|text| Arc::from(text.as_str()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// So the model, which has no hints, holds with any hints: they decide no write, and
    /// change nothing but themselves.
    #[test]
    fn hints_decide_no_write_and_change_only_themselves(
        state in prop::sample::select(vec![
            CircuitState::Closed,
            CircuitState::Open,
            CircuitState::HalfOpen,
        ]),
        (failed, until) in (field(any::<u64>()), field(any::<i64>())),
        (now_failed, now_until) in (field(any::<u64>()), field(any::<i64>())),
        (since, now_since) in (field(any::<i64>()), field(any::<i64>())),
        (cause, now_cause) in (field(text()), field(text())),
        (failed_probes, open_until) in (any::<Option<u64>>(), any::<Option<i64>>()),
        (down_since, why) in (any::<Option<i64>>(), prop::option::of(text())),
    ) {
        let seen = Record { down_since: since, cause, ..hinted(state, failed, until) };
        let now = Record {
            down_since: now_since,
            cause: now_cause,
            ..hinted(state, now_failed, now_until)
        };
        let hints = Hints { failed_probes, open_until, down_since, cause: why };
        let plain = operations(&bare(&seen), &Hints::NONE);
        for (operation, plain) in operations(&seen, &hints).iter().zip(&plain) {
            prop_assert!(!operation.conditions().iter().any(names_a_hint), "{operation:?}");
            prop_assert_eq!(operation.conditions(), plain.conditions());
            for current in [None, Some(&now), Some(&seen)] {
                let left = operation.apply(current).as_ref().map(bare);
                let without = current.map(bare);
                prop_assert_eq!(left, plain.apply(without.as_ref()).as_ref().map(bare));
            }
        }
    }
}

/// Each hint absent, as a process writes it, or malformed: every combination.
fn every_hint_on(state: CircuitState) -> Vec<Record> {
    let odd = || Malformed::new("odd");
    let counts = [Field::Absent, Field::Valid(7), Field::Malformed(odd())];
    let stamps = [Field::Absent, Field::Valid(9), Field::Malformed(odd())];
    let texts = [Field::Absent, Field::Valid("open_for".into()), Field::Malformed(odd())];
    let mut records = Vec::new();
    for count in &counts {
        for until in &stamps {
            for since in &stamps {
                for cause in &texts {
                    let record = hinted(state, count.clone(), until.clone());
                    let (down_since, cause) = (since.clone(), cause.clone());
                    records.push(Record { down_since, cause, ..record });
                }
            }
        }
    }
    records
}

/// Every combination of what a process may write.
fn every_hint_written() -> Vec<Hints> {
    let of = |bits: u8| Hints {
        failed_probes: (bits & 1 != 0).then_some(8),
        open_until: (bits & 2 != 0).then_some(10),
        down_since: (bits & 4 != 0).then_some(11),
        cause: (bits & 8 != 0).then(|| "failure_threshold".into()),
    };
    (0..16).map(of).collect()
}

/// Which operation it is: a new one does not compile before it is here, and in [`operations`].
fn kind(operation: &Operation) -> usize {
    match operation {
        Operation::Trip { .. } => 0,
        Operation::Elect { .. } => 1,
        Operation::ElectAbsent { .. } => 2,
        Operation::TakeOver { .. } => 3,
        Operation::Renew { .. } => 4,
        Operation::HandOver { .. } => 5,
        Operation::GiveBack { .. } => 6,
        Operation::Close { .. } => 7,
        Operation::Reopen { .. } => 8,
        Operation::Hold { .. } => 9,
        Operation::HoldClosed { .. } => 10,
        Operation::Release { .. } => 11,
    }
}

#[test]
fn case_79_no_operation_has_another_condition_for_any_hint_that_is_seen_or_written() {
    let mut checked = [0; 12];
    for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
        let records = every_hint_on(state);
        assert_eq!(records.len(), 81);
        let plain = operations(&bare(&records[0]), &Hints::NONE);
        let conditions: Vec<_> = plain.iter().map(Operation::conditions).collect();
        for seen in &records {
            for hints in every_hint_written() {
                let operations = operations(seen, &hints);
                assert_eq!(operations.len(), plain.len());
                for (operation, conditions) in operations.iter().zip(&conditions) {
                    assert_eq!(operation.conditions(), *conditions, "{operation:?}");
                    assert!(!conditions.iter().any(names_a_hint), "{operation:?}");
                    checked[kind(operation)] += 1;
                }
            }
        }
    }
    assert!(checked.iter().all(|times| *times >= 3 * 81 * 16), "{checked:?}");
}

#[test]
fn an_operator_and_a_trip_write_over_any_hint() {
    let seen = hinted(CircuitState::Closed, 7.into(), 9.into());
    let left = |operation: &Operation| {
        let record = operation.apply(Some(&seen)).expect("unchanged");
        (record.failed_probes, record.open_until)
    };
    let hints = Hints { failed_probes: Some(8), ..Hints::NONE };
    let operations = operations(&seen, &hints);
    let of = |name: &str| operations.iter().rev().find(|one| one.name() == name).unwrap();
    assert_eq!(left(of("trip")), (8.into(), Field::Absent));
    assert_eq!(left(of("hold")), (Field::Absent, Field::Absent));
    assert_eq!(left(of("hold closed")), (Field::Absent, Field::Absent));
    assert_eq!(left(of("release")), (Field::Absent, Field::Absent));
}

#[test]
fn a_trip_without_a_count_leaves_none() {
    let odd = Malformed::new("odd");
    for count in [Field::Valid(7), Field::Malformed(odd), Field::Absent] {
        let seen = hinted(CircuitState::Closed, count.clone(), Field::Absent);
        let trips = operations(&seen, &Hints::NONE);
        let trip = trips.iter().rfind(|one| one.name() == "trip").unwrap();
        let removed = trip.changes().into_iter().filter(|c| *c == Change::Remove(FailedProbes));
        assert_eq!(removed.count(), usize::from(count != Field::Absent), "{count:?}");
        let left = trip.apply(Some(&seen)).expect("unchanged").failed_probes;
        assert_eq!(left, Field::Absent, "{count:?} is of an outage that is over");
    }
}
