//! Elections and verdicts whose bytes are broken: for each fault, what the caller
//! sees and how long it waits, what stands in the table, and what is told.

use std::time::Duration;

use fuseboard::store::StoreErrorKind::{self, Misconfigured, Throttled, Timeout};
use serde_json::{Value, json};

use super::{AT_MOST, LIMIT, Process, Row, for_each_row};
use crate::support::{
    dynamodb::{CIRCUIT, START},
    engine::now,
    wire::Trouble,
    world::timed,
};

/// How long after it was opened the circuit is due, and probed.
const DUE: i64 = 31;

const NOTHING: [&str; 0] = [];

/// What a probe came to.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Good,
    Bad,
}

impl Verdict {
    fn result(self) -> Result<(), &'static str> {
        match self {
            Self::Good => Ok(()),
            Self::Bad => Err("down"),
        }
    }
}

impl Process {
    /// A circuit that others opened, which is due.
    async fn due(successes: u32) -> Self {
        let process = Self::with(|config| config.success_threshold(successes)).await;
        assert_eq!(process.call(Ok(())).await, Some(Ok(())));
        let open = json!({"state": "OPEN", "failure_count": 5, "opened_at": START});
        process.engine.put_item(CIRCUIT, &open);
        process.clock.advance(Duration::from_secs(DUE.unsigned_abs()));
        process
    }

    /// A probe whose verdict meets something: its caller gets its own result. How
    /// long it waited.
    async fn probe(&mut self, verdict: Verdict, meet: impl FnOnce(&Self)) -> Duration {
        let this = &*self;
        let call = this.breaker.call(|| async {
            meet(this);
            verdict.result()
        });
        let (ended, waited) = timed(call).await;
        let ended = ended.map_err(|error| error.inner().copied());
        assert_eq!(ended, verdict.result().map_err(Some));
        // Its caller may leave just before the store is given up.
        self.registry.flush(AT_MOST).await.unwrap();
        waited
    }

    /// All writes are well again, and the back-off is over.
    fn heal(&self, kind: StoreErrorKind) {
        self.wire.writes_meet(Trouble::None);
        self.clock.advance(Duration::from_secs(if kind == Misconfigured { 61 } else { 2 }));
    }

    /// The item comes to be in this state.
    async fn comes_to_be(&self, state: &str, name: &str) {
        let begun = now();
        while self.stored_state() != state {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(begun.elapsed() < AT_MOST, "{name}: not {state}");
        }
    }

    fn attribute(&self, attribute: &str) -> Value {
        self.engine.get_item(CIRCUIT).map_or(Value::Null, |item| item[attribute].clone())
    }
}

/// Silence costs the whole limit; nothing costs much more.
fn assert_waited(waited: Duration, (name, _, kind, _): Row) {
    let least = if kind == Timeout { LIMIT - Duration::from_millis(10) } else { Duration::ZERO };
    assert!((least..=AT_MOST).contains(&waited), "{name}: {waited:?}");
}

#[tokio::test]
async fn case_36_an_election_that_meets_a_fault_of_bytes_runs_no_call() {
    for_each_row(|row| async move {
        let (name, trouble, kind, applied) = row;
        let mut process = Process::due(1).await;
        process.wire.writes_meet(trouble);
        let (ended, waited) = timed(process.call(Ok(()))).await;
        assert_eq!(ended, None, "{name}: rejected, as by an open circuit");
        assert_waited(waited, row);
        process.registry.flush(AT_MOST).await.unwrap();
        assert_eq!(process.heard(), ["OPEN Observed"], "{name}");
        let stored = if applied { "HALF_OPEN" } else { "OPEN" };
        assert_eq!(process.stored_state(), stored, "{name}");

        // It is elected then, or finds that it was.
        process.heal(kind);
        let owner = process.attribute("half_open_owner");
        let mut probed = Value::Null;
        let see = |process: &Process| probed = process.attribute("half_open_owner");
        process.probe(Verdict::Good, see).await;
        assert!(!probed.is_null() && (!applied || probed == owner), "{name}");
        assert_eq!(process.heard(), ["HALF_OPEN Local", "CLOSED Local"], "{name}");
        assert_eq!(process.stored_state(), "CLOSED", "{name}");
    })
    .await;
}

#[tokio::test]
async fn case_59_a_closing_that_meets_a_fault_of_bytes_holds_here_and_is_made_good() {
    for_each_row(|row| async move {
        let (name, trouble, kind, applied) = row;
        let mut process = Process::due(1).await;
        let meet = |process: &Process| process.wire.writes_meet(trouble);
        assert_waited(process.probe(Verdict::Good, meet).await, row);
        // Throttling is an answer: it holds, and is told, once it is written.
        let is_throttled = kind == Throttled;
        let told = ["OPEN Observed", "HALF_OPEN Local", "CLOSED WithoutStore"];
        assert_eq!(process.heard(), told[..if is_throttled { 2 } else { 3 }], "{name}");
        let stored = if applied { "CLOSED" } else { "HALF_OPEN" };
        assert_eq!(process.stored_state(), stored, "{name}");
        let asked = process.wire.requests();
        for _ in 0..10 {
            let held = (!is_throttled).then_some(Ok(()));
            assert_eq!(process.call(Ok(())).await, held, "{name}: it holds here");
        }
        assert_eq!(process.wire.requests(), asked, "{name}: nothing is sent in a back-off");

        process.heal(kind);
        assert_eq!(process.call(Ok(())).await, Some(Ok(())), "{name}");
        process.comes_to_be("CLOSED", name).await;
        process.registry.flush(AT_MOST).await.unwrap();
        let late: &[&str] = if is_throttled { &["CLOSED Local"] } else { &NOTHING };
        process.comes_to_be_told(late, name).await;
        assert_eq!(process.attribute("half_open_owner"), Value::Null, "{name}");
    })
    .await;
}

#[tokio::test]
async fn case_60_a_reopening_that_meets_a_fault_of_bytes_rejects_and_is_made_good() {
    for_each_row(|row| async move {
        let (name, trouble, kind, applied) = row;
        let mut process = Process::due(1).await;
        let meet = |process: &Process| process.wire.writes_meet(trouble);
        assert_waited(process.probe(Verdict::Bad, meet).await, row);
        let is_throttled = kind == Throttled;
        let told = ["OPEN Observed", "HALF_OPEN Local", "OPEN WithoutStore"];
        assert_eq!(process.heard(), told[..if is_throttled { 2 } else { 3 }], "{name}");
        let stored = if applied { "OPEN" } else { "HALF_OPEN" };
        assert_eq!(process.stored_state(), stored, "{name}");
        let asked = process.wire.requests();
        for _ in 0..10 {
            assert_eq!(process.call(Err("down")).await, None, "{name}: it holds here");
        }
        assert_eq!(process.wire.requests(), asked, "{name}: nobody waits for the store");

        process.heal(kind);
        process.wake();
        process.comes_to_be("OPEN", name).await;
        process.registry.flush(AT_MOST).await.unwrap();
        // With the time of the failure, however late it is written.
        assert_eq!(process.attribute("opened_at"), START + DUE, "{name}");
        assert_eq!(process.attribute("half_open_owner"), Value::Null, "{name}");
        let late: &[&str] = if is_throttled { &["OPEN Local"] } else { &NOTHING };
        process.comes_to_be_told(late, name).await;
    })
    .await;
}

#[tokio::test]
async fn case_64_a_hand_over_that_meets_a_fault_of_bytes_keeps_its_success() {
    for_each_row(|row| async move {
        let (name, trouble, kind, applied) = row;
        let mut process = Process::due(2).await;
        let meet = |process: &Process| process.wire.writes_meet(trouble);
        assert_waited(process.probe(Verdict::Good, meet).await, row);
        assert_eq!(process.heard(), ["OPEN Observed", "HALF_OPEN Local"], "{name}");
        assert_eq!(process.stored_state(), "HALF_OPEN", "{name}");
        assert_eq!(process.attribute("success_count"), i64::from(applied), "{name}");

        // One more is enough, whoever knows of the first.
        process.heal(kind);
        process.probe(Verdict::Good, |_| {}).await;
        assert_eq!(process.heard(), ["CLOSED Local"], "{name}");
        assert_eq!(process.stored_state(), "CLOSED", "{name}");
    })
    .await;
}

#[tokio::test]
async fn cases_59_and_60_a_verdict_whose_answer_is_lost_once_is_found_to_be_written() {
    for_each_row(|row| async move {
        let (name, trouble, _, applied) = row;
        if !applied {
            return;
        }
        for verdict in [Verdict::Good, Verdict::Bad] {
            let mut process = Process::due(1).await;
            let waited = process.probe(verdict, |process| process.wire.next(trouble)).await;
            assert!(waited <= AT_MOST, "{name}: {waited:?}");
            // A closing shows what is only ours, an opening does not.
            let (told, stored) = match verdict {
                Verdict::Good => ("CLOSED Local", "CLOSED"),
                Verdict::Bad => ("OPEN Observed", "OPEN"),
            };
            assert_eq!(process.heard(), ["OPEN Observed", "HALF_OPEN Local", told], "{name}");
            assert_eq!(process.stored_state(), stored, "{name}");
        }
    })
    .await;
}
