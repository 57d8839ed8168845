//! Random operations on several machines over one record. The clocks are
//! honest and nobody deletes the record; everything else may go wrong.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{node::*, world::*, *};
use crate::config::OnStoreOutage;

#[derive(Clone, Debug)]
enum Op {
    /// A call, all that the store has to say, and perhaps its end.
    Visit(usize, Option<Report>),
    Call(usize),
    End(usize, usize, Report),
    KeepAlive(usize, usize),
    Refresh(usize),
    Tick(usize),
    GiveUpWaiting(usize),
    Arrive(usize),
    Deliver(usize),
    Settle(usize),
    Advance(u64),
    Fault(Trouble),
    Down(bool),
    /// A process is gone, and comes back without a memory.
    Restart(usize),
}

#[derive(Clone, Debug)]
enum Trouble {
    LostAnswer,
    LostRequest,
    Fails(StoreErrorKind),
    Stale(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let node = || 0_usize..4;
    let report = select(vec![
        Report::Success,
        Report::Failure,
        Report::Failure,
        Report::Ignored,
        Report::NoVerdict,
    ]);
    let trouble = prop_oneof![
        2 => Just(Trouble::LostAnswer),
        1 => Just(Trouble::LostRequest),
        1 => select(vec![StoreErrorKind::Throttled, StoreErrorKind::Misconfigured])
            .prop_map(Trouble::Fails),
        2 => (0_usize..16).prop_map(Trouble::Stale),
    ];
    let visit = option::weighted(0.7, report.clone());
    prop_oneof![
        24 => (node(), visit).prop_map(|(n, report)| Op::Visit(n, report)),
        6 => node().prop_map(Op::Call),
        8 => (node(), 0_usize..2, report).prop_map(|(n, at, report)| Op::End(n, at, report)),
        4 => (node(), 0_usize..2).prop_map(|(n, at)| Op::KeepAlive(n, at)),
        1 => node().prop_map(Op::Refresh),
        2 => node().prop_map(Op::Tick),
        2 => node().prop_map(Op::GiveUpWaiting),
        6 => node().prop_map(Op::Arrive),
        4 => node().prop_map(Op::Deliver),
        4 => node().prop_map(Op::Settle),
        8 => (1_u64..2_000).prop_map(Op::Advance),
        6 => (2_000_u64..9_000).prop_map(Op::Advance),
        4 => trouble.prop_map(Op::Fault),
        2 => any::<bool>().prop_map(Op::Down),
        1 => node().prop_map(Op::Restart),
    ]
}

fn settings() -> impl Strategy<Value = Config> {
    (1_u32..4, 1_u32..4, any::<bool>(), select(vec![0, 1_000, 5_000]), 1_u64..6).prop_map(
        |(failures, successes, protect, age, lease)| {
            let policy = if protect { OnStoreOutage::Protect } else { OnStoreOutage::FailOpen };
            build(
                Config::builder()
                    .failure_threshold(failures)
                    .success_threshold(successes)
                    .recovery_timeout(s(5))
                    .probe_lease(s(lease))
                    .local_cache_max_age(ms(age))
                    .on_store_outage(policy),
            )
        },
    )
}

struct Play {
    world: World,
    config: Config,
    passes: Vec<Vec<Pass>>,
    calls: Vec<Vec<Call>>,
    history: Vec<Option<Record>>,
}

impl Play {
    fn new(nodes: usize, config: Config) -> Self {
        let world = World::new(nodes, &config);
        let (passes, calls) = (vec![Vec::new(); nodes], vec![Vec::new(); nodes]);
        Self { world, config, passes, calls, history: vec![None] }
    }

    fn apply(&mut self, op: Op) {
        let nodes = self.world.nodes.len();
        match op {
            Op::Visit(n, report) => {
                self.world.settle(n % nodes);
                if let Call::Runs(pass) = self.world.call(n % nodes) {
                    match report {
                        Some(report) => self.world.end(n % nodes, pass, report),
                        None => self.passes[n % nodes].push(pass),
                    }
                }
            }
            Op::Call(n) => {
                let call = self.world.nodes[n % nodes].call();
                self.calls[n % nodes].push(call);
            }
            Op::End(n, at, report) => {
                let passes = &mut self.passes[n % nodes];
                if !passes.is_empty() {
                    let pass = passes.remove(passes.len() - 1 - at % passes.len());
                    self.world.nodes[n % nodes].end(pass, report);
                }
            }
            Op::KeepAlive(n, at) => {
                let passes = &self.passes[n % nodes];
                if !passes.is_empty() {
                    self.world.nodes[n % nodes]
                        .keep_alive(passes[passes.len() - 1 - at % passes.len()]);
                }
            }
            Op::Refresh(n) => self.world.nodes[n % nodes].refresh(),
            Op::Tick(n) => self.world.nodes[n % nodes].tick(),
            Op::GiveUpWaiting(n) => self.world.nodes[n % nodes].forget_waiters(),
            Op::Arrive(n) => {
                if !self.world.is_arrived(n % nodes) {
                    self.world.arrive(n % nodes);
                }
            }
            Op::Deliver(n) => self.world.deliver(n % nodes),
            Op::Settle(n) => self.world.settle(n % nodes),
            Op::Advance(by) => self.world.advance(ms(by)),
            Op::Fault(trouble) => {
                let fault = match trouble {
                    Trouble::LostAnswer => Fault::LostAnswer,
                    Trouble::LostRequest => Fault::LostRequest,
                    Trouble::Fails(kind) => Fault::Fails(kind),
                    Trouble::Stale(at) => {
                        Fault::Stale(self.history[at % self.history.len()].clone())
                    }
                };
                self.world.faults.push_back(fault);
            }
            Op::Down(down) => self.world.down = down.then_some(StoreErrorKind::Unavailable),
            Op::Restart(n) => {
                self.world.restart(n % nodes, &self.config);
                self.passes[n % nodes].clear();
                self.calls[n % nodes].clear();
            }
        }
        self.after();
    }

    fn after(&mut self) {
        self.world.check();
        if self.history.last() != Some(&self.world.record) {
            self.history.push(self.world.record.clone());
        }
        for (number, calls) in self.calls.iter_mut().enumerate() {
            calls.retain(|call| match self.world.nodes[number].decision(*call) {
                Some(Call::Runs(pass)) => {
                    self.passes[number].push(pass);
                    false
                }
                Some(Call::Rejected) => false,
                Some(Call::Waits(_)) | None => true,
            });
        }
    }

    /// Store and dependency are well again, and calls come.
    fn recover(&mut self, timers: bool) {
        self.world.faults.clear();
        self.world.down = None;
        let nodes = self.world.nodes.len();
        for number in 0..nodes {
            self.world.settle(number);
        }
        for turn in 0..400 {
            if timers {
                self.world.pass(ms(500));
            } else {
                self.world.advance(ms(500));
            }
            if let Call::Runs(pass) = self.world.call(turn % nodes) {
                self.world.end(turn % nodes, pass, Report::Success);
            }
        }
        for number in 0..nodes {
            assert_eq!(self.world.state(number), CircuitState::Closed, "recovery is guaranteed");
        }
        let record = self.world.record.as_ref();
        assert!(record.is_none_or(|record| record.state == CircuitState::Closed.into()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Case 79, as far as a random walk goes.
    #[test]
    fn case_79_whatever_happens_one_probes_and_health_closes(
        nodes in 2_usize..5,
        config in settings(),
        timers in any::<bool>(),
        ops in vec(op(), 1..150),
    ) {
        let mut play = Play::new(nodes, config);
        for op in ops {
            play.apply(op);
        }
        play.recover(timers);
    }
}
