//! Every named state of the table, reached by real inputs only.

use super::{super::world::*, *};
use crate::protocol::machine::StoreResponse;

type Build = fn() -> Process;

pub(super) const STATES: [(&str, Build); 55] = [
    ("unknown", || bare().into_node()),
    ("closed, clean", || clean().into_node()),
    ("closed, with a streak", || streak().into_node()),
    ("closed, stale", || clean().later(5).into_node()),
    ("closed, stale, with a streak", || streak().later(5).into_node()),
    ("closed, reading", || streak().later(5).calling().into_node()),
    ("closed, reading ahead", || streak().later(4).with(|process| process.refresh()).into_node()),
    ("closed, confirming", || streak().later(5).calling().stale().into_node()),
    ("closed here, owes the close", || probing(2).lost(CallEnd::Success).into_node()),
    ("closed here, back-off over", || probing(2).lost(CallEnd::Success).later(1).into_node()),
    ("open, fresh", || known(open(T - 10)).into_node()),
    ("open, stale", || known(open(T - 10)).later(5).into_node()),
    ("open, reading", || known(open(T - 10)).later(5).calling().into_node()),
    ("open, due", || known(open(T - 10)).later(20).into_node()),
    ("open, looking", || known(open(T - 10)).later(20).calling().into_node()),
    ("open, electing", || electing().into_node()),
    ("open, held", || known(held()).into_node()),
    ("open, held until it is due", || known(held_until()).later(600).into_node()),
    ("closed, held", || held_closed().into_node()),
    ("closed, held, with a streak", || held_closed().with_failure().into_node()),
    ("closed, held, stale", || held_closed().later(5).into_node()),
    ("closed, the hold is over", || held_closed().later(600).into_node()),
    ("closed, being held closed", || streak().ordered(hold_closed()).one_answer().into_node()),
    ("open, tripping over a hold", || tripping_over_a_hold().into_node()),
    ("open, without opened_at", || known(timeless()).into_node()),
    ("open, opened_at 0", || known(open(0)).into_node()),
    ("open, opened in the future", || known(open(T + 3_600)).into_node()),
    ("open, tripping", || streak().failing().into_node()),
    ("open, being held", || known(open(T - 10)).ordered(hold()).into_node()),
    ("open, being held, read", || known(open(T - 10)).ordered(hold()).one_answer().into_node()),
    ("open here, owes the trip", || streak().failing().lost_request().into_node()),
    ("open here, back-off over", || streak().failing().lost_request().later(1).into_node()),
    ("open here, lapsed", || streak().failing().lost_request().later(30).into_node()),
    ("open here, lapsed, looking", || {
        streak().failing().lost_request().later(30).calling().into_node()
    }),
    ("open, reopening", || probing(1).ending(CallEnd::Failure).into_node()),
    ("half-open, ours, ready", || electing().answered().into_node()),
    ("half-open, ours, probing", || probing(1).into_node()),
    ("half-open, ours, the last probe", || probing(2).into_node()),
    ("half-open, ours, lease expired", || probing(1).later(30).into_node()),
    ("half-open, ours, renewing", || probing(1).later(10).keeping().into_node()),
    ("half-open, ours, handing over", || probing(1).ending(CallEnd::Success).into_node()),
    ("half-open, ours, closing", || probing(2).ending(CallEnd::Success).into_node()),
    ("half-open, ours, giving back", || probing(1).ending(CallEnd::Dropped).into_node()),
    ("half-open, ours, resting", || resting().into_node()),
    ("half-open, ours, renewing to probe", || resting().calling().into_node()),
    ("half-open, theirs, live", || known(half_open("another", T + 20)).into_node()),
    ("half-open, theirs, expired", || known(half_open("another", T - 9)).into_node()),
    ("half-open, theirs, no lease", || known(leaseless()).into_node()),
    ("half-open, theirs, taking over", || known(half_open("another", T - 9)).calling().into_node()),
    ("half-open, free", || probing(1).ending(CallEnd::Dropped).served().into_node()),
    ("half-open, being released", || releasing().into_node()),
    ("half-open, being released, read", || releasing().one_answer().into_node()),
    ("half-open, record gone", || gone().into_node()),
    ("half-open, record gone, probing", || gone().admitted().into_node()),
    ("half-open, record gone, probe leaked", || gone().admitted().later(30).into_node()),
];

const T: i64 = START_UNIX;

fn held() -> Record {
    Record { owner: Field::Valid("hold#deploy".into()), ..open(T + 600) }
}

/// Held by a process whose recovery timeout is 3 s.
fn held_until() -> Record {
    Record {
        opened_at: (T + 597).into(),
        hold_until: (T + 600).into(),
        hold_reason: Field::Valid("deploy".into()),
        ..held()
    }
}

fn timeless() -> Record {
    Record { opened_at: Field::Absent, ..open(T) }
}

fn leaseless() -> Record {
    Record { lease_until: Field::Absent, ..half_open("another", T) }
}

/// A world of one machine on its way to a state. Two failures trip it, and two
/// good probes close it.
struct Reached {
    world: World,
    last: Option<CallId>,
}

fn bare() -> Reached {
    Reached { world: World::new(1, &quick(2, 2)), last: None }
}

fn clean() -> Reached {
    let mut bench = bare();
    bench.world.record = Some(closed(T));
    bench.world.succeed(0);
    bench
}

fn streak() -> Reached {
    let mut bench = clean();
    bench.world.fail(0, 1);
    bench
}

/// A record that was read for a caller who did not wait for it.
fn known(record: Record) -> Reached {
    let mut bench = bare();
    bench.world.record = Some(record);
    bench.calling().unattended().served()
}

fn electing() -> Reached {
    known(open(T - 10)).later(20).calling().one_answer()
}

/// Under the first probe of an election, or under the second.
fn probing(probe: u32) -> Reached {
    let mut bench = known(open(T - 10)).later(20).admitted();
    if probe > 1 {
        bench = bench.ending(CallEnd::Success).served().admitted();
    }
    bench
}

fn resting() -> Reached {
    probing(1).ending(CallEnd::Success).served()
}

fn hold() -> Command {
    super::super::hold(HoldKind::Open, T + 600)
}

fn hold_closed() -> Command {
    super::super::hold(HoldKind::Closed, T + 600)
}

/// Another process holds the circuit closed.
fn held_closed() -> Reached {
    let mut bench = bare();
    bench.world.record = Some(record_held_closed(T, T + 600));
    bench.world.succeed(0);
    bench
}

/// Another process has held the circuit closed since this one has read it.
fn tripping_over_a_hold() -> Reached {
    let mut bench = streak();
    bench.world.record = Some(record_held_closed(T, T + 600));
    bench.failing()
}

fn releasing() -> Reached {
    probing(1).ordered(Command::Release)
}

fn gone() -> Reached {
    let mut bench = known(open(T - 10)).later(5);
    bench.world.record = None;
    bench.calling().unattended().served()
}

impl Reached {
    fn into_node(mut self) -> Process {
        self.world.processes.remove(0)
    }

    fn with(mut self, act: impl FnOnce(&mut Process)) -> Self {
        act(&mut self.world.processes[0]);
        self
    }

    fn later(mut self, seconds: u64) -> Self {
        self.world.advance(s(seconds));
        self.with(Process::pass_time)
    }

    /// Makes a call, which has to wait.
    fn calling(self) -> Self {
        self.with(|process| assert!(matches!(process.call(), Call::Waits(_))))
    }

    fn unattended(self) -> Self {
        self.with(Process::forget_waiters)
    }

    fn admitted(mut self) -> Self {
        self.last = Some(self.world.admit(0));
        self
    }

    fn keeping(self) -> Self {
        let pass = self.last.expect("a probe");
        self.with(|process| process.keep_alive(pass))
    }

    fn ending(self, report: CallEnd) -> Self {
        let pass = self.last.expect("a pass");
        self.with(|process| process.end(pass, report))
    }

    fn failing(self) -> Self {
        self.admitted().ending(CallEnd::Failure)
    }

    fn with_failure(mut self) -> Self {
        self.world.fail(0, 1);
        self
    }

    fn ordered(self, command: Command) -> Self {
        self.with(|process| process.command(command))
    }

    /// The store answers once.
    fn one_answer(mut self) -> Self {
        self.world.arrive(0);
        self.world.deliver(0);
        self
    }

    /// The store answers until nothing is in flight.
    fn served(mut self) -> Self {
        self.world.settle(0);
        self
    }

    /// An eventual read that shows what was there before.
    fn stale(mut self) -> Self {
        self.world.faults.push_back(Fault::Stale(None));
        self.world.arrive(0);
        self.world.deliver(0);
        self
    }

    fn lost_request(mut self) -> Self {
        self.world.faults.push_back(Fault::LostRequest);
        self.served()
    }

    fn lost(self, report: CallEnd) -> Self {
        self.ending(report).lost_request()
    }

    /// The write in flight is applied; nobody was asked again yet.
    fn answered(mut self) -> Self {
        let record = match &self.world.processes[0].job {
            Some(StoreRequest::Write { operation, .. }) => {
                operation.apply(self.world.record.as_ref())
            }
            Some(StoreRequest::Read { .. }) | None => None,
        };
        self.world.applied.push((0, "elect"));
        self.world.record.clone_from(&record);
        let answer = StoreResponse::Written(Written::Applied(record.expect("applied")));
        self.unattended().with(|process| process.answer_only(answer))
    }
}
