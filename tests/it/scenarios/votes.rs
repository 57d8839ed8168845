//! Votes: a trip by several processes that each fail a few times.

use std::time::Duration;

use fuseboard::{Cause, CircuitState, Config, Origin, Rule, Votes};

use crate::support::{
    faulty::Fault,
    world::{Call, Process, Shared, Way, World, pass, timed},
};

const MINUTE: Duration = Duration::from_secs(60);

fn world_of<S: Shared>(rule: Votes) -> World<S> {
    World::with(|config| config.failure_threshold(1_000).also_trip(rule))
}

async fn fail<W>(process: &Process<W>, times: u32) {
    for _ in 0..times {
        assert_eq!(process.fail().await, Call::Failed);
    }
}

async fn case_152_the_vote_that_is_missing_trips_for_all<S: Shared>() {
    let rule = Rule::votes(3, 2).within(MINUTE);
    let world = world_of::<S>(rule);
    let [a, b, c] = [world.process(), world.process(), world.process()];
    fail(&a, 2).await;
    fail(&b, 7).await;
    fail(&c, 1).await;
    assert_eq!((world.engine.record(), a.store.writes(), b.store.writes()), (None, 1, 1));
    fail(&c, 1).await;
    // The call that tripped it returns when all can know.
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    assert_eq!(world.record().failure_count.valid(), Some(&3));
    assert_eq!(c.store.writes(), 2, "its vote, and the trip");
    let told = c.transitions().remove(0);
    assert_eq!((told.cause, told.origin), (Cause::Rule(rule.into()), Origin::Local));
    pass(6.0).await;
    for process in [&a, &b, &c] {
        assert!(process.fail().await.is_rejected());
    }
    let writes: usize = [&a, &b, &c].iter().map(|process| process.store.writes()).sum();
    assert_eq!(writes, 4, "nobody votes once it is open");
}

async fn case_152_a_good_call_withdraws<S: Shared>() {
    let world = world_of::<S>(Rule::votes(2, 2));
    let [a, b] = [world.process(), world.process()];
    fail(&a, 2).await;
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(a.store.writes(), 2, "withdrawn when its call returns");
    for _ in 0..20 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    assert_eq!(a.store.writes(), 2, "and once");
    fail(&b, 2).await;
    assert_eq!(world.engine.record(), None);
    // It votes again only after another streak.
    pass(2.0).await;
    fail(&a, 1).await;
    assert_eq!(world.engine.record(), None);
    fail(&a, 1).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

async fn case_152_a_good_call_that_ends_after_a_freeze_withdraws_too<S: Shared>() {
    let world = world_of::<S>(Rule::votes(2, 2));
    let a = world.process();
    fail(&a, 2).await;
    let permit = a.circuit().admit().await.unwrap();
    world.clock.freeze(Duration::from_secs(5));
    permit.success().settled().await;
    assert_eq!(a.store.writes(), 2, "withdrawn when its call returns");
}

async fn case_152_without_enough_voters_each_process_trips_as_ever<S: Shared>() {
    let world = World::<S>::with(|config| config.also_trip(Rule::votes(5, 2)));
    let a = world.process();
    fail(&a, 4).await;
    assert_eq!((world.engine.record(), a.store.writes()), (None, 1));
    fail(&a, 1).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    assert_eq!(a.transitions().remove(0).cause, Cause::FailureThreshold);
}

async fn case_153_votes_that_are_lost_delay_nobody_for_long_and_are_cast_again<S: Shared>() {
    for fault in S::FAULTS.iter().copied() {
        let world = world_of::<S>(Rule::votes(2, 2));
        let [a, b] = [world.process(), world.process()];
        fail(&a, 2).await;
        fail(&b, 1).await;
        b.store.writes_meet(fault);
        let (_, took) = timed(fail(&b, 1)).await;
        assert!(took <= Duration::from_millis(1_100), "{fault:?}: {took:?}");
        assert_eq!(world.engine.record(), None, "{fault:?}");
        b.store.writes_meet(Fault::None);
        pass(5.0).await;
        assert_eq!(world.stored_state(), Some(CircuitState::Open), "{fault:?}");
    }
}

async fn case_153_votes_of_an_epoch_that_is_over_count_for_nothing<S: Shared>() {
    let world = World::<S>::with(|config| {
        config.failure_threshold(1_000).success_threshold(1).also_trip(Rule::votes(3, 1))
    });
    let processes = [world.process(), world.process(), world.process()];
    for process in &processes {
        fail(process, 1).await;
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    pass(35.0).await;
    for process in &processes {
        process.ok().await;
        pass(6.0).await;
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
    fail(&processes[0], 1).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Closed), "the old votes are over");
}

async fn case_152_a_process_without_the_rule_goes_by_the_item<S: Shared>() {
    let world = world_of::<S>(Rule::votes(2, 2));
    let [a, b] = [world.process(), world.process()];
    let config = Config::builder().election_spread(Duration::ZERO).build().unwrap();
    let old = world.process_with(|builder| builder.config(config));
    fail(&old, 4).await;
    assert_eq!(old.store.writes(), 0, "it does not vote");
    fail(&a, 2).await;
    assert_eq!(world.engine.record(), None);
    fail(&b, 2).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    pass(6.0).await;
    assert!(old.fail().await.is_rejected());
}

async fn case_114_a_failure_that_does_not_vote_waits_for_no_store<S: Shared>() {
    let world = world_of::<S>(Rule::votes(3, 2));
    let a = world.process();
    assert_eq!(a.ok().await, Call::Ok);
    a.store.writes_meet(Fault::Hang);
    let (_, took) = timed(fail(&a, 1)).await;
    assert_eq!(took, Duration::ZERO);
    // The one that votes waits as one that trips does, and those that come meanwhile do not vote.
    let (_, took) = timed(fail(&a, 1)).await;
    assert!(took >= Duration::from_millis(900), "{took:?}");
    let (_, took) = timed(fail(&a, 3)).await;
    assert!(took <= Duration::from_millis(200), "{took:?}");
}

over_each_store! {
    case_152_the_vote_that_is_missing_trips_for_all,
    case_152_a_good_call_withdraws,
    case_152_a_good_call_that_ends_after_a_freeze_withdraws_too,
    case_152_without_enough_voters_each_process_trips_as_ever,
    case_152_a_process_without_the_rule_goes_by_the_item,
    case_153_votes_that_are_lost_delay_nobody_for_long_and_are_cast_again,
    case_153_votes_of_an_epoch_that_is_over_count_for_nothing,
    case_114_a_failure_that_does_not_vote_waits_for_no_store,
}
