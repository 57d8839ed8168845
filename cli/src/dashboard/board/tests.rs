use std::time::Duration;

use fuseboard::{CircuitState, store::Record};

use super::*;

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(second)).unwrap()
}

fn circuit(name: &str, state: CircuitState, opened_at: i64) -> Circuit {
    let mut record = Record::empty();
    record.state = state.into();
    record.opened_at = opened_at.into();
    Circuit { name: name.to_owned(), key: name.to_owned(), record }
}

fn looks(board: &Board, name: &str) -> Vec<(i64, Look)> {
    board.track(name).unwrap().past.iter().copied().collect()
}

fn changes(board: &Board, name: &str) -> Vec<(Look, Look)> {
    let changes = &board.track(name).unwrap().changes;
    changes.iter().map(|change| (change.from, change.to)).collect()
}

#[test]
fn what_was_there_before_anybody_looked_is_no_change() {
    let mut board = Board::default();
    let first = board.read(&[circuit("a", CircuitState::Open, 900)], at(1_000));
    assert_eq!(first.circuits, BTreeSet::from(["a".to_owned()]));
    assert_eq!(changes(&board, "a"), []);
    assert_eq!(looks(&board, "a"), [(1_000_000, Look::Open)]);
    let same = board.read(&[circuit("a", CircuitState::Open, 900)], at(1_001));
    assert_eq!(same, Changed::default());
}

#[test]
fn a_circuit_without_an_item_was_closed_before_its_first_trip() {
    let mut board = Board::default();
    board.read(&[], at(1_000));
    let changed = board.read(&[circuit("a", CircuitState::Open, 1_009)], at(1_010));
    assert_eq!(changed.circuits, BTreeSet::from(["a".to_owned()]));
    assert_eq!(changes(&board, "a"), [(Look::Closed, Look::Open)]);
    assert_eq!(looks(&board, "a"), [(1_000_000, Look::Closed), (1_010_000, Look::Open)]);
}

#[test]
fn an_opening_between_two_looks_is_told() {
    let mut board = Board::default();
    board.read(&[circuit("a", CircuitState::Open, 900)], at(1_000));
    let changed = board.read(&[circuit("a", CircuitState::Open, 1_001)], at(1_001));
    assert_eq!(changed.circuits.len(), 1);
    assert_eq!(changes(&board, "a"), [(Look::Open, Look::Open)]);
    assert_eq!(looks(&board, "a").len(), 1);
}

#[test]
fn an_item_that_is_gone_is_a_close_and_is_forgotten_later() {
    let mut board = Board::default();
    board.read(&[circuit("a", CircuitState::Open, 900)], at(1_000));
    assert_eq!(board.read(&[], at(1_001)).circuits.len(), 1);
    assert_eq!(changes(&board, "a"), [(Look::Open, Look::Closed)]);
    assert_eq!(board.read(&[], at(1_002)), Changed::default());
    let gone = board.read(&[], at(1_602));
    assert_eq!(gone.gone, ["a"]);
    assert!(board.track("a").is_none());
}

#[test]
fn a_table_that_is_out_leaves_a_gap_in_each_strip_and_no_change() {
    let mut board = Board::default();
    let open = [circuit("a", CircuitState::Open, 900)];
    board.read(&open, at(1_000));
    assert_eq!(board.lose(at(1_001)).circuits.len(), 1);
    assert_eq!(board.lose(at(1_002)), Changed::default());
    assert_eq!(board.read(&open, at(1_003)).circuits.len(), 1);
    assert_eq!(
        looks(&board, "a"),
        [(1_000_000, Look::Open), (1_001_000, Look::Unknown), (1_003_000, Look::Open)]
    );
    assert_eq!(changes(&board, "a"), []);
}

#[test]
fn what_is_kept_of_a_circuit_that_flaps_is_bounded_in_time_and_in_number() {
    let mut board = Board::default();
    for second in 0..2_000 {
        let flapping = [CircuitState::Open, CircuitState::Closed][usize::from(second % 2 == 1)];
        board.read(&[circuit("a", flapping, 1)], at(10_000 + second));
    }
    assert_eq!(looks(&board, "a").len(), MOST_STATES);
    assert_eq!(changes(&board, "a").len(), MOST_CHANGES);
    // Only the state in which the window begins is older than it.
    let mut board = Board::default();
    for minute in 0..60 {
        let state = [CircuitState::Open, CircuitState::Closed][usize::from(minute % 2 == 1)];
        board.read(&[circuit("a", state, 1)], at(10_000 + 60 * minute));
    }
    let begins = (10_000 + 60 * 59) * 1_000 - WINDOW;
    let old = looks(&board, "a").into_iter().filter(|(since, _)| *since <= begins).count();
    assert_eq!(old, 1);
}
