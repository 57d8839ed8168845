//! Settings that change while the circuit runs.

use super::{faults::probing, process::*, world::*, *};
use crate::config::Backoff;

impl Process {
    /// Takes new settings, which by themselves change no state.
    pub(super) fn reconfigure(&mut self, config: Config) {
        let seen = |process: &Self| (process.machine.epoch(), process.state(), process.streak());
        let before = seen(self);
        let config = Arc::new(config.for_store(false));
        self.counting.reconfigure(&config);
        self.stood = self.streak();
        self.machine.reconfigure(self.now, config);
        self.after();
        assert_eq!(seen(self), before, "settings change no state");
    }
}

fn with(change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Config {
    build(change(Config::builder()))
}

fn recovering_in(seconds: u64) -> Config {
    with(|config| config.recovery_timeout(s(seconds)).probe_lease(s(30)))
}

fn leasing_for(seconds: u64) -> Config {
    with(|config| config.probe_lease(s(seconds)))
}

fn reconfigure(world: &mut World, number: usize, config: &Config) {
    world.processes[number].reconfigure(config.clone());
    world.settle(number);
}

/// An open circuit of two processes: the first has tripped it.
fn opened() -> World {
    let mut world = World::new(2, &Config::default());
    world.fail(0, 5);
    assert_eq!(world.call(1), Call::Rejected);
    world
}

#[test]
fn case_140_an_open_circuit_is_probed_by_the_new_recovery_timeout() {
    for (timeout, early, due) in [(10, s(9), s(1)), (60, s(59), s(1))] {
        let mut world = opened();
        world.advance(s(5));
        reconfigure(&mut world, 1, &recovering_in(timeout));
        assert_eq!(world.call(1), Call::Rejected);
        world.advance(early - s(5));
        assert_eq!(world.call(1), Call::Rejected, "{timeout} s");
        world.advance(due);
        assert!(world.admit(1).probe.is_some(), "{timeout} s");
        assert_eq!(world.stored().opened_at, START_UNIX.into(), "it carries its stamp");
    }
}

#[test]
fn case_140_what_is_published_tells_the_new_wait_at_once() {
    let mut world = opened();
    reconfigure(&mut world, 1, &recovering_in(10));
    let published = world.processes[1].machine.published();
    assert_eq!(published.retry_at_ms, u64::try_from(START_UNIX).unwrap() * 1_000 + 10_000);
    world.advance(s(20));
    reconfigure(&mut world, 1, &recovering_in(20));
    assert!(world.admit(1).probe.is_some(), "due already");
}

#[test]
fn case_140_an_opening_that_is_not_written_yet_and_a_reopening_follow_as_well() {
    let mut world = World::new(1, &Config::default());
    world.deny_writes = Some(StoreErrorKind::Unavailable);
    world.fail(0, 5);
    world.pass(s(2));
    reconfigure(&mut world, 0, &recovering_in(10));
    world.pass(s(7));
    assert_eq!(world.call(0), Call::Rejected);
    world.pass(s(1));
    assert!(world.admit(0).probe.is_some());

    let (mut world, pass) = probing(&Config::default(), 1);
    world.end(0, pass, CallEnd::Failure);
    world.advance(s(9));
    assert_eq!(world.call(0), Call::Rejected);
    reconfigure(&mut world, 0, &recovering_in(9));
    assert!(world.admit(0).probe.is_some());
}

#[test]
fn case_140_an_opening_that_a_call_asked_for_follows_its_limit_and_one_that_grew_its_back_off() {
    let limit =
        |seconds: u64| with(|config| config.recovery_timeout(s(1)).open_for_at_most(s(seconds)));
    let mut world = World::new(1, &limit(60));
    let pass = world.admit(0);
    world.end(0, pass, CallEnd::open_for(s(40)));
    reconfigure(&mut world, 0, &limit(20));
    world.advance(s(19));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(1));
    let pass = world.admit(0);
    world.end(0, pass, CallEnd::Failure);
    // One failed probe: twice the timeout.
    let grows = Backoff::exponential(2.0).jitter(0.0);
    reconfigure(&mut world, 0, &with(|config| config.recovery_timeout(s(4)).open_backoff(grows)));
    world.advance(s(7));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(1));
    assert!(world.admit(0).probe.is_some());
}

#[test]
fn case_141_a_lease_of_this_process_keeps_its_length_while_it_is_held() {
    let (mut world, pass) = probing(&Config::default(), 2);
    reconfigure(&mut world, 0, &leasing_for(2));
    reconfigure(&mut world, 1, &leasing_for(2));
    world.advance(s(9));
    assert_eq!(world.call(0), Call::Rejected, "the probe has its lease still");
    world.advance(s(2));
    world.processes[0].keep_alive(pass);
    world.settle(0);
    assert_eq!(world.stored().lease_until, (START_UNIX + 11 + 30).into(), "renewed as it began");
    world.advance(s(25));
    assert_eq!((world.call(0), world.call(1)), (Call::Rejected, Call::Rejected));
    world.end(0, pass, CallEnd::Failure);
    // The next election is by the new settings.
    world.advance(s(31));
    let pass = world.admit(0);
    let now = START_UNIX + 11 + 25 + 31;
    assert_eq!(world.stored().lease_until, (now + 2).into());
    world.end(0, pass, CallEnd::Success);
}

#[test]
fn case_141_a_lease_of_another_is_not_taken_over_before_its_end() {
    let (mut world, pass) = probing(&Config::default(), 2);
    assert_eq!(world.call(1), Call::Rejected);
    reconfigure(&mut world, 1, &leasing_for(2));
    for _ in 0..30 {
        world.advance(s(1));
        assert_eq!(world.call(1), Call::Rejected);
    }
    // Its holder says nothing: over by sight, a second later.
    world.advance(s(3));
    assert!(world.admit(1).probe.is_some());
    world.end(0, pass, CallEnd::Success);
    assert_eq!(world.stored().state, CircuitState::HalfOpen.into());
}

#[test]
fn case_141_a_lease_that_others_take_after_the_change_is_not_taken_over_early_either() {
    let mut world = opened();
    reconfigure(&mut world, 1, &leasing_for(2));
    world.advance(s(31));
    // By its own settings, which are those of before.
    assert!(world.admit(0).probe.is_some());
    for _ in 0..30 {
        world.advance(s(1));
        assert_eq!(world.call(1), Call::Rejected);
    }
    world.advance(s(4));
    assert!(world.admit(1).probe.is_some());
    // By then all have the new settings: a lease of 2 s stands for no longer.
    reconfigure(&mut world, 0, &leasing_for(2));
    assert_eq!(world.stored().lease_until, (START_UNIX + 65 + 2).into());
    world.advance(s(2));
    assert_eq!(world.call(0), Call::Rejected);
    world.advance(s(5));
    assert!(world.admit(0).probe.is_some());
}

#[test]
fn case_141_a_process_that_starts_with_a_shorter_lease_does_not_take_over_a_live_one() {
    for seconds in [6, 8, 18] {
        let (mut world, pass) = probing(&leasing_for(seconds), 2);
        world.watch.has_settings(&leasing_for(5));
        world.restart(1, &leasing_for(5));
        // By the stamp, and the skew by which it may be early.
        for _ in 0..seconds + 2 {
            assert_eq!(world.call(1), Call::Rejected, "{seconds} s");
            world.advance(s(1));
        }
        assert!(world.admit(1).probe.is_some(), "{seconds} s");
        world.end(0, pass, CallEnd::Success);
        assert_eq!(world.stored().state, CircuitState::HalfOpen.into(), "its lease is over");
    }
}

#[test]
fn case_141_an_unchanged_lease_is_live_for_the_probe_limit_at_most_whatever_its_stamp() {
    let limited = |seconds: u64| with(|config| config.probe_lease(s(5)).probe_limit(s(seconds)));
    for (config, limit) in [(leasing_for(5), 20), (limited(5), 5), (limited(60), 60)] {
        let mut world = World::new(1, &config);
        // The clock of its holder, which is gone, was an hour ahead.
        world.record = Some(half_open("gone", START_UNIX + 3_600));
        assert_eq!(world.call(0), Call::Rejected);
        // In its last second it may have been used again without a new stamp.
        world.advance(s(limit + 1) - ms(1));
        assert_eq!(world.call(0), Call::Rejected, "{limit} s");
        world.advance(ms(1));
        assert!(world.admit(0).probe.is_some(), "{limit} s");
    }
}

#[test]
fn case_141_an_election_without_an_answer_is_renewed_before_a_probe_under_a_longer_lease() {
    let mut world = World::new(1, &leasing_for(5));
    world.record = Some(open(START_UNIX - 60));
    world.faults.extend([Fault::Stale(world.record.clone()), Fault::LostAnswer]);
    assert_eq!(world.call(0), Call::Rejected);
    assert_eq!(world.stored().state, CircuitState::HalfOpen.into(), "it has won");
    reconfigure(&mut world, 0, &leasing_for(60));
    world.advance(s(3));
    let pass = world.admit(0);
    assert!(pass.probe.is_some());
    assert_eq!(world.stored().lease_until, (START_UNIX + 3 + 60).into());
}

#[test]
fn case_139_a_trip_that_waits_for_a_slow_store_does_not_lapse_by_a_shorter_limit() {
    let slow = |seconds: u64| with(|config| config.store_timeout(s(seconds)));
    let mut world = World::new(1, &slow(20));
    world.succeed(0);
    (0..5).for_each(|_| {
        let Call::Runs(pass) = world.processes[0].call() else { panic!("closed") };
        world.processes[0].end(pass, CallEnd::Failure);
    });
    assert!(world.processes[0].job.is_some(), "the trip is being written");
    world.processes[0].reconfigure(slow(1));
    world.advance(s(10));
    world.processes[0].tick();
    assert!(world.processes[0].owes_trip());
    world.settle(0);
    assert_eq!(world.stored().state, CircuitState::Open.into());
    assert_eq!(world.processes[0].machine.config().store_timeout(), s(1));
}

#[test]
fn case_139_a_stale_closing_of_longer_settings_is_not_taken_for_a_newer_one() {
    let mut world = World::new(2, &recovering_in(600));
    world.record = Some(closed(START_UNIX - 10 + 600 + 3_600));
    world.succeed(0);
    let before = world.record.clone();
    world.fail(1, 5);
    world.advance(s(6));
    assert_eq!(world.call(0), Call::Rejected);
    reconfigure(&mut world, 0, &recovering_in(60));
    world.advance(s(6));
    world.faults.push_back(Fault::Stale(before));
    assert_eq!(world.call(0), Call::Rejected, "it reads again");
    assert_eq!(world.state(0), CircuitState::Open);
}

#[test]
fn a_machine_that_starts_over_has_the_newest_settings() {
    let (mut world, _pass) = probing(&Config::default(), 1);
    reconfigure(&mut world, 0, &leasing_for(2));
    let machine = &mut world.processes[0].machine;
    assert_eq!(machine.config().probe_lease(), s(30));
    machine.start_over();
    assert_eq!(machine.config().probe_lease(), s(2));
}

#[test]
fn a_ramp_that_is_on_follows_its_length_and_one_that_is_new_waits_for_a_closing() {
    let ramp = |seconds: u64| with(|config| config.ramp(s(seconds)));
    let mut world = World::new(1, &ramp(60));
    world.processes[0].command(hold(HoldKind::Open, START_UNIX + 60));
    world.settle(0);
    world.processes[0].command(Command::Release);
    world.settle(0);
    let length =
        |world: &World| world.processes[0].machine.published_ramp().map(|ramp| ramp.length_ms);
    assert_eq!(length(&world), Some(60_000));
    reconfigure(&mut world, 0, &ramp(30));
    assert_eq!(length(&world), Some(30_000));
    reconfigure(&mut world, 0, &Config::default());
    assert_eq!(length(&world), None);
    reconfigure(&mut world, 0, &ramp(30));
    assert_eq!(length(&world), None);
}

#[test]
fn a_hold_without_an_end_is_not_told_again_under_another_timeout() {
    let mut world = World::new(1, &recovering_in(30));
    let owner = Field::Valid(Arc::from("hold#deploy"));
    let held = |opened_at| Record { owner: owner.clone(), ..open(opened_at) };
    world.record = Some(held(START_UNIX + 570));
    assert_eq!(world.call(0), Call::Rejected);
    let told = |world: &World| {
        let told = world.processes[0].transitions.iter();
        told.filter(|told| told.cause == Cause::Hold).count()
    };
    assert_eq!(told(&world), 1);
    reconfigure(&mut world, 0, &recovering_in(20));
    world.advance(s(6));
    assert_eq!(world.call(0), Call::Rejected);
    assert_eq!(told(&world), 1, "it is the same hold");
    world.record = Some(held(START_UNIX + 600));
    world.advance(s(6));
    assert_eq!(world.call(0), Call::Rejected);
    assert_eq!(told(&world), 2, "another one");
}
