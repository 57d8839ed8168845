//! What happens in a run, all of it told before it starts.

use std::time::Duration;

use fuseboard::Config;

/// From an instant until before another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

impl Span {
    pub(crate) fn new(from: Duration, until: Duration) -> Self {
        Self { from, until }
    }

    pub(crate) fn has(&self, at: Duration) -> bool {
        self.from <= at && at < self.until
    }
}

/// How a process asks its breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Way {
    /// By `Breaker::call`.
    #[default]
    Call,
    /// By `Breaker::admit`, with permits that are reported by hand.
    Admit,
    /// By `Breaker::try_admit`, with permits that are reported by hand.
    TryAdmit,
}

/// When a process asks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Pace {
    /// Half to one and a half of its gap after the end of the last call.
    #[default]
    Spread,
    /// All processes within 3 ms, once in each gap.
    Lockstep,
}

/// The shares of calls that do not end with a report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Careless {
    /// The future of the call or of the admission is dropped.
    pub(crate) cancelled: f64,
    /// The permit is dropped.
    pub(crate) dropped: f64,
    /// The permit is forgotten.
    pub(crate) leaked: f64,
}

/// What lies between a process and the store.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// How long a request and its answer take together, at the least and at the most.
    pub(crate) takes: (Duration, Duration),
    /// When it cannot be reached.
    pub(crate) cut: Vec<Span>,
    /// Whether requests then hang, or fail at once.
    pub(crate) hangs: bool,
    /// When writes are denied.
    pub(crate) denied: Vec<Span>,
}

impl Default for Path {
    fn default() -> Self {
        let takes = (Duration::from_millis(5), Duration::from_millis(20));
        Self { takes, cut: Vec::new(), hangs: true, denied: Vec::new() }
    }
}

/// One process.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlannedProcess {
    pub(crate) from: Duration,
    /// Between two of its calls, on average.
    pub(crate) gap: Duration,
    pub(crate) pace: Pace,
    pub(crate) way: Way,
    pub(crate) careless: Careless,
    /// How many callers it has beside the first.
    pub(crate) more_callers: usize,
    /// How long its calls take.
    pub(crate) call: Duration,
    /// When it asks nobody.
    pub(crate) idle: Vec<Span>,
    /// When it stands still.
    pub(crate) frozen: Vec<Span>,
    pub(crate) zone: u8,
    /// What share of its own calls fails, and when.
    pub(crate) broken: Vec<(Span, f64)>,
    /// By how much its wall clock is ahead.
    pub(crate) ahead_ms: i64,
    pub(crate) path: Path,
    pub(crate) config: Config,
    /// The share of its failing calls that ask for an open time, if it reports by hand.
    pub(crate) asks: f64,
}

impl PlannedProcess {
    /// Whether the store hears it and nothing in it is broken, all of the time.
    pub(crate) fn is_in_reach(&self) -> bool {
        let Path { cut, denied, .. } = &self.path;
        [cut, denied, &self.frozen].into_iter().all(Vec::is_empty) && self.broken.is_empty()
    }
}

/// A time in which calls of a zone, or of all, fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) span: Span,
    pub(crate) zone: Option<u8>,
}

/// The units that are left for this item in a second, from an instant on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) from: Duration,
    pub(crate) writes: f64,
    pub(crate) reads: f64,
}

/// What somebody else does to the item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    /// An operator holds the circuit open for so long, through a process of the fleet.
    Hold(usize, Duration),
    /// An operator releases the circuit, through a process of the fleet.
    Release(usize),
    /// The item is deleted.
    Delete,
}

/// Everything that happens.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) processes: Vec<PlannedProcess>,
    pub(crate) outages: Vec<Outage>,
    pub(crate) limits: Vec<Limits>,
    pub(crate) acts: Vec<(Duration, Act)>,
    /// From here on nobody is careless, and nothing goes wrong.
    pub(crate) quiet_from: Duration,
    /// The run ends here, or before: once nobody is left who takes the circuit for
    /// open, some seconds after this.
    pub(crate) until: Duration,
    pub(crate) settles_after: Option<Duration>,
}

impl Plan {
    /// A fleet that is called so often, each process by `call`, with clocks in step.
    pub(crate) fn fleet(seed: u64, processes: usize, gap: Duration) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5EED);
        let process = |_| PlannedProcess {
            from: between(&mut rng, Duration::ZERO, gap),
            gap,
            call: Duration::from_millis(20),
            ahead_ms: rng.i64(-5..=5),
            ..PlannedProcess::default()
        };
        Self {
            seed,
            processes: (0..processes).map(process).collect(),
            outages: Vec::new(),
            limits: vec![Limits { from: Duration::ZERO, writes: 1_000.0, reads: 3_000.0 }],
            acts: Vec::new(),
            quiet_from: Duration::MAX,
            until: Duration::from_secs(3_600),
            settles_after: None,
        }
    }

    /// Whether a call of a process fails for what it calls.
    pub(crate) fn is_down(&self, zone: u8, at: Duration) -> bool {
        self.outages.iter().any(|it| it.span.has(at) && it.zone.is_none_or(|its| its == zone))
    }
}

/// A time between two.
pub(crate) fn between(rng: &mut fastrand::Rng, least: Duration, most: Duration) -> Duration {
    least + most.saturating_sub(least).mul_f64(rng.f64())
}
