//! What may happen in a random world.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{random, world::*, *};
use crate::config::{Backoff, OnStoreOutage};

/// No ramp of a random world is longer.
pub(super) const LONGEST_RAMP: Duration = Duration::from_secs(40);

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// A process does something, if it does not stand still.
    Act(usize, Act),
    /// What it has asked for reaches the store.
    Arrive(usize),
    /// It is gone, and comes back without a memory.
    Restart(usize),
    Stop(usize, Stop),
    /// It goes on, and perhaps notices that it stood still.
    GoOn(usize, bool),
    Advance(u64),
    Fault(Trouble),
    Down(bool),
    Throttle {
        reads: bool,
        writes: bool,
    },
    Deny(Option<StoreErrorKind>),
    /// The store is out of reach for one process.
    CutOff(usize, bool),
    Delete,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A call, all that the store has to say, and perhaps its end.
    Visit(Option<CallEnd>),
    /// A number of visits whose calls end alike.
    Row(CallEnd, u32),
    /// Good calls, until this process takes the circuit to be closed.
    Recover,
    /// A call that ends when something else has come to pass.
    Slow(usize, Meanwhile, CallEnd),
    /// A process trips the circuit, another closes it, and the first trips it again after this
    /// number of good calls.
    IsContradicted(usize, u32),
    /// Writes are denied, it fails the probes that it makes without the store of what
    /// another has tripped, and the item is deleted.
    FailsAlone(usize),
    /// Cut off, it trips what another has tripped before, and closes meanwhile.
    IsCutOff(usize),
    Call,
    End(usize, CallEnd),
    KeepAlive(usize),
    Refresh,
    Tick,
    GiveUpWaiting,
    Deliver,
    Settle,
    /// An operator holds the circuit for so many seconds, or releases it.
    Command(Option<(HoldKind, i64)>),
    /// It has these settings from now on.
    Reconfigure(Box<Config>),
}

/// What another process does while a call is slow.
#[derive(Clone, Debug)]
pub(super) enum Meanwhile {
    /// It calls when the lease is over, and takes over.
    Calls,
    /// It closes the circuit.
    Recovers,
    Commands(Option<(HoldKind, i64)>),
    Deletes,
}

#[derive(Clone, Debug)]
pub(super) enum Trouble {
    LostAnswer,
    LostAnswersOfWrites(u32),
    LostRequest,
    Fails(StoreErrorKind),
    Stale(usize),
}

fn report() -> impl Strategy<Value = CallEnd> {
    select(vec![
        CallEnd::Success,
        CallEnd::Failure,
        CallEnd::Failure,
        CallEnd::Ignored,
        CallEnd::Dropped,
        CallEnd::open_for(s(1)),
        CallEnd::open_for(s(25)),
    ])
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        2 => Just(Trouble::LostAnswer),
        2 => (1_u32..4).prop_map(Trouble::LostAnswersOfWrites),
        1 => Just(Trouble::LostRequest),
        1 => select(vec![StoreErrorKind::Throttled, StoreErrorKind::Misconfigured])
            .prop_map(Trouble::Fails),
        2 => (0_usize..16).prop_map(Trouble::Stale),
    ]
}

fn weather() -> impl Strategy<Value = Op> {
    let denied = select(vec![
        None,
        Some(StoreErrorKind::Misconfigured),
        Some(StoreErrorKind::Timeout),
        Some(StoreErrorKind::Unavailable),
    ]);
    prop_oneof![
        4 => trouble().prop_map(Op::Fault),
        2 => any::<bool>().prop_map(Op::Down),
        3 => (any::<bool>(), any::<bool>())
            .prop_map(|(reads, writes)| Op::Throttle { reads, writes }),
        2 => denied.prop_map(Op::Deny),
        2 => (0_usize..4, any::<bool>()).prop_map(|(n, is_cut)| Op::CutOff(n, is_cut)),
    ]
}

/// What comes upon a process, or upon the item.
fn strike() -> impl Strategy<Value = Op> {
    let process = || 0_usize..4;
    let stop = select(vec![Stop::Frozen, Stop::Paused]);
    prop_oneof![
        2 => process().prop_map(Op::Restart),
        4 => (process(), stop).prop_map(|(n, stop)| Op::Stop(n, stop)),
        6 => (process(), any::<bool>()).prop_map(|(n, notices)| Op::GoOn(n, notices)),
        2 => Just(Op::Delete),
    ]
}

fn slow() -> impl Strategy<Value = Act> {
    let meanwhile = prop_oneof![
        2 => Just(Meanwhile::Calls),
        2 => Just(Meanwhile::Recovers),
        2 => option::weighted(0.3, (random::hold_kind(), 1_i64..20)).prop_map(Meanwhile::Commands),
        1 => Just(Meanwhile::Deletes),
    ];
    let ends = prop_oneof![1 => Just(CallEnd::Success), 2 => report()];
    (0_usize..4, meanwhile, ends)
        .prop_map(|(other, meanwhile, report)| Act::Slow(other, meanwhile, report))
}

fn act() -> impl Strategy<Value = Act> {
    let alike = select(vec![CallEnd::Failure, CallEnd::Failure, CallEnd::Success]);
    prop_oneof![
        24 => option::weighted(0.7, report()).prop_map(Act::Visit),
        8 => (alike, 1_u32..30).prop_map(|(report, times)| Act::Row(report, times)),
        3 => Just(Act::Recover),
        8 => slow(),
        2 => (0_usize..4, 0_u32..30).prop_map(|(n, good)| Act::IsContradicted(n, good)),
        2 => (0_usize..4).prop_map(Act::FailsAlone),
        2 => (0_usize..4).prop_map(Act::IsCutOff),
        6 => Just(Act::Call),
        8 => (0_usize..2, report()).prop_map(|(at, report)| Act::End(at, report)),
        4 => (0_usize..2).prop_map(Act::KeepAlive),
        1 => Just(Act::Refresh),
        2 => Just(Act::Tick),
        2 => Just(Act::GiveUpWaiting),
        4 => Just(Act::Deliver),
        4 => Just(Act::Settle),
        2 => option::weighted(0.5, (random::hold_kind(), 1_i64..20)).prop_map(Act::Command),
        4 => settings().prop_map(|config| Act::Reconfigure(Box::new(config))),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let process = || 0_usize..4;
    prop_oneof![
        74 => (process(), act()).prop_map(|(n, act)| Op::Act(n, act)),
        6 => process().prop_map(Op::Arrive),
        8 => (1_u64..2_000).prop_map(Op::Advance),
        6 => (2_000_u64..9_000).prop_map(Op::Advance),
        1 => (9_000_u64..70_000).prop_map(Op::Advance),
        9 => weather(),
        10 => strike(),
    ]
}

/// The longest lease, in seconds. Every process takes one of another for live for as long, by its
/// `probe_limit`.
const LONGEST_LEASE: u64 = 4;

fn settings() -> impl Strategy<Value = Config> {
    (
        (1_u32..4, 1_u32..4, any::<bool>(), select(vec![0, 1_000, 5_000])),
        (select(vec![1, 5, 12]), 1..=LONGEST_LEASE, select(vec![1, 2, 4])),
        (select(vec![0_u64, 500, 1_000]), select(vec![0_u64, 1, 2]), any::<bool>()),
    )
        .prop_map(|((failures, successes, protect, age), (timeout, lease, limit), spread)| {
            let policy = if protect { OnStoreOutage::Protect } else { OnStoreOutage::FailOpen };
            let (handoff, halves, grows) = spread;
            let most = s(timeout).saturating_mul(4);
            let backoff = Backoff::exponential(2.0).at_most(most).forget_after(s(20));
            let config = Config::builder().open_for_at_most(s(20));
            // No draw of its own: what the seeds came to before there were ramps, they still do.
            let mut ramps = [None, Some(LONGEST_RAMP), Some(s(2))].into_iter().cycle();
            let after = usize::from(protect) + usize::try_from(failures).expect("few");
            let ramp = ramps.nth(after).flatten();
            let config = ramp.into_iter().fold(config, ConfigBuilder::ramp);
            build(
                if grows { config.open_backoff(backoff) } else { config }
                    .failure_threshold(failures)
                    .success_threshold(successes)
                    .recovery_timeout(s(timeout))
                    .probe_lease(s(lease))
                    .probe_limit(s(LONGEST_LEASE.max(lease * limit)))
                    .handoff(ms(handoff))
                    .election_spread(ms(handoff * halves / 2))
                    .local_cache_max_age(ms(age))
                    .on_store_outage(policy),
            )
        })
}

/// What the processes of a world start with: as while new settings come to one after the other,
/// they differ in their leases.
fn starts() -> impl Strategy<Value = Vec<Config>> {
    (settings(), vec(settings(), 1..5)).prop_map(|(config, others)| {
        let start = |other: &Config| {
            let mut start = config.clone();
            start.keep_probe_settings(other);
            start
        };
        others.iter().map(start).collect()
    })
}

/// What a world begins with, and what happens to it.
pub(super) fn worlds() -> impl Strategy<Value = (Vec<Config>, bool, bool, Vec<Op>)> {
    (starts(), any::<bool>(), any::<bool>(), vec(op(), 1..150))
}
