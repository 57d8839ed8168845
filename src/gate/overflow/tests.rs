use super::*;

#[test]
fn nothing_is_noted_while_the_mailbox_has_room() {
    let gate = Gate::new();
    assert_eq!(gate.note_overflow(1, Report::Failure, false), Noted::Not);
    assert_eq!(gate.take_overflow(|| true), None);
    assert_eq!(gate.note_overflow(1, Report::Failure, true), Noted::First);
    assert_eq!(gate.note_overflow(1, Report::Failure, false), Noted::Also, "the order is kept");
    let noted = gate.take_overflow(|| true).unwrap();
    assert!(noted.is_of(1) && !noted.reset && noted.failures == 2);
    assert_eq!(gate.take_overflow(|| true), None);
}

#[test]
fn an_outcome_of_an_older_epoch_does_not_cover_newer_failures() {
    let gate = Gate::new();
    for (epoch, report) in [
        (5, Report::Failure),
        (5, Report::Failure),
        (4, Report::Failure),
        (4, Report::Success),
        (4, Report::NoVerdict),
        (5, Report::Failure),
    ] {
        if report == Report::Failure {
            gate.mark_failure();
        }
        gate.note_overflow(epoch, report, true);
    }
    let noted = gate.take_overflow(|| true).unwrap();
    assert!(noted.is_of(5) && !noted.reset && noted.failures == 3, "{noted:?}");
    assert_eq!(gate.unsettled(), 3);
}

#[test]
fn epochs_are_compared_beyond_the_bits_that_are_kept() {
    let gate = Gate::new();
    let last = EPOCH_MASK;
    for epoch in [last, last + 1, last] {
        gate.mark_failure();
        gate.note_overflow(epoch, Report::Failure, true);
    }
    let noted = gate.take_overflow(|| true).unwrap();
    assert!(noted.is_of(last + 1) && noted.failures == 1, "{noted:?}");
    assert_eq!(gate.unsettled(), 1);
}

#[test]
fn a_full_count_settles_what_it_cannot_hold() {
    let full = Overflow { epoch: 1, reset: true, failures: COUNT_MASK };
    assert_eq!(Overflow::noted(full.pack()), Some(full));
    assert_eq!(full.and(1, Report::Failure), (full, 1));
}
