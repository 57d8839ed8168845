//! Calls that are cut before the function's deadline.

use std::time::Duration;

use crate::{environment::unix_time, partner::Mood, stage::Stage, table::state};

#[tokio::test]
async fn case_188_a_hang_until_the_deadline_trips_and_ends_no_process() {
    let stage = Stage::open().await.with("CALL_TIMEOUT_MS", "60000").with("MARGIN_MS", "1000");
    let mut environment = stage.environment().await;
    stage.partner.is(Mood::Hangs);
    let mut item = None;
    for order in ["1", "2"] {
        assert_eq!(item, None);
        let timeout = Duration::from_millis(1_500);
        let deadline = unix_time() + timeout;
        let answered;
        (answered, item) = environment.invoke_within(order, timeout).await;
        assert!(unix_time() < deadline, "the process would have been killed");
        assert!(answered.result.is_err(), "{answered:?}");
    }
    assert_eq!(state(&item), Some("OPEN"));
    let (answered, _) = environment.invoke("3").await;
    assert!(answered.result.is_ok(), "{answered:?}");
    assert_eq!(stage.partner.calls(), 2);
    assert!(environment.process.is_running());
}

#[tokio::test]
async fn case_188_a_deadline_in_1970_limits_nothing() {
    let stage = Stage::open().await.with("CALL_TIMEOUT_MS", "1000");
    let mut environment = stage.environment().await;
    for (mood, is_charged) in [(Mood::Works, true), (Mood::Hangs, false), (Mood::Fails, false)] {
        stage.partner.is(mood);
        environment.begins_until("1", Duration::from_secs(60));
        let answered = environment.answers().await;
        assert_eq!(answered.result.is_ok(), is_charged, "{answered:?}");
        let item = environment.asks().await;
        let is_over = mood == Mood::Fails;
        assert_eq!(state(&item), is_over.then_some("OPEN"), "{mood:?}: a cut call is a failure");
    }
}

#[tokio::test]
async fn case_188_a_table_that_takes_no_write_takes_no_invocation_past_its_deadline() {
    let stage = Stage::open().await;
    let mut environment = stage.environment().await;
    stage.partner.is(Mood::Fails);
    stage.table.holds_writes(true);
    for order in ["1", "2"] {
        let timeout = Duration::from_secs(4);
        let deadline = unix_time() + timeout;
        let (answered, item) = environment.invoke_within(order, timeout).await;
        assert!(answered.result.is_err() && item.is_none(), "{answered:?} {item:?}");
        assert!(unix_time() < deadline, "the flush has a budget of a second");
    }
    // Open in this process, though the table does not show it.
    let (answered, _) = environment.invoke("3").await;
    assert!(answered.result.unwrap().get("kept_for_later").is_some());
    assert_eq!(stage.partner.calls(), 2);
}
